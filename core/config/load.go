package config

import (
	"context"
	"time"

	"github.com/omniroute/omniroute/core/fault"
)

// Options says what to load.
type Options struct {
	// Path of the file; "" = search, see Find. A missing file that was not
	// named explicitly gives the defaults.
	Path string
	// Env is the environment, as os.Environ gives it; nil = empty.
	Env []string
	// DataDir overrides server.data_dir and DATA_DIR (the --data-dir flag).
	DataDir string
}

// Snapshot is one loaded configuration. It never changes.
type Snapshot struct {
	File *File
	// Path is the absolute path of the file; "" when there is none.
	Path string
	// Hash identifies the content: file, includes and environment.
	Hash string
	// Policies are the policy layers: the file's own section, then includes.
	Policies []PolicySource
	// Warnings do not prevent the use of the snapshot.
	Warnings []fault.Diagnostic
	// Files that were read; Watch looks at their directories.
	Files []string
}

// Find gives the path of the file to use: explicit, else ./omniroute.yaml, else
// $XDG_CONFIG_HOME/omniroute/omniroute.yaml (or ~/.config). "" if none exists.
func Find(explicit string, env []string) string { panic("api") }

// Load reads, checks and layers everything. The snapshot is nil if and only if
// there are diagnostics.
func Load(opt Options) (*Snapshot, []fault.Diagnostic) { panic("api") }

// WatchOptions is what Watch needs beside Options.
type WatchOptions struct {
	Options
	// Current is the snapshot in use; equal content is not reported again.
	Current *Snapshot
	// Debounce is the quiet time after the last event; 0 = 250 ms.
	Debounce time.Duration
	// After is the clock; nil = time.After.
	After func(time.Duration) <-chan time.Time
	// OnChange gets each new result: a snapshot, or diagnostics and nil.
	OnChange func(*Snapshot, []fault.Diagnostic)
}

// Watch reports changes of the file and its includes until ctx ends.
func Watch(ctx context.Context, opt WatchOptions) error { panic("api") }
