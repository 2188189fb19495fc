package kiro

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// NewDecoder implements [hub.Dialect].
func (*Dialect) NewDecoder(c *hub.Ctx) hub.Decoder { return &decoder{ctx: c} }

// decoder reads decoded frames (KI-5). There is no end mark: the finish is sent when
// the connection ends.
type decoder struct {
	ctx      *hub.Ctx
	emit     func(*hub.Chunk)
	out      hub.Chunk
	calls    []call
	usage    hub.Usage
	native   string
	started  bool
	output   bool
	thinking bool
	done     bool
}

type call struct {
	id    string
	named bool
	ended bool
}

// maxCalls bounds the calls a stream may announce.
const maxCalls = 4096

// Decode implements [hub.Decoder].
func (d *decoder) Decode(ev hub.Event, emit func(*hub.Chunk)) {
	if d.done {
		return
	}
	d.emit = emit
	data, name := jsn.Trim(ev.Data), ev.Name
	valid := ev.JSON()
	if isFailure(name, data, valid) {
		d.fail(name, data, valid)
		return
	}
	if !valid {
		return
	}
	if inner := jsn.Get(data, name); name != "" && jsn.KindOf(inner) == jsn.Obj {
		data = inner // some services wrap the payload under its own name
	}
	switch name {
	case "assistantResponseEvent", "codeEvent":
		d.text(jsn.StrOf(jsn.Get(data, "content")))
		d.stop(data)
	case "reasoningContentEvent":
		d.reasoning(jsn.StrOf(jsn.Get(data, "text")))
	case "toolUseEvent":
		if jsn.KindOf(data) != jsn.Arr {
			d.tool(data)
		}
		for it := jsn.Array(data); it.Next(); {
			d.tool(it.Value())
		}
	case "messageStopEvent":
		d.stop(data)
	case "metricsEvent", "usageEvent", "supplementaryWebLinksEvent":
		d.count(data)
	}
}

func isFailure(name string, data []byte, valid bool) bool {
	if name == "exception" || name == "error" || strings.HasSuffix(name, "Exception") {
		return true
	}
	return name == "" && valid && (jsn.Get(data, "__type") != nil || jsn.Get(data, "_type") != nil)
}

func (d *decoder) fail(name string, data []byte, valid bool) {
	e := hub.ReadError(0, data)
	types := [3]string{name}
	if valid {
		types[1], types[2] = jsn.StrOf(jsn.Get(data, "__type")).View(), jsn.StrOf(jsn.Get(data, "_type")).View()
	}
	for _, typ := range types {
		typ = typ[strings.LastIndexByte(typ, '#')+1:]
		if typ == "" || typ == "exception" || typ == "error" {
			continue
		}
		e.Type = strings.Clone(typ)
		if status := hub.StatusByName(typ); status != 0 {
			e.Status = status
		}
		break
	}
	d.done = true
	d.send(hub.Chunk{Kind: hub.ChunkError, Err: e})
}

func (d *decoder) send(ch hub.Chunk) {
	d.out = ch
	d.emit(&d.out)
}

// begin starts the answer, and closes an open reasoning block when something else
// follows.
func (d *decoder) begin(thinking bool) {
	if !d.started {
		d.started = true
		d.send(hub.Chunk{Kind: hub.ChunkStart, Created: d.ctx.Now()})
	}
	if d.thinking && !thinking {
		d.send(hub.Chunk{Kind: hub.ChunkReasoningEnd})
	}
	d.thinking = thinking
}

func (d *decoder) text(s jsn.Str) {
	if len(s) == 0 {
		return
	}
	d.begin(false)
	d.output = true
	d.send(hub.Chunk{Kind: hub.ChunkText, Text: s})
}

func (d *decoder) reasoning(s jsn.Str) {
	if len(s) == 0 {
		return
	}
	d.begin(true)
	d.output = true
	d.send(hub.Chunk{Kind: hub.ChunkReasoning, Text: s})
}

func (d *decoder) stop(data []byte) {
	if s := jsn.StrOf(jsn.Get(data, "stopReason")); len(s) > 0 {
		d.native = s.String()
	}
}

// tool reads a fragment of a call; each repeats id and name.
func (d *decoder) tool(v []byte) {
	id := jsn.StrOf(jsn.Get(v, "toolUseId")).View()
	n := 0
	for n < len(d.calls) && d.calls[n].id != id {
		n++
	}
	if n == len(d.calls) {
		if n == maxCalls {
			return
		}
		d.calls = append(d.calls, call{id: strings.Clone(id)})
	}
	k := &d.calls[n]
	if k.ended {
		return
	}
	d.begin(false)
	d.output = true
	if fn := jsn.StrOf(jsn.Get(v, "name")); !k.named {
		k.named = len(fn) > 0
		d.send(hub.Chunk{Kind: hub.ChunkCallStart, Call: n, CallID: id, Name: fn.View()})
	}
	switch input := jsn.Get(v, "input"); {
	case len(jsn.StrOf(input)) > 0:
		d.send(hub.Chunk{Kind: hub.ChunkCallArgs, Call: n, Text: jsn.StrOf(input)})
	case jsn.KindOf(input) == jsn.Obj && jsn.Len(input) > 0:
		d.send(hub.Chunk{Kind: hub.ChunkCallArgs, Call: n, Raw: input})
	}
	if jsn.IsTrue(jsn.Get(v, "stop")) {
		k.ended = true
		d.send(hub.Chunk{Kind: hub.ChunkCallEnd, Call: n})
	}
}

func (d *decoder) count(v []byte) {
	if n, ok := jsn.Int(jsn.Get(v, "inputTokens")); ok {
		d.usage.Prompt, d.usage.Known = n, true
	}
	if n, ok := jsn.Int(jsn.Get(v, "outputTokens")); ok {
		d.usage.Completion, d.usage.Known = n, true
	}
	d.usage.Estimated = jsn.IsTrue(jsn.Get(v, "estimated"))
	d.usage.Total = d.usage.Sum()
}

// End implements [hub.Decoder].
func (d *decoder) End(emit func(*hub.Chunk)) {
	if d.done {
		return
	}
	d.emit = emit
	d.done = true
	if !d.output && d.native == "" {
		d.send(hub.Chunk{Kind: hub.ChunkError, Err: hub.ErrEmpty()})
		return
	}
	d.begin(false)
	finish := hub.FinishOf(d.native)
	if finish != hub.FinishLength {
		finish = hub.SettleFinish("", len(d.calls) > 0, false)
	}
	d.send(hub.Chunk{Kind: hub.ChunkFinish, Finish: finish, Native: d.native, Usage: d.usage})
}
