package host

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
)

// pool holds the shared instances of a module. Stateless calls take any free
// one; a stream stays on the one it was opened on.
type pool struct {
	mod   *module
	next  atomic.Uint32
	slots []slot
	extra slot // serves a stream when every slot has all the handles it may have
}

// slot is the place of one instance. mu guards starting it.
type slot struct {
	mu   sync.Mutex
	inst atomic.Pointer[instance]
}

func newPool(m *module) *pool {
	return &pool{mod: m, slots: make([]slot, max(1, m.limits.Instances))}
}

// lock returns a locked, living instance for a stateless call.
func (p *pool) lock(ctx context.Context) (*instance, error) {
	n := uint32(len(p.slots))
	start := p.next.Add(1)
	empty := -1
	for k := range n {
		s := &p.slots[(start+k)%n]
		i := s.inst.Load()
		if i == nil {
			empty = int((start + k) % n)
			continue
		}
		if i.mu.TryLock() {
			if i.dead == nil && !i.retired {
				return i, nil
			}
			i.mu.Unlock()
			empty = int((start + k) % n)
		}
	}
	if empty < 0 {
		empty = int(start % n)
	}
	return p.slots[empty].lock(ctx, p.mod)
}

// lock returns the slot's instance, locked; it starts one where there is none.
// Whoever waits for a busy one may leave: ctx.
func (s *slot) lock(ctx context.Context, m *module) (*instance, error) {
	for {
		i := s.inst.Load()
		if i != nil {
			if err := i.mu.wait(ctx); err != nil {
				return nil, err
			}
			if i.dead == nil && !i.retired {
				return i, nil
			}
			i.mu.Unlock()
		}
		s.mu.Lock()
		if s.inst.Load() == i { // nobody else replaced it meanwhile
			fresh, err := newInstance(ctx, m)
			if err != nil {
				s.mu.Unlock()
				return nil, err
			}
			s.inst.Store(fresh)
		}
		s.mu.Unlock()
	}
}

// lockForStream returns a locked instance with a free handle, the one with the
// fewest streams.
func (p *pool) lockForStream(ctx context.Context) (*instance, error) {
	best, least := -1, int(^uint(0)>>1)
	start := int(p.next.Add(1))
	for k := range p.slots {
		at := (start + k) % len(p.slots)
		n := 0
		if i := p.slots[at].inst.Load(); i != nil {
			if n = int(i.open.Load()); n >= p.mod.limits.Handles {
				continue
			}
		}
		if n < least {
			best, least = at, n
		}
	}
	if best >= 0 {
		i, err := p.slots[best].lock(ctx, p.mod)
		if err != nil || i.streams < p.mod.limits.Handles {
			return i, err
		}
		i.mu.Unlock()
	}
	return p.overflow(ctx)
}

// overflow serves streams beyond the handles of all slots from further
// instances, each of which retires as soon as it is full: it goes with its
// last stream.
func (p *pool) overflow(ctx context.Context) (*instance, error) {
	i, err := p.extra.lock(ctx, p.mod)
	if err != nil {
		return nil, err
	}
	if i.streams+1 >= p.mod.limits.Handles {
		i.retired = true
	}
	return i, nil
}

// exclusive returns a locked instance of its own for one stream.
func (p *pool) exclusive(ctx context.Context) (*instance, error) {
	i, err := newInstance(ctx, p.mod)
	if err != nil {
		return nil, err
	}
	i.exclusive = true
	i.mu.Lock()
	return i, nil
}

// work is one stateless operation.
type work struct {
	op      abi.Op
	blobs   Blobs
	seed    uint64
	secrets Secrets
	in      []byte                          // input record
	build   func(*instance) ([]byte, error) // makes the input where it depends on the instance
	use     func(out []byte) error          // reads the output while it is valid
	pure    bool                            // set by do: the output follows from the input alone
}

// do runs a stateless operation. One whose instance crashes is run once more
// on another.
func (p *pool) do(ctx context.Context, w *work) error {
	if err := p.mod.admit(); err != nil {
		return err
	}
	var err error
	for range 2 {
		var i *instance
		if i, err = p.lock(ctx); err != nil {
			break
		}
		err = i.perform(ctx, w)
		if p.mod.isolation == isolationCall {
			i.setBack()
		}
		i.settle()
		i.mu.Unlock()
		if trap, ok := err.(*trapError); !ok || trap.stopped() {
			break
		}
	}
	return p.mod.fault(err)
}

func (i *instance) perform(ctx context.Context, w *work) error {
	in := w.in
	if w.build != nil {
		var err error
		if in, err = w.build(i); err != nil {
			return err
		}
	}
	env := i.freshEnv(w.blobs, w.seed)
	env.secrets = w.secrets
	env.ctx = ctx
	out, isErr, err := i.call(w.op, 0, in, env)
	if err != nil {
		return err
	}
	w.pure = !i.env.asked
	if isErr {
		return readErrorRecord(out)
	}
	return w.use(out)
}

// close ends every instance that is not inside a stream; those end with it.
func (p *pool) close() {
	for k := range p.slots {
		p.slots[k].retire()
	}
	p.extra.retire()
}

func (s *slot) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.inst.Swap(nil); i != nil {
		i.mu.Lock()
		i.retired = true
		i.settle()
		i.mu.Unlock()
	}
}

// rest closes shared instances that are idle, all but one, which is trimmed
// and only closed when it is cold too.
func (p *pool) rest(idle, cold func(*instance) bool) {
	kept := false
	for k := range p.slots {
		s := &p.slots[k]
		i := s.inst.Load()
		if i == nil || !i.mu.TryLock() {
			continue
		}
		if i.dead == nil && i.streams == 0 && idle(i) {
			if kept || cold(i) {
				i.retired = true
				i.settle()
			} else {
				i.trim()
			}
		}
		kept = kept || i.dead == nil && !i.retired
		i.mu.Unlock()
	}
}

// fault turns whatever went wrong around a guest into an error of the gateway.
func (m *module) fault(err error) error {
	switch e := err.(type) {
	case nil:
		return nil
	case *fault.Error:
		return e
	case *abi.ErrorRecord:
		return toFault(e, m.manifest.Name)
	case *trapError:
		switch {
		case e.callerLeft():
			return fault.From(e)
		case e.stopped():
			return fault.Wrap(fault.PluginDeadline, e, "The plugin "+m.manifest.Name+" "+e.why+" and was stopped")
		}
		return fault.Wrap(fault.PluginTrap, e, "The plugin "+m.manifest.Name+" failed: it "+e.why)
	}
	switch err {
	case errInputTooLarge, errBufRefused:
		return fault.Wrap(fault.BodyTooLarge, err, "The request is too large for the plugin "+m.manifest.Name)
	case context.Canceled, context.DeadlineExceeded: // while it waited for a busy instance
		return fault.From(err)
	}
	return fault.Wrap(fault.PluginTrap, err, "The plugin "+m.manifest.Name+" failed: "+err.Error())
}

// memoryContains looks for bytes in the memory of every shared instance.
func (m *module) memoryContains(needle []byte) bool {
	slots := make([]*slot, 0, len(m.pool.slots)+1)
	for k := range m.pool.slots {
		slots = append(slots, &m.pool.slots[k])
	}
	for _, s := range append(slots, &m.pool.extra) {
		if i := s.inst.Load(); i != nil && i.memoryContains(needle) {
			return true
		}
	}
	return false
}

func (i *instance) memoryContains(needle []byte) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.dead != nil {
		return false
	}
	mem, ok := i.mem.Read(0, i.mem.Size())
	return ok && bytes.Contains(mem, needle)
}
