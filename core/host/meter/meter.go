package meter

import "strconv"

// Version goes up whenever the output for some input changes. Whoever keeps
// outputs keys them by it.
const Version = 4

// Names through which a metered module and its host meet.
const (
	Module = "omni_rt"      // module of the import
	Yield  = "yield"        // () -> i64: called when the fuel is used up; answers new fuel
	Fuel   = "omni_rt.fuel" // export: mutable i64, what is left; negative = overdrawn

	// Pages is exported by modules that a host can set back to an earlier moment:
	// mutable i32, how many pages of memory the module believes to have. All else
	// that changes are the memory itself and the globals [Variable](0), (1), …;
	// pages beyond it must be zero.
	Pages = "omni_rt.pages"
)

// Variable is the name under which a global of the module is exported, by how
// many variable ones come before it. Only modules that export [Pages] have them.
func Variable(n int) string { return Module + ".v" + strconv.Itoa(n) }

// Rewrite returns the module with meters in it, or an *Error that says why it
// cannot be metered. Custom sections other than the names of functions are left
// out. wasm is not changed.
func Rewrite(wasm []byte) ([]byte, error) {
	m, err := parse(wasm)
	if err != nil {
		return nil, err
	}
	code, err := m.code()
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(wasm)+len(wasm)/8+256)
	out = append(out, header...)
	for _, id := range order {
		content := code
		if id != secCode {
			content = m.section(id)
		} else if !m.has(secCode) {
			continue
		}
		if content == nil {
			continue
		}
		out = append(out, id)
		out = appendU32(out, uint32(len(content)))
		out = append(out, content...)
	}
	return m.appendNames(out), nil
}

// fuelIndex and pagesIndex are the globals that are added, behind all others.
func (m *module) fuelIndex() uint32  { return uint32(m.globals) }
func (m *module) pagesIndex() uint32 { return uint32(m.globals) + 1 }

// shift is the new index of a function: the import comes behind the other
// imports, before the module's own functions.
func (m *module) shift(f uint32) uint32 {
	if int64(f) >= int64(m.importedFuncs) {
		return f + 1
	}
	return f
}

// section returns the new content of a section; nil where there is none.
func (m *module) section(id byte) []byte {
	old := m.wasm[m.sections[id].start:m.sections[id].end]
	switch id {
	case secType:
		return m.grow(id, 1, []byte{typeFunc, 0, 1, typeI64})
	case secImport:
		item := appendName(appendName(nil, Module), Yield)
		return m.grow(id, 1, appendU32(append(item, kindFunc), uint32(len(m.params))))
	case secGlobal:
		item := []byte{typeI64, 1, opI64Const, 0, opEnd, typeI32, 1, opI32Const}
		return m.grow(id, 2, append(appendSigned(item, int64(m.pages)), opEnd))
	case secExport:
		return m.exports()
	case secElement, secStart:
		return m.shifted(m.sections[id])
	}
	switch {
	case !m.has(id):
		return nil
	case id == secTable:
		return m.appendTables(nil)
	}
	return old
}

// exports adds those that only the host knows.
func (m *module) exports() []byte {
	var items []byte
	n := uint32(0)
	add := func(name string, global uint32) {
		items = appendU32(append(appendName(items, name), kindGlobal), global)
		n++
	}
	add(Fuel, m.fuelIndex())
	if m.ownMemory && !m.unset {
		add(Pages, m.pagesIndex())
		for k, g := range m.variables {
			add(Variable(k), uint32(g))
		}
	}
	return m.grow(secExport, n, items)
}

// grow adds items to a section, or makes a section of them.
func (m *module) grow(id byte, more uint32, items []byte) []byte {
	n := uint32(0)
	var rest []byte
	if m.has(id) {
		r := m.reader(m.sections[id])
		n = r.u32()
		rest = m.shifted(span{r.p, r.end})
	}
	out := make([]byte, 0, len(rest)+len(items)+5)
	return append(append(appendU32(out, n+more), rest...), items...)
}

// shifted copies a part of the module with its function indices moved.
func (m *module) shifted(s span) []byte {
	if s.end == 0 {
		return nil
	}
	out := make([]byte, 0, s.end-s.start+64)
	at := s.start
	for _, p := range m.calls {
		if p < s.start || p >= s.end {
			continue
		}
		r := m.reader(span{p, s.end})
		out = append(out, m.wasm[at:p]...)
		out = appendU32(out, m.shift(r.u32()))
		at = r.p
	}
	return append(out, m.wasm[at:s.end]...)
}

// code rewrites all function bodies.
func (m *module) code() ([]byte, error) {
	r := m.reader(m.sections[secCode])
	n := 0
	if m.has(secCode) {
		n = r.count()
	}
	own := m.funcs[m.importedFuncs:]
	if r.good() && n != len(own) {
		r.fail("it declares %d functions and has code for %d", len(own), n)
	}
	size := r.end - r.p
	out := appendU32(make([]byte, 0, size+size/4+16), uint32(n))
	w := &walker{m: m}
	var body []byte
	for k := 0; k < n && r.good(); k++ {
		length := int(r.u32())
		s := span{r.p, r.p + length}
		if r.skip(length); !r.good() {
			break
		}
		if err := w.walk(s, m.params[own[k]]); err != nil {
			return nil, err
		}
		body = w.emit(body[:0], s)
		out = appendU32(out, uint32(len(body)))
		out = append(out, body...)
	}
	if r.good() && r.p != r.end {
		r.fail("its code section is longer than its content")
	}
	if r.err != nil {
		return nil, r.err
	}
	return out, nil
}

// emit appends the body that was walked last, with its edits.
func (w *walker) emit(b []byte, body span) []byte {
	wasm := w.m.wasm
	r := w.m.reader(body)
	r.u32()
	if w.ranges {
		b = appendU32(b, uint32(w.decls+1))
		b = append(b, wasm[r.p:w.code]...)
		b = append(b, 1, typeI32)
	} else {
		b = append(b, wasm[body.start:w.code]...)
	}
	at := w.code
	if w.entry {
		b = w.m.charge(b, 1)
	}
	for _, e := range w.edits {
		b = append(b, wasm[at:e.at]...)
		at = e.at
		switch e.kind {
		case editCharge:
			b = w.m.charge(b, 1)
		case editGrow:
			b = w.growMemory(w.m.charge(b, growUnits))
			at = e.end
		case editSize:
			b = w.memorySize(b)
			at = e.end
		case editRange:
			b = w.chargeRange(b, int64(e.n))
		case editFunction:
			b = appendU32(b, w.m.shift(e.n))
			at = e.end
		}
	}
	return append(b, wasm[at:body.end]...)
}

// memorySize appends what answers memory.size.
func (w *walker) memorySize(b []byte) []byte {
	if !w.m.ownMemory {
		return append(b, opMemorySize, 0)
	}
	return appendU32(append(b, opGlobalGet), w.m.pagesIndex())
}

// growMemory appends what is done instead of memory.grow. The module's pages
// are counted apart from those there are, of which there may be more after the
// host set it back; only what is missing is asked for.
func (w *walker) growMemory(b []byte) []byte {
	if !w.m.ownMemory {
		return append(b, opMemoryGrow, 0)
	}
	pages := func(b []byte) []byte { return appendU32(append(b, opGlobalGet), w.m.pagesIndex()) }
	asked := func(b []byte) []byte { return appendU32(append(b, opLocalGet), w.locals) }
	want := func(b []byte) []byte { return append(asked(pages(b)), opI32Add) }
	const tooMany = 1 << 16
	b = appendU32(append(b, opLocalSet), w.locals)
	b = append(b, opBlock, typeI32)
	b = appendSigned(append(asked(b), opI32Const), tooMany)
	b = append(b, opI32GtU, opIf, typeEmpty, opI32Const, 0x7f, opBr, 1, opEnd)
	b = append(want(b), opMemorySize, 0, opI32GtU, opIf, typeEmpty)
	b = append(want(b), opMemorySize, 0, opI32Sub, opMemoryGrow, 0, opI32Const, 0x7f, opI32Eq)
	b = append(b, opIf, typeEmpty, opI32Const, 0x7f, opBr, 2, opEnd, opEnd)
	b = want(pages(b))
	b = appendU32(append(b, opGlobalSet), w.m.pagesIndex())
	return append(b, opEnd)
}

// charge appends: fuel -= units; if fuel < 0 { fuel = yield() }.
func (m *module) charge(b []byte, units int64) []byte {
	b = appendU32(append(b, opGlobalGet), m.fuelIndex())
	b = appendSigned(append(b, opI64Const), units)
	return m.settle(append(b, opI64Sub))
}

// settle appends what follows once the new fuel is on the stack.
func (m *module) settle(b []byte) []byte {
	b = appendU32(append(b, opGlobalSet), m.fuelIndex())
	b = appendU32(append(b, opGlobalGet), m.fuelIndex())
	b = append(b, opI64Const, 0, opI64LtS, opIf, typeEmpty, opCall)
	b = appendU32(b, uint32(m.importedFuncs))
	b = appendU32(append(b, opGlobalSet), m.fuelIndex())
	return append(b, opEnd)
}

// chargeRange appends a charge by the length on top of the stack, which stays.
func (w *walker) chargeRange(b []byte, unit int64) []byte {
	b = appendU32(append(b, opLocalSet), w.locals)
	b = appendU32(append(b, opGlobalGet), w.m.fuelIndex())
	b = appendU32(append(b, opLocalGet), w.locals)
	b = appendSigned(append(b, opI64ExtendU, opI64Const), unit)
	b = w.m.settle(append(b, opI64ShrU, opI64Sub))
	return appendU32(append(b, opLocalGet), w.locals)
}

// appendNames appends the names of functions, under their new indices. A name
// section that is damaged is left out: engines do not check it either.
func (m *module) appendNames(out []byte) []byte {
	const functions = 1
	r := m.reader(m.names)
	for r.more() {
		id := r.byte()
		size := int(r.u32())
		sub := m.reader(span{r.p, r.p + size})
		if r.skip(size); !r.good() || id != functions {
			continue
		}
		names, ok := m.shiftNames(sub)
		if !ok {
			return out
		}
		content := append(appendName(nil, "name"), functions)
		content = append(appendU32(content, uint32(len(names))), names...)
		out = appendU32(append(out, secCustom), uint32(len(content)))
		return append(out, content...)
	}
	return out
}

func (m *module) shiftNames(r *reader) ([]byte, bool) {
	n := r.count()
	out := appendU32(nil, uint32(n))
	for i := 0; i < n && r.good(); i++ {
		out = appendU32(out, m.shift(r.u32()))
		name := r.bytes()
		out = append(appendU32(out, uint32(len(name))), name...)
	}
	return out, r.good() && r.p == r.end
}
