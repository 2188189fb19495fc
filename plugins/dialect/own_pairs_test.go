package dialect_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/cases/native"
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// piece is a part of a made-up answer, in the order every format can tell.
type piece struct {
	kind string // thought, text, refusal, call
	text string
	sig  string
	id   string
}

// script is a made-up answer.
type script struct {
	pieces []piece
	finish string // stop, length, filter
	usage  bool
}

func newScript(rng *rand.Rand, provider string) script {
	words := []string{"one ", "two\n", `"q\" `, "ä😀", "~b0.1~", `\u003c`, "  ", "{}", "data: x\n\n"}
	text := func() string {
		var b strings.Builder
		for range 1 + rng.IntN(6) {
			b.WriteString(words[rng.IntN(len(words))])
		}
		return "t" + b.String()
	}
	var s script
	if rng.IntN(2) == 0 && provider != "cursor" {
		p := piece{kind: "thought", text: text()}
		if rng.IntN(2) == 0 {
			p.sig = "U0lH" + strconv.Itoa(rng.IntN(9))
		}
		s.pieces = append(s.pieces, p)
	}
	if rng.IntN(4) > 0 {
		p := piece{kind: "text", text: text()}
		if rng.IntN(3) == 0 {
			p.sig = "VFNJRw" + strconv.Itoa(rng.IntN(9)) // Gemini signs texts, too
		}
		s.pieces = append(s.pieces, p)
	}
	for i := range rng.IntN(4) {
		args := []string{`{}`, `{"n":12345678901234567890,"f":0.10}`, `{"s":"a\"b\n","l":[1,{"x":null}]}`}[rng.IntN(3)]
		p := piece{kind: "call", text: args, id: "call_" + strconv.Itoa(i)}
		if rng.IntN(3) == 0 {
			p.sig = "Q1NJRw" + strconv.Itoa(i)
		}
		s.pieces = append(s.pieces, p)
	}
	s.finish = []string{"stop", "stop", "length", "filter"}[rng.IntN(4)]
	s.usage = rng.IntN(3) > 0
	return s
}

func quote(s string) string { return string(jsn.AppendString(nil, s)) }

// cut divides text at random places between characters.
func cut(rng *rand.Rand, s string) []string {
	var out []string
	for r := []rune(s); len(r) > 0; {
		n := 1 + rng.IntN(len(r))
		out = append(out, string(r[:n]))
		r = r[n:]
	}
	return out
}

func pick(s script, stop, tools, length, filter string) string {
	switch s.finish {
	case "length":
		return length
	case "filter":
		return filter
	}
	for _, p := range s.pieces {
		if p.kind == "call" {
			return tools
		}
	}
	return stop
}

// render writes the answer as a provider's body and as its stream.
func render(rng *rand.Rand, provider string, s script) (body string, events []cases.Event) {
	switch provider {
	case "openai":
		return renderOpenAI(rng, s)
	case "openai-responses":
		return renderResponses(rng, s)
	case "claude":
		return renderClaude(rng, s)
	case "ollama":
		return renderOllama(rng, s)
	case "kiro":
		return "", renderKiro(rng, s)
	}
	return renderGemini(rng, s)
}

func event(name, data string) cases.Event { return cases.Event{Name: name, Data: []byte(data)} }

func renderOpenAI(rng *rand.Rand, s script) (string, []cases.Event) {
	var content, reasoning string
	var calls []string
	var events []cases.Event
	chunk := func(delta, finish string) {
		events = append(events, event("", `{"id":"c1","object":"chat.completion.chunk","created":3,"model":"up","choices":[{"index":0,"delta":{`+delta+`},"finish_reason":`+finish+`}]}`))
	}
	chunk(`"role":"assistant","content":""`, "null")
	for _, p := range s.pieces {
		switch p.kind {
		case "thought":
			reasoning += p.text
			for _, t := range cut(rng, p.text) {
				chunk(`"reasoning_content":`+quote(t), "null")
			}
		case "text":
			content += p.text
			for _, t := range cut(rng, p.text) {
				chunk(`"content":`+quote(t), "null")
			}
		case "call":
			n := strconv.Itoa(len(calls))
			extra := ""
			if p.sig != "" {
				extra = `,"extra_content":{"google":{"thought_signature":"` + p.sig + `"}}`
			}
			calls = append(calls, `{"id":"`+p.id+`","type":"function","function":{"name":"f","arguments":`+quote(p.text)+`}`+extra+`}`)
			chunk(`"tool_calls":[{"index":`+n+`,"id":"`+p.id+`","type":"function","function":{"name":"f","arguments":""}`+extra+`}]`, "null")
			for _, t := range cut(rng, p.text) {
				chunk(`"tool_calls":[{"index":`+n+`,"function":{"arguments":`+quote(t)+`}}]`, "null")
			}
		}
	}
	finish := quote(pick(s, "stop", "tool_calls", "length", "content_filter"))
	chunk("", finish)
	usage := ""
	if s.usage {
		usage = `,"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":2}}`
		events = append(events, event("", `{"id":"c1","choices":[]`+usage+`}`))
	}
	events = append(events, event("", `"[DONE]"`))
	message := `"role":"assistant","content":` + quote(content)
	if reasoning != "" {
		message += `,"reasoning_content":` + quote(reasoning)
	}
	if calls != nil {
		message += `,"tool_calls":[` + strings.Join(calls, ",") + `]`
	}
	return `{"id":"c1","object":"chat.completion","created":3,"model":"up","choices":[{"index":0,"message":{` + message + `},"finish_reason":` + finish + `}]` + usage + `}`, events
}

func renderClaude(rng *rand.Rand, s script) (string, []cases.Event) {
	var blocks []string
	add := func(block string) { blocks = append(blocks, block) }
	input := `{"input_tokens":5,"cache_read_input_tokens":2,"output_tokens":1}`
	if !s.usage {
		input = "{}"
	}
	events := []cases.Event{event("message_start", `{"type":"message_start","message":{"id":"msg_1","type":"message","model":"up","content":[],"usage":`+input+`}}`)}
	block := func(start string, deltas func(send func(string))) {
		n := strconv.Itoa(len(blocks))
		events = append(events, event("content_block_start", `{"type":"content_block_start","index":`+n+`,"content_block":`+start+`}`))
		deltas(func(d string) {
			events = append(events, event("content_block_delta", `{"type":"content_block_delta","index":`+n+`,"delta":`+d+`}`))
		})
		events = append(events, event("content_block_stop", `{"type":"content_block_stop","index":`+n+`}`))
	}
	for _, p := range s.pieces {
		switch p.kind {
		case "thought":
			block(`{"type":"thinking","thinking":""}`, func(send func(string)) {
				for _, t := range cut(rng, p.text) {
					send(`{"type":"thinking_delta","thinking":` + quote(t) + `}`)
				}
				for _, t := range cut(rng, p.sig) {
					send(`{"type":"signature_delta","signature":` + quote(t) + `}`)
				}
			})
			add(`{"type":"thinking","thinking":` + quote(p.text) + `,"signature":` + quote(p.sig) + `}`)
		case "text":
			block(`{"type":"text","text":""}`, func(send func(string)) {
				for _, t := range cut(rng, p.text) {
					send(`{"type":"text_delta","text":` + quote(t) + `}`)
				}
			})
			add(`{"type":"text","text":` + quote(p.text) + `}`)
		case "call":
			block(`{"type":"tool_use","id":"`+p.id+`","name":"f","input":{}}`, func(send func(string)) {
				for _, t := range cut(rng, p.text) {
					send(`{"type":"input_json_delta","partial_json":` + quote(t) + `}`)
				}
			})
			add(`{"type":"tool_use","id":"` + p.id + `","name":"f","input":` + p.text + `}`)
		}
	}
	stop := quote(pick(s, "end_turn", "tool_use", "max_tokens", "refusal"))
	output := `{"output_tokens":6}`
	all := `{"input_tokens":5,"cache_read_input_tokens":2,"output_tokens":6}`
	if !s.usage {
		output, all = "{}", "{}"
	}
	events = append(events, event("message_delta", `{"type":"message_delta","delta":{"stop_reason":`+stop+`},"usage":`+output+`}`),
		event("message_stop", `{"type":"message_stop"}`))
	return `{"id":"msg_1","type":"message","role":"assistant","model":"up","content":[` + strings.Join(blocks, ",") + `],"stop_reason":` + stop + `,"usage":` + all + `}`, events
}

func renderGemini(rng *rand.Rand, s script) (string, []cases.Event) {
	var parts []string
	var events []cases.Event
	chunk := func(parts, more string) {
		events = append(events, event("", `{"candidates":[{"content":{"role":"model","parts":[`+parts+`]},"index":0`+more+`,"responseId":"R1","modelVersion":"up"}`))
	}
	for _, p := range s.pieces {
		sig := ""
		if p.sig != "" {
			sig = `,"thoughtSignature":"` + p.sig + `"`
		}
		switch p.kind {
		case "thought":
			parts = append(parts, `{"thought":true,"text":`+quote(p.text)+sig+`}`)
			for _, t := range cut(rng, p.text) {
				chunk(`{"thought":true,"text":`+quote(t)+`}`, `}]`)
			}
			if sig != "" {
				chunk(`{"thought":true,"text":""`+sig+`}`, `}]`)
			}
		case "text":
			parts = append(parts, `{"text":`+quote(p.text)+sig+`}`)
			for _, t := range cut(rng, p.text) {
				chunk(`{"text":`+quote(t)+`}`, `}]`)
			}
			if sig != "" {
				chunk(`{"text":""`+sig+`}`, `}]`)
			}
		case "call":
			call := `{"functionCall":{"id":"` + p.id + `","name":"f","args":` + p.text + `}` + sig + `}`
			parts = append(parts, call)
			chunk(call, `}]`)
		}
	}
	end := `,"finishReason":"` + pick(s, "STOP", "STOP", "MAX_TOKENS", "SAFETY") + `"}]`
	if s.usage {
		end += `,"usageMetadata":{"promptTokenCount":9,"cachedContentTokenCount":2,"candidatesTokenCount":3,"thoughtsTokenCount":2,"totalTokenCount":14}`
	}
	chunk("", end)
	return `{"candidates":[{"content":{"role":"model","parts":[` + strings.Join(parts, ",") + `]},"index":0` + end + `,"responseId":"R1","modelVersion":"up"}`, events
}

func renderOllama(rng *rand.Rand, s script) (string, []cases.Event) {
	var thinking, content string
	var calls []string
	var events []cases.Event
	line := func(m string) {
		events = append(events, event("", `{"model":"up","created_at":"t","message":{"role":"assistant",`+m+`},"done":false}`))
	}
	for _, p := range s.pieces {
		switch p.kind {
		case "thought":
			thinking += p.text
			for _, t := range cut(rng, p.text) {
				line(`"content":"","thinking":` + quote(t))
			}
		case "text":
			content += p.text
			for _, t := range cut(rng, p.text) {
				line(`"content":` + quote(t))
			}
		case "call":
			call := `{"function":{"name":"f","arguments":` + p.text + `}}`
			calls = append(calls, call)
			line(`"content":"","tool_calls":[` + call + `]`)
		}
	}
	end := `,"done":true,"done_reason":"` + pick(s, "stop", "stop", "length", "stop") + `"`
	if s.usage {
		end += `,"prompt_eval_count":9,"eval_count":4`
	}
	events = append(events, event("", `{"model":"up","created_at":"t","message":{"role":"assistant","content":""}`+end+`}`))
	return `{"model":"up","created_at":"t","message":{"role":"assistant","content":` + quote(content) + `,"thinking":` + quote(thinking) +
		`,"tool_calls":[` + strings.Join(calls, ",") + `]}` + end + `}`, events
}

func renderKiro(rng *rand.Rand, s script) (events []cases.Event) {
	for _, p := range s.pieces {
		switch p.kind {
		case "thought":
			for _, t := range cut(rng, p.text) {
				events = append(events, event("reasoningContentEvent", `{"text":`+quote(t)+`}`))
			}
		case "text":
			for _, t := range cut(rng, p.text) {
				events = append(events, event("assistantResponseEvent", `{"content":`+quote(t)+`}`))
			}
		case "call":
			for _, t := range cut(rng, p.text) {
				events = append(events, event("toolUseEvent", `{"toolUseId":"`+p.id+`","name":"f","input":`+quote(t)+`}`))
			}
			events = append(events, event("toolUseEvent", `{"toolUseId":"`+p.id+`","name":"f","stop":true}`))
		}
	}
	events = append(events, event("messageStopEvent", `{"stopReason":"`+pick(s, "end_turn", "tool_use", "max_tokens", "end_turn")+`"}`))
	if s.usage {
		events = append(events, event("metricsEvent", `{"inputTokens":9,"outputTokens":4}`))
	}
	return events
}

func renderResponses(rng *rand.Rand, s script) (string, []cases.Event) {
	var items []string
	events := []cases.Event{event("response.created", `{"type":"response.created","response":{"id":"resp_1","model":"up","created_at":3,"status":"in_progress","output":[]}}`)}
	send := func(typ, more string) {
		events = append(events, event(typ, `{"type":"`+typ+`",`+more+`}`))
	}
	for _, p := range s.pieces {
		n := strconv.Itoa(len(items))
		place := `"item_id":"i` + n + `","output_index":` + n
		var item, start string
		deltas := func(typ, more, text string) {
			for _, t := range cut(rng, text) {
				send(typ, place+more+`,"delta":`+quote(t))
			}
		}
		switch p.kind {
		case "thought":
			start = `{"type":"reasoning","id":"i` + n + `","summary":[]}`
			item = `{"type":"reasoning","id":"i` + n + `","summary":[{"type":"summary_text","text":` + quote(p.text) + `}]`
			if p.sig != "" {
				item += `,"encrypted_content":"` + p.sig + `"`
			}
			item += `}`
			send("response.output_item.added", `"output_index":`+n+`,"item":`+start)
			deltas("response.reasoning_summary_text.delta", `,"summary_index":0`, p.text)
		case "text":
			item = `{"type":"message","id":"i` + n + `","role":"assistant","content":[{"type":"output_text","text":` + quote(p.text) + `}]}`
			send("response.output_item.added", `"output_index":`+n+`,"item":{"type":"message","id":"i`+n+`","content":[]}`)
			deltas("response.output_text.delta", `,"content_index":0`, p.text)
		case "call":
			item = `{"type":"function_call","id":"i` + n + `","call_id":"` + p.id + `","name":"f","arguments":` + quote(p.text) + `}`
			send("response.output_item.added", `"output_index":`+n+`,"item":{"type":"function_call","id":"i`+n+`","call_id":"`+p.id+`","name":"f","arguments":""}`)
			if rng.IntN(3) > 0 {
				deltas("response.function_call_arguments.delta", "", p.text)
			}
			send("response.function_call_arguments.done", place+`,"arguments":`+quote(p.text))
		}
		if p.kind == "thought" || rng.IntN(5) > 0 {
			send("response.output_item.done", `"output_index":`+n+`,"item":`+item)
		}
		items = append(items, item)
	}
	status := "completed"
	details := ""
	switch s.finish {
	case "length":
		status, details = "incomplete", `,"incomplete_details":{"reason":"max_output_tokens"}`
	case "filter":
		status, details = "incomplete", `,"incomplete_details":{"reason":"content_filter"}`
	}
	usage := ""
	if s.usage {
		usage = `,"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":2},"output_tokens":4,"output_tokens_details":{"reasoning_tokens":1},"total_tokens":13}`
	}
	body := `{"id":"resp_1","object":"response","model":"up","created_at":3,"status":"` + status + `"` + details + `,"output":[` + strings.Join(items, ",") + `]` + usage + `}`
	send("response."+status, `"response":`+body)
	return body, events
}

// clientOf is a request of each format that wants to see everything.
func clientOf(format string) []byte {
	switch format {
	case "openai":
		return []byte(`{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]}`)
	case "claude":
		return []byte(`{"model":"m","stream":true,"thinking":{"type":"enabled"},"messages":[]}`)
	case "gemini":
		return []byte(`{"contents":[],"generationConfig":{"thinkingConfig":{"includeThoughts":true}}}`)
	}
	return []byte(`{"model":"m","stream":true,"input":"x","include":["reasoning.encrypted_content"]}`)
}

// Between every provider and every client format: the collected stream is the body, the
// live stream obeys the grammar and does not depend on where the bytes were cut (P-8), and
// collecting what the client received gives the same answer once more.
func TestRandomAnswers(t *testing.T) {
	tr := native.New(all()...)
	ctx := context.Background()
	for _, from := range []string{"openai", "openai-responses", "claude", "gemini", "gemini-cli", "ollama", "kiro"} {
		for _, to := range []string{"openai", "openai-responses", "claude", "gemini"} {
			if from == to {
				continue
			}
			for seed := range uint64(150) {
				rng := rand.New(rand.NewPCG(seed, uint64(len(from))))
				body, events := render(rng, from, newScript(rng, from))
				what := fmt.Sprintf("%s -> %s, seed %d", from, to, seed)
				job := cases.Job{From: from, To: to, Body: []byte(body), Events: events, Ctx: cases.Ctx{Provider: "openai", Request: clientOf(to)}}
				gather := job
				gather.Ctx.Collect = true
				collected, err := tr.Collect(ctx, gather)
				require.NoError(t, err, what)
				if body != "" {
					plain, err := tr.Response(ctx, job)
					require.NoError(t, err, what)
					require.Equal(t, settled(t, plain), settled(t, collected), what)
					require.Equal(t, settled(t, plain), settled(t, spread(t, tr, job, []byte(body))), what+", spread")
				}
				live, err := tr.Stream(ctx, job)
				require.NoError(t, err, what)
				require.Empty(t, cases.CheckGrammar(to, live, job.Ctx.Request), what)
				wire := cases.AppendWire(nil, to, live)
				if cases.HasWire(from) {
					job.Chunks = cases.Chunks(from, events, seed)
					again, err := tr.Stream(ctx, job)
					require.NoError(t, err, what)
					require.Equal(t, string(wire), string(cases.AppendWire(nil, to, again)), what)
				}
				back := cases.Job{From: to, To: to, Events: live, Ctx: cases.Ctx{Provider: "openai", Collect: true, Request: job.Ctx.Request}}
				twice, err := tr.Collect(ctx, back)
				require.NoError(t, err, what)
				require.Equal(t, settled(t, collected), settled(t, twice), what+", streamed")
			}
		}
	}
}

// spread makes the events of a stream from a whole answer, as for a provider that does
// not stream when it is asked to, and collects what the client got.
func spread(t *testing.T, tr *native.Translator, job cases.Job, body []byte) []byte {
	t.Helper()
	byName := map[string]hub.Dialect{}
	for _, d := range all() {
		byName[d.Name()] = d
	}
	var events []cases.Event
	keep := func(e hub.Event) {
		data := bytes.Clone(e.Data)
		if string(data) == "[DONE]" {
			data = []byte(`"[DONE]"`)
		}
		events = append(events, cases.Event{Name: e.Name, Data: data})
	}
	s := hub.NewStream(byName[job.From], byName[job.To], &hub.Ctx{Provider: job.Ctx.Provider, Request: job.Ctx.Request, Stream: true})
	require.NoError(t, s.FeedBody(body, keep))
	require.NoError(t, s.End(keep))
	require.True(t, s.Done())
	require.Empty(t, cases.CheckGrammar(job.To, events, job.Ctx.Request))
	back := cases.Job{From: job.To, To: job.To, Events: events, Ctx: cases.Ctx{Provider: job.Ctx.Provider, Collect: true, Request: job.Ctx.Request}}
	out, err := tr.Collect(context.Background(), back)
	require.NoError(t, err)
	return out
}

// settled is a document as lines, without ids and times that are made up.
func settled(t *testing.T, body []byte) string {
	t.Helper()
	v, err := cases.Parse(body)
	require.NoError(t, err, "%s", body)
	var b strings.Builder
	lines(&b, v, "")
	return b.String()
}

func lines(b *strings.Builder, v cases.Value, path string) {
	for _, m := range v.Members {
		switch m.Key {
		case "id", "created", "created_at", "responseId", "call_id":
			continue
		}
		lines(b, m.Value, path+"."+m.Key)
	}
	for i, item := range v.Items {
		lines(b, item, path+"["+strconv.Itoa(i)+"]")
	}
	if len(v.Members) == 0 && len(v.Items) == 0 {
		b.WriteString(path + " = " + string(bytes.TrimSpace(v.Raw)) + "\n")
	}
}

// The signature of a text reaches Gemini clients of the enveloped formats; no other
// client has a place for it.
func TestTextSignatures(t *testing.T) {
	tr := native.New(all()...)
	body := []byte(`{"response":{"candidates":[{"content":{"role":"model","parts":[{"text":"hi","thoughtSignature":"U0lH"}]},"finishReason":"STOP"}]}}`)
	for _, from := range []string{"gemini-cli", "antigravity"} {
		for _, to := range []string{"openai", "openai-responses", "claude", "gemini"} {
			out, err := tr.Response(context.Background(), cases.Job{From: from, To: to, Body: body})
			require.NoError(t, err)
			require.Equal(t, to == "gemini", bytes.Contains(out, []byte(`"text":"hi","thoughtSignature":"U0lH"`)), string(out))
			require.Equal(t, to == "gemini", bytes.Contains(out, []byte("U0lH")), string(out))
		}
	}
}

// E-1, CX-2: a signature that only the final snapshot of a Responses stream has is not
// lost; what was sent by then stays as it is.
func TestSignatureInTheSnapshot(t *testing.T) {
	tr := native.New(all()...)
	ev := func(kind, more string) cases.Event {
		return event(kind, `{"type":"`+kind+`",`+more+`}`)
	}
	reasoning := `{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}]`
	message := `{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"hi"}]}`
	for _, done := range []bool{true, false} {
		events := []cases.Event{
			ev("response.created", `"response":{"id":"resp_1","model":"m"}`),
			ev("response.output_item.added", `"output_index":0,"item":{"type":"reasoning","id":"rs_1"}`),
			ev("response.reasoning_summary_text.delta", `"item_id":"rs_1","output_index":0,"summary_index":0,"delta":"hm"`),
		}
		if done {
			events = append(events, ev("response.output_item.done", `"output_index":0,"item":`+reasoning+`}`))
		}
		events = append(events, ev("response.output_text.delta", `"item_id":"msg_1","output_index":1,"content_index":0,"delta":"hi"`),
			ev("response.completed", `"response":{"id":"resp_1","status":"completed","output":[`+reasoning+`,"encrypted_content":"c2ln"},`+message+`]}`))
		job := cases.Job{From: "openai-responses", To: "claude", Events: events, Ctx: cases.Ctx{Request: clientOf("claude")}}
		out, err := tr.Stream(context.Background(), job)
		require.NoError(t, err)
		require.Empty(t, cases.CheckGrammar("claude", out, job.Ctx.Request))
		wire := string(cases.AppendWire(nil, "claude", out))
		require.Equal(t, 1, strings.Count(wire, `"signature":"omni:openai:c2ln"`), wire)
		require.Equal(t, 1, strings.Count(wire, `"thinking":"hm"`), wire)
	}
}
