package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/omniroute/omniroute/plugins/bundle"
)

// version is set by the linker (make build).
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, &app{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		env:     os.Environ(),
		version: version,
		core:    bundle.Core,
	}, os.Args[1:])
	stop()
	os.Exit(code)
}
