package dialect_test

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/chat"
)

// chain is a translator whose halves meet in the JSON form of the hub, as they do when
// they live in different modules (P-2).
type chain struct{ dialects map[string]hub.Dialect }

func newChain() *chain {
	c := &chain{dialects: map[string]hub.Dialect{}}
	for _, d := range all() {
		c.dialects[d.Name()] = d
	}
	return c
}

func (x *chain) pair(j cases.Job) (from, to hub.Dialect, err error) {
	from, to = x.dialects[j.From], x.dialects[j.To]
	if from == nil || to == nil || j.From == j.To {
		return nil, nil, cases.ErrSkip
	}
	return from, to, nil
}

func ctxOf(j cases.Job) *hub.Ctx {
	return &hub.Ctx{Model: j.Ctx.Model, Provider: j.Ctx.Provider, Project: j.Ctx.Project, Status: j.Ctx.Status,
		Request: j.Ctx.Request, Collect: j.Ctx.Collect, NowUnix: func() int64 { return 1_700_000_000 }}
}

func failed(c *hub.Ctx, d hub.Dialect, err error) error {
	var e *hub.Error
	if err == nil {
		return nil
	}
	if h, ok := err.(*hub.Error); ok {
		e = h
	} else {
		return err
	}
	return &cases.Failure{Status: hub.ClientStatus(d.Name(), e.Status), Body: d.AppendError(c, nil, e),
		Headers: map[string]string{"retry-after": e.RetryAfter()}}
}

func (x *chain) Request(_ context.Context, j cases.Job) ([]byte, error) {
	from, to, err := x.pair(j)
	if err != nil {
		return nil, err
	}
	first := ctxOf(j)
	mid, err := hub.TranslateRequest(from, chat.Hub{}, first, nil, j.Body)
	if err != nil {
		return nil, failed(first, from, err)
	}
	second := ctxOf(j)
	out, err := hub.TranslateRequest(chat.Hub{}, to, second, nil, mid)
	return out, failed(second, from, err)
}

func (x *chain) Response(_ context.Context, j cases.Job) ([]byte, error) {
	from, to, err := x.pair(j)
	if err != nil {
		return nil, err
	}
	first := ctxOf(j)
	mid, _, err := hub.TranslateResponse(from, chat.Hub{}, first, nil, j.Body)
	if err != nil {
		return nil, failed(first, to, err)
	}
	second := ctxOf(j)
	out, _, err := hub.TranslateResponse(chat.Hub{}, to, second, nil, mid)
	return out, failed(second, to, err)
}

func (x *chain) run(j cases.Job) (*hub.Stream, []cases.Event, hub.Dialect, error) {
	from, to, err := x.pair(j)
	if err != nil {
		return nil, nil, nil, err
	}
	c := ctxOf(j)
	c.Collect = false
	second := hub.NewStream(chat.Hub{}, to, ctxOf(j))
	out := []cases.Event{}
	emit := func(ev hub.Event) {
		data := bytes.Clone(ev.Data)
		if string(data) == "[DONE]" {
			data = []byte(`"[DONE]"`)
		}
		out = append(out, cases.Event{Name: ev.Name, Data: data})
	}
	var inner error
	pass := func(ev hub.Event) {
		if inner == nil {
			inner = second.Feed(hub.Event{Data: bytes.Clone(ev.Data)}, emit)
		}
	}
	first := hub.NewStream(from, chat.Hub{}, c)
	for _, ev := range j.Events {
		if err = first.Feed(hub.Event{Name: ev.Name, Data: ev.Data}, pass); err != nil {
			return nil, nil, to, failed(c, to, err)
		}
	}
	if err = first.End(pass); err == nil {
		err = inner
	}
	if err == nil {
		err = second.End(emit)
	}
	return second, out, to, failed(c, to, err)
}

func (x *chain) Stream(_ context.Context, j cases.Job) ([]cases.Event, error) {
	_, out, _, err := x.run(j)
	return out, err
}

func (x *chain) Collect(_ context.Context, j cases.Job) ([]byte, error) {
	s, _, to, err := x.run(j)
	if err != nil {
		return nil, err
	}
	body, _, err := s.Body(nil)
	return body, failed(ctxOf(j), to, err)
}

// The vectors hold when the two halves of a translation meet in the hub's JSON form.
func TestVectorsOverHubJSON(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jsonl")
	require.NoError(t, err)
	x := newChain()
	for _, file := range files {
		list, err := cases.LoadFile(file)
		require.NoError(t, err)
		for _, c := range list {
			if res := cases.Run(context.Background(), c, x); !res.Skipped && !res.Passed() {
				t.Errorf("%s", res)
			}
		}
	}
}
