package executor

import (
	"strconv"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// rules are a provider's request_rules. All of them become edits of single
// members, so everything else in the body keeps its bytes.
type rules struct {
	rename        []pair
	drop          []string
	dropEmpty     []string
	dropFor       []modelList
	dropReasoning []string
	set, stream   []pair // stream: set_when_stream
	required      []pair
	minTools      []pair
	clamp         []bounds
	roles         map[string]string
	fold          []string // model globs
	choice        map[string]string
	completion    *pattern // models that want max_completion_tokens
	reasoningPad  string
	thinkChoice   string
	partTypes     []string
	callID        *pattern
	modelInURL    bool
	firstSystem   string // first system block of accounts with a login
	thinkFlags    []thinkingFlags
}

type pair struct{ name, value string }

type modelList struct {
	glob   string
	fields []string
}

type bounds struct {
	field  string
	lo, hi sdk.JSON
}

func parseRules(v sdk.JSON) (rules, error) {
	r := rules{
		rename: texts(v.Get("rename")), drop: list(v.Get("drop")), dropEmpty: list(v.Get("drop_empty")),
		dropReasoning: list(v.Get("drop_when_reasoning")),
		set:           raws(v.Get("set")), stream: raws(v.Get("set_when_stream")), required: raws(v.Get("required")),
		minTools: raws(v.Get("min_when_tools")), roles: dict(v.Get("role_map")), choice: dict(v.Get("tool_choice_map")),
		fold: list(v.Get("role_fold_models")), partTypes: list(v.Get("content_part_types")),
		reasoningPad: v.Get("ensure_reasoning_content_on_tool_calls").Text(),
		thinkChoice:  v.Get("downgrade_tool_choice_when_thinking").Text(),
		modelInURL:   v.Get("model_in_url").True(),
	}
	r.drop = append(r.drop, list(v.Get("drop_in_request"))...)
	v.Get("drop_for_models").Members(func(glob string, fields sdk.JSON) {
		r.dropFor = append(r.dropFor, modelList{glob, list(fields)})
	})
	v.Get("clamp").Members(func(field string, b sdk.JSON) {
		lo, hi := ends(b)
		r.clamp = append(r.clamp, bounds{field, lo, hi})
	})
	if n := v.Get("max_n"); n.Exists() {
		r.clamp = append(r.clamp, bounds{"n", sdk.JSON("1"), clone(n)})
	}
	r.firstSystem = v.Get("oauth_first_system_block").Text()
	v.Get("thinking_flags").Members(func(glob string, fields sdk.JSON) {
		r.thinkFlags = append(r.thinkFlags, thinkingFlags{glob, raws(fields)})
	})
	var err error
	if r.completion, err = optionalPattern(v.Get("max_completion_tokens_regex").Text()); err != nil {
		return r, err
	}
	r.callID, err = optionalPattern(v.Get("tool_call_id_regex").Text())
	return r, err
}

func optionalPattern(s string) (*pattern, error) {
	if s == "" {
		return nil, nil
	}
	return compilePattern(s)
}

// readsBody reports whether a rule depends on what is in the body.
func (r *rules) readsBody() bool {
	return len(r.minTools) > 0 || len(r.clamp) > 0 || len(r.roles) > 0 || len(r.fold) > 0 || len(r.choice) > 0 ||
		r.reasoningPad != "" || r.thinkChoice != "" || len(r.partTypes) > 0 || r.callID != nil ||
		r.firstSystem != "" || len(r.thinkFlags) > 0
}

// apply plans the edits for one request.
func (r *rules) apply(c *sdk.Ctx, pr *profile, p *sdk.Plan, stream bool) {
	body := p.Body.JSON().Get("")
	for _, x := range r.rename {
		p.Body.Rename(x.name, x.value)
	}
	if r.completion != nil && r.completion.find(c.Model) {
		p.Body.Rename("max_tokens", "max_completion_tokens")
	}
	r.limits(c, pr, p, body)
	p.Body.Drop(r.drop...)
	for _, x := range r.dropFor {
		if modelMatches(x.glob, c.Model) {
			p.Body.Drop(x.fields...)
		}
	}
	if pr.models[c.Model].reasoning {
		p.Body.Drop(r.dropReasoning...)
	}
	p.Body.DropEmpty(r.dropEmpty...)
	if len(body) > 0 {
		r.login(c, p, body)
		r.forcedChoice(pr, p, body)
		if pr.beta {
			bodyBetas(p, body)
		}
		r.thinkingSwitch(c, p, body)
		r.messages(c, p, body)
		r.toolChoice(p, body)
	}
	r.streaming(c, pr, p, stream)
	for _, x := range r.set {
		p.Body.Set(x.name, x.value)
	}
}

// limits fills in what an upstream requires and keeps numbers within bounds. A
// value the client set is only changed where the upstream would refuse it.
func (r *rules) limits(c *sdk.Ctx, pr *profile, p *sdk.Plan, body sdk.JSON) {
	for _, x := range r.required {
		value := x.value
		if jsn.Len(body.Get("tools")) > 0 {
			for _, m := range r.minTools {
				if m.name == x.name && less(sdk.JSON(value), sdk.JSON(m.value)) {
					value = m.value
				}
			}
		}
		if most := pr.models[c.Model].maxOutput; x.name == "max_tokens" && most > 0 && less(number(most), sdk.JSON(value)) {
			value = string(number(most))
		}
		p.Body.Default(x.name, value)
	}
	for _, b := range r.clamp {
		v := body.Get(b.field)
		switch {
		case jsn.KindOf(v) != jsn.Number:
		case less(v, b.lo):
			p.Body.Set(b.field, string(b.lo))
		case less(b.hi, v):
			p.Body.Set(b.field, string(b.hi))
		}
	}
}

// streaming makes the body say what the URL and the gateway expect.
func (r *rules) streaming(c *sdk.Ctx, pr *profile, p *sdk.Plan, stream bool) {
	if r.modelInURL || pr.format == sdk.Gemini {
		p.Body.Drop("model", "stream")
		return
	}
	if stream && !c.Stream {
		p.Body.Set("stream", "true")
	}
	if !stream {
		return
	}
	for _, x := range r.stream {
		p.Body.Set(x.name, x.value)
	}
	if pr.format == sdk.OpenAI && !contains(r.drop, "stream_options") {
		p.Body.Set("stream_options.include_usage", "true") // else a stream tells no usage
	}
}

// messages edits roles, content parts and tool calls of the conversation.
func (r *rules) messages(c *sdk.Ctx, p *sdk.Plan, body sdk.JSON) {
	k := 0
	body.Get("messages").Each(func(m sdk.JSON) {
		at := "messages." + strconv.Itoa(k)
		k++
		role := m.Get("role").Text()
		if to, ok := r.roles[role]; ok {
			p.Body.Set(at+".role", string(sdk.Quote(to)))
		}
		if r.reasoningPad != "" && role == "assistant" && jsn.Len(m.Get("tool_calls")) > 0 && !m.Get("reasoning_content").Exists() {
			p.Body.Set(at+".reasoning_content", string(sdk.Quote(r.reasoningPad)))
		}
		if r.callID != nil {
			r.callIDs(p, at, m)
		}
		if len(r.partTypes) > 0 {
			r.parts(p, at, m.Get("content"))
		}
	})
	for _, glob := range r.fold {
		if modelMatches(glob, c.Model) {
			foldSystem(p, body)
			return
		}
	}
}

// callIDs replaces tool call ids an upstream would refuse. The new id follows
// from the old one, so that call and result stay together.
func (r *rules) callIDs(p *sdk.Plan, at string, m sdk.JSON) {
	fix := func(path string, id sdk.JSON) {
		if s := id.Text(); s != "" && !r.callID.find(s) {
			p.Body.Set(path, string(sdk.Quote(shortID(s))))
		}
	}
	fix(at+".tool_call_id", m.Get("tool_call_id"))
	k := 0
	m.Get("tool_calls").Each(func(call sdk.JSON) {
		fix(at+".tool_calls."+strconv.Itoa(k)+".id", call.Get("id"))
		k++
	})
}

// shortID derives nine letters and digits from an id (FNV-1a).
func shortID(id string) string {
	const alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	h := uint64(14695981039346656037)
	for i := 0; i < len(id); i++ {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	var b [9]byte
	for i := range b {
		b[i], h = alphabet[h%62], h/62
	}
	return string(b[:])
}

// parts removes content parts of types the upstream does not take.
func (r *rules) parts(p *sdk.Plan, at string, content sdk.JSON) {
	kept, removed := []byte{'['}, false
	content.Each(func(part sdk.JSON) {
		if !contains(r.partTypes, part.Get("type").Text()) {
			removed = true
			return
		}
		kept = append(jsn.Sep(kept), part...)
	})
	if removed {
		p.Body.Set(at+".content", string(append(kept, ']')))
	}
}

// foldSystem moves the system messages, joined by blank lines, in front of the
// first user message, for models that have no system role.
func foldSystem(p *sdk.Plan, body sdk.JSON) {
	var system []byte // raw escaped text
	messages := body.Get("messages")
	messages.Each(func(m sdk.JSON) {
		if isSystem(m) {
			system = appendTexts(system, m.Get("content"))
		}
	})
	if len(system) == 0 {
		return
	}
	var kept []byte
	user := false
	messages.Each(func(m sdk.JSON) {
		if isSystem(m) {
			return
		}
		if !user && m.Get("role").Is("user") {
			user = true
			m = labelled(m, system)
		}
		kept = append(append(kept, ','), m...)
	})
	if !user {
		kept = append(append([]byte{','}, labelled(sdk.JSON(`{"role":"user","content":""}`), system)...), kept...)
	}
	kept[0] = '['
	p.Body.Set("messages", string(append(kept, ']')))
}

func isSystem(m sdk.JSON) bool {
	role := m.Get("role")
	return role.Is("system") || role.Is("developer")
}

// appendTexts adds the raw text of a content, string or parts, after a blank line.
func appendTexts(to []byte, content sdk.JSON) []byte {
	add := func(text sdk.JSON) {
		if len(text) <= 2 || text[0] != '"' {
			return
		}
		if len(to) > 0 {
			to = append(to, `\n\n`...)
		}
		to = append(to, text[1:len(text)-1]...)
	}
	if jsn.KindOf(content) == jsn.Arr {
		content.Each(func(part sdk.JSON) { add(part.Get("text")) })
	} else {
		add(content)
	}
	return to
}

const (
	systemLabel = `[System Instructions]\n`
	userLabel   = `[User Message]\n`
)

// labelled is a user message with the system text in front of its own, each under
// its label: in one text, or as a part before the others.
func labelled(m sdk.JSON, system []byte) sdk.JSON {
	content := m.Get("content")
	var text []byte
	switch {
	case jsn.KindOf(content) == jsn.Arr:
		text = append(text, `[{"type":"text","text":"`+systemLabel...)
		text = append(append(text, system...), `\n\n[User Message]"}`...)
		content.Each(func(part sdk.JSON) { text = append(append(text, ','), part...) })
		text = append(text, ']')
	default:
		text = append(append(text, '"'), systemLabel...)
		text = append(text, system...)
		if own := appendTexts(nil, content); len(own) > 0 {
			text = append(append(append(text, `\n\n`...), userLabel...), own...)
		}
		text = append(text, '"')
	}
	out := []byte{'{'}
	m.Members(func(name string, v sdk.JSON) {
		if name == "content" {
			v = text
		}
		out = jsn.AppendMember(out, name, v)
	})
	return append(out, '}')
}

// toolChoice renames values and weakens choices a thinking model refuses.
func (r *rules) toolChoice(p *sdk.Plan, body sdk.JSON) {
	choice := body.Get("tool_choice")
	if to, ok := r.choice[choice.Text()]; ok && to != "" {
		p.Body.Set("tool_choice", string(sdk.Quote(to)))
	}
	if r.thinkChoice == "" || !thinking(body) {
		return
	}
	if jsn.KindOf(choice) == jsn.Obj || choice.Is("required") {
		p.Body.Set("tool_choice", string(sdk.Quote(r.thinkChoice)))
	}
}

func thinking(body sdk.JSON) bool {
	effort := body.Get("reasoning_effort").Text()
	return body.Get("enable_thinking").True() || body.Get("thinking.type").Is("enabled") || effort != "" && effort != "none"
}
