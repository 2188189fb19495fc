package host

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// engine runs modules: a wazero runtime with the modules guests import from.
type engine struct {
	rt    wazero.Runtime
	cache wazero.CompilationCache
	slow  int // how many times longer calls may take than on a compiled module
}

func newEngine(ctx context.Context, cacheDir string) (*engine, error) {
	e := &engine{slow: 1}
	cfg := wazero.NewRuntimeConfig()
	if cacheDir != "" {
		if err := privateDir(cacheDir); err != nil {
			return nil, err
		}
		cache, err := wazero.NewCompilationCacheWithDir(cacheDir)
		if err != nil {
			return nil, fmt.Errorf("compile cache: %w", err)
		}
		e.cache = cache
		cfg = cfg.WithCompilationCache(cache)
	}
	return e, e.start(ctx, cfg)
}

// newInterpreter makes an engine that runs modules without compiling them:
// slowly, but at once.
func newInterpreter(ctx context.Context) (*engine, error) {
	e := &engine{slow: 20}
	return e, e.start(ctx, wazero.NewRuntimeConfigInterpreter())
}

func (e *engine) start(ctx context.Context, cfg wazero.RuntimeConfig) error {
	e.rt = wazero.NewRuntimeWithConfig(ctx, cfg.WithMemoryLimitPages(maxPages).WithDebugInfoEnabled(true))
	for _, build := range []func(context.Context, wazero.Runtime) error{buildImports, buildWASI, buildMeter} {
		if err := build(ctx, e.rt); err != nil {
			_ = e.close(ctx)
			return err
		}
	}
	return nil
}

// maxPages is the most linear memory any plugin may be granted: 4 GiB less a
// page, so that lengths fit into 32 bits.
const maxPages = math.MaxUint16

// privateDir makes the cache folder and refuses one that others may write to:
// it holds code that will be executed.
func privateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("compile cache: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("compile cache: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("compile cache: %s may be written to by others; run chmod 700 on it", filepath.Clean(dir))
	}
	return nil
}

func (e *engine) close(ctx context.Context) error {
	err := e.rt.Close(ctx)
	if e.cache != nil {
		if cerr := e.cache.Close(ctx); err == nil {
			err = cerr
		}
	}
	return err
}

func (e *engine) compile(ctx context.Context, wasm []byte) (wazero.CompiledModule, error) {
	ctx = experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0))
	return e.rt.CompileModule(ctx, wasm)
}

// instantiate starts an anonymous instance over the given memory.
func (e *engine) instantiate(ctx context.Context, c wazero.CompiledModule, mem *linearMemory) (api.Module, error) {
	ctx = experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(func(size, _ uint64) experimental.LinearMemory {
		mem.buf = make([]byte, 0, size)
		return mem
	}))
	return e.rt.InstantiateModule(ctx, c, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
}

// linearMemory is the memory of one instance, which may not grow beyond most.
type linearMemory struct {
	mod     *module
	buf     []byte
	most    uint64
	refused bool // it was asked for more since this was last cleared
}

// Reallocate implements experimental.LinearMemory; nil refuses to grow.
func (l *linearMemory) Reallocate(size uint64) []byte {
	if size > l.most {
		l.refused = true
		return nil
	}
	l.mod.stats.memory.Add(int64(size) - int64(len(l.buf)))
	if size > uint64(cap(l.buf)) {
		grown := make([]byte, size, min(size+size/4, l.most))
		copy(grown, l.buf)
		l.buf = grown
	}
	l.buf = l.buf[:size]
	return l.buf
}

// Free implements experimental.LinearMemory.
func (l *linearMemory) Free() {
	l.mod.stats.memory.Add(-int64(len(l.buf)))
	l.buf = nil
}
