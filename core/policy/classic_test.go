package policy

import (
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-json"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/stretchr/testify/require"
)

func preset(t testing.TB, name string) *Set {
	t.Helper()
	return mustLoad(t, Layer{File: "test.yaml", Data: []byte("policies: {preset: " + name + "}")})
}

// TestClassicDecisions replays decisions recorded from the first generation:
// 20 statuses x 10 texts x 7 backoff levels x 2 kinds of provider.
func TestClassicDecisions(t *testing.T) {
	file, err := os.Open("testdata/classic-on-error.json.gz")
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	zr, err := gzip.NewReader(file)
	require.NoError(t, err)
	var recorded []struct {
		Status   int
		Text     string
		Level    int
		Provider string
		R        struct {
			ShouldFallback  bool
			CooldownMs      int
			NewBackoffLevel *int
			Reason          string
		}
	}
	require.NoError(t, json.NewDecoder(zr).Decode(&recorded))
	require.Len(t, recorded, 2800)
	set := preset(t, "classic")
	w := newWorld(set)
	for _, v := range recorded {
		text := strings.ToLower(v.Text)
		*w.err = *NewErr(v.Status)
		w.err.Text, w.err.Reason = text, classifyText(text)
		w.account.Backoff = v.Level
		*w.profile = *NewProfile("apikey")
		if v.Provider == "claude" {
			*w.profile = *NewProfile("oauth")
		}
		env := w.errorEnv()
		got := set.OnError(&env, nil)
		require.Equal(t, v.R.ShouldFallback, got.Fallback, "%+v: %+v", v, got)
		if !got.Fallback {
			require.Equal(t, "client", got.To)
			continue
		}
		level := v.Level
		if v.R.NewBackoffLevel != nil {
			level = *v.R.NewBackoffLevel
		}
		require.Equal(t, Decision{
			To: "account", Fallback: true, CooldownMS: v.R.CooldownMs, Scope: "account", Level: level, Reason: v.R.Reason, Rule: got.Rule,
		}, got, "%+v", v)
	}
}

// classifyText is the first generation's reading of the text alone; the recorded
// decisions only show it where the text decided.
func classifyText(text string) string {
	for _, c := range []struct {
		reason string
		words  []string
	}{
		{"quota_exhausted", []string{"quota exceeded", "quota depleted", "billing"}},
		{"rate_limit_exceeded", []string{"rate limit", "too many requests", "rate_limit"}},
		{"model_capacity", []string{"capacity", "overloaded", "resource exhausted"}},
		{"auth_error", []string{"unauthorized", "invalid api key", "authentication"}},
		{"server_error", []string{"server error", "internal error"}},
	} {
		for _, w := range c.words {
			if strings.Contains(text, w) {
				return c.reason
			}
		}
	}
	return "unknown"
}

func TestClassicGoldens(t *testing.T) {
	set := preset(t, "classic")
	for _, c := range []struct {
		kind   string
		status int
		want   []int // cooldown by level, from 0
		levels []int
	}{
		{"apikey", 502, []int{3000, 6000, 12000, 24000, 48000, 60000}, []int{1, 2, 3, 4, 5, 5}},
		{"apikey", 429, []int{1000, 2000, 4000, 8000, 16000, 32000, 64000, 120000}, []int{1, 2, 3, 4, 5, 6, 7, 8}},
		{"oauth", 503, []int{5000, 10000, 20000, 40000, 60000}, []int{1, 2, 3, 4, 5}},
	} {
		for level, want := range c.want {
			w := newWorld(set)
			w.err.Status, w.account.Backoff, w.profile = c.status, level, NewProfile(c.kind)
			env := w.errorEnv()
			d := set.OnError(&env, nil)
			require.Equal(t, want, d.CooldownMS, "%s %d level %d", c.kind, c.status, level)
			require.Equal(t, c.levels[level], d.Level, "%s %d level %d", c.kind, c.status, level)
		}
	}
}

func TestAdaptiveThinkingGoldens(t *testing.T) {
	set := preset(t, "classic")
	for _, c := range []struct {
		messages, tools, chars int
		effort                 string
		want                   int
	}{
		{1, 0, 10, "medium", 10240},
		{11, 0, 10, "medium", 15360},
		{11, 4, 10, "medium", 20480},
		{11, 4, 2001, "medium", 23552},
		{11, 4, 2001, "low", 2356},
		{11, 4, 2001, "high", 131072},
		{1, 0, 1, "none", 0},
	} {
		w := newWorld(set)
		w.cfg.ThinkingMode, w.cfg.Effort = "adaptive", c.effort
		w.req.Messages, w.req.Tools, w.req.LastUserChars = c.messages, c.tools, c.chars
		env := w.targetEnv()
		op := set.Thinking(&env, nil)
		require.Equal(t, ThinkOp{Op: "budget", Budget: c.want, Rule: "adaptive"}, op, "%+v", c)
	}
}

func TestEffortTables(t *testing.T) {
	for preset, want := range map[string]map[string]int{
		"classic": {"none": 0, "low": 1024, "medium": 10240, "high": 131072},
		"modern":  {"none": 0, "auto": -1, "minimal": 512, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 128000},
	} {
		set := mustLoad(t, Layer{File: "t", Data: []byte(`policies: {preset: ` + preset + `, thinking: [{id: t, do: think(effortTokens(cfg.effort))}]}`)})
		for level, n := range want {
			w := newWorld(set)
			w.cfg.Effort = level
			env := w.targetEnv()
			require.Equal(t, n, set.Thinking(&env, nil).Budget, "%s %s", preset, level)
		}
	}
}

// stickyReference is sticky round robin as the first generation wrote it.
func stickyReference(accounts []*Account, limit int) string {
	current, oldest := accounts[0], accounts[0]
	unusedFirst := func(a, b *Account) bool { return a.Priority < b.Priority }
	for _, a := range accounts[1:] {
		switch c := current; {
		case a.LastUsedMS < 0 && c.LastUsedMS < 0:
			if unusedFirst(a, c) {
				current = a
			}
		case a.LastUsedMS >= 0 && (c.LastUsedMS < 0 || a.LastUsedMS < c.LastUsedMS):
			current = a
		}
		switch o := oldest; {
		case a.LastUsedMS < 0 && o.LastUsedMS < 0:
			if unusedFirst(a, o) {
				oldest = a
			}
		case o.LastUsedMS >= 0 && (a.LastUsedMS < 0 || a.LastUsedMS > o.LastUsedMS):
			oldest = a
		}
	}
	if current.LastUsedMS >= 0 && current.Uses < limit {
		return current.ID
	}
	return oldest.ID
}

func TestStickyRoundRobinMatchesReference(t *testing.T) {
	set := preset(t, "classic")
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		w := newWorld(set)
		ages, priorities := r.Perm(100), r.Perm(20)
		for i := range 1 + r.IntN(5) {
			a := NewAccount()
			a.ID, a.Priority, a.LastUsedMS, a.Uses = fmt.Sprint("a", i), priorities[i], ages[i], r.IntN(5)
			if r.IntN(3) == 0 {
				a.LastUsedMS, a.Uses = -1, 0
			}
			w.accounts = append(w.accounts, a)
		}
		w.cfg.Strategy, w.cfg.StickyLimit = "round-robin", 1+r.IntN(4)
		env := w.accountEnv()
		i, ok := set.Accounts(&env, w.accounts, nil)
		require.True(t, ok)
		require.Equal(t, stickyReference(w.accounts, w.cfg.StickyLimit), w.accounts[i].ID)
	}
}

// TestReasonsAreInTheVocabulary ties the vocabulary rules compare with to the
// classifier that fills err.reason.
func TestReasonsAreInTheVocabulary(t *testing.T) {
	doc := describeVariable("err", "", reflectType[Err]())
	vocabulary := ""
	for _, f := range doc.Fields {
		if f.Name == "reason" {
			vocabulary = f.Doc
		}
	}
	for _, e := range fault.Catalogue() {
		if e.Reason != "" {
			require.Contains(t, vocabulary, string(e.Reason))
		}
	}
}
