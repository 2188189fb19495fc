package render

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/telemetry/capture"
	"github.com/omniroute/omniroute/core/upstream"
	"github.com/omniroute/omniroute/sdk/abi"
)

// maxDegraded is how many fields x-omniroute-degraded lists.
const maxDegraded = 20

// maxKept bounds a rendered answer that is kept to be stored.
const maxKept = 4 << 20

// Stage renders.
type Stage struct{ buffers sync.Pool }

// New returns the stage.
func New() *Stage {
	return &Stage{buffers: sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}}
}

// Run gives the client the answer, or the error, of a call. A stream that
// breaks, and a client that leaves, become the error of the call.
func (s *Stage) Run(c *call.Call) {
	switch {
	case c.Err != nil:
		s.Fail(c)
	case c.Answer == nil:
		c.Fail(fault.New(fault.Internal, "The request ended without an answer"))
		s.Fail(c)
	case c.Answer.Events != nil:
		s.stream(c)
	default:
		s.whole(c)
	}
}

// whole fills Sent with a complete answer. A client that wants a stream gets a
// stored one in one piece.
func (s *Stage) whole(c *call.Call) {
	a := c.Answer
	status := a.Status
	if status == 0 {
		status = 200
	}
	if c.Client != nil && c.Client.Begun() {
		_, _ = c.Client.Write(a.Body)
		return
	}
	body := buffered(c.Dialect, a.Body, margin(c))
	c.Sent = call.Reply{Status: status, Header: s.header(c, "application/json"), Body: body}
	c.Stages.Response(capture.Answer, status, nil, body)
	if c.Keep {
		c.Kept = body
	}
}

// margin is what the operator wants clients to see on top of their usage.
func margin(c *call.Call) int64 {
	if c.CacheHit {
		return 0 // it is in the stored answer
	}
	return c.Snapshot.Config.File.Usage.BufferTokens
}

// stream pulls the events of an answer and writes them until the end.
func (s *Stage) stream(c *call.Call) {
	events := c.Answer.Events
	defer events.Close()
	c.Client.Begin(200, s.header(c, ContentType(c.Dialect, c.Array)))
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	w := writer{c: c, out: (*buf)[:0], margin: margin(c)}
	for {
		frames, err := events.Next()
		for i := range frames {
			w.frame(&frames[i])
		}
		switch {
		case c.Answer.Raw && err != nil:
			if err != io.EOF {
				c.Fail(err) // the body ends early: there is no place for words in it
			}
		case err == io.EOF:
			w.end()
		case err != nil:
			c.Fail(err)
			w.fail(c.Err)
		}
		gone := w.flush()
		*buf = w.out[:0]
		if gone != nil {
			c.Cancel(call.ErrClientGone)
			c.Fail(call.ErrClientGone)
			return
		}
		if err != nil {
			return
		}
	}
}

// Fail tells the client why there is no answer. Nobody is told that left.
func (s *Stage) Fail(c *call.Call) {
	if c.Err.Code == fault.ClientClosed {
		c.Sent = call.Reply{Status: c.Err.Status}
		return
	}
	if c.Client != nil && c.Client.Begun() {
		w := writer{c: c}
		w.fail(c.Err)
		_ = w.flush()
		return
	}
	c.Sent = call.Reply{
		Status: Status(c.Dialect, c.Err),
		Header: append(s.header(c, "application/json"), errorHeader(c.Err)...),
		Body:   AppendError(nil, c.Dialect, c.Err, c.ID),
	}
	c.Stages.Response(capture.Answer, c.Sent.Status, nil, c.Sent.Body)
}

// header returns the fields of an answer.
func (s *Stage) header(c *call.Call, contentType string) []abi.Header {
	h := make([]abi.Header, 0, 8)
	h = append(h, abi.Header{Name: "content-type", Value: contentType}, abi.Header{Name: "x-request-id", Value: c.ID})
	if c.Answer != nil {
		for _, own := range c.Answer.Header {
			if strings.EqualFold(own.Name, "content-type") {
				h[0].Value = own.Value
				continue
			}
			h = append(h, own)
		}
	}
	if c.Client != nil {
		h = append(h, abi.Header{Name: "cache-control", Value: "no-cache"}, abi.Header{Name: "x-accel-buffering", Value: "no"})
	}
	if c.Served != nil {
		h = append(h, abi.Header{Name: "x-omniroute-target", Value: c.Served.Target.ID})
	}
	if n := min(len(c.Degraded), maxDegraded); n > 0 {
		h = append(h, abi.Header{Name: "x-omniroute-degraded", Value: strings.Join(c.Degraded[:n], ",")})
	}
	if c.Trimmed > 0 {
		h = append(h, abi.Header{Name: "x-omniroute-context", Value: "trimmed=" + strconv.Itoa(c.Trimmed)})
	}
	if c.CacheState != "" && !c.CacheHit {
		h = append(h, abi.Header{Name: "x-omniroute-cache", Value: c.CacheState})
	}
	if c.Bypass != "" {
		h = append(h, abi.Header{Name: "x-omniroute-bypass", Value: c.Bypass})
	}
	if share := budgetShare(c); share > 0 {
		h = append(h, abi.Header{Name: "x-omniroute-budget", Value: strconv.Itoa(share) + "%"})
	}
	if c.Trace != nil && c.Trace.Detail {
		h = append(h, abi.Header{Name: "x-omniroute-policy", Value: decisions(c)})
	}
	for _, w := range c.Warnings {
		h = append(h, abi.Header{Name: "x-omniroute-warning", Value: oneLine(w.Text)})
	}
	return h
}

// budgetShare is the percentage of the fullest budget that a rule warns about.
func budgetShare(c *call.Call) int {
	share := 0
	for _, b := range c.Budget.Checks {
		if b.Warn && b.Limit > 0 {
			share = max(share, int(100*(b.Spent+b.Reserved+b.Est)/b.Limit))
		}
	}
	return share
}

// oneLine makes a text fit a header field.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, s)
}

// errorHeader tells a client, and its SDK, whether and when to try again.
func errorHeader(e *fault.Error) []abi.Header {
	h := []abi.Header{{Name: "x-should-retry", Value: strconv.FormatBool(e.Retryable)}}
	if e.RetryAfter >= 0 && (e.RetryAfter > 0 || e.Retryable) {
		seconds := max(int64((e.RetryAfter+time.Second-1)/time.Second), 1)
		h = append(h, abi.Header{Name: "retry-after", Value: strconv.FormatInt(seconds, 10)})
	}
	return h
}

// ContentType is the media type of a stream in the dialect; array asks for the
// form in which Gemini streams without alt=sse.
func ContentType(dialect string, array bool) string {
	if dialect == "gemini" && array {
		return "application/json"
	}
	return "text/event-stream"
}

// Beat is one heartbeat of the dialect; nil where clients stumble over it.
func Beat(dialect string) []byte {
	switch dialect {
	case "claude":
		return []byte("event: ping\ndata: {\"type\": \"ping\"}\n\n")
	case "gemini":
		return nil
	}
	return []byte(": keep-alive\n\n")
}

// DefaultHeartbeat is the silence after which a heartbeat is sent when no rule
// says otherwise.
const DefaultHeartbeat = 15 * time.Second

// writer assembles the bytes of a stream.
type writer struct {
	c      *call.Call
	out    []byte
	margin int64  // of usage.buffer_tokens
	sent   int    // data frames so far
	done   bool   // [DONE] was among them
	id     string // of the response, for Responses clients
}

// frame appends one event.
func (w *writer) frame(f *abi.Frame) {
	if w.c.Answer.Raw {
		w.out = append(w.out, f.Payload...)
		return
	}
	if f.Kind == abi.FrameData || f.Kind == abi.FrameRaw {
		w.note(f)
		w.sent++
	}
	if w.c.Array {
		w.element(f)
		return
	}
	w.out = upstream.AppendFrame(w.out, bufferedFrame(w.c.Dialect, *f, w.margin))
}

// note remembers what the end of the stream needs to know.
func (w *writer) note(f *abi.Frame) {
	switch w.c.Dialect {
	case "openai":
		if n := len(f.Payload); n >= 6 && n < 32 && strings.Contains(string(f.Payload), "[DONE]") {
			w.done = true
		}
	case "openai-responses":
		if w.sent == 0 {
			payload := f.Payload
			if f.Kind == abi.FrameRaw {
				_, payload, _ = upstream.ParseEvent(nil, f.Payload)
			}
			w.id, _ = doc.String(payload, "response", "id")
		}
	}
}

// element appends one element of a streamed JSON array.
func (w *writer) element(f *abi.Frame) {
	payload := f.Payload
	switch f.Kind {
	case abi.FrameRaw:
		_, payload, _ = upstream.ParseEvent(nil, f.Payload)
	case abi.FrameComment:
		return
	}
	if len(payload) == 0 {
		return
	}
	w.separator()
	w.out = append(w.out, payload...)
}

func (w *writer) separator() {
	if w.sent <= 1 {
		w.out = append(w.out, '[')
		return
	}
	w.out = append(w.out, ",\r\n"...)
}

// end appends the end mark that the dialect wants, once.
func (w *writer) end() {
	switch {
	case w.c.Array && w.sent == 0:
		w.out = append(w.out, "[]"...)
	case w.c.Array:
		w.out = append(w.out, ']')
	case w.c.Dialect == "openai" && !w.done:
		w.out = append(w.out, "data: [DONE]\n\n"...)
		w.done = true
	}
}

// fail appends the error event of the dialect.
func (w *writer) fail(e *fault.Error) {
	id := w.c.ID
	switch w.c.Dialect {
	case "claude":
		w.out = upstream.AppendEvent(w.out, "error", AppendError(nil, "claude", e, id))
	case "openai-responses":
		w.failResponses(e)
	case "gemini":
		body := AppendError(nil, "gemini", e, id)
		if w.c.Array {
			w.sent++
			w.separator()
			w.out = append(w.out, body...)
		} else {
			w.out = upstream.AppendEvent(w.out, "", body)
		}
		w.end()
	default:
		w.out = upstream.AppendEvent(w.out, "", AppendError(nil, "openai", e, id))
		w.done = false
		w.end()
	}
}

// failResponses writes the flat error event and the failed response.
func (w *writer) failResponses(e *fault.Error) {
	words := wordsFor(Status("openai-responses", e))
	code := openaiCode(e, words)
	b := append([]byte(nil), `{"type":"error","code":`...)
	b = appendOrNull(b, code)
	b = append(b, `,"message":`...)
	b = doc.Quote(b, e.Message)
	b = append(b, `,"param":`...)
	b = appendOrNull(b, openaiParam(e))
	b = append(b, `,"sequence_number":`...)
	b = strconv.AppendInt(b, int64(w.sent), 10)
	b = append(b, '}')
	w.out = upstream.AppendEvent(w.out, "error", b)
	if w.id == "" {
		w.id = "resp_" + strings.ReplaceAll(w.c.ID, "-", "")
	}
	b = append(b[:0], `{"type":"response.failed","sequence_number":`...)
	b = strconv.AppendInt(b, int64(w.sent)+1, 10)
	b = append(b, `,"response":{"id":`...)
	b = doc.Quote(b, w.id)
	b = append(b, `,"object":"response","created_at":`...)
	b = strconv.AppendInt(b, w.c.Began.Unix(), 10)
	b = append(b, `,"model":`...)
	b = doc.Quote(b, w.c.Model)
	b = append(b, `,"status":"failed","output":[],"error":{"code":`...)
	b = doc.Quote(b, orServerError(code))
	b = append(b, `,"message":`...)
	b = doc.Quote(b, e.Message)
	b = append(b, "}}}"...)
	w.out = upstream.AppendEvent(w.out, "response.failed", b)
}

func orServerError(code string) string {
	if code == "" {
		return "server_error"
	}
	return code
}

// flush hands the assembled events over.
func (w *writer) flush() error {
	if len(w.out) == 0 {
		return nil
	}
	if w.c.Keep && len(w.c.Kept) < maxKept {
		w.c.Kept = append(w.c.Kept, w.out...)
	}
	w.c.Stages.Chunk(capture.Answer, w.out)
	_, err := w.c.Client.Write(w.out)
	w.out = w.out[:0]
	if err != nil {
		return errors.Join(call.ErrClientGone, err)
	}
	return nil
}
