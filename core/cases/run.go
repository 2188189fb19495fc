package cases

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Job is what a [Translator] gets of a case.
type Job struct {
	// ID names the case in messages.
	ID string
	// From and To are the wire formats as in [Case].
	From, To string
	Ctx      Ctx
	// Body is the document of Request and Response.
	Body []byte
	// Events is the upstream stream of Stream and Collect, event by event.
	Events []Event
	// Chunks is the same stream as wire bytes cut into pieces, as reads from a
	// connection would bring it. It is nil when the events shall be delivered
	// one by one.
	Chunks [][]byte
}

// Translator is anything that can translate. Every method returns an error of
// type [*Failure] when the translation itself ended in an error for the client;
// any other error means that the case could not be run.
type Translator interface {
	// Request turns a client body into the body for the target.
	Request(ctx context.Context, j Job) ([]byte, error)
	// Response turns an upstream body (with j.Ctx.Status) into the client's.
	Response(ctx context.Context, j Job) ([]byte, error)
	// Stream turns an upstream stream into client events. An error before the
	// first output is a *Failure; later ones are events of the stream.
	Stream(ctx context.Context, j Job) ([]Event, error)
	// Collect turns an upstream stream into one client body.
	Collect(ctx context.Context, j Job) ([]byte, error)
}

// Failure is a translation that ended in an error answer: what the client would
// receive over HTTP.
type Failure struct {
	Status  int
	Body    []byte
	Headers map[string]string
}

// Error implements error.
func (f *Failure) Error() string { return fmt.Sprintf("status %d: %s", f.Status, clip(string(f.Body))) }

// ErrSkip marks a case that a translator has no means to run, for example a
// binary upstream framing that its fake does not speak.
var ErrSkip = errors.New("case skipped")

// Outcome is what a translator made of a case: a body, events or a failure.
type Outcome struct {
	Body    []byte
	Events  []Event
	Failure *Failure
}

// Result is a case that was run.
type Result struct {
	Case    *Case
	Outcome Outcome
	// Problems says what differed, one sentence each; empty when the case passed.
	Problems []string
	// Skipped is set when the translator could not run the case at all.
	Skipped bool
}

// Passed reports whether everything expected held.
func (r Result) Passed() bool { return len(r.Problems) == 0 && !r.Skipped }

// String is one line for a case that passed and one more for each problem otherwise.
func (r Result) String() string {
	state := "pass"
	switch {
	case r.Skipped:
		state = "skip"
	case !r.Passed():
		state = "FAIL"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s (%s %s -> %s)", state, r.Case.ID, r.Case.Kind, r.Case.From, r.Case.To)
	for _, p := range r.Problems {
		b.WriteString("\n    ")
		b.WriteString(p)
	}
	return b.String()
}

// RunOptions changes how stream cases are fed.
type RunOptions struct {
	// Rechunk delivers streams as wire bytes cut at random places instead of
	// event by event. Formats without a textual framing ignore it.
	Rechunk bool
	// Seed makes the cuts repeatable.
	Seed uint64
}

// Run runs one case, streams event by event.
func Run(ctx context.Context, c *Case, t Translator) Result {
	return RunWith(ctx, c, t, RunOptions{})
}

// RunWith runs one case.
func RunWith(ctx context.Context, c *Case, t Translator, opt RunOptions) Result {
	job := Job{ID: c.ID, From: c.From, To: c.To, Ctx: c.Ctx, Body: c.Input, Events: c.Events}
	if opt.Rechunk && c.Kind == KindStream && HasWire(c.From) {
		job.Chunks = Chunks(c.From, c.Events, opt.Seed)
	}
	var out Outcome
	var err error
	switch {
	case c.Kind == KindRequest:
		out.Body, err = t.Request(ctx, job)
	case c.Kind == KindResponse:
		out.Body, err = t.Response(ctx, job)
	case c.Ctx.Collect:
		out.Body, err = t.Collect(ctx, job)
	default:
		out.Events, err = t.Stream(ctx, job)
		if err == nil && out.Events == nil {
			out.Events = []Event{}
		}
	}
	switch {
	case err == nil:
	case errors.Is(err, ErrSkip):
		return Result{Case: c, Skipped: true}
	case errors.As(err, &out.Failure):
		out.Body, out.Events = nil, nil
	default:
		return Result{Case: c, Outcome: out, Problems: []string{"could not be run: " + err.Error()}}
	}
	return Result{Case: c, Outcome: out, Problems: Check(c, out)}
}

// Chunks are the wire bytes of a stream, cut at places that the seed decides.
func Chunks(format string, events []Event, seed uint64) [][]byte {
	return Cut(AppendWire(nil, format, events), rand.New(rand.NewPCG(seed, uint64(len(events)))))
}

// Cut divides bytes at random places into pieces of 1 to about 40 bytes.
func Cut(wire []byte, rng *rand.Rand) [][]byte {
	var out [][]byte
	for len(wire) > 0 {
		n := 1 + rng.IntN(40)
		if rng.IntN(8) == 0 {
			n = 1
		}
		n = min(n, len(wire))
		out = append(out, wire[:n:n])
		wire = wire[n:]
	}
	return out
}

// Summary counts results, in all and per kind and pair.
type Summary struct {
	Passed, Failed, Skipped int
	// Pairs is keyed by "kind from -> to".
	Pairs map[string]Tally
}

// Tally is passed out of total.
type Tally struct{ Passed, Total int }

// Add counts one result.
func (s *Summary) Add(r Result) {
	if r.Skipped {
		s.Skipped++
		return
	}
	if s.Pairs == nil {
		s.Pairs = map[string]Tally{}
	}
	key := r.Case.Kind + " " + r.Case.From + " -> " + r.Case.To
	t := s.Pairs[key]
	t.Total++
	if r.Passed() {
		s.Passed++
		t.Passed++
	} else {
		s.Failed++
	}
	s.Pairs[key] = t
}

// String is the one-line report, `N passed, M failed`.
func (s Summary) String() string {
	line := fmt.Sprintf("%d passed, %d failed", s.Passed, s.Failed)
	if s.Skipped > 0 {
		line += fmt.Sprintf(", %d skipped", s.Skipped)
	}
	return line
}

// clip shortens text for a message, at a character border.
func clip(s string) string {
	const limit = 300
	if len(s) <= limit {
		return s
	}
	cut := 0
	for i := range s {
		if i > limit {
			break
		}
		cut = i
	}
	return s[:cut] + "…"
}
