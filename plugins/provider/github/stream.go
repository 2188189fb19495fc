package github

import (
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// OpenStream implements sdk.Streamer.
func (x *executor) OpenStream(c *sdk.Ctx) (sdk.FrameHandler, error) { return merger{}, nil }

// merger puts the choices of a chunk together: text comes in one, calls in another,
// where one answer was asked for.
type merger struct{}

// Frame implements sdk.FrameHandler.
func (merger) Frame(s *sdk.Stream, f abi.Frame) error {
	if f.Kind == abi.FrameComment {
		return nil
	}
	root := sdk.JSON(f.Payload).Get("")
	choices := root.Get("choices")
	split := jsn.Len(choices) > 1
	if !split {
		choices.Each(func(choice sdk.JSON) { split = choice.Get("index").Int() != 0 })
	}
	if !split {
		return s.Pass(f)
	}
	out := []byte{'{'}
	root.Members(func(name string, v sdk.JSON) {
		if name == "choices" {
			v = merged(choices)
		}
		out = jsn.AppendMember(out, name, v)
	})
	f.Payload = append(out, '}')
	return s.Emit(f)
}

// End implements sdk.FrameHandler.
func (merger) End(*sdk.Stream, abi.EndReason) error { return nil }

// merged is one choice of several: what the first one lacks is taken from the
// others. Calls of all of them stand side by side.
func merged(choices sdk.JSON) sdk.JSON {
	var names []string
	members := map[string]sdk.JSON{}
	calls := []byte{'['}
	finish := sdk.JSON(nil)
	choices.Each(func(choice sdk.JSON) {
		if f := choice.Get("finish_reason"); f.Exists() && (finish == nil || f.Is("tool_calls")) {
			finish = f
		}
		choice.Get("delta").Members(func(name string, v sdk.JSON) {
			if name == "tool_calls" {
				v.Each(func(call sdk.JSON) { calls = append(jsn.Sep(calls), call...) })
				return
			}
			have, ok := members[name]
			if !ok {
				names = append(names, name)
			}
			if !have.Exists() {
				members[name] = v
			}
		})
	})
	out := []byte(`[{"index":0,"delta":{`)
	for _, name := range names {
		out = jsn.AppendMember(out, name, members[name])
	}
	if len(calls) > 1 {
		out = jsn.AppendMember(out, "tool_calls", append(calls, ']'))
	}
	out = append(out, '}')
	if finish == nil {
		finish = sdk.JSON("null")
	}
	return append(jsn.AppendMember(out, "finish_reason", finish), '}', ']')
}
