package kiro

import (
	"strconv"
	"strings"
	"time"

	"github.com/omniroute/omniroute/plugins/provider/entry"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/jsn"
)

const (
	maxTokens      = 32000 // of an answer, unless the operator says otherwise
	maxDescription = 10240 // bytes of a tool's description
	maxThinking    = 16000 // tokens that a thinking model may think
	thinkingSuffix = "-thinking"

	currentPath = "conversationState.currentMessage.userInputMessage"
	historyPath = "conversationState.history"
)

// thinks tells models that are asked to think by their name.
func thinks(model string) bool { return strings.HasSuffix(model, thinkingSuffix) }

// serviceModel is a model in the service's words: claude-sonnet-4-5-20250929 is
// claude-sonnet-4.5 there.
func serviceModel(model string) string {
	model = strings.TrimSuffix(model, thinkingSuffix)
	if !strings.HasPrefix(model, "claude-") {
		return model
	}
	if k := strings.LastIndexByte(model, '-'); k > 0 && len(model)-k == 9 && digits(model[k+1:]) {
		model = model[:k] // a date
	}
	k := strings.LastIndexByte(model, '-')
	if k < 1 || !digits(model[k+1:]) || len(model)-k > 3 {
		return model
	}
	if j := strings.LastIndexByte(model[:k], '-'); j > 0 && digits(model[j+1:k]) {
		return model[:k] + "." + model[k+1:]
	}
	return model
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// request is one on its way to the service.
type request struct {
	c    *sdk.Ctx
	e    *entry.Entry
	b    *sdk.Body
	body sdk.JSON
}

// complete fills in what the dialect does not know of.
func (r *request) complete(profile string, cli bool) {
	model := string(sdk.Quote(serviceModel(r.c.Model)))
	r.users(func(path string, _ sdk.JSON) {
		r.b.Set(path+".modelId", model)
		if cli {
			r.b.Set(path+".origin", `"CLI"`)
		}
	})
	if profile != "" {
		r.b.Set("profileArn", string(sdk.Quote(profile)))
	}
	r.limit()
	r.texts(r.tools())
}

// users calls f for every message of the user, the current one first.
func (r *request) users(f func(path string, message sdk.JSON)) {
	f(currentPath, r.body.Get(currentPath))
	k := 0
	r.body.Get(historyPath).Each(func(v sdk.JSON) {
		if m := v.Get("userInputMessage"); m.Exists() {
			f(historyPath+"."+strconv.Itoa(k)+".userInputMessage", m)
		}
		k++
	})
}

// limit bounds the answer; a client may ask for less.
func (r *request) limit() {
	most, err := strconv.ParseInt(r.e.Option("max_tokens", ""), 10, 64)
	if err != nil || most <= 0 {
		most = maxTokens
	}
	if asked := r.body.Get("inferenceConfig.maxTokens").Int(); asked <= 0 || asked > most {
		r.b.Set("inferenceConfig.maxTokens", strconv.FormatInt(most, 10))
	}
}

// tools shortens descriptions that are too long and returns what was cut off, as
// escaped text.
func (r *request) tools() (rest jsn.Str) {
	t := jsn.Tokens{Nonce: r.c.Nonce(), Blobs: r.c.Blobs()}
	k := 0
	r.body.Get(currentPath + ".userInputMessageContext.tools").Each(func(v sdk.JSON) {
		spec := v.Get("toolSpecification")
		text := t.Decode(jsn.StrOf(spec.Get("description")))
		if len(text) > maxDescription {
			n := maxDescription
			for n > 0 && text[n]&0xC0 == 0x80 {
				n--
			}
			path := currentPath + ".userInputMessageContext.tools." + strconv.Itoa(k) + ".toolSpecification.description"
			r.b.Set(path, string(sdk.Quote(text[:n])))
			rest = append(rest, `The description of the tool `...)
			rest = append(append(rest, jsn.StrOf(spec.Get("name"))...), ` goes on: `...)
			rest = append(jsn.AppendEscaped(rest, text[n:]), `\n\n`...)
		}
		k++
	})
	return rest
}

// texts puts the current time before the current message, and what belongs to the
// system text before the first one.
func (r *request) texts(system jsn.Str) {
	if thinks(r.c.Model) {
		hint := `<thinking_mode>interleaved</thinking_mode><max_thinking_length>` + strconv.Itoa(maxThinking) + `</max_thinking_length>\n\n`
		system = append(jsn.Str(hint), system...)
	}
	context := `[Context: Current time is ` + time.UnixMilli(r.c.NowMS()).UTC().Format("2006-01-02T15:04:05.000Z") + `]\n\n`
	first := currentPath
	if m := r.body.Get(historyPath); jsn.Len(m) > 0 {
		first = historyPath + ".0.userInputMessage"
	}
	r.users(func(path string, m sdk.JSON) {
		text := jsn.StrOf(m.Get("content"))
		switch {
		case path == first:
			text = withSystem(system, text)
		case path != currentPath:
			return
		}
		if path == currentPath {
			text = append(jsn.Str(context), text...)
		} else if len(system) == 0 {
			return
		}
		r.b.Set(path+".content", `"`+string(text)+`"`)
	})
}

// withSystem puts more system text before a message: within the wrapping of the
// system text that is there.
func withSystem(system, text jsn.Str) jsn.Str {
	if len(system) == 0 {
		return text
	}
	const open = `<system-reminder>\n`
	out := jsn.Str(nil)
	if rest, ok := strings.CutPrefix(string(text), open); ok {
		out, text = append(out, open...), jsn.Str(rest)
	}
	return append(append(out, system...), text...)
}
