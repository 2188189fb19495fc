package boot_test

import (
	"strings"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fake"
)

// executorSettings are those of single providers, for their own executors.
func executorSettings() []setting {
	const (
		machine     = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		codex       = "{base_urls: [OAI/backend-api/codex], allow_private: true, accounts: [{name: a, access_token: t, data: {chatgptAccountId: x}}]}"
		antigravity = "{base_urls: [OAI], allow_private: true, accounts: [{name: a, access_token: t, data: {projectId: x}}]}"
		cursor      = "{base_urls: [OAI], allow_private: true, accounts: [{name: a, access_token: t, data: {machineId: " + machine + "}}]}"
		kiro        = "{base_urls: [OAI], allow_private: true, accounts: [{name: a, access_token: t}]}"
	)
	body := func(path string) func(*fake.Request) string {
		return func(r *fake.Request) string {
			v, _ := doc.Get(r.Body, strings.Split(path, ".")...)
			return string(v)
		}
	}
	long := func(l *lab) string {
		l.send("POST", "/v1/chat/completions", `{"model":"ag/gemini-2.5-flash","max_tokens":60000,"messages":[{"role":"user","content":"hi"}]}`)
		return body("request.generationConfig.maxOutputTokens")(l.oai.Last())
	}
	busy := func(l *lab) string {
		for range 2 {
			l.oai.Push(fake.ResetAfter("1s"))
		}
		return served("ag/gemini-2.5-flash")(l)
	}
	header := func(name string) func(*fake.Request) string {
		return func(r *fake.Request) string { return r.Header.Get(name) }
	}
	// result is a conversation with a tool's result, and how that reaches Cursor.
	result := func(path string) func(l *lab) string {
		return func(l *lab) string {
			l.send("POST", "/v1/chat/completions", `{"model":"cu/claude-4.5-sonnet","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],
				"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},
				{"role":"tool","tool_call_id":"c1","content":"42"}]}`)
			found, _ := cases.Select(l.oai.Last().JSON, path)
			if len(found) == 0 {
				return ""
			}
			return found[0].Text
		}
	}
	counted := func(l *lab) string {
		l.oai.Push(fake.Reply{Text: "Hi", UsageStyle: fake.UsageNone})
		got := l.send("POST", "/v1/chat/completions", `{"model":"kr/claude-sonnet-4.5","messages":[{"role":"user","content":"hi"}]}`)
		v, _ := doc.Get([]byte(got), "usage", "prompt_tokens")
		return string(v)
	}
	rows := []setting{
		{key: "client_version", at: "cursor", to: "3.1.0", want: [2]string{"2.3.41", "3.1.0"}, see: sent("cu/claude-4.5-sonnet", header("X-Cursor-Client-Version"))},
		{key: "supported_tools", at: "cursor", to: "[1, 19]", want: [2]string{"01", "0113"}, see: result("supported")},
		{key: "tool_result_mode", at: "cursor", to: "native", want: [2]string{"", "c1"}, see: result("messages[2].result")},
		{key: "max_tokens", at: "kiro", to: "500", want: [2]string{"32000", "500"}, see: sent("kr/claude-sonnet-4.5", body("inferenceConfig.maxTokens"))},
		{key: "context_window", at: "kiro", to: "100000", want: [2]string{"3000", "1500"}, see: counted},
		{key: "default_instructions", at: "codex", to: "Be a coder.", want: [2]string{`""`, `"Be a coder."`}, see: sent("cx/gpt-5.1", body("instructions"))},
		{key: "default_effort", at: "codex", to: "low", want: [2]string{`"medium"`, `"low"`}, see: sent("cx/gpt-5.1", body("reasoning.effort"))},
		{key: "default_system", at: "antigravity", to: "You are it.", want: [2]string{"", `{"role":"user","parts":[{"text":"You are it."}]}`},
			see: sent("ag/claude-sonnet-4-5", body("request.systemInstruction"))},
		{key: "max_output_tokens_cap", at: "antigravity", to: "32000", want: [2]string{"16384", "32000"}, see: long},
		{key: "max_short_waits", at: "antigravity", to: "1", want: [2]string{"oai 3 ant 0", "oai 2 ant 0"}, see: busy},
	}
	for i := range rows {
		id := rows[i].at
		rows[i].given = map[string]string{"providers." + id: map[string]string{"codex": codex, "antigravity": antigravity, "cursor": cursor, "kiro": kiro}[id]}
		rows[i].at = "providers." + id + "." + rows[i].key
		rows[i].key = "providers.*." + rows[i].key
	}
	return rows
}
