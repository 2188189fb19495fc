package flow_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/fake"
)

func TestEveryClientReachesEveryProvider(t *testing.T) {
	w := newWorld(t, quick)
	for _, client := range []struct{ name, path, body, stream string }{
		{"openai", "/v1/chat/completions", chatBody, chatStream},
		{"claude", "/v1/messages", claudeBody, claudeStream},
	} {
		for _, model := range []string{"oai/fake-model", "ant/fake-model", "both"} {
			t.Run(client.name+" to "+model, func(t *testing.T) {
				for _, s := range []*fake.Server{w.oai, w.ant} {
					s.Reset()
					s.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "hello big world"} })
				}
				got := w.post(client.path, withModel(client.body, model))
				require.Equal(t, 200, got.status, got.body)
				require.NotEmpty(t, got.header.Get("x-request-id"))
				if client.name == "claude" {
					require.Equal(t, "hello big world", got.get("content", "0", "text"), got.body)
				} else {
					require.Equal(t, "hello big world", got.get("choices", "0", "message", "content"), got.body)
				}
				row := w.row(got.header.Get("x-request-id"))
				require.Equal(t, int64(10), row.Usage.Prompt)
				require.Equal(t, int64(5), row.Usage.Completion)
				require.False(t, row.Usage.Estimated)
				require.Positive(t, row.Cost)
				require.Equal(t, 200, row.Status)

				got = w.post(client.path, withModel(client.stream, model))
				require.Equal(t, 200, got.status, got.body)
				require.Equal(t, "text/event-stream", got.header.Get("content-type"))
				require.Equal(t, "hello big world", text(client.name, got.body), got.body)
				require.Equal(t, client.name == "openai", strings.HasSuffix(got.body, "data: [DONE]\n\n"))
				row = w.row(got.header.Get("x-request-id"))
				require.Equal(t, int64(10), row.Usage.Prompt, "usage of a stream")
				require.Equal(t, "stop", row.Finish)
				require.Positive(t, row.Cost)
				require.Empty(t, w.oai.Violations())
				require.Empty(t, w.ant.Violations())
			})
		}
	}
}

func TestPassthroughKeepsEveryByteButTheModel(t *testing.T) {
	w := newWorld(t, quick)
	w.oai.Push(fake.Reply{Text: "x"})
	body := `{ "messages" : [{"role":"user","content":"` + strings.Repeat("z", 900) + `","unknown":1.50}], "x":12345678901234567890,  "model":"oai/fake-model","x_omni":{"v":1}}`
	w.post("/v1/chat/completions", body)
	want := strings.Replace(body, `"model":"oai/fake-model"`, `"model":"fake-model"`, 1)
	want = strings.Replace(want, `,"x_omni":{"v":1}`, "", 1)
	require.Equal(t, want, string(w.oai.Last().Body))
	require.Equal(t, "key-oai-a", w.oai.Last().Key())
}

func TestPassthroughStreamIsByteExact(t *testing.T) {
	w := newWorld(t, quick)
	w.ant.Push(fake.Reply{Text: "hello world"})
	viaGateway := w.post("/v1/messages", claudeStream)
	w.ant.Push(fake.Reply{Text: "hello world"})
	req, err := http.NewRequest("POST", w.ant.OpenAIBase()+"/messages", strings.NewReader(withModel(claudeStream, "fake-model")))
	require.NoError(t, err)
	req.Header.Set("x-api-key", "k")
	req.Header.Set("anthropic-version", "2023-06-01")
	resp, err := w.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	direct, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	ids := regexp.MustCompile(`msg_\w+`)
	require.Equal(t, ids.ReplaceAllString(string(direct), "ID"), ids.ReplaceAllString(viaGateway.body, "ID"))
}

func TestUsageIsAskedForAndTakenOutAgain(t *testing.T) {
	w := newWorld(t, quick)
	w.oai.Push(fake.Reply{Text: "hi there"})
	got := w.post("/v1/chat/completions", chatStream)
	require.NotContains(t, got.body, `"choices":[]`)
	row := w.row(got.header.Get("x-request-id"))
	require.Equal(t, int64(10), row.Usage.Prompt)
	w.oai.Push(fake.Reply{Text: "hi there"})
	got = w.post("/v1/chat/completions", strings.Replace(chatStream, `"stream":true`, `"stream":true,"stream_options":{"include_usage":true}`, 1))
	require.Contains(t, got.body, `"choices":[]`)
}

func TestFallOver(t *testing.T) {
	for name, bad := range map[string]fake.Reply{
		"429":             fake.RateLimited("retry-after", 60*time.Second),
		"500":             {Status: 500, Error: "internal server error"},
		"503":             {Status: 503, Error: "overloaded"},
		"401":             {Status: 401, Error: "invalid api key"},
		"reset":           {Fault: fake.Fault{Kind: fake.FaultReset}},
		"empty":           {Fault: fake.Fault{Kind: fake.FaultEmpty}},
		"error with 200":  {Fault: fake.Fault{Kind: fake.FaultError200}},
		"error event":     {Fault: fake.Fault{Kind: fake.FaultErrorEvent}},
		"cut at start":    {Fault: fake.Fault{Kind: fake.FaultCut, After: 1}},
		"html":            {Fault: fake.Fault{Kind: fake.FaultHTML}},
		"stalled headers": {Fault: fake.Fault{Kind: fake.FaultStallHeaders}},
		"stalled start":   {Fault: fake.Fault{Kind: fake.FaultStallFirst}},
		"only pings":      {Fault: fake.Fault{Kind: fake.FaultOnlyPings}},
	} {
		for _, stream := range []bool{true, false} {
			if !stream && (name == "error event" || name == "cut at start" || strings.HasPrefix(name, "stalled") || name == "only pings") {
				continue // these are about streams
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, quick+"  timeouts: [{id: first-event-scaled, first_event: 300ms}, {id: short, headers: 300ms}]\n")
				w.oai.Otherwise(func(*fake.Request) fake.Reply { return bad })
				w.ant.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "from the other"} })
				body := chatBody
				if stream {
					body = chatStream
				}
				got := w.post("/v1/chat/completions", withModel(body, "both"))
				require.Equal(t, 200, got.status, got.body)
				if stream {
					require.Equal(t, "from the other", text("openai", got.body), got.body)
				} else {
					require.Equal(t, "from the other", got.get("choices", "0", "message", "content"))
				}
				row := w.row(got.header.Get("x-request-id"))
				require.Equal(t, "ant/fake-model", row.Target)
				require.Greater(t, len(row.Attempts), 1)
			})
		}
	}
}

func TestNoFallOverAfterContent(t *testing.T) {
	for _, kind := range []fake.FaultKind{fake.FaultCut, fake.FaultErrorEvent, fake.FaultStallMid} {
		for _, c := range []struct{ dialect, path, body, mark string }{
			{"openai", "/v1/chat/completions", chatStream, `data: {"error":`},
			{"claude", "/v1/messages", claudeStream, "event: error"},
		} {
			for _, model := range []string{"oai/fake-model", "ant/fake-model"} {
				t.Run(string(kind)+" "+c.dialect+" "+model, func(t *testing.T) {
					t.Parallel()
					w := newWorld(t, quick+"  timeouts: [{id: rest, idle: 300ms}]\n")
					bad := fake.Reply{Text: "one two three four five six", Fault: fake.Fault{Kind: kind, After: 4}}
					w.oai.Otherwise(func(*fake.Request) fake.Reply { return bad })
					w.ant.Otherwise(func(*fake.Request) fake.Reply { return bad })
					got := w.post(c.path, withModel(c.body, model))
					require.Equal(t, 200, got.status, got.body)
					require.True(t, strings.HasPrefix(text(c.dialect, got.body), "one "), got.body)
					require.Contains(t, got.body, c.mark)
					require.Len(t, append(w.oai.Requests(), w.ant.Requests()...), 1)
					if c.dialect == "claude" {
						require.NotContains(t, got.body, "message_stop")
						require.NotContains(t, got.body, "[DONE]")
					}
					row := w.row(got.header.Get("x-request-id"))
					require.GreaterOrEqual(t, row.Status, 500)
				})
			}
		}
	}
}

func TestTheNextAccountServesWhenOneIsLimited(t *testing.T) {
	w := newWorld(t, quick)
	w.oai.Push(fake.RateLimited("retry-after", 60*time.Second), fake.Reply{Text: "from b"})
	got := w.post("/v1/chat/completions", chatBody)
	require.Equal(t, 200, got.status, got.body)
	row := w.row(got.header.Get("x-request-id"))
	require.Equal(t, "b", row.AccountName)
	require.Len(t, row.Attempts, 2)
	require.Equal(t, 429, row.Attempts[0].Status)

	w.oai.Push(fake.RateLimited("retry-after", 30*time.Second))
	got = w.post("/v1/chat/completions", chatBody)
	require.Equal(t, 429, got.status, got.body)
	require.NotEmpty(t, got.header.Get("retry-after"))
	require.Equal(t, "true", got.header.Get("x-should-retry"))
	require.Equal(t, "rate_limit_error", got.get("error", "type"))

	before := len(w.oai.Requests())
	got = w.post("/v1/chat/completions", chatBody)
	require.Equal(t, 503, got.status, "all accounts cool: %s", got.body)
	require.Len(t, w.oai.Requests(), before, "a cooling account is not asked")
}

func TestErrorsSpeakTheClientsDialect(t *testing.T) {
	w := newWorld(t, quick)
	w.ant.Push(fake.Reply{Status: 400, Error: "max_tokens is too large"})
	got := w.post("/v1/chat/completions", withModel(chatBody, "ant/fake-model"))
	require.Equal(t, 400, got.status, got.body)
	require.Equal(t, "max_tokens is too large", got.get("error", "message"))
	require.Equal(t, "false", got.header.Get("x-should-retry"))

	for path, want := range map[string]string{
		"/v1/chat/completions":                `"code":"model_not_found"`,
		"/v1/messages":                        `"type":"not_found_error"`,
		"/v1beta/models/nope:generateContent": `"status":"NOT_FOUND"`,
	} {
		body := `{"model":"nope/none","max_tokens":5,"messages":[],"contents":[]}`
		got := w.post(path, body)
		require.Equal(t, 404, got.status, path+got.body)
		require.Contains(t, got.body, want)
		require.Contains(t, got.body, "MODEL_001")
	}
}

// Providers quote the key they refuse; nobody but the operator may read it,
// whole or in pieces, before content or after it.
func TestQuotedKeysGoNoFurther(t *testing.T) {
	w := newWorld(t, quick)
	const key = "key-oai-a"
	refusal := `{"error":{"message":"Bearer key-oai-a is not allowed","type":"invalid_request_error","code":"key-oai-a"}}`
	for _, c := range []struct{ path, body string }{
		{"/v1/chat/completions", chatBody}, {"/v1/messages", withModel(claudeStream, "oai/fake-model")}, {"/v1/chat/completions", chatStream},
	} {
		for name, bad := range map[string]fake.Reply{
			"status": {Status: 400, Body: []byte(refusal), Header: http.Header{"X-Debug": {"Bearer key-oai-a"}}},
			"after content": {Body: []byte(refusal), Events: []cases.Event{
				{Data: []byte(`{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}`)},
				{Data: []byte(refusal)},
			}},
		} {
			w.oai.Otherwise(func(*fake.Request) fake.Reply { return bad })
			got := w.post(c.path, c.body)
			require.NotContains(t, got.body, key, name)
			require.Contains(t, got.body, "Bearer ****", name)
			row := w.row(got.header.Get("x-request-id"))
			require.NotEmpty(t, row.Attempts)
			text, err := json.Marshal(row)
			require.NoError(t, err)
			require.NotContains(t, string(text), key, name)
		}
	}
}

func TestDisconnectReachesUpstream(t *testing.T) {
	for name, c := range map[string]struct {
		body  string
		reply fake.Reply
		read  bool
	}{
		"while waiting for a whole answer": {chatBody, fake.Reply{Fault: fake.Fault{Kind: fake.FaultStallHeaders}}, false},
		"while waiting for a stream":       {chatStream, fake.Reply{Fault: fake.Fault{Kind: fake.FaultStallFirst}}, false},
		"in the middle of a stream":        {chatStream, fake.Reply{Text: "a b c d e f", Fault: fake.Fault{Kind: fake.FaultStallMid, After: 3}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, quick)
			w.oai.Otherwise(func(*fake.Request) fake.Reply { return c.reply })
			ctx, leave := context.WithCancel(context.Background())
			defer leave()
			id := "leaver-" + strings.ReplaceAll(name, " ", "-")
			go func() {
				if !c.read {
					w.oai.Wait(0, 5*time.Second)
					leave()
				}
			}()
			req, err := http.NewRequestWithContext(ctx, "POST", w.url+"/v1/chat/completions", strings.NewReader(c.body))
			require.NoError(t, err)
			req.Header.Set("x-request-id", id)
			resp, err := w.client.Do(req)
			if c.read {
				require.NoError(t, err)
				nextEvent(t, bufio.NewReader(resp.Body))
				leave()
				_ = resp.Body.Close()
			}
			r := w.oai.Wait(0, 5*time.Second)
			require.NotNil(t, r)
			left := time.Now()
			select {
			case <-r.Gone():
			case <-time.After(3 * time.Second):
				t.Fatal("upstream goes on")
			}
			require.Less(t, time.Since(left), 1500*time.Millisecond)
			row := w.row(id)
			require.Equal(t, 499, row.Status)
			b := w.health.Breakers.View("oai")
			require.Zero(t, b.Failures, "nobody's failure")
			got := w.pool.List("oai")[0].State
			require.Zero(t, got.CoolUntil)
		})
	}
}

func TestBadInput(t *testing.T) {
	w := newWorld(t, quick)
	deep := `{"model":"oai/fake-model","messages":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"empty":          {``, 400},
		"truncated":      {`{"model":"x","messages":[`, 400},
		"no object":      {`[1]`, 400},
		"text":           {`hello`, 400},
		"bad utf-8":      {"{\"model\":\"\xff\",\"messages\":[]}", 400},
		"deep":           {deep, 400},
		"no model":       {`{"messages":[]}`, 400},
		"model number":   {`{"model":5,"messages":[]}`, 400},
		"no messages":    {`{"model":"oai/fake-model"}`, 400},
		"messages text":  {`{"model":"oai/fake-model","messages":"x"}`, 400},
		"stream text":    {`{"model":"oai/fake-model","messages":[],"stream":"yes"}`, 400},
		"duplicate key":  {`{"model":"oai/fake-model","model":"b","messages":[]}`, 400},
		"lone surrogate": {`{"model":"oai/fake-model","messages":[{"role":"user","content":"\ud800"}]}`, 400},
		"too large":      {`{"model":"` + strings.Repeat("x", 2<<20) + `"}`, 413},
		"unknown":        {`{"model":"nobody/has-this","messages":[]}`, 404},
		"control chars":  {`{"model":"a\u0000b","messages":[]}`, 400},
	} {
		for _, path := range []string{"/v1/chat/completions", "/v1/messages"} {
			t.Run(name+path, func(t *testing.T) {
				got := w.post(path, c.body)
				require.Equal(t, c.status, got.status, got.body)
				require.NotEmpty(t, got.get("error", "message"), got.body)
				if path == "/v1/messages" {
					require.Equal(t, "error", got.get("type"), got.body)
				}
			})
		}
	}
	require.Empty(t, w.oai.Requests())
}

func TestChunkedBodiesHaveALimitToo(t *testing.T) {
	w := newWorld(t, quick)
	req, err := http.NewRequest("POST", w.url+"/v1/messages", strings.NewReader(""))
	require.NoError(t, err)
	req.ContentLength = -1
	req.Body = http.NoBody
	big := strings.NewReader(`{"model":"` + strings.Repeat("x", 3<<20) + `"}`)
	req, err = http.NewRequest("POST", w.url+"/v1/messages", struct{ *strings.Reader }{big})
	require.NoError(t, err)
	req.ContentLength = -1
	resp, err := w.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 413, resp.StatusCode)
}

func TestDemoServesOffline(t *testing.T) {
	w := newWorld(t, quick)
	for _, c := range []struct{ dialect, path, body string }{
		{"openai", "/v1/chat/completions", chatStream},
		{"claude", "/v1/messages", claudeStream},
	} {
		got := w.post(c.path, withModel(c.body, "demo/echo"))
		require.Equal(t, 200, got.status, got.body)
		require.Contains(t, text(c.dialect, got.body), "hi", got.body)
		require.Contains(t, got.body, `"model":"demo/echo"`)
		require.NotContains(t, got.body, `"model":"echo"`)
		got = w.post(c.path, withModel(strings.Replace(c.body, `"stream":true`, `"stream":false`, 1), "demo/echo"))
		require.Equal(t, 200, got.status, got.body)
		require.Contains(t, got.body, "hi")
		require.Equal(t, "demo/echo", got.get("model"))
	}
}

func TestWholeAndStreamStandInForEachOther(t *testing.T) {
	w := newWorld(t, quick)
	for _, c := range []struct{ dialect, path, whole, stream string }{
		{"openai", "/v1/chat/completions", chatBody, chatStream},
		{"claude", "/v1/messages", claudeBody, claudeStream},
	} {
		for _, model := range []string{"oai/fake-model", "ant/fake-model"} {
			json := fake.Reply{Text: "as json", Fault: fake.Fault{Kind: fake.FaultJSONForStream}}
			sse := fake.Reply{Text: "as events", Fault: fake.Fault{Kind: fake.FaultStreamForJSON}}
			w.oai.Otherwise(func(r *fake.Request) fake.Reply { return json })
			w.ant.Otherwise(func(r *fake.Request) fake.Reply { return json })
			got := w.post(c.path, withModel(c.stream, model))
			require.Equal(t, "as json", text(c.dialect, got.body), c.dialect+model+got.body)
			w.oai.Otherwise(func(r *fake.Request) fake.Reply { return sse })
			w.ant.Otherwise(func(r *fake.Request) fake.Reply { return sse })
			got = w.post(c.path, withModel(c.whole, model))
			require.Equal(t, 200, got.status, got.body)
			require.Contains(t, got.body, "as events", c.dialect+model)
		}
	}
}

func TestUsageIsEstimatedWhenNobodyTells(t *testing.T) {
	w := newWorld(t, quick)
	w.oai.Push(fake.Reply{Text: strings.Repeat("word ", 70), UsageStyle: fake.UsageNone})
	got := w.post("/v1/chat/completions", chatStream)
	row := w.row(got.header.Get("x-request-id"))
	require.True(t, row.Usage.Estimated)
	require.Equal(t, int64(100), row.Usage.Completion)
	require.Positive(t, row.Usage.Prompt)
}

func TestToolCallsCross(t *testing.T) {
	w := newWorld(t, quick)
	call := fake.Reply{Calls: []fake.Call{{ID: "call_1", Name: "get_weather", Args: `{"city":"Rome","big":12345678901234567890}`}}}
	w.ant.Push(call, call)
	body := `{"model":"ant/fake-model","messages":[{"role":"user","content":"weather?"}],"tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]}`
	got := w.post("/v1/chat/completions", body)
	require.Equal(t, 200, got.status, got.body)
	require.Equal(t, "tool_calls", got.get("choices", "0", "finish_reason"))
	require.Contains(t, got.get("choices", "0", "message", "tool_calls", "0", "function", "arguments"), "12345678901234567890")
	got = w.post("/v1/chat/completions", strings.Replace(body, `"messages"`, `"stream":true,"messages"`, 1))
	require.Contains(t, got.body, `"finish_reason":"tool_calls"`)
}

func TestHealthAndModels(t *testing.T) {
	w := newWorld(t, quick)
	require.Equal(t, 200, w.get("/healthz").status)
	require.Equal(t, 200, w.get("/readyz").status)
	got := w.get("/v1/models")
	require.Equal(t, 200, got.status)
	require.Contains(t, got.body, `"oai/fake-model"`)
	require.Contains(t, got.body, `"both"`)
	require.Equal(t, "list", got.get("object"))
	require.Contains(t, w.get("/v1/models", "anthropic-version", "2023-06-01").body, `"display_name"`)
	require.Contains(t, w.get("/v1beta/models").body, `"models/oai/fake-model"`)
	require.Equal(t, 404, w.get("/v1/models/none").status)
	require.Equal(t, 200, w.get("/v1/models/oai/fake-model").status)
	require.Equal(t, 404, w.get("/v1/nothing").status)
	w.flow.Drain()
	require.Equal(t, 503, w.get("/readyz").status)
	got = w.post("/v1/chat/completions", chatBody)
	require.Equal(t, 503, got.status)
	require.Equal(t, "5", got.header.Get("retry-after"))
}
