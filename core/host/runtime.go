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

// wasmRuntime is the wazero runtime of a host with its compile cache and the
// two import modules.
type wasmRuntime struct {
	rt    wazero.Runtime
	cache wazero.CompilationCache
}

func newRuntime(ctx context.Context, cacheDir string) (*wasmRuntime, error) {
	r := &wasmRuntime{}
	cfg := wazero.NewRuntimeConfig().WithMemoryLimitPages(maxPages).WithDebugInfoEnabled(true)
	if cacheDir != "" {
		if err := privateDir(cacheDir); err != nil {
			return nil, err
		}
		cache, err := wazero.NewCompilationCacheWithDir(cacheDir)
		if err != nil {
			return nil, fmt.Errorf("compile cache: %w", err)
		}
		r.cache = cache
		cfg = cfg.WithCompilationCache(cache)
	}
	r.rt = wazero.NewRuntimeWithConfig(ctx, cfg)
	for _, build := range []func(context.Context, wazero.Runtime) error{buildImports, buildWASI} {
		if err := build(ctx, r.rt); err != nil {
			_ = r.close(ctx)
			return nil, err
		}
	}
	return r, nil
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

func (r *wasmRuntime) close(ctx context.Context) error {
	err := r.rt.Close(ctx)
	if r.cache != nil {
		if cerr := r.cache.Close(ctx); err == nil {
			err = cerr
		}
	}
	return err
}

func (r *wasmRuntime) compile(ctx context.Context, wasm []byte) (wazero.CompiledModule, error) {
	ctx = experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0))
	return r.rt.CompileModule(ctx, wasm)
}

// instantiate starts an anonymous instance with the module's memory limit.
func (r *wasmRuntime) instantiate(ctx context.Context, m *module) (api.Module, error) {
	most := uint64(m.limits.MemoryPages) << 16
	ctx = experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(func(size, _ uint64) experimental.LinearMemory {
		return &linearMemory{buf: make([]byte, 0, size), most: most}
	}))
	return r.rt.InstantiateModule(ctx, m.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
}

// linearMemory is the memory of one instance, which may not grow beyond most.
type linearMemory struct {
	buf  []byte
	most uint64
}

// Reallocate implements experimental.LinearMemory; nil refuses to grow.
func (l *linearMemory) Reallocate(size uint64) []byte {
	if size > l.most {
		return nil
	}
	if size > uint64(cap(l.buf)) {
		grown := make([]byte, size, min(size+size/4, l.most))
		copy(grown, l.buf)
		l.buf = grown
	}
	l.buf = l.buf[:size]
	return l.buf
}

// Free implements experimental.LinearMemory.
func (l *linearMemory) Free() { l.buf = nil }
