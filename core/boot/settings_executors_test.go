package boot_test

import (
	"strings"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fake"
)

// executorSettings are those of single providers, for their own executors.
func executorSettings() []setting {
	const (
		codex       = "{base_urls: [OAI/backend-api/codex], allow_private: true, accounts: [{name: a, access_token: t, data: {chatgptAccountId: x}}]}"
		antigravity = "{base_urls: [OAI], allow_private: true, accounts: [{name: a, access_token: t, data: {projectId: x}}]}"
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
	rows := []setting{
		{key: "default_instructions", at: "codex", to: "Be a coder.", want: [2]string{`""`, `"Be a coder."`}, see: sent("cx/gpt-5.1", body("instructions"))},
		{key: "default_effort", at: "codex", to: "low", want: [2]string{`"medium"`, `"low"`}, see: sent("cx/gpt-5.1", body("reasoning.effort"))},
		{key: "default_system", at: "antigravity", to: "You are it.", want: [2]string{"", `{"role":"user","parts":[{"text":"You are it."}]}`},
			see: sent("ag/claude-sonnet-4-5", body("request.systemInstruction"))},
		{key: "max_output_tokens_cap", at: "antigravity", to: "32000", want: [2]string{"16384", "32000"}, see: long},
		{key: "max_short_waits", at: "antigravity", to: "1", want: [2]string{"oai 3 ant 0", "oai 2 ant 0"}, see: busy},
	}
	for i := range rows {
		id := rows[i].at
		rows[i].given = map[string]string{"providers." + id: map[string]string{"codex": codex, "antigravity": antigravity}[id]}
		rows[i].at = "providers." + id + "." + rows[i].key
		rows[i].key = "providers.*." + rows[i].key
	}
	return rows
}
