package translator_test

import (
	"testing"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/fixture"
	"github.com/omniroute/omniroute/sdk/translator"
	"github.com/stretchr/testify/require"
)

// shout is a format that is all capitals.
type shout struct{}

func (shout) Request(d *translator.Document) ([]byte, error) {
	if !d.Body.Get("messages").Exists() {
		return nil, &abi.ErrorRecord{Message: "nothing to shout", Class: "client", Scope: "request", Status: 400}
	}
	return append(append([]byte(`{"MODEL":`), sdk.Quote(d.Model)...), '}'), nil
}

func (shout) Response(d *translator.Document, s *sdk.Stream) ([]byte, error) {
	s.Usage(sdk.Usage{Prompt: 1, Completion: 2, Total: 3})
	return []byte(`{"choices":[]}`), nil
}

func (shout) Open(*translator.Document) translator.Events { return &shouts{} }

type shouts struct{ n int }

func (e *shouts) Event(s *sdk.Stream, f *sdk.Frame) error {
	e.n++
	return s.Emit(sdk.TextDelta(f.JSON("T")))
}

func (e *shouts) End(s *sdk.Stream) error {
	s.Finish("stop")
	return s.Emit(sdk.FinishDelta("stop"))
}

func module() *sdk.Module {
	return sdk.Bundle("test/shout", "1.0.0", translator.Between(translator.Hub, "shout", shout{}))
}

func call(t *testing.T, r fixture.Runner, op abi.Op, in string) (string, bool) {
	t.Helper()
	record, err := fixture.Encode([]byte(in))
	require.NoError(t, err)
	out, isError, err := r.Call(op, 3, record, fixture.Host{})
	require.NoError(t, err)
	text, err := fixture.Record(out)
	require.NoError(t, err)
	return string(text), isError
}

func TestBetween(t *testing.T) {
	require.Contains(t, string(module().Manifest()), `"provides":[{"kind":"translator","from":"hub","to":"shout","directions":["request","response","stream"]}]`)
	for name, c := range map[string]struct {
		op      abi.Op
		in      string
		want    string
		isError bool
	}{
		"request":          {abi.OpTrRequest, `{"From":"hub","To":"shout","Model":"big","Body":{"messages":[]}}`, `{"Body":{"MODEL":"big"}}`, false},
		"refused":          {abi.OpTrRequest, `{"From":"hub","To":"shout","Body":{}}`, `{"ErrMessage":"nothing to shout","ErrClass":"client","ErrScope":"request","ErrStatus":400}`, true},
		"answer":           {abi.OpTrResponse, `{"From":"shout","To":"hub","Body":{}}`, `{"Body":{"choices":[]},"Usage":{"UsagePrompt":1,"UsageCompletion":2,"UsageCachedRead":0,"UsageCacheWrite":0,"UsageReasoning":0,"UsageTotal":3}}`, false},
		"the wrong way":    {abi.OpTrRequest, `{"From":"shout","To":"hub","Body":{}}`, `{"ErrMessage":"TrRequest from shout to hub is not supported by this plugin","ErrClass":"plugin","ErrScope":"plugin","ErrStatus":501}`, true},
		"another format":   {abi.OpTrRequest, `{"From":"hub","To":"whisper","Body":{}}`, `{"ErrMessage":"no translator from hub to whisper","ErrClass":"plugin","ErrScope":"plugin","ErrStatus":502}`, true},
		"an error to show": {abi.OpTrError, `{"To":"shout","ErrMessage":"x"}`, `{"ErrMessage":"no translator from shout to shout","ErrClass":"plugin","ErrScope":"plugin","ErrStatus":502}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, isError := call(t, fixture.Native(module()), c.op, c.in)
			require.JSONEq(t, c.want, got)
			require.Equal(t, c.isError, isError)
		})
	}
}

func TestBetweenCollectsStreams(t *testing.T) {
	r := fixture.Native(module())
	_, isError := call(t, r, abi.OpTrOpen, `{"From":"shout","To":"hub","Collect":1}`)
	require.False(t, isError)
	got, isError := call(t, r, abi.OpTrData, `{"Frame":[{"FramePayload":{"T":"HEL"}},{"FrameKind":1,"FramePayload":"ping"},{"FramePayload":{"T":"LO"}}]}`)
	require.False(t, isError)
	require.NotContains(t, got, "Frame")
	got, isError = call(t, r, abi.OpTrEnd, `{"Reason":0}`)
	require.False(t, isError)
	require.Contains(t, got, `"content": "HELLO"`)
	require.Contains(t, got, `"finish_reason": "stop"`)
}
