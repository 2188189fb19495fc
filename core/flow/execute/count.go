package execute

import (
	"strconv"
	"sync"

	"github.com/tiktoken-go/tokenizer"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/sdk/abi"
)

// What a message and an image cost beside their text, in tokens.
const (
	messageTokens = 4
	replyTokens   = 3
	imageTokens   = 1600
)

// codec is the tokenizer of estimates. It is large, so it is built when the
// first estimate is asked for.
var codec = sync.OnceValues(func() (tokenizer.Codec, error) { return tokenizer.Get(tokenizer.O200kBase) })

// count answers a token-counting request by an estimate; upstream is never
// asked for a completion (CT-1).
func (s *Stage) count(c *call.Call) {
	n, err := countTokens(c)
	if err != nil {
		c.Fail(fault.Wrap(fault.Internal, err, "The tokens cannot be counted"))
		return
	}
	digits := strconv.Itoa(n)
	var body string
	switch c.Dialect {
	case "gemini":
		body = `{"totalTokens":` + digits + `}`
	case "openai-responses":
		body = `{"object":"response.input_tokens","input_tokens":` + digits + `}`
	default:
		body = `{"input_tokens":` + digits + `}`
	}
	c.Answer = &call.Answer{Status: 200, Body: []byte(body), Header: []abi.Header{{Name: "x-omniroute-estimated", Value: "tokens"}}}
}

// countTokens counts the texts of a request with a tokenizer, and adds flat
// prices for what is no text.
func countTokens(c *call.Call) (int, error) {
	enc, err := codec()
	if err != nil {
		return 0, err
	}
	total := replyTokens + c.Req.Messages*messageTokens + c.Req.Images*imageTokens
	var walk func(raw []byte) error
	walk = func(raw []byte) error {
		if len(raw) == 0 {
			return nil
		}
		var failed error
		switch raw[0] {
		case '{':
			doc.Scan(raw, func(key, v []byte) bool {
				if !untold(string(key)) {
					failed = walk(v)
				}
				return failed == nil
			})
		case '[':
			doc.Each(raw, func(_ int, v []byte) bool { failed = walk(v); return failed == nil })
		case '"':
			full, err := c.Doc.Inflate(nil, raw, 0)
			if err != nil {
				return err
			}
			text, _ := doc.String(full)
			n, err := enc.Count(text)
			if err != nil {
				return err
			}
			total += n
		}
		return failed
	}
	for _, name := range [...]string{"system", "instructions", "systemInstruction", "messages", "input", "contents", "tools"} {
		raw, ok := doc.Get(c.Source, name)
		if !ok {
			continue
		}
		if err := walk(raw); err != nil {
			return 0, err
		}
	}
	return total, nil
}

// untold are the members of a conversation whose strings no model reads.
func untold(key string) bool {
	switch key {
	case "type", "role", "id", "call_id", "tool_call_id", "tool_use_id", "data", "url", "image_url", "media_type", "mimeType",
		"signature", "thoughtSignature", "encrypted_content", "cache_control", "file_data", "detail", "status", "format":
		return true
	}
	return false
}
