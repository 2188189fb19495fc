package flow

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/audit"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/flow/canonicalize"
	"github.com/omniroute/omniroute/core/flow/decide"
	"github.com/omniroute/omniroute/core/flow/execute"
	"github.com/omniroute/omniroute/core/flow/render"
	"github.com/omniroute/omniroute/core/flow/settle"
	"github.com/omniroute/omniroute/core/health"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/policy"
	"github.com/omniroute/omniroute/core/telemetry"
	"github.com/omniroute/omniroute/core/telemetry/capture"
	"github.com/omniroute/omniroute/core/upstream"
)

// Deps are what the flow works with. All are required unless said otherwise.
type Deps struct {
	Host     *host.Host
	Upstream *upstream.Client
	Keys     *account.Keys
	Pool     *account.Pool
	Ledger   *ledger.Ledger
	Health   *health.Health
	Metrics  *telemetry.Metrics
	Log      *slog.Logger
	Version  string

	// Renewer keeps credentials fresh; nil = none can be renewed.
	Renewer execute.Renewer
	// Traffic is told what goes on; nil = nobody asks.
	Traffic *telemetry.Traffic
	// Captures keeps the stages of requests that log rules name; nil = none.
	Captures *capture.Store
	// Audit records what budgets decide; nil = nobody does.
	Audit *audit.Log
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Flow runs calls.
type Flow struct {
	deps     Deps
	snapshot atomic.Pointer[Snapshot]
	inflight atomic.Int64
	draining atomic.Bool
	idle     chan struct{} // gets a mark whenever the last call ends
	load     load
	ctx      context.Context
	stop     context.CancelCauseFunc

	canonicalize *canonicalize.Stage
	decide       *decide.Stage
	execute      *execute.Stage
	render       *render.Stage
	settle       *settle.Stage
}

// New returns a flow without a snapshot; [Flow.Swap] puts the first in force.
func New(d Deps) *Flow {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Traffic == nil {
		d.Traffic = telemetry.NewTraffic(d.Now)
	}
	f := &Flow{deps: d, idle: make(chan struct{}, 1)}
	f.ctx, f.stop = context.WithCancelCause(context.Background())
	f.canonicalize = canonicalize.New()
	f.decide = decide.New(decide.Deps{Keys: d.Keys, Pool: d.Pool, Ledger: d.Ledger, Health: d.Health, Sys: f.sys, Now: d.Now})
	f.execute = execute.New(execute.Deps{Upstream: d.Upstream, Pool: d.Pool, Health: d.Health, Ledger: d.Ledger,
		Renewer: d.Renewer, Log: d.Log, Now: d.Now})
	f.render = render.New()
	f.settle = settle.New(settle.Deps{Ledger: d.Ledger, Health: d.Health, Metrics: d.Metrics, Log: d.Log, Now: d.Now,
		Traffic: d.Traffic, Audit: d.Audit})
	return f
}

// Swap puts a snapshot in force for calls that start from now on.
func (f *Flow) Swap(s *Snapshot) { f.snapshot.Store(s) }

// Snapshot returns the snapshot in force, nil before the first Swap.
func (f *Flow) Snapshot() *Snapshot { return f.snapshot.Load() }

// Ready reports whether calls can be served.
func (f *Flow) Ready() bool {
	if f.draining.Load() || f.snapshot.Load() == nil {
		return false
	}
	select {
	case <-f.deps.Host.Ready():
		return true
	default:
		return false
	}
}

// Inflight is the number of calls that run.
func (f *Flow) Inflight() int { return int(f.inflight.Load()) }

// Drain makes the gateway refuse new calls, as the gate rules say.
func (f *Flow) Drain() { f.draining.Store(true) }

// Draining reports whether the gateway is stopping.
func (f *Flow) Draining() bool { return f.draining.Load() }

// Wait returns when no call runs any more, or when ctx ends.
func (f *Flow) Wait(ctx context.Context) error {
	for f.inflight.Load() > 0 {
		select {
		case <-f.idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// errStopped ends the calls that outlive the gateway.
var errStopped = fault.New(fault.CircuitOpen, "The gateway is stopping")

// Close ends all calls that still run.
func (f *Flow) Close() { f.stop(errStopped) }

// Log returns the logger of the flow.
func (f *Flow) Log() *slog.Logger { return f.deps.Log }

// Begin makes a call that keeps the snapshot and the plugins of this moment.
// Every call that was begun must be given to [Flow.Run], once.
func (f *Flow) Begin(dialect, endpoint string) *Call {
	f.inflight.Add(1)
	c := &Call{Began: f.deps.Now(), Dialect: dialect, Endpoint: endpoint, Snapshot: f.snapshot.Load(), Plugins: f.deps.Host.Current()}
	c.Ctx, c.Cancel = context.WithCancelCause(f.ctx)
	return c
}

// Run takes a call through the stages: the one place where their order stands.
// When it returns, the client has its stream, or Sent holds the whole answer.
func (f *Flow) Run(c *Call) {
	defer f.end(c)
	c.Phases.Start(telemetry.PhaseParse, c.Began)
	c.Active = f.deps.Traffic.Begin(telemetry.Running{ID: c.ID, Began: c.Began, Endpoint: c.Endpoint, Model: c.Model, Stream: c.Stream})
	f.guard(c, f.answer)
	if !f.guard(c, f.render.Run) {
		f.guard(c, f.render.Fail)
	}
	f.guard(c, f.settle.Run)
}

// answer takes a call to its answer, or its error.
func (f *Flow) answer(c *Call) {
	if f.admit(c); c.Err == nil {
		c.Phases.Start(telemetry.PhaseValidate, f.deps.Now())
		f.canonicalize.Run(c)
	}
	if c.Err == nil {
		c.Phases.Start(telemetry.PhasePolicy, f.deps.Now())
		f.decide.Run(c)
		f.capture(c)
	}
	if c.Err == nil {
		f.execute.Run(c)
	}
}

// capture begins to keep the stages of a call, if the log rules want them.
func (f *Flow) capture(c *Call) {
	if c.Key != nil && c.Key.NoLog || c.Log.CallLog == "counters" || c.Log.CallLog == "none" {
		return
	}
	c.Stages = f.deps.Captures.Begin(capture.Meta{ID: c.ID, Source: c.Dialect, Model: c.Model}, capture.Mode(c.Log.Stages))
	c.Stages.Request(capture.Client, c.Path, call.Captured(c.Header), c.Body)
}

// Admit asks only who may talk to the gateway, for surfaces that need no model.
func (f *Flow) Admit(c *Call) {
	defer f.end(c)
	if f.guard(c, f.admit); c.Err != nil {
		f.guard(c, f.render.Fail)
	}
}

// admit asks who may talk to the gateway at all. A call that accept could not
// read is not asked about, but has its facts.
func (f *Flow) admit(c *Call) {
	f.canonicalize.Begin(c)
	if c.Err == nil {
		f.decide.Admit(c)
	}
}

// Models lists the models that the key of an admitted call may use.
func (f *Flow) Models(c *Call, full bool) []Listing { return f.decide.Models(c, full) }

// Listing is one row of the model list.
type Listing = decide.Listing

// guard runs a stage and turns a panic in it into the error of this one call;
// false if there was one.
func (f *Flow) guard(c *Call, stage func(*Call)) (ok bool) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		f.deps.Log.Error("request panicked", "request_id", c.ID, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		c.Err = fault.New(fault.Internal)
		if c.Answer != nil && c.Answer.Events != nil {
			c.Answer.Events.Close()
		}
		c.Answer = nil
	}()
	stage(c)
	return true
}

// end gives back what the call held.
func (f *Flow) end(c *Call) {
	c.Cancel(nil)
	c.Plugins.Release()
	c.Active.End()
	if c.Media != nil {
		c.Media.Upload.Close()
	}
	c.Reservation.Release() // settle did, unless it panicked
	if c.Idempotent != nil {
		c.Idempotent(nil) // settle did, unless it panicked
	}
	if c.Flight != nil {
		c.Flight(nil)
	}
	if f.inflight.Add(-1) == 0 {
		select {
		case f.idle <- struct{}{}:
		default:
		}
	}
}

func (f *Flow) sys() policy.Sys {
	return policy.Sys{Inflight: f.Inflight(), LoadPct: f.load.percent(f.deps.Now()), Draining: f.draining.Load(), Version: f.deps.Version}
}

// Beat is one heartbeat of a dialect and the silence after which it is due.
func Beat(dialect string) ([]byte, time.Duration) {
	return render.Beat(dialect), render.DefaultHeartbeat
}

// StreamType is the media type of a stream in a dialect; array asks for the form
// of a Gemini stream without alt=sse.
func StreamType(dialect string, array bool) string { return render.ContentType(dialect, array) }

// ErrorBody renders an error that belongs to no call.
func ErrorBody(dialect string, e *fault.Error, requestID string) (status int, body []byte) {
	return render.Status(dialect, e), render.AppendError(nil, dialect, e, requestID)
}

// ErrClientGone is the cause with which accept cancels the call of a client that
// closed its connection.
var ErrClientGone = call.ErrClientGone
