package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/plugindev"
	"github.com/omniroute/omniroute/sdk/abi"
)

func (a *app) devVerb() *cobra.Command {
	return group("dev", "For people who work on plugins", a.devPlugin(), a.devFake())
}

func (a *app) devPlugin() *cobra.Command {
	return &cobra.Command{
		Use: "plugin [DIR]", Short: "Run a gateway with a plugin under work", Args: cobra.MaximumNArgs(1),
		Long:    "Run a gateway of its own with the plugin in a folder. Each time a file of the plugin changes it is compiled, tested and loaded anew, while requests go on; every call of it is shown with its fuel. The configuration is that of serve; data goes to a folder that is removed at the end, unless --data-dir names one.",
		Example: "  omniroute dev plugin acme-llm",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.developPlugin(cmd.Context(), folder(args))
		},
	}
}

func (a *app) developPlugin(ctx context.Context, dir string) (err error) {
	work, err := os.MkdirTemp("", "omniroute-dev-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	plugins := filepath.Join(work, "plugins")
	if err := os.Mkdir(plugins, 0o700); err != nil {
		return err
	}
	opt := a.options()
	opt.Env = append(append([]string(nil), opt.Env...), "OMNIROUTE_PLUGINS__DIR="+plugins, "OMNIROUTE_PLUGINS__TRUST__MODE=dev")
	if opt.DataDir == "" {
		opt.DataDir = filepath.Join(work, "data")
	}
	// The first build comes before the gateway: its configuration may name the provider that the plugin brings.
	state, err := plugindev.Fingerprint(dir)
	if err != nil {
		return err
	}
	name, err := a.rebuild(ctx, dir, plugins)
	if err != nil {
		return err
	}
	gw, err := boot.Start(ctx, opt)
	if err != nil {
		return a.configError(err)
	}
	calls := make(chan *host.Trace, 256)
	go func() { // it ends with ctx
		_ = gw.RecordPlugin(ctx, "", func(t *host.Trace) {
			select {
			case calls <- t:
			default: // a line that is not shown is better than a request that waits
			}
		})
	}()
	err = a.loop(ctx, dir, plugins, name, state, calls)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, gw.Shutdown(ending))
}

// loop builds the plugin whenever its files change, and shows its calls.
func (a *app) loop(ctx context.Context, dir, plugins, mine, state string, calls <-chan *host.Trace) error {
	const often = 300 * time.Millisecond
	look := time.NewTicker(often)
	defer look.Stop()
	for {
		now, err := plugindev.Fingerprint(dir)
		if err != nil {
			return err
		}
		if now != state {
			state = now
			if name, err := a.rebuild(ctx, dir, plugins); err != nil {
				fmt.Fprintf(a.out, "%s  %v\n", clock(), err)
			} else {
				mine = name
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		case t := <-calls:
			if t.Plugin == mine && t.Op != abi.OpDescribe {
				a.showCall(t)
			}
		}
	}
}

func clock() string { return time.Now().Format("15:04:05.000") }

// rebuild compiles and tests the plugin, and hands it to the gateway. It
// returns the plugin's name.
func (a *app) rebuild(ctx context.Context, dir, plugins string) (string, error) {
	begin := time.Now()
	s, err := plugindev.Open(ctx, dir, "")
	if err != nil {
		return "", err
	}
	lab, err := host.OpenLab(ctx, s.Wasm, a.labOptions())
	if err != nil {
		return "", err
	}
	name := lab.Plugin().Name
	failed := 0
	for k := range s.Cases {
		_, problems, err := plugindev.Check(ctx, lab, &s.Cases[k])
		if err != nil {
			problems = append(problems, err.Error())
		}
		for _, p := range problems {
			fmt.Fprintf(a.out, "%s  FAILED %s: %s\n", clock(), s.Cases[k].Name, p)
		}
		if len(problems) > 0 {
			failed++
		}
	}
	if err := lab.Close(context.WithoutCancel(ctx)); err != nil {
		return "", err
	}
	file, err := plugindev.FileName(dir)
	if err != nil {
		return "", err
	}
	if err := replaceFile(filepath.Join(plugins, file), s.Wasm); err != nil {
		return "", err
	}
	_, err = fmt.Fprintf(a.out, "%s  %s built in %v: %d bytes, %d cases passed, %d failed\n",
		clock(), name, time.Since(begin).Round(time.Millisecond), len(s.Wasm), len(s.Cases)-failed, failed)
	return name, err
}

func (a *app) showCall(t *host.Trace) {
	line := fmt.Sprintf("%s  %-10s", clock(), t.Name)
	if t.Handle != 0 {
		line += fmt.Sprintf(" #%d", t.Handle)
	}
	line += fmt.Sprintf("  %d fuel  %v  %d → %d bytes", t.Fuel, time.Duration(t.NS).Round(time.Microsecond), len(t.In), len(t.Out))
	switch {
	case t.Failed != "":
		line += "  " + t.Failed
	case t.IsError:
		if e, err := abi.ReadError(t.Out); err == nil {
			line += "  error: " + e.Message
		}
	}
	fmt.Fprintln(a.out, line)
}
