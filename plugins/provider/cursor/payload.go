package cursor

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
	"github.com/omniroute/omniroute/sdk/pb"
)

// Field values of the chat service.
const (
	human = 1
	ai    = 2

	modeChat  = 1
	modeAgent = 2

	thinkMedium = 1
	thinkHigh   = 2
)

// options is what a payload needs beside the conversation.
type options struct {
	// newID returns a UUID; it is asked once per message and once per conversation.
	newID func() string
	// tokens look through the body tokens of long texts.
	tokens jsn.Tokens
	// supported is the list of tool kinds sent with tools; nil means [1].
	supported []uint64
	// native sends results of tools as such, not as text.
	native bool
	// platform, arch, release, shell and time describe the client's machine; time is
	// an ISO 8601 timestamp.
	platform, arch, release, shell, time string
}

// text is the decoded content of a JSON string.
func (o *options) text(v []byte) string { return o.tokens.Decode(jsn.StrOf(v)) }

// appendPayload appends the protobuf message for a request body in the dialect
// cursor (StreamUnifiedChatRequestWithTools).
func appendPayload(dst, body []byte, o options) []byte {
	w := pb.NewWriter(dst)
	w.Message(1, func(w *pb.Writer) { appendChat(w, body, &o) })
	return w.Data()
}

func appendChat(w *pb.Writer, body []byte, o *options) {
	tools := jsn.Get(body, "tools")
	agentic := jsn.Len(tools) > 0
	supported := o.supported
	if supported == nil {
		supported = []uint64{1}
	}
	type entry struct {
		id   string
		kind uint64
	}
	var entries []entry
	var calls callsMade
	total := jsn.Len(jsn.Get(body, "messages"))
	for it := jsn.Array(jsn.Get(body, "messages")); it.Next(); {
		e := entry{id: o.newID(), kind: human}
		if jsn.StrOf(jsn.Get(it.Value(), "role")).Is(hub.Assistant) {
			e.kind = ai
		}
		entries = append(entries, e)
		last := len(entries) == total
		calls.note(it.Value(), o)
		w.Message(1, func(w *pb.Writer) {
			text := o.text(jsn.Get(it.Value(), "content"))
			var result *nativeResult
			if o.native && e.kind == human {
				if r, ok := calls.result(text); ok {
					text, result = "", &r
				}
			}
			appendEntry(w, text, e.kind, e.id, result, agentic)
			if last && agentic {
				w.Packed(51, supported...)
			}
		})
	}
	w.Uint(2, 1)
	w.Message(3, func(w *pb.Writer) { w.String(1, "") })
	w.Uint(4, 1)
	w.Message(5, func(w *pb.Writer) {
		w.String(1, jsn.StrOf(jsn.Get(body, "model")).String())
		w.Bytes(4, nil)
	})
	w.String(8, "")
	w.Uint(13, 1)
	w.Message(15, func(w *pb.Writer) {
		w.String(1, `cursor\aisettings`)
		w.Bytes(3, nil)
		w.Message(6, func(w *pb.Writer) { w.Bytes(1, nil); w.Bytes(2, nil) })
		w.Uint(8, 1)
		w.Uint(9, 1)
	})
	w.Uint(19, 1)
	w.String(23, o.newID())
	w.Message(26, func(w *pb.Writer) {
		w.String(1, o.platform)
		w.String(2, o.arch)
		w.String(3, o.release)
		w.String(4, o.shell)
		w.String(5, o.time)
	})
	w.Bool(27, agentic)
	if agentic {
		w.Packed(29, supported...)
	}
	for _, e := range entries {
		w.Message(30, func(w *pb.Writer) { w.String(1, e.id); w.Uint(3, e.kind) })
	}
	for it := jsn.Array(tools); it.Next(); {
		fn := jsn.Get(it.Value(), "function")
		w.Message(34, func(w *pb.Writer) {
			w.String(1, o.text(jsn.Get(fn, "name")))
			w.String(2, o.text(jsn.Get(fn, "description")))
			w.Bytes(3, o.tokens.Expand(jsn.Get(fn, "parameters")))
			w.String(4, "custom")
		})
	}
	appendModes(w, body, agentic)
}

// appendEntry writes one ConversationMessage.
func appendEntry(w *pb.Writer, text string, kind uint64, id string, result *nativeResult, agentic bool) {
	w.String(1, text)
	w.Uint(2, kind)
	w.String(13, id)
	if result != nil {
		w.Message(18, result.write)
	}
	w.Bool(29, agentic)
	w.Uint(47, mode(agentic))
}

func mode(agentic bool) uint64 {
	if agentic {
		return modeAgent
	}
	return modeChat
}

func appendModes(w *pb.Writer, body []byte, agentic bool) {
	w.Uint(35, 0)
	w.Uint(38, 0)
	w.Uint(46, mode(agentic))
	w.String(47, "")
	w.Bool(48, !agentic)
	level := uint64(0)
	switch effort := jsn.StrOf(jsn.Get(body, "reasoning_effort")); {
	case effort.Is("medium"):
		level = thinkMedium
	case effort.Is("high"):
		level = thinkHigh
	}
	w.Uint(49, level)
	w.Uint(51, 0)
	w.Uint(53, 1)
	name := "Ask"
	if agentic {
		name = "Agent"
	}
	w.String(54, name)
}

// payload reads the messages of one answer (StreamUnifiedChatResponseWithTools) into
// chunks. Calls come as fragments that either continue or repeat what was sent.
type payload struct {
	calls []payloadCall
	out   hub.Chunk
	open  bool
}

type payloadCall struct {
	id    string
	args  string
	ended bool
}

// Feed takes one message. It reports false when the message is malformed.
func (p *payload) Feed(msg []byte, emit func(*hub.Chunk)) bool {
	if !pb.Valid(msg) {
		return false
	}
	for f := range pb.Fields(msg) {
		if f.Type != pb.Bytes {
			continue
		}
		switch f.Number {
		case 1:
			p.call(f.Bytes, emit)
		case 2:
			p.text(f.Bytes, emit)
		}
	}
	return true
}

func (p *payload) send(emit func(*hub.Chunk), ch hub.Chunk) {
	p.out = ch
	emit(&p.out)
}

func (p *payload) text(msg []byte, emit func(*hub.Chunk)) {
	for f := range pb.Fields(msg) {
		switch {
		case f.Number == 25 && f.Type == pb.Bytes:
			if t, ok := pb.Get(f.Bytes, 1); ok && len(t.Bytes) > 0 {
				p.open = true
				p.send(emit, hub.Chunk{Kind: hub.ChunkReasoning, Text: jsn.Lit(string(t.Bytes))})
			}
		case f.Number == 1 && len(f.Bytes) > 0:
			p.leaveReasoning(emit)
			p.send(emit, hub.Chunk{Kind: hub.ChunkText, Text: jsn.Lit(string(f.Bytes))})
		}
	}
}

func (p *payload) leaveReasoning(emit func(*hub.Chunk)) {
	if p.open {
		p.open = false
		p.send(emit, hub.Chunk{Kind: hub.ChunkReasoningEnd})
	}
}

// call reads a ClientSideToolV2Call.
func (p *payload) call(msg []byte, emit func(*hub.Chunk)) {
	p.leaveReasoning(emit)
	var id, name, args string
	last := false
	for f := range pb.Fields(msg) {
		switch f.Number {
		case 3:
			id, _, _ = strings.Cut(string(f.Bytes), "\n")
		case 9:
			if name == "" {
				name = string(f.Bytes)
			}
		case 10:
			if args == "" {
				args = string(f.Bytes)
			}
		case 11, 15:
			last = last || f.Type == pb.Varint && f.Bool()
		case 27:
			if tool, ok := pb.Get(f.Bytes, 1); ok {
				if v, ok := pb.Get(tool.Bytes, 1); ok {
					name = string(v.Bytes)
				}
				if v, ok := pb.Get(tool.Bytes, 3); ok {
					args = string(v.Bytes)
				}
			}
		}
	}
	p.fragment(id, name, args, last, emit)
}

func (p *payload) fragment(id, name, args string, last bool, emit func(*hub.Chunk)) {
	n := 0
	for n < len(p.calls) && p.calls[n].id != id {
		n++
	}
	if n == len(p.calls) {
		p.calls = append(p.calls, payloadCall{id: id})
		p.send(emit, hub.Chunk{Kind: hub.ChunkCallStart, Call: n, CallID: id, Name: name})
	}
	k := &p.calls[n]
	if k.ended {
		return
	}
	if k.args != "" && strings.HasPrefix(args, k.args) {
		args = args[len(k.args):]
	}
	if args != "" {
		k.args += args
		p.send(emit, hub.Chunk{Kind: hub.ChunkCallArgs, Call: n, Text: jsn.Lit(args)})
	}
	if last {
		k.ended = true
		p.send(emit, hub.Chunk{Kind: hub.ChunkCallEnd, Call: n})
	}
}

// End closes what the stream left open.
func (p *payload) End(emit func(*hub.Chunk)) {
	p.leaveReasoning(emit)
	for n := range p.calls {
		if !p.calls[n].ended {
			p.calls[n].ended = true
			p.send(emit, hub.Chunk{Kind: hub.ChunkCallEnd, Call: n})
		}
	}
}
