package host

import (
	"context"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/hub"
)

// Host runs plugins. All methods may be called concurrently.
type Host struct{}

// Open starts a host and loads plugins in the background; see [Host.Ready]. It
// fails only when the host itself cannot work (cache folder not private, …),
// never because of a plugin: see [Host.Problems].
func Open(ctx context.Context, opt Options) (*Host, error) { panic("api") }

// Ready is closed when the first generation serves.
func (h *Host) Ready() <-chan struct{} { panic("api") }

// Close stops watching, ends every instance and frees the compiled code.
func (h *Host) Close(ctx context.Context) error { panic("api") }

// Parts lists every part of the current generation, active or not.
func (h *Host) Parts() []Part { panic("api") }

// Problems lists plugin files that could not be taken into service.
func (h *Host) Problems() []Problem { panic("api") }

// OnChange registers a function to be called after each new generation.
func (h *Host) OnChange(f func()) { panic("api") }

// Rescan looks at the plugin folder now and returns when the result serves.
func (h *Host) Rescan(ctx context.Context) error { panic("api") }

// Current pins the current generation of plugins. Release it.
func (h *Host) Current() *Generation { panic("api") }

// Generation is an immutable set of plugins. It serves until it is released by
// everyone, also after newer ones came.
type Generation struct{}

// Release gives the generation back. Streams opened from it keep it alive.
func (g *Generation) Release() { panic("api") }

// Parts lists every part, active or not.
func (g *Generation) Parts() []Part { panic("api") }

// CanTranslate reports whether requests can go from one format to the other
// (and answers back).
func (g *Generation) CanTranslate(from, to string) bool { panic("api") }

// Request translates a request body. Errors are *fault.Error.
func (g *Generation) Request(ctx context.Context, t Translation) (Translated, error) { panic("api") }

// Response translates a complete answer. A body that means failure is returned
// as an error of the upstream.
func (g *Generation) Response(ctx context.Context, t Translation) (Translated, error) { panic("api") }

// OpenStream starts the translation of a streamed answer.
func (g *Generation) OpenStream(ctx context.Context, t Translation) (*Stream, error) { panic("api") }

// RenderError writes a failure as the error body of a format.
func (g *Generation) RenderError(ctx context.Context, dialect string, e *fault.Error) ([]byte, error) {
	panic("api")
}

// Executor returns the active executor of that id or alias.
func (g *Generation) Executor(id string) (*Executor, bool) { panic("api") }

// MemoryContains reports which plugins' instances hold the bytes in their
// memory. It is for tests that prove that guests never see secrets.
func (g *Generation) MemoryContains(needle []byte) []string { panic("api") }

// Stream is one streamed answer inside a guest. It is used by one goroutine.
type Stream struct{}

// Data feeds upstream frames and emits client frames. A frame is valid during
// the call of emit; an error of emit ends the call and is returned.
func (s *Stream) Data(ctx context.Context, in []abi.Frame, emit func(abi.Frame) error) error {
	panic("api")
}

// End ends the stream; it must be called exactly once, also after an error.
func (s *Stream) End(ctx context.Context, reason abi.EndReason, emit func(abi.Frame) error) error {
	panic("api")
}

// Usage is the usage reported so far.
func (s *Stream) Usage() hub.Usage { panic("api") }

// Finish is the finish reason, "" as long as there is none.
func (s *Stream) Finish() string { panic("api") }

// Body is the collected answer after End, of streams opened with Collect.
func (s *Stream) Body() []byte { panic("api") }

// Degraded lists fields dropped or weakened so far.
func (s *Stream) Degraded() []string { panic("api") }

// Executor is an executor part of a generation.
type Executor struct{}

// Part describes the executor.
func (x *Executor) Part() Part { panic("api") }

// Passthrough reports that frames of the upstream are in the provider's
// dialect already, so that no executor stream is needed.
func (x *Executor) Passthrough() bool { panic("api") }

// NewProfile makes a profile of provider data.
func NewProfile(id string, json []byte) *Profile { panic("api") }

// Plan asks how to serve a call. Errors are *fault.Error.
func (x *Executor) Plan(ctx context.Context, in PlanInput) (*Planned, error) { panic("api") }

// Result judges an answer. For a good answer of a passthrough executor no
// guest is called.
func (x *Executor) Result(ctx context.Context, in ResultInput) (Verdict, error) { panic("api") }

// OpenStream starts an executor stream: frames of the provider's framing in,
// frames of the provider's dialect out.
func (x *Executor) OpenStream(ctx context.Context, in PlanInput) (*Stream, error) { panic("api") }

// Secrets finds the secret of a name for the chosen account.
type Secrets func(name string) (string, bool)

// Request is a plan ready to be sent. It holds secrets: never log it.
type Request struct {
	Method string
	URLs   []string
	Header []abi.Header
	Body   []byte // of the plan, nil = the translated body
}

// Fill puts secrets and the auth directive into a plan. body is the final,
// inflated request body; secrets in it are filled too when the plan brought it.
func Fill(p *Plan, secrets Secrets, body []byte) (*Request, error) { panic("api") }

// ApplyEdits appends body with the plan's edits applied to dst.
func (p *Plan) ApplyEdits(dst, body []byte) ([]byte, error) { panic("api") }
