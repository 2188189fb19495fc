package accept

import (
	"bytes"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/telemetry"
	"github.com/omniroute/omniroute/sdk/abi"
)

// patience is how long a client waits for the first event before it gets status
// 200 and heartbeats. Falling over stays possible until there is content.
const patience = 10 * time.Second

// surface is one kind of request.
type surface struct {
	dialect  string
	endpoint string
	// read takes from the URL what a dialect puts there: model, stream, provider.
	// nil = everything is in the body.
	read func(c *fiber.Ctx, to *flow.Call)
	// media is what a call begins with that is not chat; nil = chat.
	media *call.Media
}

// post is the handler of a surface.
func (d *door) post(s surface) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if d.flow.Snapshot() == nil {
			return fault.New(fault.CircuitOpen, "The gateway is starting")
		}
		cl := d.open(c, s)
		limit := int(cl.Snapshot.Config.File.Server.BodyLimit)
		var bad *fault.Error
		if cl.Media != nil {
			bad = readMedia(c, cl, limit)
		} else {
			cl.Body, bad = readBody(c.Context(), limit)
		}
		if bad != nil {
			cl.Fail(bad)
		}
		if bad == nil && (cl.Stream || cl.Media != nil && cl.Media.Spoken || asksForStream(cl.Body)) {
			return d.stream(c, cl)
		}
		return d.whole(c, cl)
	}
}

// open makes a call of a request. Everything it keeps is a copy.
func (d *door) open(c *fiber.Ctx, s surface) *flow.Call {
	cl := d.flow.Begin(s.dialect, s.endpoint)
	cl.Header = headers(&c.Request().Header)
	cl.ID = telemetry.RequestID(cl.Header.Get("x-request-id"))
	cl.Method, cl.Path = strings.Clone(c.Method()), strings.Clone(c.Path())
	cl.IP = clientIP(c.Context().RemoteAddr(), cl.Header, cl.Snapshot.Trusted, cl.Snapshot.Config.File.Server.RealIPHeaders)
	if cl.Shared = behindUnknown(cl.IP, cl.Header, cl.Snapshot.Trusted); cl.Shared {
		d.proxy.Do(func() {
			d.flow.Log().Warn("requests come through a proxy that is not in server.trusted_proxies: all its clients have its address, so failures lock no address out",
				"proxy", cl.IP.String())
		})
	}
	cl.Secret = telemetry.Secret(clientKey(cl.Header, strings.Clone(c.Query("key"))))
	if s.media != nil {
		media := *s.media
		cl.Media = &media
	}
	if s.read != nil {
		s.read(c, cl)
	}
	return cl
}

// headers copies the fields of a request, with one allocation for their text.
func headers(h *fasthttp.RequestHeader) call.Header {
	n, size := 0, 0
	for k, v := range h.All() {
		n, size = n+1, size+len(k)+len(v)
	}
	var text strings.Builder
	text.Grow(size)
	out := make(call.Header, 0, n)
	for k, v := range h.All() {
		at := text.Len()
		text.Write(k)
		mid := text.Len()
		text.Write(v)
		s := text.String()
		out = append(out, abi.Header{Name: s[at:mid], Value: s[mid:]})
	}
	return out
}

// clientKey finds the key a client presents, in the places where the SDKs of the
// dialects put it.
func clientKey(h call.Header, query string) string {
	if auth := h.Get("authorization"); auth != "" {
		if scheme, token, ok := strings.Cut(auth, " "); ok && strings.EqualFold(scheme, "bearer") {
			return strings.TrimSpace(token)
		}
	}
	for _, name := range [...]string{"x-api-key", "x-goog-api-key", "api-key"} {
		if key := h.Get(name); key != "" {
			return key
		}
	}
	return query
}

// asksForStream looks for a stream member in the body before it is parsed. It
// only prepares for a stream: whether the client wants one is seen by the parser,
// see [call.Client.Whole].
func asksForStream(body []byte) bool {
	for rest := body; ; {
		i := bytes.Index(rest, []byte(`"stream"`))
		if i < 0 {
			return false
		}
		rest = bytes.TrimLeft(rest[i+len(`"stream"`):], " \t\r\n")
		if v, ok := bytes.CutPrefix(rest, []byte{':'}); ok && bytes.HasPrefix(bytes.TrimLeft(v, " \t\r\n"), []byte("true")) {
			return true
		}
	}
}

// whole runs a call within the handler and writes its answer.
func (d *door) whole(c *fiber.Ctx, cl *flow.Call) error {
	stop := d.watch.watch(c.Context().Conn(), func() { cl.Cancel(call.ErrClientGone) })
	d.flow.Run(cl)
	stop()
	return send(c, &cl.Sent)
}

// send writes a whole answer.
func send(c *fiber.Ctx, r *call.Reply) error {
	if r.Status == fault.New(fault.ClientClosed).Status {
		c.Context().SetConnectionClose()
	}
	c.Status(r.Status)
	for _, h := range r.Header {
		c.Response().Header.Set(h.Name, h.Value)
	}
	c.Response().SetBodyRaw(r.Body)
	return nil
}

// stream runs a call in a goroutine of its own, and lets the connection read
// what it writes. A call that turns out to have a whole answer gets one.
func (d *door) stream(c *fiber.Ctx, cl *flow.Call) error {
	beat, every := flow.Beat(cl.Dialect)
	if cl.Array || cl.Media != nil {
		beat = nil
	}
	out := &client{pipe: newPipe(func() { cl.Cancel(call.ErrClientGone) }), begun: make(chan struct{})}
	out.pipe.beat = beat
	out.Pace(every)
	cl.Client = out
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer out.pipe.finish()
		d.flow.Run(cl)
		if a := cl.Answer; a != nil && a.Raw && cl.Err != nil {
			out.pipe.breakOff()
		}
	}()
	stop := d.watch.watch(c.Context().Conn(), func() { cl.Cancel(call.ErrClientGone) })
	timer := time.NewTimer(patience)
	defer timer.Stop()
	if cl.Media != nil {
		timer.Stop() // nothing but the answer has a place in its body
	}
	select {
	case <-out.begun:
	case <-done:
	case <-timer.C:
		if !out.force(flow.StreamType(cl.Dialect, cl.Array), cl.ID) {
			<-done
		}
	}
	status, header, begun := out.head()
	if !begun {
		<-done
		stop()
		return send(c, &cl.Sent)
	}
	out.pipe.onEnd = stop
	c.Status(status)
	for _, h := range header {
		c.Response().Header.Set(h.Name, h.Value)
	}
	c.Response().ImmediateHeaderFlush = out.forced()
	c.Response().SetBodyStream(out.pipe, -1)
	return nil
}
