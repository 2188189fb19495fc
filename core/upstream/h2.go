package upstream

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"
)

// h2Key tells which calls may share a transport.
type h2Key struct {
	proxy        string
	allowPrivate bool
	only         bool // no HTTP/1.1
	clear        bool // cleartext
}

// maxTransports bounds the transports kept: one per proxy and kind.
const maxTransports = 64

// transport returns the net/http transport for a kind of call.
func (c *Client) transport(key h2Key) *http.Transport {
	c.h2mu.Lock()
	defer c.h2mu.Unlock()
	if t := c.h2[key]; t != nil {
		return t
	}
	if len(c.h2) >= maxTransports {
		for old, t := range c.h2 {
			t.CloseIdleConnections()
			delete(c.h2, old)
			break
		}
	}
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return c.dialer.dial(ctx, addr, key.proxy, key.allowPrivate)
		},
		TLSClientConfig:        c.dialer.tls.Clone(),
		TLSHandshakeTimeout:    30 * time.Second, // the connect clock is shorter
		DisableCompression:     true,
		IdleConnTimeout:        c.opt.IdleTimeout,
		MaxIdleConnsPerHost:    c.opt.MaxIdlePerHost,
		MaxResponseHeaderBytes: bigReaderSize,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(!key.only)
	t.Protocols.SetHTTP2(!key.clear)
	t.Protocols.SetUnencryptedHTTP2(key.clear)
	c.h2[key] = t
	return t
}

// roundTripH2 makes the call over net/http.
func (c *Client) roundTripH2(ctx context.Context, req *Request, u *url.URL, r *Response) error {
	ctx, cancel := context.WithCancel(ctx)
	r.watch.onAbort(cancel)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { r.watch.enter(phaseHeaders) },
	})
	hr, err := netRequest(ctx, req, u)
	if err != nil {
		cancel()
		return err
	}
	t := c.transport(h2Key{
		proxy: req.Proxy, allowPrivate: req.AllowPrivate,
		only: req.HTTP == HTTP2Only, clear: u.Scheme == "http",
	})
	resp, err := t.RoundTrip(hr)
	if err != nil {
		cancel()
		return err
	}
	var coding string
	r.Status = resp.StatusCode
	r.Header, coding = netHeader(resp.Header)
	r.body = &h2Body{ReadCloser: resp.Body, watch: r.watch, cancel: cancel, size: max(resp.ContentLength, 0)}
	r.watch.enter(phaseBody)
	if err := r.decode(coding); err != nil {
		r.Close()
		return err
	}
	return nil
}

// netRequest translates a request.
func netRequest(ctx context.Context, req *Request, u *url.URL) (*http.Request, error) {
	body := req.BodyReader
	if body == nil && len(req.Body) > 0 {
		body = bytes.NewReader(req.Body)
	}
	hr, err := http.NewRequestWithContext(ctx, req.method(), u.String(), body)
	if err != nil {
		return nil, misconfigured("the upstream request is not valid")
	}
	hr.Header = http.Header{"User-Agent": {userAgent}, "Accept-Encoding": {"identity"}}
	given := http.Header{}
	for _, h := range req.Header {
		if err := checkHeader(h); err != nil {
			return nil, err
		}
		switch {
		case strings.EqualFold(h.Name, "host"):
			hr.Host = h.Value
		case strings.EqualFold(h.Name, "te") && strings.EqualFold(h.Value, "trailers"):
			given.Add(h.Name, h.Value) // the one value HTTP/2 allows; gRPC needs it
		case !hopByHop(h.Name):
			given.Add(h.Name, h.Value)
		}
	}
	for name, values := range given {
		hr.Header[name] = values
	}
	return hr, nil
}

// h2Body is the body of an answer that net/http reads.
type h2Body struct {
	io.ReadCloser
	watch  *watch
	cancel context.CancelFunc
	size   int64
}

// Read implements io.Reader.
func (b *h2Body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.watch.touch()
	}
	return n, err
}

// close ends the stream; the connection below stays.
func (b *h2Body) close(w *watch) {
	w.stop()
	b.cancel()
	_ = b.ReadCloser.Close() // the stream is reset; there is nothing to report
}

func (b *h2Body) length() int64 { return b.size }
