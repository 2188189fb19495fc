package kiro

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/media"
	"github.com/omniroute/omniroute/sdk/hub/repair"
	"github.com/omniroute/omniroute/sdk/jsn"
)

const (
	fillerUser      = "continue"
	fillerAssistant = "..."
	noOutput        = "(no output)"
	blankLine       = `\n\n`
)

// turn is a run of messages of one side, merged (KI-1).
type turn struct {
	assistant bool
	text      jsn.Str
	images    []*hub.Media
	results   []*hub.Message
	calls     []hub.Call
}

// AppendRequest writes a conversation state (KI-2).
func (d *Dialect) AppendRequest(c *hub.Ctx, dst []byte, r *hub.Request) ([]byte, error) {
	hub.KeepReasoning(c, r, hub.NoReasoning)
	hub.DropTextSignatures(r)
	repair.DropBookkeeping(c, r)
	repair.Conversation(c, r, repair.Options{})
	if err := media.Refuse(c, r, takes); err != nil {
		return dst, err
	}
	repair.Tools(c, r, repair.ToolOptions{})
	repair.Names(c, r, repair.RuleOf(d.Name()))
	hub.DropLost(c, r, d.Name(), "max_tokens", "temperature", "top_p")
	system := repair.HoistSystem(c, r)
	turns := makeTurns(r.Messages)
	prependSystem(turns, system)
	w := &writer{tokens: c.Tokens(), model: c.TargetModel(r.Model), tools: allTools(r)}
	dst = append(dst, `{"conversationState":{"chatTriggerType":"MANUAL","conversationId":"`...)
	dst = append(append(dst, conversationID(c)...), `","currentMessage":`...)
	last := len(turns) - 1
	dst = w.user(dst, &turns[last], true)
	dst = append(dst, `,"history":[`...)
	for i := range turns[:last] {
		if turns[i].assistant {
			dst = w.assistant(jsn.Sep(dst), &turns[i])
		} else {
			dst = w.user(jsn.Sep(dst), &turns[i], false)
		}
	}
	dst = append(dst, ']', '}')
	return append(inference(dst, c, r), '}'), nil
}

// takes tells which media the API accepts: images as data, in results too (M-5).
func takes(m *hub.Message, p *hub.Part) bool {
	return p.Kind == hub.PartImage && p.Media != nil && len(p.Media.Data) > 0 && imageFormat(p.Media.MIME) != "" &&
		(m.Role == hub.User || m.Role == hub.Tool)
}

func imageFormat(mime string) string {
	switch f := strings.TrimPrefix(media.Type(mime), "image/"); f {
	case "jpeg", "png", "gif", "webp":
		return f
	}
	return ""
}

// makeTurns merges the messages of one side and adds the fillers, so that turns
// alternate, the user's first and last.
func makeTurns(ms []hub.Message) []turn {
	var turns []turn
	for i := range ms {
		m := &ms[i]
		assistant := m.Role == hub.Assistant
		if len(turns) == 0 && assistant {
			turns = append(turns, turn{})
		}
		if n := len(turns); n == 0 || turns[n-1].assistant != assistant {
			turns = append(turns, turn{assistant: assistant})
		}
		turns[len(turns)-1].add(m)
	}
	if n := len(turns); n == 0 || turns[n-1].assistant {
		turns = append(turns, turn{})
	}
	for i := range turns {
		if t := &turns[i]; len(t.text) == 0 {
			t.text = jsn.Lit(fillerUser)
			if t.assistant {
				t.text = jsn.Lit(fillerAssistant)
			}
		}
	}
	return turns
}

func (t *turn) add(m *hub.Message) {
	if m.Role == hub.Tool {
		for _, r := range t.results {
			if r.CallID == m.CallID {
				return
			}
		}
		t.results = append(t.results, m)
	}
	for i := range m.Parts {
		p := &m.Parts[i]
		switch {
		case p.Kind == hub.PartImage:
			t.images = append(t.images, p.Media)
		case m.Role != hub.Tool && len(p.Text) > 0 && string(p.Text) != blankLine:
			text := make(jsn.Str, 0, len(t.text)+len(blankLine)+len(p.Text))
			if len(t.text) > 0 {
				text = append(append(text, t.text...), blankLine...)
			}
			t.text = append(text, p.Text...)
		}
	}
	t.calls = append(t.calls, m.Calls...)
}

// prependSystem puts the system text, wrapped, in front of the first user text.
func prependSystem(turns []turn, system []hub.Part) {
	if len(system) == 0 {
		return
	}
	text := append(jsn.Str(nil), `<system-reminder>\n`...)
	for i := range system {
		if i > 0 {
			text = append(text, blankLine...)
		}
		text = append(text, system[i].Text...)
	}
	text = append(text, `\n</system-reminder>\n\n`...)
	turns[0].text = append(text, turns[0].text...)
}

// allTools lists the declared tools and a bare one for each tool that only history
// knows (KI-3).
func allTools(r *hub.Request) []hub.ToolDef {
	tools := append([]hub.ToolDef(nil), r.Tools...)
	for i := range r.Messages {
		for _, call := range r.Messages[i].Calls {
			known := false
			for j := range tools {
				known = known || tools[j].Name == call.Name
			}
			if !known {
				tools = append(tools, hub.ToolDef{Name: call.Name})
			}
		}
	}
	return tools
}

type writer struct {
	tokens jsn.Tokens
	model  string
	tools  []hub.ToolDef
}

func (w *writer) user(dst []byte, t *turn, current bool) []byte {
	dst = append(dst, `{"userInputMessage":{`...)
	dst = jsn.AppendStrMember(dst, "content", t.text)
	dst = jsn.AppendStringMember(dst, "modelId", w.model)
	dst = append(dst, `,"origin":"AI_EDITOR"`...)
	if len(t.images) > 0 {
		dst = append(jsn.AppendKey(dst, "images"), '[')
		for _, m := range t.images {
			dst = append(jsn.Sep(dst), `{"format":"`...)
			dst = append(append(dst, imageFormat(m.MIME)...), `","source":{"bytes":"`...)
			dst = append(append(dst, m.Data...), `"}}`...)
		}
		dst = append(dst, ']')
	}
	tools := current && len(w.tools) > 0
	if len(t.results) > 0 || tools {
		dst = append(jsn.AppendKey(dst, "userInputMessageContext"), '{')
		if len(t.results) > 0 {
			dst = append(jsn.AppendKey(dst, "toolResults"), '[')
			for _, m := range t.results {
				dst = appendResult(jsn.Sep(dst), m)
			}
			dst = append(dst, ']')
		}
		if tools {
			dst = append(jsn.AppendKey(dst, "tools"), '[')
			for i := range w.tools {
				dst = appendTool(jsn.Sep(dst), &w.tools[i])
			}
			dst = append(dst, ']')
		}
		dst = append(dst, '}')
	}
	return append(dst, '}', '}')
}

func appendResult(dst []byte, m *hub.Message) []byte {
	dst = append(dst, `{"content":[{"text":"`...)
	start := len(dst)
	for i := range m.Parts {
		if m.Parts[i].Kind != hub.PartText || len(m.Parts[i].Text) == 0 {
			continue
		}
		if len(dst) > start {
			dst = append(dst, '\\', 'n')
		}
		dst = append(dst, m.Parts[i].Text...)
	}
	if len(dst) == start {
		dst = append(dst, noOutput...)
	}
	status := "success"
	if m.IsError {
		status = "error"
	}
	dst = append(append(append(dst, `"}],"status":"`...), status...), '"')
	return append(jsn.AppendStringMember(dst, "toolUseId", m.CallID), '}')
}

// appendTool writes a definition (KI-4).
func appendTool(dst []byte, t *hub.ToolDef) []byte {
	desc := t.Description
	if len(desc) == 0 {
		desc = jsn.Lit("Tool: " + t.Name)
	}
	dst = append(dst, `{"toolSpecification":{`...)
	dst = jsn.AppendStringMember(dst, "name", t.Name)
	dst = jsn.AppendStrMember(dst, "description", desc)
	dst = append(jsn.AppendKey(dst, "inputSchema"), `{"json":`...)
	dst = appendSchema(dst, hub.ObjectSchema(t.Parameters), true, 0)
	return append(dst, '}', '}', '}')
}

// maxDepth bounds how deep schemas are cleaned.
const maxDepth = 64

// appendSchema copies a schema without the keywords the service refuses. The root has
// a required list, be it empty.
func appendSchema(dst, v []byte, root bool, depth int) []byte {
	switch kind := jsn.KindOf(v); {
	case depth > maxDepth:
		return append(dst, v...)
	case kind == jsn.Arr:
		dst = append(dst, '[')
		for it := jsn.Array(v); it.Next(); {
			dst = appendSchema(jsn.Sep(dst), it.Value(), false, depth+1)
		}
		return append(dst, ']')
	case kind != jsn.Obj:
		return append(dst, v...)
	}
	dst = append(dst, '{')
	required := false
	for it := jsn.Object(v); it.Next(); {
		key := string(it.Key())
		switch key {
		case "additionalProperties", "$schema":
			continue
		case "required":
			required = true
		}
		dst = append(jsn.AppendStr(jsn.Sep(dst), it.RawKey()), ':')
		switch key {
		case "properties", "$defs", "definitions", "patternProperties":
			dst = appendNamed(dst, it.Value(), depth+1)
		case "enum", "const", "default", "examples", "required":
			dst = append(dst, it.Value()...)
		default:
			dst = appendSchema(dst, it.Value(), false, depth+1)
		}
	}
	if root && !required {
		dst = append(jsn.AppendKey(dst, "required"), '[', ']')
	}
	return append(dst, '}')
}

// appendNamed copies an object whose member names are data.
func appendNamed(dst, v []byte, depth int) []byte {
	if jsn.KindOf(v) != jsn.Obj {
		return append(dst, v...)
	}
	dst = append(dst, '{')
	for it := jsn.Object(v); it.Next(); {
		dst = append(jsn.AppendStr(jsn.Sep(dst), it.RawKey()), ':')
		dst = appendSchema(dst, it.Value(), false, depth+1)
	}
	return append(dst, '}')
}

func (w *writer) assistant(dst []byte, t *turn) []byte {
	dst = append(dst, `{"assistantResponseMessage":{`...)
	dst = jsn.AppendStrMember(dst, "content", t.text)
	if len(t.calls) > 0 {
		dst = append(jsn.AppendKey(dst, "toolUses"), '[')
		for i := range t.calls {
			dst = append(jsn.Sep(dst), '{')
			dst = jsn.AppendStringMember(dst, "toolUseId", t.calls[i].ID)
			dst = jsn.AppendStringMember(dst, "name", t.calls[i].Name)
			dst = append(t.calls[i].Args.AppendObject(jsn.AppendKey(dst, "input"), w.tokens), '}')
		}
		dst = append(dst, ']')
	}
	return append(dst, '}', '}')
}

// inference writes limits and sampling (L-1, L-2).
func inference(dst []byte, c *hub.Ctx, r *hub.Request) []byte {
	at := len(dst)
	dst = append(jsn.AppendKey(dst, "inferenceConfig"), '{')
	empty := len(dst)
	if !c.Count {
		dst = jsn.AppendMember(dst, "maxTokens", r.MaxTokens)
	}
	dst = jsn.AppendMember(dst, "temperature", hub.Clamp(r.Temperature, 0, 1))
	dst = jsn.AppendMember(dst, "topP", r.TopP)
	if len(dst) == empty {
		return dst[:at]
	}
	return append(dst, '}')
}

// conversationID returns a random UUID (version 4, RFC 9562).
func conversationID(c *hub.Ctx) string {
	sum := sha256.Sum256([]byte(c.NewID("")))
	sum[6] = sum[6]&0x0f | 0x40
	sum[8] = sum[8]&0x3f | 0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
