package boot_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fake"
)

// setting shows that a key of the configuration has an effect: what is seen
// with and without it differs as stated.
type setting struct {
	key   string            // as config.Keys names it
	at    string            // the path it is set at; "" = key
	to    string            // the value, as YAML
	given map[string]string // set in both cases; "" removes
	see   func(l *lab) string
	want  [2]string // without and with the setting
	// shown names a test elsewhere instead: "package TestName".
	shown string
}

// lab is a gateway before two fake providers, whose configuration is exchanged
// while it runs.
type lab struct {
	*site
	gw       *boot.Gateway
	desk     control.Desk
	oai, ant *fake.Server
	last     *http.Response // of the newest answer
	asked    int            // questions, so that each is a conversation of its own
}

func newLab(t *testing.T) *lab {
	needsPlugins(t)
	l := &lab{oai: fake.Start(fake.Options{Lenient: true}), ant: fake.Start(fake.Options{Lenient: true})}
	t.Cleanup(l.oai.Close)
	t.Cleanup(l.ant.Close)
	l.site = newSite(t, "")
	l.configure(nil)
	l.gw = l.start()
	var release func() error
	var err error
	l.desk, release, err = boot.OpenDesk(t.Context(), l.options())
	require.NoError(t, err)
	t.Cleanup(func() { _ = release() })
	return l
}

// base is the configuration that settings are put into.
func (l *lab) base() map[string]any {
	var tree map[string]any
	require.NoError(l.t, yaml.Unmarshal(fmt.Appendf(nil, `
server: {listen: "127.0.0.1:0", shutdown_timeout: 20s}
plugins: {dir: %q}
routing: {retry_delay: 1ms, max_retries: 0}
auth: {keys: [{name: k, key: sk-key-00000000}]}
providers:
  oai: {dialect: openai, base_urls: [%q], allow_private: true, kind: apikey, accounts: [{name: a, api_key: key-a}], models: [{id: m, context: 1000, price: {input: 1, output: 2}}]}
  ant: {dialect: claude, base_urls: [%q], allow_private: true, kind: apikey, accounts: [{name: a, api_key: key-a}], models: [{id: m, context: 2000, price: {input: 3, output: 15}}]}
combos: {both: {models: [oai/m, ant/m]}}
aliases: {nick: {target: oai/m}}
policies:
  preset: modern
  breaker: [{id: default, ignore: true}]
  limits: [{id: apikey-default, enabled: false}]
  on_error: [{id: soft, do: 'cool(0, "server_error")'}]
`, filepath.Join(l.dir, "plugins"), l.oai.OpenAIBase(), l.ant.OpenAIBase()), &tree))
	return tree
}

// configure writes the base with values put at paths; an empty one removes.
func (l *lab) configure(values ...map[string]string) {
	var tree any = l.base()
	for _, m := range values {
		paths := make([]string, 0, len(m))
		for p := range m {
			paths = append(paths, p)
		}
		slices.Sort(paths)
		for _, p := range paths {
			var v any
			text := strings.NewReplacer("OAIPORT", l.oai.URL[strings.LastIndex(l.oai.URL, ":")+1:], "OAI", l.oai.URL, "ANT", l.ant.URL).Replace(m[p])
			require.NoError(l.t, yaml.Unmarshal([]byte(text), &v), m[p])
			tree = put(tree, strings.Split(p, "."), v)
		}
	}
	text, err := yaml.Marshal(tree)
	require.NoError(l.t, err)
	require.NoError(l.t, os.WriteFile(l.path(), text, 0o600))
}

func put(tree any, path []string, v any) any {
	if len(path) == 0 {
		return v
	}
	if i, err := strconv.Atoi(path[0]); err == nil {
		list, _ := tree.([]any)
		for len(list) <= i {
			list = append(list, map[string]any{})
		}
		list[i] = put(list[i], path[1:], v)
		return list
	}
	m, _ := tree.(map[string]any)
	if m == nil {
		m = map[string]any{}
	}
	if v == nil && len(path) == 1 {
		delete(m, path[0])
		return m
	}
	m[path[0]] = put(m[path[0]], path[1:], v)
	return m
}

// apply brings a configuration into force and returns to quiet providers.
func (l *lab) apply(values ...map[string]string) {
	l.configure(values...)
	require.NoError(l.t, l.gw.Reload(l.t.Context()), l.err)
	l.quiet()
}

func (l *lab) quiet() {
	for _, s := range []*fake.Server{l.oai, l.ant} {
		s.Reset()
		s.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "Hello from the fake."} })
	}
}

func (l *lab) root() string { return strings.TrimSuffix(l.gw.URL(), "/gw") }

// send asks for something with the client key of the base.
func (l *lab) send(method, path, body string, header ...string) string {
	l.t.Helper()
	req, err := http.NewRequestWithContext(l.t.Context(), method, l.root()+path, strings.NewReader(body))
	require.NoError(l.t, err)
	req.Header.Set("authorization", "Bearer sk-key-00000000")
	req.Header.Set("content-type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			req.Header.Del(header[i])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(l.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(l.t, err)
	l.last = resp
	return string(text)
}

func (l *lab) chat(model, more string) string {
	l.t.Helper()
	l.asked++
	return l.send("POST", "/v1/chat/completions", fmt.Sprintf(`{"model":%q%s,"messages":[{"role":"user","content":"hi %d"}]}`, model, more, l.asked))
}

// Ways to look.

func status(model string) func(*lab) string {
	return func(l *lab) string { l.chat(model, ""); return strconv.Itoa(l.last.StatusCode) }
}

// twice is the status of two requests in a row.
func twice(model string) func(*lab) string {
	return func(l *lab) string { return status(model)(l) + " " + status(model)(l) }
}

// fact is the value of an expression over a target.
func fact(expr string) func(*lab) string { return factOf("oai/m", expr) }

func factOf(model, expr string) func(*lab) string {
	return func(l *lab) string {
		tree := l.readTree()
		tree = put(tree, []string{"policies", "filter"}, []any{map[string]any{"id": "show", "drop": "true", "reason": "<${" + expr + "}>"}})
		l.replace(tree)
		return between(l.chat(model, ""), "<", ">")
	}
}

// keyFact is the value of an expression over the request and its key.
func keyFact(expr string, header ...string) func(*lab) string {
	return func(l *lab) string {
		l.replace(put(l.readTree(), []string{"policies", "gate"}, []any{map[string]any{"id": "show", "deny": "<${" + expr + "}>"}}))
		return between(l.send("POST", "/v1/chat/completions", `{"model":"oai/m","messages":[]}`, header...), "<", ">")
	}
}

func between(text, from, to string) string {
	text = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(text)
	_, rest, ok := strings.Cut(text, from)
	if !ok {
		return "nothing: " + text
	}
	text, _, _ = strings.Cut(rest, to)
	return text
}

func (l *lab) readTree() any {
	raw, err := os.ReadFile(l.path())
	require.NoError(l.t, err)
	var tree any
	require.NoError(l.t, yaml.Unmarshal(raw, &tree))
	return tree
}

func (l *lab) replace(tree any) {
	text, err := yaml.Marshal(tree)
	require.NoError(l.t, err)
	require.NoError(l.t, os.WriteFile(l.path(), text, 0o600))
	require.NoError(l.t, l.gw.Reload(l.t.Context()), l.err)
}

// sent looks at the request that reached the OpenAI-like provider.
func sent(model string, look func(*fake.Request) string) func(*lab) string {
	return func(l *lab) string {
		text := l.chat(model, `,"temperature":0.5`)
		r := l.oai.Last()
		if r == nil {
			r = l.ant.Last()
		}
		if r == nil {
			return "nothing: " + text
		}
		return look(r)
	}
}

func path(r *fake.Request) string { return r.Path }

func credential(r *fake.Request) string { return r.Key() }

// served names the provider that was asked.
func served(model string) func(*lab) string {
	return func(l *lab) string {
		l.chat(model, "")
		return fmt.Sprintf("oai %d ant %d", len(l.oai.Requests()), len(l.ant.Requests()))
	}
}

// answered is who answered in the end.
func answered(model string) func(*lab) string {
	return func(l *lab) string {
		text := l.chat(model, "")
		if l.last.StatusCode != 200 {
			return strconv.Itoa(l.last.StatusCode)
		}
		return between(text+`from nobody"`, "from ", `"`)
	}
}

// naming makes both providers answer with their name.
func naming(see func(*lab) string) func(*lab) string {
	return func(l *lab) string {
		l.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "from oai"} })
		l.ant.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "from ant"} })
		return see(l)
	}
}

// failing makes the OpenAI-like provider fail.
func failing(code int, see func(*lab) string) func(*lab) string {
	return func(l *lab) string {
		l.ant.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "from ant"} })
		l.oai.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Status: code, Error: "boom"} })
		return see(l)
	}
}

// replying scripts the OpenAI-like provider.
func replying(r fake.Reply, see func(*lab) string) func(*lab) string {
	return func(l *lab) string {
		l.oai.Otherwise(func(*fake.Request) fake.Reply { return r })
		return see(l)
	}
}

// stream asks for a stream and returns all of it.
func stream(look func(text string) bool) func(*lab) string {
	return func(l *lab) string { return strconv.FormatBool(look(l.chat("oai/m", `,"stream":true`))) }
}

func complete(text string) bool {
	return strings.Contains(text, "[DONE]") && !strings.Contains(text, `"error"`)
}

// entry looks at the row of one request.
func entry(model string, look func(control.Request) string) func(*lab) string {
	return func(l *lab) string {
		l.chat(model, "")
		return l.row(look)
	}
}

// cost is what the request cost by list price, in nano-USD.
func cost(r control.Request) string { return strconv.FormatInt(int64(r.Entry.Cost), 10) }

func billed(r control.Request) string { return strconv.FormatInt(int64(r.Entry.Billed), 10) }

// cached asks the same questions and tells which came from the cache.
func cached(questions ...string) func(*lab) string {
	return func(l *lab) string {
		var out []string
		l.asked++
		for _, q := range questions {
			l.send("POST", "/v1/chat/completions", fmt.Sprintf(`{"model":"oai/m","temperature":0,"messages":[{"role":"user","content":"%d/%s"}]}`, l.asked, q))
			out = append(out, l.last.Header.Get("x-omniroute-cache"))
		}
		return strings.Join(out, " ")
	}
}

// listing is the model list.
func listing(look string) func(*lab) string {
	re := regexp.MustCompile(look)
	return func(l *lab) string { return strconv.FormatBool(re.MatchString(l.send("GET", "/v1/models", ""))) }
}

// held keeps a stream open at the provider and sends a second request.
func held(l *lab) string {
	gate := make(chan struct{})
	l.oai.Push(fake.Reply{Text: "a b c d", Gate: gate, GateAfter: 2})
	body := `{"model":"one","stream":true,"messages":[{"role":"user","content":"hi"}]}`
	resp, err := http.Post(l.root()+"/v1/chat/completions", "application/json", strings.NewReader(body))
	require.NoError(l.t, err)
	defer resp.Body.Close()
	_, err = bufio.NewReader(resp.Body).ReadString('\n')
	require.NoError(l.t, err)
	free := time.AfterFunc(300*time.Millisecond, func() { close(gate) })
	began := time.Now()
	l.chat("one", "")
	waited := "at once"
	if time.Since(began) > 200*time.Millisecond {
		waited = "later"
	}
	if free.Stop() {
		close(gate)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return strconv.Itoa(l.last.StatusCode) + " " + waited
}

// refused is whether the configuration is accepted at all.
func refused(l *lab) string {
	problems, _, err := boot.Check(l.t.Context(), func() boot.Options { o := l.options(); o.Core = nil; return o }())
	require.NoError(l.t, err)
	if len(problems) == 0 {
		return "accepted"
	}
	require.Positive(l.t, problems[0].Line)
	return "refused"
}

// again starts a gateway of its own, without plugins, from the file of the lab.
func again(look func(l *lab, gw *boot.Gateway, out string) string) func(*lab) string {
	return func(l *lab) string {
		own := *l.site
		own.dir, own.out, own.err = l.t.TempDir(), &console{}, &console{}
		raw, err := os.ReadFile(l.path())
		require.NoError(l.t, err)
		require.NoError(l.t, os.WriteFile(own.path(), raw, 0o600))
		opt := own.options()
		opt.Core, opt.DataDir = nil, ""
		gw, err := boot.Start(l.t.Context(), opt)
		if err != nil {
			return "refused"
		}
		defer own.stop(gw)
		return look(&lab{site: &own, gw: gw}, gw, own.out.String()+own.err.String())
	}
}

func TestEverySettingHasAnEffect(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many gateways")
	}
	table := slices.Concat(serverSettings(), keySettings(), routingSettings(), providerSettings(), accountSettings(), modelSettings(),
		comboSettings(), ownRules(), outboundSettings(), safetySettings(), pluginSettings(), otherSettings())
	var have []string
	for _, s := range table {
		if !slices.Contains(have, s.key) {
			have = append(have, s.key)
		}
	}
	require.ElementsMatch(t, config.Keys(), have, "each key of the configuration is shown to have an effect")

	l := newLab(t)
	for i, s := range table {
		t.Run(s.key, func(t *testing.T) {
			if s.shown != "" {
				pkg, name, _ := strings.Cut(s.shown, " ")
				require.True(t, defined(t, pkg, name), "%s has no test %s", pkg, name)
				return
			}
			l.t = t
			unique := map[string]string{"auth.keys.0.name": fmt.Sprintf("k%d", i)}
			if s.given["auth.keys.0.name"] != "" || strings.HasPrefix(s.key, "auth.keys") {
				unique = nil
			}
			at := s.at
			if at == "" {
				at = s.key
			}
			for round, values := range []map[string]string{{}, {at: s.to}} {
				l.configure(unique, s.given, values)
				if !starts(s.key) {
					l.apply(unique, s.given, values)
				}
				require.Equal(t, s.want[round], s.see(l), "%s, %s the setting", s.key, []string{"without", "with"}[round])
			}
		})
	}
}

// starts tells the settings that are looked at by a start of their own, or by
// a check.
func starts(key string) bool {
	return slices.Contains([]string{"telemetry.otlp.endpoint", "upstream.socks5"}, key) ||
		slices.ContainsFunc(boot.StartOnly(), func(s string) bool { return key == s || strings.HasPrefix(key, s+".") })
}

// defined finds a test in the files of a package.
func defined(t *testing.T, pkg, name string) bool {
	files, err := filepath.Glob(filepath.Join("../..", pkg, "*_test.go"))
	require.NoError(t, err)
	return slices.ContainsFunc(files, func(f string) bool {
		raw, err := os.ReadFile(f)
		return err == nil && bytes.Contains(raw, []byte("func "+name+"("))
	})
}
