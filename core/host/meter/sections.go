package meter

import "strings"

// Section ids.
const (
	secCustom    = 0
	secType      = 1
	secImport    = 2
	secFunction  = 3
	secTable     = 4
	secMemory    = 5
	secGlobal    = 6
	secExport    = 7
	secStart     = 8
	secElement   = 9
	secCode      = 10
	secData      = 11
	secDataCount = 12
)

// order is the order in which sections come, custom ones aside.
var order = [...]byte{
	secType, secImport, secFunction, secTable, secMemory, secGlobal, secExport, secStart, secElement, secDataCount, secCode, secData,
}

// Kinds of imports and exports.
const (
	kindFunc   = 0
	kindTable  = 1
	kindMemory = 2
	kindGlobal = 3
)

// span is a part of the module's bytes; empty when there is no such part.
type span struct{ start, end int }

// module is what the meter knows of a module before it looks at the code.
type module struct {
	wasm     []byte
	sections [secDataCount + 1]span // content without id and size
	names    span                   // content of the name section, behind its own name

	params        []int // of each type: how many parameters it has
	funcs         []int // of each function, imported ones first: its type
	importedFuncs int
	tables        int
	own           []table // tables that are not imported
	memories      int
	pages         uint32 // of its own memory at the start
	ownMemory     bool
	globals       int
	variables     []int // globals of its own that change
	unset         bool  // it changes what a host cannot set back: tables, segments, references, what it imports
	elems         int
	dataCount     int // as announced; -1 = not

	calls []int // where function indices outside the code stand, ascending
}

func (m *module) has(id byte) bool { return m.sections[id].end > 0 }

func (m *module) reader(s span) *reader { return &reader{b: m.wasm, p: s.start, end: s.end} }

const header = "\x00asm\x01\x00\x00\x00"

// parse reads everything but the function bodies.
func parse(wasm []byte) (*module, error) {
	m := &module{wasm: wasm, dataCount: -1}
	if len(wasm) < len(header) || string(wasm[:len(header)]) != header {
		return nil, &Error{Msg: "it is not a WebAssembly module of version 1"}
	}
	if err := m.split(); err != nil {
		return nil, err
	}
	for _, s := range []struct {
		id   byte
		read func(*reader)
	}{
		{secType, m.readTypes}, {secImport, m.readImports}, {secFunction, m.readFunctions}, {secTable, m.readTables},
		{secMemory, m.readMemories}, {secGlobal, m.readGlobals}, {secExport, m.readExports}, {secStart, m.readStart},
		{secElement, m.readElements}, {secDataCount, m.readDataCount}, {secData, m.readData},
	} {
		if !m.has(s.id) {
			continue
		}
		r := m.reader(m.sections[s.id])
		s.read(r)
		if r.good() && r.p != r.end {
			r.fail("its section %d is longer than its content", s.id)
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	return m, nil
}

// split finds the sections and checks their order.
func (m *module) split() error {
	r := &reader{b: m.wasm, p: len(header), end: len(m.wasm)}
	next := 0
	for r.more() {
		at, id := r.p, r.byte()
		size := int(r.u32())
		s := span{r.p, r.p + size}
		r.skip(size)
		if !r.good() {
			break
		}
		if id == secCustom {
			if err := m.custom(s); err != nil {
				return err
			}
			continue
		}
		for next < len(order) && order[next] != id {
			next++
		}
		if next == len(order) {
			r.p = at
			if id == 13 {
				r.fail("it uses exception handling, which plugins may not")
			} else {
				r.fail("its section %d is unknown, out of order or there twice", id)
			}
			break
		}
		next++
		m.sections[id] = s
	}
	if r.err != nil {
		return r.err
	}
	return nil
}

// custom remembers the name section, the one custom section that survives:
// what others say of the code would no longer be true.
func (m *module) custom(s span) error {
	r := m.reader(s)
	if r.name() == "name" {
		m.names = span{r.p, s.end}
	}
	if r.err != nil {
		return r.err
	}
	return nil
}

func (m *module) readTypes(r *reader) {
	n := r.count()
	m.params = make([]int, 0, n)
	for i := 0; i < n && r.good(); i++ {
		if form := r.byte(); form != typeFunc {
			r.fail("it uses types of form %#x, which plugins may not", form)
		}
		params := r.count()
		for k := 0; k < params && r.good(); k++ {
			r.valueType()
		}
		results := r.count()
		for k := 0; k < results && r.good(); k++ {
			r.valueType()
		}
		m.params = append(m.params, params)
	}
}

func (r *reader) valueType() {
	switch t := r.byte(); t {
	case typeI32, typeI64, 0x7d, 0x7c, typeV128, typeFuncRef, typeExternRef:
	default:
		r.fail("it uses values of type %#x, which plugins may not", t)
	}
}

func (r *reader) refType() {
	if t := r.byte(); t != typeFuncRef && t != typeExternRef {
		r.fail("it uses references of type %#x, which plugins may not", t)
	}
}

// limits reads the size of a table or memory; most is 1<<32 where none is set.
func (r *reader) limits() (least, most uint64) {
	flags := r.byte()
	switch {
	case flags&2 != 0:
		r.fail("it uses threads, which plugins may not")
	case flags&4 != 0:
		r.fail("it uses 64-bit memory, which plugins may not")
	case flags > 1:
		r.fail("it has limits of an unknown kind")
	}
	least, most = uint64(r.u32()), 1<<32
	if flags&1 != 0 {
		most = uint64(r.u32())
	}
	return least, most
}

func (m *module) readImports(r *reader) {
	n := r.count()
	for i := 0; i < n && r.good(); i++ {
		if r.name() == Module {
			r.fail("it imports from %s, which is the gateway's own", Module)
		}
		r.name()
		switch kind := r.byte(); kind {
		case kindFunc:
			m.funcs = append(m.funcs, m.typeIndex(r))
		case kindTable:
			r.refType()
			r.limits()
			m.tables++
			m.unset = true
		case kindMemory:
			m.readMemory(r)
			m.unset = true
		case kindGlobal:
			r.valueType()
			if r.mutability() {
				m.unset = true
			}
			m.globals++
		default:
			r.fail("it imports something of the unknown kind %d", kind)
		}
	}
	m.importedFuncs = len(m.funcs)
}

func (r *reader) mutability() (variable bool) {
	c := r.byte()
	if c > 1 {
		r.fail("it has a global that is neither constant nor variable")
	}
	return c == 1
}

func (m *module) typeIndex(r *reader) int {
	t := r.u32()
	if int64(t) >= int64(len(m.params)) {
		r.fail("it refers to type %d of %d", t, len(m.params))
		return 0
	}
	return int(t)
}

func (m *module) readFunctions(r *reader) {
	n := r.count()
	for i := 0; i < n && r.good(); i++ {
		m.funcs = append(m.funcs, m.typeIndex(r))
	}
}

func (m *module) readTables(r *reader) {
	n := r.count()
	total := uint64(0)
	for i := 0; i < n && r.good(); i++ {
		t := table{kind: r.b[min(r.p, r.end-1)]}
		r.refType()
		t.least, t.most = r.limits()
		if total += t.least; total > maxElements {
			r.fail("it has tables of more than %d elements", maxElements)
		}
		m.own = append(m.own, t)
		m.tables++
	}
}

// table is one that the module has itself.
type table struct {
	kind        byte
	least, most uint64
}

// maxElements is how much all tables may hold together, about: their growth is
// not seen by whoever bounds the memory.
const maxElements = 1 << 20

// appendTables writes the section of tables, which may grow less far.
func (m *module) appendTables(b []byte) []byte {
	b = appendU32(b, uint32(len(m.own)))
	for _, t := range m.own {
		most := min(t.most, max(t.least, maxElements/uint64(len(m.own))))
		b = append(b, t.kind, 1)
		b = appendU32(appendU32(b, uint32(t.least)), uint32(most))
	}
	return b
}

func (m *module) readMemories(r *reader) {
	n := r.count()
	for i := 0; i < n && r.good(); i++ {
		m.pages, m.ownMemory = m.readMemory(r), true
	}
}

func (m *module) readMemory(r *reader) uint32 {
	least, _ := r.limits()
	if m.memories++; m.memories > 1 {
		r.fail("it has more than one memory, which plugins may not")
	}
	return uint32(least)
}

func (m *module) readGlobals(r *reader) {
	n := r.count()
	for i := 0; i < n && r.good(); i++ {
		kind := r.b[min(r.p, r.end-1)]
		r.valueType()
		if r.mutability() {
			m.variables = append(m.variables, m.globals)
			m.unset = m.unset || kind == typeFuncRef || kind == typeExternRef || kind == typeV128
		}
		m.constant(r, m.globals)
		m.globals++
	}
}

func (m *module) readExports(r *reader) {
	n := r.count()
	for i := 0; i < n && r.good(); i++ {
		if name := r.name(); strings.HasPrefix(name, Module+".") {
			r.fail("it exports %s, which is the gateway's own", name)
		}
		switch kind := r.byte(); kind {
		case kindFunc:
			m.funcIndex(r)
		case kindTable:
			m.index(r, "table", m.tables)
		case kindMemory:
			m.index(r, "memory", m.memories)
		case kindGlobal:
			m.index(r, "global", m.globals)
		default:
			r.fail("it exports something of the unknown kind %d", kind)
		}
	}
}

// funcIndex reads a function index outside the code and remembers its place.
func (m *module) funcIndex(r *reader) {
	m.calls = append(m.calls, r.p)
	m.index(r, "function", len(m.funcs))
}

func (m *module) index(r *reader, what string, n int) {
	if v := r.u32(); int64(v) >= int64(n) {
		r.fail("it refers to %s %d of %d", what, v, n)
	}
}

func (m *module) readStart(r *reader) { m.funcIndex(r) }

func (m *module) readDataCount(r *reader) { m.dataCount = int(r.u32()) }

// readElements reads the eight forms of element segments: bit 0 of the flags
// means passive or declarative, bit 1 an explicit table or declarative, bit 2
// expressions instead of indices.
func (m *module) readElements(r *reader) {
	n := r.count()
	for i := 0; i < n && r.good(); i++ {
		flags := r.u32()
		if flags > 7 {
			r.fail("it has element segments of an unknown kind")
		}
		if flags&1 == 0 {
			if flags&2 != 0 {
				m.index(r, "table", m.tables)
			}
			m.constant(r, m.globals)
		}
		switch {
		case flags&3 == 0:
		case flags&4 != 0:
			r.refType()
		case r.byte() != 0:
			r.fail("it has element segments of an unknown kind")
		}
		items := r.count()
		for k := 0; k < items && r.good(); k++ {
			if flags&4 != 0 {
				m.constant(r, m.globals)
			} else {
				m.funcIndex(r)
			}
		}
		m.elems++
	}
}

func (m *module) readData(r *reader) {
	n := r.count()
	for i := 0; i < n && r.good(); i++ {
		switch flags := r.u32(); flags {
		case 0:
			m.constant(r, m.globals)
		case 1:
		case 2:
			m.index(r, "memory", m.memories)
			m.constant(r, m.globals)
		default:
			r.fail("it has data segments of an unknown kind")
		}
		r.bytes()
	}
}

// constant reads a constant expression, which may use the first so many
// globals.
func (m *module) constant(r *reader, globals int) {
	for r.good() {
		switch op := r.byte(); op {
		case opEnd:
			return
		case opI32Const:
			r.signed(32)
		case opI64Const:
			r.signed(64)
		case opF32Const:
			r.skip(4)
		case opF64Const:
			r.skip(8)
		case opVector:
			if r.u32() != vectorConst {
				r.fail("it computes a constant with an instruction that may not be used there")
			}
			r.skip(16)
		case opGlobalGet:
			m.index(r, "global", globals)
		case opRefNull:
			r.refType()
		case opRefFunc:
			m.funcIndex(r)
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e:
			r.fail("it uses extended constant expressions, which plugins may not")
		default:
			r.fail("it computes a constant with an instruction that may not be used there")
		}
	}
}

const vectorConst = 12
