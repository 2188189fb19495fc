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
	Interim  bool            // at the start, what was never compiled serves from the interpreter until it is
	Log      *slog.Logger    // nil = slog.Default()
	Now      func() time.Time
}

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

	// Isolation says how much the plugin's streams share: "shared", "stream" or
	// "call"; "" = what its manifest and its trust come to.
	Isolation string

	// Unmetered runs the plugin as it is. It is a little faster, and can neither
	// be stopped nor interrupted: for plugins known to end only.
	Unmetered bool
}
