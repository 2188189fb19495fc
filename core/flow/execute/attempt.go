package execute

import (
	"slices"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/health"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/policy"
	"github.com/omniroute/omniroute/core/telemetry"
	"github.com/omniroute/omniroute/core/telemetry/capture"
	"github.com/omniroute/omniroute/core/upstream"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/hub"
)

// maxErrorBody is how much of an error body is read.
const maxErrorBody = 64 << 10

// attempt is one try at one account of one target. It ends exactly once, by
// succeed, fail or abort; a streamed answer ends it after the loop is done.
type attempt struct {
	l     *loop
	c     *call.Call
	t     *call.Target
	lease *account.Lease
	began time.Time

	breaker  func(health.Outcome)
	stats    func(health.Sample)
	releases []func(used int64)
	leave    func() // of the combo's gate; nil = none

	executor *host.Executor
	request  *request
	plan     *host.Plan
	resp     *upstream.Response
	url      string // that answered
	state    []byte // what the executor wants to be told in the next round
	retries  int    // that the executor asked for with a state

	decoded bool // the answer's frames are in the provider's dialect already
	status  int  // of upstream, 0 = none yet
	first   time.Time
	usage   hub.Usage
	finish  string
	over    bool
	renewed bool // a new credential was asked for
}

// run makes the attempt. Nil means that the call has its answer, or its error.
func (a *attempt) run() *fault.Error {
	a.phase(telemetry.PhaseQueue)
	if err := a.limits(); err != nil {
		return err
	}
	var ok bool
	if a.executor, ok = a.c.Plugins.Executor(a.executorID()); !ok {
		return fault.Newf(fault.PluginTrap, "No plugin serves provider %s (executor %q)", a.t.Provider.ID, a.executorID())
	}
	a.phase(telemetry.PhaseTranslate)
	a.c.Stages.Translated(a.t.Dialect)
	a.c.Active.At(a.t.Upstream, a.t.Provider.ID, a.lease.Account().Name)
	if a.l.request == nil {
		made, err := a.l.s.prepare(a.c, a.t)
		if err != nil {
			return err
		}
		a.l.request = made
	}
	a.request = a.l.request
	a.freshen()
	return a.exchange(0)
}

// maxRounds is how often one attempt may send its request again because the
// executor said so or because a credential was renewed.
const maxRounds = 2

// maxRetries is how often it may for an executor that keeps account of its
// retries. Their waits are bounded by those of the request.
const maxRetries = 24

// exchange plans, sends and judges once.
func (a *attempt) exchange(round int) *fault.Error {
	planned, err := a.planned(round)
	if err != nil {
		return err
	}
	if planned.Local != nil {
		return a.local(planned.Local)
	}
	if a.plan = planned.Send; a.plan == nil {
		return fault.New(fault.PluginTrap, "The executor neither planned nor answered the request")
	}
	a.phase(telemetry.PhaseConnect)
	if err := a.send(); err != nil {
		return err
	}
	a.phase(telemetry.PhaseTTFT)
	a.status = a.resp.Status
	if !a.plan.Judge || a.status != 429 { // else the executor may have another host
		a.learn()
	}
	if a.resp.Status >= 300 {
		return a.refused(round)
	}
	return a.answered()
}

// planned asks the executor how to serve the request, and renews the credential
// if it says that this comes first.
func (a *attempt) planned(round int) (*host.Planned, *fault.Error) {
	refreshed, reshaped := false, false
	for {
		planned, err := a.executor.Plan(a.c.Ctx, a.planInput(round))
		if err != nil {
			return nil, a.pluginFault(err)
		}
		if len(planned.Learned) > 0 {
			a.remember(planned.Learned)
		}
		switch {
		case planned.Reshape != "" && !reshaped:
			reshaped = true
			if err := a.reshape(planned.Reshape); err != nil {
				return nil, err
			}
			continue
		case planned.Reshape != "":
			return nil, fault.New(fault.PluginTrap, "The executor cannot plan the request in the dialect it asked for")
		case !planned.Refresh:
			return planned, nil
		case refreshed:
			return nil, fault.New(fault.InvalidKey, "The credential of account "+a.lease.Account().Name+" cannot be renewed")
		}
		refreshed = true
		if err := a.renew(false); err != nil {
			return nil, err
		}
	}
}

// reshape makes the request anew in a dialect, for all accounts of the target.
func (a *attempt) reshape(dialect string) *fault.Error {
	t := *a.t
	t.Dialect = dialect
	made, err := a.l.s.prepareAnew(a.c, &t)
	if err != nil {
		return err
	}
	a.request, a.l.request = made, made
	return nil
}

// remember keeps what the executor found out about the account.
func (a *attempt) remember(data map[string]string) {
	if err := a.l.s.Pool.Learn(a.c.Ctx, a.lease.Account().ID, data); err != nil {
		a.l.s.Log.Warn("what was learnt about an account is not stored", "account", a.lease.Account().ID, "error", err)
	}
	a.lease.Reload()
}

func (a *attempt) planInput(round int) host.PlanInput {
	acc := a.lease.Account()
	in := host.PlanInput{
		Profile:    a.profile(),
		Endpoint:   a.endpoint(),
		Model:      a.t.Upstream,
		Stream:     a.c.Stream,
		Body:       a.request.body,
		Blobs:      a.c.Doc,
		AuthKind:   authKind(acc.Auth),
		Attributes: acc.Data,
		Header:     forwarded(a.c.Header),
		Attempt:    round,
		Dialect:    a.request.dialect,
		State:      a.state,
		Session:    a.session,
		Effects:    a.effects,
		Secrets:    a.lease.Secret,
	}
	if n := len(a.l.failures); n > 0 {
		in.Previous = a.l.failures[n-1]
	}
	return in
}

// authKind names a credential kind in the words of plugins.
func authKind(auth string) string {
	if auth == "apikey" {
		return "api_key"
	}
	return auth
}

// forwarded are the client's header fields that an executor may want to see.
func forwarded(h call.Header) []abi.Header {
	var out []abi.Header
	for _, f := range h {
		switch name := strings.ToLower(f.Name); name {
		case "anthropic-beta", "anthropic-version", "openai-beta", "user-agent", "originator", "session_id",
			"conversation_id", "x-goog-api-client", "http-referer", "x-title":
			out = append(out, abi.Header{Name: name, Value: f.Value})
		}
	}
	return out
}

// refused judges an answer with an error status.
func (a *attempt) refused(round int) *fault.Error {
	body, _ := a.resp.ReadPrefix(maxErrorBody)
	a.c.Stages.Response(capture.Provider, a.resp.Status, call.Captured(a.resp.Header), body)
	_ = a.resp.Close()
	v, err := a.executor.Result(a.c.Ctx, host.ResultInput{
		Profile: a.profile(), Endpoint: a.endpoint(), Model: a.t.Upstream, Stream: a.c.Stream,
		URL: a.url, Status: a.resp.Status, Header: a.resp.Header, Body: []byte(a.secrets().Text(string(body))), // some quote the key
		AuthKind: authKind(a.lease.Account().Auth), Attempt: round, State: a.state, Effects: a.effects,
	})
	if err != nil {
		return a.pluginFault(err)
	}
	failure := v.Err
	if failure == nil {
		failure = fault.Upstream(a.resp.Status, "")
	}
	if failure.RetryAfter < 0 {
		failure.RetryAfter = fault.RetryAfter(a.resp.Get, body, a.l.s.Now())
	}
	a.blamed(failure)
	if v.Kind == abi.VerdictRetry && v.State != nil {
		if a.retries < maxRetries && a.l.wait(int(v.After.Milliseconds())) {
			a.retries, a.state = a.retries+1, v.State
			return a.exchange(round + 1) // the executor saw them all: the last failure tells most
		}
		return failure
	}
	if round >= maxRounds+a.retries {
		return failure
	}
	switch {
	case v.Kind == abi.VerdictRefresh || failure.Status == 401 && a.renewable():
		return a.afterRenewal(round, failure)
	case v.Kind == abi.VerdictRetry:
		if a.l.wait(int(v.After.Milliseconds())) {
			return a.again(round, failure)
		}
	}
	if signatureRefused(failure) && a.request.dropReasoning() {
		return a.again(round, failure)
	}
	return failure
}

// again repeats the exchange; if that fails too, the first failure is the one
// that tells more.
func (a *attempt) again(round int, first *fault.Error) *fault.Error {
	if err := a.exchange(round + 1); err != nil {
		if err.Status == first.Status {
			return first
		}
		return err
	}
	return nil
}

// blamed notes who failed and in which words, and takes secrets out of them. No
// failure that a provider or a plugin had a say in leaves the attempt without.
func (a *attempt) blamed(e *fault.Error) *fault.Error {
	if e.Provider == "" {
		e.Provider = a.t.Provider.ID
	}
	if e.Code == fault.Provider && e.Dialect == "" && a.request != nil {
		e.Dialect = a.answerDialect()
	}
	a.redact(e)
	return e
}

// pluginFault is the failure of a guest.
func (a *attempt) pluginFault(err error) *fault.Error {
	if a.c.Ctx.Err() != nil {
		return cancelled(a.c)
	}
	return a.blamed(fault.From(err))
}

// Requests with this tag have nobody waiting before a screen.
const (
	tagBatch  = "batch"
	batchWait = 2 * time.Minute // for a limiter
)

// limits takes a place in every limiter that a rule puts before the account.
func (a *attempt) limits() *fault.Error {
	list := a.c.Snapshot.Policy.Limits(&a.c.Env.AccountEnv, a.c.Trace)
	if own := a.limiter(); !slices.ContainsFunc(list, func(l policy.Limit) bool { return l.Scope == own }) {
		list = append(list, policy.Limit{Scope: own, MaxWaitMS: patience(list)}) // what responses taught holds without a rule too
	}
	for _, l := range list {
		limit := health.Limit{RPM: limitOf(l.RPM), TPM: limitOf(l.TPM), RPD: limitOf(l.RPD), Concurrency: limitOf(l.Concurrency),
			Gap: millis(max(l.GapMS, 0)), MaxWait: a.longestWait(l.MaxWaitMS)}
		release, err := a.l.s.Health.Limits.Acquire(a.c.Ctx, l.Scope, limit, int64(a.c.Req.TokensIn))
		if err != nil {
			if a.c.Ctx.Err() != nil {
				return cancelled(a.c)
			}
			e := fault.Wrap(fault.RateLimited, err, "The rate limit set for "+l.Scope+" is reached")
			if le, ok := err.(*health.LimitError); ok {
				e.RetryAfter = le.Wait
			}
			e.Scope = fault.ScopeRequest // ours, not the account's: it earns no penalty
			return e
		}
		a.releases = append(a.releases, release)
	}
	return nil
}

// patience is the shortest wait that a rule allows, or [policy.Unset].
func patience(list []policy.Limit) int {
	shortest := policy.Unset
	for _, l := range list {
		if l.MaxWaitMS != policy.Unset && (shortest == policy.Unset || l.MaxWaitMS < shortest) {
			shortest = l.MaxWaitMS
		}
	}
	return shortest
}

// longestWait is how long the request waits for one limiter.
func (a *attempt) longestWait(ms int) time.Duration {
	switch {
	case ms == 0:
		return time.Nanosecond
	case ms > 0:
		return millis(ms)
	case slices.Contains(a.c.Req.Tags, tagBatch):
		return batchWait
	}
	return millis(a.t.Profile.MaxWaitMS)
}

// limiter is the scope of what responses teach: the account, or one model of it
// where quotas are per model.
func (a *attempt) limiter() string {
	scope := "account:" + a.lease.Account().ID
	if a.t.Profile.QuotaScope == "model" {
		scope += ":" + a.t.Model.ID
	}
	return scope
}

// limitOf turns the "no rule spoke" of a verdict into "no limit".
func limitOf(n int) int { return max(n, 0) }

// succeed ends a good attempt.
func (a *attempt) succeed() {
	if a.over {
		return
	}
	a.lease.Succeed()
	a.breaker(health.Outcome{Success: true})
	a.stats(health.Sample{OK: true, Latency: a.elapsed(), TTFT: a.ttft(), TokensIn: a.usage.Prompt, TokensOut: a.usage.Completion})
	a.row(nil)
	a.end()
}

// abort ends an attempt that no provider failed: the client left, or the gateway
// itself broke.
func (a *attempt) abort(why *fault.Error) {
	if a.over {
		return
	}
	a.breaker(health.Outcome{Ignored: true})
	a.stats(health.Sample{Ignored: true})
	a.row(why)
	a.end()
}

// fail ends a failed attempt: the rules say what follows, penalties and the
// breaker take note. After content was sent the answer is only for the books.
func (a *attempt) fail(e *fault.Error, streamed bool) policy.Decision {
	env := &a.c.Env
	env.Err = errFacts(e)
	env.Err.Streamed = streamed
	if env.Err.EmptyOutput && a.status != 0 {
		env.Err.Status = a.status
	}
	if a.resp != nil {
		secrets := a.secrets()
		env.Err.Headers = headerMap(a.resp.Header)
		for name, v := range env.Err.Headers {
			env.Err.Headers[name] = secrets.Text(v)
		}
	}
	view := a.l.s.Health.Breakers.View(a.t.Provider.ID)
	env.Breaker = breakerFacts(view)
	d := a.c.Snapshot.Policy.OnError(env, a.c.Trace)
	if rec := a.c.Record; rec != nil {
		progress := *env.Attempt
		rec.Failures = append(rec.Failures, policy.Failure{Target: a.t.ID, Account: a.lease.Account().ID, Err: env.Err, Breaker: env.Breaker, Attempt: &progress})
	}
	a.penalise(e, d)
	a.breaker(a.outcome(e))
	a.stats(health.Sample{Ignored: env.Err.Aborted, Latency: a.elapsed()})
	a.row(e)
	if streamed {
		a.end()
		return d
	}
	a.over = true
	a.giveBack()
	return d
}

// penalise applies the penalty of a decision. A failure that is our own costs
// the account nothing.
func (a *attempt) penalise(e *fault.Error, d policy.Decision) {
	if d.CooldownMS <= 0 && !d.Disable || e.Scope == fault.ScopePlugin || ourOwn(e) {
		return
	}
	p := account.Penalty{Scope: d.Scope, Cooldown: millis(d.CooldownMS), Level: d.Level, Reason: d.Reason,
		Status: e.Status, Text: e.Message, Disable: d.Disable}
	if p.Scope == "" {
		p.Scope = "account"
	}
	if d.Disable && d.Reason == string(fault.ReasonBanned) {
		p.Terminal = account.StatusBanned
	}
	a.lease.Fail(p)
}

// ourOwn reports whether the gateway itself refused: a limiter, a translation, a
// missing plugin, a client that left, a proxy of ours that is down.
func ourOwn(e *fault.Error) bool {
	switch e.Code {
	case fault.RateLimited, fault.ClientClosed, fault.InvalidBody, fault.MissingField, fault.ContextTooLong,
		fault.ProviderUnknown, fault.Internal, fault.CircuitOpen, fault.ProxyFailed, fault.ProxyTimeout:
		return true
	}
	return e.Reason == fault.ReasonAborted
}

// outcome is what a failure means for the provider's breaker.
func (a *attempt) outcome(e *fault.Error) health.Outcome {
	if ourOwn(e) || e.Class == fault.ClassPlugin {
		return health.Outcome{Ignored: true}
	}
	env := policy.BreakerEnv{TargetEnv: a.c.Env.TargetEnv, Err: a.c.Env.Err, Breaker: a.c.Env.Breaker}
	set := a.c.Snapshot.Policy
	v := set.Breaker(&env, a.c.Trace)
	switch {
	case !v.Hit:
		return health.Outcome{Ignored: e.Status >= 400 && e.Status < 500 && e.Status != 408}
	case v.Ignore || !v.Count:
		return health.Outcome{Ignored: true}
	}
	return health.Outcome{Threshold: a.t.Profile.BreakerThreshold, Successes: v.Successes, Trip: func(b health.Breaker) (bool, time.Duration) {
		env.Breaker = breakerFacts(b)
		v := set.Breaker(&env, nil)
		return v.Trip, millis(max(v.ResetMS, 0))
	}}
}

// row writes the attempt into the call's list.
func (a *attempt) row(e *fault.Error) {
	r := ledger.Attempt{Target: a.t.ID, Account: a.lease.Account().Name, Status: a.status, MS: a.elapsed().Milliseconds()}
	if e != nil {
		r.Status, r.Reason, r.Error = e.Status, string(e.Reason), e.Message
	}
	a.c.Attempts = append(a.c.Attempts, r)
}

// end gives back everything, the account included, and hands usage to the call.
func (a *attempt) end() {
	a.over = true
	a.giveBack()
	a.lease.Release()
	if a.leave != nil {
		a.leave()
	}
	a.c.Usage, a.c.Finish, a.c.FirstAt = a.usage, a.finish, a.first
}

// giveBack releases limiter places and the connection.
func (a *attempt) giveBack() {
	used := int64(-1)
	if a.usage.Known {
		used = a.usage.Sum()
	}
	for _, release := range a.releases {
		release(used)
	}
	a.releases = nil
	if a.resp != nil {
		_ = a.resp.Close()
	}
}

// served notes that this attempt serves the call.
func (a *attempt) served() {
	a.c.Served = &call.Served{Target: a.t, Account: a.lease.Account()}
	a.c.Degraded = a.request.degraded
	if combo := a.c.Env.Combo; combo.Name != "" {
		a.l.s.Health.Combos.Served(combo.Name, a.t.Position, a.t.ID)
	}
}

// phase begins a phase of the call.
func (a *attempt) phase(p telemetry.Phase) { a.c.Phases.Start(p, a.l.s.Now()) }

func (a *attempt) elapsed() time.Duration { return a.l.s.Now().Sub(a.began) }

func (a *attempt) ttft() time.Duration {
	if a.first.IsZero() {
		return 0
	}
	return a.first.Sub(a.began)
}

func headerMap(h []abi.Header) map[string]string {
	m := make(map[string]string, len(h))
	for i := len(h) - 1; i >= 0; i-- {
		m[strings.ToLower(h[i].Name)] = h[i].Value
	}
	return m
}
