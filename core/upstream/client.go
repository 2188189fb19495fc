package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/omniroute/omniroute/core/fault"
)

// Options configures a Client. Zero fields take the defaults in brackets.
type Options struct {
	MaxConnsPerHost int           // HTTP/1.1 connections in use and idle per host [4096]
	MaxIdlePerHost  int           // idle connections kept per host [256]
	IdleTimeout     time.Duration // how long an idle connection is kept [90s]
	MaxBody         int64         // default of Request.MaxBody in bytes [512 MiB]
	TLS             *tls.Config   // base TLS configuration [system roots, TLS 1.2 and up]
	Resolver        *net.Resolver // looks up host names [the system's]
}

func (o Options) withDefaults() Options {
	if o.MaxConnsPerHost <= 0 {
		o.MaxConnsPerHost = 4096
	}
	if o.MaxIdlePerHost <= 0 {
		o.MaxIdlePerHost = 256
	}
	if o.IdleTimeout <= 0 {
		o.IdleTimeout = 90 * time.Second
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 512 << 20
	}
	if o.TLS == nil {
		o.TLS = &tls.Config{}
	}
	o.TLS = o.TLS.Clone()
	if o.TLS.MinVersion == 0 {
		o.TLS.MinVersion = tls.VersionTLS12
	}
	if o.TLS.ClientSessionCache == nil {
		o.TLS.ClientSessionCache = tls.NewLRUClientSessionCache(256)
	}
	return o
}

// Client makes outbound calls. It is safe for concurrent use.
type Client struct {
	opt    Options
	dialer *dialer
	pool   *pool
	drains sync.WaitGroup

	h2mu sync.Mutex
	h2   map[h2Key]*http.Transport
}

// New returns a Client.
func New(opt Options) *Client {
	opt = opt.withDefaults()
	d := &dialer{tls: opt.TLS, resolver: opt.Resolver}
	return &Client{opt: opt, dialer: d, pool: newPool(opt, d), h2: map[h2Key]*http.Transport{}}
}

// Close closes all connections. HTTP/1.1 calls that still run fail.
func (c *Client) Close() error {
	c.pool.closeAll()
	c.h2mu.Lock()
	for _, t := range c.h2 {
		t.CloseIdleConnections()
	}
	c.h2mu.Unlock()
	c.drains.Wait()
	return nil
}

// Do sends the request and returns when the response headers are here. Errors
// are *fault.Error. Cancelling ctx ends the call, its body included, at once.
//
// A request whose pooled connection turns out to be closed before anything was
// answered is sent once more on a new connection.
func (c *Client) Do(ctx context.Context, req *Request) (*Response, error) {
	u, err := parseURL(req.URL)
	if err != nil {
		return nil, err
	}
	if err := checkMethod(req.method()); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, cancelled(context.Cause(ctx))
	}
	for hop := 0; ; hop++ {
		begun := time.Now()
		resp, err := c.once(ctx, req, u)
		if err != nil {
			return nil, err
		}
		if hop >= req.Redirects || !redirects(resp.Status) || resp.Get("location") == "" {
			return resp, nil
		}
		resp.Close()
		if req, u, err = follow(req, u, resp.Status, resp.Get("location")); err != nil {
			return nil, err
		}
		if req.Timeouts.Total > 0 {
			req.Timeouts.Total = max(req.Timeouts.Total-time.Since(begun), time.Millisecond)
		}
	}
}

func (c *Client) once(ctx context.Context, req *Request, u *url.URL) (*Response, error) {
	w := newWatch(ctx, req.Timeouts)
	r := &Response{client: c, watch: w, host: u.Host, proxied: req.Proxy != "", max: req.MaxBody}
	if r.max <= 0 {
		r.max = c.opt.MaxBody
	}
	var err error
	switch {
	case req.HTTP == HTTP2 && u.Scheme == "https", req.HTTP == HTTP2Only:
		err = c.roundTripH2(ctx, req, u, r)
	case req.HTTP == "", req.HTTP == HTTP1, req.HTTP == HTTP2:
		err = c.roundTripH1(ctx, req, u, r)
	default:
		err = misconfigured("HTTP version %q is not known", string(req.HTTP))
	}
	if err == nil {
		return r, nil
	}
	e := w.failure(err, u.Host, r.proxied)
	w.stop()
	return nil, e
}

func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil: // its text would repeat the URL, which can hold a key
		return nil, misconfigured("the upstream URL is not valid")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, misconfigured("the upstream URL must start with http:// or https://")
	case u.Hostname() == "":
		return nil, misconfigured("the upstream URL names no host")
	case u.User != nil:
		return nil, misconfigured("the upstream URL must not contain credentials")
	}
	return u, nil
}

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// follow returns the request that a redirect asks for.
func follow(req *Request, from *url.URL, status int, location string) (*Request, *url.URL, error) {
	to, err := from.Parse(location)
	if err != nil {
		return nil, nil, badAnswer(from.Host, "redirect to an invalid URL", nil)
	}
	to, err = parseURL(to.String())
	if err != nil || from.Scheme == "https" && to.Scheme != "https" {
		return nil, nil, badAnswer(from.Host, "redirect to a URL that cannot be followed", nil)
	}
	if req.MayFollow != nil {
		if err := req.MayFollow(to); err != nil {
			return nil, nil, fault.From(err)
		}
	}
	next := *req
	next.Redirects = req.Redirects
	next.URL = to.String()
	method := req.method()
	if status == http.StatusSeeOther && method != http.MethodHead ||
		method == http.MethodPost && (status == http.StatusMovedPermanently || status == http.StatusFound) {
		method = http.MethodGet
		next.Body, next.BodyReader = nil, nil
	}
	next.Method = method
	if next.BodyReader != nil {
		return nil, nil, badAnswer(from.Host, "redirect of a request whose body cannot be sent again", nil)
	}
	next.Header = nil
	sameHost := strings.EqualFold(from.Host, to.Host) && from.Scheme == to.Scheme
	next.AllowPrivate = req.AllowPrivate && sameHost
	for _, h := range req.Header {
		name := strings.ToLower(h.Name)
		switch {
		case name == "host":
			continue
		case name == "content-type" && next.Body == nil:
			continue
		case !sameHost && name != "accept" && name != "content-type" && name != "user-agent" && name != "accept-encoding":
			continue // any other field may hold a credential
		}
		next.Header = append(next.Header, h)
	}
	return &next, to, nil
}

// keyOf returns the pool key of a call.
func keyOf(req *Request, u *url.URL) poolKey {
	return poolKey{
		hostPort: withPort(u), host: u.Hostname(), tls: u.Scheme == "https",
		proxy: req.Proxy, allowPrivate: req.AllowPrivate,
	}
}

// isClosed reports whether a pooled connection was closed by the other side
// before it answered.
func isClosed(err error) bool {
	return errors.Is(err, net.ErrClosed) || connectionLost(err)
}
