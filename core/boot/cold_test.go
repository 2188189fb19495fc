package boot_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/fake"
)

// A gateway that never compiled its plugins answers at once: what comes from the built-in provider, what passes
// through, and what is translated.
func TestColdStartServes(t *testing.T) {
	needsPlugins(t)
	up := fake.Start(fake.Options{Lenient: true})
	defer up.Close()
	s := newSite(t, fmt.Sprintf(`
providers:
  oai: {dialect: openai, base_urls: [%q], allow_private: true, kind: apikey, accounts: [{name: a, api_key: key-a}], models: [{id: m}]}
`, up.OpenAIBase()))
	cache := filepath.Join(s.dir, "cold")
	opt := s.options()
	opt.Env = []string{"HOME=" + s.dir, "OMNIROUTE_PLUGINS__CACHE__DIR=" + cache}
	gw, err := boot.Start(t.Context(), opt)
	require.NoError(t, err, s.err)
	defer s.stop(gw)
	compiled := func() int {
		marks, err := filepath.Glob(filepath.Join(cache, "metered", "*.wasm.*"))
		require.NoError(t, err)
		return len(marks)
	}
	before := compiled()
	for _, c := range []struct{ path, body string }{
		{"/v1/chat/completions", `{"model":"demo/echo","messages":[{"role":"user","content":"hello"}]}`},
		{"/v1/chat/completions", `{"model":"oai/m","messages":[{"role":"user","content":"hello"}]}`},
		{"/v1/messages", `{"model":"oai/m","max_tokens":10,"messages":[{"role":"user","content":"hello"}]}`},
	} {
		status, body := post(t, gw.URL()+c.path, c.body)
		require.Equal(t, 200, status, body)
	}
	t.Logf("plugins compiled when the gateway was ready: %d, when it had answered: %d", before, compiled())
	require.Eventually(t, func() bool { return compiled() == 1 }, 5*time.Minute, 20*time.Millisecond)
	status, body := post(t, gw.URL()+"/v1/chat/completions", `{"model":"demo/echo","messages":[{"role":"user","content":"again"}]}`)
	require.Equal(t, 200, status, body)
}
