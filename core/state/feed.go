package state

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
)

// feedBuffer is how many changes a subscriber may be behind before it is told
// that it lost some.
const feedBuffer = 1024

// feed is the change feed of an engine that is the only writer of its data.
type feed struct {
	active atomic.Int32

	mu   sync.Mutex
	subs map[*subscriber]struct{}
	done bool
}

type subscriber struct {
	prefix string
	ch     chan Change
	lost   bool
}

// subscribe registers a prefix until ctx ends.
func (f *feed) subscribe(ctx context.Context, prefix string) (<-chan Change, error) {
	s := &subscriber{prefix: prefix, ch: make(chan Change, feedBuffer)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return nil, ErrClosed
	}
	if f.subs == nil {
		f.subs = map[*subscriber]struct{}{}
	}
	f.subs[s] = struct{}{}
	f.active.Add(1)
	context.AfterFunc(ctx, func() { f.drop(s) })
	return s.ch, nil
}

func (f *feed) drop(s *subscriber) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.subs[s]; ok {
		delete(f.subs, s)
		f.active.Add(-1)
		close(s.ch)
	}
}

// commit runs write and reports its changes in the order of the commits.
// Without subscribers it costs one atomic load.
func (f *feed) commit(changes func() []Change, write func() error) error {
	if f.active.Load() == 0 {
		return write()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := write(); err != nil {
		return err
	}
	for _, c := range changes() {
		for s := range f.subs {
			if strings.HasPrefix(c.Key, s.prefix) {
				s.send(c)
			}
		}
	}
	return nil
}

// send never blocks: a full subscriber gets one Lost change as soon as there is
// room.
func (s *subscriber) send(c Change) {
	if s.lost {
		select {
		case s.ch <- Change{Lost: true}:
			s.lost = false
		default:
			return
		}
	}
	select {
	case s.ch <- c:
	default:
		s.lost = true
	}
}

// close ends all subscriptions.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = true
	for s := range f.subs {
		delete(f.subs, s)
		f.active.Add(-1)
		close(s.ch)
	}
}
