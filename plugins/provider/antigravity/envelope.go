package antigravity

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/omniroute/omniroute/plugins/provider/entry"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// Limits of answers, in tokens.
const (
	claudeDefault = 4096
	claudeMost    = 64000
	geminiMost    = 16384
)

func claude(model string) bool { return strings.Contains(model, "claude") }

// folds tells models whose plain action times out or truncates: they are streamed
// and the answer is put together.
func folds(model string) bool { return claude(model) || strings.HasPrefix(model, "gemini-3-pro") }

// envelope fills in the members around and within the Gemini request.
func envelope(c *sdk.Ctx, p *sdk.Plan, e *entry.Entry, project string) {
	b := &p.Body
	request := b.JSON().Get("request")
	b.Set("model", quoted(c.Model))
	b.Set("project", quoted(project))
	b.Set("userAgent", `"antigravity"`)
	b.Default("requestType", `"agent"`)
	b.Set("requestId", quoted("agent-"+entry.UUID(c)))
	b.Drop("request.safetySettings")
	if !request.Get("sessionId").Exists() {
		b.Set("request.sessionId", quoted(session(c, request.Get("contents"))))
	}
	if contents, changed := repaired(request.Get("contents")); changed {
		b.Set("request.contents", string(contents))
	}
	system(c, b, e, request.Get("systemInstruction"))
	tools(c, b, request)
	limits(c, b, e, request.Get("generationConfig"))
}

// session stands for a conversation: the same first words of the user give the
// same id.
func session(c *sdk.Ctx, contents sdk.JSON) string {
	text, found := "", false
	contents.Each(func(content sdk.JSON) {
		if found || !content.Get("role").Is("user") {
			return
		}
		content.Get("parts").Each(func(part sdk.JSON) {
			if t := part.Get("text"); !found && jsn.KindOf(t) == jsn.String {
				text, found = jsn.Tokens{Nonce: c.Nonce(), Blobs: c.Blobs()}.Decode(jsn.StrOf(t)), true
			}
		})
	})
	if text == "" {
		return "-" + strconv.FormatUint(c.Rand()%9_000_000_000_000_000_000, 10)
	}
	return sessionID(text)
}

func sessionID(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "-" + strconv.FormatUint(binary.BigEndian.Uint64(sum[:8])&0x7fffffffffffffff, 10)
}

// repaired takes out of the conversation what the service refuses: thoughts, which
// nobody signed for it, signatures on plain text, contents without parts.
func repaired(contents sdk.JSON) (out []byte, changed bool) {
	out = []byte{'['}
	contents.Each(func(content sdk.JSON) {
		parts, result, cut := kept(content.Get("parts"))
		wrongRole := result && !content.Get("role").Is("user")
		switch {
		case len(parts) == 2: // []
			changed = true
			return
		case !cut && !wrongRole:
			out = append(jsn.Sep(out), content...)
			return
		}
		changed = true
		out = append(jsn.Sep(out), '{')
		content.Members(func(name string, v sdk.JSON) {
			switch {
			case name == "parts":
				v = parts
			case name == "role" && wrongRole:
				v = sdk.JSON(`"user"`)
			}
			out = jsn.AppendMember(out, name, v)
		})
		out = append(out, '}')
	})
	return append(out, ']'), changed
}

// kept are the parts that may be sent; result tells that there is the result of a
// function among them.
func kept(parts sdk.JSON) (out []byte, result, cut bool) {
	out = []byte{'['}
	parts.Each(func(part sdk.JSON) {
		call := part.Get("functionCall").Exists()
		result = result || part.Get("functionResponse").Exists()
		signed := part.Get("thoughtSignature").Exists()
		switch {
		case part.Get("thought").True() && !call, signed && !call && part.Get("text").Is(""):
			cut = true
			return
		case signed && part.Get("text").Exists():
			cut = true
			out = append(jsn.Sep(out), '{')
			part.Members(func(name string, v sdk.JSON) {
				if name != "thoughtSignature" {
					out = jsn.AppendMember(out, name, v)
				}
			})
			out = append(out, '}')
			return
		}
		out = append(jsn.Sep(out), part...)
	})
	return append(out, ']'), result, cut
}

// system writes the system instruction: the role user, and the operator's text
// first for models that the service refuses or misroutes without one.
func system(c *sdk.Ctx, b *sdk.Body, e *entry.Entry, have sdk.JSON) {
	first := ""
	if claude(c.Model) || c.Model == "gemini-3-pro-high" {
		first = e.Option("default_system", "")
	}
	if first == "" && !have.Exists() {
		return
	}
	parts := []byte{'['}
	if first != "" {
		parts = append(jsn.AppendStringMember(append(parts, '{'), "text", first), '}')
	}
	have.Get("parts").Each(func(part sdk.JSON) { parts = append(jsn.Sep(parts), part...) })
	b.Set("request.systemInstruction", `{"role":"user","parts":`+string(parts)+`]}`)
}

// tools asks for calls that fit their schemas, unless the client wants none or
// forces one.
func tools(c *sdk.Ctx, b *sdk.Body, request sdk.JSON) {
	if jsn.Len(request.Get("tools")) == 0 {
		return
	}
	mode := request.Get("toolConfig.functionCallingConfig.mode")
	if claude(c.Model) || !mode.Is("NONE") && !mode.Is("ANY") {
		b.Set("request.toolConfig.functionCallingConfig.mode", `"VALIDATED"`)
	}
}

// limits bounds the answer as the models want it.
func limits(c *sdk.Ctx, b *sdk.Body, e *entry.Entry, config sdk.JSON) {
	most := config.Get("maxOutputTokens")
	if !claude(c.Model) {
		limit := number(e.Option("max_output_tokens_cap", digits(geminiMost)))
		if limit > 0 && most.Int() > limit {
			b.Set("request.generationConfig.maxOutputTokens", digits(limit))
		}
		return
	}
	b.Default("request.generationConfig.temperature", "1")
	n := int64(claudeDefault)
	if most.Exists() {
		n = most.Int()
	}
	if budget := config.Get("thinkingConfig.thinkingBudget").Int(); budget >= n {
		n = budget + claudeDefault // the budget is part of the answer
		if n > claudeMost && budget >= claudeMost {
			b.Set("request.generationConfig.thinkingConfig.thinkingBudget", digits(claudeMost-claudeDefault))
		}
	}
	b.Set("request.generationConfig.maxOutputTokens", digits(min(n, claudeMost)))
}

func quoted(s string) string { return string(sdk.Quote(s)) }

func digits(n int64) string { return strconv.FormatInt(n, 10) }

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}
