package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
)

// hostile are rules that must be refused, with their place, or run in bounded
// time.
var hostile = map[string]struct {
	gate string // the rules of the gate
	want string // part of the report; "" = they load
}{
	"huge loop":         {`{id: a, when: 'any(1..100000000, # > 5)', deny: x}`, "1000 elements at most"},
	"nested predicates": {`{id: a, when: 'any(req.tags, any(req.tags, any(req.tags, # == "x")))', deny: x}`, "nested 2 deep"},
	"deep brackets":     {`{id: a, when: '` + strings.Repeat("(", 5000) + "true" + strings.Repeat(")", 5000) + `', deny: x}`, "nested more than"},
	"endless text":      {`{id: a, when: '` + strings.Repeat("not ", 200_000) + `true', deny: x}`, "longer than"},
	"wrong type":        {`{id: a, when: req.n, deny: x}`, "expected bool, but got int"},
	"unknown name":      {`{id: a, when: req.modle == "x", deny: x}`, "did you mean model?"},
	"other hook":        {`{id: a, when: err.status == 1, deny: x}`, "unknown name err"},
	"moving pattern":    {`{id: a, when: req.model matches req.user, deny: x}`, "constant"},
	"giant text":        {`{id: a, when: 'repeat("a", 2000000000) == req.model', warn: x}`, ""},
	"division by zero":  {`{id: a, when: '1 % (req.n - 1) == 0', warn: x}`, ""},
	"no such element":   {`{id: a, when: 'req.tags[7] == ""', warn: x}`, ""},
}

// Hostile rules are refused by `policy check` and by a running gateway alike; what
// loads is bounded, and the failure answer of the hook follows at once.
func TestHostilePolicies(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	up.Otherwise(byPrefix(nil))
	g := serve(t, twoTargets(up, orderRule("west")))
	serves := func() bool { return g.chat("either").text() == "from west" }
	side := 0
	for name, c := range hostile {
		rules := "policies:\n  gate:\n    - " + c.gate + "\n"
		require.NoError(t, os.WriteFile(g.path("bad.yaml"), []byte(rules), 0o644))
		_, errs, err := g.run("policy", "check", g.path("bad.yaml"))
		if c.want != "" {
			require.Equal(t, 1, exitCode(err), name)
			require.Contains(t, errs, c.want, name)
			require.Regexp(t, `bad\.yaml:3:\d+: gate\.a\.when: `, errs, name)
			n := len(g.out.String())
			g.configure(twoTargets(up, orderRule("west")))
			g.eventually(serves, "%s: the good rules are not in force", name)
			g.configure(twoTargets(up, rules))
			g.eventually(func() bool { return strings.Contains(g.out.String()[n:], c.want) }, "%s is not reported", name)
			g.eventually(serves, "%s: the rules in force no longer serve", name)
			continue
		}
		require.Zero(t, exitCode(err), "%s: %s", name, errs)
		side++
		mark := fmt.Sprintf("mark-%d", side)
		g.configure(twoTargets(up, rules+fmt.Sprintf("    - {id: mark, when: header(\"x-mark\") != \"\", deny: %s}\n", mark)))
		g.eventually(func() bool {
			a := g.post("/v1/chat/completions", fmt.Sprintf(chatBody, "either"), "x-mark", "1")
			return strings.Contains(a.Body, mark) || strings.Contains(a.Body, "POLICY_001")
		}, "%s does not come into force", name)
		began := time.Now()
		a := g.chat("either")
		require.Less(t, time.Since(began), waitLimit, name)
		require.Equal(t, 500, a.Status, "%s: a gate that cannot be asked is closed: %s", name, a.Body)
		require.Contains(t, a.Body, "POLICY_001", name)
		g.eventually(func() bool { return strings.Contains(g.out.String(), "a policy rule cannot be evaluated") }, "%s is not logged", name)
	}
	g.configure(twoTargets(up, orderRule("east")))
	g.eventually(func() bool { return g.chat("either").text() == "from east" }, "a good file after hostile ones is not taken")
}

// What a gateway recorded can be explained and replayed, also once it is gone.
func TestPolicyExplainAndReplay(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	up.Otherwise(byPrefix(nil))
	g := serve(t, twoTargets(up, "policies:\n  gate:\n    - {id: no-forbidden, when: 'req.user == \"mallory\"', deny: Not you}\n    - {id: would, shadow: true, when: req.messages > 0, deny: x}\n"))
	var ids []string
	for range 3 {
		ids = append(ids, g.chat("either").Header.Get("x-request-id"))
	}
	denied := g.post("/v1/chat/completions", `{"model":"east/m","user":"mallory","messages":[{"role":"user","content":"hi"}]}`)
	require.Equal(t, 403, denied.Status)

	g.eventually(func() bool { _, _, err := g.run("explain", ids[2]); return err == nil }, "the request is not in the log")
	text := g.must("explain", ids[2])
	require.Contains(t, text, "east/m, west/m", "the candidates")
	require.Contains(t, text, `req.user == "mallory" = false`, "what decided, without detail in the log")
	require.Contains(t, text, "(shadow)")
	text = g.must("explain", denied.Header.Get("x-request-id"))
	require.Contains(t, text, `req.user = mallory`)

	var row struct {
		Trace struct {
			Record     json.RawMessage `json:"record"`
			Candidates []string        `json:"candidates"`
		} `json:"trace"`
	}
	require.NoError(t, json.Unmarshal([]byte(g.must("explain", "--json", ids[0])), &row))
	require.NoError(t, os.WriteFile(g.path("rec.json"), row.Trace.Record, 0o600))
	first := g.must("policy", "explain", "--json", g.path("rec.json"))
	require.Equal(t, first, g.must("policy", "explain", "--json", g.path("rec.json")))
	var e struct {
		Verdict struct {
			Targets []string `json:"targets"`
		} `json:"verdict"`
	}
	require.NoError(t, json.Unmarshal([]byte(first), &e))
	require.Equal(t, row.Trace.Candidates, e.Verdict.Targets)
	require.NoError(t, os.WriteFile(g.path("body.json"), fmt.Appendf(nil, chatBody, "either"), 0o600))
	require.Contains(t, g.must("policy", "explain", g.path("body.json")), "allowed", "the body of a request is enough to ask about admission")

	draft := "policies:\n  gate: [{id: none-today, when: 'req.model == \"either\"', deny: none}]\n"
	require.NoError(t, os.WriteFile(g.path("draft.yaml"), []byte(draft), 0o644))
	replay := func() string {
		out, _, err := g.run("policy", "replay", "--policy", g.path("draft.yaml"), "--fail-on-change")
		require.Equal(t, 1, exitCode(err))
		return out
	}
	out := replay()
	require.Contains(t, out, "4 of 4 requests would change: 3 newly denied, 1 newly allowed")
	g.must("policy", "replay", "--policy", g.path("omniroute.yaml"), "--fail-on-change")
	g.stop()
	require.Equal(t, out, replay(), "offline as well")
}

// The book and the presets can be checked, tested and formatted as shipped.
func TestPolicyBookFromTheCommandLine(t *testing.T) {
	t.Parallel()
	g := prepare(t, "policies: {preset: modern}\n")
	shipped, err := filepath.Abs("../../policies")
	require.NoError(t, err)
	out := g.must("policy", "test", shipped)
	require.Regexp(t, `^\d{3} passed, 0 failed\n$`, out)
	g.must("policy", "check", shipped)
	require.Empty(t, g.must("policy", "fmt", "--check", shipped))
	require.Contains(t, g.must("policy", "env", "on_error"), "err.retry_after_ms")
	require.Contains(t, g.must("policy", "bench", "--targets", "1", "--accounts", "1", "--time", "100ms"), "all")
	for verb, args := range map[string][]string{
		"check": {"nowhere.yaml"}, "test": {"nowhere.yaml"}, "explain": {"nowhere.json"}, "replay": nil, "env": {"nohook"},
	} {
		_, errs, err := g.run(append([]string{"policy", verb}, args...)...)
		require.NotZero(t, exitCode(err), verb)
		require.NotEmpty(t, errs, verb)
	}
}

// A thousand edits of a running gateway's rules fail no request.
func TestPolicyEditsUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("edits a file for many seconds")
	}
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	up.Otherwise(byPrefix(nil))
	g := serve(t, twoTargets(up, orderRule("east")))
	var stop atomic.Bool
	var count atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !stop.Load() && !t.Failed() {
				a, err := g.send(t.Context(), "POST", "/v1/chat/completions", strings.NewReader(fmt.Sprintf(chatBody, "either")))
				if err != nil || a.Status != 200 {
					t.Errorf("%v: %d %s", err, a.Status, a.Body)
				}
				count.Add(1)
			}
		})
	}
	sides := []string{"west", "east", "west-nobody", "east"}
	for i := range 1000 { // far more often than the gateway looks: editors save in bursts
		g.configure(twoTargets(up, orderRule(sides[i%4])))
		if i%100 == 0 {
			n := count.Load()
			g.eventually(func() bool { return count.Load() > n+5 || t.Failed() }, "requests hang")
		}
	}
	g.configure(twoTargets(up, orderRule("west")))
	g.eventually(func() bool { return g.chat("either").text() == "from west" }, "the last edit does not decide")
	stop.Store(true)
	wg.Wait()
}
