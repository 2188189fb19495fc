package fake

import (
	"bytes"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/omniroute/omniroute/core/cases"
)

// kiro plays the streaming API of Kiro: generateAssistantResponse of the editor
// and SendMessage of the command line, whose answers are Amazon event streams.
type kiro struct{}

func (kiro) parse(*Request) bool { return false }

func (kiro) contentType() string { return "application/vnd.amazon.eventstream" }

const kiroUser = "conversationState.currentMessage.userInputMessage"

func (kiro) check(r *Request) {
	v := r.JSON
	r.only(v, "", "conversationState", "profileArn", "inferenceConfig")
	origin, target := "AI_EDITOR", "AmazonCodeWhispererStreamingService.GenerateAssistantResponse"
	if strings.HasSuffix(r.Path, "/") {
		origin, target = "CLI", "AmazonQDeveloperStreamingService.SendMessage"
	}
	if got := r.Header.Get("X-Amz-Target"); got != target {
		r.violate("X-Amz-Target is %q, want %q", got, target)
	}
	state := r.want(v, "", "conversationState", cases.Object)
	r.only(state, "conversationState", "chatTriggerType", "conversationId", "currentMessage", "history")
	r.oneOf("conversationState.chatTriggerType", state.Str("chatTriggerType"), "MANUAL")
	r.want(state, "conversationState", "conversationId", cases.String)
	current := r.want(r.want(state, "conversationState", "currentMessage", cases.Object), "currentMessage", "userInputMessage", cases.Object)
	r.Model = current.Str("modelId")
	r.kiroMessage(kiroUser, current, origin, true)
	history, _ := state.Get("history")
	for i, m := range history.Items {
		path := index("conversationState.history", i)
		user, isUser := m.Get("userInputMessage")
		assistant, isAssistant := m.Get("assistantResponseMessage")
		switch {
		case isUser == isAssistant, isUser != (i%2 == 0):
			r.violate("Improperly formed request: %s breaks the alternation", path)
		case isUser:
			r.kiroMessage(path+".userInputMessage", user, origin, false)
		default:
			r.only(assistant, path, "content", "toolUses")
			r.kiroText(path, assistant)
			uses, _ := cases.Select(assistant, "toolUses[*]")
			for _, u := range uses {
				r.only(u, path+".toolUses", "toolUseId", "name", "input")
				r.want(u, path+".toolUses", "input", cases.Object)
			}
		}
	}
	if len(history.Items)%2 != 0 {
		r.violate("Improperly formed request: the history does not end with an answer")
	}
	if config, ok := r.may(v, "", "inferenceConfig", cases.Object); ok {
		r.only(config, "inferenceConfig", "maxTokens", "temperature", "topP")
		r.between(config, "maxTokens", 1, 64000)
	}
}

func (r *Request) kiroText(path string, m cases.Value) {
	if text := r.want(m, path, "content", cases.String); text.Text == "" {
		r.violate("Improperly formed request: %s.content is empty", path)
	}
}

func (r *Request) kiroMessage(path string, m cases.Value, origin string, current bool) {
	r.only(m, path, "content", "modelId", "origin", "images", "userInputMessageContext")
	r.kiroText(path, m)
	r.oneOf(path+".origin", m.Str("origin"), origin)
	if id := m.Str("modelId"); id != r.Model || id == "" || strings.Contains(id, "-thinking") {
		r.violate("invalid model id %q", id)
	}
	images, _ := cases.Select(m, "images[*]")
	for _, image := range images {
		r.oneOf(path+".images.format", image.Str("format"), "jpeg", "png", "gif", "webp")
	}
	context, ok := r.may(m, path, "userInputMessageContext", cases.Object)
	if !ok {
		return
	}
	r.only(context, path+".userInputMessageContext", "tools", "toolResults")
	tools, _ := cases.Select(context, "tools[*]")
	if len(tools) > 0 && !current {
		r.violate("Improperly formed request: tools in the history")
	}
	for i, tool := range tools {
		at := index("tools", i)
		spec := r.want(tool, at, "toolSpecification", cases.Object)
		if text := spec.Str("description"); text == "" || len(text) > 10240 {
			r.violate("%s.description has %d bytes", at, len(text))
		}
		schema := r.want(r.want(spec, at, "inputSchema", cases.Object), at, "json", cases.Object)
		r.want(schema, at, "properties", cases.Object)
		r.want(schema, at, "required", cases.Array)
		if bytes.Contains(schema.Raw, []byte(`"additionalProperties"`)) {
			r.violate("%s: additionalProperties is not supported", at)
		}
	}
	results, _ := cases.Select(context, "toolResults[*]")
	seen := map[string]bool{}
	for _, result := range results {
		r.oneOf("toolResults.status", result.Str("status"), "success", "error")
		if id := result.Str("toolUseId"); id == "" || seen[id] {
			r.violate("toolUseId %q is missing or doubled", id)
		} else {
			seen[id] = true
		}
	}
}

func (kiro) results(r *Request) []string {
	var out []string
	found, _ := cases.Select(r.JSON, kiroUser+".userInputMessageContext.toolResults[*]")
	for _, result := range found {
		out = append(out, firstText(result, "content"))
	}
	return out
}

func (d kiro) body(r *Request, reply Reply) []byte {
	var out []byte
	for _, e := range d.events(r, reply) {
		out = append(out, d.frame(e)...)
	}
	return out
}

func (kiro) events(_ *Request, reply Reply) []cases.Event {
	var out []cases.Event
	if text := reply.thinkingText(); text != "" {
		out = append(out, event("reasoningContentEvent", obj{"text": text}))
	}
	for _, p := range reply.pieces() {
		out = append(out, event("assistantResponseEvent", obj{"content": p}))
	}
	for _, c := range reply.Calls {
		out = append(out, event("toolUseEvent", obj{"name": c.Name, "toolUseId": c.ID}))
		for _, p := range halves(c.Args) {
			out = append(out, event("toolUseEvent", obj{"input": p, "name": c.Name, "toolUseId": c.ID}))
		}
		out = append(out, event("toolUseEvent", obj{"name": c.Name, "stop": true, "toolUseId": c.ID}))
	}
	if reply.finish() == "length" {
		out = append(out, event("messageStopEvent", obj{"stopReason": "max_tokens"}))
	}
	if reply.UsageStyle != UsageNone {
		u := reply.usage()
		out = append(out, event("metricsEvent", obj{"metricsEvent": obj{"inputTokens": u.Prompt, "outputTokens": u.Completion}}))
	}
	return append(out,
		event("meteringEvent", obj{"unit": "credit", "unitPlural": "credits", "usage": 0.05}),
		event("contextUsageEvent", obj{"contextUsagePercentage": 1.5}))
}

// frame writes a message of the event stream. Events named "exception:TYPE" are
// exceptions.
func (kiro) frame(e cases.Event) []byte {
	m := eventstream.Message{Payload: e.Data}
	kind, name, exception := strings.Cut(e.Name, ":")
	if !exception {
		kind, name = "event", e.Name
	}
	m.Headers.Set(":"+kind+"-type", eventstream.StringValue(name))
	m.Headers.Set(":content-type", eventstream.StringValue("application/json"))
	m.Headers.Set(":message-type", eventstream.StringValue(kind))
	var out bytes.Buffer
	if err := eventstream.NewEncoder().Encode(&out, m); err != nil {
		panic(err) // only headers that are too long cannot be encoded
	}
	return out.Bytes()
}

func (kiro) failure(reply Reply) answer {
	typ := map[int]string{400: "ValidationException", 401: "UnrecognizedClientException", 403: "AccessDeniedException", 404: "ResourceNotFoundException",
		429: "ThrottlingException", 503: "ServiceUnavailableException"}[reply.Status]
	if typ == "" {
		typ = "InternalServerException"
	}
	return answer{status: reply.Status, body: encode(obj{"__type": "com.amazon.aws.codewhisperer#" + typ, "message": reply.Error})}
}

func (kiro) errorEvents(message string) []cases.Event {
	return []cases.Event{event("exception:internalServerException", obj{"message": message})}
}

func (kiro) extra(r *Request, models []string) answer {
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".ListProfiles") {
		return answer{status: 200, body: encode(obj{"profiles": []obj{{"arn": "arn:aws:codewhisperer:us-east-1:000000000000:profile/FAKE", "profileName": "fake"}}})}
	}
	var list []obj
	for _, m := range models {
		list = append(list, obj{"modelId": m, "modelName": m, "tokenLimits": obj{"maxInputTokens": 200000}})
	}
	return answer{status: 200, body: encode(obj{"models": list})}
}
