package policy

import (
	"fmt"
	"testing"
)

// benchWorld is an ordinary request with a pool of targets and accounts.
func benchWorld(s *Set, targets, accounts int, strategy, accountStrategy string) *world {
	w := newWorld(s)
	w.req.Model, w.req.Client, w.req.IP = "claude-sonnet-4-5", "claude-cli", "10.1.2.3"
	w.req.Tools, w.req.TokensIn, w.req.Messages, w.req.Stream = 12, 24000, 31, true
	w.req.Headers = map[string]string{"user-agent": "claude-cli/2.0", "authorization": "Bearer x"}
	w.key.Limits.DailyUSD, w.key.Models = 25, []string{"claude*", "openai/*"}
	w.combo.Name, w.combo.Strategy, w.combo.Size, w.cfg.Strategy = "daily", strategy, targets, accountStrategy
	for i := range targets {
		t := NewTarget()
		t.ID, t.Provider, t.Position, t.Context = fmt.Sprintf("p%d/m", i), fmt.Sprintf("p%d", i), i, 200000
		t.EstCost, t.Stats.P95MS, t.QuotaLeft, t.Weight = 0.01*float64(i+1), float64(900+i*70), float64(90-i), float64(i)
		w.targets = append(w.targets, t)
	}
	for i := range accounts {
		a := NewAccount()
		a.ID, a.Auth, a.Priority, a.LastUsedMS, a.Uses = fmt.Sprintf("a%d", i), "apikey", i+1, 1000*(i+1), i
		w.accounts = append(w.accounts, a)
	}
	w.target, w.account = w.targets[0], w.accounts[0]
	return w
}

// decideAll asks every hook a successful request meets once.
func decideAll(s *Set, w *world, tr *Trace) {
	env := w.accountEnv()
	gate, target := &env.GateEnv, &env.TargetEnv
	s.IP(&gate.IPEnv, tr)
	s.Gate(gate, tr)
	s.Log(gate, tr)
	s.Bypass(gate, tr)
	s.Rewrite(gate, tr)
	budget := BudgetEnv{GateEnv: *gate}
	s.Budget(&budget, w.budgetState, tr)
	s.Cache(gate, tr)
	s.Filter(target, w.targets, tr)
	s.Order(target, w.targets, tr)
	env.Target = w.target
	s.Keep(target, tr)
	s.System(target, tr)
	s.Thinking(target, tr)
	s.Context(target, tr)
	s.Timeouts(target, tr)
	s.Accounts(&env, w.accounts, tr)
	env.Account = w.account
	s.Limits(&env, tr)
	learn := LearnEnv{AccountEnv: env, Hdr: w.hdr}
	s.Learn(&learn, tr)
	meter := MeterEnv{AccountEnv: env, Usage: w.usage}
	s.Meter(&meter, tr)
}

func BenchmarkModern(b *testing.B) {
	for _, vmOnly := range []bool{false, true} {
		l := &loader{vmOnly: vmOnly}
		set, diags := l.load([]Layer{{File: "b.yaml", Data: []byte("policies: {preset: modern}")}})
		if set == nil {
			b.Fatal(diags)
		}
		for _, c := range []struct {
			targets, accounts int
			combo, strategy   string
		}{{1, 1, "priority", "fill-first"}, {10, 5, "priority", "round-robin"}, {10, 5, "auto", "p2c"}} {
			name := fmt.Sprintf("vm=%v/%dx%d/%s", vmOnly, c.targets, c.accounts, c.combo)
			w := benchWorld(set, c.targets, c.accounts, c.combo, c.strategy)
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					decideAll(set, w, nil)
				}
			})
			b.Run(name+"/trace", func(b *testing.B) {
				b.ReportAllocs()
				var tr Trace
				for b.Loop() {
					tr.Entries = tr.Entries[:0]
					decideAll(set, w, &tr)
				}
			})
		}
	}
}

func BenchmarkOnErrorModern(b *testing.B) {
	set := mustLoad(b, Layer{File: "b.yaml", Data: []byte("policies: {preset: modern}")})
	w := newWorld(set)
	w.err.Status, w.err.Text, w.err.Reason = 502, "bad gateway", "server_error"
	env := w.errorEnv()
	b.ReportAllocs()
	for b.Loop() {
		set.OnError(&env, nil)
	}
}

func BenchmarkLoadModern(b *testing.B) {
	layer := Layer{File: "b.yaml", Data: []byte("policies: {preset: modern}")}
	b.ReportAllocs()
	for b.Loop() {
		if set, _ := Load(layer); set == nil {
			b.Fatal("no set")
		}
	}
}

func BenchmarkReload(b *testing.B) {
	layer := Layer{File: "b.yaml", Data: []byte("policies: {preset: modern}")}
	set := mustLoad(b, layer)
	b.ReportAllocs()
	for b.Loop() {
		if s, _ := LoadAfter(set, layer); s == nil {
			b.Fatal("no set")
		}
	}
}

func BenchmarkRecordJSON(b *testing.B) {
	set := mustLoad(b, Layer{File: "b.yaml", Data: []byte("policies: {preset: modern}")})
	w := benchWorld(set, 2, 2, "priority", "fill-first")
	rec := &Record{
		At: testNow(), Req: w.req, Key: w.key, Sys: w.sys, Cfg: w.cfg, Guard: w.guard, Combo: w.combo, Attempt: w.attempt, Targets: w.targets,
		Accounts: map[string][]*Account{"p0/m": w.accounts}, Profiles: map[string]*Profile{"p0/m": w.profile}, Usage: w.usage,
		Budgets: map[string]BudgetState{"key:k1/usd/day": {Spent: 3, Est: 0.01}},
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = rec.AppendJSON(dst[:0])
	}
	b.SetBytes(int64(len(dst)))
}
