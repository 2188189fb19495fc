package boot

import (
	"context"
	"errors"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/host"
)

// waiting is how many recorded calls may wait for the command that takes them; what comes then is left out.
const waiting = 4096

// RecordPlugin implements control.Desk.
func (d *desk) RecordPlugin(ctx context.Context, plugin string, take func(call []byte) error) error {
	if d.gateway == nil {
		return errors.New("no gateway is running")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	calls := make(chan *host.Trace, waiting)
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		err := d.gateway.plugins.Record(ctx, plugin, func(t *host.Trace) {
			select {
			case calls <- t:
			default: // never make a request wait
			}
		})
		if err != nil {
			failed <- err
		}
	}()
	for {
		select {
		case err := <-failed:
			return err
		case t := <-calls:
			text, err := json.Marshal(t)
			if err == nil {
				err = take(text)
			}
			if err != nil {
				cancel()
				<-failed
				return err
			}
		}
	}
}

// RecordPlugin hands every call of a plugin ("" = of all) to take until ctx ends; take must not wait.
func (g *Gateway) RecordPlugin(ctx context.Context, plugin string, take func(*host.Trace)) error {
	return g.plugins.Record(ctx, plugin, take)
}
