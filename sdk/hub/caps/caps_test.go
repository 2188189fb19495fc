package caps

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLookup(t *testing.T) {
	tab := Default()
	for _, c := range []struct {
		model, family, thinking string
		ceiling                 int64
		levels                  string
	}{
		{"claude-3-haiku-20240307", "claude", ThinkNone, 4096, ""},
		{"claude-3-5-sonnet-20241022", "claude", ThinkNone, 8192, ""},
		{"claude-3.7-sonnet", "claude", ThinkBudget, 64000, ""},
		{"claude-opus-4-20250514", "claude", ThinkBudget, 32000, ""},
		{"claude-sonnet-4-20250514", "claude", ThinkBudget, 64000, ""},
		{"claude-opus-4-1-20250805", "claude", ThinkBudget, 32000, ""},
		{"anthropic/claude-sonnet-4.5", "claude", ThinkBudget, 64000, ""},
		{"us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude", ThinkBudget, 64000, ""},
		{"claude-opus-4-6", "claude", ThinkAdaptive, 128000, "low medium high max"},
		{"claude-sonnet-4-6", "claude", ThinkAdaptive, 64000, "low medium high max"},
		{"claude-opus-4-7", "claude", ThinkAdaptive, 128000, "low medium high xhigh max"},
		{"claude-opus-5", "claude", ThinkAdaptive, 128000, "low medium high xhigh max"},
		{"claude-instant", "claude", ThinkBudget, 32000, ""},
		{"gemini-2.5-pro", "gemini", ThinkBudget, 0, ""},
		{"gemini-2.0-flash", "gemini", ThinkNone, 0, ""},
		{"gemini-3-pro-preview", "gemini", ThinkLevel, 0, "low high"},
		{"gemini-3.1-pro", "gemini", ThinkLevel, 0, "low medium high"},
		{"gemini-3-flash-preview", "gemini", ThinkLevel, 0, "minimal low medium high"},
		{"o3-mini", "openai", ThinkLevel, 0, "low medium high"},
		{"openai/gpt-5-2025-08-07", "openai", ThinkLevel, 0, "minimal low medium high"},
		{"gpt-5-codex", "openai", ThinkLevel, 0, "low medium high"},
		{"gpt-5.1-codex-max", "openai", ThinkLevel, 0, "low medium high xhigh"},
		{"gpt-5.1", "openai", ThinkLevel, 0, "none low medium high"},
		{"gpt-5.2-codex", "openai", ThinkLevel, 0, "low medium high xhigh"},
		{"gpt-5.4", "openai", ThinkLevel, 0, "none low medium high xhigh"},
		{"gpt-4o", "openai", ThinkNone, 0, ""},
		{"gpt-oss-20b", "other", ThinkUnknown, 0, ""},
		{"kimi-k2-thinking", "other", ThinkUnknown, 0, ""},
		{"olmo-2", "other", ThinkUnknown, 0, ""},
	} {
		m := tab.Lookup(c.model)
		require.Equal(t, c.family, m.Family, c.model)
		require.Equal(t, c.thinking, m.Thinking, c.model)
		require.Equal(t, c.ceiling, m.Ceiling, c.model)
		levels := ""
		for i, l := range m.Levels {
			if i > 0 {
				levels += " "
			}
			levels += l
		}
		require.Equal(t, c.levels, levels, c.model)
	}
}

func TestParseRefusesUnknownMembers(t *testing.T) {
	_, err := Parse([]byte(`{"models":[{"prefix":"x","colour":"red"}]}`))
	require.ErrorContains(t, err, "colour")
	_, err = Parse([]byte(`{"models":[]}`))
	require.Error(t, err)
}

func TestEffort(t *testing.T) {
	require.Equal(t, High, Nearest(Max, []string{Minimal, Low, Medium, High}))
	require.Equal(t, Low, Nearest(Medium, []string{Low, High}))
	require.Equal(t, Minimal, Nearest(None, []string{Minimal, Low}))
	require.Equal(t, None, Nearest(None, []string{None, Low}))
	require.Equal(t, High, Nearest(XHigh, []string{Low, Medium, High, Max}))
	require.Equal(t, "odd", Nearest("odd", []string{Low}))
	require.Equal(t, Medium, Level(4000))
	require.Equal(t, XHigh, Level(30000))
	require.Equal(t, High, Level(24576))
	require.EqualValues(t, 24576, Budget(High))
}
