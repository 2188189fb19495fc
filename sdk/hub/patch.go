package hub

import "github.com/omniroute/omniroute/sdk/jsn"

// AppendPatched copies an object byte for byte, except that the value of its model
// member becomes model (unless "") and a member x_omni is left out (P-1, P-3).
func AppendPatched(dst, body []byte, model string) []byte {
	var e Edits
	e.Root(body, model)
	return e.Append(dst, body)
}

// Edits is a list of changes to a document that leave every other byte as it is. They
// must be given in the order of their places, and not overlap. The zero value is an
// empty list.
type Edits struct{ list []edit }

type edit struct {
	from, to int
	with     []byte
}

// Empty tells whether nothing is to be changed.
func (e *Edits) Empty() bool { return len(e.list) == 0 }

// Replace puts with in place of the bytes from up to to.
func (e *Edits) Replace(from, to int, with []byte) {
	e.list = append(e.list, edit{from, to, with})
}

// Append appends body with the edits applied.
func (e *Edits) Append(dst, body []byte) []byte {
	at := 0
	for _, c := range e.list {
		dst = append(append(dst, body[at:c.from]...), c.with...)
		at = c.to
	}
	return append(dst, body[at:]...)
}

// Root walks the members of an object: x_omni is cut, the value of model replaced
// (unless model is ""). Each of the inner functions is asked about every member and may
// add edits inside its value, which stands at base.
func (e *Edits) Root(body []byte, model string, inner ...func(key string, value []byte, base int)) {
	w := e.Walk(0)
	for it := jsn.Object(body); it.Next(); {
		key, v := string(it.Key()), it.Value()
		w.Next(it.KeyOffset(), it.ValueOffset()+len(v))
		switch key {
		case "x_omni":
			w.Cut()
			continue
		case "model":
			if model != "" {
				at := it.ValueOffset()
				w.Keep()
				e.Replace(at, at+len(v), jsn.AppendString(nil, model))
				continue
			}
		}
		w.Keep()
		for _, f := range inner {
			f(key, v, it.ValueOffset())
		}
	}
	w.End()
}

// Walk follows the members of an object or the elements of an array that stands at
// base, so that some can be cut together with the comma that goes with them. After each
// Next either Keep or Cut is called; End closes the walk. Edits inside a kept member are
// added between its Keep and the following Next.
func (e *Edits) Walk(base int) Walk { return Walk{e: e, base: base, open: -1} }

// Walk is a walk over a container. See [Edits.Walk].
type Walk struct {
	e        *Edits
	base     int
	from, to int // the current entry
	prev     int // end of the entry before
	kept     bool
	open     int // start of cut entries that none kept stands before; -1 = none
}

// Next moves to the entry between two offsets of the container.
func (w *Walk) Next(from, to int) {
	w.prev = w.to
	w.from, w.to = w.base+from, w.base+to
}

// Keep leaves the entry in place.
func (w *Walk) Keep() {
	if w.open >= 0 {
		w.e.Replace(w.open, w.from, nil)
		w.open = -1
	}
	w.kept = true
}

// Cut takes the entry out.
func (w *Walk) Cut() {
	switch {
	case w.kept:
		w.e.Replace(w.prev, w.to, nil)
	case w.open < 0:
		w.open = w.from
	}
}

// End closes the walk.
func (w *Walk) End() {
	if w.open >= 0 {
		w.e.Replace(w.open, w.to, nil)
	}
}
