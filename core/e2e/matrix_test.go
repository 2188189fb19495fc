package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/fake"
)

func unquote(raw string) string {
	v, err := cases.Parse([]byte(raw))
	if err != nil || v.Kind != cases.String {
		return ""
	}
	return v.Text
}

var twoCalls = []fake.Call{{ID: "call_oslo", Name: "get_weather", Args: `{"city":"Oslo"}`}, {ID: "call_bergen", Name: "get_weather", Args: `{"city":"Bergen","n":12345678901234567890}`}}

// actor is a provider that does what the last user text asks for.
func actor(r *fake.Request) fake.Reply {
	body := string(r.Body)
	has := func(word string) bool {
		return strings.Contains(body, "<<"+word+">>") || strings.Contains(body, `\u003c\u003c`+word)
	}
	think := []fake.Thought{{Text: "Let me think about it."}}
	switch {
	case has("tools+think"):
		return fake.ToolLoop(think, twoCalls, summary)(r)
	case has("tools"):
		return fake.ToolLoop(nil, twoCalls, summary)(r)
	case has("think"):
		return fake.Reply{Thinking: think, Text: "Thought it over: 42.", Usage: fake.Usage{Prompt: 20, Completion: 30, Reasoning: 10}}
	case has("image"):
		if strings.Contains(body, pixelData) {
			return fake.Reply{Text: "the image arrived"}
		}
		return fake.Reply{Text: "no image"}
	case has("json"):
		if !strings.Contains(body, `city`) {
			return fake.Reply{Text: "no schema"}
		}
		return fake.Reply{Text: `{"city":"Oslo"}`}
	case has("length"):
		return fake.Reply{Text: "cut off", Finish: "length"}
	case has("bad request"):
		return fake.Reply{Status: http.StatusBadRequest, Error: "max_tokens is too large"}
	}
	return fake.Reply{Text: "Grüße aus Bergen, \"quoted\" \\ and 😀.", Usage: fake.Usage{Prompt: 100, Completion: 7, Cached: 60}}
}

func summary(results []string) string { return "results: " + strings.Join(results, " / ") }

// upstreamModels are models of the target's family, so that its rules for thinking apply.
var upstreamModels = map[string]string{
	"openai": "gpt-5", "claude": "claude-sonnet-4-5", "openai-responses": "gpt-5", "gemini": "gemini-2.5-flash", "ollama": "qwen3",
}

// startMatrix is a gateway with one provider of each dialect.
func startMatrix(t *testing.T) *gateway {
	t.Helper()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	up.Otherwise(actor)
	t.Cleanup(func() {
		for _, v := range up.Violations() {
			t.Errorf("the provider complains: %s", v)
		}
		for _, r := range up.Requests() {
			if len(r.Violations) > 0 {
				t.Logf("%s %s", r.Path, tail(string(r.Body), 4000))
			}
		}
	})
	var nodes []node
	for dialect, model := range upstreamModels {
		nodes = append(nodes, node{id: "up-" + dialect, dialect: dialect, url: wireBase(up, dialect, dialect), models: []string{model}})
	}
	return serve(t, providers(nodes...)+freely)
}

func TestMatrix(t *testing.T) {
	t.Parallel()
	g := startMatrix(t)
	for client, open := range allClients {
		for target, model := range upstreamModels {
			for _, stream := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s to %s, stream %v", client, target, stream), func(t *testing.T) {
					t.Parallel()
					start := func(a ask) talk {
						a.model, a.stream = "up-"+target+"/"+model, stream
						return open(g, a)
					}
					t.Run("text", func(t *testing.T) { text(t, start(ask{}), client, target) })
					t.Run("image", func(t *testing.T) { image(t, start(ask{image: true})) })
					t.Run("tool loop", func(t *testing.T) { toolLoop(t, start(ask{tools: true}), "<<tools>>", client) })
					t.Run("thinking", func(t *testing.T) { thinking(t, start(ask{think: true})) })
					t.Run("tool loop with thinking", func(t *testing.T) { toolLoop(t, start(ask{tools: true, think: true}), "<<tools+think>>", client) })
					t.Run("structured output", func(t *testing.T) { structured(t, start(ask{schema: true})) })
					t.Run("error", func(t *testing.T) { badRequest(t, start(ask{})) })
				})
			}
		}
	}
}

func text(t *testing.T, c talk, client, target string) {
	r, err := c.say(context.Background(), "<<plain>>", nil)
	require.NoError(t, err)
	require.Equal(t, "Grüße aus Bergen, \"quoted\" \\ and 😀.", r.Text)
	require.Equal(t, "stop", r.Finish)
	require.Equal(t, int64(100), r.Prompt)
	require.Equal(t, int64(7), r.Output)
	require.Empty(t, r.Calls)
	if client != target {
		require.Contains(t, r.Model, "up-"+target+"/", "the model is echoed as it was asked for")
	}
	r, err = c.say(context.Background(), "<<length>>", nil)
	require.NoError(t, err)
	require.Equal(t, "length", r.Finish)
}

func image(t *testing.T, c talk) {
	r, err := c.say(context.Background(), "<<image>>", nil)
	require.NoError(t, err)
	require.Equal(t, "the image arrived", r.Text)
}

func structured(t *testing.T, c talk) {
	r, err := c.say(context.Background(), "<<json>>", nil)
	require.NoError(t, err)
	require.JSONEq(t, `{"city":"Oslo"}`, r.Text)
}

func toolLoop(t *testing.T, c talk, word, client string) {
	r, err := c.say(context.Background(), word, nil)
	require.NoError(t, err)
	require.Equal(t, "tool_calls", r.Finish)
	require.Len(t, r.Calls, 2)
	for i, want := range twoCalls {
		require.Equal(t, want.Name, r.Calls[i].Name)
		require.JSONEq(t, want.Args, r.Calls[i].Args)
	}
	if client != "gemini" { // that client itself keeps numbers as floats
		require.Contains(t, r.Calls[1].Args, "12345678901234567890")
	}
	require.NotEqual(t, r.Calls[0].ID, r.Calls[1].ID)
	r, err = c.say(context.Background(), "", []result{{r.Calls[0].ID, "rain"}, {r.Calls[1].ID, "sun"}})
	require.NoError(t, err)
	require.Equal(t, "stop", r.Finish)
	require.Equal(t, "results: rain / sun", r.Text)
}

func thinking(t *testing.T, c talk) {
	r, err := c.say(context.Background(), "<<think>>", nil)
	require.NoError(t, err)
	require.Equal(t, "Let me think about it.", r.Thinking)
	require.Equal(t, "Thought it over: 42.", r.Text)
	require.Equal(t, int64(30), r.Output)
	// The next turn brings the thinking back; the provider checks its signature.
	r, err = c.say(context.Background(), "<<think>> again", nil)
	require.NoError(t, err)
	require.Equal(t, "Thought it over: 42.", r.Text)
}

func badRequest(t *testing.T, c talk) {
	_, err := c.say(context.Background(), "<<bad request>>", nil)
	var f *failed
	require.True(t, errors.As(err, &f), "%v", err)
	require.Equal(t, http.StatusBadRequest, f.Status)
	require.Equal(t, "invalid_request_error", f.Type)
	require.Contains(t, f.Message, "max_tokens is too large")
}
