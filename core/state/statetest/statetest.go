// Package statetest is the contract of state.Store as tests. An engine passes
// them with one line:
//
//	func TestContract(t *testing.T) { statetest.Run(t, func(t *testing.T) state.Store { … }) }
package statetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/state"
)

// Open makes an empty store for one test; the suite closes it.
type Open func(t *testing.T) state.Store

// Run checks an engine against the whole contract.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, state.Store)
	}{
		{"GetPutDelete", getPutDelete},
		{"ValuesAreCopies", valuesAreCopies},
		{"Expiry", expiry},
		{"Scan", scan},
		{"ScanSnapshot", scanSnapshot},
		{"CompareAndSwap", compareAndSwap},
		{"CompareAndSwapRace", compareAndSwapRace},
		{"Add", add},
		{"AddRace", addRace},
		{"Append", appendLog},
		{"Batch", batch},
		{"BatchIsAtomic", batchIsAtomic},
		{"Changes", changes},
		{"SlowSubscriber", slowSubscriber},
		{"Limits", limits},
		{"BatchBounds", batchBounds},
		{"ScanByPieces", scanByPieces},
		{"ConcurrentBatches", concurrentBatches},
		{"SwapWithTTL", swapWithTTL},
		{"Context", cancelled},
		{"Closed", closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			defer func() { require.NoError(t, s.Close()) }()
			c.test(t, s)
		})
	}
}

func getPutDelete(t *testing.T, s state.Store) {
	ctx := t.Context()
	_, err := s.Get(ctx, "1/x")
	require.ErrorIs(t, err, state.ErrNotFound)
	require.NoError(t, s.Put(ctx, "1/x", []byte("a"), 0))
	require.NoError(t, s.Put(ctx, "1/x", []byte("b"), 0))
	require.Equal(t, "b", get(t, s, "1/x"))
	require.NoError(t, s.Put(ctx, "1/empty", nil, 0))
	v, err := s.Get(ctx, "1/empty")
	require.NoError(t, err)
	require.NotNil(t, v)
	require.Empty(t, v)
	require.NoError(t, s.Delete(ctx, "1/x"))
	require.NoError(t, s.Delete(ctx, "1/x"), "a missing key is no error")
	_, err = s.Get(ctx, "1/x")
	require.ErrorIs(t, err, state.ErrNotFound)
	big := make([]byte, 2<<20)
	big[len(big)-1] = 7
	require.NoError(t, s.Put(ctx, "1/big", big, 0))
	require.Equal(t, string(big), get(t, s, "1/big"))
	require.NoError(t, s.Sync(ctx))
}

func valuesAreCopies(t *testing.T, s state.Store) {
	require.NoError(t, s.Put(t.Context(), "1/x", []byte("abc"), 0))
	v, err := s.Get(t.Context(), "1/x")
	require.NoError(t, err)
	v[0] = 'X'
	require.Equal(t, "abc", get(t, s, "1/x"))
}

func expiry(t *testing.T, s state.Store) {
	ctx := t.Context()
	require.NoError(t, s.Put(ctx, "1/e/gone", []byte("a"), time.Second))
	require.NoError(t, s.Put(ctx, "1/e/stays", []byte("b"), time.Hour))
	require.Equal(t, "a", get(t, s, "1/e/gone"))
	require.Eventually(t, func() bool {
		_, err := s.Get(ctx, "1/e/gone")
		return errors.Is(err, state.ErrNotFound)
	}, 5*time.Second, 20*time.Millisecond)
	entries := all(t, s, state.Query{Prefix: "1/e/"})
	require.Len(t, entries, 1)
	require.WithinDuration(t, time.Now().Add(time.Hour), entries[0].Expires, 2*time.Minute)
	ok, err := s.CompareAndSwap(ctx, "1/e/gone", nil, []byte("new"), 0)
	require.NoError(t, err)
	require.True(t, ok, "an expired key does not exist")
	require.NoError(t, s.Put(ctx, "1/e/stays", []byte("c"), 0))
	require.True(t, all(t, s, state.Query{Prefix: "1/e/stays"})[0].Expires.IsZero(), "a later write without ttl stays")
}

func scan(t *testing.T, s state.Store) {
	for _, k := range []string{"1/a/1", "1/b/1", "1/b/2", "1/b/3", "1/b2", "1/c/1"} {
		require.NoError(t, s.Put(t.Context(), k, []byte("v"+k), 0))
	}
	for _, c := range []struct {
		name string
		q    state.Query
		want []string
	}{
		{"prefix", state.Query{Prefix: "1/b/"}, []string{"1/b/1", "1/b/2", "1/b/3"}},
		{"reverse", state.Query{Prefix: "1/b/", Reverse: true}, []string{"1/b/3", "1/b/2", "1/b/1"}},
		{"limit", state.Query{Prefix: "1/b/", Limit: 2}, []string{"1/b/1", "1/b/2"}},
		{"after", state.Query{Prefix: "1/b/", After: "1/b/1"}, []string{"1/b/2", "1/b/3"}},
		{"after a key that is gone", state.Query{Prefix: "1/b/", After: "1/b/11"}, []string{"1/b/2", "1/b/3"}},
		{"after before the prefix", state.Query{Prefix: "1/b/", After: "1/a"}, []string{"1/b/1", "1/b/2", "1/b/3"}},
		{"after behind the prefix", state.Query{Prefix: "1/b/", After: "1/z"}, nil},
		{"before", state.Query{Prefix: "1/b/", After: "1/b/3", Reverse: true}, []string{"1/b/2", "1/b/1"}},
		{"before, limited", state.Query{Prefix: "1/b/", After: "1/b/3", Reverse: true, Limit: 1}, []string{"1/b/2"}},
		{"before the prefix", state.Query{Prefix: "1/b/", After: "1/a", Reverse: true}, nil},
		{"nothing", state.Query{Prefix: "1/x"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, e := range all(t, s, c.q) {
				require.Equal(t, "v"+e.Key, string(e.Value))
				got = append(got, e.Key)
			}
			require.Equal(t, c.want, got)
		})
	}
	keys := all(t, s, state.Query{Prefix: "1/b/", KeysOnly: true})
	require.Len(t, keys, 3)
	require.Nil(t, keys[0].Value)

	n := 0
	require.NoError(t, s.Scan(t.Context(), state.Query{Prefix: "1/"}, func(state.Entry) error { n++; return state.ErrStop }))
	require.Equal(t, 1, n)
	boom := errors.New("boom")
	require.ErrorIs(t, s.Scan(t.Context(), state.Query{Prefix: "1/"}, func(state.Entry) error { return boom }), boom)
}

func scanSnapshot(t *testing.T, s state.Store) {
	ctx := t.Context()
	for i := range 10 {
		require.NoError(t, s.Put(ctx, fmt.Sprintf("1/s/%d", i), []byte("old"), 0))
	}
	n := 0
	require.NoError(t, s.Scan(ctx, state.Query{Prefix: "1/s/"}, func(e state.Entry) error {
		n++
		if err := s.Put(ctx, "1/s/5", []byte("new"), 0); err != nil {
			return err
		}
		if err := s.Put(ctx, "1/s/99", []byte("new"), 0); err != nil {
			return err
		}
		require.Equal(t, "old", string(e.Value))
		return nil
	}))
	require.Equal(t, 10, n)
}

func compareAndSwap(t *testing.T, s state.Store) {
	ctx := t.Context()
	swap := func(old, value []byte) bool {
		ok, err := s.CompareAndSwap(ctx, "1/x", old, value, 0)
		require.NoError(t, err)
		return ok
	}
	require.False(t, swap([]byte("a"), []byte("b")), "missing")
	require.True(t, swap(nil, []byte("a")))
	require.False(t, swap(nil, []byte("b")), "exists")
	require.False(t, swap([]byte("x"), []byte("b")))
	require.True(t, swap([]byte("a"), []byte("b")))
	require.Equal(t, "b", get(t, s, "1/x"))
	require.True(t, swap([]byte("b"), nil))
	_, err := s.Get(ctx, "1/x")
	require.ErrorIs(t, err, state.ErrNotFound)
}

func compareAndSwapRace(t *testing.T, s state.Store) {
	ctx := t.Context()
	require.NoError(t, s.Put(ctx, "1/n", []byte("0"), 0))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for done := 0; done < 20; {
				old, err := s.Get(ctx, "1/n")
				if err != nil {
					t.Error(err)
					return
				}
				n, _ := strconv.Atoi(string(old))
				ok, err := s.CompareAndSwap(ctx, "1/n", old, []byte(strconv.Itoa(n+1)), 0)
				if err != nil {
					t.Error(err)
					return
				}
				if ok {
					done++
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, "160", get(t, s, "1/n"))
}

func add(t *testing.T, s state.Store) {
	ctx := t.Context()
	n, err := s.Add(ctx, "1/c", 5, 0)
	require.NoError(t, err)
	require.EqualValues(t, 5, n)
	n, err = s.Add(ctx, "1/c", -8, time.Hour)
	require.NoError(t, err)
	require.EqualValues(t, -3, n)
	raw, err := s.Get(ctx, "1/c")
	require.NoError(t, err)
	n, err = state.Counter(raw)
	require.NoError(t, err)
	require.EqualValues(t, -3, n)
	require.NoError(t, s.Put(ctx, "1/text", []byte("abc"), 0))
	_, err = s.Add(ctx, "1/text", 1, 0)
	require.ErrorIs(t, err, state.ErrNotCounter)
	require.Equal(t, "abc", get(t, s, "1/text"))
}

func addRace(t *testing.T, s state.Store) {
	ctx := t.Context()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				if _, err := s.Add(ctx, "1/c", 1, 0); err != nil {
					t.Error(err)
				}
				var b state.Batch
				b.Add("1/c", 2, 0)
				b.Add("1/d", 1, 0)
				if err := s.Apply(ctx, &b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	n, err := s.Add(ctx, "1/c", 0, 0)
	require.NoError(t, err)
	require.EqualValues(t, 600, n)
	n, err = s.Add(ctx, "1/d", 0, 0)
	require.NoError(t, err)
	require.EqualValues(t, 200, n)
}

func appendLog(t *testing.T, s state.Store) {
	ctx := t.Context()
	var ids []string
	for i := range 50 {
		id, err := s.Append(ctx, "1/log", []byte(strconv.Itoa(i)), 0)
		require.NoError(t, err)
		ids = append(ids, id)
	}
	require.True(t, slices.IsSorted(ids))
	require.Len(t, slices.Compact(slices.Clone(ids)), 50)
	entries := all(t, s, state.Query{Prefix: "1/log/"})
	require.Len(t, entries, 50)
	for i, e := range entries {
		require.Equal(t, "1/log/"+ids[i], e.Key)
		require.Equal(t, strconv.Itoa(i), string(e.Value))
	}
}

func batch(t *testing.T, s state.Store) {
	ctx := t.Context()
	require.NoError(t, s.Apply(ctx, &state.Batch{}), "empty")
	b := state.Batch{Durable: true}
	b.Put("1/a", []byte("1"), 0)
	b.Put("1/b", []byte("2"), 0)
	b.Delete("1/b")
	b.Add("1/n", 4, 0)
	b.Add("1/n", 5, 0)
	require.Equal(t, 5, b.Len())
	require.NoError(t, s.Apply(ctx, &b))
	require.Equal(t, "1", get(t, s, "1/a"))
	_, err := s.Get(ctx, "1/b")
	require.ErrorIs(t, err, state.ErrNotFound)
	n, err := s.Add(ctx, "1/n", 0, 0)
	require.NoError(t, err)
	require.EqualValues(t, 9, n)
	b.Reset()
	require.Zero(t, b.Len())
}

func batchIsAtomic(t *testing.T, s state.Store) {
	ctx := t.Context()
	require.NoError(t, s.Put(ctx, "1/text", []byte("abc"), 0))
	var b state.Batch
	b.Put("1/new", []byte("x"), 0)
	b.Add("1/text", 1, 0)
	require.ErrorIs(t, s.Apply(ctx, &b), state.ErrNotCounter)
	_, err := s.Get(ctx, "1/new")
	require.ErrorIs(t, err, state.ErrNotFound)
}

func changes(t *testing.T, s state.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.NoError(t, s.Put(ctx, "1/w/before", []byte("x"), 0))
	ch, err := s.Changes(ctx, "1/w/")
	require.NoError(t, err)
	require.NoError(t, s.Put(ctx, "1/other", []byte("x"), 0))
	require.NoError(t, s.Put(ctx, "1/w/a", []byte("1"), 0))
	require.NoError(t, s.Delete(ctx, "1/w/a"))
	_, err = s.Add(ctx, "1/w/n", 3, 0)
	require.NoError(t, err)
	_, err = s.CompareAndSwap(ctx, "1/w/c", []byte("no"), []byte("x"), 0)
	require.NoError(t, err)
	_, err = s.CompareAndSwap(ctx, "1/w/c", nil, []byte("yes"), 0)
	require.NoError(t, err)
	want := []state.Change{{Key: "1/w/a", Value: []byte("1")}, {Key: "1/w/a", Deleted: true}}
	require.Equal(t, want[0], next(t, ch))
	require.Equal(t, want[1], next(t, ch))
	c := next(t, ch)
	require.Equal(t, "1/w/n", c.Key)
	n, err := state.Counter(c.Value)
	require.NoError(t, err)
	require.EqualValues(t, 3, n)
	require.Equal(t, state.Change{Key: "1/w/c", Value: []byte("yes")}, next(t, ch))
	cancel()
	require.Eventually(t, func() bool { _, open := <-ch; return !open }, 5*time.Second, time.Millisecond)
}

func slowSubscriber(t *testing.T, s state.Store) {
	ctx := t.Context()
	ch, err := s.Changes(ctx, "1/w/")
	require.NoError(t, err)
	var b state.Batch
	for i := range 5000 {
		b.Put("1/w/"+strconv.Itoa(i), []byte("x"), 0)
	}
	require.NoError(t, s.Apply(ctx, &b), "a slow reader blocks nobody")
	for range 100 {
		next(t, ch)
	}
	lost := false
	for i := 0; !lost && i < 10_000; i++ {
		require.NoError(t, s.Put(ctx, "1/w/x", []byte("x"), 0))
		lost = next(t, ch).Lost
	}
	require.True(t, lost, "the gap is told")
}

func limits(t *testing.T, s state.Store) {
	ctx := t.Context()
	require.ErrorIs(t, s.Put(ctx, "", []byte("x"), 0), state.ErrTooLarge)
	require.ErrorIs(t, s.Put(ctx, string(make([]byte, state.MaxKey+1)), []byte("x"), 0), state.ErrTooLarge)
	require.ErrorIs(t, s.Put(ctx, "1/x", make([]byte, state.MaxValue+1), 0), state.ErrTooLarge)
}

// What the contract promises to take, it takes: in one batch, whole.
func batchBounds(t *testing.T, s state.Store) {
	var b state.Batch
	for i := range state.MaxBatchOps {
		b.Put(fmt.Sprintf("1/many/%05d", i), []byte("x"), 0)
	}
	require.True(t, b.Full())
	require.NoError(t, s.Apply(t.Context(), &b))
	require.Len(t, all(t, s, state.Query{Prefix: "1/many/", KeysOnly: true}), state.MaxBatchOps)
	b.Reset()
	require.False(t, b.Full())
	value := make([]byte, state.MaxInline)
	for n := 0; n+state.MaxInline+16 <= state.MaxBatchBytes; n += state.MaxInline + 16 {
		b.Put(fmt.Sprintf("1/large/%08d", n), value, time.Hour)
	}
	require.True(t, b.Full())
	require.NoError(t, s.Apply(t.Context(), &b))
	require.Len(t, all(t, s, state.Query{Prefix: "1/large/", KeysOnly: true}), b.Len())
	b.Reset()
	for i := range 8 {
		b.Put(fmt.Sprintf("1/huge/%d", i), make([]byte, state.MaxValue/8), 0)
	}
	require.NoError(t, s.Apply(t.Context(), &b), "of a large value only a part counts")
}

// Reading a range in pieces, each after the last key of the one before, gives
// what one scan gives.
func scanByPieces(t *testing.T, s state.Store) {
	var want []string
	for i := range 100 {
		k := fmt.Sprintf("1/p/%03d", i)
		want = append(want, k)
		require.NoError(t, s.Put(t.Context(), k, []byte{byte(i)}, 0))
	}
	for _, reverse := range []bool{false, true} {
		var got []string
		for q := (state.Query{Prefix: "1/p/", Limit: 7, Reverse: reverse}); ; {
			piece := all(t, s, q)
			for _, e := range piece {
				got = append(got, e.Key)
			}
			if len(piece) < q.Limit {
				break
			}
			q.After = piece[len(piece)-1].Key
		}
		if reverse {
			slices.Reverse(got)
		}
		require.Equal(t, want, got)
	}
}

// Batches of several writers never mix.
func concurrentBatches(t *testing.T, s state.Store) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 25 {
				b := state.Batch{Durable: i%5 == 0}
				for k := range 5 {
					b.Put(fmt.Sprintf("1/mix/%d", k), []byte{byte(g), byte(i)}, 0)
				}
				if err := s.Apply(t.Context(), &b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 50 {
			var first []byte
			_ = s.Scan(t.Context(), state.Query{Prefix: "1/mix/"}, func(e state.Entry) error {
				if first == nil {
					first = e.Value
				}
				if string(first) != string(e.Value) {
					t.Error("half a batch was seen")
				}
				return nil
			})
		}
	}()
	wg.Wait()
	<-done
}

// A swap sets the ttl, too; expired values compare as missing.
func swapWithTTL(t *testing.T, s state.Store) {
	ctx := t.Context()
	ok, err := s.CompareAndSwap(ctx, "1/lease", nil, []byte("a"), time.Second)
	require.NoError(t, err)
	require.True(t, ok)
	ok, err = s.CompareAndSwap(ctx, "1/lease", nil, []byte("b"), time.Second)
	require.NoError(t, err)
	require.False(t, ok, "held")
	require.Eventually(t, func() bool {
		ok, err := s.CompareAndSwap(ctx, "1/lease", nil, []byte("b"), 0)
		return err == nil && ok
	}, 5*time.Second, 20*time.Millisecond, "the lease ran out")
	require.True(t, all(t, s, state.Query{Prefix: "1/lease"})[0].Expires.IsZero())
}

func cancelled(t *testing.T, s state.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Put(ctx, "1/x", nil, 0), context.Canceled)
	_, err := s.Get(ctx, "1/x")
	require.ErrorIs(t, err, context.Canceled)
}

func closed(t *testing.T, s state.Store) {
	ctx := t.Context()
	ch, err := s.Changes(ctx, "1/")
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "closing twice is no error")
	_, open := <-ch
	require.False(t, open)
	_, err = s.Get(ctx, "1/x")
	require.ErrorIs(t, err, state.ErrClosed)
	require.ErrorIs(t, s.Put(ctx, "1/x", nil, 0), state.ErrClosed)
	require.ErrorIs(t, s.Scan(ctx, state.Query{}, func(state.Entry) error { return nil }), state.ErrClosed)
	_, err = s.Add(ctx, "1/x", 1, 0)
	require.ErrorIs(t, err, state.ErrClosed)
	_, err = s.CompareAndSwap(ctx, "1/x", nil, nil, 0)
	require.ErrorIs(t, err, state.ErrClosed)
	_, err = s.Changes(ctx, "1/")
	require.ErrorIs(t, err, state.ErrClosed)
	require.ErrorIs(t, s.Sync(ctx), state.ErrClosed)
}

func get(t *testing.T, s state.Store, key string) string {
	t.Helper()
	v, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	return string(v)
}

func all(t *testing.T, s state.Store, q state.Query) []state.Entry {
	t.Helper()
	var out []state.Entry
	require.NoError(t, s.Scan(t.Context(), q, func(e state.Entry) error { out = append(out, e); return nil }))
	return out
}

func next(t *testing.T, ch <-chan state.Change) state.Change {
	t.Helper()
	select {
	case c, ok := <-ch:
		require.True(t, ok, "feed ended")
		return c
	case <-time.After(5 * time.Second):
		require.Fail(t, "no change")
		return state.Change{}
	}
}
