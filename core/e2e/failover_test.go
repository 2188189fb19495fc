package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/fake"
)

// quick makes the clocks short enough for a test.
const quick = `policies:
  timeouts:
    - {id: quick, connect: 3s, headers: 2s, first_event: 2s, idle: 2s}
` + unthrottled

// trouble is a way in which the first provider fails.
type trouble struct {
	name  string
	reply fake.Reply
	// streams limits the trouble to streams, plain to plain answers.
	streams, plain bool
}

var troubles = []trouble{
	{name: "429", reply: fake.RateLimited("retry-after", 30*time.Second)},
	{name: "429ms", reply: fake.RateLimited("retry-after-ms", 30*time.Second)},
	{name: "500", reply: fake.Reply{Status: 500, Error: "boom"}},
	{name: "503", reply: fake.Reply{Status: 503, Error: "busy"}},
	{name: "529", reply: fake.Reply{Status: 529, Error: "overloaded"}},
	{name: "401", reply: fake.Reply{Status: 401, Error: "who are you"}},
	{name: "html502", reply: fake.Reply{Status: 502, Body: []byte("<html>bad gateway</html>"), ContentType: "text/html"}},
	{name: "refused"},
	{name: "reset", reply: fake.Reply{Fault: fake.Fault{Kind: fake.FaultReset}}},
	{name: "stall-headers", reply: fake.Reply{Fault: fake.Fault{Kind: fake.FaultStallHeaders}}},
	{name: "stall-first", reply: fake.Reply{Fault: fake.Fault{Kind: fake.FaultStallFirst}}, streams: true},
	{name: "only-pings", reply: fake.Reply{Fault: fake.Fault{Kind: fake.FaultOnlyPings}}, streams: true},
	{name: "empty", reply: fake.Reply{Fault: fake.Fault{Kind: fake.FaultEmpty}}},
	{name: "error-200", reply: fake.Reply{Error: "upstream sick", Fault: fake.Fault{Kind: fake.FaultError200}}},
	{name: "error-first", reply: fake.Reply{Text: "x", Error: "upstream sick", Fault: fake.Fault{Kind: fake.FaultErrorEvent}}, streams: true},
	{name: "head-then-cut", reply: fake.Reply{Text: "x", Fault: fake.Fault{Kind: fake.FaultCut, After: 1}}, streams: true},
	{name: "garbage", reply: fake.Reply{Fault: fake.Fault{Kind: fake.FaultGarbage}}},
	{name: "web-page", reply: fake.Reply{Fault: fake.Fault{Kind: fake.FaultHTML}}},
	{name: "short-body", reply: fake.Reply{Text: "x", Fault: fake.Fault{Kind: fake.FaultWrongLength}}, plain: true},
}

// base is the base URL of a dialect behind a path prefix that the fake's script can read.
func base(up *fake.Server, prefix, dialect string) string {
	url := up.URL + "/" + prefix
	if dialect == "openai" {
		url += "/v1"
	}
	return url
}

// byPrefix answers by the first element of the request's path.
func byPrefix(replies map[string]fake.Reply) func(*fake.Request) fake.Reply {
	return func(r *fake.Request) fake.Reply {
		prefix, _, _ := strings.Cut(strings.TrimPrefix(r.Path, "/"), "/")
		if reply, ok := replies[prefix]; ok {
			return reply
		}
		return fake.Reply{Text: "from " + prefix}
	}
}

func TestFallOver(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	replies := map[string]fake.Reply{}
	nodes := []node{{id: "good", dialect: "openai", url: base(up, "good", "openai"), models: []string{"m"}}}
	var combos strings.Builder
	combos.WriteString("combos:\n")
	type run struct {
		name, combo, client string
		stream              bool
		trouble             trouble
	}
	var runs []run
	for _, tr := range troubles {
		for client := range clients {
			for _, dialect := range []string{"openai", "claude"} {
				for _, stream := range []bool{false, true} {
					if stream && tr.plain || !stream && tr.streams {
						continue
					}
					id := fmt.Sprintf("%s-%s-%s-%v", tr.name, client, dialect, stream)
					url := base(up, id, dialect)
					if tr.name == "refused" {
						url = fake.RefusedURL() + "/v1"
					}
					replies[id] = tr.reply
					nodes = append(nodes, node{id: id, dialect: dialect, url: url, models: []string{"m"}})
					fmt.Fprintf(&combos, "  c-%s: {strategy: priority, models: [%s/m, good/m]}\n", id, id)
					runs = append(runs, run{id, "c-" + id, client, stream, tr})
				}
			}
		}
	}
	up.Otherwise(byPrefix(replies))
	g := serve(t, providers(nodes...)+combos.String()+quick)
	for _, r := range runs {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			got, err := clients[r.client](g, ask{model: r.combo, stream: r.stream}).say(context.Background(), "hi", nil)
			require.NoError(t, err)
			require.Equal(t, "from good", got.Text)
		})
	}
}

// A second account of the same provider serves when the first is refused.
func TestFallOverToTheNextAccount(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	up.Otherwise(func(r *fake.Request) fake.Reply {
		if r.Key() == "sk-first" {
			return fake.RateLimited("retry-after", time.Minute)
		}
		return fake.Reply{Text: "served for " + r.Key()}
	})
	g := serve(t, providers(node{id: "pool", dialect: "openai", url: up.OpenAIBase(), accounts: []string{"sk-first", "sk-second"}})+freely)
	for range 3 {
		got, err := newOpenAI(g, ask{model: "pool/m"}).say(context.Background(), "hi", nil)
		require.NoError(t, err)
		require.Equal(t, "served for sk-second", got.Text)
	}
	first := 0
	for _, r := range up.Requests() {
		if r.Key() == "sk-first" {
			first++
		}
	}
	require.Equal(t, 1, first, "the refused account is left alone while it cools")
}

// When nothing works, the client gets one error in its own dialect.
func TestExhausted(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	replies := map[string]fake.Reply{}
	var nodes []node
	statuses := []int{400, 401, 403, 404, 422, 429, 500, 503, 529}
	id := func(client, dialect string, status int) string {
		return fmt.Sprintf("x%d-%s-%s", status, client, dialect)
	}
	for client := range clients {
		for _, dialect := range []string{"openai", "claude"} {
			for _, status := range statuses {
				r := fake.Reply{Status: status, Error: "said by the provider"}
				if status == 429 {
					r = fake.RateLimited("retry-after", 40*time.Second)
				}
				replies[id(client, dialect, status)] = r
				nodes = append(nodes, node{id: id(client, dialect, status), dialect: dialect, url: base(up, id(client, dialect, status), dialect), models: []string{"m"}})
			}
		}
	}
	up.Otherwise(byPrefix(replies))
	g := serve(t, providers(nodes...)+freely)
	types := map[string]map[int]string{
		"openai": {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "invalid_request_error", 422: "invalid_request_error", 429: "rate_limit_error", 500: "server_error", 503: "server_error"},
		"claude": {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error", 422: "invalid_request_error", 429: "rate_limit_error", 500: "api_error", 503: "overloaded_error", 529: "overloaded_error"},
	}
	for client := range clients {
		for _, dialect := range []string{"openai", "claude"} {
			for _, status := range statuses {
				t.Run(id(client, dialect, status), func(t *testing.T) {
					t.Parallel()
					path, body := "/v1/chat/completions", `{"model":%q,"messages":[{"role":"user","content":"hi"}]}`
					if client == "claude" {
						path, body = "/v1/messages", `{"model":%q,"max_tokens":50,"messages":[{"role":"user","content":"hi"}]}`
					}
					a, err := g.send(context.Background(), http.MethodPost, path, strings.NewReader(fmt.Sprintf(body, id(client, dialect, status)+"/m")), "anthropic-version", "2023-06-01")
					require.NoError(t, err)
					if status >= 500 {
						require.GreaterOrEqual(t, a.Status, 500, a.Body)
					} else {
						require.Equal(t, status, a.Status, a.Body)
					}
					v := errorBody(t, client, a)
					if want := types[client][a.Status]; want != "" {
						require.Equal(t, want, v, a.Body)
					}
					if status == 429 {
						wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
						require.NoError(t, err, "Retry-After: %q", a.Header.Get("Retry-After"))
						require.InDelta(t, 40, wait, 6)
					}
				})
			}
		}
	}
}

// errorBody checks the shape of an error and returns its type.
func errorBody(t *testing.T, client string, a answer) string {
	t.Helper()
	v, err := cases.Parse([]byte(a.Body))
	require.NoError(t, err, a.Body)
	pattern := `{"error":{"message":{"$regex":"."},"type":{"$regex":"."},"param":{"$exists":true},"code":{"$exists":true}}}`
	if client == "claude" {
		pattern = `{"type":"error","error":{"type":{"$regex":"."},"message":{"$regex":"."}}}`
	}
	p, err := cases.ParsePattern([]byte(pattern))
	require.NoError(t, err)
	require.Nil(t, cases.Match(p, v, &cases.Captures{}), a.Body)
	e, _ := v.Get("error")
	return e.Str("type")
}

// Once content has reached the client nothing is tried elsewhere, and the
// stream ends with an error of the client's dialect.
func TestNoFallOverAfterContent(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	replies := map[string]fake.Reply{}
	nodes := []node{{id: "good", dialect: "openai", url: base(up, "good", "openai"), models: []string{"m"}}}
	combos := "combos:\n"
	// After four events each dialect has sent at least one piece of text.
	faults := map[string]fake.Fault{
		"cut":   {Kind: fake.FaultCut, After: 5},
		"half":  {Kind: fake.FaultHalfEvent, After: 5},
		"error": {Kind: fake.FaultErrorEvent, After: 5},
		"stall": {Kind: fake.FaultStallMid, After: 5},
	}
	pairs := [][2]string{{"openai", "openai"}, {"openai", "claude"}, {"claude", "openai"}, {"claude", "claude"}}
	for name, f := range faults {
		for _, p := range pairs {
			id := name + "-" + p[0] + "-" + p[1]
			replies[id] = fake.Reply{Text: "one two three four five six seven", Error: "provider broke", Fault: f}
			nodes = append(nodes, node{id: id, dialect: p[1], url: base(up, id, p[1]), models: []string{"m"}})
			combos += "  c-" + id + ": {strategy: priority, models: [" + id + "/m, good/m]}\n"
		}
	}
	up.Otherwise(byPrefix(replies))
	g := serve(t, providers(nodes...)+combos+quick)
	for name := range faults {
		for _, p := range pairs {
			id := name + "-" + p[0] + "-" + p[1]
			t.Run(id, func(t *testing.T) {
				t.Parallel()
				events := g.streamOf(t, p[0], "c-"+id)
				request := []byte(`{"stream":true}`)
				require.Empty(t, cases.CheckGrammar(p[0], events, request), "%s", show(events))
				text := joined(p[0], events)
				require.True(t, strings.HasPrefix(text, "one "), text)
				require.NotContains(t, text, "good")
				require.True(t, hasError(events), show(events))
			})
		}
	}
	t.Cleanup(func() {
		for _, r := range up.Requests() {
			if strings.HasPrefix(r.Path, "/good/") {
				t.Errorf("a stream was continued elsewhere")
			}
		}
	})
}

// streamOf asks for a stream and returns all its events but keep-alives.
func (g *gateway) streamOf(t *testing.T, client, model string) []cases.Event {
	t.Helper()
	path, body := "/v1/chat/completions", `{"model":%q,"stream":true,"messages":[{"role":"user","content":"hi"}]}`
	if client == "claude" {
		path, body = "/v1/messages", `{"model":%q,"stream":true,"max_tokens":50,"messages":[{"role":"user","content":"hi"}]}`
	}
	a, err := g.send(context.Background(), http.MethodPost, path, strings.NewReader(fmt.Sprintf(body, model)), "anthropic-version", "2023-06-01")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, a.Status, a.Body)
	require.Contains(t, a.Header.Get("Content-Type"), "text/event-stream")
	return withoutPings(cases.ParseWire(client, []byte(a.Body)))
}

func withoutPings(events []cases.Event) []cases.Event {
	var out []cases.Event
	for _, e := range events {
		if e.Name != "ping" {
			out = append(out, e)
		}
	}
	return out
}

func show(events []cases.Event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%s %s\n", e.Name, e.Data)
	}
	return b.String()
}

func hasError(events []cases.Event) bool {
	for _, e := range events {
		v, err := cases.Parse(e.Data)
		if err != nil {
			return false
		}
		if m, ok := v.Get("error"); ok && m.Kind == cases.Object {
			return true
		}
	}
	return false
}

// joined is the text of a stream.
func joined(client string, events []cases.Event) string {
	path := map[string]string{"openai": "choices[*].delta.content", "claude": "delta.text", "gemini": "candidates[*].content.parts[*].text", "openai-responses": "delta"}[client]
	var b strings.Builder
	for _, e := range events {
		v, err := cases.Parse(e.Data)
		if err != nil || client == "openai-responses" && v.Str("type") != "response.output_text.delta" {
			continue
		}
		found, _ := cases.Select(v, path)
		for _, f := range found {
			b.WriteString(f.Text)
		}
	}
	return b.String()
}

// A client that hangs up stops the provider within a second, and the provider
// is not blamed for it.
func TestDisconnect(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	replies := map[string]fake.Reply{
		"mid":   {Text: "one two three four five", Fault: fake.Fault{Kind: fake.FaultStallMid, After: 4}},
		"first": {Text: "x", Fault: fake.Fault{Kind: fake.FaultStallFirst}},
		"head":  {Text: "x", Fault: fake.Fault{Kind: fake.FaultStallHeaders}},
		"plain": {Text: "x", Fault: fake.Fault{Kind: fake.FaultStallHeaders}},
	}
	var nodes []node
	for _, dialect := range []string{"openai", "claude"} {
		for name := range replies {
			nodes = append(nodes, node{id: name + "-" + dialect, dialect: dialect, url: base(up, name+"-"+dialect, dialect), models: []string{"m"}})
		}
	}
	up.Otherwise(func(r *fake.Request) fake.Reply {
		prefix, _, _ := strings.Cut(strings.TrimPrefix(r.Path, "/"), "-")
		if strings.Contains(string(r.Body), "after") {
			return fake.Reply{Text: "still there"}
		}
		return replies[prefix]
	})
	g := serve(t, providers(nodes...)+freely)
	t.Run("hang up", func(t *testing.T) { hangUps(t, g, up, nodes) })
	var out string
	g.eventually(func() bool {
		out = g.must("requests", "--json", "--limit", "100")
		return strings.Count(out, `"status": 499`) >= len(nodes)
	}, "each is recorded as 499: %s", lazy(func() string { return out }))
}

func hangUps(t *testing.T, g *gateway, up *fake.Server, nodes []node) {
	for _, n := range nodes {
		t.Run(n.id, func(t *testing.T) {
			t.Parallel()
			kind, _, _ := strings.Cut(n.id, "-")
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			failure := make(chan error, 1)
			go func() {
				body := fmt.Sprintf(`{"model":"%s/m","stream":%v,"messages":[{"role":"user","content":"hi"}]}`, n.id, kind != "plain")
				resp, err := g.open(ctx, http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
				if err == nil {
					sc := bufio.NewScanner(resp.Body)
					for sc.Scan() {
						if strings.Contains(sc.Text(), "one") {
							cancel()
						}
					}
					resp.Body.Close()
				}
				failure <- err
			}()
			var seen *fake.Request
			g.eventually(func() bool {
				for _, r := range up.Requests() {
					if strings.HasPrefix(r.Path, "/"+n.id+"/") {
						seen = r
						return true
					}
				}
				return false
			}, "the provider was not asked")
			if kind != "mid" {
				cancel()
			}
			<-ctx.Done()
			hangup := time.Now()
			<-failure
			select {
			case <-seen.Gone():
				require.Less(t, seen.GoneAt().Sub(hangup), time.Second)
			case <-time.After(3 * time.Second):
				t.Fatal("the provider was not told that the client left")
			}
			got, err := newOpenAI(g, ask{model: n.id + "/m"}).say(context.Background(), "after", nil)
			require.NoError(t, err, "the provider must not be punished")
			require.Equal(t, "still there", got.Text)
		})
	}
}

// Answers that are unusual but good must pass.
func TestOddButGoodAnswers(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	faults := []fake.FaultKind{fake.FaultByteChunks, fake.FaultGzip, fake.FaultPings, fake.FaultCRLF, fake.FaultNoFinalBlank, fake.FaultJSONForStream, fake.FaultGarbageEvent}
	replies := map[string]fake.Reply{}
	var nodes []node
	for _, dialect := range []string{"openai", "claude"} {
		for _, f := range faults {
			id := string(f) + "-" + dialect
			replies[id] = fake.Reply{Text: "all of it äöü 😀", Fault: fake.Fault{Kind: f, After: 3}}
			nodes = append(nodes, node{id: id, dialect: dialect, url: base(up, id, dialect), models: []string{"m"}})
		}
	}
	up.Otherwise(byPrefix(replies))
	g := serve(t, providers(nodes...)+freely)
	for _, n := range nodes {
		for client, open := range clients {
			for _, stream := range []bool{false, true} {
				if strings.HasPrefix(n.id, "garbage-event") && (!stream || n.dialect == client) {
					continue // with one format on both sides every byte is passed on
				}
				t.Run(fmt.Sprintf("%s for %s, stream %v", n.id, client, stream), func(t *testing.T) {
					t.Parallel()
					got, err := open(g, ask{model: n.id + "/m", stream: stream}).say(context.Background(), "hi", nil)
					require.NoError(t, err)
					require.Equal(t, "all of it äöü 😀", got.Text)
				})
			}
		}
	}
}
