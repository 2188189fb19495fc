package claude

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/envelope"
	"github.com/omniroute/omniroute/sdk/hub/repair"
	"github.com/omniroute/omniroute/sdk/hub/stream"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// encoder writes a stream of Messages events.
type encoder struct {
	c     *hub.Ctx
	k     client
	seq   *stream.Sequencer
	emit  func(hub.Event)
	names func(string) string
	buf   []byte

	start hub.Chunk // what the first event needs
	sent  bool
	done  bool
	err   error

	index int       // of the open block, or of the next one
	open  blockKind // the open block; blockOther = none
	ended bool      // the open thinking block is over, but may still take a signature
	sig   hub.Reasoning
}

// NewEncoder implements hub.Dialect.
func (dialect) NewEncoder(c *hub.Ctx) hub.Encoder {
	e := &encoder{c: c, k: readClient(c)}
	e.seq = stream.NewSequencer(c, e.take)
	return e
}

// Encode implements hub.Encoder.
func (e *encoder) Encode(ch *hub.Chunk, emit func(hub.Event)) error {
	if e.done {
		return nil
	}
	e.emit = emit
	switch ch.Kind {
	case hub.ChunkReasoning, hub.ChunkSignature, hub.ChunkReasoningEnd, hub.ChunkRedacted:
		if !e.k.visible {
			return nil
		}
	}
	e.seq.Feed(ch)
	return e.err
}

// take writes one chunk of the sequencer.
func (e *encoder) take(ch *hub.Chunk) {
	switch ch.Kind {
	case hub.ChunkStart:
		e.start = hub.Chunk{ID: strings.Clone(ch.ID), Model: strings.Clone(ch.Model), Usage: ch.Usage}
	case hub.ChunkText, hub.ChunkRefusal:
		e.text(ch.Text)
	case hub.ChunkImage:
		e.text(imageText(ch.Media))
	case hub.ChunkReasoning:
		if len(ch.Text) > 0 {
			e.thinking()
			e.delta(`thinking_delta","thinking":`, ch.Text)
		}
	case hub.ChunkSignature:
		if len(ch.Text) > 0 {
			e.thinking()
			e.sig.Provider = ch.Provider
			e.sig.Sig = append(e.sig.Sig, ch.Text...)
		}
	case hub.ChunkReasoningEnd:
		e.ended = e.open == blockThinking
	case hub.ChunkRedacted:
		e.redacted(ch)
	case hub.ChunkCallStart:
		e.callStart(ch)
	case hub.ChunkCallArgs:
		e.delta(`input_json_delta","partial_json":`, ch.Text)
	case hub.ChunkCallEnd:
		e.close()
	case hub.ChunkFinish:
		e.finish(ch)
	case hub.ChunkError:
		e.done = true
		if !e.sent {
			e.err = ch.Err
			return
		}
		e.event("error", dialect{}.AppendError(e.c, e.buf[:0], ch.Err))
	}
}

func (e *encoder) event(name string, data []byte) {
	e.buf = data
	e.emit(hub.Event{Name: name, Data: data})
}

// begin sends message_start ahead of the first output.
func (e *encoder) begin() {
	if e.sent {
		return
	}
	e.sent = true
	model := e.k.model
	if model == "" {
		model = e.start.Model
	}
	b := append(e.buf[:0], `{"type":"message_start","message":{`...)
	b = jsn.AppendStringMember(b, "id", e.c.MessageID("msg_", e.start.ID))
	b = append(b, `,"type":"message","role":"assistant"`...)
	b = jsn.AppendStringMember(b, "model", model)
	b = append(b, `,"content":[],"stop_reason":null,"stop_sequence":null,"usage":`...)
	b = appendUsage(b, &e.start.Usage)
	e.event("message_start", append(b, '}', '}'))
}

// block opens a block whose start event has the members given.
func (e *encoder) block(kind blockKind, members string) {
	e.begin()
	e.open = kind
	b := e.startBlock()
	b = append(b, members...)
	e.event("content_block_start", append(b, '}', '}'))
}

func (e *encoder) startBlock() []byte {
	b := append(e.buf[:0], `{"type":"content_block_start"`...)
	b = jsn.AppendIntMember(b, "index", int64(e.index))
	return append(b, `,"content_block":{`...)
}

func (e *encoder) delta(kind string, s jsn.Str) {
	b := append(e.buf[:0], `{"type":"content_block_delta"`...)
	b = jsn.AppendIntMember(b, "index", int64(e.index))
	b = append(b, `,"delta":{"type":"`...)
	b = append(b, kind...)
	b = jsn.AppendStr(b, s)
	e.event("content_block_delta", append(b, '}', '}'))
}

func (e *encoder) text(s jsn.Str) {
	if len(s) == 0 {
		return
	}
	if e.open != blockText {
		e.close()
		e.block(blockText, `"type":"text","text":""`)
	}
	e.delta(`text_delta","text":`, s)
}

// thinking makes sure that a thinking block is open.
func (e *encoder) thinking() {
	if e.open == blockThinking && !e.ended {
		return
	}
	e.close()
	e.block(blockThinking, `"type":"thinking","thinking":"","signature":""`)
}

func (e *encoder) redacted(ch *hub.Chunk) {
	th := hub.Reasoning{Redacted: true, Sig: ch.Text, Provider: ch.Provider}
	if th.Provider != Name {
		e.close()
		e.thinking()
		e.sig = hub.Reasoning{Redacted: true, Sig: append(jsn.Str(nil), ch.Text...), Provider: ch.Provider}
		e.close()
		return
	}
	e.close()
	e.begin()
	e.open = blockThinking
	b := e.startBlock()
	b = append(b, `"type":"redacted_thinking"`...)
	b = jsn.AppendStrMember(b, "data", th.Sig)
	e.event("content_block_start", append(b, '}', '}'))
	e.close()
}

func (e *encoder) callStart(ch *hub.Chunk) {
	if len(ch.Sig) > 0 && e.k.visible {
		if e.open != blockThinking || len(e.sig.Sig) > 0 {
			e.close()
			e.thinking()
		}
		e.sig = hub.Reasoning{Sig: append(e.sig.Sig[:0], ch.Sig...), Provider: "gemini"}
	}
	e.close()
	if e.names == nil {
		e.names = repair.Restore(e.c, toolNames)
	}
	e.begin()
	e.open = blockTool
	b := e.startBlock()
	b = append(b, `"type":"tool_use"`...)
	b = jsn.AppendStringMember(b, "id", ch.CallID)
	b = jsn.AppendStringMember(b, "name", e.names(ch.Name))
	b = append(b, `,"input":{}`...)
	e.event("content_block_start", append(b, '}', '}'))
}

// close ends the open block; a thinking block gets its signature first, in one delta.
func (e *encoder) close() {
	if e.open == blockOther {
		return
	}
	if len(e.sig.Sig) > 0 {
		sig := e.sig.Sig
		if e.sig.Provider != Name {
			sig = envelope.Append(nil, &e.sig)
		}
		e.delta(`signature_delta","signature":`, sig)
		e.sig = hub.Reasoning{Sig: e.sig.Sig[:0]}
	}
	b := append(e.buf[:0], `{"type":"content_block_stop"`...)
	b = jsn.AppendIntMember(b, "index", int64(e.index))
	e.event("content_block_stop", append(b, '}'))
	e.open, e.ended = blockOther, false
	e.index++
}

func (e *encoder) finish(ch *hub.Chunk) {
	e.begin()
	e.close()
	e.done = true
	b := append(e.buf[:0], `{"type":"message_delta","delta":{`...)
	b = appendStop(b, ch.Finish, ch.StopSequence)
	b = append(b, `},"usage":`...)
	b = appendUsage(b, &ch.Usage)
	e.event("message_delta", append(b, '}'))
	e.event("message_stop", append(e.buf[:0], `{"type":"message_stop"}`...))
}
