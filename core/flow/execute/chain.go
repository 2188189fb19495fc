package execute

import (
	"context"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/upstream"
	"github.com/omniroute/omniroute/sdk/abi"
)

// chain is what the frames of an upstream pass through: the executor, if it
// decodes a framing of its own, then the translator, if the client speaks
// another dialect. Either may be missing.
type chain struct {
	executor   *host.Stream
	translator *host.Stream
	done       bool // the translator was ended
}

// chain opens the streams that the answer needs; collect asks for one body.
func (a *attempt) chain(collect bool) (*chain, *fault.Error) {
	ch := &chain{}
	if !a.decoded && !a.executor.Passthrough() {
		s, err := a.executor.OpenStream(a.c.Ctx, a.planInput(0))
		if err != nil {
			return nil, a.pluginFault(err)
		}
		ch.executor = s
	}
	from := a.answerDialect()
	if !collect && a.verbatim(from) {
		return ch, nil
	}
	t := a.translation(from, a.c.Dialect, nil)
	t.Collect = collect
	s, err := a.c.Plugins.OpenStream(a.c.Ctx, t)
	if err != nil {
		ch.abandon(abi.EndUpstreamError)
		return nil, a.pluginFault(err)
	}
	ch.translator = s
	return ch, nil
}

// decode runs frames through the executor.
func (ch *chain) decode(ctx context.Context, in []abi.Frame, emit func(abi.Frame) error) error {
	if ch.executor != nil {
		return ch.executor.Data(ctx, in, emit)
	}
	for _, f := range in {
		if err := emit(f); err != nil {
			return err
		}
	}
	return nil
}

// decodeEnd ends the executor's stream.
func (ch *chain) decodeEnd(ctx context.Context, why abi.EndReason, emit func(abi.Frame) error) error {
	s := ch.executor
	if s == nil {
		return nil
	}
	ch.executor = nil
	return s.End(ctx, why, emit)
}

// translate runs frames of the provider's dialect through the translator.
func (ch *chain) translate(ctx context.Context, in []abi.Frame, emit func(abi.Frame) error) error {
	return ch.translator.Data(ctx, in, emit)
}

// translateEnd ends the translator's stream; its reports stay readable.
func (ch *chain) translateEnd(ctx context.Context, why abi.EndReason, emit func(abi.Frame) error) error {
	ch.done = true
	return ch.translator.End(ctx, why, emit)
}

// report hands over what the translator counted.
func (ch *chain) report(a *attempt) {
	if ch.translator == nil {
		return
	}
	if u := ch.translator.Usage(); u.Known {
		a.usage = u
	}
	if f := ch.translator.Finish(); f != "" {
		a.finish = f
	}
	a.degrade(ch.translator.Degraded())
}

// body is the collected answer.
func (ch *chain) body() []byte { return ch.translator.Body() }

// abandon ends both streams early. The context of the call may be over already;
// guests must hear of the end all the same.
func (ch *chain) abandon(why abi.EndReason) {
	ctx := context.Background()
	_ = ch.decodeEnd(ctx, why, discard)
	if ch.translator != nil && !ch.done {
		_ = ch.translateEnd(ctx, why, discard)
	}
}

// framing names the framer of a plan.
func framing(name string) string {
	if name == "" {
		return "sse"
	}
	return name
}

func newFramer(name string) (upstream.Framer, bool) { return upstream.NewFramer(name) }
