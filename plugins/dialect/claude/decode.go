package claude

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// decoder reads a stream of Messages events.
type decoder struct {
	c      *hub.Ctx
	emit   func(*hub.Chunk)
	out    hub.Chunk
	frag   hub.Chunk // of text: nothing but Kind and Text is ever set
	blocks []openBlock
	calls  int
	use    counters
	native string
	stop   jsn.Str
	start  bool
	output bool
	done   bool
}

type blockKind uint8

const (
	blockOther blockKind = iota // closed, or of a kind that is skipped
	blockText
	blockThinking
	blockTool
)

// openBlock is a content block that is being streamed.
type openBlock struct {
	index int64
	kind  blockKind
	call  int
	args  bool   // some arguments came in deltas
	input []byte // arguments of the start event
}

// NewDecoder implements hub.Dialect.
func (dialect) NewDecoder(c *hub.Ctx) hub.Decoder { return &decoder{c: c} }

// Decode implements hub.Decoder.
func (d *decoder) Decode(ev hub.Event, emit func(*hub.Chunk)) {
	if d.done {
		return
	}
	d.emit = emit
	data := jsn.Trim(ev.Data)
	if jsn.KindOf(data) != jsn.Obj || !ev.JSON() {
		return
	}
	var typ, index, inner, delta, usage []byte
	for it := jsn.Object(data); it.Next(); {
		v := it.Value()
		switch string(it.Key()) {
		case "type":
			typ = v
		case "index":
			index = v
		case "message", "content_block":
			inner = v
		case "delta":
			delta = v
		case "usage":
			usage = v
		}
	}
	n, _ := jsn.Int(index)
	switch string(jsn.StrOf(typ)) {
	case "message_start":
		d.messageStart(inner)
	case "content_block_start":
		d.blockStart(n, inner)
	case "content_block_delta":
		d.delta(n, delta)
	case "content_block_stop":
		d.blockStop(n)
	case "message_delta":
		if s := jsn.StrOf(jsn.Get(delta, "stop_reason")); len(s) > 0 {
			d.native = s.String()
		}
		if s := jsn.StrOf(jsn.Get(delta, "stop_sequence")); s != nil {
			d.stop = append(jsn.Str{}, s...)
		}
		d.use.merge(usage)
	case "message_stop":
		d.End(emit)
	case "error":
		e := hub.ReadError(0, data)
		e.Code, e.NoCode = "", false
		d.fail(e)
	}
}

func (d *decoder) messageStart(m []byte) {
	if d.start {
		return
	}
	d.start = true
	d.use.merge(jsn.Get(m, "usage"))
	d.out = hub.Chunk{Kind: hub.ChunkStart, ID: jsn.StrOf(jsn.Get(m, "id")).String(),
		Model: jsn.StrOf(jsn.Get(m, "model")).String(), Usage: d.use.usage()}
	d.emit(&d.out)
}

func (d *decoder) blockStart(index int64, raw []byte) {
	b := openBlock{index: index}
	switch jsn.StrOf(jsn.Get(raw, "type")).String() {
	case "text":
		b.kind = blockText
		d.send(hub.ChunkText, jsn.StrOf(jsn.Get(raw, "text")))
	case "thinking":
		b.kind = blockThinking
		d.send(hub.ChunkReasoning, jsn.StrOf(jsn.Get(raw, "thinking")))
		d.signature(jsn.StrOf(jsn.Get(raw, "signature")))
	case "redacted_thinking":
		d.output = true
		d.out = hub.Chunk{Kind: hub.ChunkRedacted, Text: jsn.StrOf(jsn.Get(raw, "data")), Provider: Name}
		d.emit(&d.out)
	case "tool_use":
		b.kind, b.call = blockTool, d.calls
		d.calls++
		if in := jsn.Get(raw, "input"); jsn.Len(in) > 0 {
			b.input = append([]byte(nil), in...)
		}
		id := jsn.StrOf(jsn.Get(raw, "id")).View()
		if id == "" {
			id = d.c.NewID("toolu_")
		}
		d.output = true
		d.out = hub.Chunk{Kind: hub.ChunkCallStart, Call: b.call, CallID: id, Name: jsn.StrOf(jsn.Get(raw, "name")).View()}
		d.emit(&d.out)
	}
	for i := range d.blocks {
		if d.blocks[i].kind == blockOther {
			d.blocks[i] = b
			return
		}
	}
	d.blocks = append(d.blocks, b)
}

func (d *decoder) send(kind hub.ChunkKind, s jsn.Str) {
	if len(s) > 0 {
		d.output = true
		d.frag.Kind, d.frag.Text = kind, s
		d.emit(&d.frag)
	}
}

func (d *decoder) signature(s jsn.Str) {
	if len(s) > 0 {
		d.output = true
		d.out = hub.Chunk{Kind: hub.ChunkSignature, Text: s, Provider: Name}
		d.emit(&d.out)
	}
}

func (d *decoder) open(index int64) *openBlock {
	for i := range d.blocks {
		if d.blocks[i].index == index && d.blocks[i].kind != blockOther {
			return &d.blocks[i]
		}
	}
	return nil
}

func (d *decoder) delta(index int64, raw []byte) {
	b := d.open(index)
	if b == nil {
		return
	}
	for it := jsn.Object(raw); it.Next(); {
		s := jsn.StrOf(it.Value())
		switch string(it.Key()) {
		case "text":
			if b.kind == blockText {
				d.send(hub.ChunkText, s)
			}
		case "thinking":
			if b.kind == blockThinking {
				d.send(hub.ChunkReasoning, s)
			}
		case "signature":
			if b.kind == blockThinking {
				d.signature(s)
			}
		case "partial_json":
			if b.kind == blockTool && len(s) > 0 {
				b.args = true
				d.out = hub.Chunk{Kind: hub.ChunkCallArgs, Call: b.call, Text: s}
				d.emit(&d.out)
			}
		}
	}
}

func (d *decoder) blockStop(index int64) {
	b := d.open(index)
	if b == nil {
		return
	}
	d.closeBlock(b)
}

// closeBlock ends a block; a call without argument deltas gets the input it started
// with (WO-3).
func (d *decoder) closeBlock(b *openBlock) {
	kind := b.kind
	b.kind = blockOther
	switch kind {
	case blockThinking:
		d.out = hub.Chunk{Kind: hub.ChunkReasoningEnd}
		d.emit(&d.out)
	case blockTool:
		if !b.args && b.input != nil {
			d.out = hub.Chunk{Kind: hub.ChunkCallArgs, Call: b.call, Raw: b.input}
			d.emit(&d.out)
		}
		d.out = hub.Chunk{Kind: hub.ChunkCallEnd, Call: b.call}
		d.emit(&d.out)
	}
}

func (d *decoder) fail(e *hub.Error) {
	d.done = true
	d.out = hub.Chunk{Kind: hub.ChunkError, Err: e}
	d.emit(&d.out)
}

// End implements hub.Decoder.
func (d *decoder) End(emit func(*hub.Chunk)) {
	if d.done {
		return
	}
	d.emit = emit
	if d.native == "" {
		if d.output {
			d.fail(hub.ErrTruncated())
		} else {
			d.fail(hub.ErrEmpty())
		}
		return
	}
	for i := range d.blocks {
		d.closeBlock(&d.blocks[i])
	}
	d.done = true
	d.out = hub.Chunk{Kind: hub.ChunkFinish, Finish: hub.SettleFinish(hub.FinishOf(d.native), d.calls > 0, false),
		Native: strings.Clone(d.native), StopSequence: d.stop, Usage: d.use.usage()}
	d.emit(&d.out)
}
