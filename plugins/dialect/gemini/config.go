package gemini

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// generationConfig reads sampling, limits, output format and thinking.
func (p *requestParser) generationConfig(v []byte) {
	r := p.req
	var mime string
	var jsonSchema, schema []byte
	for it := jsn.Object(v); it.Next(); {
		val := it.Value()
		if jsn.IsNull(val) {
			continue
		}
		switch key := name(it.Key()); key {
		case "temperature":
			r.Temperature = val
		case "topP":
			r.TopP = val
		case "topK":
			r.TopK = val
		case "candidateCount":
			r.N = val
		case "seed":
			r.Seed = val
		case "presencePenalty":
			r.PresencePenalty = val
		case "frequencyPenalty":
			r.FrequencyPenalty = val
		case "maxOutputTokens":
			r.MaxTokens, r.ExplicitMaxTokens = val, true
		case "stopSequences":
			for s := jsn.Array(val); s.Next(); {
				if text := jsn.StrOf(s.Value()); text != nil {
					r.Stop = append(r.Stop, text)
				}
			}
		case "responseLogprobs":
			r.Logprobs = val
		case "logprobs":
			r.TopLogprobs = val
		case "responseMimeType":
			mime = jsn.StrOf(val).String()
		case "responseJsonSchema":
			jsonSchema = val
		case "responseSchema":
			schema = val
		case "thinkingConfig":
			p.thinking(val)
		default:
			p.ctx.Drop("generationConfig." + key)
		}
	}
	switch {
	case jsonSchema != nil:
		r.Format = hub.Format{Kind: hub.FormatSchema, Name: jsn.Lit("response"), Schema: appendLower(nil, jsonSchema, 0)}
	case schema != nil:
		r.Format = hub.Format{Kind: hub.FormatSchema, Name: jsn.Lit("response"), Schema: appendLower(make([]byte, 0, len(schema)), schema, 0)}
	case mime == "application/json":
		r.Format = hub.Format{Kind: hub.FormatJSON}
	}
}

// nameFields tells the report of dropped fields how this format calls them.
func nameFields(c *hub.Ctx) {
	const cfg = "generationConfig."
	c.Alias("temperature", cfg+"temperature")
	c.Alias("top_p", cfg+"topP")
	c.Alias("top_k", cfg+"topK")
	c.Alias("n", cfg+"candidateCount")
	c.Alias("seed", cfg+"seed")
	c.Alias("stop", cfg+"stopSequences")
	c.Alias("presence_penalty", cfg+"presencePenalty")
	c.Alias("frequency_penalty", cfg+"frequencyPenalty")
	c.Alias("max_tokens", cfg+"maxOutputTokens")
	c.Alias("logprobs", cfg+"responseLogprobs")
	c.Alias("top_logprobs", cfg+"logprobs")
	c.Alias("response_format", cfg+"responseSchema")
	c.Alias("reasoning_effort", cfg+"thinkingConfig")
	c.Alias("tool_choice", "toolConfig")
	c.Alias("reasoning_content", "contents.parts.thought")
	c.Alias("system", "systemInstruction")
}

// thinking reads the client's wish (H-1).
func (p *requestParser) thinking(v []byte) {
	t := &p.req.Thinking
	for it := jsn.Object(v); it.Next(); {
		val := it.Value()
		switch name(it.Key()) {
		case "includeThoughts":
			p.req.Visible = jsn.IsTrue(val)
		case "thinkingLevel":
			if level := strings.ToLower(jsn.StrOf(val).String()); level != "" && level != "thinking_level_unspecified" {
				t.Mode, t.Effort = hub.ThinkEffort, level
			}
		case "thinkingBudget":
			n, ok := jsn.Int(val)
			switch {
			case !ok || t.Mode == hub.ThinkEffort:
			case n > 0:
				t.Mode, t.Budget = hub.ThinkBudget, n
			case n == 0:
				t.Mode = hub.ThinkOff
			default:
				t.Mode = hub.ThinkAuto
			}
		}
	}
}

// tools reads function declarations and hosted tools.
func (p *requestParser) tools(v []byte) {
	for it := jsn.Array(v); it.Next(); {
		for m := jsn.Object(it.Value()); m.Next(); {
			switch key := name(m.Key()); key {
			case "functionDeclarations":
				for fn := jsn.Array(m.Value()); fn.Next(); {
					p.req.Tools = append(p.req.Tools, p.declaration(fn.Value()))
				}
			case "googleSearch":
				p.req.Tools = append(p.req.Tools, hub.ToolDef{Hosted: "web_search", Raw: it.Value()})
			default:
				p.req.Tools = append(p.req.Tools, hub.ToolDef{Hosted: key, Raw: it.Value()})
			}
		}
	}
}

func (p *requestParser) declaration(v []byte) hub.ToolDef {
	t := hub.ToolDef{Raw: v}
	var schema []byte
	for it := jsn.Object(v); it.Next(); {
		val := it.Value()
		switch name(it.Key()) {
		case "name":
			t.Name = p.text(val)
		case "description":
			t.Description = jsn.StrOf(val)
		case "parameters":
			if schema == nil {
				schema = val
			}
		case "parametersJsonSchema":
			schema = val
		}
	}
	if !jsn.IsNull(schema) {
		t.Parameters = appendLower(make([]byte, 0, len(schema)), schema, 0)
	}
	return t
}

// choice reads functionCallingConfig.
func (p *requestParser) choice(toolConfig []byte) {
	cfg := member(toolConfig, "functionCallingConfig")
	c := &p.req.Choice
	mode := ""
	for it := jsn.Object(cfg); it.Next(); {
		switch name(it.Key()) {
		case "mode":
			mode = strings.ToUpper(jsn.StrOf(it.Value()).String())
		case "allowedFunctionNames":
			for n := jsn.Array(it.Value()); n.Next(); {
				if s := p.text(n.Value()); s != "" {
					c.Names = append(c.Names, s)
				}
			}
		}
	}
	switch mode {
	case "AUTO", "VALIDATED":
		c.Mode = hub.ChoiceAuto
	case "ANY":
		c.Mode = hub.ChoiceRequired
		if len(c.Names) == 1 {
			c.Mode = hub.ChoiceNamed
		}
	case "NONE":
		c.Mode, c.Names = hub.ChoiceNone, nil
	default:
		c.Names = nil
	}
}

// appendLower appends a schema with its type names in lower case and its keywords in
// camel case (GS-1). Names under properties are data and stay.
func appendLower(dst, v []byte, depth int) []byte {
	if depth > maxSchemaDepth {
		return append(dst, v...)
	}
	switch jsn.KindOf(v) {
	case jsn.Arr:
		dst = append(dst, '[')
		for it := jsn.Array(v); it.Next(); {
			dst = appendLower(jsn.Sep(dst), it.Value(), depth+1)
		}
		return append(dst, ']')
	case jsn.Obj:
	default:
		return append(dst, v...)
	}
	dst = append(dst, '{')
	for it := jsn.Object(v); it.Next(); {
		key, val := keyword(it.Key()), it.Value()
		dst = append(jsn.AppendString(jsn.Sep(dst), key), ':')
		switch key {
		case "type":
			dst = appendTypeName(dst, val)
		case "properties", "$defs", "definitions", "patternProperties", "dependentSchemas":
			dst = appendLowerMembers(dst, val, depth+1)
		case "items", "prefixItems", "anyOf", "oneOf", "allOf", "not", "additionalProperties", "additionalItems",
			"unevaluatedProperties", "unevaluatedItems", "contains", "propertyNames", "if", "then", "else":
			dst = appendLower(dst, val, depth+1)
		default:
			dst = append(dst, val...)
		}
	}
	return append(dst, '}')
}

// keyword returns a schema keyword in camel case. What is no keyword of the API stays as
// it is.
func keyword(key []byte) string {
	switch camel := name(key); camel {
	case "anyOf", "minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties", "propertyOrdering",
		"additionalProperties", "prefixItems":
		return camel
	}
	return jsn.View(key)
}

func appendLowerMembers(dst, v []byte, depth int) []byte {
	if jsn.KindOf(v) != jsn.Obj {
		return append(dst, v...)
	}
	dst = append(dst, '{')
	for it := jsn.Object(v); it.Next(); {
		dst = append(jsn.AppendStr(jsn.Sep(dst), it.RawKey()), ':')
		dst = appendLower(dst, it.Value(), depth+1)
	}
	return append(dst, '}')
}

func appendTypeName(dst, v []byte) []byte {
	switch jsn.KindOf(v) {
	case jsn.String:
		at := len(dst)
		dst = append(dst, v...)
		for i, c := range dst[at:] {
			if c >= 'A' && c <= 'Z' {
				dst[at+i] = c + 'a' - 'A'
			}
		}
		return dst
	case jsn.Arr:
		dst = append(dst, '[')
		for it := jsn.Array(v); it.Next(); {
			dst = appendTypeName(jsn.Sep(dst), it.Value())
		}
		return append(dst, ']')
	}
	return append(dst, v...)
}
