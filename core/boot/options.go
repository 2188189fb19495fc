package boot

import (
	"context"
	"io"
	"log/slog"
	"strings"

	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
)

// Options say what to open and how to speak.
type Options struct {
	// Config is the file to use; "" searches, see config.Find.
	Config string
	// DataDir is over server.data_dir and DATA_DIR.
	DataDir string
	// Env is the environment, as os.Environ gives it.
	Env []string
	// Version of the program.
	Version string
	// Core returns the module of built-in plugins, nil when the binary was built without it. It is asked once for
	// each plugin host, so that the bytes need not stay in memory.
	Core func() []byte
	// Out gets the lines a person reads at the start; nil drops them.
	Out io.Writer
	// Err gets the log and diagnostics; nil drops them.
	Err io.Writer
	// Quiet logs errors only, whatever the file says.
	Quiet bool
}

func (o Options) load() (*config.Snapshot, []fault.Diagnostic) { return config.Load(o.source()) }

// source is where the configuration comes from.
func (o Options) source() config.Options {
	return config.Options{Path: o.Config, Env: o.Env, DataDir: o.DataDir}
}

func (o Options) core() []byte {
	if o.Core == nil {
		return nil
	}
	return o.Core()
}

func (o Options) out() io.Writer { return orDiscard(o.Out) }

func (o Options) err() io.Writer { return orDiscard(o.Err) }

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// ConfigError is a configuration that cannot be used, with every problem found.
type ConfigError struct{ Problems []fault.Diagnostic }

func (e *ConfigError) Error() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].String()
	}
	return "the configuration has " + plural(len(e.Problems), "problem")
}

// warn logs diagnostics that keep nothing from working.
func warn(log *slog.Logger, message string, problems []fault.Diagnostic) {
	for _, d := range problems {
		log.LogAttrs(context.Background(), slog.LevelWarn, message, slog.String("problem", d.Text()))
	}
}

// lookup finds a variable in an environment of NAME=value; the last one counts.
func lookup(env []string, name string) (value string) {
	for _, kv := range env {
		if rest, ok := strings.CutPrefix(kv, name+"="); ok {
			value = rest
		}
	}
	return value
}
