package hub

import "github.com/omniroute/omniroute/sdk/jsn"

// Finish reasons.
const (
	FinishStop   = "stop"
	FinishLength = "length"
	FinishTools  = "tool_calls"
	FinishFilter = "content_filter"
	FinishError  = "error"
)

// Usage counts tokens. Prompt counts everything that was sent, cached and
// cache-written included; Completion everything produced, reasoning included.
type Usage struct {
	Prompt     int64
	Completion int64
	CachedRead int64
	CacheWrite int64
	Reasoning  int64
	Total      int64
	Known      bool // upstream reported something
	Estimated  bool // counted by the gateway
}

// Sum returns the total: prompt + completion.
func (u *Usage) Sum() int64 { return u.Prompt + u.Completion }

// ItemKind is the type of an output item.
type ItemKind uint8

// Kinds of output items.
const (
	ItemText ItemKind = iota
	ItemRefusal
	ItemReasoning
	ItemCall
	ItemImage
)

// Item is one piece of an answer.
type Item struct {
	Kind      ItemKind
	Text      jsn.Str   // ItemText, ItemRefusal
	Sig       jsn.Str   // ItemText: Gemini's signature of it
	Reasoning Reasoning // ItemReasoning
	Call      Call      // ItemCall
	Media     Media     // ItemImage
}

// Response is a whole answer. Items stand in the order they were produced; text
// that follows text is one item.
type Response struct {
	ID           string
	Model        string
	Created      int64
	Items        []Item
	Finish       string // one of the Finish constants; "" = upstream gave none
	NativeFinish string // as upstream said
	StopSequence jsn.Str
	Usage        Usage
	Logprobs     []byte // chat completions shape, raw
}

// HasCalls tells whether the answer calls a tool.
func (r *Response) HasCalls() bool {
	for i := range r.Items {
		if r.Items[i].Kind == ItemCall {
			return true
		}
	}
	return false
}

// Chunks passes the answer on as the chunks of a stream, for a client that wants one.
func (r *Response) Chunks(emit func(*Chunk)) {
	var out Chunk
	send := func(ch Chunk) { out = ch; emit(&out) }
	send(Chunk{Kind: ChunkStart, ID: r.ID, Model: r.Model, Created: r.Created, Usage: r.Usage})
	calls := 0
	for i := range r.Items {
		it := &r.Items[i]
		switch it.Kind {
		case ItemText:
			send(Chunk{Kind: ChunkText, Text: it.Text})
			if len(it.Sig) > 0 {
				send(Chunk{Kind: ChunkTextSig, Text: it.Sig})
			}
		case ItemRefusal:
			send(Chunk{Kind: ChunkRefusal, Text: it.Text})
		case ItemReasoning:
			th := &it.Reasoning
			if th.Redacted {
				send(Chunk{Kind: ChunkRedacted, Text: th.Sig, Provider: th.Provider})
				continue
			}
			if len(th.Text) > 0 {
				send(Chunk{Kind: ChunkReasoning, Text: th.Text})
			}
			if len(th.Sig) > 0 {
				send(Chunk{Kind: ChunkSignature, Text: th.Sig, Provider: th.Provider})
			}
			send(Chunk{Kind: ChunkReasoningEnd})
		case ItemCall:
			c := &it.Call
			send(Chunk{Kind: ChunkCallStart, Call: calls, CallID: c.ID, Name: c.Name, Sig: c.GoogleSig, Custom: c.Custom})
			send(Chunk{Kind: ChunkCallArgs, Call: calls, Text: c.Args.AppendString(nil, jsn.Tokens{})})
			send(Chunk{Kind: ChunkCallEnd, Call: calls})
			calls++
		case ItemImage:
			send(Chunk{Kind: ChunkImage, Media: &it.Media})
		}
	}
	send(Chunk{Kind: ChunkFinish, Finish: r.Finish, Native: r.NativeFinish, StopSequence: r.StopSequence, Usage: r.Usage})
}
