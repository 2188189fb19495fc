package chat

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/repair"
	"github.com/omniroute/omniroute/sdk/hub/stream"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// encoder writes a stream of chat completion chunks.
type encoder struct {
	c     *hub.Ctx
	k     client
	seq   *stream.Sequencer
	emit  func(hub.Event)
	names func(string) string

	head []byte // everything up to the choices
	buf  []byte

	keepID bool // the id is not made one of this format
	sent   bool
	done   bool
	ended  bool // a reasoning block ended
	spoke  bool // some reasoning was sent
	images int
	err    error
}

// NewEncoder writes a stream of chat completion chunks.
func NewEncoder(c *hub.Ctx) hub.Encoder {
	e := &encoder{c: c, k: readClient(c)}
	e.seq = stream.NewSequencer(c, e.take)
	e.seq.Parallel = true
	return e
}

// Encode implements hub.Encoder.
func (e *encoder) Encode(ch *hub.Chunk, emit func(hub.Event)) error {
	if e.done {
		return nil
	}
	e.emit = emit
	e.seq.Feed(ch)
	return e.err
}

// take writes one chunk of the sequencer.
func (e *encoder) take(ch *hub.Chunk) {
	switch ch.Kind {
	case hub.ChunkStart:
		e.begin(ch)
	case hub.ChunkText:
		if len(ch.Text) > 0 {
			e.open()
			e.buf = jsn.AppendStrMember(e.buf, "content", ch.Text)
			e.flush("")
		}
	case hub.ChunkRefusal:
		if len(ch.Text) > 0 {
			e.open()
			e.buf = jsn.AppendStrMember(e.buf, "refusal", ch.Text)
			e.flush("")
		}
	case hub.ChunkReasoning:
		if len(ch.Text) > 0 {
			e.reasoning(ch.Text)
		}
	case hub.ChunkReasoningEnd, hub.ChunkRedacted:
		e.ended = e.spoke
	case hub.ChunkImage:
		e.open()
		e.buf = append(jsn.AppendKey(e.buf, "images"), '[')
		e.buf = append(appendImage(e.buf, ch.Media, e.images), ']')
		e.images++
		e.flush("")
	case hub.ChunkCallStart:
		e.callStart(ch)
	case hub.ChunkCallArgs:
		e.open()
		e.buf = append(e.buf, `"tool_calls":[{`...)
		e.buf = jsn.AppendIntMember(e.buf, "index", int64(ch.Call))
		e.buf = append(e.buf, `,"function":{"arguments":`...)
		e.buf = append(jsn.AppendStr(e.buf, ch.Text), `}}]`...)
		e.flush("")
	case hub.ChunkFinish:
		e.finish(ch)
	case hub.ChunkError:
		e.done = true
		if !e.sent {
			e.err = ch.Err
			return
		}
		e.event(hub.AppendOpenAIError(e.buf[:0], ch.Err))
	}
}

// begin prepares what all chunks have in common. Nothing is sent before there is
// output.
func (e *encoder) begin(ch *hub.Chunk) {
	if e.head != nil {
		return
	}
	model := e.k.model
	if model == "" {
		model = ch.Model
	}
	created := ch.Created
	if created == 0 {
		created = e.c.Now()
	}
	id := ch.ID
	if !e.keepID {
		id = e.c.MessageID("chatcmpl-", ch.ID)
	}
	h := append(make([]byte, 0, 256), '{')
	h = jsn.AppendStringMember(h, "id", id)
	h = append(h, `,"object":"chat.completion.chunk"`...)
	h = jsn.AppendIntMember(h, "created", created)
	h = jsn.AppendStringMember(h, "model", model)
	e.head = append(h, `,"choices":[`...)
}

// open starts a chunk up to the delta, sending the role ahead of the first one.
func (e *encoder) open() {
	if e.head == nil {
		e.begin(&hub.Chunk{})
	}
	if !e.sent {
		e.sent = true
		e.buf = append(e.buf[:0], e.head...)
		e.buf = append(e.buf, `{"index":0,"delta":{"role":"assistant","content":""`...)
		e.flush("")
	}
	e.buf = append(e.buf[:0], e.head...)
	e.buf = append(e.buf, `{"index":0,"delta":{`...)
}

// flush ends the chunk behind its delta and sends it.
func (e *encoder) flush(finish string) {
	e.buf = append(e.buf, `},"logprobs":null,"finish_reason":`...)
	if finish == "" {
		e.buf = append(e.buf, "null"...)
	} else {
		e.buf = jsn.AppendString(e.buf, finish)
	}
	e.buf = append(e.buf, `}]}`...)
	e.event(e.buf)
}

func (e *encoder) event(data []byte) {
	e.buf = data
	e.emit(hub.Event{Data: data})
}

func (e *encoder) reasoning(s jsn.Str) {
	e.open()
	e.buf = append(e.buf, `"reasoning_content":"`...)
	if e.ended {
		e.buf = append(e.buf, `\n\n`...)
	}
	e.buf = append(append(e.buf, s...), '"')
	e.ended, e.spoke = false, true
	e.flush("")
}

func (e *encoder) callStart(ch *hub.Chunk) {
	if e.names == nil {
		e.names = repair.Restore(e.c, toolNames)
	}
	e.open()
	e.buf = append(e.buf, `"tool_calls":[{`...)
	e.buf = jsn.AppendIntMember(e.buf, "index", int64(ch.Call))
	e.buf = jsn.AppendStringMember(e.buf, "id", ch.CallID)
	e.buf = append(e.buf, `,"type":"function","function":{`...)
	e.buf = jsn.AppendStringMember(e.buf, "name", e.names(ch.Name))
	e.buf = append(e.buf, `,"arguments":""}`...)
	if len(ch.Sig) > 0 {
		e.buf = appendGoogle(e.buf, ch.Sig)
	}
	e.buf = append(e.buf, `}]`...)
	e.flush("")
}

func (e *encoder) finish(ch *hub.Chunk) {
	e.open()
	e.flush(finishReason(ch.Finish))
	e.done = true
	if e.k.usage {
		e.buf = append(e.buf[:0], e.head...)
		e.buf = append(e.buf, ']')
		e.buf = appendUsage(jsn.AppendKey(e.buf, "usage"), &ch.Usage)
		e.event(append(e.buf, '}'))
	}
	e.emit(hub.Event{Data: []byte("[DONE]")})
}
