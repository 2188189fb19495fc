package chat

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/hub/stream"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// decoder reads a stream of chat completion chunks.
type decoder struct {
	c     *hub.Ctx
	emit  func(*hub.Chunk)
	out   hub.Chunk
	frag  hub.Chunk // of text: nothing but Kind and Text is ever set
	think stream.ThinkSplitter
	// text and thought are bound once; the splitter calls them per fragment.
	text, thought func(jsn.Str)

	tags    bool // think tags are looked for
	started bool
	output  bool // something other than the start came
	refusal bool
	done    bool
	native  string // finish reason; "" = not seen
	use     counters
	calls   []call
	latest  int
}

// call is what is known of one tool call of the stream.
type call struct {
	index int64 // upstream's index, -1 = none given
	id    string
	stale bool // another call took over its index
	args  []byte
}

// NewDecoder reads a stream of chat completion chunks. Think tags in its text become
// reasoning (W-4).
func NewDecoder(c *hub.Ctx) hub.Decoder { return newDecoder(c, tagged(c)) }

func newDecoder(c *hub.Ctx, tags bool) *decoder {
	d := &decoder{c: c, latest: -1, tags: tags, think: stream.Splitter(c)}
	d.text = func(s jsn.Str) { d.send(hub.ChunkText, s) }
	d.thought = func(s jsn.Str) { d.send(hub.ChunkReasoning, s) }
	return d
}

func (d *decoder) send(kind hub.ChunkKind, s jsn.Str) {
	if len(s) == 0 {
		return
	}
	d.output = true
	d.frag.Kind, d.frag.Text = kind, s
	d.emit(&d.frag)
}

// Decode implements hub.Decoder.
func (d *decoder) Decode(ev hub.Event, emit func(*hub.Chunk)) {
	if d.done {
		return
	}
	d.emit = emit
	data := jsn.Trim(ev.Data)
	if len(data) <= len(`"[DONE]"`) && (string(data) == "[DONE]" || string(data) == `"[DONE]"`) {
		d.End(emit)
		return
	}
	if jsn.KindOf(data) != jsn.Obj || !ev.JSON() {
		return
	}
	var choices, fail []byte
	hadFinish := d.native != ""
	usage := false
	var id, model jsn.Str
	var created []byte
	for it := jsn.Object(data); it.Next(); {
		key := it.Key()
		if string(key) == "choices" {
			if !d.started {
				choices = it.Value()
				continue
			}
			list := it.Array()
			d.choices(&list)
			it.Leave(list.End())
			continue
		}
		v := it.Value()
		switch string(key) {
		case "id":
			id = jsn.StrOf(v)
		case "model":
			model = jsn.StrOf(v)
		case "created":
			created = v
		case "usage":
			usage = jsn.KindOf(v) == jsn.Obj
			d.use.merge(v)
		case "x_groq":
			d.use.merge(jsn.Get(v, "usage"))
			fail = jsn.Get(v, "error")
		case "error":
			if !jsn.IsNull(v) {
				fail = v
			}
		}
	}
	if d.done {
		return
	}
	if !jsn.IsNull(fail) {
		d.fail(hub.ReadError(0, data))
		return
	}
	if !d.started {
		d.started = true
		n, _ := jsn.Int(created)
		d.out = hub.Chunk{Kind: hub.ChunkStart, ID: id.String(), Model: model.String(), Created: n}
		if d.use.known {
			d.out.Usage = d.use.usage()
		}
		emit(&d.out)
	}
	if choices != nil {
		list := jsn.Array(choices)
		d.choices(&list)
	}
	if usage && hadFinish && !d.done {
		d.finish()
	}
}

func (d *decoder) choices(list *jsn.ArrayIter) {
	for list.Next() {
		if d.done {
			continue
		}
		members := list.Object()
		d.choice(&members)
		list.Leave(members.End())
	}
}

// choice takes choice 0; others exist only for clients of the same format (WU-1).
func (d *decoder) choice(it *jsn.ObjectIter) {
	var delta, fail []byte
	finish, taken, indexed, other := "", false, false, false
	for it.Next() {
		key := it.Key()
		if string(key) == "delta" && indexed && !other {
			taken = true
			members := it.Object()
			d.delta(&members)
			it.Leave(members.End())
			continue
		}
		v := it.Value()
		switch string(key) {
		case "index":
			n, ok := jsn.Int(v)
			indexed, other = true, ok && n != 0
		case "delta":
			delta = v
		case "message":
			if delta == nil {
				delta = v
			}
		case "finish_reason":
			if s := jsn.StrOf(v); len(s) > 0 {
				finish = s.String()
			}
		case "usage":
			d.use.merge(v)
		case "error":
			fail = v
		}
	}
	if other {
		return
	}
	if finish == "error" || !jsn.IsNull(fail) && finish == "" {
		d.fail(hub.ReadError(0, append(append([]byte(`{"error":`), orNull(fail)...), '}')))
		return
	}
	if !taken && delta != nil {
		members := jsn.Object(delta)
		d.delta(&members)
	}
	if finish != "" {
		d.native = finish
	}
}

func orNull(v []byte) []byte {
	if v == nil {
		return []byte("null")
	}
	return v
}

func (d *decoder) delta(it *jsn.ObjectIter) {
	var content, refusal, thought, calls, legacy, images []byte
	for it.Next() {
		v := it.Value()
		switch string(it.Key()) {
		case "content":
			content = v
		case "refusal":
			refusal = v
		case "reasoning_content":
			if len(jsn.StrOf(v)) > 0 {
				thought = v
			}
		case "reasoning":
			if len(jsn.StrOf(v)) > 0 && thought == nil {
				thought = v
			}
		case "tool_calls":
			calls = v
		case "function_call":
			legacy = v
		case "images":
			images = v
		}
	}
	if s := jsn.StrOf(thought); len(s) > 0 {
		d.think.Off(d.text, d.thought)
		d.thought(s)
	}
	if jsn.KindOf(content) == jsn.Arr {
		for it := jsn.Array(content); it.Next(); {
			d.content(partText(it.Value()))
		}
	} else {
		d.content(jsn.StrOf(content))
	}
	if s := jsn.StrOf(refusal); len(s) > 0 {
		d.think.Interrupt(d.text)
		d.refusal = true
		d.send(hub.ChunkRefusal, s)
	}
	for it := jsn.Array(images); it.Next(); {
		if m, ok := readImage(it.Value()); ok {
			d.think.Interrupt(d.text)
			d.output = true
			d.out = hub.Chunk{Kind: hub.ChunkImage, Media: &m}
			d.emit(&d.out)
		}
	}
	for it := jsn.Array(calls); it.Next(); {
		d.call(it.Value())
	}
	if jsn.KindOf(legacy) == jsn.Obj {
		d.legacy(legacy)
	}
}

func (d *decoder) content(s jsn.Str) {
	switch {
	case len(s) == 0:
	case !d.tags:
		d.text(s)
	default:
		d.think.Feed(s, d.text, d.thought)
	}
}

// call takes one entry of delta.tool_calls; WU-2 says which call it belongs to.
func (d *decoder) call(raw []byte) {
	index := int64(-1)
	var id, name, sig jsn.Str
	var args []byte
	for it := jsn.Object(raw); it.Next(); {
		v := it.Value()
		switch string(it.Key()) {
		case "index":
			if n, ok := jsn.Int(v); ok {
				index = n
			}
		case "id":
			id = jsn.StrOf(v)
		case "function":
			for f := jsn.Object(v); f.Next(); {
				switch string(f.Key()) {
				case "name":
					name = jsn.StrOf(f.Value())
				case "arguments":
					args = f.Value()
				}
			}
		case "extra_content":
			sig = jsn.StrOf(jsn.Get(v, "google", "thought_signature"))
		}
	}
	d.think.Interrupt(d.text)
	n := d.find(index, id.View(), len(name) > 0)
	if n < 0 {
		n = len(d.calls)
		d.calls = append(d.calls, call{index: index})
	}
	k := &d.calls[n]
	d.latest = n
	d.output = true
	if len(id) > 0 && k.id == "" {
		k.id = strings.Clone(id.View())
	}
	if len(id) > 0 || len(name) > 0 || len(sig) > 0 {
		d.out = hub.Chunk{Kind: hub.ChunkCallStart, Call: n, CallID: k.id, Name: name.View(), Sig: sig}
		d.emit(&d.out)
	}
	d.arguments(n, args)
}

// find returns the number of the call that an entry belongs to, -1 for a new one.
func (d *decoder) find(index int64, id string, named bool) int {
	if index < 0 {
		if id == "" {
			return d.latest
		}
		for i := range d.calls {
			if d.calls[i].id == id {
				return i
			}
		}
		return -1
	}
	for i := range d.calls {
		k := &d.calls[i]
		if k.index != index || k.stale {
			continue
		}
		if id != "" && k.id != "" && id != k.id && named {
			k.stale = true
			return -1
		}
		return i
	}
	return -1
}

func (d *decoder) arguments(n int, v []byte) {
	d.out = hub.Chunk{Kind: hub.ChunkCallArgs, Call: n}
	k := &d.calls[n]
	switch jsn.KindOf(v) {
	case jsn.String:
		d.out.Text = jsn.StrOf(v)
		if string(k.args) == "{}" && len(d.out.Text) > 0 {
			k.args = k.args[:0]
		}
		k.args = append(k.args, d.out.Text...)
	case jsn.Obj, jsn.Arr:
		if jsn.Len(v) == 0 {
			return
		}
		d.out.Raw = v
		k.args = jsn.Tokens{}.AppendQuoted(k.args, v)
	default:
		return
	}
	if len(d.out.Text) > 0 || len(d.out.Raw) > 0 {
		d.emit(&d.out)
	}
}

// legacy takes delta.function_call, which is call 0 (T-8).
func (d *decoder) legacy(raw []byte) {
	d.think.Interrupt(d.text)
	d.output = true
	if len(d.calls) == 0 {
		d.calls = append(d.calls, call{index: 0, id: d.c.NewID("call_")})
		d.latest = 0
	}
	if name := jsn.StrOf(jsn.Get(raw, "name")); len(name) > 0 {
		d.out = hub.Chunk{Kind: hub.ChunkCallStart, CallID: d.calls[0].id, Name: name.View()}
		d.emit(&d.out)
	}
	d.arguments(0, jsn.Get(raw, "arguments"))
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
	d.think.Off(d.text, d.thought)
	if d.native == "" && !d.output {
		d.fail(hub.ErrEmpty())
		return
	}
	d.finish()
}

func (d *decoder) finish() {
	d.think.Off(d.text, d.thought)
	finish := hub.FinishOf(d.native)
	if d.native == "" && d.cut() {
		finish = hub.FinishLength
	}
	d.done = true
	d.out = hub.Chunk{Kind: hub.ChunkFinish, Finish: hub.SettleFinish(finish, len(d.calls) > 0, d.refusal),
		Native: d.native, Usage: d.use.usage()}
	d.emit(&d.out)
}

// cut tells whether a call's arguments are incomplete (W-6).
func (d *decoder) cut() bool {
	for i := range d.calls {
		if len(d.calls[i].args) == 0 {
			continue
		}
		if jsn.Valid(jsn.AppendDecoded(nil, d.calls[i].args)) != nil {
			return true
		}
	}
	return false
}
