package boot

import (
	"context"
	"errors"
	"log/slog"

	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/telemetry"
)

// OpenPlugins loads the plugins of a configuration and nothing else: no store is opened and no lock is taken, so it
// works beside a running gateway. release must be called at the end.
func OpenPlugins(ctx context.Context, opt Options) (_ *host.Host, release func() error, err error) {
	conf, problems := opt.load()
	if conf == nil {
		return nil, nil, &ConfigError{problems}
	}
	logging := conf.File.Logging
	if opt.Quiet {
		logging.Level = "error"
	}
	log, _, err := telemetry.NewLogger(opt.err(), telemetry.LogOptions{Level: logging.Level, Format: logging.Format})
	if err != nil {
		return nil, nil, err
	}
	return loadPlugins(ctx, opt, conf, log)
}

// loadPlugins is OpenPlugins for a configuration that was loaded already.
func loadPlugins(ctx context.Context, opt Options, conf *config.Snapshot, log *slog.Logger) (_ *host.Host, release func() error, err error) {
	core := opt.core()
	if len(core) == 0 {
		return nil, nil, errNoCore
	}
	h, err := host.Open(ctx, pluginOptions(core, conf, log))
	if err != nil {
		return nil, nil, err
	}
	release = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		return h.Close(ctx)
	}
	if err := waitPlugins(ctx, h); err != nil {
		return nil, nil, errors.Join(err, release())
	}
	return h, release, nil
}

// noCore explains a binary that `go build` made in a fresh clone.
const noCore = "this binary was built without its plugins and translates nothing by itself: run `make plugins`, then build it again"

var errNoCore = errors.New(noCore)
