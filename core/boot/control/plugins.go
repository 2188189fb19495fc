package control

import (
	"context"
	"net/http"
	"net/url"

	"github.com/omniroute/omniroute/core/host"
)

// PluginDesk is the part of a running gateway's desk that is about plugins.
// Their files are managed on disk; a gateway is asked to look, and what it
// thinks of them.
type PluginDesk interface {
	// Plugins describes what serves. With rescan the plugin folder and the lock
	// file are looked at first.
	Plugins(ctx context.Context, rescan bool) (Plugins, error)
	// ReadmitPlugin lets a plugin serve again that crashed too often.
	ReadmitPlugin(ctx context.Context, name string) error
}

// Plugins is what a gateway runs.
type Plugins struct {
	Generation uint64         `json:"generation"`
	Parts      []host.Part    `json:"parts"`
	Problems   []host.Problem `json:"problems"`
	Stats      []host.Stats   `json:"stats"`
}

var _ PluginDesk = (*Client)(nil)

// pluginRoutes mounts the desk's part about plugins, where it has one.
func pluginRoutes(mux *http.ServeMux, desk Desk) {
	d, ok := desk.(PluginDesk)
	if !ok {
		return
	}
	handle(mux, "GET /plugins", func(r *http.Request) (any, error) { return d.Plugins(r.Context(), false) })
	handle(mux, "POST /plugins/rescan", func(r *http.Request) (any, error) { return d.Plugins(r.Context(), true) })
	handle(mux, "POST /plugins/readmit", func(r *http.Request) (any, error) {
		return nil, d.ReadmitPlugin(r.Context(), r.FormValue("name"))
	})
}

// Plugins implements PluginDesk.
func (c *Client) Plugins(ctx context.Context, rescan bool) (Plugins, error) {
	if rescan {
		return get[Plugins](ctx, c, http.MethodPost, "/plugins/rescan", nil)
	}
	return get[Plugins](ctx, c, http.MethodGet, "/plugins", nil)
}

// ReadmitPlugin implements PluginDesk.
func (c *Client) ReadmitPlugin(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodPost, "/plugins/readmit?name="+url.QueryEscape(name), nil, nil)
}
