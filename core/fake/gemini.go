package fake

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/omniroute/omniroute/core/cases"
)

// gemini plays models/{model}:generateContent, :streamGenerateContent and :countTokens.
// Source: ai.google.dev/api/generate-content.
type gemini struct{}

var geminiName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}$`)

// schemaWords are the members of the Schema message.
var schemaWords = []string{
	"type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties", "required", "minProperties",
	"maxProperties", "minLength", "maxLength", "pattern", "example", "anyOf", "propertyOrdering", "default", "items", "minimum", "maximum",
}

// known complains in the words of the service.
func (r *Request) known(v cases.Value, path string, allowed ...string) {
	for _, m := range v.Members {
		if !slices.Contains(allowed, m.Key) {
			r.violate("Invalid JSON payload received. Unknown name %q at '%s': Cannot find field.", m.Key, path)
		}
	}
}

func (gemini) check(r *Request) {
	v := r.JSON
	known := []string{"contents", "systemInstruction", "system_instruction", "tools", "toolConfig", "tool_config", "safetySettings", "generationConfig", "cachedContent", "labels", "store"}
	if r.Kind == "count" {
		if inner, ok := v.Get("generateContentRequest"); ok {
			r.only(v, "", "generateContentRequest")
			r.want(inner, "generate_content_request", "model", cases.String)
			v, known = inner, append(known, "model")
		}
	}
	if r.Stream && !strings.Contains(r.Query, "alt=sse") {
		r.violate("streams are asked for with alt=sse here")
	}
	r.known(v, "", known...)
	contents := r.want(v, "", "contents", cases.Array)
	if contents.Kind == cases.Array && len(contents.Items) == 0 {
		r.violate("contents is not specified")
	}
	checkContents(r, contents.Items)
	if system, ok := v.Get("systemInstruction"); ok {
		r.known(system, "system_instruction", "role", "parts")
		r.want(system, "system_instruction", "parts", cases.Array)
	}
	tools, _ := r.may(v, "", "tools", cases.Array)
	for i, tool := range tools.Items {
		declarations, _ := cases.Select(tool, "functionDeclarations[*]")
		for n, f := range declarations {
			checkDeclaration(r, index(index("tools", i)+".function_declarations", n), f)
		}
	}
	checkGeneration(r, v, len(tools.Items) > 0)
}

func checkGeneration(r *Request, v cases.Value, tools bool) {
	g, ok := r.may(v, "", "generationConfig", cases.Object)
	if !ok {
		return
	}
	r.known(g, "generation_config", "stopSequences", "responseMimeType", "responseSchema", "responseJsonSchema", "_responseJsonSchema", "responseModalities", "candidateCount", "maxOutputTokens",
		"temperature", "topP", "topK", "seed", "presencePenalty", "frequencyPenalty", "responseLogprobs", "logprobs", "speechConfig", "thinkingConfig",
		"mediaResolution", "enableEnhancedCivicAnswers", "imageConfig")
	if schema, ok := g.Get("responseSchema"); ok {
		checkGeminiSchema(r, "generation_config.response_schema", schema)
		if g.Str("responseMimeType") == "" {
			r.violate("response_schema needs response_mime_type application/json")
		}
	}
	if g.Str("responseMimeType") == "application/json" && tools && !strings.Contains(r.Model, "gemini-3") {
		r.violate("Function calling with a response mime type: 'application/json' is unsupported")
	}
	if thinking, ok := g.Get("thinkingConfig"); ok {
		r.known(thinking, "generation_config.thinking_config", "thinkingBudget", "thinkingLevel", "includeThoughts")
		if hasAny(thinking, "thinkingBudget") && hasAny(thinking, "thinkingLevel") {
			r.violate("You can only set only one of thinking budget and thinking level.")
		}
	}
	if stops, ok := g.Get("stopSequences"); ok && len(stops.Items) > 5 {
		r.violate("at most 5 stop sequences are supported")
	}
}

// checkContents checks parts, pairing of calls and results, and signatures.
func checkContents(r *Request, contents []cases.Value) {
	var open []string
	lastUser := -1 // the turn that began the current tool loop
	for i, c := range contents {
		if c.Str("role") != "model" && !hasPart(c, "functionResponse") {
			lastUser = i
		}
	}
	for i, c := range contents {
		path := index("contents", i)
		r.known(c, path, "role", "parts")
		role := c.Str("role")
		r.oneOf(path+".role", role, "user", "model", "function", "")
		parts := r.want(c, path, "parts", cases.Array)
		if len(parts.Items) == 0 {
			r.violate("%s.parts must not be empty", path)
		}
		var calls, results []string
		for n, p := range parts.Items {
			checkGeminiPart(r, index(path+".parts", n), role, p)
			if f, ok := p.Get("functionCall"); ok {
				if len(calls) == 0 && i > lastUser && strings.Contains(r.Model, "gemini-3") && p.Str("thoughtSignature") == "" {
					r.violate("Function call is missing a thought_signature in functionCall parts")
				}
				calls = append(calls, f.Str("name"))
			}
			if f, ok := p.Get("functionResponse"); ok {
				results = append(results, f.Str("name"))
			}
		}
		if len(open)+len(results) > 0 && !sameNames(open, results) {
			r.violate("Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.")
		}
		open = calls
	}
	if len(open) > 0 {
		r.violate("Please ensure that function call turn comes immediately before its function response turn.")
	}
}

func hasPart(c cases.Value, key string) bool {
	found, _ := cases.Select(c, "parts[*]."+key)
	return len(found) > 0
}

func sameNames(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func checkGeminiPart(r *Request, path, role string, p cases.Value) {
	data := []string{"text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult"}
	r.known(p, path, append([]string{"thought", "thoughtSignature", "videoMetadata", "mediaResolution"}, data...)...)
	n := 0
	for _, m := range p.Members {
		if slices.Contains(data, m.Key) {
			n++
		}
	}
	if n != 1 {
		r.violate("%s: required oneof field 'data' must have one initialized field", path)
	}
	if sig := p.Str("thoughtSignature"); sig != "" && sig != "skip_thought_signature_validator" && !strings.HasPrefix(sig, "fakesign") {
		r.violate("Thought signature is not valid.")
	}
	if f, ok := p.Get("functionCall"); ok {
		r.known(f, path+".function_call", "id", "name", "args")
		r.want(f, path+".function_call", "args", cases.Object)
		r.matches(path+".function_call.name", f.Str("name"), geminiName)
		if role != "model" {
			r.violate("%s: function calls belong to model turns", path)
		}
	}
	if f, ok := p.Get("functionResponse"); ok {
		r.known(f, path+".function_response", "id", "name", "response", "parts", "willContinue", "scheduling")
		r.want(f, path+".function_response", "response", cases.Object)
		r.matches(path+".function_response.name", f.Str("name"), geminiName)
	}
	if f, ok := p.Get("inlineData"); ok {
		r.want(f, path+".inline_data", "mimeType", cases.String)
		r.want(f, path+".inline_data", "data", cases.String)
	}
}

func checkDeclaration(r *Request, path string, f cases.Value) {
	r.known(f, path, "name", "description", "parameters", "parametersJsonSchema", "response", "responseJsonSchema", "behavior")
	r.matches(path+".name", f.Str("name"), geminiName)
	if schema, ok := f.Get("parameters"); ok {
		checkGeminiSchema(r, path+".parameters", schema)
		if !strings.EqualFold(schema.Str("type"), "object") {
			r.violate("%s.parameters.type: must be OBJECT", path)
		}
	}
}

func checkGeminiSchema(r *Request, path string, s cases.Value) {
	if s.Kind != cases.Object {
		r.violate("%s: a schema is an object", path)
		return
	}
	r.known(s, path, schemaWords...)
	typ := strings.ToLower(s.Str("type"))
	if typ == "" && !hasAny(s, "anyOf") {
		r.violate("%s: schema has no type", path)
	}
	enum, hasEnum := s.Get("enum")
	if hasEnum && typ != "string" {
		r.violate("%s.enum: only allowed for STRING type", path)
	}
	for i, e := range enum.Items {
		if e.Kind != cases.String || e.Text == "" {
			r.violate("%s: must be a non-empty string", index(path+".enum", i))
		}
	}
	if items, ok := s.Get("items"); ok {
		checkGeminiSchema(r, path+".items", items)
	} else if typ == "array" {
		r.violate("%s.items: missing field.", path)
	}
	properties, hasProperties := s.Get("properties")
	if typ == "object" && hasProperties && len(properties.Members) == 0 {
		r.violate("%s.properties: should be non-empty for OBJECT type", path)
	}
	for _, p := range properties.Members {
		checkGeminiSchema(r, path+".properties."+p.Key, p.Value)
	}
	required, _ := s.Get("required")
	for _, name := range required.Items {
		if _, ok := properties.Get(name.Text); !ok {
			r.violate("%s.required: property is not defined: %s", path, name.Text)
		}
	}
	variants, _ := s.Get("anyOf")
	for i, variant := range variants.Items {
		checkGeminiSchema(r, index(path+".any_of", i), variant)
	}
}

func geminiUsage(u Usage) obj {
	return obj{
		"promptTokenCount": u.Prompt, "candidatesTokenCount": u.Completion - u.Reasoning, "totalTokenCount": u.Prompt + u.Completion,
		"cachedContentTokenCount": u.Cached, "thoughtsTokenCount": u.Reasoning,
	}
}

func geminiFinish(finish string) string {
	switch finish {
	case "length":
		return "MAX_TOKENS"
	case "content_filter":
		return "SAFETY"
	}
	return "STOP"
}

func geminiResponse(r *Request, parts []obj, finish any, usage Usage) obj {
	candidate := obj{"index": 0, "content": obj{"role": "model", "parts": parts}}
	if finish != nil {
		candidate["finishReason"] = finish
	}
	return obj{"candidates": []obj{candidate}, "usageMetadata": geminiUsage(usage), "modelVersion": r.Model, "responseId": "fake1"}
}

// thoughts and calls as parts; the signature of the thinking sits on the first call.
func geminiThoughts(r *Request, reply Reply) []obj {
	shown, _ := cases.Select(r.JSON, "generationConfig.thinkingConfig.includeThoughts")
	if len(shown) == 0 || !shown[0].Bool {
		return nil
	}
	var parts []obj
	for _, t := range reply.Thinking {
		parts = append(parts, obj{"text": t.Text, "thought": true})
	}
	return parts
}

func geminiCalls(reply Reply) []obj {
	var parts []obj
	for i, c := range reply.Calls {
		part := obj{"functionCall": obj{"id": c.ID, "name": c.Name, "args": raw(c.args())}}
		if i == 0 && len(reply.Thinking) > 0 {
			part["thoughtSignature"] = reply.Thinking[0].signature()
		}
		parts = append(parts, part)
	}
	return parts
}

func (gemini) body(r *Request, reply Reply) []byte {
	parts := geminiThoughts(r, reply)
	if reply.Text != "" {
		parts = append(parts, obj{"text": reply.Text})
	}
	return encode(geminiResponse(r, append(parts, geminiCalls(reply)...), geminiFinish(reply.finish()), reply.usage()))
}

func (gemini) events(r *Request, reply Reply) []cases.Event {
	var out []cases.Event
	add := func(finish any, parts ...obj) {
		out = append(out, event("", geminiResponse(r, parts, finish, reply.usage())))
	}
	for _, p := range geminiThoughts(r, reply) {
		add(nil, p)
	}
	for _, p := range reply.pieces() {
		add(nil, obj{"text": p})
	}
	for _, p := range geminiCalls(reply) {
		add(nil, p)
	}
	add(geminiFinish(reply.finish()), obj{"text": ""})
	return out
}

func geminiStatus(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "UNAUTHENTICATED"
	case http.StatusForbidden:
		return "PERMISSION_DENIED"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusTooManyRequests:
		return "RESOURCE_EXHAUSTED"
	case http.StatusServiceUnavailable, 529:
		return "UNAVAILABLE"
	case http.StatusGatewayTimeout:
		return "DEADLINE_EXCEEDED"
	}
	if status >= 500 {
		return "INTERNAL"
	}
	return "INVALID_ARGUMENT"
}

func (gemini) failure(reply Reply) answer {
	return answer{status: reply.Status, body: encode(obj{"error": obj{"code": reply.Status, "message": reply.Error, "status": geminiStatus(reply.Status)}})}
}

func (gemini) errorEvents(message string) []cases.Event {
	return []cases.Event{event("", obj{"error": obj{"code": 503, "message": message, "status": "UNAVAILABLE"}})}
}

func (gemini) extra(r *Request, models []string) answer {
	if r.Kind == "count" {
		return answer{status: 200, body: encode(obj{"totalTokens": len(r.Body) / 4})}
	}
	var list []obj
	for _, m := range models {
		list = append(list, obj{"name": "models/" + m, "displayName": m, "inputTokenLimit": 1048576, "outputTokenLimit": 65536, "supportedGenerationMethods": []string{"generateContent", "countTokens"}})
	}
	return answer{status: 200, body: encode(obj{"models": list})}
}
