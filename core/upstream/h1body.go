package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"time"
)

// bodyKind is how the end of a body is found.
type bodyKind uint8

const (
	bodyLength bodyKind = iota
	bodyChunked
	bodyUntilClose
)

// chunkState is where in a chunked body (RFC 9112 section 7.1) the reader is.
type chunkState uint8

const (
	chunkSize    chunkState = iota // before a size line
	chunkData                      // inside a chunk
	chunkEnd                       // before the line break that ends a chunk
	chunkTrailer                   // after the last chunk
)

// h1Body reads the body of an HTTP/1.1 answer. A read returns everything that
// is buffered, across chunks, and waits only if that is nothing.
type h1Body struct {
	client *Client
	conn   *conn
	kind   bodyKind
	state  chunkState
	left   int64 // of the body, or of the chunk
	size   int64 // content-length, 0 if unknown
	ended  bool  // the end of the body was seen
	keep   bool  // the connection may serve another request
}

var errChunk = errors.New("malformed chunked body")

// Read implements io.Reader.
func (b *h1Body) Read(p []byte) (n int, err error) {
	if b.ended {
		return 0, io.EOF
	}
	switch b.kind {
	case bodyChunked:
		n, err = b.readChunks(p)
	case bodyUntilClose:
		n, err = b.conn.br.Read(p)
		b.ended = err == io.EOF
	default:
		n, err = b.readLength(p)
	}
	if err != nil && err != io.EOF {
		b.keep = false // who knows where in the body the connection is now
	}
	return n, err
}

func (b *h1Body) readLength(p []byte) (int, error) {
	n, err := b.conn.br.Read(p[:min(int64(len(p)), b.left)])
	if b.left -= int64(n); b.left == 0 {
		b.ended = true
		return n, io.EOF
	}
	return n, unexpected(err)
}

func (b *h1Body) readChunks(p []byte) (n int, err error) {
	br := b.conn.br
	for {
		if b.state == chunkData {
			if n == len(p) || n > 0 && br.Buffered() == 0 {
				return n, nil
			}
			k, err := br.Read(p[n:min(int64(len(p)), int64(n)+b.left)])
			n += k
			if b.left -= int64(k); b.left == 0 {
				b.state = chunkEnd
			}
			if err != nil {
				return n, unexpected(err)
			}
			continue
		}
		if n > 0 && !lineBuffered(br) {
			return n, nil
		}
		if err := b.readLine(); err != nil {
			return n, unexpected(err)
		}
		if b.ended {
			return n, io.EOF
		}
	}
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// lineBuffered reports whether reading a line would not wait.
func lineBuffered(br *bufio.Reader) bool {
	seen, _ := br.Peek(br.Buffered())
	return bytes.IndexByte(seen, '\n') >= 0
}

// readLine reads one of the lines between chunks and moves on.
func (b *h1Body) readLine() error {
	line, err := b.conn.br.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		return errChunk
	}
	if err != nil {
		return err
	}
	line = bytes.TrimRight(line, "\r\n")
	switch b.state {
	case chunkEnd:
		if len(line) != 0 {
			return errChunk
		}
		b.state = chunkSize
	case chunkSize:
		if b.left, err = parseChunkSize(line); err != nil {
			return err
		}
		b.state = chunkData
		if b.left == 0 {
			b.state = chunkTrailer
		}
	case chunkTrailer:
		b.ended = len(line) == 0
	}
	return nil
}

// parseChunkSize reads the hexadecimal size; extensions are ignored.
func parseChunkSize(line []byte) (int64, error) {
	var size int64
	for i, c := range line {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		case i > 0 && (c == ';' || c == ' ' || c == '\t'):
			return size, nil
		default:
			return 0, errChunk
		}
		if size = size<<4 | int64(c); size > 1<<40 {
			return 0, errChunk
		}
	}
	if len(line) == 0 {
		return 0, errChunk
	}
	return size, nil
}

// Limits of what is read of a body that nobody wants, to keep its connection.
const (
	drainBytes = 64 << 10
	drainTime  = 250 * time.Millisecond
)

// skipBuffered moves towards the end of the body as far as that needs no wait.
func (b *h1Body) skipBuffered() {
	br := b.conn.br
	var sink [4 << 10]byte
	for !b.ended && b.kind != bodyUntilClose && br.Buffered() > 0 {
		if b.kind == bodyChunked && b.state != chunkData && !lineBuffered(br) {
			return
		}
		if _, err := b.Read(sink[:]); err != nil {
			return
		}
	}
}

// close gives the connection back, or closes it. It does not wait.
func (b *h1Body) close(w *watch) {
	c := b.conn
	if !b.ended && b.keep {
		b.skipBuffered()
	}
	whole := w.stop()
	c.watch = nil
	switch {
	case !whole || !b.keep:
		b.client.pool.close(c)
	case b.ended:
		b.reuse()
	case b.kind == bodyChunked || b.left <= drainBytes:
		b.client.drains.Go(b.drain)
	default:
		b.client.pool.close(c)
	}
}

// reuse puts the connection into the pool unless the server sent too much.
func (b *h1Body) reuse() {
	c := b.conn
	if c.br.Buffered() > 0 {
		b.client.pool.close(c)
		return
	}
	c.releaseReader()
	b.client.pool.put(c)
}

// drain reads a body's short rest. Closing the client ends it.
func (b *h1Body) drain() {
	c := b.conn
	_ = c.raw.SetReadDeadline(time.Now().Add(drainTime)) // an error shows in the reads
	n, _ := io.CopyN(io.Discard, b, drainBytes)
	if b.ended && b.keep && n < drainBytes && c.raw.SetReadDeadline(time.Time{}) == nil {
		b.reuse()
		return
	}
	b.client.pool.close(c)
}

// length returns the announced size of the body, 0 if there is none.
func (b *h1Body) length() int64 { return b.size }
