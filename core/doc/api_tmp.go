package doc

import "errors"

// Options bounds what Elide accepts. Zero fields take the defaults.
type Options struct {
	Threshold int // strings with more raw bytes than this are elided; DefaultThreshold
	MaxSize   int // largest body in bytes; DefaultMaxSize
	MaxDepth  int // deepest nesting of arrays and objects; DefaultMaxDepth
}

// Defaults of Options.
const (
	DefaultThreshold = 192
	DefaultMaxSize   = 64 << 20
	DefaultMaxDepth  = 128
)

// SyntaxError says where and why a body is not an acceptable JSON document.
type SyntaxError struct {
	Offset int    // in bytes, from 0
	Line   int    // from 1
	Column int    // in characters, from 1
	Msg    string // without the position
}

// Error returns the message with its position.
func (e *SyntaxError) Error() string { panic("api") }

// What Inflate and Elide can return besides a *SyntaxError; test with errors.Is.
var (
	ErrTooLarge = errors.New("document too large")
	ErrToken    = errors.New("invalid body token")
	ErrCut      = errors.New("body token cuts a character in two")
)

// Doc is an elided document.
type Doc struct{}

// Elide validates body and elides its long strings. The Doc refers to body,
// which must not change until Release.
func Elide(body []byte, opt Options) (*Doc, error) { panic("api") }

// Skeleton returns the document with tokens in place of long strings. Do not
// modify it.
func (d *Doc) Skeleton() []byte { panic("api") }

// Original returns the body given to Elide.
func (d *Doc) Original() []byte { panic("api") }

// Nonce returns the nonce of the document's tokens.
func (d *Doc) Nonce() string { panic("api") }

// Blobs returns the number of elided strings; their ids are 0 … Blobs()-1.
func (d *Doc) Blobs() int { panic("api") }

// Blob returns the raw escaped content of an elided string, without quotes.
func (d *Doc) Blob(id int) ([]byte, bool) { panic("api") }

// Inflate appends skeleton to dst with every token of this document resolved.
// max bounds the bytes appended; 0 means DefaultMaxSize.
func (d *Doc) Inflate(dst, skeleton []byte, max int) ([]byte, error) { panic("api") }

// Release gives the document's buffers back. Nothing of it may be used after.
func (d *Doc) Release() { panic("api") }

// Valid checks body like Elide does, without making a Doc.
func Valid(body []byte, opt Options) error { panic("api") }

// Get returns the raw JSON value at path: object keys, or decimal indexes into arrays.
func Get(json []byte, path ...string) (raw []byte, ok bool) { panic("api") }

// String returns the string at path, unescaped.
func String(json []byte, path ...string) (string, bool) { panic("api") }

// Int returns the number at path if it is an integer that fits.
func Int(json []byte, path ...string) (int64, bool) { panic("api") }

// Float returns the number at path.
func Float(json []byte, path ...string) (float64, bool) { panic("api") }

// Bool returns the boolean at path.
func Bool(json []byte, path ...string) (value, ok bool) { panic("api") }

// Set appends json to dst with the value at path replaced by raw; missing
// object members are added. It reports false, and appends json unchanged, if
// the path runs into something that is no object or array.
func Set(dst, json, raw []byte, path ...string) ([]byte, bool) { panic("api") }

// Delete appends json to dst without the member or element at path. It reports
// whether there was one.
func Delete(dst, json []byte, path ...string) ([]byte, bool) { panic("api") }

// Scan calls yield for each member of the object json, with the unescaped key
// and the raw value, until yield returns false. It reports whether json is an
// object and was well-formed as far as it was read. key is valid during the call.
func Scan(json []byte, yield func(key, raw []byte) bool) bool { panic("api") }

// Each calls yield for each element of the array json, like Scan.
func Each(json []byte, yield func(i int, raw []byte) bool) bool { panic("api") }

// Quote appends s as a JSON string with quotes. Invalid UTF-8 becomes U+FFFD.
func Quote(dst []byte, s string) []byte { panic("api") }

// Unquote appends the text of raw, a JSON string with its quotes, to dst. It
// reports false if raw is not one.
func Unquote(dst, raw []byte) ([]byte, bool) { panic("api") }
