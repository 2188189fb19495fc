package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"syscall"

	"github.com/valyala/fasthttp"
)

const (
	readerSize    = 8 << 10  // of a connection in use
	bigReaderSize = 64 << 10 // largest response header
	joinBody      = 16 << 10 // bodies up to this go out in one write with the head
	maxInterim    = 16       // 1xx answers before the real one
)

var (
	readers   = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readerSize) }}
	heads     = sync.Pool{New: func() any { return new([]byte) }}
	errHeader = errors.New("response header too large")
)

func connectionLost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// roundTripH1 makes the call over a pooled connection.
func (c *Client) roundTripH1(ctx context.Context, req *Request, u *url.URL, r *Response) error {
	key := keyOf(req, u)
	for fresh := false; ; fresh = true {
		cn, err := c.pool.get(ctx, key, fresh, r.watch)
		if err != nil {
			return err
		}
		cn.watch, cn.heard = r.watch, false
		if !r.watch.onAbort(cn.abort) {
			c.pool.close(cn)
			return context.Canceled
		}
		r.watch.enter(phaseHeaders)
		body, err := cn.exchange(req, u)
		if err == nil {
			body.client = c
			return r.begin(cn, body)
		}
		again := cn.reused && !cn.heard && req.BodyReader == nil && isClosed(err)
		r.watch.onAbort(nil)
		c.pool.close(cn)
		if !again || r.watch.over() {
			return err
		}
	}
}

// begin fills in the response from the header that cn just read.
func (r *Response) begin(cn *conn, body *h1Body) error {
	var coding string
	r.Status = cn.head.StatusCode()
	r.Header, coding = responseHeader(&cn.head)
	r.body = body
	r.watch.enter(phaseBody)
	if err := r.decode(coding); err != nil {
		r.Close()
		return err
	}
	return nil
}

// exchange sends the request and reads the head of the answer.
func (c *conn) exchange(req *Request, u *url.URL) (*h1Body, error) {
	sent := c.send(req, u)
	if sent != nil && !connectionLost(sent) {
		return nil, sent
	}
	// A server may answer and hang up before it read all of the body; what it
	// had to say is worth more than the broken pipe.
	if err := c.readHead(); err != nil {
		if sent != nil {
			return nil, sent
		}
		return nil, err
	}
	b := &h1Body{conn: c, left: int64(c.head.ContentLength())}
	b.keep = sent == nil && !c.head.ConnectionClose()
	status := c.head.StatusCode()
	switch {
	case req.method() == "HEAD" || status == 204 || status == 304:
		b.ended = true
	case b.left == -1:
		b.kind, b.left = bodyChunked, 0
	case b.left < 0:
		b.kind, b.keep = bodyUntilClose, false
	default:
		b.ended = b.left == 0
		b.size = b.left
	}
	return b, nil
}

// send writes the request.
func (c *conn) send(req *Request, u *url.URL) error {
	buf := heads.Get().(*[]byte)
	defer heads.Put(buf)
	head, err := appendHead((*buf)[:0], req, u)
	if err != nil {
		return err
	}
	*buf = head
	switch {
	case req.BodyReader != nil:
		if _, err = c.Conn.Write(head); err != nil {
			return err
		}
		return c.sendChunks(req.BodyReader)
	case len(req.Body) <= joinBody:
		*buf = append(head, req.Body...)
		_, err = c.Conn.Write(*buf)
	default:
		parts := net.Buffers{head, req.Body}
		_, err = parts.WriteTo(c.Conn) // writev on a plain socket: no copy
	}
	return err
}

// sendChunks writes a body of unknown length.
func (c *conn) sendChunks(r io.Reader) error {
	const room = 16 // for the chunk's size in front
	buf := make([]byte, room+(16<<10)+2)
	for {
		n, err := r.Read(buf[room : len(buf)-2])
		if n > 0 {
			var line [room]byte
			size := append(strconv.AppendInt(line[:0], int64(n), 16), "\r\n"...)
			start := room - len(size)
			copy(buf[start:], size)
			copy(buf[room+n:], "\r\n")
			if _, err := c.Conn.Write(buf[start : room+n+2]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			_, err = c.Conn.Write([]byte("0\r\n\r\n"))
			return err
		}
		if err != nil {
			return misconfigured("the request body cannot be read: %v", err)
		}
	}
}

// readHead reads the header of the final answer into c.head.
func (c *conn) readHead() error {
	c.br = readers.Get().(*bufio.Reader)
	c.br.Reset(c)
	for range maxInterim {
		c.head.DisableNormalizing()
		c.head.SetNoDefaultContentType(true)
		err := c.head.Read(c.br)
		var small *fasthttp.ErrSmallBuffer
		if errors.As(err, &small) && c.br.Size() < bigReaderSize {
			// Nothing was consumed: read on with a larger buffer.
			seen, _ := c.br.Peek(c.br.Buffered())
			seen = bytes.Clone(seen)
			c.releaseReader()
			c.br = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(seen), c), bigReaderSize)
			err = c.head.Read(c.br)
		}
		if errors.As(err, &small) {
			return badAnswer(c.key.host, "the response header is larger than 64 KiB", errHeader)
		}
		if err != nil {
			return err
		}
		if status := c.head.StatusCode(); status >= 200 {
			return nil
		} else if status == fasthttp.StatusSwitchingProtocols {
			break
		}
	}
	return badAnswer(c.key.host, "no final answer", nil)
}

// releaseReader gives the buffer back; what is in it is lost.
func (c *conn) releaseReader() {
	if c.br == nil {
		return
	}
	if c.br.Size() == readerSize {
		c.br.Reset(nil)
		readers.Put(c.br)
	}
	c.br = nil
}
