package gemini

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/stream"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// NewDecoder implements [hub.Dialect].
func (d *Dialect) NewDecoder(c *hub.Ctx) hub.Decoder { return newDecoder(c) }

// decoder reads the chunks of one streamed answer. Each chunk is a whole
// GenerateContentResponse; function calls come complete (WU-3).
type decoder struct {
	ctx      *hub.Ctx
	out      hub.Chunk
	media    hub.Media
	usage    counters
	native   string
	calls    int
	started  bool
	output   bool // something visible was produced
	blocked  bool
	thinking bool // inside a thought
	done     bool
}

func newDecoder(c *hub.Ctx) *decoder { return &decoder{ctx: c} }

// Decode implements [hub.Decoder].
func (d *decoder) Decode(ev hub.Event, emit func(*hub.Chunk)) {
	if d.done {
		return
	}
	data := jsn.Trim(ev.Data)
	if len(data) == 0 {
		return
	}
	if string(data) == "[DONE]" {
		d.End(emit)
		return
	}
	if !ev.JSON() {
		return // not an event of this format
	}
	a := readAnswer(data)
	if a.failed {
		d.fail(hub.ReadError(d.ctx.Status, data), emit)
		return
	}
	d.answer(a, emit)
}

// answer takes one piece of the answer.
func (d *decoder) answer(a answer, emit func(*hub.Chunk)) {
	if a.usage != nil {
		d.usage.merge(a.usage)
	}
	if !d.started {
		d.started = true
		d.send(emit, hub.Chunk{Kind: hub.ChunkStart, ID: a.id, Model: a.model, Created: d.ctx.Now(), Usage: d.usage.hub()})
	}
	for it := jsn.Array(a.parts); it.Next(); {
		d.part(it.Value(), emit)
	}
	if a.finish != "" && a.finish != "FINISH_REASON_UNSPECIFIED" {
		d.native = strings.Clone(a.finish)
	}
	if a.blocked != "" && !a.candidate {
		d.blocked, d.native = true, strings.Clone(a.blocked)
	}
}

// part reads one part of an answer.
func (d *decoder) part(v []byte, emit func(*hub.Chunk)) {
	var text, sig jsn.Str
	var call, inline []byte
	thought := false
	for it := jsn.Object(v); it.Next(); {
		val := it.Value()
		switch name(it.Key()) {
		case "text":
			text = jsn.StrOf(val)
		case "thought":
			thought = jsn.IsTrue(val)
		case "thoughtSignature":
			sig = jsn.StrOf(val)
		case "functionCall":
			call = val
		case "inlineData":
			inline = val
		}
	}
	switch {
	case call != nil:
		d.leaveThought(emit)
		d.call(call, sig, emit)
	case thought:
		d.thought(text, sig, emit)
	case len(text) > 0:
		d.leaveThought(emit)
		d.output = true
		d.send(emit, hub.Chunk{Kind: hub.ChunkText, Text: text})
		d.sign(sig, emit)
	case inline != nil:
		p := inlinePart(inline)
		if p.Kind != hub.PartImage {
			return
		}
		d.leaveThought(emit)
		d.output = true
		d.media = *p.Media
		d.send(emit, hub.Chunk{Kind: hub.ChunkImage, Media: &d.media})
	case text != nil: // nothing but a signature (WU-3)
		d.sign(sig, emit)
	}
}

// sign passes the signature of a text on.
func (d *decoder) sign(sig jsn.Str, emit func(*hub.Chunk)) {
	if len(sig) > 0 {
		d.send(emit, hub.Chunk{Kind: hub.ChunkTextSig, Text: sig})
	}
}

func (d *decoder) thought(text, sig jsn.Str, emit func(*hub.Chunk)) {
	if len(text) > 0 {
		d.thinking = true
		d.send(emit, hub.Chunk{Kind: hub.ChunkReasoning, Text: text})
	}
	if len(sig) > 0 {
		d.thinking = true
		d.send(emit, hub.Chunk{Kind: hub.ChunkSignature, Text: sig, Provider: "gemini"})
	}
}

func (d *decoder) leaveThought(emit func(*hub.Chunk)) {
	if d.thinking {
		d.thinking = false
		d.send(emit, hub.Chunk{Kind: hub.ChunkReasoningEnd})
	}
}

func (d *decoder) call(v []byte, sig jsn.Str, emit func(*hub.Chunk)) {
	ch := hub.Chunk{Kind: hub.ChunkCallStart, Call: d.calls, Sig: sig}
	var args []byte
	for it := jsn.Object(v); it.Next(); {
		val := it.Value()
		switch name(it.Key()) {
		case "id":
			ch.CallID = jsn.StrOf(val).View()
		case "name":
			ch.Name = jsn.StrOf(val).View()
		case "args":
			args = val
		case "thoughtSignature":
			if len(ch.Sig) == 0 {
				ch.Sig = jsn.StrOf(val)
			}
		}
	}
	if ch.CallID == "" {
		ch.CallID = d.ctx.NewID("call_")
	}
	d.output = true
	d.calls++
	d.send(emit, ch)
	if jsn.IsNull(args) {
		args = []byte("{}")
	}
	d.send(emit, hub.Chunk{Kind: hub.ChunkCallArgs, Call: ch.Call, Raw: args})
	d.send(emit, hub.Chunk{Kind: hub.ChunkCallEnd, Call: ch.Call})
}

func (d *decoder) send(emit func(*hub.Chunk), ch hub.Chunk) {
	d.out = ch
	emit(&d.out)
}

func (d *decoder) fail(e *hub.Error, emit func(*hub.Chunk)) {
	d.done = true
	d.send(emit, hub.Chunk{Kind: hub.ChunkError, Err: e})
}

// End implements [hub.Decoder].
func (d *decoder) End(emit func(*hub.Chunk)) {
	if d.done {
		return
	}
	finish := hub.FinishOf(d.native)
	switch {
	case d.blocked:
		finish = hub.FinishFilter // F-4
	case badFinish(d.native) && !d.output:
		d.fail(finishError(d.native), emit)
		return
	case d.native == "" && !d.output && !d.thinking:
		d.fail(hub.ErrEmpty(), emit)
		return
	}
	d.leaveThought(emit)
	d.done = true
	d.send(emit, hub.Chunk{Kind: hub.ChunkFinish, Finish: hub.SettleFinish(finish, d.calls > 0, false),
		Native: d.native, Usage: d.usage.hub()})
}

// badFinish tells whether a finish reason means that the model failed (F-5).
func badFinish(native string) bool {
	switch native {
	case "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "NO_IMAGE":
		return true
	}
	return false
}

func finishError(native string) *hub.Error {
	code := "malformed_function_call"
	if native == "NO_IMAGE" {
		code = "empty_response"
	}
	return hub.BadGateway(code, "the model ended its answer with "+native)
}

// NewEncoder implements [hub.Dialect].
func (d *Dialect) NewEncoder(c *hub.Ctx) hub.Encoder {
	e := &encoder{ctx: c, answerWriter: newAnswerWriter(c)}
	e.seq = stream.NewSequencer(c, e.chunk)
	return e
}

// encoder writes the chunks of a streamed answer (WG-1, WG-2).
type encoder struct {
	*answerWriter
	ctx  *hub.Ctx
	seq  *stream.Sequencer
	emit func(hub.Event)
	buf  []byte
	sent bool
	done bool
	err  error

	callID, callName string
	callSig          jsn.Str
	// sig collects the signature of the open reasoning block.
	sig    jsn.Str
	signer string
}

// Encode implements [hub.Encoder].
func (e *encoder) Encode(ch *hub.Chunk, emit func(hub.Event)) error {
	if e.done {
		return e.err
	}
	e.emit = emit
	e.seq.Feed(ch)
	return e.err
}

// chunk takes what the sequencer lets through.
func (e *encoder) chunk(ch *hub.Chunk) {
	switch ch.Kind {
	case hub.ChunkStart:
		e.id, e.model = strings.Clone(ch.ID), strings.Clone(ch.Model)
		return
	case hub.ChunkReasoning:
		e.flushSignature()
		if e.visible && len(ch.Text) > 0 {
			e.open()
			e.buf = append(e.buf, '{')
			e.buf = append(jsn.AppendStrMember(e.buf, "text", ch.Text), `,"thought":true}`...)
			e.close()
		}
		return
	case hub.ChunkSignature:
		e.sig, e.signer = append(e.sig, ch.Text...), strings.Clone(ch.Provider)
		return
	case hub.ChunkReasoningEnd:
		e.flushSignature()
		return
	}
	if ch.Kind == hub.ChunkError {
		e.fail(ch.Err)
		return
	}
	e.flushSignature()
	switch ch.Kind {
	case hub.ChunkText, hub.ChunkRefusal:
		if len(ch.Text) > 0 {
			e.open()
			e.buf = append(e.buf, '{')
			e.buf = append(jsn.AppendStrMember(e.buf, "text", ch.Text), '}')
			e.close()
		}
	case hub.ChunkTextSig:
		e.open()
		e.buf = append(e.buf, `{"text":""`...)
		e.buf = append(jsn.AppendStrMember(e.buf, "thoughtSignature", ch.Text), '}')
		e.close()
	case hub.ChunkRedacted:
		e.signed(&hub.Reasoning{Sig: ch.Text, Provider: ch.Provider, Redacted: true})
	case hub.ChunkImage:
		e.open()
		e.buf = e.image(e.buf, ch.Media)
		e.close()
	case hub.ChunkCallStart:
		e.callID, e.callName = ch.CallID, ch.Name
		e.callSig = append(e.callSig[:0], ch.Sig...)
	case hub.ChunkCallEnd:
		args := hub.ArgsString(ch.Text)
		e.open()
		e.buf = e.call(e.buf, e.callID, e.callName, &args, e.callSig)
		e.close()
	case hub.ChunkFinish:
		e.done = true
		e.open()
		e.buf = append(e.buf, `{"text":""}`...)
		e.buf = append(e.buf, `]},"finishReason":"`...)
		e.buf = append(e.buf, finishReason(ch.Finish)...)
		e.buf = append(e.buf, `","index":0}]`...)
		e.buf = e.usage(e.buf, &ch.Usage)
		e.send()
	}
}

func (e *encoder) flushSignature() {
	if len(e.sig) == 0 {
		return
	}
	e.signed(&hub.Reasoning{Sig: e.sig, Provider: e.signer})
	e.sig = e.sig[:0]
}

// signed sends a signature as an empty thought part.
func (e *encoder) signed(r *hub.Reasoning) {
	if !e.visible {
		return
	}
	e.open()
	e.buf = e.reasoning(e.buf, r)
	e.close()
}

func (e *encoder) open() {
	e.buf = append(e.buf[:0], `{"candidates":[{"content":{"role":"model","parts":[`...)
}

func (e *encoder) close() {
	e.buf = append(e.buf, `]},"index":0}]`...)
	e.send()
}

func (e *encoder) send() {
	e.buf = append(e.tail(e.buf), '}')
	e.sent = true
	e.emit(hub.Event{Data: e.buf})
}

func (e *encoder) fail(err *hub.Error) {
	e.done = true
	if !e.sent {
		e.err = err
		return
	}
	e.buf = appendError(e.buf[:0], err)
	e.emit(hub.Event{Data: e.buf})
}
