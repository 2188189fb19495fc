package execute

import (
	"bytes"
	"cmp"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/telemetry"
	"github.com/omniroute/omniroute/core/telemetry/capture"
	"github.com/omniroute/omniroute/core/upstream"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/hub"
)

// What is no chat takes the same way as chat: targets, accounts, limits, fall-over
// and books are the same. Only bodies and answers are made here, without translators:
// nearly every service speaks OpenAI's format.

// profile is with what the executor of the target works.
func (a *attempt) profile() *host.Profile {
	id := a.t.Provider.ID
	if m := a.t.Media; m != nil && m.Profile != nil {
		id = catalog.MediaProfile(id, m.Kind)
	}
	return a.c.Snapshot.Profile(id)
}

// executorID is the part that serves the target.
func (a *attempt) executorID() string {
	if m := a.t.Media; m != nil && m.Executor != "" {
		return m.Executor
	}
	return a.t.Provider.Executor
}

// endpoint is what the executor is asked for.
func (a *attempt) endpoint() string {
	m := a.c.Media
	switch {
	case m == nil:
		return call.EndpointChat
	case m.Kind == catalog.KindEmbedding && a.t.Dialect != a.c.Dialect:
		return "embeddings"
	}
	return m.Endpoint
}

// prepareMedia makes the body of a request that is not chat.
func prepareMedia(c *call.Call, t *call.Target) (*request, *fault.Error) {
	r := &request{dialect: t.Dialect, same: t.Dialect == c.Dialect}
	body := c.Source
	var err *fault.Error
	for _, rules := range t.Media.Rules {
		if body, err = r.shapeMedia(body, &rules); err != nil {
			return nil, err
		}
	}
	switch {
	case t.Media.Kind == catalog.KindImage && t.Dialect == "gemini":
		body, err = geminiImage(c, body)
	case t.Media.Kind == catalog.KindEmbedding && !r.same && t.Dialect == "gemini":
		body, err = geminiEmbeddings(c, t, body)
	case t.Media.Kind == catalog.KindEmbedding && !r.same:
		body, err = openaiEmbeddings(c, t, body)
	case t.Dialect == "gemini":
		body = geminiModels(c, t, body)
	default:
		body, _ = doc.Set(nil, body, doc.Quote(nil, t.Upstream), "model")
	}
	if t.Media.Format == "openai" && c.Media.Endpoint == "embeddings" {
		body, _ = doc.Delete(nil, body, "stream")
	}
	r.body = body
	return r, err
}

// shapeMedia applies the rules of a provider or a model; what could not be carried
// is reported.
func (r *request) shapeMedia(body []byte, rules *catalog.MediaRules) ([]byte, *fault.Error) {
	var err *fault.Error
	for _, name := range rules.Drop {
		if _, ok := doc.Get(body, name); ok {
			body, _ = doc.Delete(nil, body, name)
			r.degraded = append(r.degraded, name)
		}
	}
	for name, v := range rules.Default {
		if _, ok := doc.Get(body, name); ok {
			continue
		}
		if body, err = put(body, name, v); err != nil {
			return nil, err
		}
	}
	for name, v := range rules.Set {
		if _, ok := doc.Get(body, name); !ok {
			continue // the service's own default is the same
		}
		if body, err = put(body, name, v); err != nil {
			return nil, err
		}
	}
	for name, words := range rules.Values {
		if v, ok := doc.String(body, name); ok && words[v] != "" {
			body, _ = doc.Set(nil, body, doc.Quote(nil, words[v]), name)
		}
	}
	if size, ok := doc.String(body, "size"); ok && rules.Size == "width_height" {
		width, height, _ := strings.Cut(size, "x")
		body, _ = doc.Delete(nil, body, "size")
		if decimal(width) && decimal(height) {
			body, _ = doc.Set(nil, body, []byte(width), "width")
			body, _ = doc.Set(nil, body, []byte(height), "height")
		}
	}
	return body, nil
}

func decimal(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0'
}

// moved reports an answer upon which the fallback URL of a target is asked.
func moved(status int) bool { return status == 404 || status == 410 || status == 502 || status == 503 }

// withHeader replaces a field or adds it.
func withHeader(list []upstream.Header, name, value string) []upstream.Header {
	out := slices.DeleteFunc(slices.Clone(list), func(h upstream.Header) bool { return strings.EqualFold(h.Name, name) })
	return append(out, upstream.Header{Name: name, Value: value})
}

// media serves a good answer of a service that is not chat.
func (a *attempt) media() *fault.Error {
	contentType := a.resp.Get("content-type")
	if a.c.Media.Spoken && !isJSON(contentType) {
		return a.sound()
	}
	body, err := a.resp.ReadAll(0)
	if err != nil {
		return a.broken(err)
	}
	a.c.Stages.Response(capture.Provider, a.resp.Status, call.Captured(a.resp.Header), body)
	if len(bytes.TrimSpace(body)) == 0 {
		return a.empty()
	}
	if !isJSON(contentType) && body[0] != '{' {
		if a.c.Media.Kind == catalog.KindTranscription {
			return a.deliverMedia(body, contentType) // a text, or subtitles
		}
		return a.blamed(fault.Upstream(502, "The provider's answer is not JSON"))
	}
	if w := newWatch(a.t.Dialect); isError(body) {
		w.body(body)
		return a.blamed(cmp.Or(w.broken, fault.Upstream(502, "")))
	}
	out, failure := a.mediaBody(body)
	if failure != nil {
		return failure
	}
	return a.deliverMedia(out, "application/json")
}

// mediaBody makes the answer for the client of a JSON body, and counts what is in it.
func (a *attempt) mediaBody(body []byte) ([]byte, *fault.Error) {
	made := &a.c.Media.Made
	a.usage = mediaUsage(body)
	switch a.c.Media.Kind {
	case catalog.KindEmbedding:
		return a.embeddings(body)
	case catalog.KindImage:
		if a.t.Dialect == "gemini" {
			body = imagesOfGemini(a.c, body)
		}
		data, _ := doc.Get(body, "data")
		doc.Each(data, func(int, []byte) bool { made.Images++; return true })
		if made.Images == 0 {
			return nil, a.empty()
		}
		if _, ok := doc.Get(body, "created"); !ok {
			body, _ = doc.Set(nil, body, strconv.AppendInt(nil, a.l.s.Now().Unix(), 10), "created")
		}
	case catalog.KindTranscription:
		made.Millis = seconds(body)
	}
	return body, nil
}

// isError reports a body that says that there is no answer, whatever its status.
func isError(body []byte) bool {
	raw, ok := doc.Get(body, "error")
	return ok && len(raw) > 0 && raw[0] != 'n'
}

// seconds is how much sound a transcription says it heard, in milliseconds.
func seconds(body []byte) int64 {
	for _, path := range [...][]string{{"usage", "seconds"}, {"duration"}, {"usage", "prompt_audio_seconds"}} {
		if raw, ok := doc.Get(body, path...); ok {
			if s, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64); err == nil && s > 0 && s < 1e7 {
				return int64(math.Ceil(s * 1000))
			}
		}
	}
	return 0
}

// mediaUsage reads the tokens of an answer, from where the services tell them.
func mediaUsage(body []byte) hub.Usage {
	var u hub.Usage
	read := func(to *int64, paths ...[]string) {
		for _, path := range paths {
			if n, ok := doc.Int(body, path...); ok && n >= 0 {
				*to, u.Known = n, true
				return
			}
		}
	}
	read(&u.Prompt, []string{"usage", "prompt_tokens"}, []string{"usage", "input_tokens"}, []string{"meta", "tokens", "input_tokens"},
		[]string{"tokens", "input_tokens"}, []string{"usage", "total_tokens"}, []string{"usageMetadata", "promptTokenCount"})
	read(&u.Completion, []string{"usage", "completion_tokens"}, []string{"usage", "output_tokens"}, []string{"meta", "tokens", "output_tokens"},
		[]string{"tokens", "output_tokens"}, []string{"usageMetadata", "candidatesTokenCount"})
	u.Total = u.Sum()
	return u
}

func (a *attempt) deliverMedia(body []byte, contentType string) *fault.Error {
	a.first = a.l.s.Now()
	a.phase(telemetry.PhaseStream)
	a.served()
	a.c.Answer = &call.Answer{Status: 200, Body: body, Header: []abi.Header{{Name: "content-type", Value: contentType}}}
	a.succeed()
	return nil
}

// soundPiece is how much of a sound is read at once, in bytes.
const soundPiece = 32 << 10

// sound starts an answer that goes to the client as it comes.
func (a *attempt) sound() *fault.Error {
	contentType := a.resp.Get("content-type")
	s := &sound{a: a, buf: make([]byte, soundPiece)}
	if isEventStream(contentType) {
		s.framer, _ = newFramer("sse")
	}
	n, err := a.resp.Read(s.buf)
	if n == 0 && err == io.EOF {
		return a.empty()
	}
	if n == 0 && err != nil {
		return a.broken(err)
	}
	a.resp.MarkEvent()
	s.take(n, err)
	a.first = a.l.s.Now()
	a.phase(telemetry.PhaseStream)
	a.c.FirstAt = a.first
	a.lease.Succeed()
	a.served()
	a.c.Answer = &call.Answer{Status: 200, Events: s, Raw: true, Header: []abi.Header{{Name: "content-type", Value: contentType}}}
	return nil
}

// sound is a body that is passed on in pieces. It owns its attempt until the end.
type sound struct {
	a      *attempt
	buf    []byte
	piece  [1]abi.Frame
	held   bool  // a piece waits to be taken
	err    error // after it
	framer upstream.Framer
	closed bool
}

// take keeps the first n bytes of the buffer as the next piece.
func (s *sound) take(n int, err error) {
	s.piece[0] = abi.Frame{Kind: abi.FrameRaw, Payload: s.buf[:n]}
	s.held, s.err = true, err
	if s.framer != nil && n > 0 {
		if s.framer.Feed(s.buf[:n], s.note) != nil {
			s.framer = nil // not what it said it was; the client may still know it
		}
	}
}

// note reads what the events of a transcription tell of its cost.
func (s *sound) note(f abi.Frame) {
	if u := mediaUsage(f.Payload); u.Known {
		s.a.usage = u
	}
	if ms := seconds(f.Payload); ms > 0 {
		s.a.c.Media.Made.Millis = ms
	}
}

// Next implements call.Events.
func (s *sound) Next() ([]abi.Frame, error) {
	if s.closed {
		return nil, io.EOF
	}
	if !s.held {
		n, err := s.a.resp.Read(s.buf)
		s.take(n, err)
	}
	s.held = false
	switch {
	case s.err == nil:
		return s.piece[:], nil
	case s.err == io.EOF:
		s.closed = true
		s.a.succeed()
		return s.piece[:], io.EOF
	}
	s.closed = true
	e := s.a.broken(s.err)
	if e.Code == fault.ClientClosed {
		s.a.abort(e)
	} else {
		s.a.fail(e, true)
	}
	return s.piece[:], e
}

// Close implements call.Events: before the end it means that the client left.
func (s *sound) Close() {
	if !s.closed {
		s.closed = true
		s.a.abort(call.ErrClientGone)
	}
}
