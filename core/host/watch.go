package host

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sync/errgroup"

	"github.com/omniroute/omniroute/core/host/lock"
	"github.com/omniroute/omniroute/core/host/pack"
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
	packs   map[string]*provider
	tried   map[string]digest  // content and judgement last looked at, good or bad
	failed  map[string]Problem // why the content last looked at is not served
	absent  []Problem          // locked plugins whose files are gone
	stamp   string             // names, sizes and times at the last look
}

// run loads, watches and reloads until the host is closed.
func (h *Host) run(ctx context.Context) {
	defer close(h.done)
	h.files = files{
		modules: map[string]*module{}, packs: map[string]*provider{},
		tried: map[string]digest{}, failed: map[string]Problem{},
	}
	events, stopWatching := h.watch() // before the first look, so that no change is missed
	defer func() { stopWatching() }()
	began := time.Now()
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
			if h.concerns(e.Name) {
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
				h.prune(began)
				continue
			}
			h.replace(ctx, c)
			c = compiled{}
			debug.FreeOSMemory() // compiling needs far more than serving
		case t := <-h.tasks:
			t.answer <- t.work(ctx)
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
		m, err := h.loadBundled(ctx, h.opt.Core)
		h.opt.Core = nil // what it was compiled to is all that is needed from here on
		if err != nil {
			h.files.failed[bundled] = Problem{File: bundled, Message: err.Error()}
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
	for _, dir := range h.subfolders() {
		_ = w.Add(dir) // the periodic look remains
	}
	if h.opt.Lock != "" {
		_ = w.Add(filepath.Dir(h.opt.Lock))
	}
	return w.Events, func() { _ = w.Close() }
}

// concerns reports whether a change of a file may change what serves.
func (h *Host) concerns(name string) bool {
	if h.opt.Lock != "" && filepath.Clean(name) == filepath.Clean(h.opt.Lock) {
		return true
	}
	return isPluginFile(strings.TrimSuffix(name, pack.SidecarSuffix))
}

func isPluginFile(name string) bool {
	base := filepath.Base(name)
	return !strings.HasPrefix(base, ".") && pack.Is(base)
}

// subfolders are those of the plugin folder that are looked at: one level, but
// none whose name begins with a dot.
func (h *Host) subfolders() []string {
	entries, err := os.ReadDir(h.opt.Dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, filepath.Join(h.opt.Dir, e.Name()))
		}
	}
	return out
}

// reconfigure takes over new settings and scans.
func (h *Host) reconfigure(ctx context.Context, s Settings) error {
	h.mu.Lock()
	h.opt.Trust, h.opt.Items = s.Trust, s.Items
	if h.opt.Trust.Mode == "" {
		h.opt.Trust.Mode = TrustWarn
	}
	h.deny.Store(&s.Trust.Deny)
	h.mu.Unlock()
	return h.look(ctx, true)
}

// scan reads the folder and brings a new generation up when something changed.
// A file that does not load leaves its earlier version serving.
func (h *Host) scan(ctx context.Context) error { return h.look(ctx, false) }

func (h *Host) look(ctx context.Context, resettled bool) error {
	h.files.stamp = h.stamp()
	found, err := h.read()
	if err != nil {
		return err
	}
	locked, lockErr := lock.Read(h.opt.Lock)
	changed := h.forget(found) || resettled
	var fresh []*candidate
	for _, c := range found {
		if lockErr != nil {
			c.err, c.keep = fmt.Errorf("the lock file cannot be read: %w", lockErr), true
		} else if c.err == nil {
			h.judge(c, locked)
		}
		if sum := c.fingerprint(); sum != h.files.tried[c.name] {
			h.files.tried[c.name] = sum
			fresh = append(fresh, c)
		}
	}
	if lockErr == nil {
		before := len(h.files.absent)
		h.files.absent = absent(locked, found)
		changed = changed || before != len(h.files.absent)
	}
	if len(fresh) == 0 && !changed {
		return nil
	}
	h.loadAll(ctx, fresh, locked)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	h.swap()
	h.freeze(fresh)
	return nil
}

// absent lists locked plugins without a file.
func absent(locked *lock.File, found map[string]*candidate) []Problem {
	if locked == nil {
		return nil
	}
	there := map[string]bool{}
	for _, c := range found {
		if c.file != nil && c.file.Manifest != nil {
			there[c.file.Manifest.Name] = true
		}
	}
	var out []Problem
	for _, e := range locked.Plugins {
		if e.Pinned() && !e.Disabled && !there[e.Name] {
			out = append(out, Problem{File: e.File, Plugin: e.Name, Message: "the lock file names it, but it is not in the plugin folder; install it again"})
		}
	}
	return out
}

// stamp sums up names, sizes and times of the plugin files and the lock file.
func (h *Host) stamp() string {
	if h.opt.Dir == "" {
		return ""
	}
	var b strings.Builder
	add := func(name string) {
		if info, err := os.Stat(name); err == nil {
			fmt.Fprintf(&b, "%s %d %d\n", name, info.Size(), info.ModTime().UnixNano())
		}
	}
	for _, dir := range append([]string{h.opt.Dir}, h.subfolders()...) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if name := filepath.Join(dir, e.Name()); h.concerns(name) {
				add(name)
			}
		}
	}
	if h.opt.Lock != "" {
		add(h.opt.Lock)
	}
	return b.String()
}

// read returns the plugin files of the folder by name. Files over the size
// limit are read as far as is needed to refuse them.
func (h *Host) read() (map[string]*candidate, error) {
	if h.opt.Dir == "" {
		return nil, nil
	}
	if _, err := os.ReadDir(h.opt.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	out := map[string]*candidate{}
	for _, dir := range append([]string{h.opt.Dir}, h.subfolders()...) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if e.IsDir() || !isPluginFile(e.Name()) {
				continue
			}
			full := filepath.Join(dir, e.Name())
			rel, err := filepath.Rel(h.opt.Dir, full)
			if err != nil {
				continue
			}
			c := &candidate{name: filepath.ToSlash(rel)}
			c.data, err = readLimited(full, h.opt.Limits.Module)
			if errors.Is(err, fs.ErrNotExist) { // gone since the listing
				continue
			}
			if c.err = err; err == nil {
				c.sidecar, _ = readLimited(full+pack.SidecarSuffix, maxSidecar) // most have none
			}
			out[c.name] = c
		}
	}
	return out, nil
}

// maxSidecar bounds a signature file, in bytes.
const maxSidecar = 64 << 10

// forget drops what is no longer in the folder.
func (h *Host) forget(found map[string]*candidate) (changed bool) {
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
func (h *Host) loadAll(ctx context.Context, fresh []*candidate, locked *lock.File) {
	loaded := make([]*module, len(fresh))
	var group errgroup.Group
	group.SetLimit(2)
	for k, c := range fresh {
		if c.err != nil || c.file.IsPack() {
			continue
		}
		group.Go(func() error {
			loaded[k], c.err = h.load(ctx, c, locked)
			return nil
		})
	}
	_ = group.Wait()
	for k, c := range fresh {
		switch {
		case c.err != nil:
			h.refused(c)
		case c.file.IsPack():
			delete(h.files.failed, c.name)
			_, listed := h.opt.Items[c.file.Manifest.Name]
			h.files.packs[c.name] = &provider{Pack: c.file.Provider, digest: sha256.Sum256(c.data), off: c.off, listed: listed}
			h.log.Info("provider pack loaded", "file", c.name, "provider", c.file.Provider.ID, "signed", c.verdict.Signed())
		default:
			delete(h.files.failed, c.name)
			m := loaded[k]
			h.files.modules[c.name] = m
			h.log.Info("plugin loaded", "file", c.name, "plugin", m.manifest.Name, "version", m.manifest.Version,
				"isolation", m.isolation, "signed", c.verdict.Signed(), "grants", m.grants.String())
		}
	}
}

// refused notes why a file stays out. What served before goes on, unless it is
// that very content which is not trusted any more.
func (h *Host) refused(c *candidate) {
	p := Problem{File: c.name, Message: c.err.Error()}
	if c.file != nil && c.file.Manifest != nil {
		p.Plugin = c.file.Manifest.Name
	}
	h.files.failed[c.name] = p
	h.log.Warn("plugin file refused", "file", c.name, "reason", c.err)
	sum := digest(sha256.Sum256(c.data))
	if m := h.files.modules[c.name]; m != nil && m.digest == sum && !c.keep {
		delete(h.files.modules, c.name)
	}
	if q := h.files.packs[c.name]; q != nil && q.digest == sum && !c.keep {
		delete(h.files.packs, c.name)
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
	var packs []*provider
	for _, name := range sortedKeys(h.files.packs) {
		packs = append(packs, h.files.packs[name])
	}
	var problems []Problem
	for _, name := range sortedKeys(h.files.failed) {
		_, m := h.files.modules[name]
		_, p := h.files.packs[name]
		q := h.files.failed[name]
		q.Serving = m || p
		problems = append(problems, q)
	}
	problems = append(problems, h.files.absent...)
	h.publish(modules, packs, problems)
}

// rest closes and trims instances that had nothing to do for a while.
func (h *Host) rest() {
	g := h.Current()
	defer g.Release()
	now := h.now()
	for _, m := range g.modules {
		m.pool.rest(
			func(i *instance) bool { return now.Sub(i.used) >= m.limits.IdleTTL },
			func(i *instance) bool { return now.Sub(i.used) >= m.limits.ColdTTL },
		)
	}
}
