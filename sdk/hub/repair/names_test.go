package repair

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/sdk/hub"
)

func TestFit(t *testing.T) {
	long := strings.Repeat("a", 70)
	for _, c := range []struct{ dialect, name, want string }{
		{"openai", "fs.read/x", "fs_read_x"},
		{"openai", "ä", "_"},
		{"claude", long, long},
		{"gemini", "fs.read", "fs.read"},
		{"gemini", "1st", "_1st"},
		{"ollama", "any thing", "any thing"},
	} {
		require.Equal(t, c.want, RuleOf(c.dialect).Fit(c.name), c.name)
	}
	require.Regexp(t, "^a{55}_[0-9a-f]{8}$", RuleOf("openai").Fit(long))
}

func TestNamerKeepsNamesApart(t *testing.T) {
	n := NewNamer(RuleOf("openai").Fit)
	require.Equal(t, "a_b", n.Map("a.b"))
	require.Equal(t, "a_b_2", n.Map("a/b"))
	require.Equal(t, "a_b_3", n.Map("a_b"))
	require.Equal(t, "a_b_2", n.Map("a/b"))
}

func TestRestore(t *testing.T) {
	declared := func(*hub.Ctx) []string { return []string{"fs.read", "fs/read", "fs_list", "fs.list"} }
	for _, from := range []string{"openai", "hub"} {
		names := Restore(&hub.Ctx{From: from, Request: []byte("{}")}, declared)
		require.Equal(t, "fs.read", names("fs_read"), from)
		require.Equal(t, "fs/read", names("fs_read_2"), from)
		require.Equal(t, "fs_list", names("fs_list"), from)
		require.Equal(t, "fs.list", names("fs_list_2"), from)
		require.Equal(t, "other", names("other"), from)
	}
	names := Restore(&hub.Ctx{Names: map[string]string{"a_b": "a.b"}}, nil)
	require.Equal(t, "a.b", names("a_b"))
}
