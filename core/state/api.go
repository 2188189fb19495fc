package state

import (
	"time"
)

// Dir is a data directory: mode 0700, locked by one process.
type Dir struct{}

// OpenDir creates or opens the directory, takes its lock and checks that it can
// be written. "~" at the start is the home directory.
func OpenDir(path string) (*Dir, error) { panic("api") }

// Path joins names to the directory.
func (d *Dir) Path(names ...string) string { panic("api") }

// StorageKey returns the 32-byte key of the store: from given (64 hex digits or
// base64) if it is not empty, else from secrets.json (created with mode 0600).
func (d *Dir) StorageKey(given string) ([]byte, error) { panic("api") }

// Secret returns the secret called name from secrets.json, made of 32 random
// bytes (hex) at first use.
func (d *Dir) Secret(name string) (string, error) { panic("api") }

// MachineID is a stable id of this installation (32 hex digits).
func (d *Dir) MachineID() (string, error) { panic("api") }

// Close gives the lock back.
func (d *Dir) Close() error { panic("api") }

// BadgerOptions tunes the embedded engine. The zero value suits a gateway.
type BadgerOptions struct {
	ReadOnly bool
	// OnError is told of failures of background work; nil drops them.
	OnError func(error)
	// Now is the clock of ids; nil = time.Now.
	Now func() time.Time
}

// OpenBadger opens or creates the embedded engine in dir. key has 32 bytes.
func OpenBadger(dir string, key []byte, opt BadgerOptions) (Store, error) { panic("api") }

// NewMemory is an engine without a disk.
func NewMemory() Store { panic("api") }

// Key joins escaped segments below the generation of the layout.
func Key(kind string, segments ...string) string { panic("api") }

// Writer coalesces writes whose loss in the last moment is harmless.
type Writer struct{}

// NewWriter starts a write-behind queue over s; flush happens every 200 ms or
// 128 keys.
func NewWriter(s Store, opt WriterOptions) *Writer { panic("api") }

// WriterOptions tunes a Writer.
type WriterOptions struct {
	Every   time.Duration
	Max     int
	OnError func(error)
}

func (w *Writer) Put(key string, value []byte, ttl time.Duration) { panic("api") }
func (w *Writer) Delete(key string)                               { panic("api") }

// Flush writes what is queued and waits for it.
func (w *Writer) Flush() error { panic("api") }

// Close flushes and stops.
func (w *Writer) Close() error { panic("api") }
