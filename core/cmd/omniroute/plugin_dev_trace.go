package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/goccy/go-json"
	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/plugindev"
)

// errEnough ends a recording that has what was asked for.
var errEnough = errors.New("enough")

func (a *app) pluginRecord() *cobra.Command {
	var out string
	var most int
	var length time.Duration
	var texts bool
	c := &cobra.Command{
		Use: "record [PLUGIN]", Short: "Record what a running gateway asks a plugin", Args: cobra.MaximumNArgs(1),
		Long:    "Record every call of a plugin in the running gateway, with its input, what the host answered and its output, until interrupted. Plugins see no secrets, so a recording holds none; short texts of requests are in it, long ones only with --texts. It is a bug report and a test case in one: see plugin replay.",
		Example: "  omniroute plugin record acme/acme-llm --for 1m\n  omniroute plugin replay trace.omr acme-llm",
		RunE: func(cmd *cobra.Command, args []string) error {
			plugin := ""
			if len(args) > 0 {
				plugin = args[0]
			}
			file, err := os.OpenFile(out, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			w := bufio.NewWriter(file)
			n := 0
			err = a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				if length > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, length)
					defer cancel()
				}
				fmt.Fprintf(a.err, "recording to %s; interrupt to end\n", out)
				return desk.RecordPlugin(ctx, plugin, func(line []byte) error {
					var c plugindev.Call
					if err := json.Unmarshal(line, &c); err != nil {
						return err
					}
					if !texts {
						c.Redact()
					}
					text, err := json.Marshal(&c)
					if err != nil {
						return err
					}
					if n++; n == most {
						err = errEnough
					}
					_, werr := w.Write(append(text, '\n'))
					return errors.Join(werr, err)
				})
			})
			if errors.Is(err, errEnough) {
				err = nil
			}
			if err = errors.Join(err, w.Flush(), file.Close()); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"file": out, "calls": n})
			}
			_, err = fmt.Fprintf(a.out, "%d calls in %s\n", n, out)
			return err
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "trace"+plugindev.TraceSuffix, "`file` to write")
	c.Flags().IntVar(&most, "calls", 0, "end after so `many` calls")
	c.Flags().DurationVar(&length, "for", 0, "end after so `long`")
	c.Flags().BoolVar(&texts, "texts", false, "keep the long texts that the plugin looked at")
	return c
}

func (a *app) pluginReplay() *cobra.Command {
	var save string
	c := &cobra.Command{
		Use: "replay TRACE.omr DIR|FILE.wasm", Short: "Run recorded calls again", Args: cobra.ExactArgs(2),
		Long: "Run the calls of a recording again and compare what comes out; the plugin may be another version than the one recorded. With --save the calls become test cases. Exit code 1 if a call gives something else.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			file, err := os.Open(args[0])
			if err != nil {
				return err
			}
			calls, err := plugindev.ReadTrace(file)
			if err = errors.Join(err, file.Close()); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return a.withPlugin(ctx, args[1], "", func(_ *plugindev.Subject, lab *host.Lab) error {
				diffs, err := plugindev.Replay(ctx, lab, calls)
				if err != nil {
					return err
				}
				if err := a.printReplay(len(calls), diffs); err != nil {
					return err
				}
				if save != "" {
					return a.saveCases(calls, save)
				}
				if len(diffs) > 0 {
					return errNo
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&save, "save", "", "`folder` to write the calls to as test cases; then run plugin test --update")
	return c
}

func (a *app) printReplay(calls int, diffs []plugindev.Difference) error {
	if a.json {
		return a.printJSON(map[string]any{"calls": calls, "differences": list(diffs)})
	}
	for _, d := range diffs {
		note := ""
		if d.Redacted {
			note = " (its long texts were left out of the recording)"
		}
		fmt.Fprintf(a.out, "call %d, %s%s:\nrecorded %s\nnow %s\n", d.Call, d.Op, note, d.Recorded, d.Now)
	}
	_, err := fmt.Fprintf(a.out, "%d calls, %d differ\n", calls, len(diffs))
	return err
}

func (a *app) saveCases(calls []plugindev.Call, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	names, err := plugindev.SaveCases(calls, dir)
	if err == nil && !a.json {
		_, err = fmt.Fprintf(a.out, "%d cases in %s\n", len(names), dir)
	}
	return err
}
