package kiro

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/plugintest"
)

func TestCases(t *testing.T) {
	plugintest.Run(t, sdk.Bundle("test/kiro", "1.0.0", New()), "testdata")
}

func TestServiceModel(t *testing.T) {
	for model, want := range map[string]string{
		"claude-sonnet-4-5": "claude-sonnet-4.5", "claude-sonnet-4-5-20250929": "claude-sonnet-4.5", "claude-sonnet-4.5": "claude-sonnet-4.5",
		"claude-sonnet-4.5-thinking": "claude-sonnet-4.5", "claude-haiku-4-5-thinking": "claude-haiku-4.5", "claude-sonnet-4": "claude-sonnet-4",
		"claude-sonnet-4-20250514": "claude-sonnet-4", "auto": "auto", "qwen-3-5": "qwen-3-5", "claude-": "claude-",
	} {
		require.Equal(t, want, serviceModel(model), model)
	}
}

// sent is what the events of an answer become.
func sent(t *testing.T, a *answer, frames ...abi.Frame) ([]string, error) {
	t.Helper()
	var w abi.Writer
	s := sdk.NewStream(&w)
	var failure error
	for _, f := range frames {
		if failure = a.Frame(s, f); failure != nil {
			break
		}
	}
	if failure == nil {
		require.NoError(t, a.End(s, abi.EndEOF))
	}
	var out []string
	for r := abi.Read(w.Buf); r.Next(); {
		f, err := r.Field().Frame()
		require.NoError(t, err)
		out = append(out, f.Name+string(f.Payload))
	}
	return out, failure
}

func named(name, payload string) abi.Frame { return abi.Frame{Name: name, Payload: []byte(payload)} }

func TestAnswerIsCounted(t *testing.T) {
	hi := named("assistantResponseEvent", `{"content":"Hi"}`)
	metering := named("meteringEvent", `{"unit":"credit","unitPlural":"credits","usage":0.05}`)
	context := named("contextUsageEvent", `{"contextUsagePercentage":1.5}`)
	out, err := sent(t, &answer{window: contextWindow}, hi, metering, context)
	require.NoError(t, err)
	require.Equal(t, []string{`assistantResponseEvent{"content":"Hi"}`, `usageEvent{"inputTokens":3000,"outputTokens":1,"estimated":true}`}, out)

	out, err = sent(t, &answer{window: contextWindow}, hi, context, named("metricsEvent", `{"metricsEvent":{"inputTokens":7,"outputTokens":2}}`))
	require.NoError(t, err)
	require.Equal(t, []string{`assistantResponseEvent{"content":"Hi"}`, `metricsEvent{"metricsEvent":{"inputTokens":7,"outputTokens":2}}`}, out)

	out, err = sent(t, &answer{window: contextWindow}, named("toolUseEvent", `{"name":"f","toolUseId":"1","input":"{\"city\":\"Rome\"}","stop":true}`), named("followupPromptEvent", `{}`), context)
	require.NoError(t, err)
	require.Equal(t, `usageEvent{"inputTokens":3000,"outputTokens":3,"estimated":true}`, out[1])

	out, err = sent(t, &answer{window: contextWindow}, context)
	require.NoError(t, err)
	require.Empty(t, out, "no answer, no usage")
}

func TestExceptions(t *testing.T) {
	for _, c := range []struct {
		name, payload string
		status        int
		typ, message  string
	}{
		{"exception:throttlingException", `{"message":"slow down"}`, 429, "throttlingException", "slow down"},
		{"exception:AccessDeniedException", `{"message":"no"}`, 403, "AccessDeniedException", "no"},
		{"exception:ExpiredTokenException", `{"Message":"old"}`, 401, "ExpiredTokenException", "old"},
		{"exception:ValidationException", `{}`, 400, "ValidationException", "ValidationException"},
		{"error:InternalServerError", `oops`, 500, "InternalServerError", "InternalServerError"},
		{"ThrottlingException", `{"message":"m"}`, 429, "ThrottlingException", "m"},
		{"", `{"_type":"com.amazon.aws.codewhisperer#ValidationException","message":"bad"}`, 400, "ValidationException", "bad"},
		{"", `{"__type":"com.amazon.aws.codewhisperer#ThrottlingException","message":"bad"}`, 429, "ThrottlingException", "bad"},
	} {
		_, err := sent(t, &answer{}, named(c.name, c.payload))
		var rec *abi.ErrorRecord
		require.ErrorAs(t, err, &rec, c.name)
		require.Equal(t, c.status, rec.Status, c.name)
		require.Equal(t, c.typ, rec.Type, c.name)
		require.Equal(t, c.message, rec.Message, c.name)
	}
}

// Thinking is found wherever the text is cut.
func TestThinkingIsSplitOff(t *testing.T) {
	const text = "<thinking>\nWhat now?\n</thinking>\n\nIt is 3 < 4.<"
	for at := range len(text) {
		var a answer
		a.thinks = true
		quoted := func(s string) abi.Frame {
			return named("assistantResponseEvent", `{"content":`+string(sdk.Quote(s))+`}`)
		}
		out, err := sent(t, &a, quoted(text[:at]), quoted(text[at:]))
		require.NoError(t, err)
		thought, said := "", ""
		for _, line := range out {
			if payload, ok := strings.CutPrefix(line, "reasoningContentEvent"); ok {
				thought += sdk.JSON(payload).Get("text").Text()
			} else {
				said += sdk.JSON(strings.TrimPrefix(line, "assistantResponseEvent")).Get("content").Text()
			}
		}
		require.Equal(t, "What now?\n", thought, at)
		require.Equal(t, "It is 3 < 4.<", said, at)
	}
	out, err := sent(t, &answer{}, named("assistantResponseEvent", `{"content":"<thinking>x</thinking>"}`))
	require.NoError(t, err)
	require.Equal(t, []string{`assistantResponseEvent{"content":"<thinking>x</thinking>"}`}, out)
}

func TestNextMonth(t *testing.T) {
	now := time.Date(2026, 12, 24, 1, 2, 3, 0, time.UTC).UnixMilli()
	require.Equal(t, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), nextMonth(now))
}
