package doc

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// What Elide, Valid and Inflate return besides a *SyntaxError. They come
// wrapped with details; test with errors.Is.
var (
	// ErrTooLarge: the body, or what a skeleton inflates to, is over its limit.
	ErrTooLarge = errors.New("document too large")
	// ErrToken: a skeleton holds a token that is malformed, names no blob, or
	// stands where its form may not stand.
	ErrToken = errors.New("invalid body token")
	// ErrCut: a range token cuts an escape sequence or a character in two.
	ErrCut = errors.New("body token cuts a character")
)

// SyntaxError says where and why a body is not an acceptable JSON document.
type SyntaxError struct {
	Offset int    // in bytes, from 0
	Line   int    // from 1
	Column int    // in characters, from 1
	Msg    string // without the position
}

// Error returns the message with its position.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s at line %d column %d (offset %d)", e.Msg, e.Line, e.Column, e.Offset)
}

// syntaxError fills in line and column from the offset.
func syntaxError(src []byte, offset int, msg string) *SyntaxError {
	offset = min(offset, len(src))
	before := src[:offset]
	start := bytes.LastIndexByte(before, '\n') + 1
	return &SyntaxError{
		Offset: offset,
		Line:   bytes.Count(before, []byte{'\n'}) + 1,
		Column: utf8.RuneCount(before[start:]) + 1,
		Msg:    msg,
	}
}

// found describes the byte at i for an error message.
func found(src []byte, i int) string {
	if i >= len(src) {
		return "unexpected end of the document"
	}
	if r, size := utf8.DecodeRune(src[i:]); size > 1 || r < utf8.RuneSelf && r >= 0x20 {
		return "unexpected " + strconv.QuoteRune(r)
	}
	return fmt.Sprintf("unexpected byte 0x%02x", src[i])
}

func tooLarge(what string, limit int) error {
	return fmt.Errorf("%w: %s is over %d bytes", ErrTooLarge, what, limit)
}
