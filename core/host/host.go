package host

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/omniroute/omniroute/core/host/trust"
)

// Host runs plugins. All methods may be called concurrently.
type Host struct {
	opt     Options
	log     *slog.Logger
	engine  *engine
	metered *meteredStore
	tap     atomic.Pointer[tap] // a recording of calls, nil most of the time

	interpreter *engine // for what is not compiled yet when the host starts; under mu
	starting    bool    // owned by run

	mu        sync.Mutex
	current   *Generation
	problems  []Problem
	listeners []func()

	deny   atomic.Pointer[trust.Deny] // of opt.Trust, for requests
	tokens tokens                     // exchanged for keys of service accounts

	exchanges exchanges // tokens that plans of executors obtained
	kv        kvStore

	files files // what the directory held at the last scan; owned by run
	ready chan struct{}
	tasks chan task     // for run
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
		ready: make(chan struct{}), tasks: make(chan task), sick: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if h.log == nil {
		h.log = slog.Default()
	}
	var err error
	if h.engine, err = opt.compiler(context.WithoutCancel(ctx), opt.CacheDir); err != nil {
		return nil, err
	}
	if h.metered, err = newMeteredStore(opt.CacheDir, h.log); err != nil {
		return nil, errors.Join(err, h.engine.close(context.WithoutCancel(ctx)))
	}
	h.deny.Store(&opt.Trust.Deny)
	h.current = newGeneration(0, nil, nil, &h.opt)
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
	h.current = newGeneration(0, nil, nil, &h.opt)
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

// Settings are those options that can change while a host runs.
type Settings struct {
	Trust Trust
	Items map[string]Item
}

// task is work for the goroutine that loads plugins.
type task struct {
	work   func(context.Context) error
	answer chan error
}

// Rescan looks at the plugin folder and the lock file now and returns when the
// result serves.
func (h *Host) Rescan(ctx context.Context) error { return h.do(ctx, h.scan) }

// refresh makes a new generation of what is loaded.
func (h *Host) refresh(ctx context.Context) error {
	return h.do(ctx, func(context.Context) error {
		h.swap()
		return nil
	})
}

// Configure puts new settings into force: drop-ins are judged anew, and those
// whose configuration changed start new instances. Open streams finish with the
// old ones.
func (h *Host) Configure(ctx context.Context, s Settings) error {
	return h.do(ctx, func(ctx context.Context) error { return h.reconfigure(ctx, s) })
}

// do has run do something, and waits for it.
func (h *Host) do(ctx context.Context, work func(context.Context) error) error {
	t := task{work, make(chan error, 1)}
	select {
	case h.tasks <- t:
	case <-h.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-t.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Missing names plugins that the operator requires and that do not serve, with
// the reasons.
func (h *Host) Missing() []Problem {
	serving := map[string]bool{}
	reasons := map[string]string{}
	for _, p := range h.Parts() {
		serving[p.Plugin] = serving[p.Plugin] || p.State == StateActive
		if p.Reason != "" {
			reasons[p.Plugin] = p.Reason
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []Problem
	for _, name := range sortedKeys(h.opt.Items) {
		if !h.opt.Items[name].Required || serving[name] {
			continue
		}
		p := Problem{Plugin: name, Message: "it is not in the plugin folder"}
		if why := reasons[name]; why != "" {
			p.Message = why
		}
		for _, q := range h.problems {
			if q.Plugin == name {
				p = q
			}
		}
		out = append(out, p)
	}
	return out
}

// publish swaps the generation and lets go of the old one.
func (h *Host) publish(modules []*module, packs []*provider, problems []Problem) {
	h.mu.Lock()
	old := h.current
	next := newGeneration(old.number+1, modules, packs, &h.opt)
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
