package accept

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// pipeLimit is how many rendered bytes may wait for a slow client before the
// stage that writes them is held, and with it the reading from upstream.
const pipeLimit = 64 << 10

// errClientGone is what a writer sees after its reader left.
var errClientGone = errors.New("client closed the connection")

// pipe carries rendered events from the goroutine that runs the flow to the
// one that owns the client connection. Writers hand over whole events, so an
// empty pipe stands at an event boundary: the only place where a heartbeat may
// be put. Events that arrive faster than the client takes them travel together
// in one write.
type pipe struct {
	mu     sync.Mutex
	buf    []byte
	off    int
	closed bool // the writer is done
	broken bool // the reader is gone
	failed bool // the body ends before its end

	more chan struct{} // something to read, or the end
	room chan struct{} // space for the writer, or the end

	beat      []byte       // one heartbeat, as bytes of the client's dialect
	beatEvery atomic.Int64 // silence before it, in ns; 0: none
	timer     *time.Timer
	onClose   func() // called when the reader leaves before the end
	onEnd     func() // called when the reader is done, however it ended
}

func newPipe(onClose func()) *pipe {
	return &pipe{
		more:    make(chan struct{}, 1),
		room:    make(chan struct{}, 1),
		onClose: onClose,
	}
}

// Write appends whole events. It waits while the client is behind and fails
// when the client is gone.
func (p *pipe) Write(events []byte) (int, error) {
	for {
		p.mu.Lock()
		switch {
		case p.broken:
			p.mu.Unlock()
			return 0, errClientGone
		case len(p.buf)-p.off < pipeLimit:
			p.buf = append(p.buf, events...)
			p.mu.Unlock()
			notify(p.more)
			return len(events), nil
		}
		p.mu.Unlock()
		<-p.room
	}
}

// breakOff makes the end of what was written look like what it is: the connection
// breaks.
func (p *pipe) breakOff() {
	p.mu.Lock()
	p.failed = true
	p.mu.Unlock()
}

// finish tells the reader that nothing follows.
func (p *pipe) finish() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	notify(p.more)
}

// Read gives the client connection what is there, a heartbeat when nothing came
// for long, or io.EOF after the last event.
func (p *pipe) Read(dst []byte) (int, error) {
	for {
		n, done := p.take(dst)
		if n > 0 {
			notify(p.room)
			return n, nil
		}
		if done {
			return 0, p.last()
		}
		every := time.Duration(p.beatEvery.Load())
		if every <= 0 || len(p.beat) == 0 {
			<-p.more
			continue
		}
		if p.timer == nil {
			p.timer = time.NewTimer(every)
		} else {
			p.timer.Reset(every)
		}
		select {
		case <-p.more:
			p.timer.Stop()
		case <-p.timer.C:
			return copy(dst, p.beat), nil
		}
	}
}

// last is what the reader sees behind the last byte.
func (p *pipe) last() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed {
		return io.ErrUnexpectedEOF
	}
	return io.EOF
}

// take moves waiting bytes to dst and reports whether the end is reached.
func (p *pipe) take(dst []byte) (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := copy(dst, p.buf[p.off:])
	p.off += n
	if p.off == len(p.buf) {
		p.buf, p.off = p.buf[:0], 0
	}
	return n, n == 0 && (p.closed || p.broken)
}

// Close is called by the connection when the body was written, and when it
// could not be: the client is gone then.
func (p *pipe) Close() error {
	p.mu.Lock()
	left := !p.closed || p.off < len(p.buf)
	p.broken = true
	p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.onEnd != nil {
		p.onEnd()
	}
	notify(p.room)
	if left && p.onClose != nil {
		p.onClose()
	}
	return nil
}

// notify wakes the other side if it waits, and otherwise leaves a mark.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
