package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/state"
)

func open(t *testing.T) (*Log, state.Store, *time.Time) {
	s := state.NewMemory(nil)
	t.Cleanup(func() { s.Close() })
	now := time.Date(2026, 2, 18, 21, 30, 0, 0, time.UTC)
	l, err := Open(t.Context(), s, Options{Now: func() time.Time { return now }, OnError: func(err error) { t.Error(err) }})
	require.NoError(t, err)
	return l, s, &now
}

func TestWriteAndList(t *testing.T) {
	l, s, now := open(t)
	ctx := t.Context()
	for i := range 25 {
		*now = now.Add(time.Minute)
		a := []Action{KeyCreate, BudgetWarn, BudgetDeny}[i%3]
		l.Write(ctx, Record{Action: a, Target: Target{"key", fmt.Sprint("key_", i%2)}, Actor: []Actor{{}, CLI}[i%2], Details: map[string]any{"n": i, "share": 0.83}})
	}
	page, err := l.List(ctx, Filter{})
	require.NoError(t, err)
	require.Len(t, page.Records, 25)
	require.Equal(t, System, page.Records[0].Actor)
	page, err = l.List(ctx, Filter{Action: "budget", Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Records, 10)
	page, err = l.List(ctx, Filter{Action: "budget", Limit: 10, Cursor: page.Next})
	require.NoError(t, err)
	require.Len(t, page.Records, 6)
	require.Empty(t, page.Next)
	page, err = l.List(ctx, Filter{Actor: "cli", Target: "key_1", Action: BudgetWarn})
	require.NoError(t, err)
	require.Len(t, page.Records, 4)
	page, err = l.List(ctx, Filter{Since: now.Add(-150 * time.Second)})
	require.NoError(t, err)
	require.Len(t, page.Records, 3)
	_, err = l.List(ctx, Filter{Cursor: "x"})
	require.Error(t, err)
	n, err := Verify(ctx, s)
	require.NoError(t, err)
	require.Equal(t, 25, n)
}

// Nobody's secret gets into the record, whoever writes it.
func TestNoSecrets(t *testing.T) {
	l, s, _ := open(t)
	const canary = "sk-canary-0123456789abcdef"
	l.Write(t.Context(), Record{Action: KeyCreate, Before: JSON(map[string]string{"api_key": "hunter2hunter2", "note": "Bearer " + canary}),
		After: JSON(struct{ Text string }{canary}), Details: map[string]any{"password": "hunter2hunter2", "why": "key " + canary}})
	require.NoError(t, s.Scan(t.Context(), state.Query{}, func(e state.Entry) error {
		require.NotContains(t, string(e.Value), canary)
		require.NotContains(t, string(e.Value), "hunter2")
		return nil
	}))
	_, err := Verify(t.Context(), s)
	require.NoError(t, err)
}

// The chain goes on after a restart, and under concurrent writers.
func TestChain(t *testing.T) {
	_, s, _ := open(t)
	for range 3 {
		l, err := Open(t.Context(), s, Options{OnError: func(err error) { t.Error(err) }})
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					l.Write(t.Context(), Record{Action: KeyCreate})
				}
			})
		}
		wg.Wait()
	}
	n, err := Verify(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, 120, n)
}

// Every way of tampering is found.
func TestTampering(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, s state.Store, keys []string){
		"changed": func(t *testing.T, s state.Store, keys []string) {
			raw, err := s.Get(t.Context(), keys[3])
			require.NoError(t, err)
			require.NoError(t, s.Put(t.Context(), keys[3], []byte(strings.Replace(string(raw), "key_3", "key_4", 1)), 0))
		},
		"removed": func(t *testing.T, s state.Store, keys []string) { require.NoError(t, s.Delete(t.Context(), keys[4])) },
		"first removed": func(t *testing.T, s state.Store, keys []string) {
			require.NoError(t, s.Delete(t.Context(), keys[0]))
		},
		"last removed": func(t *testing.T, s state.Store, keys []string) {
			require.NoError(t, s.Delete(t.Context(), keys[len(keys)-1]))
		},
		"inserted": func(t *testing.T, s state.Store, keys []string) {
			raw, err := s.Get(t.Context(), keys[2])
			require.NoError(t, err)
			require.NoError(t, s.Put(t.Context(), keys[2]+"z", raw, 0))
		},
		"garbage": func(t *testing.T, s state.Store, keys []string) {
			require.NoError(t, s.Put(t.Context(), keys[5], []byte("x"), 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, s, _ := open(t)
			for i := range 10 {
				l.Write(t.Context(), Record{Action: KeyRevoke, Target: Target{"key", fmt.Sprint("key_", i)}})
			}
			var keys []string
			require.NoError(t, s.Scan(t.Context(), state.Query{Prefix: state.Prefix(kind)}, func(e state.Entry) error { keys = append(keys, e.Key); return nil }))
			harm(t, s, keys)
			_, err := Verify(t.Context(), s)
			require.ErrorIs(t, err, ErrBroken)
		})
	}
}

func TestPrune(t *testing.T) {
	l, s, now := open(t)
	for range 10 {
		l.Write(t.Context(), Record{Action: KeyCreate})
		*now = now.Add(24 * time.Hour)
	}
	n, err := l.Prune(t.Context(), 4*24*time.Hour+time.Hour)
	require.NoError(t, err)
	require.Equal(t, 6, n)
	left, err := Verify(t.Context(), s)
	require.NoError(t, err, "what is left is whole")
	require.Equal(t, 5, left)
	page, err := l.List(t.Context(), Filter{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, AuditPrune, page.Records[0].Action)
	n, err = l.Prune(t.Context(), 4*24*time.Hour+time.Hour)
	require.NoError(t, err)
	require.Zero(t, n)
}

type broken struct{ state.Store }

func (broken) Apply(context.Context, *state.Batch) error { return state.ErrDiskFull }

// A record that cannot be written fails nobody's work, and the chain goes on
// without it.
func TestWriteFails(t *testing.T) {
	_, s, _ := open(t)
	var told error
	l, err := Open(t.Context(), broken{s}, Options{OnError: func(err error) { told = err }})
	require.NoError(t, err)
	l.Write(t.Context(), Record{Action: KeyCreate, Target: Target{ID: "k"}})
	require.True(t, errors.Is(told, state.ErrDiskFull))
	l.store = s
	l.Write(t.Context(), Record{Action: KeyCreate})
	_, err = Verify(t.Context(), s)
	require.NoError(t, err)
}
