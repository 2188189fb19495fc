package hub

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/jsn"
)

// Collector builds a whole answer from chunks (CX-2).
type Collector struct {
	ctx  *Ctx
	resp Response
	// calls[i] is the index in resp.Items of call i, -1 before its start.
	calls     []int
	args      []jsn.Str
	raws      [][]byte
	reasoning bool // the last item is a reasoning block that is still open
	done      bool
	err       *Error
}

// NewCollector returns an empty collector.
func NewCollector(c *Ctx) *Collector { return &Collector{ctx: c} }

// Add takes the next chunk.
func (k *Collector) Add(ch *Chunk) {
	if k.done {
		return
	}
	r := &k.resp
	switch ch.Kind {
	case ChunkStart:
		r.ID, r.Model, r.Created = strings.Clone(ch.ID), strings.Clone(ch.Model), ch.Created
	case ChunkText:
		k.text(ItemText, ch.Text)
	case ChunkTextSig:
		if n := len(r.Items); n > 0 && r.Items[n-1].Kind == ItemText {
			r.Items[n-1].Sig = clone(ch.Text)
		}
	case ChunkRefusal:
		k.text(ItemRefusal, ch.Text)
	case ChunkReasoning:
		if len(ch.Text) > 0 {
			b := k.block()
			b.Text = append(b.Text, ch.Text...)
		}
	case ChunkSignature:
		b := k.block()
		b.Sig = append(b.Sig, ch.Text...)
		b.Provider = strings.Clone(ch.Provider)
	case ChunkReasoningEnd:
		k.reasoning = false
	case ChunkRedacted:
		k.reasoning = false
		r.Items = append(r.Items, Item{Kind: ItemReasoning, Reasoning: Reasoning{
			Sig: clone(ch.Text), Redacted: true, Provider: strings.Clone(ch.Provider)}})
	case ChunkImage:
		k.reasoning = false
		m := *ch.Media
		m.Data, m.URL, m.MIME = clone(m.Data), clone(m.URL), strings.Clone(m.MIME)
		r.Items = append(r.Items, Item{Kind: ItemImage, Media: m})
	case ChunkCallStart, ChunkCallArgs:
		k.call(ch)
	case ChunkFinish:
		r.Finish, r.NativeFinish = ch.Finish, strings.Clone(ch.Native)
		r.StopSequence, r.Usage = clone(ch.StopSequence), ch.Usage
		k.finish()
	case ChunkError:
		k.done, k.err = true, ch.Err
	}
}

func (k *Collector) text(kind ItemKind, s jsn.Str) {
	if len(s) == 0 {
		return
	}
	k.reasoning = false
	items := k.resp.Items
	if n := len(items); n > 0 && items[n-1].Kind == kind && items[n-1].Sig == nil {
		items[n-1].Text = append(items[n-1].Text, s...)
		return
	}
	k.resp.Items = append(items, Item{Kind: kind, Text: clone(s)})
}

// block returns the open reasoning block, opening one if need be.
func (k *Collector) block() *Reasoning {
	if !k.reasoning {
		k.resp.Items = append(k.resp.Items, Item{Kind: ItemReasoning})
		k.reasoning = true
	}
	return &k.resp.Items[len(k.resp.Items)-1].Reasoning
}

func (k *Collector) call(ch *Chunk) {
	if ch.Call < 0 || ch.Call > maxCalls {
		return
	}
	for len(k.calls) <= ch.Call {
		k.calls, k.args, k.raws = append(k.calls, -1), append(k.args, nil), append(k.raws, nil)
	}
	if k.calls[ch.Call] < 0 {
		k.reasoning = false
		k.calls[ch.Call] = len(k.resp.Items)
		k.resp.Items = append(k.resp.Items, Item{Kind: ItemCall})
	}
	call := &k.resp.Items[k.calls[ch.Call]].Call
	if ch.Kind == ChunkCallStart {
		if call.ID == "" {
			call.ID = strings.Clone(ch.CallID)
		}
		if call.Name == "" {
			call.Name = strings.Clone(ch.Name)
		}
		call.Custom = call.Custom || ch.Custom
		if len(ch.Sig) > 0 {
			call.GoogleSig = clone(ch.Sig)
		}
		return
	}
	if len(ch.Raw) > 0 {
		k.raws[ch.Call] = append([]byte(nil), ch.Raw...)
		return
	}
	if string(k.args[ch.Call]) == "{}" && len(ch.Text) > 0 {
		k.args[ch.Call] = k.args[ch.Call][:0]
	}
	k.args[ch.Call] = append(k.args[ch.Call], ch.Text...)
}

// maxCalls bounds the call numbers a stream may use.
const maxCalls = 4096

func (k *Collector) finish() {
	k.done = true
	cut := false
	for i, at := range k.calls {
		if at < 0 {
			continue
		}
		call := &k.resp.Items[at].Call
		if k.raws[i] != nil {
			call.Args = ArgsValue(k.raws[i])
			continue
		}
		call.Args = ArgsString(k.args[i])
		if text := k.args[i].String(); text != "" && jsn.Valid([]byte(text)) != nil {
			cut = true
		}
	}
	if cut && k.resp.NativeFinish == "" && k.resp.Finish == FinishTools {
		k.resp.Finish = FinishLength // W-6: the end of the stream cut the arguments
	}
}

// Response returns the answer, or the *[Error] that ended the stream.
func (k *Collector) Response() (*Response, error) {
	if k.err != nil {
		return nil, k.err
	}
	if !k.done {
		return nil, ErrTruncated()
	}
	return &k.resp, nil
}
