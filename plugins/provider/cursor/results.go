package cursor

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/jsn"
	"github.com/omniroute/omniroute/sdk/pb"
)

// toolMCP is the kind of tool that clients bring themselves.
const toolMCP = 19

// callsMade are the calls of a conversation so far, by id.
type callsMade map[string]nativeResult

// nativeResult is the result of a call in the service's own form.
type nativeResult struct {
	id, name, args, text string
	index                uint64
}

// note remembers the calls of an assistant message.
func (c *callsMade) note(message []byte, o *options) {
	index := uint64(0)
	for it := jsn.Array(jsn.Get(message, "tool_calls")); it.Next(); index++ {
		fn := jsn.Get(it.Value(), "function")
		id := o.text(jsn.Get(it.Value(), "id"))
		if *c == nil {
			*c = callsMade{}
		}
		(*c)[id] = nativeResult{id: id, name: o.text(jsn.Get(fn, "name")), args: o.text(jsn.Get(fn, "arguments")), index: index}
	}
}

// result reads the text block that stands for a tool's result in the dialect; ok
// is false for any other text, also for one that looks like it but belongs to no
// call.
func (c callsMade) result(text string) (r nativeResult, ok bool) {
	const (
		open  = "<tool_result>\n<tool_name>"
		id    = "</tool_name>\n<tool_call_id>"
		body  = "</tool_call_id>\n<result>"
		close = "</result>\n</tool_result>"
	)
	rest, ok := strings.CutPrefix(text, open)
	if !ok {
		return r, false
	}
	if rest, ok = strings.CutSuffix(rest, close); !ok {
		return r, false
	}
	_, rest, ok = strings.Cut(rest, id)
	call, rest, more := strings.Cut(rest, body)
	if !ok || !more {
		return r, false
	}
	plain := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")
	if r, ok = c[plain.Replace(call)]; ok {
		r.text = plain.Replace(rest)
	}
	return r, ok
}

// write writes a ConversationMessage.ToolResult.
func (r nativeResult) write(w *pb.Writer) {
	w.String(1, r.id)
	w.String(2, r.name)
	w.Uint(3, r.index)
	w.String(4, r.args)
	w.String(5, r.args)
	w.Message(8, func(w *pb.Writer) {
		w.Uint(1, toolMCP)
		w.Message(28, func(w *pb.Writer) { w.String(1, r.name); w.String(2, r.text) })
		w.String(35, r.id)
		w.Uint(49, r.index)
	})
}
