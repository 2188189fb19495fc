package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fake"
)

// still switches off everything that would change a request or try it twice,
// and lets a test choose the target by a header.
const still = `policies:
  preset: none
  rewrite:
    - {id: aim, when: 'header("x-target") != ""', model: '${header("x-target")}'}
  on_error:
    - {id: never, do: 'stop("vector")'}
  timeouts:
    - {id: quick, connect: 5s, headers: 10s, first_event: 10s, idle: 10s}
`

// wireFormats are the formats with an endpoint for clients, and those with a
// provider protocol that the fakes speak.
var (
	clientFormats   = []string{"openai", "claude", "openai-responses", "gemini"}
	providerFormats = []string{"openai", "claude", "openai-responses", "gemini", "ollama"}
)

// offTheWire tells why a case cannot run against a fake provider; "" = it can.
func offTheWire(c *cases.Case) string {
	client, provider := c.From, c.To
	if c.Kind != cases.KindRequest {
		client, provider = c.To, c.From
	}
	switch {
	case !contains(clientFormats, client):
		return "no client speaks " + client
	case provider == "gemini-cli" || provider == "antigravity":
		return provider + " needs an executor that logs in to the code assistant and names its project"
	case provider == "kiro":
		return "kiro's executor adds the time to requests and reads binary frames: see the rows of the providers' suite"
	case provider == "cursor":
		return "cursor's executor makes protobuf of requests and reads binary frames: see the rows of the providers' suite"
	case !contains(providerFormats, provider):
		return "no fake speaks " + provider
	case c.Ctx.Provider == "codex":
		return "codex needs a login instead of a key"
	}
	return ""
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// TestVectorsOnTheWire runs the translation vectors through the gateway: what a
// provider received for a request, what a client received for an answer.
func TestVectorsOnTheWire(t *testing.T) {
	t.Parallel()
	list, err := cases.LoadFile("../cases/testdata/translation-cases.jsonl")
	require.NoError(t, err)
	up := fake.Start(fake.Options{Lenient: true})
	t.Cleanup(up.Close)
	replies := map[string]fake.Reply{}
	var batches []map[string]node // provider id -> node; one gateway each
	where := map[string]int{}
	for _, c := range list {
		client, provider := c.From, c.To
		if c.Kind != cases.KindRequest {
			client, provider = c.To, c.From
		}
		if offTheWire(c) != "" {
			continue
		}
		replies[c.ID] = upstreamReply(c)
		id := c.Ctx.Provider
		if id == "" {
			id = "mock-" + c.ID
		}
		n := node{id: id, dialect: provider, url: wireBase(up, c.ID, provider), models: []string{wireModel(c)}}
		if client == provider && provider == "openai" {
			n.extra = "    developer_role: keep\n" // P-1: nothing is rewritten that need not be
		}
		k := 0
		for k < len(batches) && batches[k][id].id != "" {
			k++
		}
		if k == len(batches) {
			batches = append(batches, map[string]node{})
		}
		batches[k][id] = n
		where[c.ID] = k
	}
	up.Otherwise(byPrefix(replies))
	// A request is resolved before it is aimed, so each name a client may ask for is an alias.
	names := map[string]bool{"any": true}
	for _, c := range list {
		for _, body := range [][]byte{c.Input, c.Ctx.Request} {
			if v, err := cases.Parse(body); err == nil && v.Str("model") != "" {
				names[v.Str("model")] = true
			}
		}
	}
	aliases := "aliases:\n"
	for name := range names {
		aliases += fmt.Sprintf("  %q: demo/echo\n", name)
	}
	gateways := make([]*gateway, len(batches))
	for k, nodes := range batches {
		var all []node
		for _, n := range nodes {
			all = append(all, n)
		}
		gateways[k] = serve(t, providers(all...)+aliases+still)
	}
	var sum cases.Summary
	t.Cleanup(func() { t.Logf("vectors on the wire: %s", sum) })
	for _, c := range list {
		k, ok := where[c.ID]
		if !ok {
			sum.Add(cases.Result{Case: c, Skipped: true})
			t.Run(c.ID, func(t *testing.T) { t.Skip(offTheWire(c)) })
			continue
		}
		t.Run(c.ID, func(t *testing.T) {
			w := &wire{g: gateways[k], up: up, c: c}
			res := cases.Run(context.Background(), c, w)
			sum.Add(res)
			if !res.Passed() && !res.Skipped {
				t.Errorf("%s\n    [%s]", res, c.Note)
			}
		})
	}
}

// upstreamReply is what the provider answers in a case.
func upstreamReply(c *cases.Case) fake.Reply {
	switch c.Kind {
	case cases.KindRequest:
		return fake.Reply{Text: "fine"}
	case cases.KindResponse:
		return fake.Reply{Status: c.Ctx.Status, Body: c.Input}
	}
	return fake.Reply{Events: c.Events}
}

func wireBase(up *fake.Server, id, dialect string) string {
	url := up.URL + "/" + id
	switch dialect {
	case "openai", "openai-responses":
		return url + "/v1"
	case "gemini":
		return url + "/v1beta/models"
	}
	return url
}

func wireModel(c *cases.Case) string {
	if c.Ctx.Model != "" {
		return c.Ctx.Model
	}
	return "m"
}

// wire is a translator that is a whole gateway.
type wire struct {
	g  *gateway
	up *fake.Server
	c  *cases.Case
}

func (w *wire) target() string {
	id := w.c.Ctx.Provider
	if id == "" {
		id = "mock-" + w.c.ID
	}
	return id + "/" + wireModel(w.c)
}

// exchange sends a body to the endpoint of a client format.
func (w *wire) exchange(ctx context.Context, format string, body []byte, stream bool) (answer, error) {
	path := map[string]string{"openai": "/v1/chat/completions", "claude": "/v1/messages", "openai-responses": "/v1/responses"}[format]
	if format == "gemini" {
		verb := ":generateContent"
		if stream {
			verb = ":streamGenerateContent?alt=sse"
		}
		model := "any"
		if m, ok := doc.Get(body, "model"); ok {
			model = strings.Trim(string(m), `"`)
			body, _ = doc.Delete(nil, body, "model")
		}
		path = "/v1beta/models/" + model + verb
	}
	resp, err := w.g.open(ctx, http.MethodPost, path, strings.NewReader(string(body)), "x-target", w.target(), "anthropic-version", "2023-06-01")
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

func (a answer) failure() error {
	f := &cases.Failure{Status: a.Status, Body: []byte(a.Body), Headers: map[string]string{}}
	for name := range a.Header {
		f.Headers[name] = a.Header.Get(name)
	}
	return f
}

// Request implements cases.Translator.
func (w *wire) Request(ctx context.Context, j cases.Job) ([]byte, error) {
	a, err := w.exchange(ctx, j.From, j.Body, false)
	if err != nil {
		return nil, err
	}
	for _, r := range w.up.Requests() {
		if strings.HasPrefix(r.Path, "/"+w.c.ID+"/") {
			return r.Body, nil
		}
	}
	if a.Status < 400 {
		return nil, fmt.Errorf("nothing reached the provider; the client got %d %s", a.Status, a.Body)
	}
	return nil, a.failure()
}

// clientRequest is the request that the answer is for.
func (w *wire) clientRequest(j cases.Job, stream bool) []byte {
	body := j.Ctx.Request
	if body == nil {
		body = []byte(map[string]string{
			"openai":           `{"model":"any","messages":[]}`,
			"claude":           `{"model":"any","max_tokens":2000,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[]}`,
			"openai-responses": `{"model":"any","input":[]}`,
			"gemini":           `{"contents":[],"generationConfig":{"thinkingConfig":{"includeThoughts":true}}}`,
		}[j.To])
	}
	turn := map[string][2]string{
		"openai":           {"messages", `[{"role":"user","content":"hi"}]`},
		"claude":           {"messages", `[{"role":"user","content":"hi"}]`},
		"openai-responses": {"input", `[{"role":"user","content":"hi"}]`},
		"gemini":           {"contents", `[{"role":"user","parts":[{"text":"hi"}]}]`},
	}[j.To]
	if old, ok := doc.Get(body, turn[0]); !ok || strings.TrimSpace(string(old)) == "[]" || strings.TrimSpace(string(old)) == `""` {
		body, _ = doc.Set(nil, body, []byte(turn[1]), turn[0])
	}
	if j.To != "gemini" {
		body, _ = doc.Set(nil, body, fmt.Appendf(nil, "%v", stream), "stream")
	}
	return body
}

// Response implements cases.Translator.
func (w *wire) Response(ctx context.Context, j cases.Job) ([]byte, error) {
	a, err := w.exchange(ctx, j.To, w.clientRequest(j, false), false)
	if err != nil {
		return nil, err
	}
	if a.Status >= 400 {
		return nil, a.failure()
	}
	return []byte(a.Body), nil
}

// Collect implements cases.Translator.
func (w *wire) Collect(ctx context.Context, j cases.Job) ([]byte, error) { return w.Response(ctx, j) }

// Stream implements cases.Translator.
func (w *wire) Stream(ctx context.Context, j cases.Job) ([]cases.Event, error) {
	a, err := w.exchange(ctx, j.To, w.clientRequest(j, true), true)
	if err != nil {
		return nil, err
	}
	if a.Status >= 400 {
		return nil, a.failure()
	}
	return cases.ParseWire(j.To, []byte(a.Body)), nil
}
