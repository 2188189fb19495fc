package boot_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/state"
	"github.com/omniroute/omniroute/plugins/bundle"
)

// Whatever is started is stopped: no test of this package leaves a goroutine behind.
func TestMain(m *testing.M) {
	cache, err := os.MkdirTemp("", "omniroute-cache-*") // compiled once for all tests
	if err != nil {
		panic(err)
	}
	os.Setenv("OMNIROUTE_PLUGINS__CACHE__DIR", cache)
	goleak.VerifyTestMain(m,
		// fasthttp's worker pool sees its end when it wakes next, ten seconds later; its clock is for the whole process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.Cleanup(func(code int) {
			os.RemoveAll(cache)
			os.Exit(code)
		}))
}

// console is a writer that tests read while the gateway writes.
type console struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.buf.Write(p)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.buf.String()
}

// site is a folder with a configuration and a data directory.
type site struct {
	t        *testing.T
	dir      string
	out, err *console
}

func newSite(t *testing.T, yaml string) *site {
	s := &site{t: t, dir: t.TempDir(), out: &console{}, err: &console{}}
	s.write(yaml)
	return s
}

func (s *site) path() string { return filepath.Join(s.dir, "omniroute.yaml") }

func (s *site) write(yaml string) {
	s.t.Helper()
	head := "server: {listen: \"127.0.0.1:0\", shutdown_timeout: 20s}\nplugins: {dir: \"" + filepath.Join(s.dir, "plugins") + "\"}\n"
	require.NoError(s.t, os.WriteFile(s.path(), []byte(head+yaml), 0o600))
}

func (s *site) options() boot.Options {
	env := []string{"HOME=" + s.dir, "OMNIROUTE_PLUGINS__CACHE__DIR=" + os.Getenv("OMNIROUTE_PLUGINS__CACHE__DIR")}
	return boot.Options{
		Config: s.path(), DataDir: filepath.Join(s.dir, "data"), Env: env, Version: "test", Core: bundle.Core, Out: s.out, Err: s.err,
	}
}

// start serves until the end of the test.
func (s *site) start() *boot.Gateway {
	s.t.Helper()
	require.NoError(s.t, os.MkdirAll(filepath.Join(s.dir, "plugins"), 0o755))
	gw, err := boot.Start(s.t.Context(), s.options())
	require.NoError(s.t, err, s.err)
	s.t.Cleanup(func() { s.stop(gw) })
	return gw
}

func (s *site) stop(gw *boot.Gateway) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	require.NoError(s.t, gw.Shutdown(ctx))
	http.DefaultClient.CloseIdleConnections()
}

func needsPlugins(t *testing.T) {
	if bundle.Core() == nil {
		t.Skip("core.wasm is not built: make plugins")
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

func TestServesItsPages(t *testing.T) {
	s := newSite(t, "")
	gw := s.start()
	for path, want := range map[string]string{
		"/":          "<title>OmniRoute</title>",
		"/dashboard": "<title>OmniRoute</title>",
		"/metrics":   "omniroute_config_last_reload_successful 1",
		"/healthz":   "",
		"/readyz":    "",
	} {
		status, body := get(t, gw.URL()+path)
		require.Equal(t, 200, status, path)
		require.Contains(t, body, want, path)
	}
	require.Contains(t, s.out.String(), "Base URL:  "+gw.URL()+"/v1\n")
	require.Contains(t, s.out.String(), gw.URL()+"/dashboard")
}

// The first request of the README.
func TestAnswersOffline(t *testing.T) {
	needsPlugins(t)
	gw := newSite(t, "").start()
	status, body := post(t, gw.URL()+"/v1/chat/completions", `{"model":"demo/echo","messages":[{"role":"user","content":"Hello"}]}`)
	require.Equal(t, 200, status, body)
	require.Contains(t, body, `"content":"Hello"`)
	status, body = post(t, gw.URL()+"/v1/messages", `{"model":"demo/echo","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"Hello"}]}`)
	require.Equal(t, 200, status, body)
	require.Contains(t, body, "event: message_stop")
}

// A binary without plugins says so, and still serves what needs none.
func TestSaysThatPluginsAreMissing(t *testing.T) {
	s := newSite(t, "")
	opt := s.options()
	opt.Core = nil
	gw, err := boot.Start(t.Context(), opt)
	require.NoError(t, err)
	t.Cleanup(func() { s.stop(gw) })
	require.Contains(t, s.err.String(), "make plugins")
	status, _ := get(t, gw.URL()+"/healthz")
	require.Equal(t, 200, status)
	status, body := post(t, gw.URL()+"/v1/messages", `{"model":"demo/echo","max_tokens":9,"messages":[{"role":"user","content":"Hello"}]}`)
	require.Equal(t, 502, status, body)
	require.Contains(t, body, "No plugin serves provider demo")
}

// A provider goes with the plugin that brought it, though the file still names it: the rest serves on, commands work,
// and a start from there on is refused with the places.
func TestPluginOfTheFileGoes(t *testing.T) {
	needsPlugins(t)
	s := newSite(t, "providers: {acme: {accounts: [{name: a, api_key: k}]}}\ncombos: {daily: {models: [acme/m1, demo/echo]}}\n")
	pack := filepath.Join(s.dir, "plugins", "acme.provider.yaml")
	require.NoError(t, os.Mkdir(filepath.Dir(pack), 0o755))
	require.NoError(t, os.WriteFile(pack, []byte("id: acme\nformat: openai\nbase_url: https://acme.example/v1\nmodels: [{id: m1}]\n"), 0o600))
	gw := s.start()
	models := func() string { _, body := get(t, gw.URL()+"/v1/models?full=1"); return body }
	require.Contains(t, models(), "acme/m1")

	require.NoError(t, os.Remove(pack))
	require.Eventually(t, func() bool { return !strings.Contains(models(), "acme/m1") }, time.Minute, 50*time.Millisecond, s.err)
	require.Contains(t, s.err.String(), s.path()+`:3:13: unknown provider \"acme\"`)
	require.Len(t, gw.Status().Problems, 2)
	status, body := post(t, gw.URL()+"/v1/chat/completions", `{"model":"acme/m1","messages":[{"role":"user","content":"Hello"}]}`)
	require.Equal(t, 404, status, body)
	for _, model := range []string{"demo/echo", "daily"} {
		status, body = post(t, gw.URL()+"/v1/chat/completions", `{"model":"`+model+`","messages":[{"role":"user","content":"Hello"}]}`)
		require.Equal(t, 200, status, body)
	}
	require.NoError(t, gw.Shutdown(t.Context()))

	desk, release, err := boot.OpenDesk(t.Context(), s.options())
	require.NoError(t, err)
	_, err = desk.Keys(t.Context())
	require.NoError(t, err)
	require.NoError(t, release())
	_, err = boot.Start(t.Context(), s.options())
	var refused *boot.ConfigError
	require.ErrorAs(t, err, &refused)
	require.Len(t, refused.Problems, 1, "what follows from it is not told")
}

const denyAll = "policies:\n  gate:\n    - {id: closed, deny: The gateway is closed}\n"

// A good edit decides the next request; a bad one is reported with its place and changes nothing.
func TestHotReload(t *testing.T) {
	needsPlugins(t)
	s := newSite(t, "")
	gw := s.start()
	ask := func() (int, string) {
		return post(t, gw.URL()+"/v1/chat/completions", `{"model":"demo/echo","messages":[{"role":"user","content":"Hello"}]}`)
	}
	status, body := ask()
	require.Equal(t, 200, status, body)

	s.write(denyAll)
	require.Eventually(t, func() bool { status, _ := ask(); return status == 403 }, time.Minute, 50*time.Millisecond, s.err)

	s.write("policies:\n  gate:\n    - {id: broken, when: req.modle == \"x\", deny: No}\n")
	require.Eventually(t, func() bool { return len(gw.Status().Problems) > 0 }, time.Minute, 50*time.Millisecond)
	problem := gw.Status().Problems[0]
	require.Equal(t, s.path(), problem.File)
	require.Equal(t, 5, problem.Line)
	require.Positive(t, problem.Column)
	require.Contains(t, s.err.String(), s.path()+":5:")
	require.Contains(t, s.err.String(), "^")
	status, body = ask()
	require.Equal(t, 403, status, "the rules before the bad edit stay in force: %s", body)

	s.write("")
	require.Eventually(t, func() bool { status, _ := ask(); return status == 200 }, time.Minute, 50*time.Millisecond, s.err)
	require.Empty(t, gw.Status().Problems)
}

// What fails late in a reload is undone: the keys of a refused file do not open anything.
func TestRefusedReloadChangesNothing(t *testing.T) {
	s := newSite(t, "auth: {require_keys: true}\n")
	gw := s.start()
	s.write("auth: {require_keys: true, keys: [{name: new, key: sk-new-0000000000000000}]}\nproviders: {nowhere: {accounts: [{name: a, api_key: x}]}}\n")
	err := gw.Reload(t.Context())
	var bad *boot.ConfigError
	require.ErrorAs(t, err, &bad)
	require.NotEmpty(t, bad.Problems)
	req, err := http.NewRequestWithContext(t.Context(), "GET", gw.URL()+"/v1/models", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer sk-new-0000000000000000")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, 401, resp.StatusCode)
}

// Commands work beside a running gateway and without one, over the same state.
func TestDeskWithAndWithoutServer(t *testing.T) {
	s := newSite(t, "auth: {require_keys: true}\n")
	ctx := t.Context()
	gw := s.start()

	desk, release, err := boot.OpenDesk(ctx, s.options())
	require.NoError(t, err)
	require.IsType(t, (*control.Client)(nil), desk)
	made, err := desk.CreateKey(ctx, account.Key{Name: "laptop", Enabled: true, Limits: account.Unlimited()})
	require.NoError(t, err)
	require.NoError(t, release())

	req, err := http.NewRequestWithContext(ctx, "GET", gw.URL()+"/v1/models", nil)
	require.NoError(t, err)
	status, _ := get(t, gw.URL()+"/v1/models")
	require.Equal(t, 401, status)
	req.Header.Set("Authorization", "Bearer "+made.Secret)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode, "a key works at once")
	s.stop(gw)

	desk, release, err = boot.OpenDesk(ctx, s.options())
	require.NoError(t, err)
	keys, err := desk.Keys(ctx)
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.NoError(t, desk.RevokeKey(ctx, "laptop"))
	require.Error(t, desk.RevokeKey(ctx, "laptop"))
	require.NoError(t, release())
}

func TestSecondGatewayIsRefused(t *testing.T) {
	s := newSite(t, "")
	s.start()
	_, err := boot.Start(t.Context(), s.options())
	var locked *state.LockedError
	require.ErrorAs(t, err, &locked)
	require.Equal(t, os.Getpid(), locked.PID)
}

// Every problem of a file is reported, and nothing is opened.
func TestBadConfiguration(t *testing.T) {
	s := newSite(t, "serv: {}\nlogging: {level: loud}\n")
	_, err := boot.Start(t.Context(), s.options())
	var bad *boot.ConfigError
	require.ErrorAs(t, err, &bad)
	require.Len(t, bad.Problems, 2)
	require.NoDirExists(t, filepath.Join(s.dir, "data"))

	problems, _, err := boot.Check(t.Context(), s.options())
	require.NoError(t, err)
	require.Len(t, problems, 2)
}

// A stream that runs when the gateway is told to stop is delivered to its end.
func TestShutdownFinishesStreams(t *testing.T) {
	needsPlugins(t)
	s := newSite(t, "")
	gw := s.start()
	resp, err := http.Post(gw.URL()+"/v1/chat/completions", "application/json",
		strings.NewReader(`{"model":"demo/lorem","stream":true,"messages":[{"role":"user","content":"30 words 30ms"}]}`))
	require.NoError(t, err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	require.True(t, lines.Scan(), "the stream has begun")

	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		done <- gw.Shutdown(ctx)
	}()
	last := ""
	for lines.Scan() {
		if lines.Text() != "" {
			last = lines.Text()
		}
	}
	require.NoError(t, lines.Err())
	require.Equal(t, "data: [DONE]", last)
	require.NoError(t, <-done)
}
