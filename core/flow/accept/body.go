package accept

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fasthttp"

	"github.com/omniroute/omniroute/core/fault"
)

const (
	// firstRead is the most memory that a Content-Length header alone can claim.
	firstRead = 1 << 20
	// drainLimit is how much of a refused body is read away, so that a client
	// that is still sending gets to see the answer.
	drainLimit = 128 << 20
	// maxWindow bounds the memory a zstd frame may ask for.
	maxWindow = 8 << 20
)

// readBody reads and decodes the request body into memory of its own. The limit
// holds for the bytes on the wire and for the decoded ones, whatever
// Content-Length says.
func readBody(ctx *fasthttp.RequestCtx, limit int) ([]byte, *fault.Error) {
	raw, err := readRaw(ctx, limit)
	if err != nil {
		return nil, err
	}
	switch enc := strings.ToLower(strings.TrimSpace(string(ctx.Request.Header.ContentEncoding()))); enc {
	case "", "identity":
		return raw, nil
	case "gzip", "x-gzip":
		r, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return nil, badEncoding(enc, err)
		}
		return decode(r, enc, limit)
	case "zstd":
		r, err := zstd.NewReader(bytes.NewReader(raw), zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, badEncoding(enc, err)
		}
		defer r.Close()
		return decode(r, enc, limit)
	default:
		e := fault.New(fault.InvalidBody, "Unsupported content encoding: use gzip, zstd or none")
		e.Status = fasthttp.StatusUnsupportedMediaType
		return nil, e
	}
}

func readRaw(ctx *fasthttp.RequestCtx, limit int) ([]byte, *fault.Error) {
	stream := ctx.RequestBodyStream()
	if stream == nil {
		body := ctx.Request.Body()
		if len(body) > limit {
			return nil, tooLarge(limit)
		}
		return bytes.Clone(body), nil
	}
	declared := ctx.Request.Header.ContentLength()
	if declared > limit {
		_, _ = io.CopyN(io.Discard, stream, drainLimit)
		return nil, tooLarge(limit)
	}
	body, err := readUpTo(stream, max(declared, 0), limit)
	if errors.Is(err, errTooLong) {
		_, _ = io.CopyN(io.Discard, stream, drainLimit)
		return nil, tooLarge(limit)
	}
	if err != nil {
		return nil, fault.Wrap(fault.InvalidBody, err, "The request body ended early or could not be read")
	}
	return body, nil
}

var errTooLong = errors.New("too long")

// readUpTo reads r to its end. size is what the sender announced; it is trusted
// for the first megabyte only.
func readUpTo(r io.Reader, size, limit int) ([]byte, error) {
	buf := make([]byte, 0, min(size, firstRead, limit)+1)
	for {
		if len(buf) == cap(buf) {
			next := min(max(2*cap(buf), 4096), limit+1)
			buf = append(make([]byte, 0, next), buf...)
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if len(buf) > limit {
			return nil, errTooLong
		}
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func decode(r io.Reader, encoding string, limit int) ([]byte, *fault.Error) {
	body, err := readUpTo(r, 0, limit)
	if errors.Is(err, errTooLong) {
		return nil, tooLarge(limit)
	}
	if err != nil {
		return nil, badEncoding(encoding, err)
	}
	return body, nil
}

func badEncoding(encoding string, err error) *fault.Error {
	return fault.Wrap(fault.InvalidBody, err, "The request body is not valid "+encoding)
}

func tooLarge(limit int) *fault.Error {
	return fault.Newf(fault.BodyTooLarge, "Request body too large: the limit is %d bytes", limit)
}
