package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
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

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/fake"
	"github.com/omniroute/omniroute/core/state"
)

var updateDocs = flag.Bool("update", false, "write the generated pages of docs/ anew")

// providerRows are all rows of the suite: one per provider that the catalogue
// has built in, and one per kind of compatible node. Whoever adds a provider
// adds a row, beside the code that is tested.
func providerRows() []*providerRow {
	return slices.Concat(keyRows(), messagesRows(), nodeRows(), hookRows(), specialRows())
}

// providerRow is what the suite knows of one provider. [TestProviders] runs it
// against a fake of the provider, through the real binary, and docs/providers.md
// is made of it.
type providerRow struct {
	id    string // of the catalogue
	alias string // clients may write alias/model; "" = the id
	// base is the path of the provider's base URL; it follows the fake's own URL.
	base string
	// conf is more YAML below providers.<id>, indented by four.
	conf string
	// root is more YAML of the file, made when the fakes run.
	root func(w *providerWorld) string

	// auth is the kind of the account: api_key or oauth; cred its secrets and data
	// what else is kept with it. Nil stands for the secret "secret-<id>".
	auth string
	cred *account.Credential
	data map[string]string
	// grant is what the fake token endpoint gives; nil = the provider's
	// credentials are not renewed.
	grant *fake.IssuerOptions

	// fake are the options of the fake; start is called when it runs.
	fake fake.Options
	// knows are members of requests that the provider has beyond the API it copies.
	knows []string
	start func(t testing.TB, w *providerWorld)
	// reply is what the answers of the provider look like beside text and usage.
	reply fake.Reply

	// headers every completion has to carry, and no others, beside those any HTTP
	// client sends. "re:" begins a regular expression. Content-Type, Accept and
	// User-Agent are as usual unless they are here.
	headers map[string]string
	asks    []providerAsk

	forced  bool // upstream is always asked for a stream
	noTools bool // tool calls are not served
	// refusals are the answers of the provider that clients see in other words than
	// usual, by status.
	refusals map[int]refusal
	// list is the path that lists the models, with the query; "" = there is no list.
	list string
	// steps are further tests, by name.
	steps map[string]func(t *testing.T, w *providerWorld)
	// note is for people who read the matrix.
	note string
}

// providerAsk is a request of a client and the request that the provider gets.
type providerAsk struct {
	name  string
	model string // in the provider's words
	in    string // a chat completions request without model and stream
	// path of the provider's URL, with query; stream is that of a stream when it
	// differs.
	path, stream string
	// want is the body that is sent, as JSON; streamed are the members that a
	// stream has more (null: less). The latter follow from the dialect when empty.
	want, streamed string
	headers        map[string]string // beside those of the row
}

// providerWorld is a provider of the suite while it runs.
type providerWorld struct {
	*providerRow
	g      *gateway
	up     *fake.Server
	issuer *fake.Issuer
	dial   string // dialect of the provider
}

const (
	askedText = "Grüße aus Bergen."
	// everything is a chat request with all that the API knows.
	everything = `{"messages":[{"role":"developer","content":"Be brief."},{"role":"user","content":"hi"}],
		"max_completion_tokens":100,"temperature":1.5,"top_p":1,"n":2,"stop":["END"],"seed":7,"presence_penalty":0.5,"frequency_penalty":-0.5,
		"logit_bias":{"1":5},"logprobs":true,"top_logprobs":2,"user":"u1","parallel_tool_calls":false,"store":false,"metadata":{"k":"v"},
		"service_tier":"auto","tools":[` + weatherTool + `],"tool_choice":"required"}`
	weatherTool = `{"type":"function","function":{"name":"get_weather","description":"of a city","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}`
	simple      = `{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"hi"}]}`
)

// refusal is what a client sees of a provider's error.
type refusal struct {
	status     int
	kind, code string
}

// usualRefusals are the errors of a provider as chat clients see them. 402 and
// 403 are about the account, so a client is not told that its own key is wrong.
var usualRefusals = map[int]refusal{
	400: {400, "invalid_request_error", ""},
	401: {401, "authentication_error", ""},
	403: {403, "permission_error", ""},
	404: {404, "invalid_request_error", ""},
	429: {429, "rate_limit_error", ""},
	500: {503, "server_error", "service_unavailable"}, // no account is left
	503: {503, "server_error", ""},
}

func (r *providerRow) short() string {
	if r.alias != "" {
		return r.alias
	}
	return r.id
}

// secret is the credential of the row's account.
func (r *providerRow) secret() account.Credential {
	switch {
	case r.cred != nil:
		return *r.cred
	case r.auth == "oauth" && r.grant != nil:
		return account.Credential{AccessToken: "secret-" + r.id, RefreshToken: "refresh-" + r.id}
	case r.auth == "oauth":
		return account.Credential{AccessToken: "secret-" + r.id}
	}
	return account.Credential{APIKey: "secret-" + r.id}
}

// TestProviders runs the rows against one gateway that has all providers.
func TestProviders(t *testing.T) {
	t.Parallel()
	builtin, diags := catalog.Build(catalog.Inputs{})
	require.Empty(t, diags)
	var worlds []*providerWorld
	var providers, oauth, root strings.Builder
	for _, row := range providerRows() {
		row.fake.Lenient = row.fake.Lenient || len(row.knows) > 0
		w := &providerWorld{providerRow: row, up: fake.Start(row.fake)}
		t.Cleanup(w.up.Close)
		w.dial = row.dialect(builtin)
		w.up.Otherwise(w.answer)
		if row.grant != nil {
			opt := *row.grant
			opt.Access, opt.Refresh = row.secret().AccessToken, row.secret().RefreshToken
			w.issuer = fake.StartIssuer(opt)
			t.Cleanup(w.issuer.Close)
			fmt.Fprintf(&oauth, "  %s: {token_url: %q, refresh_url: %q%s}\n", row.id, w.issuer.URL, w.issuer.URL, secretYAML(opt.ClientSecret))
		}
		if row.start != nil {
			row.start(t, w)
		}
		providers.WriteString(w.yaml())
		if row.root != nil {
			root.WriteString(row.root(w))
		}
		worlds = append(worlds, w)
	}
	config := "providers:\n" + providers.String() + freely + root.String()
	if oauth.Len() > 0 {
		config += "oauth:\n" + oauth.String()
	}
	g := prepare(t, config+quotaYAML(t, worlds))
	seedAccounts(t, g, worlds)
	g.start()
	t.Run("all", func(t *testing.T) {
		for _, w := range worlds {
			w.g = g
			t.Run(w.id, func(t *testing.T) {
				t.Parallel()
				w.run(t)
			})
		}
	})
	for _, w := range worlds {
		for _, secret := range secretsOf(w.secret()) {
			require.NotContains(t, g.out.String(), secret, "a secret of %s was printed", w.id)
		}
	}
}

func secretYAML(secret string) string {
	if secret == "" {
		return ""
	}
	return ", client_secret: " + secret
}

func secretsOf(c account.Credential) (out []string) {
	for _, s := range []string{c.APIKey, c.AccessToken, c.RefreshToken} {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// dialect is what the provider speaks, or what the row's configuration says.
func (r *providerRow) dialect(builtin *catalog.Catalog) string {
	if m := regexp.MustCompile(`(?m)^    dialect: (\S+)$`).FindStringSubmatch(r.conf); m != nil {
		return m[1]
	}
	if p, ok := builtin.Provider(r.id); ok {
		return p.Dialect
	}
	return ""
}

// failing are the statuses that a provider refuses with, each on a model and an
// account of its own, so that the penalties do not meet.
func (w *providerWorld) failing() []int { return slices.Sorted(maps.Keys(usualRefusals)) }

func (w *providerWorld) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s:\n    base_urls: [%q]\n    allow_private: true\n", w.id, w.up.URL+w.base)
	if w.list != "" && !strings.HasPrefix(w.list, w.base) {
		fmt.Fprintf(&b, "    models_list: {url: %q}\n", w.up.URL+w.list)
	}
	b.WriteString("    models:\n")
	for _, status := range w.failing() {
		fmt.Fprintf(&b, "      - {id: fail-%d, tools: true, max_output: 1000}\n", status)
	}
	b.WriteString(w.conf)
	return b.String()
}

// seedAccounts puts the accounts into the store of a gateway that does not run.
func seedAccounts(t *testing.T, g *gateway, worlds []*providerWorld) {
	t.Helper()
	dir, err := state.OpenDir(g.path("data"))
	require.NoError(t, err)
	key, err := dir.StorageKey("")
	require.NoError(t, err)
	store, err := state.OpenBadger(dir.Path("badger"), key, state.BadgerOptions{})
	require.NoError(t, err)
	pool, err := account.OpenPool(t.Context(), store, account.PoolOptions{})
	require.NoError(t, err)
	for _, w := range worlds {
		add := func(a account.Account) {
			a.Provider, a.Enabled, a.Data, a.Auth = w.id, true, w.data, account.AuthKey
			if w.auth == "oauth" {
				a.Auth, a.IssuedAt, a.ExpiresAt = account.AuthOAuth, time.Now(), time.Now().Add(30*24*time.Hour)
			}
			_, err := pool.Add(t.Context(), a, w.secret())
			require.NoError(t, err)
		}
		add(account.Account{Name: "main", Exclude: []string{"fail-*"}})
		for _, status := range w.failing() {
			model := "fail-" + strconv.Itoa(status)
			add(account.Account{Name: model, Models: []string{model}})
		}
	}
	require.NoError(t, store.Close())
	require.NoError(t, dir.Close())
}

// answer is what the fake says: by the model, or by what the request is about.
func (w *providerWorld) answer(r *fake.Request) fake.Reply {
	if status, ok := strings.CutPrefix(r.Model, "fail-"); ok {
		n, _ := strconv.Atoi(status)
		reply := fake.Reply{Status: n, Error: "the provider says " + status}
		if n == http.StatusTooManyRequests {
			reply = fake.RateLimited("retry-after", 30*time.Second)
		}
		return reply
	}
	if w.issuer != nil && !w.issuer.Valid(r.Key()) {
		return fake.Reply{Status: http.StatusUnauthorized, Error: "the token is not valid"}
	}
	if bytes.Contains(r.Body, []byte("Call the tools.")) {
		return fake.ToolLoop(nil, twoCalls, summary)(r)
	}
	reply := w.reply
	reply.Text = askedText
	if reply.Usage == (fake.Usage{}) {
		reply.Usage = fake.Usage{Prompt: 100, Completion: 7, Cached: 60}
	}
	return reply
}

// run makes the tests of a row, one after the other: they share an account.
func (w *providerWorld) run(t *testing.T) {
	for _, a := range w.asks {
		for _, stream := range []bool{false, true} {
			name := "whole"
			if stream {
				name = "stream"
			}
			if !t.Run(strings.TrimSpace(name+" "+a.name), func(t *testing.T) { w.ask(t, &a, stream) }) {
				return
			}
		}
	}
	if !w.noTools {
		t.Run("tools", w.tools)
	}
	if w.list != "" {
		t.Run("models", w.models)
	}
	for _, name := range slices.Sorted(maps.Keys(w.steps)) {
		t.Run(name, func(t *testing.T) { w.steps[name](t, w) })
	}
	if w.tellsQuota() {
		t.Run("quota", w.quotas)
	}
	if w.issuer != nil {
		t.Run("refresh", w.refresh)
	}
	t.Run("errors", w.errors)
}

// send posts a body to the gateway.
func (w *providerWorld) send(t *testing.T, path, body string, headers ...string) answer {
	t.Helper()
	a, err := w.g.send(context.Background(), http.MethodPost, path, strings.NewReader(body), headers...)
	require.NoError(t, err)
	return a
}

// chat sends a chat request for a model and returns what came, streamed or not.
func (w *providerWorld) chat(t *testing.T, model, in string, stream bool) answer {
	t.Helper()
	members := map[string]any{"model": w.short() + "/" + model}
	if stream {
		members["stream"] = true
		members["stream_options"] = map[string]any{"include_usage": true}
	}
	return w.send(t, "/v1/chat/completions", merged(t, in, members))
}

func (w *providerWorld) ask(t *testing.T, a *providerAsk, stream bool) {
	before := len(w.up.Requests())
	got := w.chat(t, a.model, a.in, stream)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	whole := wholeAnswer(t, got, stream)
	require.Equal(t, askedText, whole.Str("choices[0].message.content"))
	require.Equal(t, "stop", whole.Str("choices[0].finish_reason"))
	if w.dial != "openai" { // an answer in the client's own format stays as it is
		require.Equal(t, w.short()+"/"+a.model, whole.Str("model"))
	}
	if w.reply.Usage == (fake.Usage{}) && w.reply.UsageStyle != fake.UsageNone {
		require.Equal(t, "100", whole.Str("usage.prompt_tokens"))
		require.Equal(t, "7", whole.Str("usage.completion_tokens"))
	}
	if len(w.reply.Thinking) > 0 {
		require.Equal(t, w.reply.Thinking[0].Text, whole.Str("choices[0].message.reasoning_content"))
	}
	sent := w.completions(before)
	require.Len(t, sent, 1)
	w.requireRequest(t, sent[0], a, stream)
}

// completions are the chat requests the fake got from the n-th request on.
func (w *providerWorld) completions(n int) (out []*fake.Request) {
	for _, r := range w.up.Requests()[n:] {
		if r.Kind == "chat" {
			out = append(out, r)
		}
	}
	return out
}

// requireRequest compares a request with what the row says: URL, headers, body.
func (w *providerWorld) requireRequest(t *testing.T, r *fake.Request, a *providerAsk, stream bool) {
	t.Helper()
	path := a.path
	if stream && a.stream != "" {
		path = a.stream
	}
	url := r.Path
	if r.Query != "" {
		url += "?" + r.Query
	}
	require.Equal(t, path, url)
	require.Empty(t, w.complaints(r.Violations), "what the provider complains about: %s", r.Body)
	upstream := stream || w.forced
	w.requireHeaders(t, r.Header, a.headers, upstream)
	if a.want == "" {
		return
	}
	want := a.want
	if upstream {
		want = merged(t, want, membersOf(t, w.streamed(a)))
	}
	require.JSONEq(t, want, string(r.Body))
}

// streamed are the members that make a request one for a stream.
func (w *providerWorld) streamed(a *providerAsk) string {
	switch {
	case a.streamed != "":
		return a.streamed
	case w.dial == "openai":
		return `{"stream":true,"stream_options":{"include_usage":true}}`
	case w.dial == "gemini", w.dial == "gemini-cli", w.dial == "antigravity":
		return `{}`
	}
	return `{"stream":true}`
}

// transport are headers that are about the connection.
var transport = []string{"Accept-Encoding", "Connection", "Content-Length", "Host", "Transfer-Encoding"}

func (w *providerWorld) requireHeaders(t *testing.T, have http.Header, more map[string]string, stream bool) {
	t.Helper()
	want := map[string]string{"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "omniroute"}
	if stream {
		want["Accept"] = "text/event-stream"
	}
	for _, m := range []map[string]string{w.headers, more} {
		for name, v := range m {
			want[http.CanonicalHeaderKey(name)] = v
		}
	}
	for name, v := range want {
		if pattern, ok := strings.CutPrefix(v, "re:"); ok {
			require.Regexp(t, "^(?:"+pattern+")$", have.Get(name), "header %s", name)
			continue
		}
		require.Equal(t, v, have.Get(name), "header %s", name)
	}
	for name := range have {
		if !slices.Contains(transport, name) {
			require.Contains(t, want, name, "header %s: %s is not one of the provider's", name, have.Get(name))
		}
	}
}

// tools is a call of a tool and the answer that follows its result.
func (w *providerWorld) tools(t *testing.T) {
	model := w.asks[0].model
	for _, stream := range []bool{false, true} {
		user := `{"role":"user","content":"Call the tools."}`
		got := w.chat(t, model, `{"messages":[`+user+`],"tools":[`+weatherTool+`]}`, stream)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		whole := wholeAnswer(t, got, stream)
		require.Equal(t, "tool_calls", whole.Str("choices[0].finish_reason"))
		calls := whole.At("choices[0].message.tool_calls")
		require.Len(t, calls.Items, len(twoCalls), "%s", got.Body)
		messages := []string{user, `{"role":"assistant","content":null,"tool_calls":` + string(calls.Raw) + `}`}
		for i, item := range calls.Items {
			call := jsonValue{item}
			require.Equal(t, "get_weather", call.Str("function.name"))
			require.JSONEq(t, twoCalls[i].Args, call.Str("function.arguments"))
			messages = append(messages, fmt.Sprintf(`{"role":"tool","tool_call_id":%q,"content":"%d degrees"}`, call.Str("id"), 7+i))
		}
		got = w.chat(t, model, `{"messages":[`+strings.Join(messages, ",")+`],"tools":[`+weatherTool+`]}`, stream)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		require.Equal(t, "results: 7 degrees / 8 degrees", wholeAnswer(t, got, stream).Str("choices[0].message.content"))
	}
	require.Empty(t, w.complaints(w.up.Violations()))
}

// complaints are the violations but those about members the provider knows.
func (w *providerWorld) complaints(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(v string) bool {
		return slices.ContainsFunc(w.knows, func(name string) bool { return strings.HasSuffix(v, "unknown parameter: '"+name+"'") })
	})
}

// errors are the provider's refusals as clients see them.
func (w *providerWorld) errors(t *testing.T) {
	for _, status := range w.failing() {
		want := usualRefusals[status]
		if w.auth == "oauth" && status == 500 {
			want = refusal{500, "server_error", "internal_server_error"} // a login is kept in rotation
		}
		if own, ok := w.refusals[status]; ok {
			want = own
		}
		for _, stream := range []bool{false, true} {
			if stream && status != 400 {
				continue // the account is being left alone
			}
			got := w.chat(t, "fail-"+strconv.Itoa(status), `{"messages":[{"role":"user","content":"hi"}]}`, stream)
			require.Equal(t, want.status, got.Status, got.Body)
			v := parsed(t, got.Body)
			require.Equal(t, want.kind, v.Str("error.type"), got.Body)
			if want.code != "" {
				require.Equal(t, want.code, v.Str("error.code"), got.Body)
			}
			require.NotEmpty(t, v.Str("error.message"))
		}
	}
}

// refresh: the provider rejects the token, which is renewed, and the request is
// repeated with the new one.
func (w *providerWorld) refresh(t *testing.T) {
	w.issuer.Expire()
	a := &w.asks[0]
	before, asked := len(w.up.Requests()), len(w.issuer.Requests())
	got := w.chat(t, a.model, a.in, false)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	sent := w.completions(before)
	require.Len(t, sent, 2, "refused, then repeated")
	require.NotEqual(t, sent[0].Key(), sent[1].Key())
	requests := w.issuer.Requests()[asked:]
	require.Len(t, requests, 1)
	require.Equal(t, "refresh_token", requests[0].Fields["grant_type"])
	require.Equal(t, w.secret().RefreshToken, requests[0].Fields["refresh_token"])
}

// models lists what the provider offers, and tests the account by the same call.
func (w *providerWorld) models(t *testing.T) {
	out, errs, err := w.g.run("provider", "models", w.id, "--live", "--json")
	require.NoError(t, err, "%s%s", out, errs)
	require.Contains(t, out, `/fake-model"`)
	list := w.up.Last()
	path := list.Path
	if list.Query != "" {
		path += "?" + list.Query
	}
	require.Equal(t, w.list, path)
	out, errs, err = w.g.run("provider", "test", w.id+"/main", "--json")
	require.NoError(t, err, "%s%s", out, errs)
	require.True(t, strings.Contains(out, `"valid": true`), out)
}

// wholeAnswer is an answer of chat completions; that of a stream is put together.
func wholeAnswer(t *testing.T, a answer, stream bool) jsonValue {
	t.Helper()
	if !stream {
		return parsed(t, a.Body)
	}
	require.Contains(t, a.Header.Get("Content-Type"), "text/event-stream")
	var all []jsonValue
	for line := range strings.SplitSeq(a.Body, "\n") {
		if data, ok := strings.CutPrefix(line, "data: "); ok && data != "[DONE]" {
			all = append(all, parsed(t, data))
		}
	}
	require.Contains(t, a.Body, "data: [DONE]")
	return fold(t, all)
}

// fold puts the chunks of a stream together.
func fold(t *testing.T, chunks []jsonValue) jsonValue {
	t.Helper()
	type function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	}
	type call struct {
		ID       string   `json:"id"`
		Type     string   `json:"type"`
		Function function `json:"function"`
	}
	var text, reasoning, finish, model string
	var calls []*call
	usage := json.RawMessage("null")
	for _, c := range chunks {
		model = c.Str("model")
		text += c.Str("choices[0].delta.content")
		reasoning += c.Str("choices[0].delta.reasoning_content")
		if f := c.Str("choices[0].finish_reason"); f != "" && f != "null" {
			finish = f
		}
		if u := c.At("usage"); u.Kind == cases.Object {
			usage = json.RawMessage(u.Raw)
		}
		for _, item := range c.At("choices[0].delta.tool_calls").Items {
			piece := jsonValue{item}
			n, err := strconv.Atoi(piece.Str("index"))
			require.NoError(t, err)
			for len(calls) <= n {
				calls = append(calls, &call{Type: "function"})
			}
			calls[n].ID += piece.Str("id")
			calls[n].Function.Name += piece.Str("function.name")
			calls[n].Function.Arguments += piece.Str("function.arguments")
		}
	}
	out, err := json.Marshal(map[string]any{
		"model": model, "usage": usage, "choices": []any{map[string]any{
			"finish_reason": finish,
			"message":       map[string]any{"content": text, "reasoning_content": reasoning, "tool_calls": calls},
		}},
	})
	require.NoError(t, err)
	return parsed(t, string(out))
}

// jsonValue reads JSON by paths.
type jsonValue struct{ cases.Value }

func parsed(t *testing.T, text string) jsonValue {
	t.Helper()
	v, err := cases.Parse([]byte(text))
	require.NoError(t, err, text)
	return jsonValue{v}
}

// At is the value at a path, the zero value if there is none.
func (v jsonValue) At(path string) jsonValue {
	found, err := cases.Select(v.Value, path)
	if err != nil || len(found) == 0 {
		return jsonValue{}
	}
	return jsonValue{found[0]}
}

// Str is the text of a scalar at a path, "" if there is none.
func (v jsonValue) Str(path string) string { return scalar(v.At(path).Value) }

func scalar(v cases.Value) string {
	switch v.Kind {
	case cases.String, cases.Number:
		return v.Text
	case cases.Bool:
		return strconv.FormatBool(v.Bool)
	}
	return ""
}

// merged is a JSON object with more members; nil takes one out.
func merged(t *testing.T, object string, more map[string]any) string {
	t.Helper()
	all := membersOf(t, object)
	for name, v := range more {
		if v == nil {
			delete(all, name)
			continue
		}
		all[name] = v
	}
	out, err := json.Marshal(all)
	require.NoError(t, err)
	return string(out)
}

func membersOf(t *testing.T, object string) map[string]any {
	t.Helper()
	out := map[string]any{}
	d := json.NewDecoder(strings.NewReader(object))
	d.UseNumber()
	require.NoError(t, d.Decode(&out), object)
	return out
}

// edited is a JSON object with members taken out (a name), renamed ("old>new") or
// set ("name=JSON").
func edited(object string, edits ...string) string {
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(object), &all); err != nil {
		panic(err)
	}
	for _, e := range edits {
		if name, value, ok := strings.Cut(e, "="); ok {
			all[name] = json.RawMessage(value)
		} else if from, to, ok := strings.Cut(e, ">"); ok {
			all[to] = all[from]
			delete(all, from)
		} else {
			delete(all, e)
		}
	}
	out, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(out)
}

func (r *providerRow) summary(p *catalog.Provider) []string {
	yes := map[bool]string{true: "yes", false: "–"}
	stream, whole, auth, list := "yes", "yes", "API key", "static"
	if r.forced {
		stream, whole = "always", "collected"
	}
	if r.auth == "oauth" {
		auth = "OAuth"
	}
	if r.list != "" {
		list = "asked"
	}
	name, group, dialect, alias := "compatible server", "compatible", "", "your prefix"
	if p != nil {
		name, group, dialect, alias = p.Name, p.Group, p.Dialect, "`"+p.Alias+"`"
	}
	id := "`" + r.id + "`"
	if p == nil {
		id, dialect = "*"+r.id+"*", r.dialect(&catalog.Catalog{})
	}
	return []string{id, alias, name, group, dialect, auth, stream, whole, yes[!r.noTools], yes[r.issuerTested()], yes[r.tellsQuota()], list, r.note}
}

func (r *providerRow) issuerTested() bool { _, own := r.steps["refresh"]; return r.grant != nil || own }

// TestProvidersPageIsFresh compares docs/providers.md with the rows.
func TestProvidersPageIsFresh(t *testing.T) {
	builtin, diags := catalog.Build(catalog.Inputs{})
	require.Empty(t, diags)
	byID := map[string]*providerRow{}
	var nodes []*providerRow
	for _, r := range providerRows() {
		require.NotContains(t, byID, r.id, "two rows of one provider")
		byID[r.id] = r
		if _, ok := builtin.Provider(r.id); !ok {
			nodes = append(nodes, r)
		}
	}
	var b bytes.Buffer
	b.WriteString(providersPage)
	head := []string{"id", "alias", "name", "group", "format", "account", "stream", "whole answer", "tools", "renewed", "quotas", "model list", "notes"}
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	b.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, p := range builtin.Providers() {
		if r := byID[p.ID]; r != nil {
			line(r.summary(p))
		} else if p.ID != "demo" {
			require.Contains(t, rowsToCome, p.ID, "provider %s has no row in the suite", p.ID)
		}
	}
	for _, r := range nodes {
		line(r.summary(nil))
	}
	b.WriteString(providersNotice)
	file := filepath.Join(repoRoot, "docs", "providers.md")
	if *updateDocs {
		require.NoError(t, os.WriteFile(file, b.Bytes(), 0o644))
	}
	have, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, b.String(), string(have), "docs/providers.md is old: go test ./core/e2e -run ProvidersPage -update")
}

// rowsToCome are built-in providers that have no row yet.
var rowsToCome = []string{"antigravity", "codex", "cursor", "gemini-cli", "github", "kiro"}

const providersPage = `# Providers

Every provider that is built in, and what the tests show of it. This table is made from the rows of
` + "`core/e2e/providers_*_test.go`" + `: each row runs through the real binary against a fake of the provider, which checks
URL, headers and body of what the gateway sends. *renewed*: access tokens are renewed ahead of their end and when the
provider refuses them. *quotas*: what is left of the plan is read from the provider. *model list*: whether
` + "`omniroute provider models ID --live`" + ` asks the provider or there is only the built-in list.

All URLs, headers and models can be overridden below ` + "`providers.<id>`" + `, and the OAuth endpoints below ` + "`oauth.<id>`" + `;
see [configuration](configuration.md).

`

const providersNotice = `
## Subscriptions

Several vendors (Claude, Codex, Antigravity, Gemini CLI, Cursor, Kiro, GitHub Copilot, Qwen, iFlow and others) expect
the credentials of their subscriptions to be used by their own client programs. Some restrict or forbid other uses in
their terms. Each such provider does nothing until you add an account; whether your plan allows this use is for you to
check.
`
