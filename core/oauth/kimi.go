package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"runtime"
	"strings"

	"github.com/omniroute/omniroute/core/telemetry"
)

// kimi is the device login of Kimi's coding subscription. A device id belongs to
// each account, made once.
type kimi struct{ standard }

const (
	kimiVersion = "1.10.6" // of the program whose protocol this is
	kimiModel   = runtime.GOOS + " " + runtime.GOARCH
)

func (kimi) methods() []Method { return deviceOnly() }

func kimiHeaders(device string) []pair {
	return []pair{
		{"X-Msh-Platform", "kimi_cli"}, {"X-Msh-Version", kimiVersion}, {"X-Msh-Device-Name", "omniroute"},
		{"X-Msh-Device-Model", kimiModel}, {"X-Msh-Device-Id", device},
	}
}

func (kimi) device(ctx context.Context, c *client, f *flow) error {
	f.keep("deviceId", telemetry.NewRequestID())
	if err := startDevice(ctx, c, f, []pair{{"client_id", c.ClientID}}, kimiHeaders(f.extra["deviceId"])...); err != nil {
		return err
	}
	if f.dev.complete == "" && f.dev.verify == "" {
		f.dev.complete = strings.ReplaceAll(c.VerifyURL, "{user_code}", url.QueryEscape(f.dev.user))
		f.dev.verify, _, _ = strings.Cut(c.VerifyURL, "?")
	}
	return nil
}

func (kimi) poll(ctx context.Context, c *client, f *flow) (*Grant, error) {
	device := f.extra["deviceId"]
	g, err := first(c.tokens(ctx, c.TokenURL, false, []pair{{"grant_type", deviceGrant}, {"client_id", c.ClientID}, {"device_code", f.dev.code}}, kimiHeaders(device)...))
	if err == nil {
		g.data("deviceId", device)
		g.data("deviceModel", kimiModel) // requests name the same device
	}
	return g, err
}

func (kimi) refresh(ctx context.Context, c *client, old *Credential) (*Grant, error) {
	g, err := first(c.tokens(ctx, c.RefreshURL, false, []pair{{"grant_type", "refresh_token"}, {"refresh_token", old.Refresh}, {"client_id", c.ClientID}},
		kimiHeaders(old.Data["deviceId"])...))
	var e *Error
	if errors.As(err, &e) && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden) {
		e.Code = "invalid_grant"
	}
	return g, err
}
