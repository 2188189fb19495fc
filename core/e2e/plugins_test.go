package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/fake"
	"github.com/omniroute/omniroute/sdk/abi"
)

// dropIn builds a version of the drop-in plugin once for all tests.
var dropIn = func() func(t *testing.T, version string) []byte {
	var mu sync.Mutex
	built := map[string][]byte{}
	return func(t *testing.T, version string) []byte {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if built[version] == nil {
			built[version] = buildDropIn(t, version)
		}
		return built[version]
	}
}()

func buildDropIn(t *testing.T, version string) []byte {
	t.Helper()
	dir := t.TempDir()
	build := func(out string, env ...string) {
		args := []string{"build", "-trimpath", "-ldflags=-s -w -buildid= -X main.version=" + version, "-o", out}
		if len(env) > 0 {
			args = append(args, "-buildmode=c-shared")
		}
		cmd := exec.Command("go", append(args, "./core/e2e/testdata/plugins/drop")...)
		cmd.Dir, cmd.Env = repoRoot, append(append(os.Environ(), "CGO_ENABLED=0"), env...)
		text, err := cmd.CombinedOutput()
		require.NoError(t, err, string(text))
	}
	native, guest := filepath.Join(dir, "native"), filepath.Join(dir, "drop.wasm")
	build(native)
	build(guest, "GOOS=wasip1", "GOARCH=wasm")
	manifest, err := exec.Command(native).Output()
	require.NoError(t, err)
	wasm, err := os.ReadFile(guest)
	require.NoError(t, err)
	return abi.AppendSection(wasm, abi.SectionManifest, manifest)
}

// install puts a plugin file into the folder in one step.
func (g *gateway) install(name string, wasm []byte) {
	g.t.Helper()
	temp := filepath.Join(g.dir, name+".part")
	require.NoError(g.t, os.WriteFile(temp, wasm, 0o644))
	require.NoError(g.t, os.Rename(temp, filepath.Join(g.path("plugins"), name)))
}

const chatBody = `{"model":%q,"messages":[{"role":"user","content":"hi"}]}`

func (g *gateway) chat(model string) answer {
	g.t.Helper()
	return g.post("/v1/chat/completions", fmt.Sprintf(chatBody, model))
}

func (a answer) text() string {
	v, err := cases.Parse([]byte(a.Body))
	if err != nil {
		return ""
	}
	found, _ := cases.Select(v, "choices[0].message.content")
	if len(found) == 0 {
		return ""
	}
	return found[0].Text
}

func TestPluginFolder(t *testing.T) {
	t.Parallel()
	g := serve(t, freely)
	g.env = append(g.env, "DROP_KEY=sk-drop")
	require.NotEqual(t, http.StatusOK, g.chat("drop/local").Status)
	require.NotContains(t, g.get("/v1/models").Body, "drop/local")

	g.install("drop.wasm", dropIn(t, "1"))
	g.eventually(func() bool {
		_, _, err := g.run("provider", "add", "drop", "--name", "a", "--key-env", "DROP_KEY")
		return err == nil
	}, "the plugin's provider is not known: %s", lazy(g.out.String))
	g.eventually(func() bool { return g.chat("drop/local").text() == "version 1" }, "the plugin dropped in does not serve: %s", lazy(func() string { return g.chat("drop/local").Body }))
	g.eventually(func() bool { return strings.Contains(g.get("/v1/models").Body, "drop/local") }, "its models are not listed")

	g.install("drop.wasm", dropIn(t, "2"))
	g.eventually(func() bool { return g.chat("drop/local").text() == "version 2" }, "the new version does not serve")

	// A broken file is reported and changes nothing.
	g.install("drop.wasm", []byte("this is no module"))
	g.eventually(func() bool { return strings.Contains(g.out.String(), "drop.wasm") }, "the broken file is not reported")
	require.Equal(t, "version 2", g.chat("drop/local").text())
	g.install("drop.wasm", dropIn(t, "2"))

	require.NoError(t, os.Remove(filepath.Join(g.path("plugins"), "drop.wasm")))
	g.eventually(func() bool { return g.chat("drop/local").Status != http.StatusOK }, "the removed plugin still serves")
	g.eventually(func() bool { return !strings.Contains(g.get("/v1/models").Body, "drop/local") }, "its models are still listed")
	require.Equal(t, http.StatusOK, g.chat("demo/echo").Status)
}

// dropped is a node whose requests go through the drop-in's executor.
func dropped(up *fake.Server) string {
	n := node{id: "drop", dialect: "openai", url: up.OpenAIBase(), models: []string{"m"}}
	return strings.Replace(providers(n), "    dialect: openai\n", "", 1) + freely
}

// Streams that stand in the middle of their answer are not touched by a new version.
func TestReplaceUnderLiveStreams(t *testing.T) {
	t.Parallel()
	const streams = 200
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	gate := make(chan struct{})
	const said = "one two three four five six seven eight"
	up.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: said, Gate: gate, GateAfter: 4} })
	g := prepare(t, dropped(up))
	g.install("drop.wasm", dropIn(t, "1"))
	g.start()
	g.eventually(func() bool { return g.chat("drop/local").text() == "version 1" }, "the plugin does not serve")

	var begun, ended sync.WaitGroup
	begun.Add(streams)
	problems := make(chan string, streams)
	for range streams {
		ended.Go(func() {
			once := sync.OnceFunc(begun.Done)
			defer once()
			text, err := g.follow(func(line string) {
				if strings.Contains(line, "two") {
					once()
				}
			})
			if err != nil {
				problems <- err.Error()
			} else if text != said {
				problems <- fmt.Sprintf("a stream brought %q", text)
			}
		})
	}
	begun.Wait()
	g.install("drop.wasm", dropIn(t, "2"))
	g.eventually(func() bool { return g.chat("drop/local").text() == "version 2" }, "the new version does not serve beside %d streams", streams)
	close(gate)
	ended.Wait()
	close(problems)
	broken := 0
	for p := range problems {
		if broken++; broken == 1 {
			t.Error(p)
		}
	}
	require.Zero(t, broken, "streams that broke")
}

// follow reads one stream of drop/m to its end.
func (g *gateway) follow(seen func(line string)) (string, error) {
	resp, err := g.open(context.Background(), http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"model":"drop/m","stream":true,"messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var wire strings.Builder
	sc := bufio.NewScanner(resp.Body)
	for sc.Scan() {
		seen(sc.Text())
		wire.WriteString(sc.Text() + "\n")
	}
	if sc.Err() != nil {
		return "", sc.Err()
	}
	events := cases.ParseWire("openai", []byte(wire.String()))
	if bad := cases.CheckGrammar("openai", events, nil); len(bad) > 0 {
		return "", fmt.Errorf("%v: %s", bad, wire.String())
	}
	return joined("openai", events), nil
}

// A guest that panics or traps fails its own call and nothing else.
func TestPanickingPlugin(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	gate := make(chan struct{})
	up.Otherwise(func(r *fake.Request) fake.Reply {
		if strings.Contains(string(r.Body), "explode") {
			return fake.Reply{Text: "tick tick boom never", Pace: 50 * time.Millisecond} // so that the first words are out
		}
		return fake.Reply{Text: "calm and steady", Gate: gate, GateAfter: 3}
	})
	g := prepare(t, dropped(up))
	g.install("drop.wasm", dropIn(t, "1"))
	g.start()
	g.eventually(func() bool { return g.chat("drop/local").text() == "version 1" }, "the plugin does not serve")

	var calm sync.WaitGroup
	results := make([]string, 8)
	started := make(chan struct{}, 2*len(results))
	for i := range results {
		calm.Go(func() {
			text, err := g.follow(func(line string) {
				if strings.Contains(line, "calm") {
					started <- struct{}{}
				}
			})
			results[i] = text
			if err != nil {
				results[i] = err.Error()
			}
			started <- struct{}{} // also when it never began
		})
	}
	for range results {
		<-started
	}
	for _, model := range []string{"drop/panic", "drop/trap"} {
		a := g.chat(model)
		require.GreaterOrEqual(t, a.Status, 500, a.Body)
		errorBody(t, "openai", a)
		require.Contains(t, a.Body, "drop", "the error names the plugin")
		require.Equal(t, "version 1", g.chat("drop/local").text())
	}
	a := g.post("/v1/chat/completions", `{"model":"drop/m","stream":true,"messages":[{"role":"user","content":"explode"}]}`)
	events := cases.ParseWire("openai", []byte(a.Body))
	require.True(t, hasError(events), a.Body)
	require.Contains(t, joined("openai", events), "tick")
	require.NotContains(t, joined("openai", events), "never")
	close(gate)
	calm.Wait()
	for _, r := range results {
		require.Equal(t, "calm and steady", r)
	}
	require.Equal(t, "version 1", g.chat("drop/local").text())
	require.Equal(t, http.StatusOK, g.chat("demo/echo").Status)
}
