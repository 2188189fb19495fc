package host

import (
	"context"
	"errors"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/hub"
)

// Most a guest is given in one call of a stream: fairness towards the other
// streams of the instance.
const (
	batchFrames = 64
	batchBytes  = 64 << 10
)

// Stream is one streamed answer inside guests. It is used by one goroutine.
type Stream struct {
	gen    *Generation
	hops   []*guestStream // frames go through them in order
	in     abi.Writer
	middle [][]abi.Frame // frames between two hops
	opened []abi.Frame   // frames the guests emitted at open

	usage    hub.Usage
	finish   string
	body     []byte
	degraded []string
	failed   error
	ended    bool
}

// Data feeds upstream frames and emits client frames. A frame is valid during
// the call of emit; an error of emit ends the call and is returned.
func (s *Stream) Data(ctx context.Context, in []abi.Frame, emit func(abi.Frame) error) error {
	if s.failed != nil {
		return s.failed
	}
	if err := s.flushOpened(emit); err != nil {
		return err
	}
	for len(in) > 0 {
		n := batch(in)
		if err := s.feed(ctx, 0, in[:n], emit); err != nil {
			return err
		}
		in = in[n:]
	}
	return nil
}

// batch returns how many of the frames go into one call.
func batch(in []abi.Frame) int {
	size := 0
	for n := range in {
		size += len(in[n].Payload)
		if n > 0 && size > batchBytes || n == batchFrames {
			return n
		}
	}
	return len(in)
}

func (s *Stream) flushOpened(emit func(abi.Frame) error) error {
	opened := s.opened
	s.opened = nil
	for _, f := range opened {
		if err := emit(f); err != nil {
			return err
		}
	}
	return nil
}

// feed gives frames to one hop and what comes out to the next, or to emit
// behind the last one.
func (s *Stream) feed(ctx context.Context, hop int, in []abi.Frame, emit func(abi.Frame) error) error {
	s.in.Reset()
	for _, f := range in {
		// What the host checks, the guest need not: it is many times slower at it.
		f.JSON = f.Kind == abi.FrameData && doc.Valid(f.Payload, doc.Options{}) == nil
		s.in.Frame(f)
	}
	g := s.hops[hop]
	if err := g.data(ctx, s.in.Buf); err != nil {
		s.failed = err
		return err
	}
	return s.pass(ctx, hop, emit)
}

// pass reads what a hop produced.
func (s *Stream) pass(ctx context.Context, hop int, emit func(abi.Frame) error) error {
	last := hop == len(s.hops)-1
	s.middle[hop] = s.middle[hop][:0]
	r := abi.Read(s.hops[hop].out)
	for r.Next() {
		f := r.Field()
		if f.Tag != abi.TagFrame {
			if err := s.note(f, hop); err != nil {
				return s.malformed(hop, err)
			}
			continue
		}
		fr, err := f.Frame()
		if err != nil {
			return s.malformed(hop, err)
		}
		if !last {
			s.middle[hop] = append(s.middle[hop], fr)
			continue
		}
		if err := emit(fr); err != nil {
			return err
		}
	}
	if err := r.Err(); err != nil {
		return s.malformed(hop, err)
	}
	if last || len(s.middle[hop]) == 0 {
		return nil
	}
	return s.feed(ctx, hop+1, s.middle[hop], emit)
}

// note takes a field beside the frames. The first hop knows the upstream's
// usage best, so later hops only fill what it left open.
func (s *Stream) note(f abi.Field, hop int) error {
	switch f.Tag {
	case abi.TagUsage:
		u, err := readUsage(f)
		if err != nil {
			return err
		}
		if hop == 0 || !s.usage.Known {
			s.usage = u
		}
	case abi.TagFinish:
		if hop == 0 || s.finish == "" {
			s.finish = f.Text()
		}
	case abi.TagBody:
		if hop == len(s.hops)-1 {
			s.body = append(s.body[:0], f.Value...)
		}
	case abi.TagDegraded:
		s.degraded = append(s.degraded, f.Text())
	default:
		if f.Critical {
			return abi.ErrCritical
		}
	}
	return nil
}

func (s *Stream) malformed(hop int, err error) error {
	s.failed = s.hops[hop].mod.fault(err)
	return s.failed
}

// End ends the stream. Call it exactly once, also after an error; further
// calls do nothing.
func (s *Stream) End(ctx context.Context, reason abi.EndReason, emit func(abi.Frame) error) error {
	if s.ended {
		return nil
	}
	s.ended = true
	defer s.gen.Release()
	result := s.failed
	if result == nil {
		result = s.flushOpened(emit)
	}
	for hop, g := range s.hops {
		s.in.Reset()
		s.in.U8(abi.TagReason, uint8(reason))
		err := g.end(ctx, s.in.Buf)
		if result != nil { // every guest is told, but nothing more is passed on
			continue
		}
		if result = err; err == nil {
			result = s.pass(ctx, hop, emit)
		}
	}
	return result
}

// Usage is the usage reported so far.
func (s *Stream) Usage() hub.Usage { return s.usage }

// Finish is the finish reason, "" as long as there is none.
func (s *Stream) Finish() string { return s.finish }

// Body is the collected answer after End, of streams opened with Collect.
func (s *Stream) Body() []byte { return s.body }

// Degraded lists fields dropped or weakened so far.
func (s *Stream) Degraded() []string { return s.degraded }

// guestStream is one stream in one guest, with what is needed to rebuild it
// in another instance: the inputs it took so far.
type guestStream struct {
	mod    *module
	inst   *instance
	handle uint32
	open   abi.Op // and data, end follow it
	blobs  Blobs
	now    int64
	seed   uint64 // of the stream; each call has one derived from it
	n      uint64 // calls so far
	out    []byte // output of the last call
	taken  int    // bytes of input so far

	profile *Profile // executor streams: configures the instance first
	part    string

	kept  []byte // inputs so far, back to back
	ends  []int  // where each ends in kept
	lossy bool   // kept is incomplete: the stream cannot be replayed
}

var errStreamLost = errors.New("its instance crashed and the stream was too long to be replayed")

func (m *module) openStream(ctx context.Context, open abi.Op, record []byte, blobs Blobs, seed uint64, profile *Profile, part string) (*guestStream, error) {
	g := &guestStream{mod: m, open: open, blobs: blobs, now: m.host.now().UnixMilli(), seed: seed, profile: profile, part: part}
	g.lossy = m.manifest.Recovery != recoveryReplay
	if g.seed == 0 {
		g.seed = randomSeed()
	}
	if err := m.admit(); err != nil {
		return nil, err
	}
	var err error
	for range 2 {
		if g.inst, err = g.place(ctx, m.isolation != isolationShared); err != nil {
			return nil, m.fault(err)
		}
		err = g.call(ctx, open, record)
		g.leave()
		var trap *trapError
		if !errors.As(err, &trap) {
			break
		}
		g.moveOut()
		if trap.stopped() {
			break
		}
	}
	if err != nil {
		g.drop()
		return nil, m.fault(err)
	}
	g.keep(record)
	return g, nil
}

// place takes a handle on an instance and returns it locked.
func (g *guestStream) place(ctx context.Context, exclusive bool) (*instance, error) {
	var i *instance
	var err error
	if exclusive {
		i, err = g.mod.pool.exclusive(ctx)
	} else {
		i, err = g.mod.pool.lockForStream(ctx)
	}
	if err != nil {
		return nil, err
	}
	if g.profile != nil {
		if _, err := i.configureProvider(g.part, g.profile); err != nil {
			i.settle()
			i.mu.Unlock()
			return nil, err
		}
	}
	i.handle++
	i.streams++
	i.open.Add(1)
	g.mod.stats.streams.Add(1)
	g.handle = i.handle
	return i, nil
}

// call runs one operation on the locked instance and copies the output out.
func (g *guestStream) call(ctx context.Context, op abi.Op, record []byte) error {
	g.n++
	env := callEnv{now: g.now, seed: mix(g.seed, g.n), blobs: g.blobs, basis: g.taken, ctx: ctx}
	out, isErr, err := g.inst.call(op, g.handle, record, env)
	if err != nil {
		return err
	}
	if isErr {
		return readErrorRecord(out)
	}
	g.taken += len(record)
	g.out = append(g.out[:0], out...)
	return nil
}

// leave unlocks the instance after a call.
func (g *guestStream) leave() {
	g.inst.settle()
	g.inst.mu.Unlock()
}

// drop gives the handle back.
func (g *guestStream) drop() {
	if g.inst == nil {
		return
	}
	i := g.inst
	g.inst = nil
	i.mu.Lock()
	i.streams--
	i.open.Add(-1)
	if i.exclusive {
		i.retired = true
	}
	i.settle()
	i.mu.Unlock()
	g.mod.stats.streams.Add(-1)
	g.mod.replay.Add(-int64(len(g.kept)))
	g.kept, g.ends, g.lossy = nil, nil, true
}

// keep remembers an input for replay, within the limits.
func (g *guestStream) keep(record []byte) {
	if g.lossy {
		return
	}
	lim := &g.mod.limits
	if len(g.kept)+len(record) > lim.Replay || g.mod.replay.Add(int64(len(record))) > int64(lim.ReplayTotal) {
		g.mod.replay.Add(-int64(len(g.kept)))
		g.kept, g.ends, g.lossy = nil, nil, true
		return
	}
	g.kept = append(g.kept, record...)
	g.ends = append(g.ends, len(g.kept))
}

func (g *guestStream) data(ctx context.Context, record []byte) error {
	err := g.run(ctx, g.open+1, record)
	if err == nil {
		g.keep(record)
	}
	return g.mod.fault(err)
}

func (g *guestStream) end(ctx context.Context, record []byte) error {
	err := g.run(context.WithoutCancel(ctx), g.open+2, record) // a client that left does not cost the others their instance
	g.drop()
	return g.mod.fault(err)
}

// run calls the guest; when the instance is dead or dies in the call, the
// stream is rebuilt elsewhere and the call made there, once.
func (g *guestStream) run(ctx context.Context, op abi.Op, record []byte) error {
	if g.inst == nil {
		return errStreamLost
	}
	if err := g.inst.mu.wait(ctx); err != nil {
		return err
	}
	lost := g.inst.dead != nil
	var err error
	if !lost {
		err = g.call(ctx, op, record)
	}
	g.leave()
	var trap *trapError
	if !lost && !errors.As(err, &trap) {
		return err
	}
	if !lost && trap.stopped() {
		return err
	}
	if g.lossy {
		if lost {
			return fault.Wrap(fault.PluginTrap, errStreamLost, "The plugin "+g.mod.manifest.Name+" failed while the answer was under way")
		}
		return err
	}
	// The stream that brought the instance down is rebuilt apart, so that it
	// fails alone if it does so again.
	return g.replay(ctx, op, record, !lost)
}

func (g *guestStream) replay(ctx context.Context, op abi.Op, record []byte, apart bool) error {
	g.mod.stats.replays.Add(1)
	g.moveOut()
	i, err := g.place(ctx, apart || g.mod.isolation != isolationShared)
	if err != nil {
		return err
	}
	g.inst = i
	defer g.leave()
	g.n, g.taken = 0, 0
	at := 0
	for k, end := range g.ends {
		step := g.open + 1
		if k == 0 {
			step = g.open
		}
		if err := g.call(ctx, step, g.kept[at:end]); err != nil {
			return err
		}
		at = end
	}
	return g.call(ctx, op, record)
}

// moveOut gives the handle of a dead instance back, keeping what replay needs.
func (g *guestStream) moveOut() {
	i := g.inst
	g.inst = nil
	i.mu.Lock()
	i.streams--
	i.open.Add(-1)
	i.mu.Unlock()
	g.mod.stats.streams.Add(-1)
}

// mix derives the seed of call n of a stream.
func mix(seed, n uint64) uint64 {
	z := seed + n*0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}
