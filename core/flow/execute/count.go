package execute

import (
	"strconv"
	"sync"
	"time"

	"github.com/tiktoken-go/tokenizer"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/health"
	"github.com/omniroute/omniroute/sdk/abi"
)

// What a message and an image cost beside their text, in tokens.
const (
	messageTokens = 4
	replyTokens   = 3
	imageTokens   = 1600
)

// countTotal bounds how long a provider may take to count: an estimate is better
// than a late number.
const countTotal = 20 * time.Second

// counters are the dialects that count tokens, and where their answer has the
// number.
var counters = map[string]string{"claude": "input_tokens", "gemini": "totalTokens"}

// codec is the tokenizer of estimates. It is large, so it is built when the
// first estimate is asked for.
var codec = sync.OnceValues(func() (tokenizer.Codec, error) { return tokenizer.Get(tokenizer.O200kBase) })

// count answers a token-counting request: with the number of the provider that
// would serve the request, else with an estimate. Nobody is asked for a
// completion (CT-1).
func (s *Stage) count(c *call.Call) {
	n, header := s.counted(c)
	if header == nil {
		if c.Ctx.Err() != nil {
			c.Fail(cancelled(c))
			return
		}
		var err error
		if n, err = countTokens(c); err != nil {
			c.Fail(fault.Wrap(fault.Internal, err, "The tokens cannot be counted"))
			return
		}
		header = []abi.Header{{Name: "x-omniroute-estimated", Value: "tokens"}}
	}
	digits := strconv.FormatInt(n, 10)
	var body string
	switch c.Dialect {
	case "gemini":
		body = `{"totalTokens":` + digits + `}`
	case "openai-responses":
		body = `{"object":"response.input_tokens","input_tokens":` + digits + `}`
	default:
		body = `{"input_tokens":` + digits + `}`
	}
	c.Answer = &call.Answer{Status: 200, Body: []byte(body), Header: header}
}

// counted asks the first target's provider; no header if it gave no number. A
// failure costs nobody anything: the account may still be good for completions.
func (s *Stage) counted(c *call.Call) (n int64, header []abi.Header) {
	if len(c.Targets) == 0 {
		return 0, nil
	}
	t := c.Targets[0]
	member, ok := counters[t.Dialect]
	if !ok || s.Health.Breakers.View(t.Provider.ID).State == health.Open {
		return 0, nil
	}
	l := &loop{s: s, c: c}
	l.env(t)
	lease, none := (&visit{l: l, t: t}).pick()
	if none != nil {
		return 0, nil
	}
	defer lease.Release()
	a := &attempt{l: l, c: c, t: t, lease: lease, began: s.Now()}
	n, failure := a.count(member)
	a.row(failure)
	if failure != nil {
		return 0, nil
	}
	lease.Succeed()
	c.Degraded = a.request.degraded
	return n, []abi.Header{{Name: "x-omniroute-target", Value: t.ID}}
}

// count lets the provider count.
func (a *attempt) count(member string) (int64, *fault.Error) {
	var ok bool
	if a.executor, ok = a.c.Plugins.Executor(a.t.Provider.Executor); !ok {
		return 0, fault.Newf(fault.PluginTrap, "No plugin serves provider %s", a.t.Provider.ID)
	}
	r := &request{dialect: a.t.Dialect, same: a.t.Dialect == a.c.Dialect}
	a.request = r
	var err *fault.Error
	if r.same && r.dialect == "claude" && !carriesEnvelope(a.c) {
		err = r.passthrough(a.c, a.t, a.c.Source)
	} else {
		err = r.translate(a.c, a.t, a.c.Source) // Gemini may name the model once more within the body
	}
	if err != nil {
		return 0, err
	}
	a.freshen()
	in := a.planInput(0)
	in.Endpoint = call.EndpointCountTokens
	planned, perr := a.executor.Plan(a.c.Ctx, in)
	if perr != nil {
		return 0, a.pluginFault(perr)
	}
	if a.plan = planned.Send; a.plan == nil {
		return 0, fault.New(fault.PluginTrap, "The executor did not plan to count tokens")
	}
	if a.plan.Timeouts.Total == 0 {
		a.plan.Timeouts.Total = countTotal
	}
	if err := a.send(); err != nil {
		return 0, err
	}
	defer a.resp.Close()
	a.status = a.resp.Status
	body, rerr := a.resp.ReadPrefix(maxErrorBody)
	if rerr != nil {
		return 0, a.broken(rerr)
	}
	n, ok := doc.Int(body, member)
	if a.status >= 300 || !ok {
		return 0, a.blamed(fault.Upstream(a.status, ""))
	}
	return n, nil
}

// countTokens estimates a request in the hub form: its texts are counted with a
// tokenizer, what is no text has a flat price.
func countTokens(c *call.Call) (int64, error) {
	enc, err := codec()
	if err != nil {
		return 0, err
	}
	body, names := c.Source, []string{"system", "instructions", "systemInstruction", "messages", "input", "contents", "tools"}
	if hub, err := c.Hub(c.Ctx); err == nil {
		body, names = hub.Body, []string{"messages", "tools"}
	} // else the provider's own state is asked for; what the client sent can be counted
	t := texts{doc: c.Doc, enc: enc, total: replyTokens + c.Req.Messages*messageTokens + c.Req.Images*imageTokens}
	for _, name := range names {
		raw, ok := doc.Get(body, name)
		switch {
		case !ok:
		case name == "tools":
			err = t.add(raw) // models read declarations as they are
		default:
			err = t.walk(raw)
		}
		if err != nil {
			return 0, err
		}
	}
	return int64(t.total), nil
}

// texts adds up the tokens of texts.
type texts struct {
	doc   *doc.Doc
	enc   tokenizer.Codec
	total int
}

// walk counts the strings of a conversation.
func (t *texts) walk(raw []byte) error {
	var failed error
	switch {
	case len(raw) == 0:
	case raw[0] == '{':
		doc.Scan(raw, func(key, v []byte) bool {
			if !untold(string(key)) {
				failed = t.walk(v)
			}
			return failed == nil
		})
	case raw[0] == '[':
		doc.Each(raw, func(_ int, v []byte) bool { failed = t.walk(v); return failed == nil })
	case raw[0] == '"':
		return t.add(raw)
	}
	return failed
}

// add counts a string, or any other value by its JSON.
func (t *texts) add(raw []byte) error {
	full, err := t.doc.Inflate(nil, raw, 0)
	if err != nil {
		return err
	}
	text, ok := doc.String(full)
	if !ok {
		text = string(full)
	}
	n, err := t.enc.Count(text)
	t.total += n
	return err
}

// untold are the members of a conversation whose strings no model reads.
func untold(key string) bool {
	switch key {
	case "type", "role", "id", "call_id", "tool_call_id", "tool_use_id", "data", "url", "image_url", "media_type", "mimeType",
		"signature", "thoughtSignature", "encrypted_content", "cache_control", "file_data", "detail", "status", "format",
		extension, "extra_content", "file_url", "video_url", "file_ref", "mime", "mime_type", "input_audio":
		return true
	}
	return false
}
