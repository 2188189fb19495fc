package github

import (
	"strconv"
	"strings"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/jsn"
)

func claude(model string) bool { return strings.HasPrefix(model, "claude") }

// look tells who speaks, which decides about billing: the user, or an agent that
// goes on by itself; and whether there is an image.
func look(body sdk.JSON, dialect string) (initiator string, images bool) {
	initiator = "user"
	list := "messages"
	if dialect == sdk.Responses {
		list = "input"
	}
	body.Get(list).Each(func(m sdk.JSON) {
		role, kind := m.Get("role"), m.Get("type").Text()
		if role.Is("assistant") || role.Is("tool") || strings.HasPrefix(kind, "function_call") || strings.HasPrefix(kind, "custom_tool_call") {
			initiator = "agent"
		}
		m.Get("content").Each(func(part sdk.JSON) {
			t := part.Get("type").Text()
			images = images || t == "image_url" || t == "input_image"
		})
	})
	return initiator, images
}

// fit makes a chat request what the service takes.
func fit(c *sdk.Ctx, b *sdk.Body, body sdk.JSON, stream bool) {
	if completionTokens(c.Model) {
		b.Rename("max_tokens", "max_completion_tokens")
	}
	if claude(c.Model) {
		b.Drop("thinking", "response_format")
		if !strings.Contains(c.Model, "4.6") && !strings.Contains(c.Model, "4-6") {
			b.Drop("reasoning_effort")
		}
	}
	if stream {
		b.Set("stream_options.include_usage", "true")
	}
	k := 0
	body.Get("messages").Each(func(m sdk.JSON) {
		if content, changed := plain(m.Get("content")); changed {
			b.Set("messages."+strconv.Itoa(k)+".content", string(content))
		}
		k++
	})
}

// completionTokens tells models that count reasoning into the limit of an answer.
func completionTokens(model string) bool {
	for _, s := range [...]string{"gpt-5", "o1-", "o3-", "o4-"} {
		if strings.Contains(model, s) {
			return true
		}
	}
	return false
}

// plain turns content parts that the service does not know into text.
func plain(content sdk.JSON) (out []byte, changed bool) {
	if jsn.KindOf(content) != jsn.Arr {
		return nil, false
	}
	out = []byte{'['}
	content.Each(func(part sdk.JSON) {
		switch part.Get("type").Text() {
		case "text", "image_url":
			out = append(jsn.Sep(out), part...)
			return
		}
		changed = true
		text := part.Get("text")
		if jsn.KindOf(text) != jsn.String {
			if text = part.Get("content"); jsn.KindOf(text) != jsn.String {
				text = sdk.Quote(string(part))
			}
		}
		out = append(append(append(jsn.Sep(out), `{"type":"text","text":`...), text...), '}')
	})
	return append(out, ']'), changed
}
