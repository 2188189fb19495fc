package state

import (
	"context"
	"errors"
	"sync"
	"time"
)

// WriterOptions tunes a Writer; zero fields take the defaults.
type WriterOptions struct {
	Every   time.Duration // 200 ms
	Max     int           // 128 keys
	OnError func(error)   // told of failed flushes; nil drops them
}

// maxPending bounds the queue while the store fails; the oldest writes give way.
const maxPending = 1 << 16

// Writer coalesces writes whose loss in the last moment is harmless: of several
// writes of one key only the last reaches the store.
type Writer struct {
	store Store
	opt   WriterOptions
	wake  chan struct{}
	quit  chan struct{}
	done  chan struct{}

	mu      sync.Mutex
	pending map[string]op
	order   []string
	closed  bool

	flushing sync.Mutex // one flush at a time, so that writes keep their order
}

// NewWriter starts a write-behind queue over s. Close it before the store.
func NewWriter(s Store, opt WriterOptions) *Writer {
	if opt.Every <= 0 {
		opt.Every = 200 * time.Millisecond
	}
	if opt.Max <= 0 {
		opt.Max = 128
	}
	if opt.OnError == nil {
		opt.OnError = func(error) {}
	}
	w := &Writer{
		store: s, opt: opt,
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
		pending: map[string]op{},
	}
	go w.run()
	return w
}

// Put queues a write. The value must not be changed afterwards.
func (w *Writer) Put(key string, value []byte, ttl time.Duration) {
	w.queue(op{kind: opPut, key: key, value: value, ttl: ttl})
}

// Delete queues a removal.
func (w *Writer) Delete(key string) { w.queue(op{kind: opDelete, key: key}) }

func (w *Writer) queue(o op) {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		w.opt.OnError(ErrClosed)
		return
	}
	if _, known := w.pending[o.key]; !known {
		w.order = append(w.order, o.key)
		if len(w.order) > maxPending {
			delete(w.pending, w.order[0])
			w.order = w.order[1:]
		}
	}
	w.pending[o.key] = o
	full := len(w.order) >= w.opt.Max
	w.mu.Unlock()
	if full {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (w *Writer) run() {
	defer close(w.done)
	tick := time.NewTicker(w.opt.Every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-w.wake:
		case <-w.quit:
			return
		}
		if err := w.Flush(); err != nil {
			w.opt.OnError(err)
		}
	}
}

// Flush writes what is queued and waits for it. What could not be written stays
// queued unless a newer write of the same key has come.
func (w *Writer) Flush() error {
	w.flushing.Lock()
	defer w.flushing.Unlock()
	w.mu.Lock()
	if len(w.order) == 0 {
		w.mu.Unlock()
		return nil
	}
	order, pending := w.order, w.pending
	w.order, w.pending = nil, make(map[string]op, len(pending))
	w.mu.Unlock()

	var failed error
	var b Batch
	for len(order) > 0 {
		n := min(len(order), w.opt.Max)
		b.Reset()
		for _, k := range order[:n] {
			b.ops = append(b.ops, pending[k])
		}
		if err := w.store.Apply(context.Background(), &b); err != nil {
			failed = err
			break
		}
		order = order[n:]
	}
	if failed == nil || errors.Is(failed, ErrClosed) {
		return failed
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var back []string
	for _, k := range order {
		if _, newer := w.pending[k]; !newer {
			w.pending[k] = pending[k]
			back = append(back, k)
		}
	}
	w.order = append(back, w.order...)
	return failed
}

// Close flushes and stops. Later writes are dropped.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	w.mu.Unlock()
	close(w.quit)
	<-w.done
	return w.Flush()
}
