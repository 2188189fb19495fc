package demo

import (
	_ "embed"
	"strconv"
	"strings"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/jsn"
)

//go:embed manifest.json
var manifest []byte

// New returns the demo provider as a part of a module.
func New() sdk.Part { return sdk.NewExecutor(manifest, executor{}) }

type executor struct{}

// Plan implements sdk.Executor with local answers.
func (executor) Plan(c *sdk.Ctx, p *sdk.Plan) error {
	model := c.Model
	if i := strings.LastIndexByte(model, '/'); i >= 0 {
		model = model[i+1:]
	}
	conv := readConversation(c, p.Body.JSON())
	a := newAnswer(c, model, conv)
	if status, ok := strings.CutPrefix(model, "fail-"); ok {
		return failure(status)
	}
	switch model {
	case "echo":
		a.say(conv.lastUser)
	case "lorem":
		words, pace := loremWish(conv)
		a.pace = pace
		a.say(lorem(words))
		a.limited = conv.maxTokens > 0 && words == conv.maxTokens
	case "tools":
		useTool(a, conv)
	case "think":
		a.think("The user wrote " + strconv.Itoa(len(strings.Fields(conv.lastUser))) + " words. There is nothing to look up, so the answer can be given at once.")
		a.say("I thought about it. You said: " + clip(conv.lastUser, 400))
	default:
		return &abi.ErrorRecord{
			Message: "the demo provider has no model " + model, Class: "not_found", Scope: "model",
			Status: 404, Code: "model_not_found", Type: "invalid_request_error", Upstream: true,
		}
	}
	p.Answer(a.local(c.Stream))
	return nil
}

// Result implements sdk.Executor. Local answers are not judged.
func (executor) Result(_ *sdk.Ctx, r *sdk.Result) (sdk.Verdict, error) { return sdk.Default(r), nil }

// failure fails with the given HTTP status, the way a provider would.
func failure(word string) error {
	status, err := strconv.Atoi(word)
	if err != nil || status < 400 || status > 599 {
		return &abi.ErrorRecord{
			Message: "fail-" + word + " is not an HTTP error status", Class: "not_found", Scope: "model",
			Status: 404, Code: "model_not_found", Type: "invalid_request_error", Upstream: true,
		}
	}
	e := &abi.ErrorRecord{
		Message: "The demo provider was asked to fail with status " + word, Status: status,
		Type: "server_error", Code: "demo_failure", Upstream: true,
	}
	switch status {
	case 401:
		e.Type, e.Code = "authentication_error", "invalid_api_key"
	case 403:
		e.Type = "permission_error"
	case 404:
		e.Type, e.Code = "invalid_request_error", "model_not_found"
	case 429:
		e.Type, e.Code, e.RetryAfterMS, e.Retryable = "rate_limit_error", "rate_limit_exceeded", 2000, true
	case 503, 529:
		e.Type, e.RetryAfterMS, e.Retryable = "overloaded_error", 1000, true
	default:
		if status < 500 {
			e.Type = "invalid_request_error"
		}
	}
	return e
}

// conversation is what the models look at.
type conversation struct {
	lastUser   string
	toolName   string // of the tool result that came last, "" if the last turn has none
	toolResult string
	hasResult  bool
	tool       sdk.JSON // the first offered function
	maxTokens  int
	chars      int
}

func readConversation(c *sdk.Ctx, body sdk.JSON) conversation {
	body = body.Get("")
	tokens := jsn.Tokens{}
	if c.Nonce() != "" {
		tokens = jsn.Tokens{Nonce: c.Nonce(), Blobs: c.Blobs()}
	}
	var conv conversation
	names := map[string]string{}
	body.Get("messages").Each(func(m sdk.JSON) {
		text := content(tokens, m.Get("content"))
		conv.chars += len(text)
		switch m.Get("role").Text() {
		case "user":
			conv.lastUser, conv.hasResult = text, false
		case "assistant":
			m.Get("tool_calls").Each(func(call sdk.JSON) {
				names[call.Get("id").Text()] = call.Get("function.name").Text()
			})
		case "tool":
			conv.hasResult, conv.toolResult, conv.toolName = true, text, names[m.Get("tool_call_id").Text()]
		}
	})
	body.Get("tools").Each(func(t sdk.JSON) {
		if f := t.Get("function"); len(conv.tool) == 0 && f.Exists() {
			conv.tool = f
		}
	})
	limit := body.Get("max_completion_tokens")
	if !limit.Exists() {
		limit = body.Get("max_tokens")
	}
	conv.maxTokens = int(limit.Int())
	return conv
}

// content returns the text of a message's content, looking through body
// tokens.
func content(t jsn.Tokens, v sdk.JSON) string {
	if jsn.KindOf(v) == jsn.String {
		return strings.Clone(t.Decode(jsn.StrOf(v)))
	}
	var b strings.Builder
	v.Each(func(part sdk.JSON) {
		if text := part.Get("text"); jsn.KindOf(text) == jsn.String {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(t.Decode(jsn.StrOf(text)))
		}
	})
	return b.String()
}

func useTool(a *answer, conv conversation) {
	switch {
	case conv.hasResult:
		name := conv.toolName
		if name == "" {
			name = "tool"
		}
		a.say("The " + name + " answered: " + clip(conv.toolResult, 400))
	case len(conv.tool) == 0:
		a.say("No tool was offered, so there is nothing to call.")
	default:
		a.call(conv.tool.Get("name").Text(), sample(conv.tool.Get("parameters"), 0))
	}
}

// sample makes arguments that fit a JSON schema: every required property, with
// the first allowed value.
func sample(schema sdk.JSON, depth int) []byte {
	if v := schema.Get("default"); len(v) > 0 {
		return v
	}
	if v := schema.Get("const"); len(v) > 0 {
		return v
	}
	var chosen sdk.JSON
	schema.Get("enum").Each(func(v sdk.JSON) {
		if chosen == nil {
			chosen = v
		}
	})
	if chosen != nil {
		return chosen
	}
	kind := schema.Get("type")
	if jsn.KindOf(kind) == jsn.Arr {
		kind.Each(func(v sdk.JSON) {
			if chosen == nil {
				chosen = v
			}
		})
		kind = chosen
	}
	switch kind.Text() {
	case "string":
		return []byte(`"demo"`)
	case "integer", "number":
		if v := schema.Get("minimum"); len(v) > 0 {
			return v
		}
		return []byte("1")
	case "boolean":
		return []byte("true")
	case "null":
		return []byte("null")
	case "array":
		if schema.Get("minItems").Int() > 0 && depth < 8 {
			return append(append([]byte{'['}, sample(schema.Get("items"), depth+1)...), ']')
		}
		return []byte("[]")
	}
	out := []byte{'{'}
	if depth < 8 {
		properties := schema.Get("properties")
		schema.Get("required").Each(func(name sdk.JSON) {
			out = jsn.AppendMember(out, name.Text(), sample(jsn.Get(properties, name.Text()), depth+1))
		})
	}
	return append(out, '}')
}

// Bounds of what lorem can be asked for.
const (
	defaultWords = 60
	maxWords     = 4000
	defaultPace  = 20 // milliseconds per word
	maxPace      = 5000
)

// loremWish reads how many words at which pace: a number alone counts words,
// one followed by ms is the pause between two, one followed by /s how many a
// second.
func loremWish(conv conversation) (words int, paceMS uint32) {
	words, pace := 0, defaultPace
	for _, f := range strings.FieldsFunc(conv.lastUser, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\t' }) {
		switch {
		case strings.HasSuffix(f, "ms"):
			if n, err := strconv.Atoi(strings.TrimSuffix(f, "ms")); err == nil && n >= 0 {
				pace = min(n, maxPace)
			}
		case strings.HasSuffix(f, "/s"):
			if n, err := strconv.Atoi(strings.TrimSuffix(f, "/s")); err == nil && n > 0 {
				pace = 1000 / n
			}
		default:
			if n, err := strconv.Atoi(f); err == nil && n > 0 && words == 0 {
				words = min(n, maxWords)
			}
		}
	}
	if words == 0 {
		words = defaultWords
	}
	if conv.maxTokens > 0 {
		words = min(words, conv.maxTokens)
	}
	return words, uint32(pace)
}

var loremWords = strings.Fields("lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor " +
	"incididunt ut labore et dolore magna aliqua ut enim ad minim veniam quis nostrud exercitation ullamco laboris " +
	"nisi ut aliquip ex ea commodo consequat")

// lorem writes n words in sentences of twelve.
func lorem(n int) string {
	var b strings.Builder
	for k := range n {
		word := loremWords[k%len(loremWords)]
		if k > 0 {
			b.WriteByte(' ')
		}
		if k%12 == 0 {
			word = strings.ToUpper(word[:1]) + word[1:]
		}
		b.WriteString(word)
		if k%12 == 11 || k == n-1 {
			b.WriteByte('.')
		}
	}
	return b.String()
}

// clip shortens a text at a character border.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && s[limit]&0xC0 == 0x80 {
		limit--
	}
	return s[:limit] + "…"
}
