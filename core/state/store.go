package state

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors that every engine returns for the same reasons.
var (
	// ErrNotFound: the key does not exist or has expired.
	ErrNotFound = errors.New("state: not found")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("state: store is closed")
	// ErrReadOnly: the store was opened, or has become, read-only.
	ErrReadOnly = errors.New("state: store is read-only")
	// ErrWrongKey: the encryption key is not the one the data was written with.
	ErrWrongKey = errors.New("state: the storage key does not match the data")
	// ErrTooLarge: a key, a value or a batch is larger than the engine takes.
	ErrTooLarge = errors.New("state: value too large")
	// ErrDiskFull: the disk has no room; what was acknowledged before is safe.
	ErrDiskFull = errors.New("state: the disk is full")
	// ErrDamaged: data on disk is not what was written.
	ErrDamaged = errors.New("state: the data is damaged")
	// ErrNotCounter: Add met a value that Add did not write.
	ErrNotCounter = errors.New("state: value is not a counter")
)

// LockedError says that another process holds the data directory.
type LockedError struct {
	Dir string
	PID int // 0 if unknown
}

func (e *LockedError) Error() string {
	if e.PID > 0 {
		return fmt.Sprintf("state: %s is in use by process %d", e.Dir, e.PID)
	}
	return fmt.Sprintf("state: %s is in use by another process", e.Dir)
}

// VersionError says that the data was written by a newer release.
type VersionError struct{ Have, Support int }

func (e *VersionError) Error() string {
	return fmt.Sprintf("state: the data has version %d, this release supports up to %d; use a newer release or restore a backup", e.Have, e.Support)
}

// Limits every engine accepts.
const (
	MaxKey   = 4 << 10
	MaxValue = 16 << 20
	// MaxBatchOps and MaxBatchBytes bound one batch: its writes, and the sum of
	// keys and values, of each value at most MaxInline bytes counted. Engines may
	// take more.
	MaxBatchOps   = 2000
	MaxBatchBytes = 256 << 10
	MaxInline     = 4 << 10
)

// Entry is one key with its value. Value belongs to the receiver.
type Entry struct {
	Key   string
	Value []byte
	// Expires is zero for a key that stays.
	Expires time.Time
}

// Query selects keys in byte order.
type Query struct {
	Prefix string
	// After starts behind this key (exclusive); with Reverse, before it.
	After   string
	Reverse bool
	// Limit ends the scan after so many entries; 0 = no limit.
	Limit int
	// KeysOnly leaves Entry.Value nil.
	KeysOnly bool
}

// Change is one entry of the change feed.
type Change struct {
	Key     string
	Value   []byte // nil when Deleted
	Deleted bool
	// Lost marks a gap: the subscriber was too slow and must read its prefix
	// again. The other fields are empty.
	Lost bool
}

// Store is the contract. All methods are safe for concurrent use. A ttl of 0
// means that the key stays; expiry has a precision of one second.
type Store interface {
	// Get returns the value (the caller's to keep) or ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, error)
	// Scan calls fn for each live key of q in order, over one consistent
	// snapshot. An error from fn ends the scan and is returned; ErrStop ends it
	// quietly. fn may call the store.
	Scan(ctx context.Context, q Query, fn func(Entry) error) error
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Delete removes a key; a missing key is no error.
	Delete(ctx context.Context, key string) error
	// CompareAndSwap writes value if the present value equals old; old nil
	// means that the key must not exist. value nil deletes. It reports whether
	// it wrote.
	CompareAndSwap(ctx context.Context, key string, old, value []byte, ttl time.Duration) (bool, error)
	// Add adds delta to the counter at key (missing = 0) and returns the sum.
	// The value is an int64 in big-endian order, see Counter. The ttl is set
	// anew on every call.
	Add(ctx context.Context, key string, delta int64, ttl time.Duration) (int64, error)
	// Append stores value under log + "/" + a new id and returns the id. Ids of
	// one process ascend strictly and are close to wall-clock order.
	Append(ctx context.Context, log string, value []byte, ttl time.Duration) (string, error)
	// Apply writes a whole batch or nothing of it.
	Apply(ctx context.Context, b *Batch) error
	// Changes reports writes under prefix that happen after the call, until ctx
	// ends (the channel is closed then). Expiry is not reported.
	Changes(ctx context.Context, prefix string) (<-chan Change, error)
	// Sync makes everything written so far survive the loss of power.
	Sync(ctx context.Context) error
	// Size estimates the bytes the data takes on disk, at most a few minutes
	// old (0 in memory).
	Size() int64
	Close() error
}

// ErrStop ends a Scan without an error.
var ErrStop = errors.New("state: stop")

// Batch collects writes for Apply. The zero value is ready.
type Batch struct {
	// Durable makes Apply return only when the batch survives the loss of power.
	Durable bool
	ops     []op
	bytes   int
}

type opKind uint8

const (
	opPut opKind = iota
	opDelete
	opAdd
)

type op struct {
	kind  opKind
	key   string
	value []byte
	delta int64
	ttl   time.Duration
}

// Put adds a write. The value must not be changed afterwards.
func (b *Batch) Put(key string, value []byte, ttl time.Duration) {
	b.bytes += len(key) + min(len(value), MaxInline)
	b.ops = append(b.ops, op{kind: opPut, key: key, value: value, ttl: ttl})
}

// Delete adds a removal.
func (b *Batch) Delete(key string) {
	b.bytes += len(key)
	b.ops = append(b.ops, op{kind: opDelete, key: key})
}

// Add adds an increment of a counter.
func (b *Batch) Add(key string, delta int64, ttl time.Duration) {
	b.bytes += len(key) + 8
	b.ops = append(b.ops, op{kind: opAdd, key: key, delta: delta, ttl: ttl})
}

// Len is the number of writes.
func (b *Batch) Len() int { return len(b.ops) }

// Full reports that a batch has half of what every engine takes: the moment to
// apply it for a caller who adds a few writes at a time.
func (b *Batch) Full() bool { return len(b.ops) >= MaxBatchOps/2 || b.bytes >= MaxBatchBytes/2 }

// Reset empties the batch for reuse.
func (b *Batch) Reset() { b.ops, b.Durable, b.bytes = b.ops[:0], false, 0 }
