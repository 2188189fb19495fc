package upstream

import (
	"bufio"
	"io"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is the largest zstd window a content coding may need (RFC 9659).
const maxWindow = 8 << 20

var (
	gzips   = sync.Pool{New: func() any { return new(gzip.Reader) }}
	brotlis = sync.Pool{New: func() any { return brotli.NewReader(nil) }}
	zstds   = sync.Pool{New: func() any {
		// One goroutine-free decoder; the options are constant and valid.
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			panic(err)
		}
		return d
	}}
)

// decoder undoes one content coding. It touches its source only when it is
// read, so headers never wait for a body.
type decoder struct {
	src    io.Reader
	coding string
	r      io.Reader
	free   func()
}

// decode sets r.reader to undo the content codings of a body.
func (r *Response) decode(codings string) error {
	r.reader = r.body
	if codings == "" {
		return nil
	}
	list := strings.Split(codings, ",")
	if len(list) > 3 {
		return badAnswer(r.host, "too many content codings", nil)
	}
	for i := len(list) - 1; i >= 0; i-- {
		coding := strings.ToLower(strings.TrimSpace(list[i]))
		switch coding {
		case "", "identity":
			continue
		case "gzip", "x-gzip", "br", "zstd", "deflate":
			d := &decoder{src: r.reader, coding: coding}
			r.decoders = append(r.decoders, d)
			r.reader = d
		default:
			return badAnswer(r.host, "unknown content coding", nil)
		}
	}
	return nil
}

// Read implements io.Reader.
func (d *decoder) Read(p []byte) (int, error) {
	if d.r == nil {
		if err := d.open(); err != nil {
			return 0, err
		}
	}
	return d.r.Read(p)
}

func (d *decoder) open() error {
	switch d.coding {
	case "br":
		b := brotlis.Get().(*brotli.Reader)
		if err := b.Reset(d.src); err != nil {
			return err
		}
		d.r, d.free = b, func() { brotlis.Put(b) }
	case "zstd":
		z := zstds.Get().(*zstd.Decoder)
		if err := z.Reset(d.src); err != nil {
			return err
		}
		d.r, d.free = z, func() {
			if z.Reset(nil) == nil {
				zstds.Put(z)
			}
		}
	case "deflate":
		return d.openDeflate()
	default:
		g := gzips.Get().(*gzip.Reader)
		if err := g.Reset(d.src); err != nil {
			return err
		}
		d.r, d.free = g, func() { gzips.Put(g) }
	}
	return nil
}

// openDeflate reads what "deflate" should be, zlib (RFC 9110 section 8.4.1.2),
// and what some servers send under that name, raw deflate.
func (d *decoder) openDeflate() error {
	br := bufio.NewReader(d.src)
	head, err := br.Peek(2)
	if err != nil {
		return err
	}
	if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		z, err := zlib.NewReader(br)
		d.r = z
		return err
	}
	d.r = flate.NewReader(br)
	return nil
}

func (d *decoder) release() {
	if d.free != nil {
		d.free()
		d.free = nil
	}
	d.r = eof{}
}

// eof is a reader at its end.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
