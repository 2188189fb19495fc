package fake

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/omniroute/omniroute/core/cases"
)

// codeAssist plays /v1internal:…, the back ends of Gemini CLI and Antigravity: the
// Gemini API in an envelope, and the two calls that give an account its project.
// onboardUser says once that it is not done.
// Source: github.com/google-gemini/gemini-cli, packages/core/src/code_assist.
type codeAssist struct{ gemini }

// DemoProject is the project that the code assistant back ends give to accounts.
const DemoProject = "demo-project"

// codeAssistPath is before the action of a path.
const codeAssistPath = "/v1internal:"

func routeCodeAssist(r *Request) {
	_, action, _ := strings.Cut(r.Path, codeAssistPath)
	r.Dialect = "gemini-cli"
	if strings.HasPrefix(r.Header.Get("User-Agent"), "antigravity/") {
		r.Dialect = "antigravity"
	}
	switch action {
	case "generateContent":
		r.Kind = "chat"
	case "streamGenerateContent":
		r.Kind, r.Stream = "chat", true
	case "countTokens":
		r.Kind = "count"
	case "fetchAvailableModels":
		r.Kind = "models"
	case "loadCodeAssist", "onboardUser":
		r.Kind = "project"
	default:
		r.Dialect = ""
	}
}

var (
	agentID   = regexp.MustCompile(`^agent-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	sessionID = regexp.MustCompile(`^-[0-9]{1,19}$`)
)

// check looks at the envelope; what it contains is checked as the Gemini API does.
func (c codeAssist) check(r *Request) {
	v := r.JSON
	inner := r.want(v, "", "request", cases.Object)
	if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		r.violate("there is no bearer token")
	}
	switch {
	case r.Kind == "count":
		r.known(v, "", "request")
		r.known(inner, "request", "model", "contents")
		r.want(inner, "request", "model", cases.String)
		r.want(inner, "request", "contents", cases.Array)
		return
	case r.Dialect == "antigravity":
		r.known(v, "", "model", "project", "userAgent", "requestType", "requestId", "request")
		r.oneOf("userAgent", v.Str("userAgent"), "antigravity")
		r.oneOf("requestType", v.Str("requestType"), "agent")
		r.matches("requestId", v.Str("requestId"), agentID)
		r.matches("request.sessionId", inner.Str("sessionId"), sessionID)
		if hasAny(inner, "safetySettings") {
			r.violate("Unknown name \"safetySettings\" at 'request'")
		}
		if system, ok := inner.Get("systemInstruction"); ok {
			r.oneOf("request.systemInstruction.role", system.Str("role"), "user")
		}
		if strings.Contains(r.Model, "claude") {
			c.claude(r, inner)
		}
	default:
		r.known(v, "", "model", "project", "userAgent", "requestId", "user_prompt_id", "request")
		if safety := r.want(inner, "request", "safetySettings", cases.Array); len(safety.Items) != 5 {
			r.violate("safetySettings are %d, want 5", len(safety.Items))
		}
	}
	if r.want(v, "", "project", cases.String).Text == "" {
		r.violate("project is empty")
	}
	inner.Members = slices.DeleteFunc(slices.Clone(inner.Members), func(m cases.Member) bool { return m.Key == "sessionId" })
	r.JSON = inner
	c.gemini.check(r)
}

// claude are the rules of the models behind which there is another vendor.
func (codeAssist) claude(r *Request, inner cases.Value) {
	tools, _ := inner.Get("tools")
	if mode, _ := cases.Select(inner, "toolConfig.functionCallingConfig.mode"); len(tools.Items) > 0 && (len(mode) != 1 || mode[0].Text != "VALIDATED") {
		r.violate("toolConfig.functionCallingConfig.mode must be VALIDATED")
	}
	config := r.want(inner, "request", "generationConfig", cases.Object)
	r.between(config, "maxOutputTokens", 1, 64000)
	r.want(config, "request.generationConfig", "maxOutputTokens", cases.Number)
}

func (c codeAssist) body(r *Request, reply Reply) []byte {
	return encode(obj{"response": raw(string(c.gemini.body(r, reply))), "traceId": "trace-1"})
}

func (c codeAssist) events(r *Request, reply Reply) []cases.Event {
	events := c.gemini.events(r, reply)
	for i := range events {
		events[i].Data = encode(obj{"response": raw(string(events[i].Data)), "traceId": "trace-1"})
	}
	return events
}

func (c codeAssist) extra(r *Request, models []string) answer {
	_, action, _ := strings.Cut(r.Path, codeAssistPath)
	var out any
	switch action {
	case "countTokens":
		out = obj{"totalTokens": 42}
	case "fetchAvailableModels":
		list := obj{"chat_20706": obj{"isInternal": true}}
		for _, m := range models {
			list[m] = obj{"displayName": m, "quotaInfo": obj{"remainingFraction": 0.75, "resetTime": "2026-02-18T15:00:00Z"}}
		}
		out = obj{"models": list}
	case "loadCodeAssist":
		out = obj{"allowedTiers": []obj{{"id": "free-tier", "isDefault": true}, {"id": "legacy-tier"}}, "currentTier": obj{"id": "free-tier", "name": "Free"}}
	case "onboardUser":
		out = obj{"name": "operations/1", "done": false}
		if r.earlier > 0 {
			out = obj{"name": "operations/1", "done": true, "response": obj{"cloudaicompanionProject": obj{"id": DemoProject}}}
		}
	default:
		return c.gemini.extra(r, models)
	}
	return answer{status: http.StatusOK, body: encode(out)}
}

// CapacityError is the answer of a host that has no capacity for a model.
func CapacityError() Reply {
	return Reply{Status: http.StatusServiceUnavailable,
		Body: []byte(`{"error":{"code":503,"status":"UNAVAILABLE","message":"No capacity available for model fake-model on the server"}}`)}
}

// ResetAfter is the answer to an account whose quota is used up, in the words of the
// code assistant back ends: after is like 2h7m23s.
func ResetAfter(after string) Reply {
	return Reply{Status: http.StatusTooManyRequests,
		Body: []byte(`{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"You have exhausted your capacity on this model. Your quota will reset after ` + after + `."}}`)}
}
