package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	startLimit = 60 * time.Second // first start of a run compiles the plugins
	waitLimit  = 20 * time.Second
	tick       = 10 * time.Millisecond
)

// gateway is a running `omniroute serve`.
type gateway struct {
	t    testing.TB
	URL  string
	dir  string // configuration, plugins and data
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	out  *output
	env  []string
}

// output collects what a process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// serve starts a gateway whose configuration file has the given text. The
// address, the data directory and the plugin folder are filled in.
func serve(t testing.TB, config string) *gateway {
	t.Helper()
	g := prepare(t, config)
	g.start()
	return g
}

// prepare makes the folder of a gateway without starting it.
func prepare(t testing.TB, config string) *gateway {
	t.Helper()
	dir := t.TempDir()
	g := &gateway{t: t, dir: dir}
	require.NoError(t, os.Mkdir(g.path("plugins"), 0o755))
	g.configure(config)
	g.env = append(os.Environ(),
		"OMNIROUTE_SERVER__LISTEN=127.0.0.1:0",
		"OMNIROUTE_PLUGINS__CACHE__DIR="+cacheDir,
		"OMNIROUTE_PLUGINS__DIR="+g.path("plugins"),
		"DATA_DIR="+g.path("data"),
		"HOME="+dir,
	)
	return g
}

func (g *gateway) path(name string) string { return filepath.Join(g.dir, name) }

// configure writes the configuration file, as an editor would: all at once.
func (g *gateway) configure(text string) {
	g.t.Helper()
	temp := g.path(".omniroute.yaml.new")
	require.NoError(g.t, os.WriteFile(temp, []byte(text), 0o600))
	require.NoError(g.t, os.Rename(temp, g.path("omniroute.yaml")))
}

var baseLine = regexp.MustCompile(`Base URL:\s*(http://\S+?)(?:/v1)?\s*\n`)

// start runs the server and waits until it is ready.
func (g *gateway) start() {
	g.t.Helper()
	g.out = &output{}
	g.cmd = exec.Command(binary, "serve", "--config", g.path("omniroute.yaml"))
	g.cmd.Dir, g.cmd.Env = g.dir, g.env
	g.cmd.Stdout, g.cmd.Stderr = g.out, g.out
	require.NoError(g.t, g.cmd.Start())
	done := make(chan struct{})
	g.done = done
	cmd := g.cmd
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	g.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
		}
		<-done
		if g.t.Failed() {
			g.t.Logf("output of the gateway:\n%s", tail(g.out.String(), 12000))
		}
	})
	g.within(startLimit, g.ready, "the gateway did not become ready")
}

// lazy is text that is made when it is printed.
type lazy func() string

func (l lazy) String() string { return l() }

func (g *gateway) ended() bool {
	select {
	case <-g.done:
		return true
	default:
		return false
	}
}

func (g *gateway) ready() bool {
	if g.ended() {
		g.t.Fatal("the gateway ended at start")
	}
	m := baseLine.FindStringSubmatch(g.out.String())
	if m == nil {
		return false
	}
	g.URL = m[1]
	resp, err := http.Get(g.URL + "/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// stop ends the server as a service manager would.
func (g *gateway) stop() {
	g.t.Helper()
	require.NoError(g.t, g.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-g.done:
	case <-time.After(waitLimit):
		g.t.Fatal("the gateway did not end after SIGTERM")
	}
	require.True(g.t, g.cmd.ProcessState.Success(), "exit: %s", g.cmd.ProcessState)
}

// kill ends the server without a chance to say goodbye.
func (g *gateway) kill() {
	g.t.Helper()
	require.NoError(g.t, g.cmd.Process.Kill())
	<-g.done
}

// run executes another omniroute command on the same configuration.
func (g *gateway) run(args ...string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append(args, "--config", g.path("omniroute.yaml"))...)
	cmd.Dir, cmd.Env = g.dir, g.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// must is run for commands that have to succeed.
func (g *gateway) must(args ...string) string {
	g.t.Helper()
	out, errs, err := g.run(args...)
	require.NoError(g.t, err, "omniroute %s: %s%s", strings.Join(args, " "), out, errs)
	return out
}

// answer is a complete HTTP answer.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

// post sends a JSON body.
func (g *gateway) post(path, body string, headers ...string) answer {
	g.t.Helper()
	a, err := g.send(context.Background(), http.MethodPost, path, strings.NewReader(body), headers...)
	require.NoError(g.t, err)
	return a
}

func (g *gateway) get(path string, headers ...string) answer {
	g.t.Helper()
	a, err := g.send(context.Background(), http.MethodGet, path, nil, headers...)
	require.NoError(g.t, err)
	return a
}

// send does one exchange; headers are name, value pairs.
func (g *gateway) send(ctx context.Context, method, path string, body io.Reader, headers ...string) (answer, error) {
	resp, err := g.open(ctx, method, path, body, headers...)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

func (g *gateway) open(ctx context.Context, method, path string, body io.Reader, headers ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, g.URL+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return http.DefaultClient.Do(req)
}

func (g *gateway) eventually(ok func() bool, format string, args ...any) {
	g.t.Helper()
	g.within(waitLimit, ok, format, args...)
}

// within polls in the goroutine of the test, so that ok may use require.
func (g *gateway) within(limit time.Duration, ok func() bool, format string, args ...any) {
	g.t.Helper()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for end := time.Now().Add(limit); !ok(); <-ticker.C {
		if time.Now().After(end) {
			g.t.Fatalf(format, args...)
		}
	}
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// node is the YAML of one provider of the configuration.
type node struct {
	id, dialect, url string
	accounts         []string // API keys; nil means one
	models           []string // nil means all of models
	extra            string   // further lines, indented by four
}

// models is what a node serves unless it says otherwise.
var models = []string{"gpt-4o", "gpt-5", "claude-sonnet-4-5", "gemini-2.5-flash", "m"}

func (n node) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s:\n    dialect: %s\n    base_urls: [%q]\n    allow_private: true\n", n.id, n.dialect, n.url)
	b.WriteString("    accounts:\n")
	keys := n.accounts
	if keys == nil {
		keys = []string{"sk-" + n.id}
	}
	for i, key := range keys {
		fmt.Fprintf(&b, "      - {name: a%d, api_key: %q, priority: %d}\n", i+1, key, i+1)
	}
	b.WriteString("    models:\n")
	list := n.models
	if list == nil {
		list = models
	}
	for _, m := range list {
		fmt.Fprintf(&b, "      - {id: %q, context: 200000, max_output: 64000, tools: true, images: true, json_schema: true, reasoning: true, price: {input: 1, output: 2}}\n", m)
	}
	b.WriteString(n.extra)
	return b.String()
}

// unthrottled switches off the preset's limits of one account, which would
// otherwise pace a test to five requests a second; it belongs below policies.
const unthrottled = "  limits:\n    - {id: apikey-default, enabled: false}\n"

// freely is the policies section of tests that need nothing else.
const freely = "policies:\n" + unthrottled

// providers is the YAML of the providers section.
func providers(nodes ...node) string {
	var b strings.Builder
	b.WriteString("providers:\n")
	for _, n := range nodes {
		b.WriteString(n.yaml())
	}
	return b.String()
}

// exitCode is the code a command ended with, -1 when it did not run.
func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}
