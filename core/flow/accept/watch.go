package accept

import (
	"net"
	"sync"
	"time"
)

// watchEvery is how often the sockets of waiting clients are looked at. It
// bounds the time between a client leaving and its upstream call ending.
const watchEvery = 200 * time.Millisecond

// watcher notices clients that leave while their request still waits for
// upstream. fasthttp reads nothing from a connection while a handler runs, so
// nobody else would see the FIN. One goroutine looks at all watched sockets in
// turn; it starts with the first and ends a moment after the last.
type watcher struct {
	mu      sync.Mutex
	seats   map[*seat]struct{}
	running bool
}

// seat is one watched connection.
type seat struct {
	conn net.Conn
	gone func()
}

func newWatcher() *watcher { return &watcher{seats: make(map[*seat]struct{})} }

// watch calls gone once, from another goroutine, when the peer of conn has
// closed its side. The returned function ends the watch; after it returned,
// conn is no longer touched.
func (w *watcher) watch(conn net.Conn, gone func()) (stop func()) {
	conn = rawConn(conn)
	if conn == nil {
		return func() {}
	}
	s := &seat{conn: conn, gone: gone}
	w.mu.Lock()
	w.seats[s] = struct{}{}
	if !w.running {
		w.running = true
		go w.run()
	}
	w.mu.Unlock()
	return func() {
		w.mu.Lock()
		delete(w.seats, s)
		w.mu.Unlock()
	}
}

// run looks at every seat each tick and ends when a tick finds none.
func (w *watcher) run() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for range tick.C {
		if !w.sweep() {
			return
		}
	}
}

// sweep checks all seats under the lock, so that a stopped seat is never
// looked at again: its connection may already serve the next request.
func (w *watcher) sweep() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.seats) == 0 {
		w.running = false
		return false
	}
	for s := range w.seats {
		if peerClosed(s.conn) {
			delete(w.seats, s)
			s.gone()
		}
	}
	return true
}

// rawConn digs out the connection that owns a socket, or nil if there is none
// (an in-memory listener).
func rawConn(c net.Conn) net.Conn {
	for {
		switch v := c.(type) {
		case *net.TCPConn, *net.UnixConn:
			return v
		case interface{ NetConn() net.Conn }:
			c = v.NetConn()
		default:
			return nil
		}
	}
}
