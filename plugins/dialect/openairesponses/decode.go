package openairesponses

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/media"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// maxItems bounds the output items a stream may announce.
const maxItems = 4096

// NewDecoder implements [hub.Dialect].
func (dialect) NewDecoder(c *hub.Ctx) hub.Decoder { return newDecoder(c) }

// decoder reads the events of one response (WU-4). What deltas delivered is not
// taken again from the done events that repeat it.
type decoder struct {
	ctx     *hub.Ctx
	emit    func(*hub.Chunk)
	out     hub.Chunk
	media   hub.Media
	items   []item
	calls   int
	refusal bool
	started bool
	output  bool // something came behind the start
	done    bool
}

// item is what is known about one output item.
type item struct {
	id       string
	index    int64
	call     int // number of the call, -1 = none
	custom   bool
	texts    uint64 // bit per content part whose text was delivered
	args     bool   // arguments were delivered
	opened   bool   // the wrapper of a free-form input was opened
	reasoned bool   // reasoning text was delivered
	signed   bool   // its signature was delivered
	summary  int64
	closed   bool
}

func newDecoder(c *hub.Ctx) *decoder { return &decoder{ctx: c} }

// event is the payload of one event, fields as they are needed.
type event struct {
	typ, id               string
	response, item, delta []byte
	text, refusal         []byte
	arguments, input      []byte
	index, summaryIndex   int64
	part                  int64 // content_index
	hasIndex              bool
}

func readEvent(data []byte) event {
	var e event
	for it := jsn.Object(data); it.Next(); {
		v := it.Value()
		switch string(it.Key()) {
		case "type":
			e.typ = jsn.StrOf(v).View()
		case "response":
			e.response = v
		case "item":
			e.item = v
		case "delta":
			e.delta = v
		case "text":
			e.text = v
		case "refusal":
			e.refusal = v
		case "arguments":
			e.arguments = v
		case "input":
			e.input = v
		case "item_id":
			e.id = jsn.StrOf(v).View()
		case "output_index":
			e.index, e.hasIndex = jsn.Int(v)
		case "content_index":
			e.part, _ = jsn.Int(v)
		case "summary_index":
			e.summaryIndex, _ = jsn.Int(v)
		}
	}
	return e
}

// Decode implements [hub.Decoder].
func (d *decoder) Decode(ev hub.Event, emit func(*hub.Chunk)) {
	data := jsn.Trim(ev.Data)
	if d.done || len(data) == 0 {
		return
	}
	d.emit = emit
	if string(data) == "[DONE]" {
		d.End(emit)
		return
	}
	if !ev.JSON() {
		return
	}
	e := readEvent(data)
	if e.typ == "" {
		e.typ = ev.Name
	}
	switch e.typ {
	case "response.created", "response.in_progress":
		d.start(e.response)
	case "response.output_item.added":
		d.added(&e)
	case "response.output_item.done":
		d.itemDone(&e)
	case "response.output_text.delta", "response.refusal.delta":
		d.textDelta(&e, e.typ == "response.refusal.delta")
	case "response.output_text.done":
		d.textDone(&e, e.text, false)
	case "response.refusal.done":
		d.textDone(&e, e.refusal, true)
	case "response.reasoning_summary_text.delta", "response.reasoning_text.delta":
		d.reasoningDelta(&e)
	case "response.function_call_arguments.delta":
		d.argsDelta(&e)
	case "response.function_call_arguments.done":
		d.argsDone(d.find(&e), e.arguments)
	case "response.custom_tool_call_input.delta":
		d.inputDelta(&e)
	case "response.custom_tool_call_input.done":
		d.inputDone(d.find(&e), e.input)
	case "response.completed", "response.incomplete", "response.done":
		d.start(e.response)
		d.terminal(e.response)
	case "response.failed", "response.cancelled", "error":
		d.fail(data)
	}
}

func (d *decoder) send(ch hub.Chunk) {
	d.output = d.output || ch.Kind != hub.ChunkStart
	d.out = ch
	d.emit(&d.out)
}

func (d *decoder) start(response []byte) {
	if d.started {
		return
	}
	d.started = true
	created, _ := jsn.Int(jsn.Get(response, "created_at"))
	if created == 0 {
		created = d.ctx.Now()
	}
	d.send(hub.Chunk{Kind: hub.ChunkStart, ID: jsn.StrOf(jsn.Get(response, "id")).View(),
		Model: jsn.StrOf(jsn.Get(response, "model")).View(), Created: created})
}

// find returns the item an event speaks of, noting it when it is new.
func (d *decoder) find(e *event) *item {
	id := e.id
	if id == "" && e.item != nil {
		id = jsn.StrOf(jsn.Get(e.item, "id")).View()
	}
	return d.lookup(id, e.index, e.hasIndex)
}

func (d *decoder) lookup(id string, index int64, hasIndex bool) *item {
	for i := len(d.items) - 1; i >= 0; i-- {
		it := &d.items[i]
		if hasIndex && it.index >= 0 {
			if it.index == index {
				return it
			}
		} else if it.id == id {
			return it
		}
	}
	if len(d.items) >= maxItems {
		return &d.items[maxItems-1]
	}
	if !hasIndex {
		index = -1
	}
	d.items = append(d.items, item{id: strings.Clone(id), index: index, call: -1})
	return &d.items[len(d.items)-1]
}

func (d *decoder) added(e *event) {
	d.start(nil)
	it := d.find(e)
	if typ := jsn.StrOf(jsn.Get(e.item, "type")); typ.Is("function_call") || typ.Is("custom_tool_call") {
		d.announce(it, e.item)
	}
}

// announce starts a call.
func (d *decoder) announce(it *item, v []byte) {
	if it.call >= 0 {
		return
	}
	it.call = d.calls
	it.custom = jsn.StrOf(jsn.Get(v, "type")).Is("custom_tool_call")
	d.calls++
	id := jsn.StrOf(jsn.Get(v, "call_id")).View()
	if id == "" {
		id = d.ctx.NewID("call_")
	}
	d.send(hub.Chunk{Kind: hub.ChunkCallStart, Call: it.call, CallID: id, Custom: it.custom,
		Name: qualified(jsn.StrOf(jsn.Get(v, "namespace")).View(), jsn.StrOf(jsn.Get(v, "name")).View())})
}

func (d *decoder) textDelta(e *event, refusal bool) {
	s := jsn.StrOf(e.delta)
	if len(s) == 0 {
		return
	}
	d.start(nil)
	d.find(e).delivered(e.part)
	d.sendText(s, refusal)
}

func (d *decoder) sendText(s jsn.Str, refusal bool) {
	kind := hub.ChunkText
	if refusal {
		kind, d.refusal = hub.ChunkRefusal, true
	}
	d.send(hub.Chunk{Kind: kind, Text: s})
}

func (d *decoder) textDone(e *event, text []byte, refusal bool) {
	if s := jsn.StrOf(text); len(s) > 0 && d.find(e).delivered(e.part) {
		d.start(nil)
		d.sendText(s, refusal)
	}
}

// delivered notes that a content part's text was delivered, and tells whether it was not
// before. The parts behind the first 63 count as one.
func (it *item) delivered(part int64) bool {
	bit := uint64(1) << min(max(part, 0), 63)
	fresh := it.texts&bit == 0
	it.texts |= bit
	return fresh
}

func (d *decoder) reasoningDelta(e *event) {
	s := jsn.StrOf(e.delta)
	if len(s) == 0 {
		return
	}
	d.start(nil)
	it := d.find(e)
	if it.reasoned && e.summaryIndex != it.summary {
		d.send(hub.Chunk{Kind: hub.ChunkReasoning, Text: jsn.Str(`\n\n`)})
	}
	it.reasoned, it.summary = true, e.summaryIndex
	d.send(hub.Chunk{Kind: hub.ChunkReasoning, Text: s})
}

func (d *decoder) argsDelta(e *event) {
	it := d.find(e)
	if s := jsn.StrOf(e.delta); len(s) > 0 && it.call >= 0 && !it.closed {
		it.args = true
		d.send(hub.Chunk{Kind: hub.ChunkCallArgs, Call: it.call, Text: s})
	}
}

func (d *decoder) argsDone(it *item, args []byte) {
	if it.call < 0 || it.args || it.closed {
		return
	}
	switch s := jsn.StrOf(args); {
	case len(s) > 0:
		it.args = true
		d.send(hub.Chunk{Kind: hub.ChunkCallArgs, Call: it.call, Text: s})
	case jsn.KindOf(args) == jsn.Obj:
		it.args = true
		d.send(hub.Chunk{Kind: hub.ChunkCallArgs, Call: it.call, Raw: args})
	}
}

// inputDelta wraps the fragments of a free-form input into {"input": …} (T-6).
func (d *decoder) inputDelta(e *event) {
	it := d.find(e)
	s := jsn.StrOf(e.delta)
	if len(s) == 0 || it.call < 0 || it.closed {
		return
	}
	var text []byte
	if !it.opened {
		it.opened = true
		text = append(text, `{\"input\":\"`...)
	}
	it.args = true
	text = jsn.Tokens{}.AppendQuoted(text, s)
	d.send(hub.Chunk{Kind: hub.ChunkCallArgs, Call: it.call, Text: text})
}

func (d *decoder) inputDone(it *item, input []byte) {
	if it.call < 0 || it.closed {
		return
	}
	switch {
	case it.opened:
		it.opened = false
		d.send(hub.Chunk{Kind: hub.ChunkCallArgs, Call: it.call, Text: jsn.Str(`\"}`)})
	case !it.args && jsn.StrOf(input) != nil:
		it.args = true
		raw := append([]byte(nil), `{"input":`...)
		d.send(hub.Chunk{Kind: hub.ChunkCallArgs, Call: it.call, Raw: append(append(raw, input...), '}')})
	}
}

func (d *decoder) itemDone(e *event) {
	d.start(nil)
	d.complete(d.find(e), e.item)
}

// complete takes from a finished item what no delta delivered, and ends it.
func (d *decoder) complete(it *item, v []byte) {
	typ := jsn.StrOf(jsn.Get(v, "type")).View()
	if it.closed {
		if typ == "reasoning" { // some servers sign in the final snapshot only
			d.sign(it, v)
		}
		return
	}
	switch typ {
	case "message":
		d.wholeMessage(it, v)
	case "reasoning":
		d.wholeReasoning(it, v)
	case "function_call":
		d.announce(it, v)
		d.argsDone(it, jsn.Get(v, "arguments"))
		d.send(hub.Chunk{Kind: hub.ChunkCallEnd, Call: it.call})
	case "custom_tool_call":
		d.announce(it, v)
		d.inputDone(it, jsn.Get(v, "input"))
		d.send(hub.Chunk{Kind: hub.ChunkCallEnd, Call: it.call})
	case "image_generation_call":
		if data := jsn.StrOf(jsn.Get(v, "result")); len(data) > 0 {
			format := jsn.StrOf(jsn.Get(v, "output_format")).String()
			if format == "" {
				format = "png"
			}
			d.media = hub.Media{MIME: media.Type("image/" + format), Data: data}
			d.send(hub.Chunk{Kind: hub.ChunkImage, Media: &d.media})
		}
	}
	it.closed = true
}

func (d *decoder) wholeMessage(it *item, v []byte) {
	n := int64(0)
	for el := jsn.Array(jsn.Get(v, "content")); el.Next(); n++ {
		part := el.Value()
		if !it.delivered(n) {
			continue
		}
		if s := jsn.StrOf(jsn.Get(part, "text")); len(s) > 0 {
			d.sendText(s, false)
		} else if s := jsn.StrOf(jsn.Get(part, "refusal")); len(s) > 0 {
			d.sendText(s, true)
		}
	}
}

func (d *decoder) wholeReasoning(it *item, v []byte) {
	if !it.reasoned {
		text := joinTexts(jsn.Get(v, "summary"))
		if text == nil {
			text = joinTexts(jsn.Get(v, "content"))
		}
		if len(text) > 0 {
			d.send(hub.Chunk{Kind: hub.ChunkReasoning, Text: text})
		}
	}
	if !d.sign(it, v) {
		d.send(hub.Chunk{Kind: hub.ChunkReasoningEnd})
	}
}

// sign passes the signature of a reasoning item on, once, and ends the block.
func (d *decoder) sign(it *item, v []byte) bool {
	s := jsn.StrOf(jsn.Get(v, "encrypted_content"))
	if len(s) == 0 || it.signed {
		return false
	}
	it.signed = true
	d.send(hub.Chunk{Kind: hub.ChunkSignature, Text: s, Provider: "openai"})
	d.send(hub.Chunk{Kind: hub.ChunkReasoningEnd})
	return true
}

// terminal takes what the final snapshot adds: items never seen before, usage and
// finish.
func (d *decoder) terminal(response []byte) {
	index := int64(0)
	for el := jsn.Array(jsn.Get(response, "output")); el.Next(); index++ {
		v := el.Value()
		d.complete(d.lookup(jsn.StrOf(jsn.Get(v, "id")).View(), index, true), v)
	}
	for i := range d.items {
		if it := &d.items[i]; it.call >= 0 && !it.closed {
			d.inputDone(it, nil)
			it.closed = true
			d.send(hub.Chunk{Kind: hub.ChunkCallEnd, Call: it.call})
		}
	}
	native := completed
	if jsn.StrOf(jsn.Get(response, "status")).Is(incomplete) {
		native = jsn.StrOf(jsn.Get(response, "incomplete_details", "reason")).String()
		if native == "" {
			native = "max_output_tokens"
		}
	}
	d.done = true
	d.send(hub.Chunk{Kind: hub.ChunkFinish, Finish: hub.SettleFinish(hub.FinishOf(native), d.calls > 0, d.refusal),
		Native: native, Usage: readUsage(jsn.Get(response, "usage"))})
}

// readUsage reads a usage object (U-1).
func readUsage(v []byte) hub.Usage {
	var u hub.Usage
	if jsn.KindOf(v) != jsn.Obj {
		return u
	}
	u.Known = true
	u.Prompt, _ = jsn.Int(jsn.Get(v, "input_tokens"))
	u.Completion, _ = jsn.Int(jsn.Get(v, "output_tokens"))
	u.CachedRead, _ = jsn.Int(jsn.Get(v, "input_tokens_details", "cached_tokens"))
	u.CacheWrite, _ = jsn.Int(jsn.Get(v, "input_tokens_details", "cache_write_tokens"))
	u.Reasoning, _ = jsn.Int(jsn.Get(v, "output_tokens_details", "reasoning_tokens"))
	u.Total = u.Sum()
	return u
}

func (d *decoder) fail(data []byte) {
	d.done = true
	d.send(hub.Chunk{Kind: hub.ChunkError, Err: hub.ReadError(d.ctx.Status, data)})
}

// End implements [hub.Decoder].
func (d *decoder) End(emit func(*hub.Chunk)) {
	if d.done {
		return
	}
	d.emit = emit
	d.done = true
	err := hub.ErrTruncated() // W-6
	if !d.output {
		err = hub.ErrEmpty() // W-5
	}
	d.send(hub.Chunk{Kind: hub.ChunkError, Err: err})
}
