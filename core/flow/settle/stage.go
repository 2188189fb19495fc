package settle

import (
	"cmp"
	"log/slog"
	"math"
	"time"

	json "github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/audit"
	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/health"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/policy"
	"github.com/omniroute/omniroute/core/telemetry"
	"github.com/omniroute/omniroute/sdk/hub"
)

// Deps are the books.
type Deps struct {
	Ledger  *ledger.Ledger
	Health  *health.Health
	Metrics *telemetry.Metrics
	Log     *slog.Logger
	Now     func() time.Time
	Traffic *telemetry.Traffic
	Audit   *audit.Log // nil = none
}

// Stage settles.
type Stage struct {
	Deps
	meters  meters
	budgets notices
}

// New returns the stage.
func New(d Deps) *Stage { return &Stage{Deps: d, meters: newMeters(d.Metrics)} }

// Run settles a call.
func (s *Stage) Run(c *call.Call) {
	if c.Settled {
		return
	}
	c.Settled = true
	c.Phases.Start(telemetry.PhaseFinalize, s.Now())
	e := s.entry(c)
	s.price(c, e)
	s.keep(c, e)
	s.store(c)
	s.release(c)
	s.Ledger.Settle(e, c.Reservation)
	s.meters.observe(c, e)
	s.budgets.look(s, c)
	s.line(c, e)
	s.show(c, e)
	if c.Err != nil {
		c.Stages.Fail(c.Err.Error(), c.Body)
	}
	c.Stages.End(c.Err != nil)
	now := s.Now()
	c.Phases.End(now)
	s.Traffic.Add(&c.Phases, now)
	s.meters.phases(&c.Phases)
}

// show tells what came of a call to whoever watches the traffic.
func (s *Stage) show(c *call.Call, e *ledger.Entry) {
	account := ""
	if c.Served != nil {
		account = c.Served.Account.ID
	}
	if !quiet(c) {
		s.Traffic.Session(e.Session, account)
	}
	s.Traffic.Line(telemetry.Line{Time: s.Now(), Model: cmp.Or(e.Upstream, e.Model), Provider: e.Provider, Account: e.AccountName,
		In: e.Usage.Prompt, Out: e.Usage.Completion, Status: telemetry.Outcome(e.Status)})
}

// quiet reports a call of which only counters are kept.
func quiet(c *call.Call) bool {
	return c.Log.CallLog == "counters" || c.Key != nil && c.Key.NoLog
}

// entry is the row of the request log.
func (s *Stage) entry(c *call.Call) *ledger.Entry {
	now := s.Now()
	e := &ledger.Entry{
		ID: c.ID, Time: c.Began, Endpoint: c.Endpoint, Method: c.Method, Path: c.Path, Bypass: c.Bypass, IP: c.IP.String(), Format: c.Dialect,
		Stream: c.Stream, Model: c.Model, Status: 200, Finish: c.Finish, LatencyMS: now.Sub(c.Began).Milliseconds(),
		Attempts: c.Attempts, Degraded: c.Degraded, Trimmed: c.Trimmed, Cached: c.CacheHit,
	}
	if c.Answer != nil && c.Answer.Status != 0 {
		e.Status = c.Answer.Status
	}
	if c.Err != nil {
		e.Status, e.Code, e.Error = c.Err.Status, string(c.Err.Code), telemetry.Redact(c.Err.Message)
	}
	if !c.FirstAt.IsZero() {
		e.TTFTMS = c.FirstAt.Sub(c.Began).Milliseconds()
	}
	if r := c.Req; r != nil {
		e.Client, e.User, e.Session, e.Tags = r.Client, r.User, r.Session, r.Tags
	}
	if k := c.Key; k != nil {
		e.KeyID, e.KeyName, e.Team = k.ID, k.Name, k.Team
	}
	if c.Resolution != nil && c.Resolution.Combo != nil {
		e.Combo = c.Resolution.Combo.Name
	}
	if sv := c.Served; sv != nil {
		t := sv.Target
		e.Target, e.Provider, e.Upstream, e.Dialect = t.ID, t.Provider.ID, t.Upstream, t.Dialect
		e.Account, e.AccountName = sv.Account.ID, sv.Account.Name
	}
	e.Usage = usageOf(c)
	e.Scopes = scopes(c, e)
	return e
}

// usageOf is the provider's usage, or an estimate for an answer that came
// without one. Nothing is counted for answers that no provider gave.
func usageOf(c *call.Call) hub.Usage {
	u := c.Usage
	if u.Known || c.Served == nil || c.Served.Target.Dialect == "" {
		return u
	}
	return c.Estimate(c.OutputChars)
}

// scopes are the counters that the call adds to.
func scopes(c *call.Call, e *ledger.Entry) []string {
	out := []string{"global"}
	add := func(kind, id string) {
		if id != "" {
			out = append(out, kind+id)
		}
	}
	add("key:", e.KeyID)
	add("team:", e.Team)
	add("user:", e.User)
	for _, t := range e.Tags {
		add("tag:", t)
	}
	add("provider:", e.Provider)
	add("account:", e.Account)
	add("model:", e.Target)
	add("combo:", e.Combo)
	return out
}

// keep adds bodies and the Trace to the row, as far as the log rules allow.
func (s *Stage) keep(c *call.Call, e *ledger.Entry) {
	e.Unlisted = c.Log.CallLog == "none"
	if e.Unlisted {
		return
	}
	if quiet(c) {
		e.Error, e.User, e.Session, e.IP, e.Client, e.Tags = "", "", "", "", "", nil
		for i := range e.Attempts {
			e.Attempts[i].Error = ""
		}
		return
	}
	if c.Log.Bodies == "all" || c.Log.Bodies == "errors" && c.Err != nil {
		e.Request = redacted(c.Body)
		if len(c.Kept) > 0 {
			e.Response = redacted(c.Kept)
		} else {
			e.Response = redacted(c.Sent.Body)
		}
	}
	if c.Trace != nil && len(c.Trace.Entries) > 0 {
		e.Trace = traceOf(c, e)
	}
}

// maxBody bounds a body in the request log, in bytes.
const maxBody = 64 << 10

func redacted(body []byte) []byte {
	if len(body) > maxBody {
		body = body[:maxBody]
	}
	if len(body) == 0 {
		return nil
	}
	return []byte(telemetry.Redact(string(body)))
}

// trace is what is kept of a decision: which rules said what. The facts to decide
// again from follow as "record".
type trace struct {
	Request    string           `json:"request"`
	Policy     string           `json:"policy"`
	Model      string           `json:"model"`
	Route      string           `json:"route,omitempty"`
	Path       []string         `json:"path,omitempty"`
	Candidates []string         `json:"candidates,omitempty"`
	Rules      []policy.Entry   `json:"rules"`
	Tries      []ledger.Attempt `json:"tries,omitempty"`
	Degraded   []string         `json:"degraded,omitempty"` // what the translation could not carry
	Trimmed    int              `json:"trimmed,omitempty"`  // messages left out to make the rest fit
}

// traceOf writes the trace of a call as JSON; nil if it has no JSON form.
func traceOf(c *call.Call, e *ledger.Entry) []byte {
	t := trace{Request: c.ID, Policy: c.Snapshot.Policy.Hash(), Model: c.Model, Rules: c.Trace.Entries, Tries: c.Attempts,
		Degraded: c.Degraded, Trimmed: c.Trimmed}
	if c.Route != c.Model {
		t.Route = c.Route
	}
	if c.Resolution != nil {
		t.Path = c.Resolution.Path
	}
	for _, target := range c.Targets {
		t.Candidates = append(t.Candidates, target.ID)
	}
	out, err := json.Marshal(t)
	if err != nil {
		return nil
	}
	r := c.Record
	if r == nil {
		return out
	}
	r.Served, r.ServedAccount, r.CostUSD, r.Usage = e.Target, e.Account, max(e.Cost, 0).USD(), usageFacts(c, e)
	out = append(out[:len(out)-1], `,"record":`...)
	return append(r.AppendJSON(out), '}')
}

// price fills the cost of a row: by list price, or as the meter rules say.
func (s *Stage) price(c *call.Call, e *ledger.Entry) {
	if c.Served == nil {
		e.Cost = 0
		return
	}
	t := c.Served.Target
	opt := ledger.CostOptions{ReasoningTwice: c.Snapshot.Config.File.Pricing.ReasoningMode == "seed", Images: int64(c.Req.Images)}
	if m := c.Media; m != nil {
		opt.Images, opt.Characters, opt.Millis = m.Made.Images, m.Made.Characters, m.Made.Millis
	}
	if t.Dialect == "claude" {
		opt.WriteMilli = claudeWrites
	}
	e.Cost = ledger.Cost(e.Usage, t.Model.Price, opt)
	e.Billed = billed(e.Cost, t.Provider, c.Served.Account.Billing)
	v := s.meter(c, e)
	if v.HasCost {
		e.Billed = ledger.FromUSD(v.Cost) // the list price stays in the row beside it
	}
	for _, m := range v.Counters {
		s.Ledger.Add(m.Counter, 0, 0, int64(math.Round(m.Add)))
	}
}

// claudeWrites is what Anthropic charges for writing to the cache of five minutes,
// in thousandths of the input price.
const claudeWrites = 1250

// billed is what a cost means in money: nothing for what a subscription or a
// free tier covers.
func billed(cost ledger.Money, p *catalog.Provider, billing string) ledger.Money {
	if billing == "" {
		billing = p.Billing
	}
	if billing == "subscription" || billing == "free" {
		return 0
	}
	return cost
}

// meter asks the meter rules.
func (s *Stage) meter(c *call.Call, e *ledger.Entry) policy.MeterVerdict {
	env := policy.MeterEnv{AccountEnv: c.Env.AccountEnv, Usage: usageFacts(c, e)}
	return c.Snapshot.Policy.Meter(&env, c.Trace)
}

// usageFacts is what was used, as rules see it.
func usageFacts(c *call.Call, e *ledger.Entry) *policy.Usage {
	u := e.Usage
	return &policy.Usage{
		Input: int(u.Prompt), CachedRead: int(u.CachedRead), CacheWrite: int(u.CacheWrite), Output: int(u.Completion),
		Reasoning: int(u.Reasoning), Total: int(u.Sum()), Estimated: u.Estimated, CostUSD: max(e.Cost, 0).USD(),
		LatencyMS: int(e.LatencyMS), TTFTMS: int(e.TTFTMS), Status: e.Status, CacheHit: c.CacheHit,
	}
}

// store keeps a good answer for the response cache and for the one who repeats
// the request under the same idempotency key.
func (s *Stage) store(c *call.Call) {
	var answer *health.CachedResponse
	if c.Err == nil && !c.CacheHit && len(c.Kept) > 0 {
		answer = s.stored(c)
	}
	if c.Idempotent != nil {
		c.Idempotent(answer)
	}
	if !storable(c) {
		answer = nil
	}
	if c.Flight != nil {
		c.Flight(answer)
	}
	if c.CacheKey == "" || answer == nil {
		return
	}
	s.Health.Cache.Put(c.CacheKey, answer, c.CacheTTL)
}

// storable reports whether an answer is complete and of a kind that may be
// given to the next one who asks.
func storable(c *call.Call) bool {
	switch c.Finish {
	case hub.FinishStop:
		return true
	case hub.FinishTools:
		return c.CacheTools
	}
	return false
}

func (s *Stage) stored(c *call.Call) *health.CachedResponse {
	r := &health.CachedResponse{Status: 200, Body: c.Kept, Model: c.Model, Tokens: c.Usage.Sum(), Stored: s.Now(),
		Volatile: c.Key != nil && c.Key.NoLog}
	if c.Stream {
		r.Headers = [][2]string{{"content-type", "text/event-stream"}}
	}
	if c.Served != nil {
		r.Target = c.Served.Target.ID
	}
	return r
}

// release gives back the places in the limiters of the key.
func (s *Stage) release(c *call.Call) {
	used := int64(-1)
	if c.Usage.Known {
		used = c.Usage.Sum()
	}
	for _, release := range c.Releases {
		release(used)
	}
	c.Releases = nil
}

// line writes the call to the log.
func (s *Stage) line(c *call.Call, e *ledger.Entry) {
	level := slog.LevelInfo
	if e.Status >= 500 {
		level = slog.LevelWarn
	}
	ctx := c.Ctx
	if !s.Log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs,
		slog.String("request_id", c.ID), slog.String("path", c.Path), slog.String("model", c.Model),
		slog.String("target", e.Target), slog.String("account", e.AccountName), slog.Int("status", e.Status),
		slog.Int64("ms", e.LatencyMS), slog.Int64("in", e.Usage.Prompt), slog.Int64("out", e.Usage.Completion))
	if len(e.Attempts) > 1 {
		attrs = append(attrs, slog.Int("attempts", len(e.Attempts)))
	}
	if c.Err != nil {
		attrs = append(attrs, slog.String("code", e.Code))
		if !quiet(c) { // what a provider says may quote the request
			attrs = append(attrs, slog.String("error", c.Err.Error()))
		}
	}
	s.Log.LogAttrs(ctx, level, "request", attrs...)
}
