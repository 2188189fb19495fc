package gemini

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/envelope"
	"github.com/omniroute/omniroute/sdk/hub/media"
	"github.com/omniroute/omniroute/sdk/hub/repair"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// ParseResponse reads a generateContent answer, bare or in the {"response": …}
// envelope of the code assistant (GC-2).
func (d *Dialect) ParseResponse(c *hub.Ctx, body []byte) (*hub.Response, error) {
	body = jsn.Trim(body)
	if jsn.Valid(body) != nil {
		return nil, hub.ErrBody("JSON")
	}
	a := readAnswer(body)
	if a.failed {
		return nil, hub.ReadError(c.Status, body)
	}
	col := hub.NewCollector(c)
	dec := newDecoder(c)
	dec.answer(a, col.Add)
	dec.End(col.Add)
	return col.Response()
}

// answer is one GenerateContentResponse: a whole answer or a piece of a stream.
type answer struct {
	failed    bool // an error, not an answer
	model, id string
	parts     []byte
	finish    string
	blocked   string // promptFeedback.blockReason
	candidate bool
	usage     []byte
}

func readAnswer(body []byte) answer {
	var a answer
	if jsn.KindOf(body) == jsn.Arr {
		a.failed = true // how some errors come
		return a
	}
	for it := jsn.Object(body); it.Next(); {
		v := it.Value()
		switch name(it.Key()) {
		case "response":
			if jsn.KindOf(v) == jsn.Obj {
				return readAnswer(v)
			}
		case "error":
			a.failed = a.failed || !jsn.IsNull(v)
		case "modelVersion":
			a.model = jsn.StrOf(v).View()
		case "responseId":
			a.id = jsn.StrOf(v).View()
		case "usageMetadata":
			a.usage = v
		case "promptFeedback":
			a.blocked = jsn.StrOf(member(v, "blockReason")).View()
		case "candidates":
			el := jsn.Array(v)
			if !el.Next() {
				continue
			}
			a.candidate = true
			for m := jsn.Object(el.Value()); m.Next(); {
				switch name(m.Key()) {
				case "content":
					a.parts = member(m.Value(), "parts")
				case "finishReason":
					a.finish = jsn.StrOf(m.Value()).View()
				}
			}
		}
	}
	return a
}

// counters are the numbers of usageMetadata. In streams they are cumulative: the last
// value of each counts (U-4).
type counters struct {
	prompt, tools, candidates, thoughts, cached, total int64
	produced                                           bool // candidates was given
	known                                              bool
}

func (k *counters) merge(v []byte) {
	for it := jsn.Object(v); it.Next(); {
		n, ok := jsn.Int(it.Value())
		if !ok || n < 0 {
			continue
		}
		switch name(it.Key()) {
		case "promptTokenCount":
			k.prompt = n
		case "toolUsePromptTokenCount":
			k.tools = n
		case "candidatesTokenCount":
			k.candidates, k.produced = n, true
		case "thoughtsTokenCount":
			k.thoughts = n
		case "cachedContentTokenCount":
			k.cached = n
		case "totalTokenCount":
			k.total = n
		default:
			continue
		}
		k.known = true
	}
}

// hub returns the usage the counters stand for (U-1, U-2).
func (k *counters) hub() hub.Usage {
	candidates := k.candidates
	if !k.produced {
		candidates = max(k.total-k.prompt-k.tools-k.thoughts, 0)
	}
	u := hub.Usage{Known: k.known, Prompt: k.prompt + k.tools, CachedRead: k.cached,
		Completion: candidates + k.thoughts, Reasoning: k.thoughts}
	u.Total = u.Sum()
	return u
}

// AppendResponse writes an answer for a Gemini client.
func (d *Dialect) AppendResponse(c *hub.Ctx, dst []byte, r *hub.Response) ([]byte, error) {
	w := newAnswerWriter(c)
	w.id, w.model = r.ID, r.Model
	dst = append(dst, `{"candidates":[{"content":{"role":"model","parts":[`...)
	start := len(dst)
	for i := range r.Items {
		dst = w.item(dst, &r.Items[i])
	}
	if len(dst) == start {
		dst = append(dst, `{"text":""}`...)
	}
	dst = append(dst, `]},"finishReason":"`...)
	dst = append(dst, finishReason(r.Finish)...)
	dst = append(dst, `","index":0}]`...)
	dst = w.usage(dst, &r.Usage)
	return append(w.tail(dst), '}'), nil
}

// finishReason is the Gemini name of a finish reason (F-1).
func finishReason(finish string) string {
	switch finish {
	case hub.FinishLength:
		return "MAX_TOKENS"
	case hub.FinishFilter:
		return "SAFETY"
	}
	return "STOP"
}

// answerWriter writes what answers and stream chunks have in common.
type answerWriter struct {
	tokens  jsn.Tokens
	restore func(string) string
	visible bool
	id      string
	model   string
	asked   string // the model the client asked for
	newID   func() string
}

func newAnswerWriter(c *hub.Ctx) *answerWriter {
	w := &answerWriter{tokens: c.Tokens(), visible: true, newID: func() string { return c.NewID("") }}
	if c.Request != nil {
		w.visible = false
		for it := jsn.Object(c.Request); it.Next(); {
			switch name(it.Key()) {
			case "model":
				w.asked = strings.TrimPrefix(w.tokens.Decode(jsn.StrOf(it.Value())), "models/")
			case "generationConfig":
				w.visible = jsn.IsTrue(member(member(it.Value(), "thinkingConfig"), "includeThoughts"))
			}
		}
	}
	w.restore = repair.Restore(c, toolNames)
	return w
}

// toolNames lists the function names of the client's request: declarations, then
// history.
func toolNames(c *hub.Ctx) []string {
	t := c.Tokens()
	var names, history []string
	for it := jsn.Object(c.Request); it.Next(); {
		switch name(it.Key()) {
		case "tools":
			for tool := jsn.Array(it.Value()); tool.Next(); {
				for fn := jsn.Array(member(tool.Value(), "functionDeclarations")); fn.Next(); {
					if s := jsn.StrOf(jsn.Get(fn.Value(), "name")); s != nil {
						names = append(names, t.Decode(s))
					}
				}
			}
		case "contents":
			for el := jsn.Array(it.Value()); el.Next(); {
				for p := jsn.Array(member(el.Value(), "parts")); p.Next(); {
					if s := jsn.StrOf(jsn.Get(member(p.Value(), "functionCall"), "name")); s != nil {
						history = append(history, t.Decode(s))
					}
				}
			}
		}
	}
	return append(names, history...)
}

// item writes the parts an output item becomes.
func (w *answerWriter) item(dst []byte, it *hub.Item) []byte {
	switch it.Kind {
	case hub.ItemText, hub.ItemRefusal:
		if len(it.Text) == 0 {
			return dst
		}
		dst = append(jsn.Sep(dst), '{')
		dst = jsn.AppendStrMember(dst, "text", it.Text)
		if len(it.Sig) > 0 {
			dst = jsn.AppendStrMember(dst, "thoughtSignature", it.Sig)
		}
		return append(dst, '}')
	case hub.ItemReasoning:
		return w.reasoning(dst, &it.Reasoning)
	case hub.ItemCall:
		return w.call(dst, it.Call.ID, it.Call.Name, &it.Call.Args, it.Call.GoogleSig)
	case hub.ItemImage:
		return w.image(dst, &it.Media)
	}
	return dst
}

// reasoning writes a thought part with its signature, enveloped unless Gemini signed
// it itself (E-1).
func (w *answerWriter) reasoning(dst []byte, r *hub.Reasoning) []byte {
	if !w.visible || len(r.Text) == 0 && len(r.Sig) == 0 {
		return dst
	}
	dst = append(jsn.Sep(dst), '{')
	dst = jsn.AppendStrMember(dst, "text", r.Text)
	dst = append(dst, `,"thought":true`...)
	return append(w.signature(dst, r), '}')
}

func (w *answerWriter) signature(dst []byte, r *hub.Reasoning) []byte {
	if len(r.Sig) == 0 {
		return dst
	}
	dst = jsn.AppendKey(dst, "thoughtSignature")
	if r.Provider == "gemini" {
		return jsn.AppendStr(dst, r.Sig)
	}
	dst = append(dst, '"')
	return append(envelope.AppendBase64(dst, w.tokens, r), '"')
}

func (w *answerWriter) call(dst []byte, id, fn string, args *hub.Args, sig jsn.Str) []byte {
	dst = append(jsn.Sep(dst), `{"functionCall":{`...)
	if id != "" {
		dst = jsn.AppendStringMember(dst, "id", id)
	}
	dst = jsn.AppendStringMember(dst, "name", w.restore(fn))
	dst = args.AppendObject(jsn.AppendKey(dst, "args"), w.tokens)
	dst = append(dst, '}')
	if len(sig) > 0 {
		dst = jsn.AppendStrMember(dst, "thoughtSignature", sig)
	}
	return append(dst, '}')
}

func (w *answerWriter) image(dst []byte, m *hub.Media) []byte {
	mime, data := m.MIME, m.Data
	if data == nil {
		var ok bool
		if mime, data, ok = media.DataURL(w.tokens, m.URL); !ok {
			dst = append(jsn.Sep(dst), `{"fileData":{`...)
			dst = jsn.AppendStringMember(dst, "mimeType", media.GuessType(w.tokens, m.URL, "image/png"))
			return append(jsn.AppendStrMember(dst, "fileUri", m.URL), '}', '}')
		}
	}
	dst = append(jsn.Sep(dst), `{"inlineData":{`...)
	dst = jsn.AppendStringMember(dst, "mimeType", mime)
	return append(jsn.AppendStrMember(dst, "data", data), '}', '}')
}

// usage writes usageMetadata (U-1, U-2).
func (w *answerWriter) usage(dst []byte, u *hub.Usage) []byte {
	dst = append(jsn.AppendKey(dst, "usageMetadata"), '{')
	dst = jsn.AppendIntMember(dst, "promptTokenCount", u.Prompt)
	dst = jsn.AppendIntMember(dst, "candidatesTokenCount", max(u.Completion-u.Reasoning, 0))
	if u.Reasoning > 0 {
		dst = jsn.AppendIntMember(dst, "thoughtsTokenCount", u.Reasoning)
	}
	if u.CachedRead > 0 {
		dst = jsn.AppendIntMember(dst, "cachedContentTokenCount", u.CachedRead)
	}
	dst = jsn.AppendIntMember(dst, "totalTokenCount", u.Sum())
	return append(dst, '}')
}

// tail writes model and id, which every chunk repeats.
func (w *answerWriter) tail(dst []byte) []byte {
	model := w.asked
	if model == "" {
		model = w.model
	}
	if model != "" {
		dst = jsn.AppendStringMember(dst, "modelVersion", model)
	}
	if w.id == "" {
		w.id = w.newID()
	}
	return jsn.AppendStringMember(dst, "responseId", w.id)
}
