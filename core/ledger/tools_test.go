package ledger

import (
	"bufio"
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-json"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/state"
)

func jsonUnmarshal(raw []byte, v any) error { return json.Unmarshal(raw, v) }

// restore fills a store from a dump of an earlier release.
func restore(t *testing.T, s state.Store, path string) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e struct{ K, V string }
		require.NoError(t, json.Unmarshal(lines.Bytes(), &e))
		value, err := base64.StdEncoding.DecodeString(e.V)
		require.NoError(t, err)
		require.NoError(t, s.Put(t.Context(), e.K, value, 0))
	}
}

// contents lists what a store holds.
func contents(t *testing.T, s state.Store) []string {
	t.Helper()
	var out []string
	require.NoError(t, s.Scan(t.Context(), state.Query{}, func(e state.Entry) error {
		out = append(out, strings.Join([]string{e.Key, string(e.Value)}, "="))
		return nil
	}))
	return out
}

func mustFind(t *testing.T, l *Ledger, requestID string) string {
	t.Helper()
	id, err := l.find(t.Context(), requestID)
	require.NoError(t, err)
	return id
}
