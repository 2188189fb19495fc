package execute

import (
	"bytes"
	"slices"
	"strings"

	json "github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/telemetry/capture"
)

// extension is the member in which the hub form carries what the chat shape
// lacks. It exists within the gateway only (P-3).
const extension = "x_omni"

// request is the body for one target, before its executor had a say.
type request struct {
	body     []byte // skeleton over Call.Doc, in the target's dialect
	dialect  string // the target's
	same     bool   // the client speaks it too
	names    map[string]string
	degraded []string
	hidden   bool // a usage chunk was asked for that the client does not expect (L-6)
	bare     bool // reasoning was taken out
}

// source applies to the client's request what was decided about it: fields that
// aliases give, fields that rules set. A client's x_omni is taken out.
func (s *Stage) source(c *call.Call) *fault.Error {
	body := c.Doc.Skeleton()
	if _, ok := doc.Get(body, extension); ok {
		body, _ = doc.Delete(nil, body, extension)
	}
	var err *fault.Error
	if c.Resolution != nil {
		for path, v := range c.Resolution.Set {
			if _, ok := doc.Get(body, strings.Split(path, ".")...); ok {
				continue
			}
			if body, err = put(body, path, v); err != nil {
				return err
			}
		}
	}
	for _, f := range c.Set {
		if body, err = put(body, f.Path, f.Value); err != nil {
			return err
		}
	}
	c.Source = body
	return nil
}

// put sets the member at a dotted path; nil takes it out.
func put(body []byte, path string, v any) ([]byte, *fault.Error) {
	keys := strings.Split(path, ".")
	if v == nil {
		out, _ := doc.Delete(nil, body, keys...)
		return out, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fault.Wrap(fault.PolicyFailed, err, "A rule sets "+path+" to a value that is no JSON")
	}
	out, ok := doc.Set(nil, body, raw, keys...)
	if !ok {
		return nil, fault.New(fault.PolicyFailed, "A rule sets "+path+", which the request has no place for")
	}
	return out, nil
}

// prepare makes the body for a target: the client's own where both speak the
// same dialect, else a translation, over the hub if a rule changes something
// that is the same in every dialect.
func (s *Stage) prepare(c *call.Call, t *call.Target) (*request, *fault.Error) {
	return s.prepared(c, t, false)
}

// prepareAnew does so over the hub in any case: the executor cannot take the
// client's own words.
func (s *Stage) prepareAnew(c *call.Call, t *call.Target) (*request, *fault.Error) {
	return s.prepared(c, t, true)
}

func (s *Stage) prepared(c *call.Call, t *call.Target, anew bool) (*request, *fault.Error) {
	if c.Media != nil {
		return prepareMedia(c, t)
	}
	r := &request{dialect: t.Dialect, same: t.Dialect == c.Dialect}
	shape, err := s.shapeFor(c, t)
	if err != nil {
		return nil, err
	}
	source := shape.strip(c)
	switch {
	case shape.needsHub() || anew && r.same:
		r.same = false
		err = r.overHub(c, t, shape)
	case r.same && !carriesEnvelope(c):
		err = r.passthrough(c, t, source)
	default:
		err = r.translate(c, t, source)
	}
	if err == nil && !t.Model.Temperature {
		r.dropTemperature()
	}
	return r, err
}

// temperatures are the places of the temperature where it is not a member of the
// root.
var temperatures = map[string][]string{
	"gemini":      {"generationConfig", "temperature"},
	"gemini-cli":  {"request", "generationConfig", "temperature"},
	"antigravity": {"request", "generationConfig", "temperature"},
	"ollama":      {"options", "temperature"},
}

// dropTemperature leaves the temperature out for a model that refuses it.
func (r *request) dropTemperature() {
	path := temperatures[r.dialect]
	if path == nil {
		path = []string{"temperature"}
	}
	if _, ok := doc.Get(r.body, path...); !ok {
		return
	}
	r.body, _ = doc.Delete(nil, r.body, path...)
	r.degraded = append(slices.Clone(r.degraded), "temperature")
}

// passthrough keeps every byte but the model name (P-1).
func (r *request) passthrough(c *call.Call, t *call.Target, source []byte) *fault.Error {
	r.body = source
	if own, ok := doc.String(r.body, "model"); ok && own != t.Upstream {
		r.body, _ = doc.Set(nil, r.body, doc.Quote(nil, t.Upstream), "model")
	}
	r.hidden = c.Stream && r.dialect == "openai" && !wantsUsage(c.Doc.Skeleton())
	return nil
}

// wantsUsage reports whether a chat client asked for the usage chunk.
func wantsUsage(body []byte) bool {
	v, _ := doc.Bool(body, "stream_options", "include_usage")
	return v
}

// translate goes from the client's dialect to the target's in one step.
func (r *request) translate(c *call.Call, t *call.Target, source []byte) *fault.Error {
	return r.from(c, t, c.Dialect, source)
}

// overHub changes the hub document and goes from there.
func (r *request) overHub(c *call.Call, t *call.Target, shape *shape) *fault.Error {
	hub, err := c.Hub(c.Ctx)
	if err != nil {
		return failed(c, err)
	}
	body, ferr := shape.apply(c, hub.Body)
	if ferr != nil {
		return ferr
	}
	c.Stages.Request(capture.Hub, "", nil, inflated(c, body))
	if ferr = r.from(c, t, "hub", body); ferr != nil {
		return ferr
	}
	r.degraded = append(append([]string(nil), hub.Degraded...), r.degraded...)
	if len(r.names) == 0 {
		r.names = hub.Names
	}
	return nil
}

func (r *request) from(c *call.Call, t *call.Target, dialect string, body []byte) *fault.Error {
	out, err := c.Plugins.Request(c.Ctx, host.Translation{
		From: dialect, To: t.Dialect, Model: t.Upstream, Provider: t.Provider.ID, Project: "",
		Body: body, Blobs: c.Doc, Traits: t.Provider.Traits, Stream: c.Stream, Count: c.Endpoint == call.EndpointCountTokens,
	})
	if err != nil {
		return failed(c, err)
	}
	r.body, r.names, r.degraded = out.Body, out.Names, out.Degraded
	return nil
}

// failed is the failure of a translation.
func failed(c *call.Call, err error) *fault.Error {
	if c.Ctx.Err() != nil {
		return cancelled(c)
	}
	e := fault.From(err)
	if e.Class == fault.ClassClient && e.Scope == fault.ScopeModel {
		e.Reason = fault.ReasonUnsupported // another target may well serve it
	}
	return e
}

// envelopes are the starts of signatures that another provider made and a
// fallback put into the conversation: plain, and in base64 (E-1).
var envelopes = [...][]byte{[]byte(`"omni:`), []byte(`"b21uaT`)}

// carriesEnvelope reports whether a passthrough would carry a foreign signature
// to a provider that cannot read it (P-7). The translator takes it out.
func carriesEnvelope(c *call.Call) bool {
	for _, e := range envelopes {
		if bytes.Contains(c.Doc.Original(), e) {
			return true
		}
	}
	return false
}

// signatureRefused reports whether an upstream did not like the signature of a
// thinking block (E-5).
func signatureRefused(e *fault.Error) bool {
	if e.Status != 400 {
		return false
	}
	text := strings.ToLower(e.Message)
	return strings.Contains(text, "signature") && (strings.Contains(text, "thinking") || strings.Contains(text, "thought"))
}

// dropReasoning takes the reasoning of earlier turns out of the body; false when
// there was none, or it is out already.
func (r *request) dropReasoning() bool {
	if r.bare {
		return false
	}
	r.bare = true
	body, n := withoutReasoning(r.dialect, r.body)
	r.body = body
	return n > 0
}

// withoutReasoning removes thinking blocks, reasoning items or thought parts.
func withoutReasoning(dialect string, body []byte) (out []byte, removed int) {
	list, parts := "messages", "content"
	switch dialect {
	case "gemini", "gemini-cli", "antigravity":
		list, parts = "contents", "parts"
	case "openai-responses":
		list, parts = "input", ""
	case "claude":
	default:
		return body, 0
	}
	raw, _ := doc.Get(body, list)
	kept := make([]byte, 0, len(raw))
	kept = append(kept, '[')
	doc.Each(raw, func(_ int, m []byte) bool {
		if parts == "" {
			if t, _ := doc.String(m, "type"); t == "reasoning" {
				removed++
				return true
			}
			kept = appendElement(kept, m)
			return true
		}
		content, _ := doc.Get(m, parts)
		filtered, n, left := withoutThoughts(content)
		switch {
		case n == 0:
			kept = appendElement(kept, m)
		case left > 0:
			m, _ = doc.Set(nil, m, filtered, parts)
			kept = appendElement(kept, m)
		}
		removed += n
		return true
	})
	if removed == 0 {
		return body, 0
	}
	out, _ = doc.Set(nil, body, append(kept, ']'), list)
	if dialect == "claude" && openLoop(out) {
		out, _ = doc.Delete(nil, out, "thinking") // a running tool loop may not think without its first thoughts (H-6)
	}
	return out, removed
}

// openLoop reports whether a Messages request ends with the results of tools.
func openLoop(body []byte) bool {
	last, results := []byte(nil), false
	messages, _ := doc.Get(body, "messages")
	doc.Each(messages, func(_ int, m []byte) bool { last = m; return true })
	content, _ := doc.Get(last, "content")
	doc.Each(content, func(_ int, block []byte) bool {
		t, _ := doc.String(block, "type")
		results = results || t == "tool_result"
		return true
	})
	return results
}

// withoutThoughts filters the blocks or parts of one message.
func withoutThoughts(content []byte) (out []byte, removed, left int) {
	out = []byte{'['}
	doc.Each(content, func(_ int, part []byte) bool {
		t, _ := doc.String(part, "type")
		thought, _ := doc.Bool(part, "thought")
		if t == "thinking" || t == "redacted_thinking" || thought {
			removed++
			return true
		}
		left++
		out = appendElement(out, part)
		return true
	})
	return append(out, ']'), removed, left
}

func appendElement(to, raw []byte) []byte {
	if len(to) > 1 {
		to = append(to, ',')
	}
	return append(to, raw...)
}
