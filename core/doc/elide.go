package doc

import (
	"bytes"
	"math"
	"math/rand/v2"
	"sync"
)

// Options bounds what Elide accepts. Zero fields take the defaults.
type Options struct {
	Threshold int // strings with more raw bytes than this are elided; DefaultThreshold
	MaxSize   int // largest body in bytes; DefaultMaxSize
	MaxDepth  int // deepest nesting of arrays and objects; DefaultMaxDepth
}

// Defaults of Options.
const (
	// DefaultThreshold keeps the descriptions of tool parameters out of the
	// skeleton too. Eliding them costs the same time as leaving them
	// (BenchmarkElide), and every byte that stays is work for a guest.
	DefaultThreshold = 128
	DefaultMaxSize   = 64 << 20
	DefaultMaxDepth  = 128
)

func (o Options) withDefaults() Options {
	if o.Threshold <= 0 {
		o.Threshold = DefaultThreshold
	}
	if o.MaxSize <= 0 {
		o.MaxSize = DefaultMaxSize
	}
	o.MaxSize = min(o.MaxSize, math.MaxInt32)
	if o.MaxDepth <= 0 {
		o.MaxDepth = DefaultMaxDepth
	}
	return o
}

// Doc is an elided document. It never changes, so any number of goroutines may
// read it.
type Doc struct {
	body   []byte
	skel   []byte
	spans  []span
	long   int    // bytes in all spans
	prefix []byte // of every token: ~b<nonce>.
	nonce  string
}

const nonceLen = 12

var docPool = sync.Pool{New: func() any { return new(Doc) }}

// maxKeptSkeleton bounds the buffer that a pooled Doc keeps.
const maxKeptSkeleton = 1 << 20

// Elide validates body and elides its long strings. It refuses what a strict
// parser refuses, and also invalid UTF-8, lone surrogates, duplicate keys and
// too deep nesting, with a *SyntaxError; and a body over the limit with
// ErrTooLarge.
//
// The Doc refers to body, which must not change until Release.
func Elide(body []byte, opt Options) (*Doc, error) {
	return elideWith(body, opt, newNonce())
}

func elideWith(body []byte, opt Options, nonce string) (*Doc, error) {
	opt = opt.withDefaults()
	if len(body) > opt.MaxSize {
		return nil, tooLarge("the body", opt.MaxSize)
	}
	d := docPool.Get().(*Doc)
	d.nonce = nonce
	d.prefix = append(append(append(d.prefix[:0], "~b"...), nonce...), '.')

	s := scannerPool.Get().(*scanner)
	s.src, s.maxDepth, s.threshold = body, opt.MaxDepth, opt.Threshold
	s.prefix, s.out, s.spans = d.prefix, d.skel[:0], d.spans[:0]
	s.collides = bytes.Contains(body, d.prefix[:2+nonceLen])
	s.document()
	d.body, d.skel, d.spans = body, s.out, s.spans
	err := s.err
	s.release()
	if err != nil {
		d.Release()
		return nil, err
	}
	d.long = 0
	for _, sp := range d.spans {
		d.long += int(sp.end - sp.start)
	}
	return d, nil
}

// newNonce draws from the runtime's ChaCha8 generator, which the operating
// system's randomness seeds.
func newNonce() string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	var b [nonceLen]byte
	r := rand.Uint64() // 36^12 < 2^63: one draw is enough
	for i := range b {
		b[i] = alphabet[r%36]
		r /= 36
	}
	return string(b[:])
}

// Valid checks body as Elide does, without making a Doc.
func Valid(body []byte, opt Options) error {
	opt = opt.withDefaults()
	if len(body) > opt.MaxSize {
		return tooLarge("the body", opt.MaxSize)
	}
	s := scannerPool.Get().(*scanner)
	defer s.release()
	s.src, s.maxDepth = body, opt.MaxDepth
	if !s.document() {
		return s.err
	}
	return nil
}

// validObject reports whether text is one JSON object by the grammar alone.
func validObject(text []byte) bool {
	s := scannerPool.Get().(*scanner)
	defer s.release()
	s.src, s.maxDepth, s.anyKeys = text, DefaultMaxDepth, true
	i := s.space(0)
	return i < len(text) && text[i] == '{' && s.document()
}

// Skeleton returns the document with tokens in place of long strings. Do not
// modify it.
func (d *Doc) Skeleton() []byte { return d.skel }

// Original returns the body given to Elide.
func (d *Doc) Original() []byte { return d.body }

// Nonce returns the nonce of the document's tokens: 12 characters of [a-z0-9].
func (d *Doc) Nonce() string { return d.nonce }

// Blobs returns the number of elided strings; their ids are 0 … Blobs()-1.
func (d *Doc) Blobs() int { return len(d.spans) }

// Blob returns the raw escaped content of an elided string, without quotes.
// Do not modify it.
func (d *Doc) Blob(id int) ([]byte, bool) {
	if id < 0 || id >= len(d.spans) {
		return nil, false
	}
	sp := d.spans[id]
	return d.body[sp.start:sp.end:sp.end], true
}

// Release gives the document's buffers back. Nothing of it, skeleton and
// tokens included, may be used after.
func (d *Doc) Release() {
	if cap(d.skel) > maxKeptSkeleton {
		d.skel, d.spans = nil, nil
	}
	d.body, d.nonce, d.long = nil, "", 0
	docPool.Put(d)
}
