package ollama

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/stream"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// ParseResponse reads a whole answer (OL-2): one object, or the lines of a stream.
func (d *Dialect) ParseResponse(c *hub.Ctx, body []byte) (*hub.Response, error) {
	body = jsn.Trim(body)
	if jsn.Valid(body) != nil {
		return nil, hub.ErrBody("JSON")
	}
	col := hub.NewCollector(c)
	dec := d.NewDecoder(c)
	dec.Decode(hub.Event{Data: body}, col.Add)
	dec.End(col.Add)
	return col.Response()
}

// NewDecoder implements [hub.Dialect].
func (*Dialect) NewDecoder(c *hub.Ctx) hub.Decoder {
	return &decoder{ctx: c, think: stream.Splitter(c)}
}

// decoder reads the lines of one streamed answer; calls come complete.
type decoder struct {
	ctx      *hub.Ctx
	think    stream.ThinkSplitter
	emit     func(*hub.Chunk)
	out      hub.Chunk
	usage    hub.Usage
	native   string
	calls    int
	started  bool
	output   bool
	thinking bool
	done     bool
}

// Decode implements [hub.Decoder].
func (d *decoder) Decode(ev hub.Event, emit func(*hub.Chunk)) {
	data := jsn.Trim(ev.Data)
	if d.done || len(data) == 0 || !ev.JSON() {
		return
	}
	d.emit = emit
	var message, failure, model, created []byte
	last := false
	for it := jsn.Object(data); it.Next(); {
		v := it.Value()
		switch string(it.Key()) {
		case "error":
			failure = v
		case "model":
			model = v
		case "created_at":
			created = v
		case "message":
			message = v
		case "done":
			last = jsn.IsTrue(v)
		case "done_reason":
			d.native = jsn.StrOf(v).String()
		case "prompt_eval_count":
			if n, ok := jsn.Int(v); ok {
				d.usage.Prompt, d.usage.Known = n, true
			}
		case "eval_count":
			if n, ok := jsn.Int(v); ok {
				d.usage.Completion, d.usage.Known = n, true
			}
		}
	}
	if !jsn.IsNull(failure) {
		d.fail(hub.ReadError(d.ctx.Status, data))
		return
	}
	if !d.started && (model != nil || message != nil || created != nil) {
		d.started = true
		d.send(hub.Chunk{Kind: hub.ChunkStart, Model: jsn.StrOf(model).View(), Created: d.ctx.Now()})
	}
	d.message(message)
	if last {
		if d.native == "" {
			d.native = "stop"
		}
		d.End(emit)
	}
}

// message reads one message, reasoning first whatever the order of its members.
func (d *decoder) message(v []byte) {
	var thinking, content, calls []byte
	for it := jsn.Object(v); it.Next(); {
		switch string(it.Key()) {
		case "thinking":
			thinking = it.Value()
		case "content":
			content = it.Value()
		case "tool_calls":
			calls = it.Value()
		}
	}
	if s := jsn.StrOf(thinking); len(s) > 0 {
		d.think.Off(d.text, d.reasoning)
		d.reasoning(s)
	}
	if s := jsn.StrOf(content); len(s) > 0 {
		d.think.Feed(s, d.text, d.reasoning)
	}
	for el := jsn.Array(calls); el.Next(); {
		d.think.Off(d.text, d.reasoning)
		d.call(jsn.Get(el.Value(), "function"))
	}
}

func (d *decoder) text(s jsn.Str) {
	if len(s) == 0 {
		return
	}
	d.leaveThinking()
	d.output = true
	d.send(hub.Chunk{Kind: hub.ChunkText, Text: s})
}

func (d *decoder) reasoning(s jsn.Str) {
	if len(s) == 0 {
		return
	}
	d.thinking, d.output = true, true
	d.send(hub.Chunk{Kind: hub.ChunkReasoning, Text: s})
}

func (d *decoder) leaveThinking() {
	if d.thinking {
		d.thinking = false
		d.send(hub.Chunk{Kind: hub.ChunkReasoningEnd})
	}
}

func (d *decoder) call(fn []byte) {
	d.leaveThinking()
	d.output = true
	n := d.calls
	d.calls++
	d.send(hub.Chunk{Kind: hub.ChunkCallStart, Call: n, CallID: d.ctx.NewID("call_"), Name: jsn.StrOf(jsn.Get(fn, "name")).View()})
	args := jsn.Get(fn, "arguments")
	switch {
	case jsn.KindOf(args) == jsn.String:
		d.send(hub.Chunk{Kind: hub.ChunkCallArgs, Call: n, Text: jsn.StrOf(args)})
	case !jsn.IsNull(args):
		d.send(hub.Chunk{Kind: hub.ChunkCallArgs, Call: n, Raw: args})
	}
	d.send(hub.Chunk{Kind: hub.ChunkCallEnd, Call: n})
}

func (d *decoder) send(ch hub.Chunk) {
	d.out = ch
	d.emit(&d.out)
}

func (d *decoder) fail(e *hub.Error) {
	d.done = true
	d.send(hub.Chunk{Kind: hub.ChunkError, Err: e})
}

// End implements [hub.Decoder].
func (d *decoder) End(emit func(*hub.Chunk)) {
	if d.done {
		return
	}
	d.emit = emit
	d.think.Off(d.text, d.reasoning)
	if d.native == "" && !d.output {
		d.fail(hub.ErrEmpty())
		return
	}
	d.leaveThinking()
	d.done = true
	d.usage.Total = d.usage.Sum()
	d.send(hub.Chunk{Kind: hub.ChunkFinish, Finish: hub.SettleFinish(hub.FinishOf(d.native), d.calls > 0, false),
		Native: d.native, Usage: d.usage})
}
