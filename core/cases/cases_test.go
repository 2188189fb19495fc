package cases

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const vectors = "testdata/translation-cases.jsonl"

func TestVectorsLoad(t *testing.T) {
	list, err := LoadFile(vectors)
	require.NoError(t, err)
	require.Len(t, list, 167)
	kinds := map[string]int{}
	for _, c := range list {
		kinds[c.Kind]++
		require.NotZero(t, c.Line)
		if c.Kind == KindStream {
			require.NotNil(t, c.Events, c.ID)
			require.Nil(t, c.Input, c.ID)
		} else {
			require.NotEmpty(t, c.Input, c.ID)
		}
	}
	require.Equal(t, map[string]int{KindRequest: 84, KindResponse: 34, KindStream: 49}, kinds)
}

func TestLoadReportsEveryFault(t *testing.T) {
	_, err := Load(strings.NewReader(`{"id":"a","kind":"request","from":"openai","to":"claude","input":{},"expect":{"body":{}}}

{"id":"b","kind":"what","from":"openai","to":"claude","input":{},"expect":{}}
{"id":"c","kind":"request","from":"openai","to":"nope","input":{},"expect":{}}
{"id":"d","kind":"request","from":"openai","to":"claude","input":{},"expect":{"body":{"$no":1}}}
{"id":"e","kind":"request","from":"openai","to":"claude","input":{},"expect":{},"extra":1}
{"id":"a","kind":"request","from":"openai","to":"claude","input":{},"expect":{}}
{"id":"f","kind":"stream","from":"openai","to":"claude","input":[{"event":"x"}],"expect":{}}
{"id":"g","kind":"stream","from":"openai","to":"claude","input":[],"expect":{"concat":[{"match":{},"path":"a"}]}}
{"id":"h","kind":"stream","from":"openai","to":"kiro","input":[],"expect":{"grammar":"kiro"}}
not json`))
	for _, want := range []string{
		`line 3: case "b": unknown kind "what"`, `line 4: case "c": unknown format "nope"`, `line 5: case "d": body: unknown operator "$no"`,
		`line 6: case "e": case has an unknown key "extra"`, `line 7: id "a" is already used on line 1`, `line 8: case "f": an event has no data`,
		`line 9: case "g": concat needs exactly one of equals and json`, `line 10: case "h": no grammar for format "kiro"`, `line 11: invalid JSON at byte 0`,
	} {
		require.ErrorContains(t, err, want)
	}
}

// canned answers every call with the same outcome.
type canned struct {
	out  Outcome
	err  error
	seen Job
}

func (c *canned) body(j Job) ([]byte, error) {
	c.seen = j
	if c.out.Failure != nil {
		return nil, c.out.Failure
	}
	return c.out.Body, c.err
}

func (c *canned) Request(_ context.Context, j Job) ([]byte, error)  { return c.body(j) }
func (c *canned) Response(_ context.Context, j Job) ([]byte, error) { return c.body(j) }
func (c *canned) Collect(_ context.Context, j Job) ([]byte, error)  { return c.body(j) }
func (c *canned) Stream(_ context.Context, j Job) ([]Event, error) {
	if _, err := c.body(j); err != nil {
		return nil, err
	}
	return c.out.Events, nil
}

func one(t *testing.T, kind, expect string) *Case {
	t.Helper()
	input := `{}`
	if kind == KindStream {
		input = `[{"data":{"a":"line"}},{"data":"[DONE]"}]`
	}
	c, err := ParseCase([]byte(`{"id":"x","kind":"` + kind + `","from":"openai","to":"openai","input":` + input + `,"expect":` + expect + `}`))
	require.NoError(t, err)
	return c
}

func events(data ...string) []Event {
	var out []Event
	for _, d := range data {
		out = append(out, Event{Data: []byte(d)})
	}
	return out
}

func TestExpectations(t *testing.T) {
	body := func(s string) Outcome { return Outcome{Body: []byte(s)} }
	stream := func(d ...string) Outcome { return Outcome{Events: events(d...)} }
	failure := Outcome{Failure: &Failure{Status: 429, Body: []byte(`{"error":{"type":"t"}}`), Headers: map[string]string{"retry-after": "35"}}}
	tests := []struct {
		name, kind, expect string
		out                Outcome
		problem            string
	}{
		{"body", KindRequest, `{"body":{"a":1},"absent":["b","c[*].d"]}`, body(`{"a":1,"c":[{"e":1}]}`), ""},
		{"absent", KindRequest, `{"absent":["c[*].d"]}`, body(`{"c":[{"d":null}]}`), "c[*].d must be absent"},
		{"invalid body", KindResponse, `{"body":{}}`, body(`{"a":`), "no good JSON"},
		{"repeated key", KindResponse, `{"body":{}}`, body(`{"a":1,"a":2}`), "repeated member"},
		{"error", KindRequest, `{"error":{"status":429,"headers":{"Retry-After":"35"},"body":{"error":{"type":"t"}}}}`, failure, ""},
		{"error status", KindRequest, `{"error":{"status":400}}`, failure, "error.status: is 429, want 400"},
		{"error header", KindRequest, `{"error":{"headers":{"X-A":{"$absent":true},"retry-after":"1"}}}`, failure, "retry-after"},
		{"unexpected error", KindRequest, `{"body":{}}`, failure, "ended in an error"},
		{"missing error", KindRequest, `{"error":{"status":400}}`, body(`{}`), "without the expected error"},
		{"events in order", KindStream, `{"events":[{"data":{"n":1}},{"data":{"n":3}}],"first":{"data":{"n":1}},"last":{"data":"[DONE]"}}`, stream(`{"n":1}`, `{"n":2}`, `{"n":3}`, `"[DONE]"`), ""},
		{"events out of order", KindStream, `{"events":[{"data":{"n":2}},{"data":{"n":1}}]}`, stream(`{"n":1}`, `{"n":2}`), "no event matches pattern 1"},
		{"capture across events", KindStream, `{"events":[{"data":{"id":{"$capture":"i"},"k":2}},{"data":{"id":{"$ref":"i"},"k":3}}]}`, stream(`{"id":"a","k":1}`, `{"id":"b","k":2}`, `{"id":"a","k":3}`, `{"id":"b","k":3}`), ""},
		{"none", KindStream, `{"none":[{"data":{"n":2}}]}`, stream(`{"n":1}`, `{"n":2}`), "which none may"},
		{"count", KindStream, `{"count":[{"match":{"data":{"n":1}},"n":2}]}`, stream(`{"n":1}`, `{"n":2}`), "1 events match"},
		{"concat", KindStream, `{"concat":[{"match":{"data":{"k":1}},"path":"data.s[*].t","equals":"abc"}]}`, stream(`{"k":1,"s":[{"t":"a"},{"t":"b"}]}`, `{"k":2,"s":[{"t":"z"}]}`, `{"k":1,"s":[{"t":"c"},{"t":1}]}`), ""},
		{"concat json", KindStream, `{"concat":[{"match":{},"path":"data.s","json":{"a":1}}]}`, stream(`{"s":"{\"a\""}`, `{"s":":2}"}`), "is 2, want 1"},
		{"no event", KindStream, `{"last":{"data":{}}}`, stream(), "there is no event"},
		{"cut event", KindStream, `{}`, stream(`{"a"`), "event 0 is no good JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := Run(context.Background(), one(t, tt.kind, tt.expect), &canned{out: tt.out})
			if tt.problem == "" {
				require.True(t, res.Passed(), res.String())
				return
			}
			require.False(t, res.Passed())
			require.Contains(t, res.String(), tt.problem)
		})
	}
}

func TestRunReportsWhatCouldNotRun(t *testing.T) {
	c := one(t, KindRequest, `{"body":{}}`)
	require.Contains(t, Run(context.Background(), c, &canned{err: errors.New("no such part")}).String(), "could not be run: no such part")
	res := Run(context.Background(), c, &canned{err: ErrSkip})
	require.True(t, res.Skipped)
	require.False(t, res.Passed())

	var s Summary
	s.Add(res)
	s.Add(Run(context.Background(), c, &canned{out: Outcome{Body: []byte(`{}`)}}))
	s.Add(Run(context.Background(), c, &canned{out: Outcome{Body: []byte(`[]`)}}))
	require.Equal(t, "1 passed, 1 failed, 1 skipped", s.String())
	require.Equal(t, Tally{1, 2}, s.Pairs["request openai -> openai"])
}

func TestRechunkedBytesReadBackTheSame(t *testing.T) {
	list, err := LoadFile(vectors)
	require.NoError(t, err)
	for _, c := range list {
		if c.Kind != KindStream {
			continue
		}
		probe := &canned{out: Outcome{Events: []Event{}}}
		RunWith(context.Background(), c, probe, RunOptions{Rechunk: true, Seed: 7})
		if !HasWire(c.From) {
			require.Nil(t, probe.seen.Chunks)
			continue
		}
		var wire []byte
		for _, piece := range probe.seen.Chunks {
			require.NotEmpty(t, piece)
			wire = append(wire, piece...)
		}
		got := ParseWire(c.From, wire)
		require.Len(t, got, len(c.Events), c.ID)
		for i := range got {
			require.Equal(t, c.Events[i].Name, got[i].Name, c.ID)
			a, b := parse(t, string(c.Events[i].Data)), parse(t, string(got[i].Data))
			require.True(t, Equal(a, b), c.ID)
		}
	}
}

func TestParseWire(t *testing.T) {
	got := ParseWire("claude", []byte(": hello\r\nevent: a\r\ndata: {\"x\":\r\ndata:1}\r\n\r\n\ndata: not json\n\ndata: [DONE]"))
	require.Equal(t, []Event{{"a", []byte("{\"x\":\n1}")}, {"", []byte(`"not json"`)}, {"", []byte(`"[DONE]"`)}}, got)
	require.True(t, got[2].Done())
}

func TestCutKeepsEveryByte(t *testing.T) {
	wire := []byte(strings.Repeat("data: é\n\n", 50))
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		require.Equal(t, string(wire), string(joinBytes(Cut(wire, rng))))
	}
}

func joinBytes(parts [][]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}
