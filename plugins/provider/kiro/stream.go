package kiro

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// contextWindow is what percentages of the context are of, in tokens, unless the
// operator says otherwise.
const contextWindow = 200_000

// OpenStream implements sdk.Streamer.
func (x *executor) OpenStream(c *sdk.Ctx) (sdk.FrameHandler, error) {
	e, err := x.known.Of(c)
	if err != nil {
		return nil, err
	}
	window, err := strconv.ParseInt(e.Option("context_window", ""), 10, 64)
	if err != nil || window <= 0 {
		window = contextWindow
	}
	return &answer{window: window, thinks: thinks(c.Model)}, nil
}

// answer follows the events of one answer.
type answer struct {
	window  int64
	thinks  bool // thinking stands in the text, between tags
	split   splitter
	chars   int64
	percent float64
	counted bool // the service reported tokens
}

// Frame implements sdk.FrameHandler.
func (a *answer) Frame(s *sdk.Stream, f abi.Frame) error {
	if f.Kind == abi.FrameComment {
		return nil
	}
	data := sdk.JSON(f.Payload).Get("")
	if e := failure(f.Name, data); e != nil {
		return e
	}
	if inner := data.Get(f.Name); f.Name != "" && jsn.KindOf(inner) == jsn.Obj {
		data = inner
	}
	switch f.Name {
	case "assistantResponseEvent", "codeEvent":
		text := jsn.StrOf(data.Get("content")).String()
		a.chars += int64(utf8.RuneCountInString(text))
		if a.thinks && f.Name == "assistantResponseEvent" {
			a.split.feed(text, func(thinking bool, text string) { emitText(s, thinking, text) })
			if stop := data.Get("stopReason"); stop.Exists() {
				_ = s.Emit(event("messageStopEvent", jsn.AppendMember([]byte{'{'}, "stopReason", stop)))
			}
			return nil
		}
	case "toolUseEvent":
		a.flush(s)
		if input := data.Get("input"); jsn.KindOf(input) == jsn.String {
			a.chars += int64(utf8.RuneCountInString(jsn.StrOf(input).String()))
		} else if input.Exists() {
			a.chars += int64(len(input))
		}
	case "reasoningContentEvent":
		a.chars += int64(utf8.RuneCountInString(jsn.StrOf(data.Get("text")).String()))
	case "contextUsageEvent":
		if v, ok := jsn.Float(data.Get("contextUsagePercentage")); ok && v > 0 && v <= 100 {
			a.percent = v
		}
		return nil
	case "metricsEvent", "usageEvent", "supplementaryWebLinksEvent":
		a.counted = a.counted || data.Get("inputTokens").Exists() || data.Get("outputTokens").Exists()
	case "meteringEvent", "followupPromptEvent", "codeReferenceEvent", "initial-response":
		return nil
	}
	return s.Pass(f)
}

// End implements sdk.FrameHandler. Where the service did not count, the prompt is
// what the context holds and four characters are a token.
func (a *answer) End(s *sdk.Stream, reason abi.EndReason) error {
	if reason != abi.EndEOF {
		return nil
	}
	a.flush(s)
	if a.counted || a.percent == 0 || a.chars == 0 {
		return nil
	}
	usage := jsn.AppendIntMember([]byte{'{'}, "inputTokens", int64(a.percent*float64(a.window)/100))
	usage = jsn.AppendIntMember(usage, "outputTokens", max(1, a.chars/4))
	return s.Emit(event("usageEvent", jsn.AppendBoolMember(usage, "estimated", true)))
}

func (a *answer) flush(s *sdk.Stream) {
	if a.thinks {
		a.split.flush(func(thinking bool, text string) { emitText(s, thinking, text) })
	}
}

func emitText(s *sdk.Stream, thinking bool, text string) {
	if thinking {
		_ = s.Emit(event("reasoningContentEvent", jsn.AppendStringMember([]byte{'{'}, "text", text)))
		return
	}
	_ = s.Emit(event("assistantResponseEvent", jsn.AppendStringMember([]byte{'{'}, "content", text)))
}

// event is a frame of an object that lacks its end.
func event(name string, object []byte) abi.Frame {
	return abi.Frame{Name: name, Payload: append(object, '}')}
}

// failure is the error that an event stands for, nil for any other.
func failure(name string, data sdk.JSON) *abi.ErrorRecord {
	kind, typ, found := strings.Cut(name, ":")
	switch {
	case found && (kind == "exception" || kind == "error"):
	case strings.HasSuffix(name, "Exception"):
		typ = name
	case name == "" && data.Get("__type").Exists():
		typ = data.Get("__type").Text()
	case name == "" && data.Get("_type").Exists():
		typ = data.Get("_type").Text()
	default:
		return nil
	}
	typ = shortType(typ)
	status := statusOf(typ)
	body := data
	if !body.Get("message").Exists() && !body.Get("Message").Exists() {
		body = jsn.AppendStringMember([]byte{'{'}, "message", typ)
		body = append(body, '}')
	}
	e := sdk.ErrorOf(&sdk.Result{Status: status, Body: body})
	if text := data.Get("Message").Text(); text != "" {
		e.Message = text
	}
	e.Type = typ
	return e
}

// shortType is the name of an error without its namespace.
func shortType(s string) string { return s[strings.LastIndexByte(s, '#')+1:] }

// statusOf is the HTTP status of an exception.
func statusOf(typ string) int {
	typ = strings.ToLower(typ)
	switch {
	case strings.HasPrefix(typ, "throttling"), strings.HasPrefix(typ, "servicequota"):
		return 429
	case strings.HasPrefix(typ, "expiredtoken"), strings.HasPrefix(typ, "unrecognizedclient"):
		return 401
	case strings.HasPrefix(typ, "accessdenied"):
		return 403
	case strings.HasPrefix(typ, "validation"):
		return 400
	}
	return 500
}

// splitter takes text between thinking tags apart, wherever it is cut.
type splitter struct {
	held     string // may be the beginning of a tag
	thinking bool
	trim     bool // line breaks after a tag belong to it
}

const (
	openTag  = "<thinking>"
	closeTag = "</thinking>"
)

func (s *splitter) feed(text string, emit func(thinking bool, text string)) {
	text = s.held + text
	s.held = ""
	for text != "" {
		if s.trim {
			if text = strings.TrimLeft(text, "\r\n"); text == "" {
				return
			}
			s.trim = false
		}
		tag := openTag
		if s.thinking {
			tag = closeTag
		}
		before, after, found := strings.Cut(text, tag)
		if !found {
			n := partial(text, tag)
			s.held = text[len(text)-n:]
			before = text[:len(text)-n]
		}
		if before != "" {
			emit(s.thinking, before)
		}
		if !found {
			return
		}
		s.thinking, s.trim, text = !s.thinking, true, after
	}
}

func (s *splitter) flush(emit func(thinking bool, text string)) {
	if s.held != "" {
		emit(s.thinking, s.held)
		s.held = ""
	}
}

// partial is how much of the end of a text is the beginning of a tag.
func partial(text, tag string) int {
	for n := min(len(text), len(tag)-1); n > 0; n-- {
		if strings.HasSuffix(text, tag[:n]) {
			return n
		}
	}
	return 0
}
