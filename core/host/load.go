package host

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"

	"github.com/omniroute/omniroute/core/host/lock"
	declared "github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/core/host/meter"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// digest identifies the content of a plugin file.
type digest [sha256.Size]byte

// module is one loaded plugin: compiled code, limits and instances. It is
// shared by all generations that contain it and closed with the last.
type module struct {
	host      *Host
	file      string // drop-in file name, "" = bundled
	digest    digest
	manifest  *manifest
	grants    *declared.Grants // what it may do; nil = a bundled one, which may do all
	hosts     []declared.Host  // that its plans may name, beside the provider's own
	signed    []string         // public keys that vouch for it
	content   string           // digest of the file without its signatures
	off       string           // why it is switched off, "" = it is not
	item      Item
	limits    Limits
	isolation string
	config    []byte
	engine    *engine
	interim   []byte // the file, while the module is interpreted until it is compiled
	compiled  wazero.CompiledModule
	pool      *pool
	log       *slog.Logger
	lines     lineLimit
	stats     moduleStats
	breaker   breaker
	replay    atomic.Int64 // bytes kept for replay by all streams
	refs      atomic.Int64 // generations
}

// loadBundled turns the built-in plugins into a module.
func (h *Host) loadBundled(ctx context.Context, wasm []byte) (*module, error) {
	if len(wasm) > h.opt.Limits.Module {
		return nil, fmt.Errorf("the file has %d bytes; plugins may have %d", len(wasm), h.opt.Limits.Module)
	}
	raw, ok, err := abi.Section(wasm, abi.SectionManifest)
	switch {
	case err != nil:
		return nil, errors.New("it is not a WebAssembly module")
	case !ok:
		return nil, errors.New("it has no manifest")
	}
	m := &module{host: h, engine: h.engine, digest: sha256.Sum256(wasm)}
	h.makeInterim(m, wasm)
	if m.manifest, err = parseManifest(raw); err != nil {
		return nil, err
	}
	m.hosts = hostPatterns(m.manifest.Capabilities.HTTP.Hosts)
	m.item = h.opt.Items[m.manifest.Name]
	if m.item.Config, err = m.manifest.Config(m.item.Config); err != nil {
		return nil, err
	}
	if m.item.Disabled {
		m.off = "switched off in plugins.items"
	}
	m.isolation = m.manifest.Isolation
	return m, m.start(ctx, wasm)
}

// load turns a file that may run into a module that has been run once. Errors
// are sentences about the file. A module without a manifest is asked for it, in
// dev trust only.
func (h *Host) load(ctx context.Context, c *candidate, locked *lock.File) (*module, error) {
	if c.file.Manifest == nil {
		raw, err := h.describe(ctx, c.data)
		if err != nil {
			return nil, err
		}
		if c.file.Manifest, err = parseManifest(raw); err != nil {
			return nil, err
		}
		if err := h.approve(c, locked); err != nil {
			return nil, err
		}
	}
	grants := c.verdict.Grants
	m := &module{
		host: h, engine: h.engine, file: c.name, digest: sha256.Sum256(c.data), manifest: c.file.Manifest,
		grants: &grants, hosts: hostPatterns(grants.HTTP), item: c.item, off: c.off, signed: c.verdict.Keys,
		isolation: c.verdict.Isolation, content: c.file.ContentDigest,
	}
	h.makeInterim(m, c.data)
	return m, m.start(ctx, c.data)
}

// again is the module as it was before it was started, to be compiled.
func (m *module) again() *module {
	return &module{
		host: m.host, engine: m.host.engine, file: m.file, digest: m.digest, manifest: m.manifest, grants: m.grants,
		hosts: m.hosts, signed: m.signed, content: m.content, off: m.off, item: m.item, isolation: m.isolation,
	}
}

// loadOwn loads a module that whoever runs it is working on: it gets what it
// asks for.
func (h *Host) loadOwn(ctx context.Context, name string, wasm []byte) (*module, error) {
	raw, ok, err := abi.Section(wasm, abi.SectionManifest)
	switch {
	case len(wasm) > h.opt.Limits.Module:
		return nil, fmt.Errorf("the file has %d bytes; plugins may have %d", len(wasm), h.opt.Limits.Module)
	case err != nil:
		return nil, errors.New("it is not a WebAssembly module")
	case !ok:
		if raw, err = h.describe(ctx, wasm); err != nil {
			return nil, err
		}
	}
	m := &module{host: h, engine: h.engine, file: name, digest: sha256.Sum256(wasm), isolation: isolationShared}
	if m.manifest, err = parseManifest(raw); err != nil {
		return nil, err
	}
	asks := m.manifest.Asks()
	m.grants, m.hosts = &asks, hostPatterns(asks.HTTP)
	return m, m.start(ctx, wasm)
}

// start compiles the module and runs its first instance.
func (m *module) start(ctx context.Context, wasm []byte) error {
	m.settings()
	if err := m.compile(ctx, wasm); err != nil {
		return err
	}
	if err := m.probe(ctx); err != nil {
		m.close(ctx)
		return err
	}
	return nil
}

// settings merges limits (host < manifest < operator) and isolation.
func (m *module) settings() {
	m.config = m.item.Config
	m.limits = m.host.opt.Limits
	m.limits = m.limits.asked(m.manifest.Limits).or(m.item.Limits)
	if m.item.Isolation != "" {
		m.isolation = m.item.Isolation
	}
	m.stats.declared = m.manifest.Metrics
	m.log = m.host.log.With("plugin", m.manifest.Name, "version", m.manifest.Version)
	m.pool = newPool(m)
}

// compile meters the module and compiles it.
func (m *module) compile(ctx context.Context, wasm []byte) error {
	if !m.item.Unmetered {
		var err error
		if wasm, err = m.host.metered.rewrite(wasm, m.digest); err != nil {
			return fmt.Errorf("it cannot be metered: %w", err)
		}
	}
	compiled, err := m.engine.compile(ctx, wasm)
	if err != nil {
		return fmt.Errorf("it does not compile: %w", err)
	}
	m.compiled = compiled
	if m.interim == nil {
		m.host.metered.compiled(m.digest)
	}
	if err := checkBorder(compiled, m.limits.MemoryPages, !m.item.Unmetered); err != nil {
		_ = compiled.Close(ctx)
		return err
	}
	return nil
}

// exports are the functions a plugin must have, with their signatures.
var exports = []struct{ name, params, result string }{
	{"omni_abi", "", "i"},
	{"omni_buf", "ii", "i"},
	{"omni_call", "iii", "I"},
}

// checkBorder compares imports, exports and memory with the ABI.
func checkBorder(c wazero.CompiledModule, pages uint32, metered bool) error {
	for _, f := range c.ImportedFunctions() {
		module, name, _ := f.Import()
		if module == meter.Module && metered { // the meter lets no other one through
			continue
		}
		if problem := checkImport(module, name, typeCodes(f.ParamTypes()), typeCodes(f.ResultTypes())); problem != "" {
			return errors.New(problem)
		}
	}
	have := c.ExportedFunctions()
	for _, want := range exports {
		f, ok := have[want.name]
		if !ok {
			return fmt.Errorf("it does not export %s, so it is not a plugin for ABI %s", want.name, abi.Module)
		}
		if typeCodes(f.ParamTypes()) != want.params || typeCodes(f.ResultTypes()) != want.result {
			return fmt.Errorf("its export %s has the wrong signature", want.name)
		}
	}
	mem, ok := c.ExportedMemories()["memory"]
	if !ok {
		return errors.New("it does not export its memory")
	}
	if mem.Min() > pages {
		return fmt.Errorf("it needs %d pages of memory; it may have %d", mem.Min(), pages)
	}
	return nil
}

func typeCodes(types []api.ValueType) string {
	b := make([]byte, len(types))
	for k, t := range types {
		switch t {
		case api.ValueTypeI32:
			b[k] = 'i'
		case api.ValueTypeI64:
			b[k] = 'I'
		case api.ValueTypeF64:
			b[k] = 'F'
		default:
			b[k] = '?'
		}
	}
	return string(b)
}

// probe starts the first instance and checks that the guest is what its
// manifest says.
func (m *module) probe(ctx context.Context) error {
	i, err := m.pool.lock(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if m.isolation == isolationCall {
			i.setBack()
		}
		i.settle()
		i.mu.Unlock()
	}()
	res, err := i.guest.ExportedFunction("omni_abi").Call(i.ctx)
	if err != nil {
		return i.trapped(0, err)
	}
	if major := uint32(res[0]) >> 16; major != abi.Major {
		return fmt.Errorf("its code speaks ABI %d.%d; its manifest says %s", major, uint16(res[0]), m.manifest.ABI)
	}
	raw, err := i.describe()
	if err != nil {
		return err
	}
	said, err := parseManifest(raw)
	if err != nil {
		return fmt.Errorf("what it says of itself is wrong: %w", err)
	}
	if said.Name != m.manifest.Name || said.Version != m.manifest.Version || said.ABI != m.manifest.ABI {
		return fmt.Errorf("its code says it is %s %s (ABI %s), its manifest says %s %s (ABI %s)",
			said.Name, said.Version, said.ABI, m.manifest.Name, m.manifest.Version, m.manifest.ABI)
	}
	return nil
}

// describe asks the guest for its manifest. The result is a copy.
func (i *instance) describe() ([]byte, error) {
	out, isErr, err := i.call(abi.OpDescribe, 0, nil, i.freshEnv(nil, startSeed))
	if err != nil {
		return nil, err
	}
	if isErr {
		return nil, readErrorRecord(out)
	}
	f, ok := abi.Find(out, abi.TagJSON)
	if !ok {
		return nil, errors.New("it does not describe itself")
	}
	return append([]byte(nil), f.Value...), nil
}

// describe runs a raw module only to learn its manifest.
func (h *Host) describe(ctx context.Context, wasm []byte) ([]byte, error) {
	m := &module{host: h, engine: h.engine, file: "raw", digest: sha256.Sum256(wasm), manifest: &manifest{Name: "raw/module"}}
	m.settings()
	m.limits.Instances = 1
	if err := m.compile(ctx, wasm); err != nil {
		return nil, err
	}
	defer m.close(ctx)
	i, err := m.pool.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer i.mu.Unlock()
	return i.describe()
}

// Describe runs a module in a host of its own to learn its manifest: what it
// says of itself when it is asked.
func Describe(ctx context.Context, wasm []byte) ([]byte, error) {
	e, err := newEngine(ctx, "")
	if err != nil {
		return nil, err
	}
	h := &Host{opt: Options{Trust: Trust{Mode: TrustDev}}, engine: e, metered: &meteredStore{}, log: slog.New(slog.DiscardHandler)}
	h.opt.fill()
	defer func() { _ = e.close(ctx) }()
	raw, err := h.describe(ctx, wasm)
	if err != nil {
		return nil, err
	}
	_, err = parseManifest(raw)
	return raw, err
}

// Pack returns a module with its manifest as a custom section and its data
// joined to few segments. A module that has a manifest is returned as it is.
func Pack(ctx context.Context, wasm []byte) ([]byte, error) {
	if _, ok, err := abi.Section(wasm, abi.SectionManifest); ok || err != nil {
		return wasm, err
	}
	raw, err := Describe(ctx, wasm)
	if err != nil {
		return nil, err
	}
	if wasm, err = abi.JoinData(wasm); err != nil {
		return nil, err
	}
	return abi.AppendSection(wasm, abi.SectionManifest, raw), nil
}

func (m *module) acquire() { m.refs.Add(1) }

// release closes the module when no generation contains it any more.
func (m *module) release(ctx context.Context) {
	if m.refs.Add(-1) == 0 {
		m.close(ctx)
	}
}

func (m *module) close(ctx context.Context) {
	m.pool.close()
	_ = m.compiled.Close(ctx)
}

// fill sets what the caller left open.
func (o *Options) fill() {
	o.Limits = DefaultLimits().or(o.Limits)
	if o.CacheMax == 0 {
		o.CacheMax = defaultCache
	}
	if o.compiler == nil {
		o.compiler = newEngine
	}
	if o.Limits.Instances == 0 {
		o.Limits.Instances = runtime.GOMAXPROCS(0)
	}
	o.Limits.MemoryPages = min(o.Limits.MemoryPages, maxPages)
	if o.Trust.Mode == "" {
		o.Trust.Mode = TrustWarn
	}
}
