package host

import "context"

// Compiling a module for the first time takes seconds. At the start of a host
// one that is not in the cache serves from the interpreter meanwhile: slowly,
// but at once.

// makeInterim lets a module that is about to be loaded run in the interpreter,
// if the host is just starting and its code is not in the cache.
func (h *Host) makeInterim(m *module, wasm []byte) {
	if !h.opt.Interim || !h.starting || h.metered.wasCompiled(m.digest) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.interpreter == nil {
		e, err := newInterpreter(context.Background())
		if err != nil {
			h.log.Warn("no interpreter; plugins serve once they are compiled", "error", err)
			return
		}
		h.interpreter = e
	}
	m.engine, m.interim = h.interpreter, wasm
}

// compiled is a module that is to take the place of an interim one.
type compiled struct {
	old, new *module
	err      error
}

// finish compiles what serves from the interpreter, one module after the other,
// and hands it to run.
func (h *Host) finish(ctx context.Context, interim []*module, done chan<- compiled) {
	defer close(done)
	for _, m := range interim {
		fresh := m.again()
		err := fresh.start(ctx, m.interim)
		select {
		case done <- compiled{m, fresh, err}:
		case <-ctx.Done():
			if err == nil {
				fresh.close(context.WithoutCancel(ctx))
			}
			return
		}
	}
}

// forgo closes what is compiled too late.
func forgo(done <-chan compiled) {
	for c := range done {
		if c.err == nil {
			c.new.close(context.Background())
		}
	}
}

// interimModules lists what serves from the interpreter, the bundled plugins
// first.
func (f *files) interimModules() []*module {
	var list []*module
	if f.core != nil && f.core.interim != nil {
		list = append(list, f.core)
	}
	for _, name := range sortedKeys(f.modules) {
		if m := f.modules[name]; m.interim != nil {
			list = append(list, m)
		}
	}
	return list
}

// replace puts a compiled module in the place of the interim one, unless that
// one went in the meantime.
func (h *Host) replace(ctx context.Context, c compiled) {
	switch {
	case c.err != nil && ctx.Err() == nil:
		h.log.Error("a plugin cannot be compiled and serves from the interpreter", "file", c.old.name(), "error", c.err)
	case c.err != nil:
	case c.old == h.files.core:
		h.files.core = c.new
		h.swap()
	case c.old == h.files.modules[c.old.file]:
		h.files.modules[c.old.file] = c.new
		h.swap()
	default:
		c.new.close(context.WithoutCancel(ctx))
	}
	if c.err == nil {
		h.log.Info("plugin compiled", "file", c.old.name())
	}
}

// name is the file of the module, for the log.
func (m *module) name() string {
	if m.file == "" {
		return bundled
	}
	return m.file
}
