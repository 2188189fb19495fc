package meter

// Span is the most straight code that runs without a charge, weighed as about
// so many additions.
const Span = 256

// tiny is the weight up to which a function that calls nothing runs free: it is
// as much as its caller is charged for calling it.
const tiny = 16

// edit is a change of a function body.
type edit struct {
	at   int // byte before which something is inserted
	kind editKind
	n    uint32 // function: its old index; range: log2 of what one unit pays for
	end  int    // byte behind what is replaced
}

type editKind uint8

const (
	editCharge   editKind = iota // one unit, and stop if there is none
	editGrow                     // growUnits units, and memory.grow
	editRange                    // the length on top of the stack, and stop if there is no fuel left
	editFunction                 // a function index
	editSize                     // memory.size
)

// What one unit pays for: 64 bytes or 8 table elements, as powers of two.
const (
	bytesPerUnit    = 6
	elementsPerUnit = 3
	growUnits       = 1024 // growing clears a page
	shortRange      = 16   // units up to which a known length counts as straight code
)

// state is what is known about the ways that lead to an instruction.
type state struct {
	run   int32 // weight of the heaviest one since its last charge; dead = no way leads here
	fresh bool  // one of them leads from the function's entry without a charge
}

const dead = -1

func (s *state) merge(o state) {
	if o.run == dead {
		return
	}
	if s.run == dead {
		*s = o
		return
	}
	s.run = max(s.run, o.run)
	s.fresh = s.fresh || o.fresh
}

// frame is a block that is open.
type frame struct {
	op     byte
	serial int   // tells it from other blocks at the same depth
	label  state // ways that leave it by a branch
	other  state // of an if: the way into its else branch

	// A loop whose first instructions are blocks and a branch table over a
	// variable is a dispatcher: Go's compiler makes each jump of a function by
	// setting the variable and going back to the loop. Setting it to a constant
	// and going back is a jump to the end of the block that the table has there.
	variable uint32
	table    []place // of a dispatcher; the last is for all other values
}

// place is a block, open or not any more.
type place struct{ index, serial int }

// peep is what is known of the instruction just read.
type peep struct {
	kind     peepKind
	constant int64
	variable uint32
}

type peepKind uint8

const (
	peepNothing  peepKind = iota
	peepConst             // i32.const
	peepSetConst          // a variable was set to a constant
	peepHead              // a loop and nothing but blocks since
	peepHeadGet           // likewise, and the variable of a dispatcher
)

// walker goes through function bodies. It is used for one after the other.
type walker struct {
	m      *module
	r      reader
	now    state
	frames []frame
	serial int
	peep   peep
	loop   int // index of the loop that peepHead is about
	labels []uint32
	edits  []edit
	locals uint32 // of the function, parameters included
	entry  bool   // it must be charged at its entry
	ranges bool   // it has operations on ranges, which take a local
	decls  int    // how many groups of locals it declares
	code   int    // where its instructions begin
}

const (
	maxLocals = 50_000
	maxDepth  = 100_000
)

// walk reads one function body and decides what to change.
func (w *walker) walk(body span, params int) *Error {
	w.r = reader{b: w.m.wasm, p: body.start, end: body.end}
	w.edits, w.frames = w.edits[:0], w.frames[:0]
	w.entry, w.ranges = false, false
	w.readLocals(params)
	w.code = w.r.p
	w.now = state{fresh: true}
	w.push(opBlock)
	for w.r.good() && len(w.frames) > 0 {
		w.instruction()
	}
	if w.r.good() && w.r.p != w.r.end {
		w.r.fail("it has a function that goes on behind its end")
	}
	return w.r.err
}

func (w *walker) readLocals(params int) {
	total := uint64(params)
	w.decls = w.r.count()
	for i := 0; i < w.decls && w.r.good(); i++ {
		total += uint64(w.r.u32())
		w.r.valueType()
		if total > maxLocals {
			w.r.fail("it has a function with more than %d variables", maxLocals)
		}
	}
	w.locals = uint32(total)
}

func (w *walker) push(op byte) {
	if len(w.frames) == maxDepth {
		w.r.fail("it nests more than %d blocks", maxDepth)
	}
	w.serial++
	w.frames = append(w.frames, frame{op: op, serial: w.serial, label: state{run: dead}, other: state{run: dead}})
}

// pass adds an instruction to the straight code, which is interrupted by a
// charge before it if it became too long.
func (w *walker) pass(at int, weight int32) {
	if w.now.run == dead || weight == 0 {
		return
	}
	w.now.run += weight
	if w.now.run > Span {
		w.edits = append(w.edits, edit{at: at, kind: editCharge})
		w.now = state{run: weight}
	}
	if w.now.fresh && w.now.run > tiny {
		w.entry = true
	}
}

// branch takes the ways to labels, so many blocks further out. One to the head
// of a loop is charged, before the branching instruction.
func (w *walker) branch(at int, labels ...uint32) {
	back := false
	for _, depth := range labels {
		if int64(depth) >= int64(len(w.frames)) {
			w.r.fail("it branches to a block that is not there")
			return
		}
		back = back || w.frames[len(w.frames)-1-int(depth)].op == opLoop
	}
	if back {
		w.charge(at)
	}
	for _, depth := range labels {
		if f := &w.frames[len(w.frames)-1-int(depth)]; f.op != opLoop {
			f.label.merge(w.now)
		}
	}
}

// charge puts one before an instruction.
func (w *walker) charge(at int) {
	if w.now.run == dead {
		return
	}
	if n := len(w.edits); n == 0 || w.edits[n-1] != (edit{at: at}) {
		w.edits = append(w.edits, edit{at: at})
	}
	w.now = state{}
}

// dispatched reports whether a branch only seems to go back: it leads to a
// dispatcher that goes on to a block which is still open, that is, forward.
func (w *walker) dispatched(last peep, depth uint32) bool {
	if last.kind != peepSetConst || int64(depth) >= int64(len(w.frames)) {
		return false
	}
	head := &w.frames[len(w.frames)-1-int(depth)]
	if head.table == nil || head.variable != last.variable {
		return false
	}
	to := head.table[min(uint64(uint32(last.constant)), uint64(len(head.table)-1))]
	if to.index >= len(w.frames) || w.frames[to.index].serial != to.serial || w.frames[to.index].op == opLoop {
		return false
	}
	w.frames[to.index].label.merge(w.now)
	return true
}

// stop marks what follows as unreachable.
func (w *walker) stop() { w.now = state{run: dead} }

func (w *walker) instruction() {
	r := &w.r
	at := r.p
	op := r.byte()
	last := w.peep
	w.peep = peep{}
	w.pass(at, weight(op))
	switch op {
	case opBlock, opLoop, opIf:
		w.open(op, last)
	case opElse:
		f := &w.frames[len(w.frames)-1]
		if f.op != opIf {
			r.fail("it has an else without an if")
			return
		}
		f.op = opElse
		f.label.merge(w.now)
		w.now, f.other = f.other, state{run: dead}
	case opEnd:
		f := w.frames[len(w.frames)-1]
		w.frames = w.frames[:len(w.frames)-1]
		w.now.merge(f.label)
		w.now.merge(f.other)
	case opBr:
		if depth := r.u32(); !w.dispatched(last, depth) {
			w.branch(at, depth)
		}
		w.stop()
	case opBrIf:
		w.branch(at, r.u32())
	case opBrTable:
		w.table(at, last)
		w.stop()
	case opReturn, opUnreachable:
		w.stop()
	case opCall, opCallIndirect:
		w.call(op)
	default:
		w.plain(op, at, last)
	}
}

// table reads a branch table, and learns what it dispatches if it stands at the
// head of a loop.
func (w *walker) table(at int, last peep) {
	n := w.r.count()
	w.labels = w.labels[:0]
	for i := 0; i <= n && w.r.good(); i++ {
		w.labels = append(w.labels, w.r.u32())
	}
	if w.branch(at, w.labels...); !w.r.good() || last.kind != peepHeadGet {
		return
	}
	head := &w.frames[w.loop]
	head.variable, head.table = last.variable, make([]place, len(w.labels))
	for k, depth := range w.labels {
		index := len(w.frames) - 1 - int(depth)
		head.table[k] = place{index, w.frames[index].serial}
	}
}

// open enters a block.
func (w *walker) open(op byte, last peep) {
	r := &w.r
	t := r.p
	switch c := r.byte(); {
	case c == typeEmpty:
	case c >= 0x40 && c < 0x80:
		r.p = t
		r.valueType()
	default: // the index of a type, as a signed number
		r.p = t
		if v := r.signed(33); v < 0 || v >= int64(len(w.m.params)) {
			r.fail("it has a block of an unknown type")
		}
	}
	w.push(op)
	switch empty := r.b[t] == typeEmpty; {
	case op == opIf:
		w.frames[len(w.frames)-1].other = w.now
	case op == opLoop && empty:
		w.loop, w.peep.kind = len(w.frames)-1, peepHead
	case op == opBlock && empty && last.kind == peepHead:
		w.peep = last
	}
}

func (w *walker) call(op byte) {
	r := &w.r
	if w.now.run != dead && w.now.fresh {
		w.entry = true
	}
	if op == opCall {
		w.function()
		return
	}
	w.m.typeIndex(r)
	w.m.index(r, "table", w.m.tables)
}

// function reads the index of a function, which shifts behind the import.
func (w *walker) function() {
	at := w.r.p
	n := w.r.u32()
	if int64(n) >= int64(len(w.m.funcs)) {
		w.r.fail("it refers to function %d of %d", n, len(w.m.funcs))
		return
	}
	if int(n) >= w.m.importedFuncs {
		w.edits = append(w.edits, edit{at: at, kind: editFunction, n: n, end: w.r.p})
	}
}

// plain reads the immediates of an instruction that neither branches nor calls.
func (w *walker) plain(op byte, at int, last peep) {
	r, m := &w.r, w.m
	switch {
	case op >= 0x45 && op <= 0xc4, op == 0x01, op == 0x1a, op == 0x1b, op == opRefIsNull:
	case op >= 0x28 && op <= 0x3e:
		w.memarg()
	case op >= opLocalGet && op <= opLocalTee:
		w.variable(op, last)
	case op == opGlobalGet || op == opGlobalSet:
		m.index(r, "global", m.globals)
	case op == opTableGet || op == opTableSet:
		m.index(r, "table", m.tables)
		m.unset = m.unset || op == opTableSet
	case op == opI32Const:
		w.peep = peep{kind: peepConst, constant: r.signed(32)}
	case op == opI64Const:
		r.signed(64)
	case op == opF32Const:
		r.skip(4)
	case op == opF64Const:
		r.skip(8)
	case op == opSelectTyped:
		n := r.count()
		for i := 0; i < n && r.good(); i++ {
			r.valueType()
		}
	case op == opMemorySize || op == opMemoryGrow:
		w.memory()
		if op == opMemoryGrow {
			w.edits = append(w.edits, edit{at: at, kind: editGrow, end: r.p})
			w.ranges = true
		} else {
			w.edits = append(w.edits, edit{at: at, kind: editSize, end: r.p})
		}
	case op == opRefNull:
		r.refType()
	case op == opRefFunc:
		w.function()
	case op == opMisc:
		w.misc(at, last)
	case op == opVector:
		w.vector()
	default:
		r.p = at
		if name := beyond(op); name != "" {
			r.fail("it uses %s, which plugins may not", name)
		} else {
			r.fail("it has an unknown instruction %#x", op)
		}
	}
}

func (w *walker) variable(op byte, last peep) {
	v := w.r.u32()
	if v >= w.locals {
		w.r.fail("it refers to variable %d of %d", v, w.locals)
	}
	switch {
	case op == opLocalGet && last.kind == peepHead:
		w.peep = peep{kind: peepHeadGet, variable: v}
	case op == opLocalSet && last.kind == peepConst:
		w.peep = peep{kind: peepSetConst, constant: last.constant, variable: v}
	}
}

func (w *walker) memarg() {
	if w.r.u32() >= 32 {
		w.r.fail("it uses more than one memory, or memory accesses of an unknown kind, which plugins may not")
	}
	w.r.u32()
	w.needMemory()
}

// memory reads the index of a memory, which is the first one.
func (w *walker) memory() {
	if w.r.byte() != 0 {
		w.r.fail("it uses more than one memory, which plugins may not")
	}
	w.needMemory()
}

func (w *walker) needMemory() {
	if w.m.memories == 0 {
		w.r.fail("it uses memory without having any")
	}
}

// misc reads the saturating conversions and the operations on ranges.
func (w *walker) misc(at int, last peep) {
	r, m := &w.r, w.m
	unit := uint32(0)
	switch sub := r.u32(); sub {
	case 0, 1, 2, 3, 4, 5, 6, 7:
	case miscMemoryInit:
		m.index(r, "data segment", m.dataCount)
		w.memory()
		unit = bytesPerUnit
	case miscDataDrop:
		m.index(r, "data segment", m.dataCount)
		m.unset = true
	case miscMemoryCopy:
		w.memory()
		w.memory()
		unit = bytesPerUnit
	case miscMemoryFill:
		w.memory()
		unit = bytesPerUnit
	case miscTableInit:
		m.index(r, "element segment", m.elems)
		m.index(r, "table", m.tables)
		unit = elementsPerUnit
	case miscElemDrop:
		m.index(r, "element segment", m.elems)
		m.unset = true
	case miscTableCopy:
		m.index(r, "table", m.tables)
		m.index(r, "table", m.tables)
		unit = elementsPerUnit
	case miscTableGrow, miscTableFill:
		m.index(r, "table", m.tables)
		unit = elementsPerUnit
	case miscTableSize:
		m.index(r, "table", m.tables)
	default:
		r.fail("it has an unknown instruction %#x %d", byte(opMisc), sub)
	}
	m.unset = m.unset || unit == elementsPerUnit
	switch {
	case unit == 0:
	case last.kind == peepConst && uint64(uint32(last.constant))>>unit <= shortRange: // the length is known, and small
		w.pass(at, int32(uint32(last.constant)>>(unit-2)))
	default:
		w.edits = append(w.edits, edit{at: at, kind: editRange, n: unit})
		w.ranges = true
		if w.now.run != dead {
			w.now = state{}
		}
	}
}

// vector reads the instructions on 128-bit values.
func (w *walker) vector() {
	r := &w.r
	switch sub := r.u32(); {
	case sub <= 11 || sub == 92 || sub == 93:
		w.memarg()
	case sub == vectorConst || sub == 13:
		r.skip(16)
	case sub >= 21 && sub <= 34:
		r.byte()
	case sub >= 84 && sub <= 91:
		w.memarg()
		r.byte()
	case sub >= 0x100:
		r.fail("it uses relaxed vector instructions, which plugins may not")
	}
}
