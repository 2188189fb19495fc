package doc

import (
	"fmt"
	"strings"

	gojson "github.com/goccy/go-json"
)

type (
	obj = map[string]any
	arr = []any
)

// agentBody returns a request as a coding agent sends it: a long system
// prompt, a set of tools with schemas, and turns of tool calls with their
// results, in the Claude dialect. 52 turns make about 220 KB.
func agentBody(turns int) []byte {
	tools := arr{}
	for i := range 18 {
		props := obj{}
		for k := range 6 {
			props[fmt.Sprintf("param_%d", k)] = obj{
				"type":        "string",
				"description": strings.Repeat("Describes the parameter and when to leave it out. ", 3),
			}
		}
		tools = append(tools, obj{
			"name":        fmt.Sprintf("tool_%d", i),
			"description": strings.Repeat("Use this tool to do \"something\" useful.\n", 45),
			"input_schema": obj{
				"type": "object", "properties": props, "required": arr{"param_0"}, "additionalProperties": false,
			},
		})
	}
	messages := arr{}
	for i := range turns {
		id := fmt.Sprintf("toolu_%016d", i)
		messages = append(messages,
			obj{"role": "assistant", "content": arr{
				obj{"type": "text", "text": "I will look at the file first."},
				obj{"type": "tool_use", "id": id, "name": "tool_1", "input": obj{
					"path":    fmt.Sprintf("core/pkg/file_%d.go", i),
					"content": strings.Repeat("\tif err != nil {\n\t\treturn err\n\t}\n", 10),
				}},
			}},
			obj{"role": "user", "content": arr{
				obj{"type": "tool_result", "tool_use_id": id, "content": arr{
					obj{"type": "text", "text": strings.Repeat("func main() { fmt.Println(\"hello\", x[0]) }\n", 50)},
				}},
			}},
		)
	}
	return marshal(obj{
		"model": "claude-sonnet-4-5", "max_tokens": 32000, "stream": true,
		"metadata": obj{"user_id": "user_0123456789abcdef"},
		"system": arr{obj{
			"type": "text", "cache_control": obj{"type": "ephemeral"},
			"text": strings.Repeat("You are a coding agent. Follow the rules of the house — always.\n", 230),
		}},
		"tools": tools, "messages": messages,
	})
}

// chatBody returns a plain chat request of about 1 KB.
func chatBody() []byte {
	return marshal(obj{
		"model": "gpt-4o-mini", "temperature": 0.2, "stream": true,
		"messages": arr{
			obj{"role": "system", "content": "You are a helpful assistant. Answer in one sentence."},
			obj{"role": "user", "content": strings.Repeat("What is the capital of France? ", 10)},
			obj{"role": "assistant", "content": "Paris."},
			obj{"role": "user", "content": strings.Repeat("And of Germany, please? ", 16)},
		},
	})
}

func marshal(v any) []byte {
	b, err := gojson.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
