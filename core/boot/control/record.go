package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/fault"
)

// Recording watches the plugins of a running gateway.
type Recording interface {
	// RecordPlugin calls take with every call of a plugin ("" = of all), one JSON document each, until ctx ends or
	// take fails.
	RecordPlugin(ctx context.Context, plugin string, take func(call []byte) error) error
}

func recording(mux *http.ServeMux, desk Recording) {
	mux.HandleFunc("GET /plugins/calls", func(w http.ResponseWriter, r *http.Request) {
		flush := http.NewResponseController(w)
		w.Header().Set("Content-Type", "application/x-ndjson")
		_ = flush.Flush() // the command knows that it is heard
		err := desk.RecordPlugin(r.Context(), r.FormValue("plugin"), func(call []byte) error {
			if _, err := w.Write(append(call, '\n')); err != nil {
				return err
			}
			return flush.Flush()
		})
		if err != nil && r.Context().Err() == nil {
			e := fault.From(err)
			text, _ := json.Marshal(failure{Code: e.Code, Status: e.Status, Message: err.Error()})
			_, _ = w.Write(append(text, '\n')) // the last line tells why
		}
	})
}

// RecordPlugin implements Recording.
func (c *Client) RecordPlugin(ctx context.Context, plugin string, take func(call []byte) error) error {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://gateway/plugins/calls?"+url.Values{"plugin": {plugin}}.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("the running gateway does not answer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the running gateway answered %s", resp.Status)
	}
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			if errors.Is(err, io.EOF) || ctx.Err() != nil {
				return nil
			}
			return err
		}
		var f failure
		if json.Unmarshal(line, &f) == nil && f.Code != "" {
			return errors.New(f.Message)
		}
		if err := take(line[:len(line)-1]); err != nil {
			return err
		}
	}
}
