package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/openai/openai-go/v3"
	openaiopt "github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
	"github.com/stretchr/testify/require"
	"google.golang.org/genai"
)

// responsesTalk uses the Responses API of github.com/openai/openai-go.
type responsesTalk struct {
	client openai.Client
	ask    ask
	params responses.ResponseNewParams
	items  responses.ResponseInputParam
}

func newResponses(g *gateway, a ask) talk {
	o := &responsesTalk{client: openai.NewClient(openaiopt.WithBaseURL(g.URL+"/v1"), openaiopt.WithAPIKey("any"), openaiopt.WithMaxRetries(0)), ask: a}
	o.params.Model = a.model
	if a.think {
		o.params.Reasoning = shared.ReasoningParam{Effort: shared.ReasoningEffortLow, Summary: shared.ReasoningSummaryAuto}
		o.params.Include = []responses.ResponseIncludable{responses.ResponseIncludableReasoningEncryptedContent}
	}
	if a.tools {
		o.params.Tools = []responses.ToolUnionParam{responses.ToolParamOfFunction("get_weather", weather, false)}
	}
	if a.schema {
		o.params.Text.Format = responses.ResponseFormatTextConfigUnionParam{OfJSONSchema: &responses.ResponseFormatTextJSONSchemaConfigParam{Name: "city", Schema: weather}}
	}
	return o
}

func (o *responsesTalk) say(ctx context.Context, text string, results []result) (reply, error) {
	for _, r := range results {
		item := responses.ResponseInputItemParamOfFunctionCallOutput(r.text)
		item.OfFunctionCallOutput.CallID = openai.String(r.id)
		o.items = append(o.items, item)
	}
	if text != "" {
		content := responses.ResponseInputMessageContentListParam{{OfInputText: &responses.ResponseInputTextParam{Text: text}}}
		if o.ask.image {
			content = append(content, responses.ResponseInputContentUnionParam{OfInputImage: &responses.ResponseInputImageParam{ImageURL: openai.String(pixelURL), Detail: "auto"}})
		}
		o.items = append(o.items, responses.ResponseInputItemParamOfMessage(content, responses.EasyInputMessageRoleUser))
	}
	o.params.Input = responses.ResponseNewParamsInputUnion{OfInputItemList: o.items}
	var resp responses.Response
	if o.ask.stream {
		stream := o.client.Responses.NewStreaming(ctx, o.params)
		defer stream.Close()
		for stream.Next() {
			switch e := stream.Current(); e.Type {
			case "response.completed", "response.incomplete":
				resp = e.Response
			}
		}
		if err := stream.Err(); err != nil {
			return reply{}, openaiError(err)
		}
	} else {
		got, err := o.client.Responses.New(ctx, o.params)
		if err != nil {
			return reply{}, openaiError(err)
		}
		resp = *got
	}
	r := reply{Text: resp.OutputText(), Finish: "stop", Prompt: resp.Usage.InputTokens, Output: resp.Usage.OutputTokens, Model: resp.Model}
	if resp.Status == "incomplete" {
		r.Finish = "length"
	}
	for _, item := range resp.Output {
		o.items = append(o.items, param.Override[responses.ResponseInputItemUnionParam](json.RawMessage(item.RawJSON())))
		switch item.Type {
		case "function_call":
			call := item.AsFunctionCall()
			r.Calls = append(r.Calls, callOf(call.CallID, call.Name, call.Arguments))
			r.Finish = "tool_calls"
		case "reasoning":
			for _, s := range item.AsReasoning().Summary {
				r.Thinking += s.Text
			}
		}
	}
	if resp.Status == "" {
		return r, errors.New("the stream has no terminal event")
	}
	return r, nil
}

func callOf(id, name, args string) call { return call{id, name, args} }

// geminiTalk uses google.golang.org/genai.
type geminiTalk struct {
	client  *genai.Client
	ask     ask
	config  genai.GenerateContentConfig
	history []*genai.Content
	names   map[string]string
}

func newGemini(g *gateway, a ask) talk {
	client, err := genai.NewClient(context.Background(), &genai.ClientConfig{
		APIKey: "any", Backend: genai.BackendGeminiAPI, HTTPOptions: genai.HTTPOptions{BaseURL: g.URL},
	})
	require.NoError(g.t, err)
	c := &geminiTalk{client: client, ask: a, names: map[string]string{}}
	if a.think {
		budget := int32(2000)
		c.config.ThinkingConfig = &genai.ThinkingConfig{IncludeThoughts: true, ThinkingBudget: &budget}
	}
	if a.tools {
		c.config.Tools = []*genai.Tool{{FunctionDeclarations: []*genai.FunctionDeclaration{{Name: "get_weather", Description: "weather of a city", ParametersJsonSchema: weather}}}}
	}
	if a.schema {
		c.config.ResponseMIMEType = "application/json"
		c.config.ResponseSchema = &genai.Schema{Type: genai.TypeObject, Properties: map[string]*genai.Schema{"city": {Type: genai.TypeString}}, Required: []string{"city"}}
	}
	return c
}

func (c *geminiTalk) say(ctx context.Context, text string, results []result) (reply, error) {
	var parts []*genai.Part
	for _, r := range results {
		part := genai.NewPartFromFunctionResponse(c.names[r.id], map[string]any{"output": r.text})
		part.FunctionResponse.ID = r.id
		parts = append(parts, part)
	}
	if text != "" {
		parts = append(parts, genai.NewPartFromText(text))
		if c.ask.image {
			parts = append(parts, genai.NewPartFromBytes(pixel(), "image/png"))
		}
	}
	c.history = append(c.history, genai.NewContentFromParts(parts, genai.RoleUser))
	var r reply
	said := &genai.Content{Role: genai.RoleModel}
	take := func(resp *genai.GenerateContentResponse) {
		r.Model = resp.ModelVersion
		if u := resp.UsageMetadata; u != nil {
			r.Prompt, r.Output = int64(u.PromptTokenCount), int64(u.CandidatesTokenCount+u.ThoughtsTokenCount)
		}
		for _, cand := range resp.Candidates {
			if cand.FinishReason != "" {
				r.Finish = map[genai.FinishReason]string{genai.FinishReasonStop: "stop", genai.FinishReasonMaxTokens: "length"}[cand.FinishReason]
			}
			if cand.Content == nil {
				continue
			}
			for _, p := range cand.Content.Parts {
				if p.Text != "" || p.FunctionCall != nil || len(p.ThoughtSignature) > 0 {
					said.Parts = append(said.Parts, p) // an empty text part may not be sent back
				}
			}
			for _, p := range cand.Content.Parts {
				switch {
				case p.FunctionCall != nil:
					args, _ := json.Marshal(p.FunctionCall.Args)
					id := p.FunctionCall.ID
					if id == "" {
						id = fmt.Sprintf("call-%d", len(c.names))
					}
					c.names[id] = p.FunctionCall.Name
					r.Calls = append(r.Calls, call{id, p.FunctionCall.Name, string(args)})
				case p.Thought:
					r.Thinking += p.Text
				default:
					r.Text += p.Text
				}
			}
		}
	}
	if c.ask.stream {
		for resp, err := range c.client.Models.GenerateContentStream(ctx, c.ask.model, c.history, &c.config) {
			if err != nil {
				return r, geminiError(err)
			}
			take(resp)
		}
	} else {
		resp, err := c.client.Models.GenerateContent(ctx, c.ask.model, c.history, &c.config)
		if err != nil {
			return r, geminiError(err)
		}
		take(resp)
	}
	if len(r.Calls) > 0 && r.Finish == "stop" {
		r.Finish = "tool_calls"
	}
	c.history = append(c.history, said)
	return r, nil
}

func geminiError(err error) error {
	var e genai.APIError
	if errors.As(err, &e) {
		kind := map[string]string{"INVALID_ARGUMENT": "invalid_request_error"}[e.Status]
		if kind == "" {
			kind = e.Status
		}
		return &failed{e.Code, kind, e.Message}
	}
	return err
}

func TestCountTokens(t *testing.T) {
	t.Parallel()
	m := startMatrix(t)
	for target, model := range upstreamModels {
		name := "up-" + target + "/" + model
		t.Run(target, func(t *testing.T) {
			a := m.post("/v1/messages/count_tokens", fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"count these words please"}]}`, name), "anthropic-version", "2023-06-01")
			require.Equal(t, http.StatusOK, a.Status, a.Body)
			require.Regexp(t, `"input_tokens":\s*[1-9]`, a.Body)
			client := newGemini(m, ask{}).(*geminiTalk).client
			got, err := client.Models.CountTokens(context.Background(), name, genai.Text("count these words please"), nil)
			require.NoError(t, err)
			require.Positive(t, got.TotalTokens)
		})
	}
}
