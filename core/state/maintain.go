package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// Maintainer is what an engine with files of its own can do for itself beyond
// the contract of Store.
type Maintainer interface {
	// Stats tells sizes and how often space was freed.
	Stats() Stats
	// Compact rewrites tables and value logs until nothing more can be freed.
	Compact(ctx context.Context) error
	// Verify reads everything and checks checksums; ErrDamaged if one is wrong.
	Verify(ctx context.Context) (Verified, error)
}

// Stats describe an engine's files.
type Stats struct {
	Keys      int64 `json:"key_bytes"`   // tables: keys and small values
	Values    int64 `json:"value_bytes"` // value log
	Free      int64 `json:"free_bytes"`  // of the disk
	GCRuns    int64 `json:"gc_runs"`     // value log files rewritten
	GCFailed  int64 `json:"gc_failed"`
	Refused   int64 `json:"refused"` // writes refused because the disk is nearly full
	LastGC    int64 `json:"last_gc,omitempty"`
	Encrypted bool  `json:"encrypted"`
}

// Verified is what a check read.
type Verified struct {
	Entries int64 `json:"entries"`
	Bytes   int64 `json:"bytes"`
}

var _ Maintainer = (*badgerStore)(nil)

// minFree is how much of the disk the engine leaves alone. Its files are mapped
// into memory, and a write to a map without room behind it would end the process;
// so the engine refuses while there is still some.
const minFree = 64 << 20

// freeEvery is how old the figure of free space may be.
const freeEvery = time.Second

// room returns ErrDiskFull while the disk is nearly full. Removals pass: they are
// what makes room.
func (s *badgerStore) room(ops ...op) error {
	if !slices.ContainsFunc(ops, func(o op) bool { return o.kind != opDelete }) {
		return nil
	}
	now := time.Now().UnixNano()
	if last := s.freeAt.Load(); now-last > int64(freeEvery) && s.freeAt.CompareAndSwap(last, now) {
		if free, err := s.opt.Free(); err == nil {
			s.free.Store(free)
		}
	}
	if free := s.free.Load(); free < minFree {
		s.refused.Add(1)
		return fmt.Errorf("%w: %d MiB are left where the data lies, %d are needed", ErrDiskFull, free>>20, int64(minFree)>>20)
	}
	return nil
}

// Stats implements Maintainer.
func (s *badgerStore) Stats() Stats {
	st := Stats{Free: s.free.Load(), GCRuns: s.gcRuns.Load(), GCFailed: s.gcFailed.Load(), Refused: s.refused.Load(), LastGC: s.lastGC.Load(), Encrypted: true}
	if !s.closed.Load() {
		st.Keys, st.Values = s.db.Size()
	}
	return st
}

// Compact implements Maintainer.
func (s *badgerStore) Compact(ctx context.Context) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if s.opt.ReadOnly {
		return ErrReadOnly
	}
	if err := s.db.Flatten(2); err != nil {
		return fail(err)
	}
	return s.freeValues(ctx, 0.1)
}

// freeValues rewrites value log files of which a part is garbage.
func (s *badgerStore) freeValues(ctx context.Context, ratio float64) error {
	for ctx.Err() == nil {
		err := s.db.RunValueLogGC(ratio)
		switch {
		case err == nil:
			s.gcRuns.Add(1)
			s.lastGC.Store(time.Now().Unix())
		case errors.Is(err, badger.ErrNoRewrite), errors.Is(err, badger.ErrRejected):
			return nil
		default:
			s.gcFailed.Add(1)
			return fail(err)
		}
	}
	return ctx.Err()
}

// Verify implements Maintainer.
func (s *badgerStore) Verify(ctx context.Context) (v Verified, err error) {
	if err := s.usable(ctx); err != nil {
		return v, err
	}
	if err := guard(s.db.VerifyChecksum); err != nil {
		return v, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	err = guard(func() error {
		return s.Scan(ctx, Query{}, func(e Entry) error {
			v.Entries++
			v.Bytes += int64(len(e.Key) + len(e.Value))
			return nil
		})
	})
	if err != nil && ctx.Err() == nil && !errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return v, err
}

// guard turns a panic of the engine, which damaged files can cause, into an error.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, v)
		}
	}()
	return f()
}
