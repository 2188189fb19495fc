package gemini

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/envelope"
	"github.com/omniroute/omniroute/sdk/hub/media"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// name returns a member name in camel case: both spellings are legal at every level
// (GS-1).
func name(key []byte) string {
	under := false
	for _, c := range key {
		under = under || c == '_'
	}
	if !under {
		return jsn.View(key)
	}
	out := make([]byte, 0, len(key))
	for i := 0; i < len(key); i++ {
		if key[i] == '_' && i > 0 && i+1 < len(key) && key[i+1] >= 'a' && key[i+1] <= 'z' {
			i++
			out = append(out, key[i]-'a'+'A')
			continue
		}
		out = append(out, key[i])
	}
	return string(out)
}

// omniMember is how [name] spells the member x_omni.
const omniMember = "xOmni"

// ParseRequest reads a generateContent request (section 2.4 of the translation
// rules).
func (d *Dialect) ParseRequest(c *hub.Ctx, body []byte) (*hub.Request, error) {
	body, err := hub.CheckBody(c, body)
	if err != nil {
		return nil, err
	}
	if c.Count {
		if inner := member(body, "generateContentRequest"); inner != nil {
			body = inner
		}
	}
	p := &requestParser{ctx: c, tokens: c.Tokens(), arena: c.Arena, req: &hub.Request{Source: "gemini", Stream: c.Stream}}
	if p.arena == nil {
		p.arena = new(hub.Arena)
	}
	// The first place is kept for the system message.
	p.req.Messages = p.arena.Messages(len(body)/bytesPerMessage + 16)[:1]
	var system, toolConfig []byte
	for it := jsn.Object(body); it.Next(); {
		switch key := name(it.Key()); key {
		case "contents":
			p.contents(&it)
		case "systemInstruction":
			system = it.Value()
		case "generationConfig":
			p.generationConfig(it.Value())
		case "tools":
			p.tools(it.Value())
		case "toolConfig":
			toolConfig = it.Value()
		case "model":
			p.req.Model = strings.TrimPrefix(p.text(it.Value()), "models/")
		case "stream", omniMember:
			// The one belongs to the URL, the other is no channel for clients (P-3).
		default:
			p.req.Raw = append(p.req.Raw, hub.Field{Name: key, Raw: it.Value()})
		}
	}
	if err := hub.CheckState(c, p.req); err != nil {
		return nil, err
	}
	nameFields(c)
	if m := p.system(system); len(m.Parts) > 0 {
		p.req.Messages[0] = m
	} else {
		p.req.Messages = p.req.Messages[1:]
	}
	p.choice(toolConfig)
	return p.req, nil
}

// bytesPerMessage is a guess that makes the list of messages rarely grow.
const bytesPerMessage = 200

type requestParser struct {
	ctx    *hub.Ctx
	tokens jsn.Tokens
	req    *hub.Request
	arena  *hub.Arena
	// open lists the calls of the latest batch, in order; a batch ends where the model
	// speaks again behind the user.
	open     []openCall
	answered bool // the user spoke since the latest call
	// inThought tells that the part read last was a thought.
	inThought bool
}

type openCall struct {
	id, name string
	answered bool
}

// text decodes a string value, looking through body tokens.
func (p *requestParser) text(v []byte) string { return p.tokens.Decode(jsn.StrOf(v)) }

func (p *requestParser) system(v []byte) hub.Message {
	m := hub.Message{Role: hub.System}
	if s := jsn.StrOf(v); s != nil { // tolerated by the SDKs
		m.Parts = append(m.Parts, hub.Part{Kind: hub.PartText, Text: s})
	}
	parts := member(v, "parts")
	for it := jsn.Array(parts); it.Next(); {
		if s := jsn.StrOf(jsn.Get(it.Value(), "text")); s != nil {
			m.Parts = append(m.Parts, hub.Part{Kind: hub.PartText, Text: s})
		}
	}
	if jsn.KindOf(parts) == jsn.Obj {
		if s := jsn.StrOf(jsn.Get(parts, "text")); s != nil {
			m.Parts = append(m.Parts, hub.Part{Kind: hub.PartText, Text: s})
		}
	}
	return m
}

// member returns a member by its camel case name in either spelling.
func member(v []byte, key string) []byte {
	for it := jsn.Object(v); it.Next(); {
		if name(it.Key()) == key {
			return it.Value()
		}
	}
	return nil
}

// contents reads the conversation in place.
func (p *requestParser) contents(it *jsn.ObjectIter) {
	switch it.Kind() {
	case jsn.String: // the SDKs' short form of one user text
		p.req.Messages = append(p.req.Messages, hub.Message{Role: hub.User,
			Parts: []hub.Part{{Kind: hub.PartText, Text: jsn.StrOf(it.Value())}}})
	case jsn.Obj:
		entry := jsn.Object(it.Value())
		p.content(&entry, 0)
	}
	list := it.Array()
	for i := 0; list.Next(); i++ {
		entry := list.Object()
		p.content(&entry, i)
		list.Leave(entry.End())
	}
	it.Leave(list.End())
}

// content reads one entry of contents. Results of calls become messages of their
// own, before the other parts of their entry. The parts are read in place when the role
// stands ahead of them, else as soon as it is known.
func (p *requestParser) content(it *jsn.ObjectIter, index int) {
	m := hub.Message{Role: hub.User}
	begun := false
	var late []byte
	for it.Next() {
		switch name(it.Key()) {
		case "role":
			switch string(jsn.StrOf(it.Value())) {
			case "model":
				m.Role = hub.Assistant
			case "system":
				m.Role = hub.System
			}
			p.begin(&m)
			begun = true
		case "parts":
			if begun && it.Kind() == jsn.Arr {
				list := it.Array()
				p.parts(&m, &list, index)
				it.Leave(list.End())
			} else {
				late = it.Value()
			}
		}
	}
	if !begun {
		p.begin(&m)
	}
	switch jsn.KindOf(late) {
	case jsn.Obj:
		part := jsn.Object(late)
		p.part(&m, &part, index, 0)
	case jsn.Arr:
		list := jsn.Array(late)
		p.parts(&m, &list, index)
	}
	if len(m.Parts) > 0 || len(m.Calls) > 0 || len(m.Reasoning) > 0 {
		p.req.Messages = append(p.req.Messages, m)
	}
	p.answered = p.answered || m.Role != hub.Assistant
}

// begin goes on with the message before: a block of thoughts may go on in the next
// entry of the model.
func (p *requestParser) begin(m *hub.Message) {
	if n := len(p.req.Messages); p.inThought && n > 0 && m.Role == hub.Assistant && p.req.Messages[n-1].Role == hub.Assistant {
		*m, p.req.Messages = p.req.Messages[n-1], p.req.Messages[:n-1]
	} else {
		p.inThought = false
	}
}

func (p *requestParser) parts(m *hub.Message, list *jsn.ArrayIter, index int) {
	for i := 0; list.Next(); i++ {
		part := list.Object()
		p.part(m, &part, index, i)
		list.Leave(part.End())
	}
}

// part reads one part into m, or appends a tool message.
func (p *requestParser) part(m *hub.Message, it *jsn.ObjectIter, content, index int) {
	var text, call, result, inline, file, sig []byte
	thought := false
	for it.Next() {
		switch name(it.Key()) {
		case "text":
			text = it.Value()
		case "thought":
			thought = jsn.IsTrue(it.Value())
		case "thoughtSignature":
			sig = it.Value()
		case "functionCall":
			call = it.Value()
		case "functionResponse":
			result = it.Value()
		case "inlineData":
			inline = it.Value()
		case "fileData":
			file = it.Value()
		case "executableCode", "codeExecutionResult":
			p.ctx.Drop("contents.parts." + name(it.Key()))
		}
	}
	follows := p.inThought
	p.inThought = thought && call == nil && result == nil
	switch {
	case call != nil:
		p.call(m, call, sig, content, index)
	case result != nil:
		p.result(result)
	case thought:
		p.thought(m, jsn.StrOf(text), jsn.StrOf(sig), follows)
	case text != nil:
		if s := jsn.StrOf(text); s != nil {
			m.Parts = p.arena.Parts.Grow(m.Parts)
			m.Parts[len(m.Parts)-1] = hub.Part{Kind: hub.PartText, Text: s, Sig: p.ownSignature(jsn.StrOf(sig))}
		}
	case inline != nil:
		m.Parts = append(m.Parts, inlinePart(inline))
	case file != nil:
		m.Parts = append(m.Parts, filePart(p.tokens, file))
	}
}

// thought reads a thought part. Neighbouring parts up to the one with a signature are
// one block: clients send back what a stream delivered piece by piece, the signature
// on an empty part at its end (WG-2). follows tells whether the part before was a
// thought.
func (p *requestParser) thought(m *hub.Message, text, sig jsn.Str, follows bool) {
	r := hub.Reasoning{Text: text}
	if len(sig) > 0 {
		r.Sig, r.Provider, r.Redacted = p.openSignature(sig)
	}
	if n := len(m.Reasoning); follows && n > 0 && len(m.Reasoning[n-1].Sig) == 0 && !r.Redacted {
		open := &m.Reasoning[n-1]
		open.Text = append(open.Text[:len(open.Text):len(open.Text)], text...)
		open.Sig, open.Provider = r.Sig, r.Provider
		return
	}
	if len(text) == 0 && len(r.Sig) == 0 {
		return
	}
	m.Reasoning = append(m.Reasoning, r)
}

// openSignature opens the base64 envelope of a foreign signature (E-1); anything
// else was signed by Gemini.
func (p *requestParser) openSignature(sig jsn.Str) (inner jsn.Str, provider string, redacted bool) {
	if r, ok := envelope.OpenBase64(p.tokens, sig); ok {
		return r.Sig, r.Provider, r.Redacted
	}
	return sig, "gemini", false
}

// ownSignature is the signature of a part that is no thought: what another provider
// signed means nothing there.
func (p *requestParser) ownSignature(sig jsn.Str) jsn.Str {
	if inner, provider, _ := p.openSignature(sig); provider == "gemini" {
		return inner
	}
	return nil
}

func (p *requestParser) call(m *hub.Message, v, sig []byte, content, index int) {
	m.Calls = p.arena.Calls.Grow(m.Calls)
	call := &m.Calls[len(m.Calls)-1]
	call.GoogleSig = jsn.StrOf(sig)
	for it := jsn.Object(v); it.Next(); {
		val := it.Value()
		switch name(it.Key()) {
		case "id":
			call.ID = p.text(val)
		case "name":
			call.Name = p.text(val)
		case "args":
			call.Args = hub.ArgsValue(val)
		case "thoughtSignature":
			if call.GoogleSig == nil {
				call.GoogleSig = jsn.StrOf(val)
			}
		}
	}
	if call.ID == "" {
		call.ID = "call_g" + itoa(content) + "_" + itoa(index)
	}
	call.GoogleSig = p.ownSignature(call.GoogleSig)
	if p.answered {
		p.open, p.answered = p.open[:0], false
	}
	p.open = append(p.open, openCall{id: call.ID, name: call.Name})
}

// result reads a functionResponse (GS-3).
func (p *requestParser) result(v []byte) {
	m := hub.Message{Role: hub.Tool}
	var response, parts []byte
	for it := jsn.Object(v); it.Next(); {
		val := it.Value()
		switch name(it.Key()) {
		case "id":
			m.CallID = p.text(val)
		case "name":
			m.Name = p.text(val)
		case "response":
			response = val
		case "parts":
			parts = val
		}
	}
	m.CallID = p.answer(m.CallID, m.Name)
	text, failed := p.resultText(response)
	m.IsError = failed
	m.Parts = p.arena.Parts.Grow(nil)
	m.Parts[0] = hub.Part{Kind: hub.PartText, Text: text}
	for it := jsn.Array(parts); it.Next(); {
		for part := jsn.Object(it.Value()); part.Next(); {
			switch name(part.Key()) {
			case "inlineData":
				m.Parts = append(m.Parts, inlinePart(part.Value()))
			case "fileData":
				m.Parts = append(m.Parts, filePart(p.tokens, part.Value()))
			}
		}
	}
	p.req.Messages = append(p.req.Messages, m)
}

// answer marks the call that a result belongs to: by id, else the first open call of
// that name.
func (p *requestParser) answer(id, fn string) string {
	for i := range p.open {
		o := &p.open[i]
		if o.answered || (id != "" && o.id != id) || (id == "" && o.name != fn) {
			continue
		}
		o.answered = true
		return o.id
	}
	return id
}

// resultText is the text a response object stands for.
func (p *requestParser) resultText(v []byte) (text jsn.Str, failed bool) {
	if jsn.KindOf(v) == jsn.Obj && jsn.Len(v) == 1 {
		it := jsn.Object(v)
		it.Next()
		s := jsn.StrOf(it.Value())
		switch string(it.Key()) {
		case "output", "result":
			if s != nil {
				return s, false
			}
		case "error":
			if s == nil {
				s = p.tokens.AppendQuoted([]byte{}, it.Value())
			}
			return s, true
		}
	}
	if len(v) == 0 {
		return jsn.Lit(""), false
	}
	return p.tokens.AppendQuoted([]byte{}, v), false
}

func itoa(n int) string { return string(jsn.AppendInt(nil, int64(n))) }

// inlinePart reads a Blob: base64 data with its MIME type.
func inlinePart(v []byte) hub.Part {
	mime, data := "", jsn.Str(nil)
	m := &hub.Media{Type: "inlineData"}
	for it := jsn.Object(v); it.Next(); {
		switch name(it.Key()) {
		case "mimeType":
			mime = jsn.StrOf(it.Value()).String()
		case "data":
			data = jsn.StrOf(it.Value())
		case "displayName":
			m.Name = jsn.StrOf(it.Value())
		}
	}
	m.MIME, m.Data = media.Type(mime), data
	return hub.Part{Kind: kindOf(m.MIME), Media: m}
}

// filePart reads a FileData: a URI with its MIME type.
func filePart(t jsn.Tokens, v []byte) hub.Part {
	m := &hub.Media{Type: "fileData"}
	for it := jsn.Object(v); it.Next(); {
		switch name(it.Key()) {
		case "mimeType":
			m.MIME = media.Type(jsn.StrOf(it.Value()).String())
		case "fileUri":
			m.URL = jsn.StrOf(it.Value())
		case "displayName":
			m.Name = jsn.StrOf(it.Value())
		}
	}
	if m.MIME == "" {
		m.MIME = media.GuessType(t, m.URL, "")
	}
	kind := kindOf(m.MIME)
	if kind == hub.PartAudio {
		kind = hub.PartFile // audio exists as data only
	}
	return hub.Part{Kind: kind, Media: m}
}

func kindOf(mime string) hub.PartKind {
	switch {
	case strings.HasPrefix(mime, "image/"):
		return hub.PartImage
	case strings.HasPrefix(mime, "audio/"):
		return hub.PartAudio
	case strings.HasPrefix(mime, "video/"):
		return hub.PartVideo
	}
	return hub.PartFile
}
