package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/state"
)

func (a *app) serveVerb() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run the gateway", Args: cobra.NoArgs,
		Long: "Run the gateway until it is interrupted. SIGHUP loads the configuration anew; SIGTERM and SIGINT let running requests finish first, a second one does not wait for them.",
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context()) },
	}
}

func (a *app) serve(ctx context.Context) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	gw, err := boot.Start(ctx, a.options())
	var locked *state.LockedError
	switch {
	case errors.As(err, &locked):
		return fmt.Errorf("another gateway runs with this data directory: %w", err)
	case err != nil && ctx.Err() != nil:
		return nil // interrupted while starting
	case err != nil:
		return a.configError(err)
	}
	err = a.attend(ctx, gw, hup)
	// A second signal ends the wait for running requests.
	again, stop := signal.NotifyContext(context.WithoutCancel(ctx), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ending, cancel := context.WithTimeout(again, gw.ShutdownTimeout())
	defer cancel()
	return errors.Join(err, gw.Shutdown(ending))
}

// attend waits for the end and reloads on the way.
func (a *app) attend(ctx context.Context, gw *boot.Gateway, hup <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-gw.Failed():
			return fmt.Errorf("the listener ended: %w", err)
		case <-hup:
			_ = gw.Reload(ctx) // it has told the problems itself, and the old configuration serves on
		}
	}
}
