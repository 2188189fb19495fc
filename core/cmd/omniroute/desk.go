package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/boot/control"
)

// options are what every verb opens the gateway with.
func (a *app) options() boot.Options {
	return boot.Options{
		Config: a.configPath, DataDir: a.dataDir, Env: a.env, Version: a.version, Core: a.core, Out: a.out, Err: a.err,
	}
}

// withDesk runs f with the desk of the running gateway, or over the store when none runs.
func (a *app) withDesk(cmd *cobra.Command, f func(context.Context, control.Desk) error) error {
	ctx := cmd.Context()
	desk, release, err := boot.OpenDesk(ctx, a.quiet())
	if err != nil {
		return a.configError(err)
	}
	return errors.Join(f(ctx, desk), release())
}

// quiet are options for verbs whose own output is all a person wants to see.
func (a *app) quiet() boot.Options {
	opt := a.options()
	opt.Out, opt.Quiet = nil, true
	return opt
}

// configError prints every problem of a configuration, which is then all there is to say.
func (a *app) configError(err error) error {
	var bad *boot.ConfigError
	if errors.As(err, &bad) {
		a.printProblems(bad.Problems)
		return errNo
	}
	return err
}
