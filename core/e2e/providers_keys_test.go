package e2e

import "github.com/omniroute/omniroute/core/fake"

// chatPath is where OpenAI-like providers are asked behind their base.
const chatPath = "/chat/completions"

// bearer is the only header of most providers.
func bearer(id string) map[string]string {
	return map[string]string{"Authorization": "Bearer secret-" + id}
}

// sent is a chat request in the form that reaches an OpenAI-like provider.
func sent(model, in string, edits ...string) string {
	return edited(in, append([]string{`model="` + model + `"`}, edits...)...)
}

// systemRole is the edit for providers that do not know the role developer.
const systemRole = `messages=[{"role":"system","content":"Be brief."},{"role":"user","content":"hi"}]`

// chatRow is a provider that speaks chat completions, with an API key. edits are
// what its rules make of a request that has everything.
func chatRow(id, alias, base, model string, edits ...string) *providerRow {
	return &providerRow{
		id: id, alias: alias, base: base, auth: "api_key", headers: bearer(id), list: base + "/models",
		asks: []providerAsk{{model: model, in: everything, path: base + chatPath, want: sent(model, everything, edits...)}},
	}
}

// with adds a request to a row.
func (r *providerRow) with(a providerAsk) *providerRow {
	if a.path == "" {
		a.path = r.asks[0].path
	}
	r.asks = append(r.asks, a)
	return r
}

func (r *providerRow) set(f func(*providerRow)) *providerRow { f(r); return r }

// keyRows are the providers with API keys that the default executor serves.
func keyRows() []*providerRow {
	return []*providerRow{
		openaiRow(), openrouterRow(), kimiRow(), deepseekRow(), groqRow(), xaiRow(), mistralRow(), perplexityRow(),
		togetherRow(), fireworksRow(), cerebrasRow(), cohereRow(), nvidiaRow(), nebiusRow(), siliconflowRow(),
	}
}

func openaiRow() *providerRow {
	const reasoning = `{"messages":[{"role":"developer","content":"Be brief."},{"role":"user","content":"hi"}],"max_tokens":50,"temperature":0.5,"top_p":0.5,"presence_penalty":1,"logprobs":true,"logit_bias":{"1":1},"reasoning_effort":"low"}`
	return chatRow("openai", "", "/v1", "gpt-4o").
		with(providerAsk{name: "of a reasoning model", model: "o1", in: reasoning,
			want: sent("o1", reasoning, "max_tokens>max_completion_tokens", "temperature", "top_p", "presence_penalty", "logprobs", "logit_bias")}).
		with(providerAsk{name: "of o1-mini", model: "o1-mini", in: everything,
			want: `{"model":"o1-mini","messages":[` + folded + `],
			"max_completion_tokens":100,"n":2,"stop":["END"],"seed":7,"user":"u1","store":false,"metadata":{"k":"v"},"service_tier":"auto"}`})
}

func openrouterRow() *providerRow {
	return chatRow("openrouter", "", "/api/v1", "auto", systemRole, `usage={"include":true}`).set(func(r *providerRow) {
		r.headers = map[string]string{"Authorization": "Bearer secret-openrouter", "HTTP-Referer": "https://endpoint-proxy.local", "X-Title": "Endpoint Proxy"}
		r.reply.ThinkStyle, r.reply.Thinking = fake.ThinkReasoning, []fake.Thought{{Text: "Hm."}}
		r.knows, r.asks[0].want = []string{"usage"}, edited(r.asks[0].want, `model="openrouter/auto"`)
	})
}

func kimiRow() *providerRow {
	return chatRow("kimi", "", "/v1", "kimi-k2.5", systemRole, "max_completion_tokens>max_tokens", "temperature", "top_p", "n", "presence_penalty", "frequency_penalty").
		set(func(r *providerRow) { r.reply.Thinking = []fake.Thought{{Text: "Hm."}} })
}

func deepseekRow() *providerRow {
	return chatRow("deepseek", "ds", "/v1", "deepseek-chat", systemRole, "max_completion_tokens>max_tokens").
		with(providerAsk{name: "of the reasoner", model: "deepseek-reasoner", in: everything,
			want: sent("deepseek-reasoner", everything, systemRole, "max_completion_tokens>max_tokens", "temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs")}).
		set(func(r *providerRow) { r.reply.UsageStyle = fake.UsageDeepSeek })
}

func groqRow() *providerRow {
	return chatRow("groq", "", "/openai/v1", "llama-3.3-70b-versatile", systemRole, "logprobs", "top_logprobs", "logit_bias", "n=1").
		set(func(r *providerRow) {
			r.reply.UsageStyle, r.reply.ThinkStyle, r.reply.Thinking = fake.UsageXGroq, fake.ThinkReasoning, []fake.Thought{{Text: "Hm."}}
		})
}

func xaiRow() *providerRow {
	return chatRow("xai", "", "/v1", "grok-3", systemRole).
		with(providerAsk{name: "of grok-4", model: "grok-4", in: everything, want: sent("grok-4", everything, systemRole, "presence_penalty", "frequency_penalty", "stop")})
}

func mistralRow() *providerRow {
	return chatRow("mistral", "", "/v1", "mistral-large-latest", systemRole, "max_completion_tokens>max_tokens", "seed>random_seed", `tool_choice="any"`,
		"temperature=1", "logit_bias", "logprobs", "top_logprobs", "user", "store").
		set(func(r *providerRow) {
			r.knows, r.reply.UsageStyle = []string{"random_seed"}, fake.UsageInFinish
			for i := range r.asks {
				r.asks[i].streamed = `{"stream":true}`
			}
		})
}

func perplexityRow() *providerRow {
	return chatRow("perplexity", "pplx", "", "sonar-pro", systemRole, "max_completion_tokens>max_tokens", "tools", "tool_choice", "parallel_tool_calls", "logit_bias",
		"logprobs", "n=1").set(func(r *providerRow) {
		r.noTools, r.list, r.asks[0].streamed, r.reply.UsageStyle = true, "", `{"stream":true}`, fake.UsageEveryChunk
		r.note = "tools are left out: the provider has none"
	})
}

func togetherRow() *providerRow {
	return chatRow("together", "", "/v1", "deepseek-ai/DeepSeek-R1", systemRole, "max_completion_tokens>max_tokens").
		set(func(r *providerRow) {
			r.reply.ThinkStyle, r.reply.Thinking = fake.ThinkTags, []fake.Thought{{Text: "Hm."}}
		})
}

func fireworksRow() *providerRow {
	return chatRow("fireworks", "", "/inference/v1", "accounts/fireworks/models/deepseek-v3p1", systemRole, "max_completion_tokens>max_tokens")
}

func cerebrasRow() *providerRow {
	return chatRow("cerebras", "", "/v1", "gpt-oss-120b", systemRole, "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs",
		"parallel_tool_calls", "service_tier").set(func(r *providerRow) {
		r.reply.ThinkStyle, r.reply.Thinking = fake.ThinkReasoning, []fake.Thought{{Text: "Hm."}}
	})
}

func cohereRow() *providerRow {
	return chatRow("cohere", "", "/compatibility/v1", "command-a-03-2025", systemRole, "max_completion_tokens>max_tokens", "frequency_penalty=0", "top_p=0.99",
		"user", "logit_bias", "top_logprobs", "n", "store", "metadata", "parallel_tool_calls", "service_tier").
		set(func(r *providerRow) { r.list = "/v1/models" })
}

func nvidiaRow() *providerRow {
	return chatRow("nvidia", "", "/v1", "moonshotai/kimi-k2.5", systemRole, "max_completion_tokens>max_tokens").
		with(providerAsk{name: "of a model without system role", model: "z-ai/glm4.7", in: simple, want: `{"model":"z-ai/glm4.7","messages":[` + folded + `]}`}).
		set(func(r *providerRow) { r.reply.Thinking = []fake.Thought{{Text: "Hm."}} })
}

// folded is the conversation for models that have no system role.
const folded = `{"role":"user","content":"[System Instructions]\nBe brief.\n\n[User Message]\nhi"}`

func nebiusRow() *providerRow {
	return chatRow("nebius", "", "/v1", "meta-llama/Llama-3.3-70B-Instruct", systemRole, "max_completion_tokens>max_tokens")
}

func siliconflowRow() *providerRow {
	return chatRow("siliconflow", "", "/v1", "deepseek-ai/DeepSeek-V3.2", systemRole, "max_completion_tokens>max_tokens").
		with(providerAsk{name: "of a model without system role", model: "baidu/ERNIE-4.5-300B-A47B", in: simple,
			want: `{"model":"baidu/ERNIE-4.5-300B-A47B","messages":[` + folded + `]}`}).
		set(func(r *providerRow) { r.reply.Thinking = []fake.Thought{{Text: "Hm."}} })
}
