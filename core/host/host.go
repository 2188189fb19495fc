package host

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Host runs plugins. All methods may be called concurrently.
type Host struct {
	opt     Options
	log     *slog.Logger
	engine  *engine
	metered *meteredStore

	interpreter *engine // for what is not compiled yet when the host starts; under mu
	starting    bool    // owned by run

	mu        sync.Mutex
	current   *Generation
	problems  []Problem
	listeners []func()

	files files // what the directory held at the last scan; owned by run
	ready chan struct{}
	scans chan chan error
	sick  chan struct{} // a plugin was put in quarantine
	stop  context.CancelFunc
	done  chan struct{}
}

// Open starts a host and loads plugins in the background; see [Host.Ready]. It
// fails only when the host itself cannot work (for example because the cache
// folder is open to others), never because of a plugin: see [Host.Problems].
// Cancelling ctx stops the loading and watching, like Close.
func Open(ctx context.Context, opt Options) (*Host, error) {
	opt.fill()
	h := &Host{
		opt: opt, log: opt.Log,
		ready: make(chan struct{}), scans: make(chan chan error), sick: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if h.log == nil {
		h.log = slog.Default()
	}
	var err error
	if h.engine, err = newEngine(context.WithoutCancel(ctx), opt.CacheDir); err != nil {
		return nil, err
	}
	if h.metered, err = newMeteredStore(opt.CacheDir, h.log); err != nil {
		return nil, errors.Join(err, h.engine.close(context.WithoutCancel(ctx)))
	}
	h.current = newGeneration(0, nil, nil, nil)
	ctx, h.stop = context.WithCancel(ctx)
	go h.run(ctx)
	return h, nil
}

func (h *Host) now() time.Time {
	if h.opt.Now != nil {
		return h.opt.Now()
	}
	return time.Now()
}

// Ready is closed when the first complete generation serves.
func (h *Host) Ready() <-chan struct{} { return h.ready }

// Close stops watching, ends every instance and frees the compiled code.
// Streams that are still open fail.
func (h *Host) Close(ctx context.Context) error {
	h.stop()
	select {
	case <-h.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	h.mu.Lock()
	g := h.current
	h.current = newGeneration(0, nil, nil, nil)
	h.mu.Unlock()
	g.Release()
	err := h.engine.close(context.WithoutCancel(ctx))
	if h.interpreter != nil {
		err = errors.Join(err, h.interpreter.close(context.WithoutCancel(ctx)))
	}
	return err
}

// Current pins the current generation of plugins. Release it.
func (h *Host) Current() *Generation {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.current.refs.Add(1) // the host's own reference keeps it above zero
	return h.current
}

// Parts lists every part of the current generation, active or not.
func (h *Host) Parts() []Part {
	g := h.Current()
	defer g.Release()
	return append([]Part(nil), g.parts...)
}

// Problems lists plugin files that could not be taken into service.
func (h *Host) Problems() []Problem {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Problem(nil), h.problems...)
}

// Stats returns the figures of each plugin of the current generation.
func (h *Host) Stats() []Stats {
	g := h.Current()
	defer g.Release()
	out := make([]Stats, 0, len(g.modules))
	for _, m := range g.modules {
		st := m.stats.snapshot(m.manifest.Name, m.manifest.Version)
		st.Health, st.LastCrash = m.breaker.health(h.now())
		st.Isolation, st.File = m.isolation, m.file
		out = append(out, st)
	}
	return out
}

// OnChange registers a function to be called after each new generation, from
// the host's own goroutine: it must not wait for the host.
func (h *Host) OnChange(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listeners = append(h.listeners, f)
}

// ErrClosed is returned by methods of a host that was closed.
var ErrClosed = errors.New("host: closed")

// Rescan looks at the plugin folder now and returns when the result serves.
func (h *Host) Rescan(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case h.scans <- answer:
	case <-h.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// publish swaps the generation and lets go of the old one.
func (h *Host) publish(modules []*module, packs []*pack, problems []Problem) {
	h.mu.Lock()
	old := h.current
	next := newGeneration(old.number+1, modules, packs, h.opt.Items)
	h.current, h.problems = next, problems
	listeners := append([]func(){}, h.listeners...)
	h.mu.Unlock()
	old.Release()
	for _, p := range next.parts {
		if p.State == StateRefused {
			h.log.Warn("plugin part refused", "plugin", p.Plugin, "part", p.ID, "reason", p.Reason)
		}
	}
	for _, f := range listeners {
		f()
	}
}
