package state_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omniroute/omniroute/core/state"
	"github.com/omniroute/omniroute/core/state/statetest"
)

func TestMain(m *testing.M) {
	// The embedded engine leaves these behind when it refuses to open.
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/dgraph-io/ristretto/v2/z.(*AllocatorPool).freeupAllocators"),
		goleak.IgnoreTopFunction("github.com/dgraph-io/badger/v4.(*DB).monitorCache"))
}

var key = bytes.Repeat([]byte{7}, 32)

func openBadger(t *testing.T, dir string) state.Store {
	t.Helper()
	s, err := state.OpenBadger(dir, key, state.BadgerOptions{OnError: func(err error) { t.Error(err) }})
	require.NoError(t, err)
	return s
}

func TestBadgerContract(t *testing.T) {
	statetest.Run(t, func(t *testing.T) state.Store { return openBadger(t, t.TempDir()) })
}

func TestMemoryContract(t *testing.T) {
	statetest.Run(t, func(*testing.T) state.Store { return state.NewMemory(nil) })
}

func TestBadgerKeepsNothingInClear(t *testing.T) {
	const canary = "canary-7f3a1c-sk-live"
	dir := t.TempDir()
	s := openBadger(t, dir)
	ctx := t.Context()
	require.NoError(t, s.Put(ctx, state.Key("key", canary), []byte(canary), 0))
	require.NoError(t, s.Put(ctx, "1/large", []byte(strings.Repeat(canary, 5000)), 0))
	require.NoError(t, s.Sync(ctx))
	assertNowhere(t, dir, canary) // while open: write-ahead files
	require.NoError(t, s.Close())
	assertNowhere(t, dir, canary) // after the flush: tables
	s = openBadger(t, dir)
	v, err := s.Get(ctx, state.Key("key", canary))
	require.NoError(t, err)
	require.Equal(t, canary, string(v))
	require.NoError(t, s.Close())
}

func assertNowhere(t *testing.T, dir, text string) {
	t.Helper()
	files := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		raw, err := os.ReadFile(path)
		require.False(t, bytes.Contains(raw, []byte(text)), "%s holds the text in clear", path)
		return err
	}))
	require.NotZero(t, files)
}

func TestBadgerOpenErrors(t *testing.T) {
	dir := t.TempDir()
	s := openBadger(t, dir)
	require.NoError(t, s.Put(t.Context(), "1/x", []byte("a"), 0))

	_, err := state.OpenBadger(dir, key, state.BadgerOptions{})
	var locked *state.LockedError
	require.ErrorAs(t, err, &locked)
	require.Equal(t, dir, locked.Dir)
	require.NoError(t, s.Close())

	_, err = state.OpenBadger(dir, bytes.Repeat([]byte{8}, 32), state.BadgerOptions{})
	require.ErrorIs(t, err, state.ErrWrongKey)
	require.ErrorContains(t, err, "OMNIROUTE_STORAGE_KEY")

	_, err = state.OpenBadger(dir, []byte("short"), state.BadgerOptions{})
	require.ErrorContains(t, err, "5 bytes")

	ro, err := state.OpenBadger(dir, key, state.BadgerOptions{ReadOnly: true})
	require.NoError(t, err)
	v, err := ro.Get(t.Context(), "1/x")
	require.NoError(t, err)
	require.Equal(t, "a", string(v))
	require.ErrorIs(t, ro.Put(t.Context(), "1/x", nil, 0), state.ErrReadOnly)
	_, err = ro.Add(t.Context(), "1/n", 1, 0)
	require.ErrorIs(t, err, state.ErrReadOnly)
	_, err = ro.CompareAndSwap(t.Context(), "1/n", nil, nil, 0)
	require.ErrorIs(t, err, state.ErrReadOnly)
	require.NoError(t, ro.Close())

	s = openBadger(t, dir)
	require.NoError(t, s.Put(t.Context(), state.Key("meta", "version"), []byte("99"), 0))
	require.NoError(t, s.Close())
	_, err = state.OpenBadger(dir, key, state.BadgerOptions{})
	var version *state.VersionError
	require.ErrorAs(t, err, &version)
	require.Equal(t, 99, version.Have)
}

func TestBadgerKeepsDataOverRestarts(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		s := openBadger(t, dir)
		n, err := s.Add(t.Context(), "1/n", 1, 0)
		require.NoError(t, err)
		require.EqualValues(t, i+1, n)
		require.NoError(t, s.Close())
	}
}

func TestDir(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	d, err := state.OpenDir(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())

	_, err = state.OpenDir(path)
	var locked *state.LockedError
	require.ErrorAs(t, err, &locked)
	require.Equal(t, os.Getpid(), locked.PID)
	require.ErrorContains(t, err, "in use by process")

	k1, err := d.StorageKey("")
	require.NoError(t, err)
	require.Len(t, k1, 32)
	info, err = os.Stat(d.Path("secrets.json"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	s1, err := d.Secret("api_key_secret")
	require.NoError(t, err)
	require.Len(t, s1, 64)
	m1, err := d.MachineID("")
	require.NoError(t, err)
	require.NotEmpty(t, m1)
	given, err := d.MachineID(" my-id ")
	require.NoError(t, err)
	require.Equal(t, "my-id", given)
	require.NoError(t, d.Close())
	require.NoError(t, d.Close())

	require.NoError(t, os.Chmod(filepath.Join(path, "secrets.json"), 0o644))
	d, err = state.OpenDir(path)
	require.NoError(t, err)
	k2, err := d.StorageKey("")
	require.NoError(t, err)
	require.Equal(t, k1, k2)
	info, err = os.Stat(d.Path("secrets.json"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), "closed to others again")
	s2, err := d.Secret("api_key_secret")
	require.NoError(t, err)
	require.Equal(t, s1, s2)
	m2, err := d.MachineID("")
	require.NoError(t, err)
	require.Equal(t, m1, m2)
	require.NoError(t, d.Close())
}

func TestStorageKey(t *testing.T) {
	d, err := state.OpenDir(t.TempDir())
	require.NoError(t, err)
	defer d.Close()
	for _, text := range []string{strings.Repeat("07", 32), "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"} {
		k, err := d.StorageKey(text)
		require.NoError(t, err, text)
		require.Equal(t, key, k)
	}
	_, err = d.StorageKey("too short")
	require.ErrorContains(t, err, "32 bytes")
	require.NotContains(t, err.Error(), "too short", "a bad key is a secret too")
	_, err = os.Stat(d.Path("secrets.json"))
	require.ErrorIs(t, err, fs.ErrNotExist, "a given key is never written down")

	require.NoError(t, os.Mkdir(d.Path("badger"), 0o700))
	require.NoError(t, os.WriteFile(d.Path("badger", "MANIFEST"), []byte("x"), 0o600))
	_, err = d.StorageKey("")
	require.ErrorIs(t, err, state.ErrWrongKey, "a new key cannot read old data")
}

func TestDirErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := state.OpenDir(file)
	require.Error(t, err)

	d, err := state.OpenDir(t.TempDir())
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, os.WriteFile(d.Path("secrets.json"), []byte("{"), 0o600))
	_, err = d.Secret("x")
	require.ErrorContains(t, err, "damaged")
}

func TestKeys(t *testing.T) {
	require.Equal(t, "1/d/mlock/a1/openai%2Fgpt:free", state.Key("d/mlock", "a1", "openai/gpt:free"))
	for _, segs := range [][]string{{"a"}, {"a/b", "%", ""}, {"\x00\x1f\x7f", "ü/€"}, {"%2F"}} {
		k := state.Key("kind", segs...)
		got, ok := state.Segments("1/kind/", k)
		require.True(t, ok, k)
		require.Equal(t, segs, got)
		require.Equal(t, len(segs)+1, strings.Count(k, "/"))
	}
	_, ok := state.Segments("1/kind/", "1/other/x")
	require.False(t, ok)
	for _, bad := range []string{"%", "%2", "%zz"} {
		_, ok = state.Segments("1/kind/", "1/kind/"+bad)
		require.False(t, ok, bad)
	}
}

func FuzzKey(f *testing.F) {
	f.Add("a/b", "%2F")
	f.Fuzz(func(t *testing.T, a, b string) {
		got, ok := state.Segments(state.Prefix("k"), state.Key("k", a, b))
		require.True(t, ok)
		require.Equal(t, []string{a, b}, got)
	})
}

func TestIDs(t *testing.T) {
	now := time.UnixMilli(1_771_450_200_123)
	src := state.NewIDSource(func() time.Time { return now })
	var mu sync.Mutex
	var ids []string
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				id := src.Next()
				mu.Lock()
				ids = append(ids, id)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(ids)
	require.Len(t, slices.Compact(ids), 2000)
	at, ok := state.IDTime(ids[0])
	require.True(t, ok)
	require.Equal(t, now, at)
	require.Less(t, state.IDFloor(now), ids[0])
	require.Greater(t, state.IDFloor(now.Add(time.Second)), ids[len(ids)-1])
	last := src.Next()
	now = now.Add(-time.Hour) // the clock goes back, ids do not
	require.Greater(t, src.Next(), last)
	_, ok = state.IDTime("no-id")
	require.False(t, ok)
}

// failing passes calls through until broken.
type failing struct {
	state.Store
	mu  sync.Mutex
	err error
	n   int
}

func (f *failing) Apply(ctx context.Context, b *state.Batch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	if f.err != nil {
		return f.err
	}
	return f.Store.Apply(ctx, b)
}

func (f *failing) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func TestWriter(t *testing.T) {
	s := &failing{Store: state.NewMemory(nil)}
	defer s.Close()
	var mu sync.Mutex
	var reported []error
	w := state.NewWriter(s, state.WriterOptions{Every: time.Hour, OnError: func(err error) {
		mu.Lock()
		defer mu.Unlock()
		reported = append(reported, err)
	}})
	get := func(k string) string {
		v, err := s.Get(t.Context(), k)
		if errors.Is(err, state.ErrNotFound) {
			return "-"
		}
		require.NoError(t, err)
		return string(v)
	}
	for i := range 100 {
		w.Put("1/a", []byte{byte('0' + i%10)}, 0)
	}
	w.Put("1/b", []byte("x"), 0)
	w.Delete("1/b")
	require.Equal(t, "-", get("1/a"))
	require.NoError(t, w.Flush())
	require.Equal(t, "9", get("1/a"))
	require.Equal(t, 1, s.n, "one batch")

	boom := errors.New("disk on fire")
	s.set(boom)
	w.Put("1/a", []byte("kept"), 0)
	require.ErrorIs(t, w.Flush(), boom)
	w.Put("1/c", []byte("later"), 0)
	s.set(nil)
	require.NoError(t, w.Flush())
	require.Equal(t, "kept", get("1/a"), "a failed write is tried again")
	require.Equal(t, "later", get("1/c"))

	for i := range 200 { // more than Max: flushed without waiting for the tick
		w.Put(state.Key("n", string(rune('a'+i%26)), string(rune('a'+i/26))), []byte("x"), 0)
	}
	require.Eventually(t, func() bool { return get("1/n/a/a") == "x" }, time.Minute, time.Millisecond)
	w.Put("1/last", []byte("x"), 0)
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	require.Equal(t, "x", get("1/last"))
	w.Put("1/after", nil, 0)
	require.Equal(t, "-", get("1/after"))
	require.Len(t, reported, 1)
	require.ErrorIs(t, reported[0], state.ErrClosed)
}

func BenchmarkBadgerGet(b *testing.B) {
	s, err := state.OpenBadger(b.TempDir(), key, state.BadgerOptions{})
	require.NoError(b, err)
	defer s.Close()
	require.NoError(b, s.Put(b.Context(), "1/x", make([]byte, 200), 0))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Get(b.Context(), "1/x"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBadgerApply(b *testing.B) {
	s, err := state.OpenBadger(b.TempDir(), key, state.BadgerOptions{})
	require.NoError(b, err)
	defer s.Close()
	var batch state.Batch
	for i := range 30 {
		batch.Put(state.Key("d/ctr", string(rune('a'+i))), make([]byte, 32), 0)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Apply(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
}
