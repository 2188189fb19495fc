package openairesponses

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/stream"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// NewEncoder implements [hub.Dialect].
func (dialect) NewEncoder(c *hub.Ctx) hub.Encoder {
	e := &encoder{client: newClient(c)}
	e.seq = stream.NewSequencer(c, e.chunk)
	return e
}

// Kinds of open items.
const (
	openNone = iota
	openText
	openRefusal
	openReasoning
	openCall
)

// encoder writes the events of one response. Items are sequential: one is closed
// before the next opens (WR-1 to WR-5).
type encoder struct {
	*client
	seq  *stream.Sequencer
	emit func(hub.Event)
	buf  []byte

	id, model string
	created   int64
	sequence  int64
	name      string // type of the event being written
	begun     bool
	done      bool
	err       error

	open   int
	itemID string
	index  int64
	text   jsn.Str
	sig    jsn.Str
	signer string
	part   bool // the summary part of the open reasoning item was added
	ended  bool // the open reasoning item is over, but for a signature
	call   outCall
	output []byte // the items that are done, comma separated
	refuse bool
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
		e.id, e.model, e.created = e.ctx.MessageID("resp_", ch.ID), strings.Clone(ch.Model), ch.Created
	case hub.ChunkText:
		e.delta(openText, ch.Text)
	case hub.ChunkRefusal:
		e.refuse = e.refuse || len(ch.Text) > 0
		e.delta(openRefusal, ch.Text)
	case hub.ChunkImage:
		e.close(completed)
		e.delta(openText, imageNote(ch.Media))
		e.close(completed)
	case hub.ChunkReasoning:
		e.reasoning(ch.Text)
	case hub.ChunkSignature:
		if e.open != openReasoning || e.ended {
			e.openReasoning()
		}
		e.sig, e.signer = append(e.sig, ch.Text...), strings.Clone(ch.Provider)
	case hub.ChunkReasoningEnd:
		// The item stays open: a call behind it may leave its signature there (E-4).
		e.ended = e.open == openReasoning
	case hub.ChunkRedacted:
		e.block(&hub.Reasoning{Sig: ch.Text, Provider: ch.Provider, Redacted: true})
	case hub.ChunkCallStart:
		e.startCall(ch)
	case hub.ChunkCallArgs:
		if !e.call.custom {
			e.event("response.function_call_arguments.delta")
			e.place()
			e.buf = jsn.AppendStrMember(e.buf, "delta", ch.Text)
			e.send()
		}
	case hub.ChunkCallEnd:
		e.text = append(e.text[:0], ch.Text...)
		if e.call.custom {
			e.text = append(e.text[:0], customInput(e.tokens, ch.Text)...)
		}
	case hub.ChunkFinish:
		e.finish(ch)
	case hub.ChunkError:
		e.fail(ch.Err)
	}
}

// event starts an event of a type.
func (e *encoder) event(typ string) {
	e.begin()
	e.name = typ
	e.buf = append(e.buf[:0], `{"type":"`...)
	e.buf = append(append(e.buf, typ...), `","sequence_number":`...)
	e.buf = jsn.AppendInt(e.buf, e.sequence)
	e.sequence++
}

// place names the open item in the event.
func (e *encoder) place() {
	e.buf = jsn.AppendStringMember(e.buf, "item_id", e.itemID)
	e.buf = jsn.AppendIntMember(e.buf, "output_index", e.index)
}

func (e *encoder) send() {
	e.buf = append(e.buf, '}')
	e.emit(hub.Event{Name: e.name, Data: e.buf})
}

// begin sends the two events every stream starts with, before the first output.
func (e *encoder) begin() {
	if e.begun {
		return
	}
	e.begun = true
	if e.id == "" {
		e.id = e.ctx.NewID("resp_")
	}
	if e.created == 0 {
		e.created = e.ctx.Now()
	}
	for _, typ := range [...]string{"response.created", "response.in_progress"} {
		e.event(typ)
		e.buf = e.head(jsn.AppendKey(e.buf, "response"), e.id, e.model, e.created, inProgress, "", nil)
		e.buf = append(e.buf, `,"output":[],"usage":null}`...)
		e.send()
	}
}

// added announces the open item.
func (e *encoder) added(write func(dst []byte) []byte) {
	e.event("response.output_item.added")
	e.buf = jsn.AppendIntMember(e.buf, "output_index", e.index)
	e.buf = write(jsn.AppendKey(e.buf, "item"))
	e.send()
}

// delta sends a piece of text or refusal, opening its message item first.
func (e *encoder) delta(kind int, s jsn.Str) {
	if len(s) == 0 {
		return
	}
	n := textNames(kind)
	if e.open != kind {
		e.close(completed)
		e.open, e.itemID, e.text = kind, e.ctx.NewID("msg_"), e.text[:0]
		e.added(func(dst []byte) []byte {
			dst = append(dst, '{')
			dst = jsn.AppendStringMember(dst, "id", e.itemID)
			return append(dst, `,"type":"message","status":"in_progress","role":"assistant","content":[]}`...)
		})
		e.event("response.content_part.added")
		e.place()
		e.buf = append(e.buf, `,"content_index":0`...)
		e.buf = contentPart(jsn.AppendKey(e.buf, "part"), n.part, n.field, nil, nil)
		e.send()
	}
	e.text = append(e.text, s...)
	e.event(n.delta)
	e.place()
	e.buf = append(e.buf, `,"content_index":0`...)
	e.buf = jsn.AppendStrMember(e.buf, "delta", s)
	e.send()
}

// textName holds the names that text and refusals have in events and parts.
type textName struct{ delta, done, part, field string }

func textNames(kind int) textName {
	if kind == openRefusal {
		return textName{"response.refusal.delta", "response.refusal.done", "refusal", "refusal"}
	}
	return textName{"response.output_text.delta", "response.output_text.done", "output_text", "text"}
}

func (e *encoder) openReasoning() {
	e.close(completed)
	e.open, e.itemID, e.text, e.sig, e.part, e.ended = openReasoning, "", e.text[:0], e.sig[:0], false, false
}

// announceReasoning sends the item's start; a block that stays empty has none.
func (e *encoder) announceReasoning() {
	if e.itemID != "" {
		return
	}
	e.itemID = e.ctx.NewID("rs_")
	e.added(func(dst []byte) []byte {
		dst = append(dst, '{')
		dst = jsn.AppendStringMember(dst, "id", e.itemID)
		return append(dst, `,"type":"reasoning","summary":[]}`...)
	})
}

func (e *encoder) reasoning(s jsn.Str) {
	if len(s) == 0 {
		return
	}
	if e.open != openReasoning || e.ended {
		e.openReasoning()
	}
	e.announceReasoning()
	if !e.part {
		e.part = true
		e.event("response.reasoning_summary_part.added")
		e.place()
		e.buf = append(e.buf, `,"summary_index":0,"part":{"type":"summary_text","text":""}`...)
		e.send()
	}
	e.text = append(e.text, s...)
	e.event("response.reasoning_summary_text.delta")
	e.place()
	e.buf = append(e.buf, `,"summary_index":0`...)
	e.buf = jsn.AppendStrMember(e.buf, "delta", s)
	e.send()
}

// block sends a reasoning item that is nothing but a signature.
func (e *encoder) block(r *hub.Reasoning) {
	e.openReasoning()
	e.sig, e.signer = append(e.sig, r.Sig...), strings.Clone(r.Provider)
	e.closeReasoning(r.Redacted, completed)
}

func (e *encoder) startCall(ch *hub.Chunk) {
	if len(ch.Sig) > 0 {
		// The signature of a call travels in the reasoning item before it (E-4).
		if e.open == openReasoning && len(e.sig) == 0 {
			e.sig, e.signer = append(e.sig, ch.Sig...), "gemini"
			e.close(completed)
		} else {
			e.block(&hub.Reasoning{Sig: ch.Sig, Provider: "gemini"})
		}
	}
	e.close(completed)
	e.call = e.client.call(strings.Clone(ch.CallID), strings.Clone(ch.Name))
	e.open, e.itemID, e.text = openCall, e.call.itemID(), e.text[:0]
	e.added(func(dst []byte) []byte { return e.call.item(dst, inProgress, nil) })
}

// close ends the open item with a status.
func (e *encoder) close(status string) {
	switch e.open {
	case openText, openRefusal:
		e.closeText(status)
	case openReasoning:
		e.closeReasoning(false, status)
	case openCall:
		e.closeCall(status)
	}
	e.open = openNone
}

func (e *encoder) closeText(status string) {
	n := textNames(e.open)
	e.event(n.done)
	e.place()
	e.buf = append(e.buf, `,"content_index":0`...)
	e.buf = jsn.AppendStrMember(e.buf, n.field, e.text)
	e.send()
	e.event("response.content_part.done")
	e.place()
	e.buf = append(e.buf, `,"content_index":0`...)
	e.buf = contentPart(jsn.AppendKey(e.buf, "part"), n.part, n.field, e.text, nil)
	e.send()
	e.itemDone(func(dst []byte) []byte {
		return messageItem(dst, e.itemID, status, n.part, n.field, e.text, nil)
	})
}

func (e *encoder) closeReasoning(redacted bool, status string) {
	e.open = openNone
	r := hub.Reasoning{Text: e.text, Sig: e.sig, Provider: e.signer, Redacted: redacted}
	if e.itemID == "" && (len(r.Sig) == 0 || !e.sealed) {
		return
	}
	e.announceReasoning()
	if e.part {
		e.event("response.reasoning_summary_text.done")
		e.place()
		e.buf = append(e.buf, `,"summary_index":0`...)
		e.buf = jsn.AppendStrMember(e.buf, "text", e.text)
		e.send()
		e.event("response.reasoning_summary_part.done")
		e.place()
		e.buf = append(e.buf, `,"summary_index":0,"part":{"type":"summary_text"`...)
		e.buf = append(jsn.AppendStrMember(e.buf, "text", e.text), '}')
		e.send()
	}
	e.itemDone(func(dst []byte) []byte { return e.reasoningItem(dst, e.itemID, cutStatus(status), &r) })
}

func (e *encoder) closeCall(status string) {
	if e.call.custom {
		e.event("response.custom_tool_call_input.delta")
		e.place()
		e.buf = jsn.AppendStrMember(e.buf, "delta", e.text)
		e.send()
		e.event("response.custom_tool_call_input.done")
		e.place()
		e.buf = jsn.AppendStrMember(e.buf, "input", e.text)
	} else {
		e.event("response.function_call_arguments.done")
		e.place()
		e.buf = jsn.AppendStringMember(e.buf, "name", e.call.name)
		e.buf = jsn.AppendStrMember(e.buf, "arguments", e.text)
	}
	e.send()
	e.itemDone(func(dst []byte) []byte { return e.call.item(dst, status, e.text) })
}

// itemDone sends the finished item and keeps it for the final snapshot (WR-3).
func (e *encoder) itemDone(write func(dst []byte) []byte) {
	if len(e.output) > 0 {
		e.output = append(e.output, ',')
	}
	at := len(e.output)
	e.output = write(e.output)
	e.event("response.output_item.done")
	e.buf = jsn.AppendIntMember(e.buf, "output_index", e.index)
	e.buf = append(jsn.AppendKey(e.buf, "item"), e.output[at:]...)
	e.send()
	e.index++
}

func (e *encoder) finish(ch *hub.Chunk) {
	status := statusOf(ch.Finish, ch.Native, e.refuse)
	e.close(status)
	e.event(terminalEvent(status))
	e.buf = e.head(jsn.AppendKey(e.buf, "response"), e.id, e.model, e.created, status, ch.Finish, nil)
	e.buf = append(append(e.buf, `,"output":[`...), e.output...)
	e.buf = appendUsage(append(e.buf, `],"usage":`...), &ch.Usage)
	e.buf = append(e.buf, '}')
	e.send()
	e.done = true
}

// terminalEvent names the last event of a response by its status.
func terminalEvent(status string) string {
	if status == incomplete {
		return "response.incomplete"
	}
	return "response.completed"
}

// fail ends the stream with an error event and a failed response, or refuses it
// when nothing was sent yet.
func (e *encoder) fail(err *hub.Error) {
	e.done = true
	if !e.begun {
		e.err = err
		return
	}
	e.event("error")
	e.buf = jsn.AppendStringMember(e.buf, "code", errorCode(err))
	e.buf = jsn.AppendStringMember(e.buf, "message", err.Message)
	e.buf = jsn.AppendKey(e.buf, "param")
	if err.Param == "" {
		e.buf = append(e.buf, "null"...)
	} else {
		e.buf = jsn.AppendString(e.buf, err.Param)
	}
	e.send()
	e.event("response.failed")
	e.buf = e.head(jsn.AppendKey(e.buf, "response"), e.id, e.model, e.created, failed, "", err)
	e.buf = append(append(e.buf, `,"output":[`...), e.output...)
	e.buf = append(e.buf, `],"usage":null}`...)
	e.send()
}
