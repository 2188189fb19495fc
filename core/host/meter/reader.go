package meter

import (
	"fmt"
	"unicode/utf8"
)

// Error says what is wrong with a module.
type Error struct {
	Offset int    // byte of the module at which it was noticed
	Msg    string // a clause about the module, such as "it uses threads"
}

func (e *Error) Error() string { return fmt.Sprintf("%s (byte %d)", e.Msg, e.Offset) }

// reader reads the binary format. The first error stays: after it every read
// answers zero, and loops over counts end by asking good.
type reader struct {
	b   []byte // the whole module, so that offsets are the module's
	p   int
	end int
	err *Error
}

func (r *reader) good() bool { return r.err == nil }

func (r *reader) more() bool { return r.err == nil && r.p < r.end }

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Offset: r.p, Msg: fmt.Sprintf(format, args...)}
	}
}

func (r *reader) short() { r.fail("it ends in the middle of something") }

func (r *reader) byte() byte {
	if r.p >= r.end || r.err != nil {
		r.short()
		return 0
	}
	c := r.b[r.p]
	r.p++
	return c
}

// u32 reads an unsigned LEB128 number of at most 32 bits.
func (r *reader) u32() uint32 {
	if r.p < r.end && r.b[r.p] < 0x80 && r.err == nil {
		r.p++
		return uint32(r.b[r.p-1])
	}
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		if shift == 28 && c > 0x0f {
			break
		}
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.fail("it has a number that is too large")
	return 0
}

// signed reads a signed LEB128 number of so many bits.
func (r *reader) signed(bits int) int64 {
	var v int64
	for shift := 0; shift < bits; shift += 7 {
		c := r.byte()
		v |= int64(c&0x7f) << shift
		if c >= 0x80 {
			continue
		}
		if left := bits - shift; left < 7 { // unused bits repeat the sign
			top := int8(c<<1) >> left
			if top != 0 && top != -1 {
				break
			}
		}
		if shift+7 < 64 && c&0x40 != 0 {
			v |= -1 << (shift + 7)
		}
		return v
	}
	r.fail("it has a number that is too large")
	return 0
}

func (r *reader) skip(n int) {
	if n < 0 || n > r.end-r.p || r.err != nil {
		r.short()
		return
	}
	r.p += n
}

// bytes reads a counted run of bytes.
func (r *reader) bytes() []byte {
	n := int(r.u32())
	at := r.p
	r.skip(n)
	if r.err != nil {
		return nil
	}
	return r.b[at:r.p]
}

func (r *reader) name() string {
	b := r.bytes()
	if !utf8.Valid(b) {
		r.fail("it has a name that is not UTF-8")
	}
	return string(b)
}

// count reads how many items follow, each of which takes at least one byte.
func (r *reader) count() int {
	n := r.u32()
	if int64(n) > int64(r.end-r.p) {
		r.short()
		return 0
	}
	return int(n)
}

// appendU32 appends an unsigned LEB128 number.
func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// appendSigned appends a signed LEB128 number.
func appendSigned(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendName(b []byte, s string) []byte { return append(appendU32(b, uint32(len(s))), s...) }
