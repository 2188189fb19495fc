package flow_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/audit"
	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fake"
	"github.com/omniroute/omniroute/core/flow"
	"github.com/omniroute/omniroute/core/flow/accept"
	"github.com/omniroute/omniroute/core/health"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/policy"
	"github.com/omniroute/omniroute/core/state"
	"github.com/omniroute/omniroute/core/telemetry"
	"github.com/omniroute/omniroute/core/telemetry/capture"
	"github.com/omniroute/omniroute/core/upstream"
	"github.com/omniroute/omniroute/plugins/bundle"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if plugins.host != nil {
		_ = plugins.host.Close(context.Background())
	}
	// fasthttp's workers look at their stop mark every ten seconds only, and its clock never stops.
	if err := goleak.Find(goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// plugins is one host for all tests: compiling the bundle takes longer than all
// of them.
var plugins struct {
	once sync.Once
	host *host.Host
	err  error
}

func openPlugins(t testing.TB) *host.Host {
	t.Helper()
	core := bundle.Core()
	if core == nil {
		t.Skip("the built-in plugins are not built: make plugins")
	}
	plugins.once.Do(func() {
		cache := filepath.Join(os.TempDir(), "omniroute-test-cache")
		if plugins.err = os.MkdirAll(cache, 0o700); plugins.err != nil {
			return
		}
		plugins.host, plugins.err = host.Open(context.Background(), host.Options{Core: core, CacheDir: cache, Log: telemetry.Discard()})
	})
	require.NoError(t, plugins.err)
	select {
	case <-plugins.host.Ready():
	case <-time.After(3 * time.Minute):
		t.Fatal("plugins do not get ready")
	}
	return plugins.host
}

// world is a gateway on loopback with two fake providers behind it.
type world struct {
	t      testing.TB
	url    string
	flow   *flow.Flow
	oai    *fake.Server // provider "oai", dialect openai, accounts a and b
	ant    *fake.Server // provider "ant", dialect claude, account a
	ledger *ledger.Ledger
	health *health.Health
	keys   *account.Keys
	pool   *account.Pool
	store  state.Store
	client *http.Client
	combos string // further ones

	traffic  *telemetry.Traffic
	audit    *audit.Log
	captured string // folder of the stage log

	// routing and providers are further settings and providers.
	routing, providers string
}

// quick are rules that keep failing tests short, over the default preset.
const quick = `
policies:
  preset: modern
`

func newWorld(t testing.TB, policies string) *world {
	t.Helper()
	h := openPlugins(t)
	w := &world{t: t, oai: fake.Start(fake.Options{Lenient: true}), ant: fake.Start(fake.Options{Lenient: true})}
	t.Cleanup(w.oai.Close)
	t.Cleanup(w.ant.Close)
	w.store = &coolWrites{Store: state.NewMemory(nil)}
	ctx := context.Background()
	var err error
	w.keys, err = account.OpenKeys(ctx, w.store, account.KeysOptions{Secret: "s", MachineID: "m"})
	require.NoError(t, err)
	w.pool, err = account.OpenPool(ctx, w.store, account.PoolOptions{})
	require.NoError(t, err)
	w.ledger, err = ledger.Open(ctx, w.store, ledger.Options{})
	require.NoError(t, err)
	w.health = health.New(health.Options{})
	client := upstream.New(upstream.Options{})
	w.traffic = telemetry.NewTraffic(nil)
	w.captured = t.TempDir()
	captures := capture.Open(w.captured, capture.Options{Warn: func(err error) { t.Error(err) }})
	t.Cleanup(captures.Close)
	w.audit, err = audit.Open(ctx, w.store, audit.Options{OnError: func(err error) { t.Error(err) }})
	require.NoError(t, err)
	w.flow = flow.New(flow.Deps{Traffic: w.traffic, Captures: captures, Audit: w.audit, Host: h, Upstream: client, Keys: w.keys, Pool: w.pool, Ledger: w.ledger, Health: w.health,
		Metrics: telemetry.NewMetrics(), Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), Version: "test"})
	w.configure(policies, "")

	app := fiber.New(accept.Config(w.flow))
	accept.Register(app, w.flow)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan struct{})
	go func() { defer close(served); _ = app.Listener(l) }()
	w.url = "http://" + l.Addr().String()
	w.client = &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		w.client.CloseIdleConnections()
		w.flow.Drain()
		stop, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		require.NoError(t, w.flow.Wait(stop))
		w.flow.Close()
		require.NoError(t, app.ShutdownWithTimeout(5*time.Second))
		<-served
		require.NoError(t, w.ledger.Close())
		require.NoError(t, client.Close())
		require.NoError(t, w.store.Close())
	})
	return w
}

// configure puts a configuration in force: the fakes as providers, the given
// rules, and further sections.
func (w *world) configure(policies, more string) {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "omniroute.yaml")
	text := fmt.Sprintf(`
server: {listen: "127.0.0.1:0", body_limit: 1MiB}
routing: {retry_delay: 1ms%s}
providers:
  oai:
    dialect: openai
    base_urls: [%q]
    allow_private: true
    kind: apikey
    passthrough_models: true
    accounts: [{name: a, api_key: key-oai-a}, {name: b, api_key: key-oai-b}]
    models:
      - {id: fake-model, context: 128000, max_output: 4096, tools: true, images: true, json_schema: true, price: {input: 1, output: 2}}
  ant:
    dialect: claude
    base_urls: [%q]
    allow_private: true
    kind: apikey
    passthrough_models: true
    accounts: [{name: a, api_key: key-ant-a}]
    models:
      - {id: fake-model, context: 200000, max_output: 4096, tools: true, images: true, price: {input: 3, output: 15}}
%scombos:
  both: {strategy: priority, models: [oai/fake-model, ant/fake-model]}
%s
%s
%s`, w.routing, w.oai.OpenAIBase(), w.ant.OpenAIBase(), w.providers, w.combos, policies, more)
	require.NoError(w.t, os.WriteFile(file, []byte(text), 0o600))
	conf, diags := config.Load(config.Options{Path: file, DataDir: w.t.TempDir()})
	require.Empty(w.t, diags)
	var layers []policy.Layer
	for _, src := range conf.Policies {
		layers = append(layers, policy.Layer{File: src.File, Data: src.Data, Node: src.Node, Level: policy.LevelFile, DefaultPreset: "modern"})
	}
	set, problems := policy.Load(layers...)
	require.NotNil(w.t, set, problems)
	cat, diags := catalog.Build(catalog.Inputs{Config: conf.File, Plugins: demo()})
	require.Empty(w.t, diags)
	var settings []account.ProviderSettings
	for _, p := range cat.Providers() {
		settings = append(settings, account.ProviderSettings{ID: p.ID, Billing: p.Billing, Cooling: p.Cooling, NoAuth: p.NoAuth})
	}
	require.Empty(w.t, w.pool.Configure(settings, conf.File.Providers))
	require.Empty(w.t, w.keys.SetFile(conf.File.Auth.Keys))
	snap, err := flow.NewSnapshot(conf, set, cat)
	require.NoError(w.t, err)
	w.flow.Swap(snap)
}

// demo is the offline provider as its plugin declares it.
func demo() []catalog.PluginProvider {
	return []catalog.PluginProvider{{Plugin: "core", Part: "demo", ID: "demo", Name: "Demo", Dialect: "openai",
		Models: []catalog.PluginModel{{ID: "echo"}, {ID: "lorem"}, {ID: "tools"}, {ID: "think"}}}}
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) get(path ...string) string {
	raw, _ := doc.Get([]byte(a.body), path...)
	if s, ok := doc.String(raw); ok {
		return s
	}
	return string(raw)
}

func (w *world) post(path, body string, header ...string) answer {
	w.t.Helper()
	resp := w.open(context.Background(), path, body, header...)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return answer{resp.StatusCode, resp.Header, string(data)}
}

func (w *world) open(ctx context.Context, path, body string, header ...string) *http.Response {
	w.t.Helper()
	req, err := http.NewRequestWithContext(ctx, "POST", w.url+path, strings.NewReader(body))
	require.NoError(w.t, err)
	req.Header.Set("content-type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := w.client.Do(req)
	require.NoError(w.t, err)
	return resp
}

func (w *world) get(path string, header ...string) answer {
	w.t.Helper()
	req, err := http.NewRequest("GET", w.url+path, nil)
	require.NoError(w.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := w.client.Do(req)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return answer{resp.StatusCode, resp.Header, string(data)}
}

// row waits for the row of a request in the log.
func (w *world) row(id string) *ledger.Entry {
	w.t.Helper()
	var e *ledger.Entry
	require.Eventually(w.t, func() bool {
		var err error
		e, err = w.ledger.Get(context.Background(), id)
		return err == nil
	}, time.Minute, 5*time.Millisecond, "no row for "+id)
	return e
}

// event is one SSE event.
type event struct{ name, data string }

func events(body string) []event {
	var out []event
	for _, block := range strings.Split(strings.TrimSpace(body), "\n\n") {
		var e event
		for _, line := range strings.Split(block, "\n") {
			if v, ok := strings.CutPrefix(line, "event: "); ok {
				e.name = v
			}
			if v, ok := strings.CutPrefix(line, "data: "); ok {
				e.data += v
			}
		}
		if e.data != "" {
			out = append(out, e)
		}
	}
	return out
}

// text joins the visible text of a stream.
func text(dialect, body string) string {
	var b bytes.Buffer
	for _, e := range events(body) {
		var s string
		if dialect == "claude" {
			s, _ = doc.String([]byte(e.data), "delta", "text")
		} else if e.data != "[DONE]" {
			s, _ = doc.String([]byte(e.data), "choices", "0", "delta", "content")
		}
		b.WriteString(s)
	}
	return b.String()
}

const (
	chatBody     = `{"model":"oai/fake-model","messages":[{"role":"user","content":"hi"}]}`
	chatStream   = `{"model":"oai/fake-model","stream":true,"messages":[{"role":"user","content":"hi"}]}`
	claudeBody   = `{"model":"ant/fake-model","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}`
	claudeStream = `{"model":"ant/fake-model","max_tokens":50,"stream":true,"messages":[{"role":"user","content":"hi"}]}`
)

func withModel(body, model string) string {
	out, _ := doc.Set(nil, []byte(body), doc.Quote(nil, model), "model")
	return string(out)
}

// nextEvent reads one event of a stream that goes on.
func nextEvent(t testing.TB, r *bufio.Reader) string {
	t.Helper()
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		if line == "\n" {
			return b.String()
		}
		b.WriteString(line)
	}
}
