// Package pb reads and writes the protobuf wire format without generated code: a few
// fields of a large schema are often all a provider's wire needs.
//
//	var w pb.Writer
//	w.Message(1, func(w *pb.Writer) { w.String(1, "hello"); w.Uint(2, 1) })
//
//	for f := range pb.Fields(data) {
//		switch f.Number {
//		case 1:
//			text = f.Bytes
//		}
//	}
//
// Source: the encoding guide of Protocol Buffers.
package pb

import (
	"encoding/binary"
	"iter"
	"math"
)

// Type is a wire type.
type Type uint8

// Wire types. Groups are not supported.
const (
	Varint  Type = 0
	Fixed64 Type = 1
	Bytes   Type = 2
	Fixed32 Type = 5
)

// Field is one field as it stands on the wire.
type Field struct {
	Number int
	Type   Type
	Uint   uint64 // Varint, Fixed64, Fixed32
	Bytes  []byte // Bytes: text, bytes, message or packed values; a view into the input
}

// Int returns a varint as a signed number (int32 and int64, not zigzag).
func (f Field) Int() int64 { return int64(f.Uint) }

// Bool returns a varint as a boolean.
func (f Field) Bool() bool { return f.Uint != 0 }

// Double returns a 64-bit field as a floating point number.
func (f Field) Double() float64 { return math.Float64frombits(f.Uint) }

// Fields walks the fields of a message. It stops at the first byte that is not valid;
// [Valid] tells whether there is one.
func Fields(b []byte) iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for len(b) > 0 {
			f, n := next(b)
			if n == 0 || !yield(f) {
				return
			}
			b = b[n:]
		}
	}
}

// Valid tells whether b is a sequence of well-formed fields.
func Valid(b []byte) bool {
	for len(b) > 0 {
		_, n := next(b)
		if n == 0 {
			return false
		}
		b = b[n:]
	}
	return true
}

// Get returns the last field of a number, as the wire format prescribes for fields
// that are not repeated.
func Get(b []byte, number int) (Field, bool) {
	var last Field
	found := false
	for f := range Fields(b) {
		if f.Number == number {
			last, found = f, true
		}
	}
	return last, found
}

// next reads the first field of b and returns its length, 0 if it is malformed.
func next(b []byte) (Field, int) {
	tag, n := binary.Uvarint(b)
	if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29-1 {
		return Field{}, 0
	}
	f := Field{Number: int(tag >> 3), Type: Type(tag & 7)}
	rest := b[n:]
	switch f.Type {
	case Varint:
		v, m := binary.Uvarint(rest)
		if m <= 0 {
			return f, 0
		}
		f.Uint = v
		return f, n + m
	case Fixed64:
		if len(rest) < 8 {
			return f, 0
		}
		f.Uint = binary.LittleEndian.Uint64(rest)
		return f, n + 8
	case Fixed32:
		if len(rest) < 4 {
			return f, 0
		}
		f.Uint = uint64(binary.LittleEndian.Uint32(rest))
		return f, n + 4
	case Bytes:
		size, m := binary.Uvarint(rest)
		if m <= 0 || size > uint64(len(rest)-m) {
			return f, 0
		}
		f.Bytes = rest[m : m+int(size) : m+int(size)]
		return f, n + m + int(size)
	}
	return f, 0
}

// Writer appends fields to a message. The zero value is ready.
type Writer struct{ buf []byte }

// NewWriter returns a writer that appends to dst.
func NewWriter(dst []byte) *Writer { return &Writer{buf: dst} }

// Data returns what was written.
func (w *Writer) Data() []byte { return w.buf }

func (w *Writer) tag(number int, t Type) {
	w.buf = binary.AppendUvarint(w.buf, uint64(number)<<3|uint64(t))
}

// Uint writes a varint field.
func (w *Writer) Uint(number int, v uint64) {
	w.tag(number, Varint)
	w.buf = binary.AppendUvarint(w.buf, v)
}

// Bool writes a boolean field.
func (w *Writer) Bool(number int, v bool) {
	n := uint64(0)
	if v {
		n = 1
	}
	w.Uint(number, n)
}

// String writes a text field.
func (w *Writer) String(number int, s string) {
	w.tag(number, Bytes)
	w.buf = binary.AppendUvarint(w.buf, uint64(len(s)))
	w.buf = append(w.buf, s...)
}

// Bytes writes a bytes field, or a message that is encoded already.
func (w *Writer) Bytes(number int, b []byte) {
	w.tag(number, Bytes)
	w.buf = binary.AppendUvarint(w.buf, uint64(len(b)))
	w.buf = append(w.buf, b...)
}

// Packed writes a repeated varint field in packed form.
func (w *Writer) Packed(number int, values ...uint64) {
	var p []byte
	for _, v := range values {
		p = binary.AppendUvarint(p, v)
	}
	w.Bytes(number, p)
}

// Message writes a message field whose content write makes.
func (w *Writer) Message(number int, write func(*Writer)) {
	var inner Writer
	write(&inner)
	w.Bytes(number, inner.buf)
}
