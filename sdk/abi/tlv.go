package abi

import (
	"errors"
)

// Tag names a field of a record.
type Tag uint16

// Critical reports whether a reader that does not know the tag must refuse
// the record instead of skipping the field.
func (t Tag) Critical() bool { return critical(t) }

// FlagCritical marks a field that must not be skipped.
const FlagCritical = 1 << 0

// HeaderSize is the size of a field header in bytes.
const HeaderSize = 8

// Errors of Reader.
var (
	ErrTruncated = errors.New("abi: record is truncated")
	ErrCritical  = errors.New("abi: record has a critical field this side does not know")
)

// Writer appends fields to a byte slice. The zero value is ready to use; Buf
// may be set to reuse memory.
type Writer struct{ Buf []byte }

// Reset empties the writer and keeps its memory.
func (w *Writer) Reset() { w.Buf = w.Buf[:0] }

func (w *Writer) head(t Tag, n int) {
	var flags uint16
	if critical(t) {
		flags = FlagCritical
	}
	h := uint64(t) | uint64(flags)<<16 | uint64(uint32(n))<<32
	w.Buf = appendU64(w.Buf, h)
}

// Bytes appends a field.
func (w *Writer) Bytes(t Tag, v []byte) {
	w.head(t, len(v))
	w.Buf = append(w.Buf, v...)
}

// String appends a text field.
func (w *Writer) String(t Tag, v string) {
	w.head(t, len(v))
	w.Buf = append(w.Buf, v...)
}

// Text appends a text field unless it is empty.
func (w *Writer) Text(t Tag, v string) {
	if v != "" {
		w.String(t, v)
	}
}

// U8 appends a one-byte field.
func (w *Writer) U8(t Tag, v uint8) {
	w.head(t, 1)
	w.Buf = append(w.Buf, v)
}

// Flag appends a one-byte 1, or nothing when v is false.
func (w *Writer) Flag(t Tag, v bool) {
	if v {
		w.U8(t, 1)
	}
}

// U32 appends a four-byte field.
func (w *Writer) U32(t Tag, v uint32) {
	w.head(t, 4)
	w.Buf = appendU32(w.Buf, v)
}

// I64 appends an eight-byte field.
func (w *Writer) I64(t Tag, v int64) {
	w.head(t, 8)
	w.Buf = appendU64(w.Buf, uint64(v))
}

// Open starts a field whose length is not known yet, most often a nested
// record. Close it with the returned mark.
func (w *Writer) Open(t Tag) (mark int) {
	w.head(t, 0)
	return len(w.Buf)
}

// Close ends a field started by Open.
func (w *Writer) Close(mark int) {
	putU32(w.Buf[mark-4:], uint32(len(w.Buf)-mark))
}

// Field is one field of a record. Value aliases the record.
type Field struct {
	Tag      Tag
	Critical bool
	Value    []byte
}

// Text copies the value into a string.
func (f Field) Text() string { return string(f.Value) }

// Uint reads a little-endian integer of 1, 4 or 8 bytes; any other size is 0.
func (f Field) Uint() uint64 {
	switch len(f.Value) {
	case 1:
		return uint64(f.Value[0])
	case 4:
		return uint64(getU32(f.Value))
	case 8:
		return getU64(f.Value)
	}
	return 0
}

// Int reads a signed integer of 1, 4 or 8 bytes; any other size is 0.
func (f Field) Int() int64 {
	if len(f.Value) == 4 {
		return int64(int32(getU32(f.Value)))
	}
	return int64(f.Uint())
}

// Bool reports whether the value is a non-zero integer.
func (f Field) Bool() bool { return f.Uint() != 0 }

// Record reads the value as a nested record.
func (f Field) Record() Reader { return Reader{rest: f.Value} }

// Reader walks over the fields of a record without allocating. Callers loop
// over Next and look at Err once at the end:
//
//	for r := abi.Read(in); r.Next(); {
//		switch f := r.Field(); f.Tag { … default: r.Unknown() }
//	}
type Reader struct {
	rest  []byte
	field Field
	err   error
}

// Read starts reading a record.
func Read(record []byte) Reader { return Reader{rest: record} }

// Next moves to the next field. It returns false at the end or on an error.
func (r *Reader) Next() bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	if len(r.rest) < HeaderSize {
		r.err = ErrTruncated
		return false
	}
	n := getU32(r.rest[4:])
	if uint64(n) > uint64(len(r.rest)-HeaderSize) {
		r.err = ErrTruncated
		return false
	}
	end := HeaderSize + int(n)
	r.field = Field{
		Tag:      Tag(getU16(r.rest)),
		Critical: getU16(r.rest[2:])&FlagCritical != 0,
		Value:    r.rest[HeaderSize:end:end],
	}
	r.rest = r.rest[end:]
	return true
}

// Field returns the current field.
func (r *Reader) Field() Field { return r.field }

// Unknown tells the reader that the caller does not know the current field;
// a critical one ends the record with ErrCritical.
func (r *Reader) Unknown() {
	if r.field.Critical {
		r.err = ErrCritical
	}
}

// Err returns what ended the reading: nil at the proper end.
func (r *Reader) Err() error { return r.err }

// Find returns the first field with the tag.
func Find(record []byte, t Tag) (Field, bool) {
	r := Read(record)
	for r.Next() {
		if r.field.Tag == t {
			return r.field, true
		}
	}
	return Field{}, false
}
