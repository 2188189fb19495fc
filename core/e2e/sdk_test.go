package e2e

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicopt "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	openaiopt "github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
)

// reply is an answer as a client program sees it, whatever client it uses.
type reply struct {
	Text, Thinking string
	Calls          []call
	Finish         string // stop, length or tool_calls
	Prompt, Output int64
	Model          string
}

type call struct{ ID, Name, Args string }

// failed is an error answer as a client program sees it.
type failed struct {
	Status  int
	Type    string
	Message string
}

func (f *failed) Error() string { return fmt.Sprintf("%d %s: %s", f.Status, f.Type, f.Message) }

// talk is one conversation through an official client.
type talk interface {
	// say sends a user text, or the results of the last answer's calls.
	say(ctx context.Context, text string, results []result) (reply, error)
}

// result is what a tool gave.
type result struct{ id, text string }

// ask is what a conversation wants.
type ask struct {
	model  string
	stream bool
	think  bool
	tools  bool
	image  bool
	schema bool // answer as JSON of the schema weather
}

// pixelData is a PNG image of one pixel.
const (
	pixelData = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
	pixelURL  = "data:image/png;base64," + pixelData
)

func pixel() []byte {
	b, err := base64.StdEncoding.DecodeString(pixelData)
	if err != nil {
		panic(err)
	}
	return b
}

var weather = map[string]any{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}, "required": []string{"city"}}

// clients are the dialects that a program can speak.
var clients = map[string]func(g *gateway, a ask) talk{
	"openai": newOpenAI,
	"claude": newClaude,
}

// allClients has the others too.
var allClients = map[string]func(g *gateway, a ask) talk{
	"openai":           newOpenAI,
	"claude":           newClaude,
	"openai-responses": newResponses,
	"gemini":           newGemini,
}

// openaiTalk uses github.com/openai/openai-go.
type openaiTalk struct {
	client openai.Client
	ask    ask
	params openai.ChatCompletionNewParams
}

func newOpenAI(g *gateway, a ask) talk {
	o := &openaiTalk{client: openai.NewClient(openaiopt.WithBaseURL(g.URL+"/v1"), openaiopt.WithAPIKey("any"), openaiopt.WithMaxRetries(0)), ask: a}
	o.params.Model = a.model
	if a.think {
		o.params.ReasoningEffort = shared.ReasoningEffortLow
	}
	if a.tools {
		o.params.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
			Name: "get_weather", Description: openai.String("weather of a city"), Parameters: weather,
		})}
	}
	if a.schema {
		o.params.ResponseFormat = openai.ChatCompletionNewParamsResponseFormatUnion{OfJSONSchema: &shared.ResponseFormatJSONSchemaParam{
			JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "city", Schema: weather},
		}}
	}
	if a.stream {
		o.params.StreamOptions.IncludeUsage = openai.Bool(true)
	}
	return o
}

func (o *openaiTalk) say(ctx context.Context, text string, results []result) (reply, error) {
	if text != "" {
		parts := []openai.ChatCompletionContentPartUnionParam{openai.TextContentPart(text)}
		if o.ask.image {
			parts = append(parts, openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: pixelURL}))
		}
		o.params.Messages = append(o.params.Messages, openai.UserMessage(parts))
	}
	for _, r := range results {
		o.params.Messages = append(o.params.Messages, openai.ToolMessage(r.text, r.id))
	}
	var c openai.ChatCompletion
	var thinking string
	if o.ask.stream {
		stream := o.client.Chat.Completions.NewStreaming(ctx, o.params)
		defer stream.Close()
		acc := openai.ChatCompletionAccumulator{}
		for stream.Next() {
			chunk := stream.Current()
			acc.AddChunk(chunk)
			for _, choice := range chunk.Choices {
				if f, ok := choice.Delta.JSON.ExtraFields["reasoning_content"]; ok {
					thinking += unquote(f.Raw())
				}
			}
		}
		if err := stream.Err(); err != nil {
			return reply{Text: content(acc.ChatCompletion)}, openaiError(err)
		}
		c = acc.ChatCompletion
	} else {
		got, err := o.client.Chat.Completions.New(ctx, o.params)
		if err != nil {
			return reply{}, openaiError(err)
		}
		c = *got
		if len(c.Choices) > 0 {
			if f, ok := c.Choices[0].Message.JSON.ExtraFields["reasoning_content"]; ok {
				thinking = unquote(f.Raw())
			}
		}
	}
	if len(c.Choices) == 0 {
		return reply{}, errors.New("an answer without choices")
	}
	choice := c.Choices[0]
	o.params.Messages = append(o.params.Messages, choice.Message.ToParam())
	r := reply{Text: choice.Message.Content, Thinking: thinking, Finish: choice.FinishReason, Prompt: c.Usage.PromptTokens, Output: c.Usage.CompletionTokens, Model: c.Model}
	for _, tc := range choice.Message.ToolCalls {
		r.Calls = append(r.Calls, call{tc.ID, tc.Function.Name, tc.Function.Arguments})
	}
	return r, nil
}

func content(c openai.ChatCompletion) string {
	if len(c.Choices) == 0 {
		return ""
	}
	return c.Choices[0].Message.Content
}

func openaiError(err error) error {
	var e *openai.Error
	if errors.As(err, &e) {
		return &failed{e.StatusCode, e.Type, e.Message}
	}
	return err
}

// claudeTalk uses github.com/anthropics/anthropic-sdk-go.
type claudeTalk struct {
	client anthropic.Client
	ask    ask
	params anthropic.MessageNewParams
}

func newClaude(g *gateway, a ask) talk {
	options := []anthropicopt.RequestOption{anthropicopt.WithBaseURL(g.URL), anthropicopt.WithAPIKey("any"), anthropicopt.WithMaxRetries(0)}
	if a.schema {
		format := map[string]any{"type": "json_schema", "schema": weather}
		options = append(options, anthropicopt.WithJSONSet("output_config", map[string]any{"format": format}))
	}
	c := &claudeTalk{client: anthropic.NewClient(options...), ask: a}
	c.params.Model = a.model
	c.params.MaxTokens = 4000
	if a.think {
		c.params.Thinking = anthropic.ThinkingConfigParamOfEnabled(2000)
	}
	if a.tools {
		tool := anthropic.ToolUnionParamOfTool(anthropic.ToolInputSchemaParam{Properties: weather["properties"], Required: []string{"city"}}, "get_weather")
		c.params.Tools = []anthropic.ToolUnionParam{tool}
	}
	return c
}

func (c *claudeTalk) say(ctx context.Context, text string, results []result) (reply, error) {
	var blocks []anthropic.ContentBlockParamUnion
	for _, r := range results {
		blocks = append(blocks, anthropic.NewToolResultBlock(r.id, r.text, false))
	}
	if text != "" {
		blocks = append(blocks, anthropic.NewTextBlock(text))
		if c.ask.image {
			blocks = append(blocks, anthropic.NewImageBlockBase64("image/png", pixelData))
		}
	}
	c.params.Messages = append(c.params.Messages, anthropic.NewUserMessage(blocks...))
	var m anthropic.Message
	if c.ask.stream {
		stream := c.client.Messages.NewStreaming(ctx, c.params)
		defer stream.Close()
		for stream.Next() {
			if err := m.Accumulate(stream.Current()); err != nil {
				return reply{}, err
			}
		}
		if err := stream.Err(); err != nil {
			r := claudeReply(m)
			return r, claudeError(err)
		}
	} else {
		got, err := c.client.Messages.New(ctx, c.params)
		if err != nil {
			return reply{}, claudeError(err)
		}
		m = *got
	}
	c.params.Messages = append(c.params.Messages, m.ToParam())
	return claudeReply(m), nil
}

func claudeReply(m anthropic.Message) reply {
	r := reply{Finish: string(m.StopReason), Output: m.Usage.OutputTokens, Model: m.Model}
	r.Prompt = m.Usage.InputTokens + m.Usage.CacheReadInputTokens + m.Usage.CacheCreationInputTokens
	switch r.Finish {
	case "end_turn":
		r.Finish = "stop"
	case "tool_use":
		r.Finish = "tool_calls"
	case "max_tokens":
		r.Finish = "length"
	}
	for _, b := range m.Content {
		switch b.Type {
		case "text":
			r.Text += b.Text
		case "thinking":
			r.Thinking += b.Thinking
		case "tool_use":
			r.Calls = append(r.Calls, call{b.ID, b.Name, string(b.Input)})
		}
	}
	return r
}

func claudeError(err error) error {
	var e *anthropic.Error
	if errors.As(err, &e) {
		f := &failed{Status: e.StatusCode, Message: e.RawJSON()}
		f.Type = between(e.RawJSON(), `"error":{"type":"`, `"`)
		if f.Type == "" {
			f.Type = between(e.RawJSON(), `"type":"`, `"`)
		}
		return f
	}
	return err
}

func between(s, from, to string) string {
	_, s, ok := strings.Cut(s, from)
	if !ok {
		return ""
	}
	s, _, _ = strings.Cut(s, to)
	return s
}
