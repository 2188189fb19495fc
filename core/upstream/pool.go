package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

// poolKey tells which calls may share a connection.
type poolKey struct {
	hostPort     string
	host         string
	tls          bool
	proxy        string
	allowPrivate bool
}

// conn is one HTTP/1.1 connection. While a call has it, the call's watch hears
// of every byte that comes.
type conn struct {
	net.Conn          // TLS or raw
	raw      net.Conn // what is closed to abort
	key      poolKey
	since    time.Time // when it became idle
	reused   bool
	watch    *watch
	heard    bool // bytes came during this call
	br       *bufio.Reader
	head     fasthttp.ResponseHeader
	socket   syscall.RawConn // for peek, nil if the connection has none
	readable bool            // result of peek
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.watch != nil {
		c.heard = true
		c.watch.touch()
	}
	return n, err
}

// abort closes the socket below any TLS, which could otherwise wait to say goodbye.
func (c *conn) abort() { c.raw.Close() }

var errPoolClosed = errors.New("client closed")

// pool keeps idle connections and bounds all of them per host.
type pool struct {
	opt   Options
	dial  *dialer
	mu    sync.Mutex
	hosts map[poolKey]*hostConns
	all   map[*conn]struct{}
	sweep *time.Timer
	shut  bool
}

// hostConns are the connections of one host.
type hostConns struct {
	idle    []*conn      // oldest first
	open    int          // idle, in use, and being dialled
	waiting []chan *conn // calls waiting for a connection; nil = a free place
}

func newPool(opt Options, d *dialer) *pool {
	return &pool{opt: opt, dial: d, hosts: map[poolKey]*hostConns{}, all: map[*conn]struct{}{}}
}

// get returns a connection for key, an idle one if one is alive. fresh asks
// for a new one. The wait ends with the watch.
func (p *pool) get(ctx context.Context, key poolKey, fresh bool, w *watch) (*conn, error) {
	for {
		p.mu.Lock()
		if p.shut {
			p.mu.Unlock()
			return nil, errPoolClosed
		}
		h := p.hosts[key]
		if h == nil {
			h = &hostConns{}
			p.hosts[key] = h
		}
		if n := len(h.idle); n > 0 && !fresh {
			c := h.idle[n-1]
			h.idle[n-1] = nil
			h.idle = h.idle[:n-1]
			p.mu.Unlock()
			if c.alive() {
				c.reused = true
				return c, nil
			}
			p.close(c)
			continue
		}
		if h.open >= p.opt.MaxConnsPerHost && len(h.idle) > 0 { // fresh, and idle ones fill the host
			c := h.idle[0]
			h.idle = slices.Delete(h.idle, 0, 1)
			p.mu.Unlock()
			p.close(c)
			continue
		}
		if h.open < p.opt.MaxConnsPerHost {
			h.open++
			p.mu.Unlock()
			return p.connect(ctx, key, w)
		}
		turn := make(chan *conn, 1)
		h.waiting = append(h.waiting, turn)
		p.mu.Unlock()
		c, err := p.wait(ctx, key, turn, w)
		if err != nil {
			return nil, err
		}
		if c == nil { // a place, not a connection
			return p.connect(ctx, key, w)
		}
		if c.alive() {
			c.reused = true
			return c, nil
		}
		p.close(c)
	}
}

// wait waits for its turn or the end of the watch.
func (p *pool) wait(ctx context.Context, key poolKey, turn chan *conn, w *watch) (*conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.onAbort(cancel)
	select {
	case c := <-turn:
		w.onAbort(nil)
		return c, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	h := p.hosts[key]
	if i := slices.Index(h.waiting, turn); i >= 0 {
		h.waiting = slices.Delete(h.waiting, i, i+1)
		p.mu.Unlock()
		return nil, ctx.Err()
	}
	p.mu.Unlock()
	// The turn came at the same moment: pass it on.
	if c := <-turn; c != nil {
		p.put(c)
	} else {
		p.giveUpPlace(key)
	}
	return nil, ctx.Err()
}

// connect dials. The caller holds a place in key's count.
func (p *pool) connect(ctx context.Context, key poolKey, w *watch) (*conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !w.onAbort(cancel) {
		p.giveUpPlace(key)
		return nil, context.Canceled
	}
	raw, err := p.dial.dial(ctx, key.hostPort, key.proxy, key.allowPrivate)
	if err != nil {
		p.giveUpPlace(key)
		return nil, err
	}
	c := &conn{Conn: raw, raw: raw, key: key}
	if key.tls {
		t := tls.Client(raw, p.dial.config(key.host, "http/1.1"))
		if err := t.HandshakeContext(ctx); err != nil {
			raw.Close()
			p.giveUpPlace(key)
			return nil, err
		}
		c.Conn = t
	}
	if s, ok := raw.(syscall.Conn); ok {
		if c.socket, err = s.SyscallConn(); err != nil {
			c.socket = nil
		}
	}
	p.mu.Lock()
	if p.shut {
		p.mu.Unlock()
		raw.Close()
		return nil, errPoolClosed
	}
	p.all[c] = struct{}{}
	p.mu.Unlock()
	w.onAbort(nil)
	return c, nil
}

// put takes a connection back that is ready for another request.
func (p *pool) put(c *conn) {
	c.watch, c.heard, c.since = nil, false, time.Now()
	p.mu.Lock()
	h := p.hosts[c.key]
	switch {
	case p.shut:
	case len(h.waiting) > 0:
		turn := h.waiting[0]
		h.waiting = slices.Delete(h.waiting, 0, 1)
		p.mu.Unlock()
		turn <- c
		return
	case len(h.idle) < p.opt.MaxIdlePerHost:
		h.idle = append(h.idle, c)
		if p.sweep == nil {
			p.sweep = time.AfterFunc(p.opt.IdleTimeout, p.expire)
		}
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	p.close(c)
}

// close closes a connection and gives its place away.
func (p *pool) close(c *conn) {
	c.abort()
	c.releaseReader()
	p.mu.Lock()
	delete(p.all, c)
	p.mu.Unlock()
	p.giveUpPlace(c.key)
}

// giveUpPlace hands a place in the count of key to who waits for it.
func (p *pool) giveUpPlace(key poolKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[key]
	if len(h.waiting) > 0 {
		turn := h.waiting[0]
		h.waiting = slices.Delete(h.waiting, 0, 1)
		turn <- nil
		return
	}
	if h.open--; h.open == 0 {
		delete(p.hosts, key)
	}
}

// expire closes connections that were idle for too long.
func (p *pool) expire() {
	var old []*conn
	p.mu.Lock()
	p.sweep = nil
	if p.shut {
		p.mu.Unlock()
		return
	}
	limit := time.Now().Add(-p.opt.IdleTimeout)
	var next time.Time
	for _, h := range p.hosts {
		n := 0
		for n < len(h.idle) && !h.idle[n].since.After(limit) {
			n++
		}
		old = append(old, h.idle[:n]...)
		h.idle = slices.Delete(h.idle, 0, n)
		if len(h.idle) > 0 && (next.IsZero() || h.idle[0].since.Before(next)) {
			next = h.idle[0].since
		}
	}
	if !next.IsZero() {
		p.sweep = time.AfterFunc(time.Until(next.Add(p.opt.IdleTimeout))+time.Millisecond, p.expire)
	}
	p.mu.Unlock()
	for _, c := range old {
		p.close(c)
	}
}

// closeAll closes every connection, those in use too.
func (p *pool) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = true
	if p.sweep != nil {
		p.sweep.Stop()
	}
	for c := range p.all {
		c.abort()
	}
	for _, h := range p.hosts {
		h.idle = nil
	}
}
