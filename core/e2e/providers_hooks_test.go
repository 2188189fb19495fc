package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/fake"
)

// hookRows are the providers that the default executor serves by what their
// entries say of signatures, logins and accounts.
func hookRows() []*providerRow {
	return []*providerRow{claudeLoginRow(), qwenRow(), iflowRow(), kimiCodingRow(), kilocodeRow(), clineRow()}
}

// loginRow is a provider of chat completions with a login.
func loginRow(id, alias, base, model string, edits ...string) *providerRow {
	r := chatRow(id, alias, base, model, edits...)
	r.auth = "oauth"
	r.headers["Authorization"] = "re:Bearer secret-" + id + ".*"
	return r
}

func claudeLoginRow() *providerRow {
	const model = "claude-sonnet-4-5-20250929"
	const firstBlock = `{"type":"text","text":"You are Claude Code, Anthropic's official CLI for Claude."}`
	r := messagesRow("claude", "", model, "32000", map[string]string{
		"Authorization": "re:Bearer secret-claude.*", "Anthropic-Version": "2023-06-01",
		"Anthropic-Beta": "claude-code-20250219,oauth-2025-04-20,interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14,context-management-2025-06-27",
		"Anthropic-Dangerous-Direct-Browser-Access": "true", "User-Agent": "claude-cli/1.0.83 (external, cli)", "X-App": "cli",
		"X-Stainless-Helper-Method": "stream", "X-Stainless-Retry-Count": "0", "X-Stainless-Runtime-Version": "v24.3.0",
		"X-Stainless-Package-Version": "0.55.1", "X-Stainless-Runtime": "node", "X-Stainless-Lang": "js", "X-Stainless-Arch": "arm64",
		"X-Stainless-Os": "MacOS", "X-Stainless-Timeout": "60",
	})
	r.alias, r.auth, r.grant = "cc", "oauth", &fake.IssuerOptions{JSON: true}
	r.asks[0].want = edited(r.asks[0].want, "system=["+firstBlock+`,{"type":"text","text":"Be brief."}]`)
	r.asks[1].want = edited(r.asks[1].want, "system=["+firstBlock+"]")
	return r
}

func qwenRow() *providerRow {
	r := loginRow("qwen", "qw", "/v1", "qwen3-coder-plus", systemRole)
	r.grant = &fake.IssuerOptions{}
	for name, v := range map[string]string{
		"User-Agent": "QwenCode/0.10.3 (darwin; arm64)", "X-Dashscope-Useragent": "QwenCode/0.10.3 (darwin; arm64)", "X-Dashscope-Cachecontrol": "enable",
		"X-Dashscope-Authtype": "qwen-oauth", "X-Stainless-Lang": "js", "X-Stainless-Arch": "arm64", "X-Stainless-Os": "MacOS",
		"X-Stainless-Package-Version": "5.11.0", "X-Stainless-Retry-Count": "0", "X-Stainless-Runtime": "node", "X-Stainless-Runtime-Version": "v22.17.0",
		"Sec-Fetch-Mode": "cors",
	} {
		r.headers[name] = v
	}
	const none = `{"messages":[{"role":"user","content":"hi"}],"tools":[]}`
	return r.with(providerAsk{name: "with no tool", model: "qwen3-coder-plus", in: none, want: sent("qwen3-coder-plus", none, "tools")})
}

func iflowRow() *providerRow {
	r := loginRow("iflow", "if", "/v1", "qwen3-coder-plus", systemRole)
	r.cred = &account.Credential{AccessToken: "secret-iflow-login", APIKey: "secret-iflow"}
	r.headers = map[string]string{
		"Authorization": "Bearer secret-iflow", "User-Agent": "iFlow-Cli",
		"Session-Id":        "re:session-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
		"X-Iflow-Timestamp": "re:[0-9]{13}", "X-Iflow-Signature": "re:[0-9a-f]{64}",
	}
	const think = `{"messages":[{"role":"user","content":"hi"}],"reasoning_effort":"high"}`
	r.with(providerAsk{name: "that thinks", model: "glm-4.7", in: think,
		want: sent("glm-4.7", think, "reasoning_effort", `chat_template_kwargs={"enable_thinking":true,"clear_thinking":false}`)})
	r.knows = []string{"chat_template_kwargs"}
	r.steps = map[string]func(*testing.T, *providerWorld){"signature": func(t *testing.T, w *providerWorld) {
		for _, r := range w.up.Requests() {
			if r.Kind != "chat" {
				continue
			}
			h := r.Header
			require.Equal(t, iflowSignature("secret-iflow", h.Get("User-Agent"), h.Get("Session-Id"), h.Get("X-Iflow-Timestamp")), h.Get("X-Iflow-Signature"))
		}
		require.Equal(t, "fec1e335ce9e802715c79c199339eff569acc7e3202dbf4241414f94af19efd7",
			iflowSignature("test-key", "iFlow-Cli", "session-00000000-0000-4000-8000-000000000000", "1771400000000"))
	}}
	return r
}

func iflowSignature(key, agent, session, at string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(agent + ":" + session + ":" + at))
	return hex.EncodeToString(mac.Sum(nil))
}

func kimiCodingRow() *providerRow {
	r := messagesRow("kimi-coding", "/coding", "kimi-k2.5", "8192", map[string]string{
		"Authorization": "re:Bearer secret-kimi-coding.*", "Anthropic-Version": "2023-06-01", "Anthropic-Beta": claudeBetas, "User-Agent": "KimiCLI/1.10.6",
		"X-Msh-Platform": "kimi_cli", "X-Msh-Version": "1.10.6", "X-Msh-Device-Name": "omniroute", "X-Msh-Device-Model": "linux amd64",
		"X-Msh-Device-Id": "0b1e7b1e-0000-4000-8000-00000000beef",
	})
	r.alias, r.auth, r.list = "kmc", "oauth", "/coding/v1/models"
	r.data = map[string]string{"deviceId": "0b1e7b1e-0000-4000-8000-00000000beef"}
	r.grant = &fake.IssuerOptions{}
	return r
}

func kilocodeRow() *providerRow {
	r := loginRow("kilocode", "kc", "/api/openrouter", "anthropic/claude-sonnet-4-20250514", systemRole, `usage={"include":true}`)
	r.headers["X-Kilocode-Editorname"], r.headers["X-Kilocode-Organizationid"] = "Visual Studio Code", "org-7"
	r.data, r.knows = map[string]string{"orgId": "org-7"}, []string{"usage"}
	r.reply.ThinkStyle, r.reply.Thinking = fake.ThinkReasoning, []fake.Thought{{Text: "Hm."}}
	return r
}

func clineRow() *providerRow {
	r := loginRow("cline", "cl", "/api/v1", "anthropic/claude-sonnet-4-20250514", systemRole, `usage={"include":true}`)
	r.headers = map[string]string{"Authorization": "re:Bearer workos:secret-cline.*", "Http-Referer": "https://cline.bot", "X-Title": "Cline",
		"X-Client-Type": "omniroute", "X-Is-Multiroot": "false"}
	r.knows, r.forced = []string{"usage"}, true
	r.reply.ThinkStyle, r.reply.Thinking = fake.ThinkReasoning, []fake.Thought{{Text: "Hm."}}
	return r
}
