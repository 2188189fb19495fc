package e2e

const (
	messagesPath = "/v1/messages?beta=true"
	claudeBetas  = "claude-code-20250219,interleaved-thinking-2025-05-14"
	claudeTool   = `{"name":"get_weather","description":"of a city","input_schema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}`
)

// messagesRow is a provider that speaks the Messages API, with an API key.
func messagesRow(id, base, model, maxTokens string, headers map[string]string) *providerRow {
	want := `{"model":"` + model + `","max_tokens":` + maxTokens + `,"system":[{"type":"text","text":"Be brief."}],"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}`
	return &providerRow{
		id: id, base: base, auth: "api_key", headers: headers,
		asks: []providerAsk{
			{model: model, in: simple, path: base + messagesPath, want: want},
			{name: "with tools", model: model, path: base + messagesPath,
				in:   `{"messages":[{"role":"user","content":"hi"}],"max_tokens":500,"tools":[` + weatherTool + `],"tool_choice":"required"}`,
				want: `{"model":"` + model + `","max_tokens":500,"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"tools":[` + claudeTool + `],"tool_choice":{"type":"any"}}`},
		},
	}
}

// messagesRows are the providers of the Messages API with keys, and Gemini.
func messagesRows() []*providerRow {
	key := func(id string) map[string]string {
		return map[string]string{"X-Api-Key": "secret-" + id, "Anthropic-Version": "2023-06-01", "Anthropic-Beta": claudeBetas}
	}
	anthropic := messagesRow("anthropic", "", "claude-sonnet-4-20250514", "32000",
		map[string]string{"X-Api-Key": "secret-anthropic", "Anthropic-Version": "2023-06-01"})
	anthropic.list = "/v1/models"
	return []*providerRow{
		anthropic,
		messagesRow("glm", "/api/anthropic", "glm-4.7", "8192", key("glm")),
		messagesRow("minimax", "/anthropic", "MiniMax-M2.1", "8192", key("minimax")),
		messagesRow("minimax-cn", "/anthropic", "MiniMax-M2.1", "8192", key("minimax-cn")),
		geminiRow(),
	}
}

func geminiRow() *providerRow {
	const base = "/v1beta/models"
	return &providerRow{
		id: "gemini", base: base, auth: "api_key", headers: map[string]string{"X-Goog-Api-Key": "secret-gemini"}, list: base,
		asks: []providerAsk{{
			model: "gemini-2.5-flash", in: simple,
			path: base + "/gemini-2.5-flash:generateContent", stream: base + "/gemini-2.5-flash:streamGenerateContent?alt=sse",
			want: `{"systemInstruction":{"parts":[{"text":"Be brief."}]},"contents":[{"role":"user","parts":[{"text":"hi"}]}],"safetySettings":` + safetyOff + `}`,
		}},
	}
}

// safetyOff leaves the judgement of content to the client.
const safetyOff = `[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"OFF"},{"category":"HARM_CATEGORY_HATE_SPEECH","threshold":"OFF"},
	{"category":"HARM_CATEGORY_SEXUALLY_EXPLICIT","threshold":"OFF"},{"category":"HARM_CATEGORY_DANGEROUS_CONTENT","threshold":"OFF"},
	{"category":"HARM_CATEGORY_CIVIC_INTEGRITY","threshold":"OFF"}]`

// nodeRows are the kinds of compatible nodes.
func nodeRows() []*providerRow {
	chat := chatRow("openai-compatible-chat", "", "/custom/v1", "moonshotai/kimi-k2.5", systemRole)
	chat.conf = "    dialect: openai\n"
	responses := &providerRow{
		id: "openai-compatible-responses", base: "/custom/v1", auth: "api_key", headers: bearer("openai-compatible-responses"), list: "/custom/v1/models",
		conf: "    dialect: openai-responses\n",
		asks: []providerAsk{{model: "some/model", in: simple, path: "/custom/v1/responses"}},
	}
	messages := messagesRow("anthropic-compatible", "/custom/v1", "some/model", "8192",
		map[string]string{"X-Api-Key": "secret-anthropic-compatible", "Anthropic-Version": "2023-06-01"})
	messages.conf, messages.list = "    dialect: claude\n", "/custom/v1/models"
	for i := range messages.asks {
		messages.asks[i].path = "/custom/v1/messages"
	}
	return []*providerRow{chat, responses, messages}
}
