package host

import (
	"log/slog"
	"time"
)

// Options configure a [Host].
type Options struct {
	Core     []byte          // bundled core.wasm; nil = binary was built without it
	Dir      string          // folder of drop-in *.wasm and *.provider.yaml; "" = none
	CacheDir string          // folder of compiled code, private to the user; "" = compile anew at each start
	Trust    Trust           // what drop-ins may do
	Items    map[string]Item // settings per plugin name
	Limits   Limits          // zero fields take the value of DefaultLimits
	Rewrite  Rewriter        // applied to each module before it is compiled; nil = none
	Log      *slog.Logger    // nil = slog.Default()
	Now      func() time.Time
}

// Rewriter changes a module before it is compiled, for example to meter it.
type Rewriter func(wasm []byte) ([]byte, error)

// TrustMode says which drop-in files are loaded.
type TrustMode string

// Trust modes.
const (
	TrustEnforce TrustMode = "enforce" // only what a listed key signed or Trust.Allow matches
	TrustWarn    TrustMode = "warn"    // any file with a manifest, isolated, and says so in the log; the default
	TrustDev     TrustMode = "dev"     // also raw modules without a manifest
)

// Trust is the operator's policy for drop-in files.
type Trust struct {
	Mode   TrustMode // "" = warn
	Allow  []string  // unsigned files that may load under enforce: path patterns relative to Options.Dir
	Shared bool      // unsigned files may serve several streams from one instance (isolation: shared)
}

// Item is the operator's setting for one plugin.
type Item struct {
	Disabled bool
	Priority int    // higher wins a part id; built-in parts have 0
	Config   []byte // JSON for CONFIGURE; nil = {}
	Limits   Limits // zero fields keep the host's
}

// Limits bound what one plugin may use. Sizes are in bytes.
type Limits struct {
	MemoryPages  uint32        // linear memory of an instance, in pages of 64 KiB
	Instances    int           // shared instances; 0 = GOMAXPROCS
	Input        int           // one call's input
	Output       int           // one call's output
	Handles      int           // open streams of one instance
	RecycleCalls uint64        // calls after which an instance is replaced
	RecycleBytes int           // linear memory size at which an instance is replaced
	Replay       int           // input kept per stream for replay after a trap
	ReplayTotal  int           // the same over all streams of a plugin
	Module       int           // size of a module file
	LogPerSecond int           // log lines of a plugin per second; more are counted, not written
	IdleTTL      time.Duration // idle time after which all but one shared instance are closed
}

// DefaultLimits returns the limits that apply where nothing else is set.
func DefaultLimits() Limits {
	return Limits{
		MemoryPages:  512,
		Input:        32 << 20,
		Output:       64 << 20,
		Handles:      256,
		RecycleCalls: 50_000,
		RecycleBytes: 64 << 20,
		Replay:       256 << 10,
		ReplayTotal:  32 << 20,
		Module:       16 << 20,
		LogPerSecond: 50,
		IdleTTL:      5 * time.Minute,
	}
}
