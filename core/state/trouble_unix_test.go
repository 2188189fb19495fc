//go:build unix

package state_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/state"
)

// A disk that fills up refuses writes and loses nothing; reads and removals go
// on, and so does everything once there is room.
func TestDiskFull(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	dir := t.TempDir()
	s, err := state.OpenBadger(dir, key, state.BadgerOptions{Free: func() (int64, error) { return free.Load(), nil }})
	require.NoError(t, err)
	ctx := t.Context()
	require.NoError(t, s.Put(ctx, "1/a", []byte("kept"), 0))
	free.Store(1 << 20)
	require.Eventually(t, func() bool { return errors.Is(s.Put(ctx, "1/b", []byte("x"), 0), state.ErrDiskFull) }, 5*time.Second, 10*time.Millisecond)
	_, err = s.Add(ctx, "1/n", 1, 0)
	require.ErrorIs(t, err, state.ErrDiskFull)
	_, err = s.CompareAndSwap(ctx, "1/c", nil, []byte("x"), 0)
	require.ErrorIs(t, err, state.ErrDiskFull)
	require.ErrorContains(t, err, "1 MiB are left")
	v, err := s.Get(ctx, "1/a")
	require.NoError(t, err)
	require.Equal(t, "kept", string(v))
	require.NoError(t, s.Delete(ctx, "1/b"), "what makes room passes")
	require.Positive(t, s.(state.Maintainer).Stats().Refused)
	free.Store(1 << 40)
	require.Eventually(t, func() bool { return s.Put(ctx, "1/b", []byte("x"), 0) == nil }, 5*time.Second, 10*time.Millisecond)
	require.NoError(t, s.Close())

	free.Store(0)
	_, err = state.OpenBadger(t.TempDir(), key, state.BadgerOptions{Free: func() (int64, error) { return free.Load(), nil }})
	require.ErrorIs(t, err, state.ErrDiskFull, "new data begins with a write")
}

// What was written stays readable, or is refused with words, whichever file of
// the data is damaged and however.
func TestDamage(t *testing.T) {
	fill := func(t *testing.T) string {
		dir := t.TempDir()
		s := openBadger(t, dir)
		for i := range 400 {
			require.NoError(t, s.Put(t.Context(), fmt.Sprintf("1/x/%03d", i), make([]byte, 6000), 0))
		}
		require.NoError(t, s.(state.Maintainer).Compact(t.Context()))
		require.NoError(t, s.Close())
		return dir
	}
	for _, c := range []struct {
		name, glob string
		harm       func(raw []byte) []byte
		backup     bool // cannot be repaired
	}{
		{"table zeroed", "*.sst", func(raw []byte) []byte { return make([]byte, len(raw)) }, false},
		{"table cut", "*.sst", func(raw []byte) []byte { return raw[:len(raw)/2] }, false},
		{"table flipped", "*.sst", func(raw []byte) []byte { raw[len(raw)/2] ^= 0xff; return raw }, true},
		{"manifest garbage", "MANIFEST", func(raw []byte) []byte { return []byte("garbage") }, true},
		{"key registry garbage", "KEYREGISTRY", func(raw []byte) []byte { return []byte("garbage") }, true},
		{"value log zeroed", "*.vlog", func(raw []byte) []byte { return make([]byte, len(raw)) }, false},
		{"value log flipped", "*.vlog", func(raw []byte) []byte {
			for i := 100; i < len(raw); i += 997 {
				raw[i] ^= 0xff
			}
			return raw
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := fill(t)
			files, err := filepath.Glob(filepath.Join(dir, c.glob))
			require.NoError(t, err)
			require.NotEmpty(t, files)
			for _, f := range files {
				raw, err := os.ReadFile(f)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(f, c.harm(raw), 0o600))
			}
			s, err := state.OpenBadger(dir, key, state.BadgerOptions{})
			if err == nil {
				_, err = s.(state.Maintainer).Verify(t.Context())
				_ = s.Close()
			}
			require.Error(t, err, "damage is found")
			require.True(t, errors.Is(err, state.ErrDamaged) || errors.Is(err, state.ErrWrongKey), "%v", err)
			aside := filepath.Join(t.TempDir(), "aside")
			lost, err := state.Salvage(t.Context(), dir, key, aside)
			if c.backup {
				require.Error(t, err, "nothing but a backup helps")
				return
			}
			require.NoError(t, err)
			require.True(t, lost.Any())
			s = openBadger(t, dir)
			_, err = s.(state.Maintainer).Verify(t.Context())
			require.NoError(t, err, "what is left is sound")
			require.NoError(t, s.Put(t.Context(), "1/new", []byte("x"), 0))
			require.NoError(t, s.Close())
			if c.glob == "*.sst" {
				require.FileExists(t, filepath.Join(aside, lost.Tables[0]))
			}
		})
	}
	dir := fill(t)
	s := openBadger(t, dir)
	v, err := s.(state.Maintainer).Verify(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, v.Entries, int64(400))
	require.NoError(t, s.Close())
}

// Overwritten values free their space.
func TestCompactFreesSpace(t *testing.T) {
	dir := t.TempDir()
	s := openBadger(t, dir)
	m := s.(state.Maintainer)
	value := make([]byte, 512<<10)
	for i := range 160 { // several value log files
		for j := range value {
			value[j] = byte(i * j)
		}
		require.NoError(t, s.Put(t.Context(), fmt.Sprintf("1/v/%d", i%4), value, 0))
		if i%20 != 19 {
			continue
		}
		for n := 0; n < 5<<20; { // a table of small ones, so that the engine looks at its keys
			var b state.Batch
			for !b.Full() {
				b.Put(fmt.Sprintf("1/small/%09d", n), value[:3000], 0)
				n += 3000
			}
			require.NoError(t, s.Apply(t.Context(), &b))
		}
	}
	before := size(t, dir)
	require.NoError(t, m.Compact(t.Context()))
	require.Positive(t, m.Stats().GCRuns)
	require.NoError(t, s.Close())
	t.Logf("%d MiB before, %d MiB after, %+v", before>>20, size(t, dir)>>20, m.Stats())
	s = openBadger(t, dir)
	require.Len(t, get(t, s, "1/v/0"), len(value))
	require.NoError(t, s.Close())
}

func get(t *testing.T, s state.Store, k string) []byte {
	t.Helper()
	v, err := s.Get(t.Context(), k)
	require.NoError(t, err)
	return v
}

func size(t *testing.T, dir string) (n int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	for _, f := range files {
		info, err := os.Stat(f)
		require.NoError(t, err)
		n += info.Size()
	}
	return n
}

const readOnlyDir = "STATE_READ_ONLY_DIR"

// TestReadOnlyChild runs as a user who may not write.
func TestReadOnlyChild(t *testing.T) {
	dir := os.Getenv(readOnlyDir)
	if dir == "" {
		t.Skip("only as a child of TestReadOnly")
	}
	_, err := state.OpenDir(dir)
	fmt.Println("dir:", err)
	_, err = state.OpenBadger(filepath.Join(dir, "badger"), key, state.BadgerOptions{})
	fmt.Println("badger:", err)
}

// A directory that cannot be written is told in words, for root by way of a
// process of another user.
func TestReadOnly(t *testing.T) {
	dir, err := os.MkdirTemp("", "omniroute-ro-*")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700); _ = os.RemoveAll(dir) })
	s := openBadger(t, filepath.Join(dir, "badger"))
	require.NoError(t, s.Put(t.Context(), "1/x", []byte("kept"), 0))
	require.NoError(t, s.Close())
	require.NoError(t, os.Chmod(dir, 0o555))
	exe := filepath.Join(t.TempDir(), "child")
	raw, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(exe, raw, 0o755))
	for p := filepath.Dir(exe); p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
		require.NoError(t, os.Chmod(p, 0o755))
	}
	cmd := exec.Command(exe, "-test.run=^TestReadOnlyChild$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), readOnlyDir+"="+dir)
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	text := string(out)
	require.Contains(t, text, "dir: state: the data directory "+dir+" cannot be written: state: store is read-only")
	require.Contains(t, text, "badger: state: store is read-only")
	require.False(t, strings.Contains(text, "panic"), text)
	require.NoError(t, os.Chmod(dir, 0o700))
	s = openBadger(t, filepath.Join(dir, "badger"))
	v, err := s.Get(t.Context(), "1/x")
	require.NoError(t, err)
	require.Equal(t, "kept", string(v))
	require.NoError(t, s.Close())
}

// Data of an earlier version is brought up to this one, once.
func TestMigration(t *testing.T) {
	dir := t.TempDir()
	s := openBadger(t, dir)
	ctx := t.Context()
	require.NoError(t, s.Put(ctx, state.Key("meta", "log-bytes"), []byte("5"), 0))
	require.NoError(t, s.Put(ctx, state.Key("u", "row"), []byte("{}"), 0))
	require.NoError(t, s.Put(ctx, state.Key("meta", "version"), []byte("1"), 0))
	require.NoError(t, s.Close())

	_, err := state.OpenBadger(dir, key, state.BadgerOptions{ReadOnly: true})
	require.ErrorIs(t, err, state.ErrReadOnly)
	for range 2 {
		s = openBadger(t, dir)
		v, err := s.Get(ctx, state.Key("meta", "version"))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(state.Version), string(v))
		_, err = s.Get(ctx, state.Key("meta", "log-bytes"))
		require.ErrorIs(t, err, state.ErrNotFound)
		_, err = s.Get(ctx, state.Key("u", "row"))
		require.NoError(t, err)
		require.NoError(t, s.Close())
	}
}
