package config_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// result is one call of OnChange.
type result struct {
	snap  *config.Snapshot
	diags []fault.Diagnostic
}

// watching runs Watch with a clock that the test moves: each armed debounce is
// offered on timers, and the test decides when it fires.
func watching(t *testing.T, path string) (results chan result, timers chan chan time.Time) {
	t.Helper()
	opt := config.Options{Path: path, Env: []string{"HOME=/h"}}
	current, diags := config.Load(opt)
	require.Empty(t, diags)
	return watchingSince(t, opt, current)
}

// watchingSince is watching for a snapshot that was loaded some time ago.
func watchingSince(t *testing.T, opt config.Options, current *config.Snapshot) (results chan result, timers chan chan time.Time) {
	t.Helper()
	results, timers = make(chan result, 16), make(chan chan time.Time, 1024)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- config.Watch(ctx, config.WatchOptions{
			Options: opt, Current: current,
			After: func(d time.Duration) <-chan time.Time {
				if d != 250*time.Millisecond {
					t.Error(d)
				}
				c := make(chan time.Time, 1)
				timers <- c
				return c
			},
			OnChange: func(s *config.Snapshot, d []fault.Diagnostic) { results <- result{s, d} },
		})
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return results, timers
}

// settle fires every debounce until a result comes.
func settle(t *testing.T, results chan result, timers chan chan time.Time) result {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case r := <-results:
			return r
		case c := <-timers:
			c <- time.Time{}
		case <-deadline:
			require.Fail(t, "no change was reported")
		}
	}
}

// edit replaces a file as editors do.
func edit(t *testing.T, path, text string) {
	t.Helper()
	tmp := path + ".tmp"
	require.NoError(t, os.WriteFile(tmp, []byte(text), 0o600))
	require.NoError(t, os.Rename(tmp, path))
}

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "omniroute.yaml")
	require.NoError(t, os.WriteFile(path, []byte("policies: {include: [rules/*.yaml]}\n"), 0o600))
	results, timers := watching(t, path)

	edit(t, path, "server: {instance_name: two}\npolicies: {include: [rules/*.yaml]}\n")
	r := settle(t, results, timers)
	require.Empty(t, r.diags)
	require.Equal(t, "two", r.snap.File.Server.InstanceName)

	edit(t, path, "server: {instance_name: [}\n")
	r = settle(t, results, timers)
	require.Nil(t, r.snap)
	require.NotEmpty(t, r.diags)

	// The old content again: reported, because a problem was on show.
	edit(t, path, "server: {instance_name: two}\npolicies: {include: [rules/*.yaml]}\n")
	r = settle(t, results, timers)
	require.NotNil(t, r.snap)

	// The folder of the includes did not exist at the start.
	require.NoError(t, os.Mkdir(filepath.Join(dir, "rules"), 0o700))
	edit(t, filepath.Join(dir, "rules", "a.yaml"), "policies: {gate: []}\n")
	r = settle(t, results, timers)
	require.Len(t, r.snap.Policies, 2)
	edit(t, filepath.Join(dir, "rules", "a.yaml"), "policies: {gate: [] }\n")
	r = settle(t, results, timers)
	require.Contains(t, string(r.snap.Policies[1].Data), "[] }")
}

func TestWatchIgnoresEqualContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "omniroute.yaml")
	require.NoError(t, os.WriteFile(path, []byte("server: {}\n"), 0o600))
	results, timers := watching(t, path)
	edit(t, path, "server: {}\n") // same bytes
	c := <-timers
	c <- time.Time{}
	edit(t, path, "server: { }\n")
	r := settle(t, results, timers)
	require.Contains(t, "omniroute", r.snap.File.Server.InstanceName)
	require.Empty(t, results)
}

// The file at the root of the repository must load as it is, and with
// everything in it switched on.
func TestShippedFile(t *testing.T) {
	raw, err := os.ReadFile("../../omniroute.yaml")
	require.NoError(t, err)
	load(t, "../../omniroute.yaml")

	on := regexp.MustCompile(`(?m)^#(  .*|[a-z_]+:.*)$`).ReplaceAllString(string(raw), "$1")
	require.Equal(t, 1, strings.Count(on, "\nproviders:"))
	snap := load(t, write(t, on), "CI_KEY=sk-ci-12345678", "OPENAI_API_KEY=a", "ANTHROPIC_API_KEY=b")
	require.Equal(t, "sk-ci-12345678", snap.File.Auth.Keys[0].Key)
	require.Len(t, snap.File.Providers, 3)
	require.Contains(t, snap.File.Combos, "daily")
	require.Len(t, snap.Policies, 1)
}

// An edit between the loading of a snapshot and the start of the watcher has no
// event; it is found all the same, and so is an included file that came meanwhile.
func TestWatchSeesWhatChangedBeforeItStarted(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "omniroute.yaml")
	opt := config.Options{Path: path, Env: []string{"HOME=/h"}}
	text := "server: {instance_name: one}\npolicies: {include: [rules/*.yaml]}\n"
	load := func() *config.Snapshot {
		current, diags := config.Load(opt)
		require.Empty(t, diags)
		return current
	}
	first := func(t *testing.T, current *config.Snapshot) result {
		t.Helper()
		results, timers := watchingSince(t, opt, current)
		return settle(t, results, timers)
	}
	t.Run("edited", func(t *testing.T) {
		edit(t, path, text)
		current := load()
		edit(t, path, strings.Replace(text, "one", "two", 1))
		r := first(t, current)
		require.Equal(t, "two", r.snap.File.Server.InstanceName)
	})
	t.Run("broken", func(t *testing.T) {
		edit(t, path, text)
		current := load()
		edit(t, path, "server: [")
		require.NotEmpty(t, first(t, current).diags)
	})
	t.Run("included", func(t *testing.T) {
		edit(t, path, text)
		current := load()
		require.NoError(t, os.Mkdir(filepath.Join(dir, "rules"), 0o700))
		edit(t, filepath.Join(dir, "rules", "a.yaml"), "policies: {gate: []}\n")
		require.Len(t, first(t, current).snap.Policies, 2)
	})
}

// A log that is written beside the file all the time does not put off the reload:
// the quiet time is started anew a bounded number of times.
func TestWatchIsNotStarvedByItsNeighbours(t *testing.T) {
	path := filepath.Join(t.TempDir(), "omniroute.yaml")
	require.NoError(t, os.WriteFile(path, []byte("server: {listen: 127.0.0.1:1}\n"), 0o600))
	results, timers := watching(t, path)
	edit(t, path, "server: {listen: 127.0.0.1:2}\n")
	var last chan time.Time
	armed := 0
	for len(results) == 0 && armed < 1000 {
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "log"), []byte("line\n"), 0o600))
		select {
		case last = <-timers:
			armed++
		case <-time.After(100 * time.Millisecond): // no timer any more: the last one stands
			require.NotNil(t, last)
			select {
			case last <- time.Time{}:
			default:
			}
		}
	}
	require.Less(t, armed, 1000, "neighbours start the quiet time anew for ever")
	require.NotNil(t, (<-results).snap)
}
