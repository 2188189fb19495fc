package fake

import (
	"bytes"
	"compress/gzip"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/omniroute/omniroute/core/cases"
)

// dialect is one provider protocol.
type dialect interface {
	// check adds the violations of a chat or count request.
	check(r *Request)
	// body renders a plain answer.
	body(r *Request, reply Reply) []byte
	// events renders a stream.
	events(r *Request, reply Reply) []cases.Event
	// failure renders an error answer.
	failure(reply Reply) answer
	// errorEvents renders an error in the middle of a stream.
	errorEvents(message string) []cases.Event
	// extra answers everything that is no completion.
	extra(r *Request, models []string) answer
}

var dialects = map[string]dialect{
	"openai":           chat{},
	"openai-responses": responses{},
	"claude":           claude{},
	"gemini":           gemini{},
	"gemini-cli":       codeAssist{},
	"antigravity":      codeAssist{},
	"ollama":           ollama{},
	"kiro":             kiro{},
	"cursor":           cursor{},
}

// binary is a dialect whose answers are frames of bytes.
type binary interface {
	// parse reads a request that is no JSON into [Request].JSON; false if requests
	// are JSON.
	parse(r *Request) bool
	// frame puts an event on the wire.
	frame(e cases.Event) []byte
	contentType() string
	// results are the texts of the tool results that a request ends with.
	results(r *Request) []string
}

// wire puts events on the wire.
func (p *player) wire(events ...cases.Event) []byte {
	b, ok := p.d.(binary)
	if !ok {
		return cases.AppendWire(nil, p.r.Dialect, events)
	}
	var out []byte
	for _, e := range events {
		out = append(out, b.frame(e)...)
	}
	return out
}

// player writes one reply.
type player struct {
	s     *Server
	w     http.ResponseWriter
	hr    *http.Request
	r     *Request
	d     dialect
	reply Reply
}

func (s *Server) play(w http.ResponseWriter, hr *http.Request, r *Request, d dialect, reply Reply) {
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() { // tells a client that hangs up from an answer that is complete
		defer close(watched)
		select {
		case <-hr.Context().Done():
			r.goneAt = time.Now()
			close(r.gone)
		case <-done:
		}
	}()
	defer func() {
		close(done)
		<-watched
	}()
	p := &player{s, w, hr, r, d, reply}
	for name, values := range reply.Header {
		w.Header()[name] = values
	}
	switch {
	case p.takeover():
	case reply.Fault.Kind == FaultReset:
		p.reset()
	case reply.Fault.Kind == FaultStallHeaders:
		p.stall()
	case reply.Status != 0 && reply.Status != http.StatusOK:
		p.failure()
	case p.streams():
		p.stream()
	default:
		p.plain()
	}
}

func (p *player) streams() bool {
	switch p.reply.Fault.Kind {
	case FaultJSONForStream, FaultError200, FaultGarbage, FaultHTML:
		return false
	case FaultStreamForJSON:
		return true
	}
	if p.reply.Body != nil {
		return false
	}
	return p.r.Stream || p.reply.Events != nil
}

// stall is silence until the client or the test gives up.
func (p *player) stall() {
	select {
	case <-p.hr.Context().Done():
	case <-p.s.closed:
	}
}

// reset breaks the connection with RST.
func (p *player) reset() {
	conn, _, err := p.w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

func (p *player) failure() {
	a := p.d.failure(p.reply)
	if p.reply.Body != nil {
		a.body = p.reply.Body
	}
	a.header = nil
	p.s.plain(p.w, a)
}

func (p *player) plain() {
	body := p.reply.Body
	contentType := "application/json"
	switch p.reply.Fault.Kind {
	case FaultEmpty:
		body = []byte{}
	case FaultError200:
		body = p.d.failure(Reply{Status: http.StatusServiceUnavailable, Error: p.message()}).body
	case FaultGarbage:
		body = []byte("\x00\xffthis is no JSON {\"a\":")
	case FaultHTML:
		body, contentType = []byte("<!doctype html><title>502 Bad Gateway</title>"), "text/html"
	}
	if body == nil {
		body = p.d.body(p.r, p.reply)
	}
	if p.reply.ContentType != "" {
		contentType = p.reply.ContentType
	}
	p.w.Header().Set("Content-Type", contentType)
	switch p.reply.Fault.Kind {
	case FaultStallFirst, FaultStallMid:
		p.flush()
		p.stall()
	case FaultWrongLength:
		p.w.Header().Set("Content-Length", strconv.Itoa(len(body)+100))
		_, _ = p.w.Write(body)
	case FaultCut:
		p.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = p.w.Write(body[:len(body)/2])
		p.flush()
		panic(http.ErrAbortHandler)
	default:
		p.write(body)
	}
}

func (p *player) message() string {
	if p.reply.Error != "" {
		return p.reply.Error
	}
	return "the fake failed on purpose"
}

// write sends bytes as a whole, compressed or one by one.
func (p *player) write(body []byte) {
	switch p.reply.Fault.Kind {
	case FaultGzip:
		var b bytes.Buffer
		zw := gzip.NewWriter(&b)
		_, _ = zw.Write(body)
		zw.Close()
		p.w.Header().Set("Content-Encoding", "gzip")
		_, _ = p.w.Write(b.Bytes())
	case FaultByteChunks:
		for i := range body {
			_, _ = p.w.Write(body[i : i+1])
			p.flush()
		}
	default:
		_, _ = p.w.Write(body)
	}
	p.flush()
}

func (p *player) flush() { p.w.(http.Flusher).Flush() }

func (p *player) stream() {
	events := p.reply.Events
	if events == nil {
		events = p.d.events(p.r, p.reply)
	}
	contentType := "text/event-stream"
	if p.r.Dialect == "ollama" {
		contentType = "application/x-ndjson"
	}
	if b, ok := p.d.(binary); ok {
		contentType = b.contentType()
	}
	p.w.Header().Set("Content-Type", contentType)
	if p.reply.Fault.Kind == FaultGzip {
		p.write(p.wire(events...))
		return
	}
	if p.reply.Fault.Kind == FaultEmpty {
		p.flush()
		return
	}
	p.flush()
	if p.reply.Fault.Kind == FaultOnlyPings {
		p.onlyPings()
		return
	}
	if p.reply.Fault.Kind == FaultStallFirst {
		p.stall()
		return
	}
	for i, e := range events {
		if !p.event(i, e, i == len(events)-1) {
			return
		}
	}
}

// event sends one event; false ends the stream.
func (p *player) event(i int, e cases.Event, last bool) bool {
	if !p.pause(i) {
		return false
	}
	wire := p.wire(e)
	f := p.reply.Fault
	if i == f.After {
		switch f.Kind {
		case FaultStallMid:
			p.stall()
			return false
		case FaultCut:
			panic(http.ErrAbortHandler)
		case FaultEnd:
			return false
		case FaultErrorEvent:
			p.write(p.wire(p.d.errorEvents(p.message())...))
			return false
		case FaultHalfEvent:
			p.write(wire[:len(wire)/2])
			panic(http.ErrAbortHandler)
		case FaultGarbageEvent:
			p.write([]byte("data: {broken\n\n"))
		}
	}
	switch {
	case f.Kind == FaultPings && p.r.Dialect == "claude":
		p.write([]byte("event: ping\ndata: {\"type\":\"ping\"}\n\n"))
	case f.Kind == FaultPings && p.r.Dialect != "ollama":
		p.write([]byte(": keep-alive\n\n"))
	case f.Kind == FaultCRLF:
		wire = bytes.ReplaceAll(wire, []byte("\n"), []byte("\r\n"))
	case f.Kind == FaultNoFinalBlank && last:
		wire = bytes.TrimRight(wire, "\n")
	}
	p.write(wire)
	return p.hr.Context().Err() == nil
}

// pause waits for the gate and the pace of event i; false means that the client is gone.
func (p *player) pause(i int) bool {
	gate := p.reply.Gate
	if i < p.reply.GateAfter {
		gate = nil
	}
	var timer <-chan time.Time
	if p.reply.Pace > 0 {
		timer = time.After(p.reply.Pace)
	}
	return await(p, gate) && await(p, timer)
}

// await receives from a channel, at once when it is nil; false means that the
// client or the server is gone.
func await[T any](p *player, ch <-chan T) bool {
	if ch == nil {
		return true
	}
	select {
	case <-ch:
		return true
	case <-p.hr.Context().Done():
	case <-p.s.closed:
	}
	return false
}

func (p *player) onlyPings() {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if p.r.Dialect == "claude" {
				p.write([]byte("event: ping\ndata: {\"type\":\"ping\"}\n\n"))
			} else {
				p.write([]byte(": keep-alive\n\n"))
			}
		case <-p.hr.Context().Done():
			return
		case <-p.s.closed:
			return
		}
	}
}

// Render is what the provider of a dialect sends for a reply, plain and as a
// stream, to a client whose request shows thinking and asks for usage.
func Render(dialect string, reply Reply) (body []byte, events []cases.Event) {
	request := map[string]string{
		"openai":           `{"stream_options":{"include_usage":true}}`,
		"openai-responses": `{"include":["reasoning.encrypted_content"]}`,
		"claude":           `{"thinking":{"type":"enabled"}}`,
		"gemini":           `{"generationConfig":{"thinkingConfig":{"includeThoughts":true}}}`,
		"ollama":           `{"think":true}`,
	}[dialect]
	v, err := cases.Parse([]byte(request))
	if err != nil {
		panic("fake: no dialect " + dialect)
	}
	r := &Request{Dialect: dialect, Kind: "chat", Model: "fake-model", JSON: v}
	d := dialects[dialect]
	return d.body(r, reply), d.events(r, reply)
}
