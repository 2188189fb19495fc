package native_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/fake"
)

var replies = map[string]fake.Reply{
	"text":   {Text: "Grüße, \"quoted\" \\ and 😀.", Usage: fake.Usage{Prompt: 100, Completion: 20, Cached: 40}},
	"length": {Text: "cut off", Finish: "length"},
	"filter": {Text: "I cannot", Finish: "content_filter"},
	"calls": {Calls: []fake.Call{
		{ID: "call_a", Name: "f", Args: `{"city":"Oslo","n":12345678901234567890}`}, {ID: "call_b", Name: "g"}, {ID: "call_c", Name: "f", Args: `{"x":[1,{"y":null}]}`},
	}},
	"all": {
		Thinking: []fake.Thought{{Text: "let me think about it"}}, Text: "I will look.",
		Calls: []fake.Call{{ID: "call_a", Name: "f", Args: `{"city":"Bergen"}`}},
		Usage: fake.Usage{Prompt: 100, Completion: 30, Reasoning: 10},
	},
	"think": {Thinking: []fake.Thought{{Text: "hm"}}, Text: "yes"},
	"tags":  {Thinking: []fake.Thought{{Text: "hm"}}, Text: "yes", ThinkStyle: fake.ThinkTags},
}

// Between every provider and every client format, the collected stream is the
// plain answer, the stream obeys the grammar of the client's format, and
// neither depends on where the bytes are cut.
func TestEveryPair(t *testing.T) {
	tr := translator()
	for _, from := range []string{"openai", "openai-responses", "claude", "gemini", "ollama"} {
		for _, to := range []string{"openai", "openai-responses", "claude", "gemini"} {
			for name, reply := range replies {
				if from == to || name == "tags" && from != "openai" || name == "filter" && from == "ollama" {
					continue
				}
				t.Run(fmt.Sprintf("%s to %s, %s", from, to, name), func(t *testing.T) {
					body, events := fake.Render(from, reply)
					job := cases.Job{From: from, To: to, Body: body, Events: events, Ctx: cases.Ctx{Provider: "lab", Request: clientRequest(to)}}
					plain, err := tr.Response(context.Background(), job)
					require.NoError(t, err)
					collect := job
					collect.Ctx.Collect = true
					collected, err := tr.Collect(context.Background(), collect)
					require.NoError(t, err)
					same(t, stable(t, plain), stable(t, collected))
					streamed, err := tr.Stream(context.Background(), job)
					require.NoError(t, err)
					require.Empty(t, cases.CheckGrammar(to, streamed, job.Ctx.Request), "%s", wire(to, streamed))
					for seed := range uint64(4) {
						cut := job
						cut.Chunks = cases.Chunks(from, events, seed)
						again, err := tr.Stream(context.Background(), cut)
						require.NoError(t, err)
						same(t, wire(to, streamed), wire(to, again))
					}
				})
			}
		}
	}
}

// same reports the first line that differs.
func same(t *testing.T, want, got string) {
	t.Helper()
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		require.Equal(t, a[i], b[i], "line %d", i+1)
	}
	require.Len(t, b, len(a))
}

func clientRequest(format string) []byte {
	return []byte(map[string]string{
		"openai":           `{"model":"my-model","stream":true,"stream_options":{"include_usage":true},"messages":[]}`,
		"openai-responses": `{"model":"my-model","stream":true,"input":[]}`,
		"claude":           `{"model":"my-model","stream":true,"max_tokens":2000,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[]}`,
		"gemini":           `{"contents":[],"generationConfig":{"thinkingConfig":{"includeThoughts":true}}}`,
	}[format])
}

func wire(format string, events []cases.Event) string {
	return string(cases.AppendWire(nil, format, events))
}

// stable is the document without ids and times that are made up, members in order.
func stable(t *testing.T, body []byte) string {
	t.Helper()
	v, err := cases.Parse(body)
	require.NoError(t, err, "%s", body)
	var b strings.Builder
	write(&b, v, "")
	return b.String()
}

func write(b *strings.Builder, v cases.Value, path string) {
	for _, m := range v.Members {
		switch m.Key {
		case "id", "created", "created_at", "responseId":
			continue
		}
		write(b, m.Value, path+"."+m.Key)
	}
	for i, item := range v.Items {
		write(b, item, fmt.Sprintf("%s[%d]", path, i))
	}
	if v.Kind != cases.Object && v.Kind != cases.Array {
		fmt.Fprintf(b, "%s = %s\n", path, v.Raw)
	}
}
