package fake

import (
	"bufio"
	"net"
	"net/http"
	"time"
)

// Faults below HTTP: the player takes the connection over and writes its bytes
// itself.
const (
	FaultNoAnswer    FaultKind = "no-answer"    // the connection is closed without an answer
	FaultNoHTTP      FaultKind = "no-http"      // bytes that are no HTTP
	FaultBadChunk    FaultKind = "bad-chunk"    // a chunk whose size is none
	FaultShortLength FaultKind = "short-length" // a Content-Length smaller than the body
	FaultHalfClose   FaultKind = "half-close"   // the sending side is closed within the body, the connection stays
	FaultSlowHeaders FaultKind = "slow-headers" // a byte of the header at a time, without end
	FaultSlowBody    FaultKind = "slow-body"    // a byte of the body at a time, without end
	FaultGzipCut     FaultKind = "gzip-cut"     // a compressed body that ends early
)

// drip is the pace of the slow faults.
const drip = 50 * time.Millisecond

// takeover plays a fault below HTTP; false for any other.
func (p *player) takeover() bool {
	var head, rest, loop string
	contentType := "application/json"
	if p.r.Stream {
		contentType = "text/event-stream"
	}
	ok := "HTTP/1.1 200 OK\r\nContent-Type: " + contentType + "\r\n"
	switch p.reply.Fault.Kind {
	case FaultNoAnswer:
	case FaultNoHTTP:
		head = "\x16\x03\x01 this is not HTTP\r\n\r\n"
	case FaultBadChunk:
		head = ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"
	case FaultShortLength:
		head = ok + "Content-Length: 10\r\n\r\n" + string(p.d.body(p.r, p.reply))
	case FaultHalfClose:
		head = ok + "Content-Length: 1000\r\n\r\n{\"half\":"
	case FaultSlowHeaders:
		head, loop = ok+"X-Filler: ", "x"
	case FaultSlowBody:
		head, rest, loop = ok+"Transfer-Encoding: chunked\r\n\r\n", "1\r\n{\r\n", "1\r\n \r\n"
		if p.r.Stream {
			rest = "1\r\n:\r\n"
		}
	case FaultGzipCut:
		head = ok + "Content-Encoding: gzip\r\nContent-Length: 12\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xaa\x56"
	default:
		return false
	}
	conn, buf, err := p.w.(http.Hijacker).Hijack()
	if err != nil {
		return true
	}
	defer conn.Close()
	gone := left(conn, buf.Reader)
	if _, err := conn.Write([]byte(head + rest)); err != nil {
		return true
	}
	switch {
	case p.reply.Fault.Kind == FaultHalfClose:
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		select {
		case <-gone:
		case <-p.s.closed:
		}
	case loop != "":
		p.dribble(conn, loop, gone)
	}
	return true
}

// dribble repeats a few bytes until the client leaves.
func (p *player) dribble(conn net.Conn, text string, gone <-chan struct{}) {
	tick := time.NewTicker(drip)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if _, err := conn.Write([]byte(text)); err != nil {
				return
			}
		case <-gone:
			return
		case <-p.s.closed:
			return
		}
	}
}

// left is closed when the peer of a connection has closed it. The goroutine ends
// with the connection.
func left(conn net.Conn, r *bufio.Reader) <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = conn.SetReadDeadline(time.Time{})
		for {
			if _, err := r.ReadByte(); err != nil {
				return
			}
		}
	}()
	return gone
}
