package host

import (
	"context"
	"log/slog"
	"time"

	declared "github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/core/host/trust"
)

// Options configure a [Host].
type Options struct {
	Core     []byte          // bundled core.wasm; nil = binary was built without it
	Dir      string          // folder of drop-in *.wasm and *.provider.yaml; "" = none
	CacheDir string          // folder of compiled code, private to the user; "" = compile anew at each start
	CacheMax int64           // bytes that folder may have; 0 = 512 MiB
	Trust    Trust           // what drop-ins may do
	Lock     string          // lock file of installed plugins; "" = none
	Freeze   bool            // record in the lock file what new drop-ins may do
	Version  string          // of the gateway, for plugins that need a newer one
	Reserved []string        // ids of providers that a drop-in may only take with an entry in Items
	KV       KV              // where plugins keep values; nil = in memory
	Items    map[string]Item // settings per plugin name
	Limits   Limits          // zero fields take the value of DefaultLimits
	Interim  bool            // at the start, what was never compiled serves from the interpreter until it is
	Log      *slog.Logger    // nil = slog.Default()
	Now      func() time.Time
	compiler compiler // nil = newEngine
}

// compiler makes the engine of a host, given the folder of compiled code.
type compiler func(ctx context.Context, cacheDir string) (*engine, error)

// Trust is the operator's policy for drop-in files.
type Trust = trust.Policy

// Trust modes.
const (
	TrustEnforce = trust.Enforce // only what a listed key signed or Trust.Allow matches
	TrustWarn    = trust.Warn    // any file with a manifest, isolated, and says so in the log; the default
	TrustDev     = trust.Dev     // also raw modules without a manifest
)

// Item is the operator's setting for one plugin.
type Item struct {
	Disabled bool
	Priority int             // higher wins a part id; built-in parts have 0
	Config   []byte          // JSON for CONFIGURE; nil = {}
	Limits   Limits          // zero fields keep the host's
	Required bool            // without it the gateway shall not start; see Host.Missing
	Grants   declared.Grants // beyond what the lock file has

	// Isolation says how much the plugin's streams share: "shared", "stream" or
	// "call"; "" = what its manifest and its trust come to.
	Isolation string

	// Unmetered runs the plugin as it is. It is a little faster, and can neither
	// be stopped nor interrupted: for plugins known to end only.
	Unmetered bool
}
