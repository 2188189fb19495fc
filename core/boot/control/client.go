package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/policy"
)

// ErrNoServer says that nobody serves the socket.
var ErrNoServer = errors.New("no gateway is running")

// Client is the desk of a gateway in another process. Close it.
type Client struct{ http *http.Client }

var _ Desk = (*Client)(nil)

// Dial reaches the gateway behind a socket; ErrNoServer if there is none.
func Dial(ctx context.Context, path string) (*Client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, ErrNoServer
	case err != nil:
		return nil, err
	}
	conn.Close()
	return &Client{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", path) },
	}}}, nil
}

// Close ends the connection.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://gateway"+path, body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("the running gateway does not answer: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("the running gateway does not answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		var f failure
		if json.Unmarshal(text, &f) != nil || f.Code == "" {
			return fmt.Errorf("the running gateway answered %s", resp.Status)
		}
		if f.Code == fault.Internal { // not a refusal: what the gateway stumbled over
			return errors.New(f.Message)
		}
		e := fault.New(f.Code, f.Message)
		e.Status = f.Status
		return e
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// get is call for answers of one type.
func get[T any](ctx context.Context, c *Client, method, path string, in any) (out T, err error) {
	err = c.call(ctx, method, path, in, &out)
	return out, err
}

// Status implements Desk.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, "GET", "/status", nil)
}

// Reload implements Desk.
func (c *Client) Reload(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, "POST", "/reload", nil)
}

// CreateKey implements Desk.
func (c *Client) CreateKey(ctx context.Context, want account.Key) (NewKey, error) {
	return get[NewKey](ctx, c, "POST", "/keys", want)
}

// Keys implements Desk.
func (c *Client) Keys(ctx context.Context) ([]*account.Key, error) {
	return get[[]*account.Key](ctx, c, "GET", "/keys", nil)
}

// RevokeKey implements Desk.
func (c *Client) RevokeKey(ctx context.Context, id string) error {
	return c.call(ctx, "DELETE", "/keys/"+url.PathEscape(id), nil, nil)
}

// ResetPassword implements Desk.
func (c *Client) ResetPassword(ctx context.Context, password string) error {
	return c.call(ctx, "PUT", "/password", password, nil)
}

// Providers implements Desk.
func (c *Client) Providers(ctx context.Context, all bool) ([]Provider, error) {
	return get[[]Provider](ctx, c, "GET", "/providers?all="+strconv.FormatBool(all), nil)
}

// Accounts implements Desk.
func (c *Client) Accounts(ctx context.Context, provider string) ([]*account.Account, error) {
	return get[[]*account.Account](ctx, c, "GET", "/accounts?provider="+url.QueryEscape(provider), nil)
}

// AddAccount implements Desk.
func (c *Client) AddAccount(ctx context.Context, want NewAccount) (*account.Account, error) {
	return get[*account.Account](ctx, c, "POST", "/accounts", want)
}

// RemoveAccount implements Desk.
func (c *Client) RemoveAccount(ctx context.Context, id string) error {
	return c.call(ctx, "DELETE", "/accounts/"+url.PathEscape(id), nil, nil)
}

// TestAccount implements Desk.
func (c *Client) TestAccount(ctx context.Context, id string) (Test, error) {
	return get[Test](ctx, c, "POST", "/accounts/"+url.PathEscape(id)+"/test", nil)
}

// Models implements Desk.
func (c *Client) Models(ctx context.Context, provider string, live bool) ([]Model, error) {
	q := url.Values{"provider": {provider}, "live": {strconv.FormatBool(live)}}
	return get[[]Model](ctx, c, "GET", "/models?"+q.Encode(), nil)
}

// Requests implements Desk.
func (c *Client) Requests(ctx context.Context, f ledger.Filter) (ledger.Page, error) {
	q := url.Values{}
	for name, v := range map[string]string{
		"status": f.Status, "model": f.Model, "provider": f.Provider, "account": f.Account,
		"key": f.Key, "search": f.Search, "cursor": f.Cursor,
	} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if f.Combo {
		q.Set("combo", "true")
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	for name, t := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !t.IsZero() {
			q.Set(name, t.Format(time.RFC3339Nano))
		}
	}
	return get[ledger.Page](ctx, c, "GET", "/requests?"+q.Encode(), nil)
}

// Request implements Desk.
func (c *Client) Request(ctx context.Context, id string) (Request, error) {
	return get[Request](ctx, c, "GET", "/requests/"+url.PathEscape(id), nil)
}

// Candidates implements Desk.
func (c *Client) Candidates(ctx context.Context, q Question) (*policy.Record, error) {
	return get[*policy.Record](ctx, c, "POST", "/candidates", q)
}
