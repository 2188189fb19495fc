package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker (make build).
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, &app{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		env:     os.Environ(),
		version: version,
	}, os.Args[1:])
	stop()
	os.Exit(code)
}
