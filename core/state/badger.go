package state

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Sizes of the embedded engine. They are small because the gateway's working
// set is small and its memory at rest is part of the promise.
const (
	memTableSize  = 4 << 20
	logFileSize   = 32 << 20
	cacheSize     = 2 << 20
	inlineValue   = MaxInline // larger values live in the value log
	gcEvery       = 10 * time.Minute
	gcRatio       = 0.5
	counterLocks  = 64
	conflictTries = 1000
)

// BadgerOptions tunes the embedded engine. The zero value suits a gateway.
type BadgerOptions struct {
	ReadOnly bool
	// OnError is told of failures of background work; nil drops them.
	OnError func(error)
	// Now is the clock of ids; nil = time.Now.
	Now func() time.Time
	// Free tells how many bytes of disk are left; nil asks the file system.
	Free func() (int64, error)
}

type badgerStore struct {
	db       *badger.DB
	opt      BadgerOptions
	feed     feed
	ids      *IDSource
	seed     maphash.Seed
	counters [counterLocks]sync.Mutex // Add and CompareAndSwap of one key take turns
	closed   atomic.Bool
	quit     chan struct{}
	gc       sync.WaitGroup

	free, freeAt             atomic.Int64
	gcRuns, gcFailed, lastGC atomic.Int64
	refused                  atomic.Int64
}

// OpenBadger opens or creates the embedded engine in dir. Everything on disk,
// keys and values, is encrypted with AES under key (32 bytes).
//
// Errors: ErrWrongKey, *LockedError, ErrReadOnly, ErrDiskFull, *VersionError, or
// ErrDamaged.
func OpenBadger(dir string, key []byte, opt BadgerOptions) (Store, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("state: the storage key has %d bytes, want 32", len(key))
	}
	if opt.OnError == nil {
		opt.OnError = func(error) {}
	}
	o := badger.DefaultOptions(dir).
		WithLogger(nil).
		WithMetricsEnabled(false).
		WithReadOnly(opt.ReadOnly).
		WithEncryptionKey(key).
		WithMemTableSize(memTableSize).
		WithNumMemtables(2).
		WithValueLogFileSize(logFileSize).
		WithValueThreshold(inlineValue).
		WithBlockCacheSize(cacheSize).
		WithIndexCacheSize(cacheSize).
		WithNumCompactors(2).
		WithNumGoroutines(2).
		WithCompression(options.Snappy).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithVerifyValueChecksum(true).
		WithCompactL0OnClose(false)
	if opt.Free == nil {
		opt.Free = func() (int64, error) { return freeSpace(dir) }
	}
	db, err := openGuarded(o)
	if err != nil {
		return nil, openError(dir, err)
	}
	s := &badgerStore{db: db, opt: opt, ids: NewIDSource(opt.Now), seed: maphash.MakeSeed(), quit: make(chan struct{})}
	s.free.Store(math.MaxInt64)
	if err := checkVersion(context.Background(), s, opt.ReadOnly); err != nil {
		_ = guard(db.Close) // the first error tells why
		return nil, err
	}
	if !opt.ReadOnly {
		s.gc.Go(s.collect)
	}
	return s, nil
}

// openGuarded opens the engine. Damaged files make it panic as well as fail.
func openGuarded(o badger.Options) (db *badger.DB, err error) {
	if err := checkTables(o.Dir); err != nil {
		return nil, err
	}
	err = guard(func() (err error) {
		db, err = badger.Open(o)
		return err
	})
	return db, err
}

func openError(dir string, err error) error {
	switch text := err.Error(); {
	case errors.Is(err, badger.ErrEncryptionKeyMismatch), errors.Is(err, badger.ErrInvalidEncryptionKey):
		return fmt.Errorf("%w (%s): set OMNIROUTE_STORAGE_KEY to the key it was written with, or bring back secrets.json", ErrWrongKey, dir)
	case strings.Contains(text, "Another process is using this Badger database"):
		return &LockedError{Dir: dir}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, errReadOnlyFS), strings.Contains(text, "permission denied"):
		return fmt.Errorf("%w: %s: %w", ErrReadOnly, dir, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %s: %w", ErrDiskFull, dir, err)
	case errors.Is(err, ErrDamaged):
		return fmt.Errorf("%w in %s: see `omniroute doctor`, or restore a backup", err, dir)
	default:
		return fmt.Errorf("%w: the files in %s cannot be opened: %w; see `omniroute doctor`, or restore a backup", ErrDamaged, dir, err)
	}
}

// collect frees the space of overwritten values now and then.
func (s *badgerStore) collect() {
	tick := time.NewTicker(gcEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.quit:
			return
		case <-tick.C:
		}
		if err := s.freeValues(context.Background(), gcRatio); err != nil {
			s.opt.OnError(fmt.Errorf("state: value log: %w", err))
		}
	}
}

// fail turns the engine's errors into those of the contract.
func fail(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, badger.ErrKeyNotFound):
		return ErrNotFound
	case errors.Is(err, badger.ErrTxnTooBig):
		return ErrTooLarge
	case errors.Is(err, badger.ErrReadOnlyTxn), errors.Is(err, badger.ErrBlockedWrites):
		return ErrReadOnly
	case errors.Is(err, badger.ErrDBClosed):
		return ErrClosed
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	default:
		return err
	}
}

func (s *badgerStore) usable(ctx context.Context) error {
	if s.closed.Load() {
		return ErrClosed
	}
	return ctx.Err()
}

func (s *badgerStore) Get(ctx context.Context, key string) ([]byte, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var value []byte
	err := s.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get([]byte(key))
		if err != nil {
			return err
		}
		value, err = valueOf(item)
		return err
	})
	if err != nil {
		return nil, fail(err)
	}
	return value, nil
}

// valueOf copies a value. The engine gives nothing, and no error, for one that it
// cannot read any more.
func valueOf(item *badger.Item) ([]byte, error) {
	value, err := item.ValueCopy(nil)
	if err == nil && len(value) == 0 && item.ValueSize() >= inlineValue/2 {
		err = fmt.Errorf("%w: the value of %q cannot be read", ErrDamaged, item.Key())
	}
	return nonNil(value), err
}

func (s *badgerStore) Scan(ctx context.Context, q Query, fn func(Entry) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	err := s.db.View(func(txn *badger.Txn) error {
		o := badger.IteratorOptions{Prefix: []byte(q.Prefix), Reverse: q.Reverse, PrefetchValues: !q.KeysOnly, PrefetchSize: 16}
		it := txn.NewIterator(o)
		defer it.Close()
		seekScan(it, q)
		for n := 0; it.ValidForPrefix(o.Prefix) && (q.Limit == 0 || n < q.Limit); it.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			item := it.Item()
			if q.After != "" && string(item.Key()) == q.After {
				continue
			}
			e := Entry{Key: string(item.KeyCopy(nil))}
			if at := item.ExpiresAt(); at > 0 {
				e.Expires = time.Unix(int64(at), 0)
			}
			if !q.KeysOnly {
				value, err := valueOf(item)
				if err != nil {
					return err
				}
				e.Value = value
			}
			if err := fn(e); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if errors.Is(err, ErrStop) {
		return nil
	}
	return fail(err)
}

// seekScan puts the iterator on the first key of q, or on q.After itself.
func seekScan(it *badger.Iterator, q Query) {
	inside := q.After != "" && strings.HasPrefix(q.After, q.Prefix)
	switch {
	case inside:
		it.Seek([]byte(q.After))
	case q.Reverse && q.After != "" && q.After < q.Prefix, !q.Reverse && q.After > q.Prefix:
		it.Seek([]byte(q.After)) // the whole prefix lies on the other side
	case q.Reverse:
		it.Seek(append([]byte(q.Prefix), 0xff, 0xff, 0xff, 0xff))
	default:
		it.Seek([]byte(q.Prefix))
	}
}

func (s *badgerStore) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	var b Batch
	b.Put(key, value, ttl)
	return s.Apply(ctx, &b)
}

func (s *badgerStore) Delete(ctx context.Context, key string) error {
	var b Batch
	b.Delete(key)
	return s.Apply(ctx, &b)
}

func (s *badgerStore) Apply(ctx context.Context, b *Batch) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if s.opt.ReadOnly {
		return ErrReadOnly
	}
	if err := checkOps(b.ops); err != nil {
		return err
	}
	if err := s.room(b.ops...); err != nil {
		return err
	}
	defer s.lockCounters(b.ops)()
	changes := make([]Change, 0, len(b.ops))
	err := s.feed.commit(func() []Change { return changes }, func() error {
		return s.update(ctx, func(txn *badger.Txn) error {
			changes = changes[:0]
			for i := range b.ops {
				c, err := s.write(txn, &b.ops[i])
				if err != nil {
					return err
				}
				changes = append(changes, c)
			}
			return nil
		})
	})
	if err != nil || !b.Durable {
		return err
	}
	return fail(s.db.Sync())
}

// update runs fn in a transaction and again when another one came between.
func (s *badgerStore) update(ctx context.Context, fn func(*badger.Txn) error) error {
	for range conflictTries {
		err := s.db.Update(fn)
		if !errors.Is(err, badger.ErrConflict) {
			return fail(err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return errors.New("state: too many conflicting writes")
}

func (s *badgerStore) write(txn *badger.Txn, o *op) (Change, error) {
	value := o.value
	switch o.kind {
	case opDelete:
		return Change{Key: o.key, Deleted: true}, txn.Delete([]byte(o.key))
	case opAdd:
		old, err := readTxn(txn, o.key)
		if err != nil {
			return Change{}, err
		}
		var sum int64
		if old != nil {
			if sum, err = Counter(old); err != nil {
				return Change{}, err
			}
		}
		value = counterValue(sum + o.delta)
	}
	return Change{Key: o.key, Value: value}, txn.SetEntry(entry(o.key, value, o.ttl))
}

// readTxn returns nil for a key that does not exist.
func readTxn(txn *badger.Txn, key string) ([]byte, error) {
	item, err := txn.Get([]byte(key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return valueOf(item)
}

func entry(key string, value []byte, ttl time.Duration) *badger.Entry {
	e := badger.NewEntry([]byte(key), value)
	if ttl > 0 {
		// The engine counts in whole seconds; round up so that nothing goes early.
		e.ExpiresAt = uint64(time.Now().Add(ttl + time.Second - 1).Unix())
	}
	return e
}

func (s *badgerStore) CompareAndSwap(ctx context.Context, key string, old, value []byte, ttl time.Duration) (bool, error) {
	if err := s.usable(ctx); err != nil {
		return false, err
	}
	if s.opt.ReadOnly {
		return false, ErrReadOnly
	}
	o := op{kind: opPut, key: key, value: value, ttl: ttl}
	if value == nil {
		o.kind = opDelete
	}
	if err := errors.Join(checkOps([]op{o}), s.room(o)); err != nil {
		return false, err
	}
	lock := &s.counters[s.shard(key)]
	lock.Lock()
	defer lock.Unlock()
	swapped := false
	var change []Change
	err := s.feed.commit(func() []Change { return change }, func() error {
		return s.update(ctx, func(txn *badger.Txn) error {
			swapped, change = false, nil
			have, err := readTxn(txn, key)
			if err != nil {
				return err
			}
			if !sameValue(have, old) {
				return nil
			}
			c, err := s.write(txn, &o)
			swapped, change = err == nil, []Change{c}
			return err
		})
	})
	return swapped && err == nil, err
}

func (s *badgerStore) Add(ctx context.Context, key string, delta int64, ttl time.Duration) (int64, error) {
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	if s.opt.ReadOnly {
		return 0, ErrReadOnly
	}
	o := op{kind: opAdd, key: key, delta: delta, ttl: ttl}
	if err := errors.Join(checkOps([]op{o}), s.room(o)); err != nil {
		return 0, err
	}
	lock := &s.counters[s.shard(key)]
	lock.Lock()
	defer lock.Unlock()
	var change Change
	err := s.feed.commit(func() []Change { return []Change{change} }, func() error {
		return s.update(ctx, func(txn *badger.Txn) (err error) {
			change, err = s.write(txn, &o)
			return err
		})
	})
	if err != nil {
		return 0, err
	}
	return Counter(change.Value)
}

func (s *badgerStore) Append(ctx context.Context, log string, value []byte, ttl time.Duration) (string, error) {
	id := s.ids.Next()
	return id, s.Put(ctx, log+"/"+id, value, ttl)
}

func (s *badgerStore) Changes(ctx context.Context, prefix string) (<-chan Change, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	return s.feed.subscribe(ctx, prefix)
}

func (s *badgerStore) Sync(ctx context.Context) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if s.opt.ReadOnly {
		return nil
	}
	return fail(s.db.Sync())
}

func (s *badgerStore) Size() int64 {
	if s.closed.Load() {
		return 0
	}
	lsm, log := s.db.Size()
	return lsm + log
}

func (s *badgerStore) Close() error {
	if !s.closed.CompareAndSwap(false, true) {
		return nil
	}
	close(s.quit)
	s.gc.Wait()
	s.feed.close()
	return fail(s.db.Close())
}

func (s *badgerStore) shard(key string) int {
	return int(maphash.String(s.seed, key) % counterLocks)
}

// lockCounters takes the locks of all counters of a batch, in one order so that
// two batches cannot wait for each other.
func (s *badgerStore) lockCounters(ops []op) (unlock func()) {
	var shards []int
	for i := range ops {
		if ops[i].kind == opAdd {
			shards = append(shards, s.shard(ops[i].key))
		}
	}
	slices.Sort(shards)
	shards = slices.Compact(shards)
	for _, i := range shards {
		s.counters[i].Lock()
	}
	return func() {
		for _, i := range shards {
			s.counters[i].Unlock()
		}
	}
}
