package health

import (
	"context"
	"time"

	json "github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/state"
)

// Kinds of stored entries.
const (
	kindBreaker = "d/brk"
	kindLockout = "d/lock"
	kindBan     = "d/ban"
	kindLimit   = "d/lim"
	kindCache   = "d/cache"
)

// keeper writes what shall outlive the process. A nil one writes nothing.
type keeper struct {
	store  state.Store
	writer *state.Writer
}

func newKeeper(opt Options) *keeper {
	if opt.Store == nil {
		return nil
	}
	return &keeper{store: opt.Store, writer: opt.Writer}
}

// put queues a write whose loss in the last moment is harmless; v nil deletes.
func (k *keeper) put(key string, v any, ttl time.Duration) {
	if k == nil {
		return
	}
	var raw []byte
	if v != nil {
		var err error
		if raw, err = json.Marshal(v); err != nil {
			return // plain values only
		}
	}
	k.raw(key, raw, ttl)
}

// raw is put for what is encoded already; nil deletes.
func (k *keeper) raw(key string, value []byte, ttl time.Duration) {
	switch {
	case k == nil:
	case k.writer != nil && value == nil:
		k.writer.Delete(key)
	case k.writer != nil:
		k.writer.Put(key, value, ttl)
	case value == nil:
		_ = k.store.Delete(context.Background(), key)
	default:
		_ = k.store.Put(context.Background(), key, value, ttl)
	}
}

// putNow writes before it returns: the next start must know. The write is queued
// as well, over an older one that waits there, and again should this one fail.
func (k *keeper) putNow(key string, v any, ttl time.Duration) {
	if k == nil {
		return
	}
	k.put(key, v, ttl)
	if k.writer == nil {
		return
	}
	b := state.Batch{Durable: true}
	if v == nil {
		b.Delete(key)
	} else if raw, err := json.Marshal(v); err == nil {
		b.Put(key, raw, ttl)
	}
	_ = k.store.Apply(context.Background(), &b)
}

// flush writes what is queued.
func (k *keeper) flush() {
	if k.writer != nil {
		_ = k.writer.Flush() // the writer reports its own failures
	}
}

// each reads the entries of a kind. What cannot be read is left out: learnt
// facts are worth no failure of a start.
func each[T any](ctx context.Context, k *keeper, kind string, use func(name string, v *T)) error {
	prefix := state.Prefix(kind)
	return k.store.Scan(ctx, state.Query{Prefix: prefix}, func(e state.Entry) error {
		name, ok := state.Segments(prefix, e.Key)
		v := new(T)
		if ok && len(name) == 1 && json.Unmarshal(e.Value, v) == nil {
			use(name[0], v)
		}
		return nil
	})
}

// Restore reads what an earlier process learnt: breakers, lockouts, bans and
// limits. Without a store it does nothing. Ends that lie further away than they
// were meant to come from a clock that was wrong, and are moved closer.
func (h *Health) Restore(ctx context.Context) error {
	k := h.Breakers.keep
	if k == nil {
		return nil
	}
	if err := each(ctx, k, kindBreaker, h.Breakers.restore); err != nil {
		return err
	}
	if err := each(ctx, k, kindLockout, h.Lockouts.restore); err != nil {
		return err
	}
	if err := each(ctx, k, kindBan, h.Bans.restore); err != nil {
		return err
	}
	return each(ctx, k, kindLimit, h.Limits.restore)
}

// closer bounds an end by the length it was meant to have from now.
func closer(until, now time.Time, length time.Duration) time.Time {
	if until.Sub(now) > length {
		return now.Add(length)
	}
	return until
}
