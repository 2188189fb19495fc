package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"net/url"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/net/proxy"

	"github.com/omniroute/omniroute/core/fault"
)

// dialer makes raw connections: guarded, and through a proxy if there is one.
type dialer struct {
	tls      *tls.Config
	resolver *net.Resolver
}

func (d *dialer) net(guarded bool) *net.Dialer {
	n := &net.Dialer{KeepAlive: 30 * time.Second, Resolver: d.resolver}
	if guarded {
		n.ControlContext = guardControl
	}
	return n
}

// dial connects to hostPort. Its errors are *fault.Error where the guard or a
// proxy is the reason.
func (d *dialer) dial(ctx context.Context, hostPort, proxyURL string, allowPrivate bool) (net.Conn, error) {
	if proxyURL == "" {
		c, err := d.net(!allowPrivate).DialContext(ctx, "tcp", hostPort)
		if e := fault.As(err); e != nil {
			return nil, e
		}
		return c, err
	}
	if !allowPrivate {
		host, _, _ := net.SplitHostPort(hostPort)
		if err := guardHost(host); err != nil {
			return nil, err
		}
	}
	u, err := url.Parse(proxyURL)
	if err != nil || u.Hostname() == "" {
		return nil, misconfigured("the proxy URL is not valid")
	}
	// The operator chose the proxy, so its own address needs no guard.
	switch u.Scheme {
	case "http", "https":
		return d.connect(ctx, hostPort, u)
	case "socks5", "socks5h":
		return d.socks(ctx, hostPort, u)
	}
	return nil, misconfigured("proxy scheme %q is not supported; use http, https, socks5 or socks5h", u.Scheme)
}

// withPort returns the host of u with its port or the default of its scheme.
func withPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		switch u.Scheme {
		case "https":
			port = "443"
		case "http":
			port = "80"
		default:
			port = "1080"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// socks connects through a SOCKS5 proxy (RFC 1928), which resolves the name.
func (d *dialer) socks(ctx context.Context, hostPort string, u *url.URL) (net.Conn, error) {
	var auth *proxy.Auth
	if u.User != nil {
		password, _ := u.User.Password()
		auth = &proxy.Auth{User: u.User.Username(), Password: password}
	}
	via, err := proxy.SOCKS5("tcp", withPort(u), auth, d.net(false))
	if err != nil {
		return nil, misconfigured("the proxy URL is not valid")
	}
	contextual, ok := via.(proxy.ContextDialer)
	if !ok {
		return nil, misconfigured("the SOCKS5 dialer cannot be cancelled")
	}
	c, err := contextual.DialContext(ctx, "tcp", hostPort)
	if err != nil {
		return nil, proxyFailure(err, "The SOCKS5 proxy gave no connection to "+hostPort)
	}
	return c, nil
}

// connect asks an HTTP proxy for a tunnel (RFC 9110 section 9.3.6).
func (d *dialer) connect(ctx context.Context, hostPort string, u *url.URL) (net.Conn, error) {
	c, err := d.net(false).DialContext(ctx, "tcp", withPort(u))
	if err != nil {
		return nil, proxyFailure(err, "The proxy cannot be reached")
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if u.Scheme == "https" {
		t := tls.Client(c, d.config(u.Hostname(), "http/1.1"))
		if err := t.HandshakeContext(ctx); err != nil {
			c.Close()
			return nil, proxyFailure(err, "TLS with the proxy failed")
		}
		c = t
	}
	head := "CONNECT " + hostPort + " HTTP/1.1\r\nHost: " + hostPort + "\r\n"
	if u.User != nil {
		password, _ := u.User.Password()
		credentials := base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password))
		head += "Proxy-Authorization: Basic " + credentials + "\r\n"
	}
	if err := tunnel(c, head+"\r\n"); err != nil {
		c.Close()
		return nil, proxyFailure(err, "The proxy gave no connection to "+hostPort)
	}
	if !stop() {
		return nil, proxyFailure(context.Cause(ctx), "The proxy gave no connection to "+hostPort)
	}
	return c, nil
}

// tunnel sends the CONNECT request and reads its answer.
func tunnel(c net.Conn, head string) error {
	if _, err := c.Write([]byte(head)); err != nil {
		return err
	}
	br := bufio.NewReader(c)
	var h fasthttp.ResponseHeader
	if err := h.Read(br); err != nil {
		return err
	}
	if status := h.StatusCode(); status < 200 || status > 299 {
		return errors.New("the proxy answered " + fasthttp.StatusMessage(status))
	}
	if br.Buffered() > 0 {
		return errors.New("the proxy sent data before the tunnel was used")
	}
	return nil
}

// config returns the TLS configuration for a host.
func (d *dialer) config(host string, protocols ...string) *tls.Config {
	c := d.tls.Clone()
	if c.ServerName == "" {
		c.ServerName = host
	}
	c.NextProtos = protocols
	return c
}
