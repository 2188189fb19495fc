package chat

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// counters are the numbers of an OpenAI usage object as they come, in streams merged
// so that the last non-null value of each wins (U-4).
type counters struct {
	prompt, completion, total  int64
	cached, written, reasoning int64
	known                      bool
}

// merge takes the counters of one usage object, vendor spellings included (U-3).
func (k *counters) merge(raw []byte) {
	for it := jsn.Object(raw); it.Next(); {
		v := it.Value()
		switch string(it.Key()) {
		case "prompt_tokens":
			k.set(&k.prompt, v)
		case "completion_tokens":
			k.set(&k.completion, v)
		case "total_tokens":
			k.set(&k.total, v)
		case "prompt_cache_hit_tokens", "cached_tokens":
			k.set(&k.cached, v)
		case "cache_creation_input_tokens":
			k.set(&k.written, v)
		case "prompt_tokens_details":
			for d := jsn.Object(v); d.Next(); {
				switch string(d.Key()) {
				case "cached_tokens":
					k.set(&k.cached, d.Value())
				case "cache_creation_tokens", "cache_write_tokens":
					k.set(&k.written, d.Value())
				}
			}
		case "completion_tokens_details":
			if n := jsn.Get(v, "reasoning_tokens"); n != nil {
				k.set(&k.reasoning, n)
			}
		}
	}
}

func (k *counters) set(field *int64, v []byte) {
	if n, ok := jsn.Int(v); ok && n >= 0 {
		*field, k.known = n, true
	}
}

func (k *counters) usage() hub.Usage {
	u := hub.Usage{Prompt: k.prompt, Completion: k.completion, CachedRead: k.cached, CacheWrite: k.written,
		Reasoning: k.reasoning, Known: k.known}
	if k.reasoning > 0 && k.total == k.prompt+k.completion+k.reasoning {
		u.Completion += k.reasoning
	}
	u.Total = u.Sum()
	return u
}

// appendUsage appends a usage object; both details are always there (U-1).
func appendUsage(dst []byte, u *hub.Usage) []byte {
	dst = append(dst, '{')
	dst = jsn.AppendIntMember(dst, "prompt_tokens", u.Prompt)
	dst = jsn.AppendIntMember(dst, "completion_tokens", u.Completion)
	dst = jsn.AppendIntMember(dst, "total_tokens", u.Sum())
	dst = append(dst, `,"prompt_tokens_details":{`...)
	dst = jsn.AppendIntMember(dst, "cached_tokens", u.CachedRead)
	dst = jsn.AppendIntMember(dst, "cache_creation_tokens", u.CacheWrite)
	dst = append(dst, `},"completion_tokens_details":{`...)
	dst = jsn.AppendIntMember(dst, "reasoning_tokens", u.Reasoning)
	return append(dst, '}', '}')
}
