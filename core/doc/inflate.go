package doc

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
)

const (
	// maxQuotes bounds how often a token may ask for re-escaping: text that
	// was quoted more often is an attack, since each round doubles backslashes.
	maxQuotes = 8
	// maxTokenDigits keeps numbers in tokens far from overflow.
	maxTokenDigits = 10
	// escapeWork bounds, per inflation, the bytes looked at to prove that
	// ranges do not cut escapes: a run of backslashes can be long, and many
	// ranges can end in it.
	escapeWork = 16 << 20
)

// token is one parsed body token.
type token struct {
	id       int
	off, n   int // range; n < 0 = the whole blob
	quotes   int // rounds of escaping to add
	unquoted bool
	size     int // bytes of the token itself
}

// Inflate appends skeleton to dst with every token of this document replaced
// by what it stands for. max bounds the number of bytes appended; 0 means
// DefaultMaxSize. On an error (ErrTooLarge, ErrToken, ErrCut) dst is returned
// as it was.
func (d *Doc) Inflate(dst, skeleton []byte, max int) ([]byte, error) {
	if max <= 0 {
		max = DefaultMaxSize
	}
	f := inflater{doc: d, dst: slices.Grow(dst, min(len(skeleton)+d.long, max)), limit: len(dst) + max, work: escapeWork}
	if err := f.run(skeleton); err != nil {
		if err == errOverLimit {
			err = tooLarge("the inflated document", max)
		}
		return dst, err
	}
	return f.dst, nil
}

// errOverLimit stands for ErrTooLarge until Inflate knows the number to name.
var errOverLimit = fmt.Errorf("over the limit")

type inflater struct {
	doc   *Doc
	dst   []byte
	limit int // of len(dst)
	work  int // left of escapeWork
}

func (f *inflater) run(skel []byte) error {
	from := 0
	for {
		k := bytes.Index(skel[from:], f.doc.prefix)
		if k < 0 {
			return f.append(skel[from:])
		}
		at := from + k
		t, err := parseToken(skel[at+len(f.doc.prefix):])
		if err != nil {
			return fmt.Errorf("%w at offset %d", err, at)
		}
		end := at + len(f.doc.prefix) + t.size
		blob, ok := f.doc.Blob(t.id)
		if !ok {
			return fmt.Errorf("%w: no blob %d, at offset %d", ErrToken, t.id, at)
		}
		if t.unquoted {
			if !wholeString(skel, from, at, end) {
				return fmt.Errorf("%w: an unquoted blob is not the whole string, at offset %d", ErrToken, at)
			}
			if err := f.append(skel[from : at-1]); err != nil {
				return err
			}
			if err := f.object(blob); err != nil {
				return err
			}
			from = end + 1
			continue
		}
		if err := f.append(skel[from:at]); err != nil {
			return err
		}
		if blob, err = f.cut(blob, t); err != nil {
			return fmt.Errorf("%w, at offset %d", err, at)
		}
		if err := f.escaped(blob, t.quotes); err != nil {
			return err
		}
		from = end
	}
}

// wholeString reports whether skel[at:end] stands between the quotes of one
// string whose opening quote is not before from.
func wholeString(skel []byte, from, at, end int) bool {
	return at-1 >= from && skel[at-1] == '"' &&
		(at-2 < from || skel[at-2] != '\\') &&
		end < len(skel) && skel[end] == '"'
}

// parseToken parses what follows the prefix of a token:
// id [. offset . length] [. (q… | u)] ~
func parseToken(p []byte) (token, error) {
	t := token{n: -1}
	var ok bool
	i := 0
	if t.id, i, ok = tokenNumber(p, i); !ok {
		return t, fmt.Errorf("%w: bad id", ErrToken)
	}
	if i+1 < len(p) && p[i] == '.' && p[i+1]-'0' <= 9 {
		if t.off, i, ok = tokenNumber(p, i+1); !ok || i >= len(p) || p[i] != '.' {
			return t, fmt.Errorf("%w: bad offset", ErrToken)
		}
		if t.n, i, ok = tokenNumber(p, i+1); !ok {
			return t, fmt.Errorf("%w: bad length", ErrToken)
		}
	}
	if i+1 < len(p) && p[i] == '.' {
		i++
		switch p[i] {
		case 'u':
			if t.n >= 0 {
				return t, fmt.Errorf("%w: a range cannot be unquoted", ErrToken)
			}
			t.unquoted = true
			i++
		case 'q':
			for i < len(p) && p[i] == 'q' {
				t.quotes++
				i++
			}
			if t.quotes > maxQuotes {
				return t, fmt.Errorf("%w: quoted too often", ErrToken)
			}
		default:
			return t, fmt.Errorf("%w: unknown form", ErrToken)
		}
	}
	if i >= len(p) || p[i] != '~' {
		return t, fmt.Errorf("%w: no end mark", ErrToken)
	}
	t.size = i + 1
	return t, nil
}

func tokenNumber(p []byte, i int) (n, next int, ok bool) {
	start := i
	for i < len(p) && p[i]-'0' <= 9 {
		if i-start == maxTokenDigits {
			return 0, i, false
		}
		n = n*10 + int(p[i]-'0')
		i++
	}
	return n, i, i > start
}

func (f *inflater) append(p []byte) error {
	if len(f.dst)+len(p) > f.limit {
		return errOverLimit
	}
	f.dst = append(f.dst, p...)
	return nil
}

// cut returns the range of blob that t asks for.
func (f *inflater) cut(blob []byte, t token) ([]byte, error) {
	if t.n < 0 {
		return blob, nil
	}
	end := t.off + t.n
	if end > len(blob) {
		return nil, fmt.Errorf("%w: range %d+%d of a blob of %d bytes", ErrToken, t.off, t.n, len(blob))
	}
	for _, p := range [2]int{t.off, end} {
		whole, err := f.boundary(blob, p)
		if err != nil {
			return nil, err
		}
		if !whole {
			return nil, fmt.Errorf("%w: offset %d of blob %d", ErrCut, p, t.id)
		}
	}
	return blob[t.off:end], nil
}

// boundary reports whether p lies between two characters of blob: not inside
// a UTF-8 sequence, an escape sequence, or an escaped surrogate pair.
func (f *inflater) boundary(blob []byte, p int) (bool, error) {
	if p == 0 || p == len(blob) {
		return true, nil
	}
	if blob[p]&0xc0 == 0x80 {
		return false, nil
	}
	for start := p - 1; start >= 0 && start > p-6; start-- {
		if blob[start] != '\\' {
			continue
		}
		opens, err := f.opensEscape(blob, start)
		if err != nil {
			return false, err
		}
		if !opens {
			return true, nil // the escaped backslash of \\ ends before p
		}
		size := 2
		if blob[start+1] == 'u' {
			size = 6
		}
		return start+size <= p, nil
	}
	if p >= 6 && blob[p] == '\\' {
		if high, ok := hex4(blob, p-6); ok && high >= 0xd800 && high < 0xdc00 {
			opens, err := f.opensEscape(blob, p-6)
			return !opens, err
		}
	}
	return true, nil
}

// opensEscape reports whether the backslash at i begins an escape: it does if
// the run of backslashes that ends with it has odd length.
func (f *inflater) opensEscape(blob []byte, i int) (bool, error) {
	run := 0
	for i >= 0 && blob[i] == '\\' {
		run++
		i--
	}
	if f.work -= run; f.work < 0 {
		return false, fmt.Errorf("%w: too much work to check ranges", ErrToken)
	}
	return run&1 == 1, nil
}

// escaped appends raw string content escaped n times more. In such content a
// quote always follows its backslash.
func (f *inflater) escaped(raw []byte, n int) error {
	if n == 0 {
		return f.append(raw)
	}
	for {
		k := bytes.IndexByte(raw, '\\')
		if k < 0 {
			return f.append(raw)
		}
		if err := f.append(raw[:k]); err != nil {
			return err
		}
		next := raw[k+1] // content is valid: an escape is never cut
		var err error
		switch next {
		case '"': // n rounds turn " into 2^n-1 backslashes and "
			err = f.backslashes(1<<n+1<<n-1, '"')
		case '\\':
			err = f.backslashes(2<<n, 0)
		default:
			err = f.backslashes(1<<n, next)
		}
		if err != nil {
			return err
		}
		raw = raw[k+2:]
	}
}

// backslashes appends n of them and then the byte after, unless that is 0.
func (f *inflater) backslashes(n int, after byte) error {
	if len(f.dst)+n+1 > f.limit {
		return errOverLimit
	}
	for range n {
		f.dst = append(f.dst, '\\')
	}
	if after != 0 {
		f.dst = append(f.dst, after)
	}
	return nil
}

var scratchPool = sync.Pool{New: func() any { return new([]byte) }}

// object appends the text of a blob as a bare JSON object; a text that is not
// one is kept as a string in a member named _raw.
func (f *inflater) object(blob []byte) error {
	scratch := scratchPool.Get().(*[]byte)
	defer scratchPool.Put(scratch)
	*scratch = unescape((*scratch)[:0], blob)
	if validObject(*scratch) {
		return f.append(*scratch)
	}
	for _, part := range [3][]byte{[]byte(`{"_raw":"`), blob, []byte(`"}`)} {
		if err := f.append(part); err != nil {
			return err
		}
	}
	return nil
}
