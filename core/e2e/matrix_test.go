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
	case has("length"):
		return fake.Reply{Text: "cut off", Finish: "length"}
	case has("bad request"):
		return fake.Reply{Status: http.StatusBadRequest, Error: "max_tokens is too large"}
	}
	return fake.Reply{Text: "Grüße aus Bergen, \"quoted\" \\ and 😀.", Usage: fake.Usage{Prompt: 100, Completion: 7, Cached: 60}}
}

func summary(results []string) string { return "results: " + strings.Join(results, " / ") }

// upstreamModels are models of the target's family, so that its rules for thinking apply.
var upstreamModels = map[string]string{"openai": "gpt-5", "claude": "claude-sonnet-4-5"}

func TestMatrix(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	up.Otherwise(actor)
	g := serve(t, providers(
		node{id: "up-openai", dialect: "openai", url: up.OpenAIBase()},
		node{id: "up-claude", dialect: "claude", url: up.URL},
	))
	for client, open := range clients {
		for _, target := range []string{"openai", "claude"} {
			for _, stream := range []bool{false, true} {
				name := fmt.Sprintf("%s to %s, stream %v", client, target, stream)
				model := "up-" + target + "/" + upstreamModels[target]
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					start := func(a ask) talk {
						a.model, a.stream = model, stream
						return open(g, a)
					}
					t.Run("text", func(t *testing.T) { text(t, start(ask{})) })
					t.Run("tool loop", func(t *testing.T) { toolLoop(t, start(ask{tools: true}), "<<tools>>") })
					t.Run("thinking", func(t *testing.T) { thinking(t, start(ask{think: true})) })
					t.Run("tool loop with thinking", func(t *testing.T) { toolLoop(t, start(ask{tools: true, think: true}), "<<tools+think>>") })
					t.Run("error", func(t *testing.T) { badRequest(t, start) })
				})
			}
		}
	}
	t.Cleanup(func() {
		for _, v := range up.Violations() {
			t.Errorf("the provider complains: %s", v)
		}
	})
}

func text(t *testing.T, c talk) {
	r, err := c.say(context.Background(), "<<plain>>", nil)
	require.NoError(t, err)
	require.Equal(t, "Grüße aus Bergen, \"quoted\" \\ and 😀.", r.Text)
	require.Equal(t, "stop", r.Finish)
	require.Equal(t, int64(100), r.Prompt)
	require.Equal(t, int64(7), r.Output)
	require.Empty(t, r.Calls)
	r, err = c.say(context.Background(), "<<length>>", nil)
	require.NoError(t, err)
	require.Equal(t, "length", r.Finish)
}

func toolLoop(t *testing.T, c talk, word string) {
	r, err := c.say(context.Background(), word, nil)
	require.NoError(t, err)
	require.Equal(t, "tool_calls", r.Finish)
	require.Len(t, r.Calls, 2)
	for i, want := range twoCalls {
		require.Equal(t, want.Name, r.Calls[i].Name)
		require.JSONEq(t, want.Args, r.Calls[i].Args)
	}
	require.Contains(t, r.Calls[1].Args, "12345678901234567890")
	require.NotEqual(t, r.Calls[0].ID, r.Calls[1].ID)
	r, err = c.say(context.Background(), "", map[string]string{r.Calls[0].ID: "rain", r.Calls[1].ID: "sun"})
	require.NoError(t, err)
	require.Equal(t, "stop", r.Finish)
	require.Contains(t, r.Text, "rain")
	require.Contains(t, r.Text, "sun")
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

func badRequest(t *testing.T, start func(ask) talk) {
	_, err := start(ask{}).say(context.Background(), "<<bad request>>", nil)
	var f *failed
	require.True(t, errors.As(err, &f), "%v", err)
	require.Equal(t, http.StatusBadRequest, f.Status)
	require.Equal(t, "invalid_request_error", f.Type)
	require.Contains(t, f.Message, "max_tokens is too large")
}
