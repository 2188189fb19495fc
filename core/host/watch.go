package host

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sync/errgroup"
)

// debounce is how long the folder must be quiet before it is read, so that a
// file being written is read once and whole.
const debounce = 200 * time.Millisecond

// recheck is how often the folder is looked at where no event came: network
// file systems send none, and the folder may not exist yet.
const recheck = 10 * time.Second

// files is the last good state of the plugin folder.
type files struct {
	core    *module
	modules map[string]*module // by file name
	packs   map[string]*pack
	tried   map[string]digest // content last looked at, good or bad
	failed  map[string]string // why the content last looked at is not served
	stamp   string            // names, sizes and times at the last look
}

// run loads, watches and reloads until the host is closed.
func (h *Host) run(ctx context.Context) {
	defer close(h.done)
	h.files = files{
		modules: map[string]*module{}, packs: map[string]*pack{},
		tried: map[string]digest{}, failed: map[string]string{},
	}
	events, stopWatching := h.watch() // before the first look, so that no change is missed
	defer func() { stopWatching() }()
	h.starting = true
	h.start(ctx)
	h.starting = false
	finished := make(chan compiled)
	defer forgo(finished) // finish ends with ctx
	go h.finish(ctx, h.files.interimModules(), finished)
	close(h.ready)

	quiet := time.NewTimer(time.Hour)
	defer quiet.Stop()
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			if isPluginFile(e.Name) {
				quiet.Reset(debounce)
			}
		case <-quiet.C:
			h.report(h.scan(ctx))
		case <-tick.C:
			if h.stamp() != h.files.stamp {
				h.report(h.scan(ctx))
			}
			h.rest()
			if events == nil {
				events, stopWatching = h.watch()
			}
		case <-h.sick:
			h.swap()
		case c, ok := <-finished:
			if !ok {
				finished = nil
				continue
			}
			h.replace(ctx, c)
		case answer := <-h.scans:
			answer <- h.scan(ctx)
		}
	}
}

func (h *Host) report(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		h.log.Warn("plugin folder", "error", err)
	}
}

// start loads the bundled plugins, serves them, and then the folder's.
func (h *Host) start(ctx context.Context) {
	if len(h.opt.Core) > 0 {
		m, err := h.load(ctx, "", h.opt.Core)
		h.opt.Core = nil // what it was compiled to is all that is needed from here on
		if err != nil {
			h.files.failed[bundled] = err.Error()
			h.log.Error("bundled plugins do not load", "error", err)
		} else {
			h.files.core = m
		}
	}
	h.swap()
	h.report(h.scan(ctx))
}

// bundled is the name under which problems of core.wasm are listed.
const bundled = "core.wasm"

// watch subscribes to changes of the folder. Without a folder, or where the
// system offers no events, the periodic look finds changes.
func (h *Host) watch() (<-chan fsnotify.Event, func()) {
	nothing := func() {}
	if h.opt.Dir == "" {
		return nil, nothing
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		h.log.Warn("plugin folder cannot be watched; looking at it now and then", "error", err)
		return nil, nothing
	}
	if err := w.Add(h.opt.Dir); err != nil {
		_ = w.Close()
		return nil, nothing
	}
	return w.Events, func() { _ = w.Close() }
}

func isPluginFile(name string) bool {
	base := filepath.Base(name)
	return !strings.HasPrefix(base, ".") && (strings.HasSuffix(base, ".wasm") || strings.HasSuffix(base, packSuffix))
}

// scan reads the folder and brings a new generation up when something changed.
// A file that does not load leaves its earlier version serving.
func (h *Host) scan(ctx context.Context) error {
	h.files.stamp = h.stamp()
	found, err := h.read()
	if err != nil {
		return err
	}
	changed := h.forget(found)
	fresh := map[string][]byte{}
	for name, data := range found {
		sum := sha256.Sum256(data)
		if sum != h.files.tried[name] {
			h.files.tried[name] = sum
			fresh[name] = data
		}
	}
	if len(fresh) == 0 && !changed {
		return nil
	}
	h.loadAll(ctx, fresh)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	h.swap()
	return nil
}

// stamp sums up names, sizes and times of the plugin files.
func (h *Host) stamp() string {
	if h.opt.Dir == "" {
		return ""
	}
	entries, err := os.ReadDir(h.opt.Dir)
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, e := range entries {
		if info, err := e.Info(); err == nil && isPluginFile(e.Name()) {
			fmt.Fprintf(&b, "%s %d %d\n", e.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

// read returns the plugin files of the folder by name. Files over the size
// limit are read as far as is needed to refuse them.
func (h *Host) read() (map[string][]byte, error) {
	if h.opt.Dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(h.opt.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, e := range entries {
		if e.IsDir() || !isPluginFile(e.Name()) {
			continue
		}
		data, err := readLimited(filepath.Join(h.opt.Dir, e.Name()), h.opt.Limits.Module)
		if errors.Is(err, fs.ErrNotExist) { // gone since the listing
			continue
		}
		if err != nil {
			h.files.failed[e.Name()] = err.Error()
			continue
		}
		out[e.Name()] = data
	}
	return out, nil
}

// forget drops what is no longer in the folder.
func (h *Host) forget(found map[string][]byte) (changed bool) {
	for name := range h.files.tried {
		if _, ok := found[name]; !ok {
			delete(h.files.tried, name)
			delete(h.files.failed, name)
			delete(h.files.modules, name)
			delete(h.files.packs, name)
			h.log.Info("plugin file gone", "file", name)
			changed = true
		}
	}
	return changed
}

// loadAll loads new and changed files, two at a time.
func (h *Host) loadAll(ctx context.Context, fresh map[string][]byte) {
	type result struct {
		name   string
		module *module
		pack   *pack
		err    error
	}
	results := make(chan result, len(fresh))
	var group errgroup.Group
	group.SetLimit(2)
	for name, data := range fresh {
		group.Go(func() error {
			r := result{name: name}
			if strings.HasSuffix(name, packSuffix) {
				r.pack, r.err = parsePack(name, data)
			} else {
				r.module, r.err = h.load(ctx, name, data)
			}
			results <- r
			return nil
		})
	}
	_ = group.Wait()
	close(results)
	for r := range results {
		if r.err != nil {
			h.files.failed[r.name] = r.err.Error()
			h.log.Warn("plugin file refused", "file", r.name, "reason", r.err)
			continue
		}
		delete(h.files.failed, r.name)
		if r.pack != nil {
			h.files.packs[r.name] = r.pack
			h.log.Info("provider pack loaded", "file", r.name, "provider", r.pack.ID)
			continue
		}
		h.files.modules[r.name] = r.module
		h.log.Info("plugin loaded", "file", r.name, "plugin", r.module.manifest.Name, "version", r.module.manifest.Version,
			"isolation", r.module.isolation, "signed", false)
	}
}

// swap publishes what is loaded now, in a fixed order.
func (h *Host) swap() {
	var modules []*module
	if h.files.core != nil {
		modules = append(modules, h.files.core)
	}
	for _, name := range sortedKeys(h.files.modules) {
		modules = append(modules, h.files.modules[name])
	}
	var packs []*pack
	for _, name := range sortedKeys(h.files.packs) {
		packs = append(packs, h.files.packs[name])
	}
	var problems []Problem
	for _, name := range sortedKeys(h.files.failed) {
		_, m := h.files.modules[name]
		_, p := h.files.packs[name]
		problems = append(problems, Problem{File: name, Message: h.files.failed[name], Serving: m || p})
	}
	h.publish(modules, packs, problems)
}

// rest closes and trims instances that had nothing to do for a while.
func (h *Host) rest() {
	g := h.Current()
	defer g.Release()
	now := h.now()
	for _, m := range g.modules {
		m.pool.rest(func(i *instance) bool { return now.Sub(i.used) >= m.limits.IdleTTL })
	}
}
