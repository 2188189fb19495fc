package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/plugindev"
	"github.com/omniroute/omniroute/sdk/conform"
)

// pluginDevVerbs are the verbs for people who write plugins.
func (a *app) pluginDevVerbs() []*cobra.Command {
	return []*cobra.Command{a.pluginNew(), a.pluginBuild(), a.pluginTest(), a.pluginConform(), a.pluginBench(), a.pluginRecord(), a.pluginReplay()}
}

func (a *app) pluginNew() *cobra.Command {
	var lang, kind, dir string
	c := &cobra.Command{
		Use: "new OWNER/NAME", Short: "Begin a plugin of your own", Args: cobra.ExactArgs(1),
		Long:    "Begin a plugin: a folder that compiles and passes its own tests, with the SDK beside it, so that no network is needed.",
		Example: "  omniroute plugin new acme/acme-llm --lang go\n  cd acme-llm && omniroute plugin test",
		RunE: func(_ *cobra.Command, args []string) error {
			_, short, _ := strings.Cut(args[0], "/")
			if dir == "" {
				dir = short
			}
			files, err := plugindev.New(plugindev.Scaffold{
				Name: args[0], Language: plugindev.Language(lang), Kind: plugindev.Kind(kind), Dir: dir,
			})
			if err != nil {
				return usageError{err}
			}
			if a.json {
				return a.printJSON(map[string]any{"dir": dir, "files": files})
			}
			for _, f := range files {
				if !strings.HasPrefix(f, plugindev.Cases+"/") {
					fmt.Fprintln(a.out, filepath.Join(dir, filepath.FromSlash(f)))
				}
			}
			next := "omniroute plugin test " + dir
			if lang == string(plugindev.AssemblyScript) {
				next = "(cd " + dir + " && npm install) && " + next
			}
			_, err = fmt.Fprintf(a.out, "\nNext: %s\n", next)
			return err
		},
	}
	c.Flags().StringVar(&lang, "lang", string(plugindev.Go), "`language`: go, rust, as or c")
	c.Flags().StringVar(&kind, "kind", string(plugindev.Executor), "`kind`: executor (a provider) or translator (a wire format)")
	c.Flags().StringVar(&dir, "dir", "", "`folder` to make (default the plugin's name)")
	return c
}

func (a *app) pluginBuild() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "build [DIR]", Short: "Compile a plugin into one file", Args: cobra.MaximumNArgs(1),
		Long: "Compile the plugin in a folder, and put its manifest, its test cases and its README into the file. The result can be dropped into a plugin folder, signed and shared.",
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := folder(args)
			wasm, err := plugindev.Pack(cmd.Context(), dir)
			if err != nil {
				return err
			}
			if out == "" {
				name, err := plugindev.FileName(dir)
				if err != nil {
					return err
				}
				out = filepath.Join(dir, "build", name)
			}
			if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
				return err
			}
			if err := replaceFile(out, wasm); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"file": out, "bytes": len(wasm)})
			}
			_, err = fmt.Fprintln(a.out, out)
			return err
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "", "`file` to write (default DIR/build/NAME.wasm)")
	return c
}

func folder(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

// labOptions are those of a gateway of this configuration, as far as a plugin
// alone needs them.
func (a *app) labOptions() host.LabOptions {
	opt := host.LabOptions{}
	if dir, err := os.UserCacheDir(); err == nil {
		opt.CacheDir = filepath.Join(dir, "omniroute", "wasm")
	}
	if dir := a.getenv("OMNIROUTE_PLUGINS__CACHE__DIR"); dir != "" {
		opt.CacheDir = dir
	}
	return opt
}

func (a *app) getenv(name string) string {
	for _, kv := range a.env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// withPlugin opens the plugin of a folder or file and runs f with it.
func (a *app) withPlugin(ctx context.Context, path, cases string, f func(*plugindev.Subject, *host.Lab) error) error {
	s, err := plugindev.Open(ctx, path, cases)
	if err != nil {
		return err
	}
	lab, err := host.OpenLab(ctx, s.Wasm, a.labOptions())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return errors.Join(f(s, lab), lab.Close(context.WithoutCancel(ctx)))
}

func (a *app) pluginTest() *cobra.Command {
	var cases string
	var update bool
	var fuzz time.Duration
	c := &cobra.Command{
		Use: "test [DIR|FILE.wasm]", Short: "Run a plugin's recorded cases in WebAssembly", Args: cobra.MaximumNArgs(1),
		Long:    "Run the recorded cases of a plugin in WebAssembly, within the limits of a gateway, and compare with what was recorded. Streams are run again with their events batched in other ways. A folder is compiled first, and its own tests run natively where the language has them. Exit code 1 if a case fails.",
		Example: "  omniroute plugin test acme-llm\n  omniroute plugin test acme-llm --update     # record what it does now\n  omniroute plugin test acme.wasm --fuzz 30s  # and damage the inputs for a while",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.withPlugin(ctx, folder(args), cases, func(s *plugindev.Subject, lab *host.Lab) error {
				if len(s.Cases) == 0 {
					return errors.New("there are no cases: record some below " + plugindev.Cases)
				}
				failed := a.runPluginCases(ctx, s, lab, update)
				if failed == nil && s.Dir != "" {
					failed = plugindev.TestNatively(ctx, s.Dir)
				}
				if failed != nil || fuzz == 0 {
					return failed
				}
				runs, op, in, err := plugindev.Fuzz(ctx, lab, s.Cases, uint64(time.Now().UnixNano()), fuzz)
				if err != nil {
					fmt.Fprintf(a.err, "after %d calls: %s with the input %s\n", runs, op, hex.EncodeToString(in))
					return err
				}
				_, err = fmt.Fprintf(a.out, "%d damaged inputs, all answered\n", runs)
				return err
			})
		},
	}
	c.Flags().StringVar(&cases, "cases", "", "`folder` of the cases (default the plugin's testdata, or those in the file)")
	c.Flags().BoolVar(&update, "update", false, "write what the plugin does as what it should do")
	c.Flags().DurationVar(&fuzz, "fuzz", 0, "how `long` to try damaged inputs after that")
	return c
}

// pluginCase is the outcome of a case as --json prints it.
type pluginCase struct {
	Case     string   `json:"case"`
	Passed   bool     `json:"passed"`
	Fuel     uint64   `json:"fuel"`
	Problems []string `json:"problems,omitempty"`
}

func (a *app) runPluginCases(ctx context.Context, s *plugindev.Subject, lab *host.Lab, update bool) error {
	var rows []pluginCase
	failed := 0
	for k := range s.Cases {
		c := &s.Cases[k]
		o, problems, err := plugindev.Check(ctx, lab, c)
		if err == nil && update {
			problems = nil
			err = c.Update(o)
		}
		if err != nil {
			problems = append(problems, err.Error())
		}
		row := pluginCase{Case: c.Name, Passed: len(problems) == 0, Problems: problems}
		if o != nil {
			row.Fuel = o.Fuel
		}
		rows = append(rows, row)
		if !row.Passed {
			failed++
		}
	}
	if a.json {
		if err := a.printJSON(map[string]any{"passed": len(rows) - failed, "failed": failed, "cases": rows}); err != nil {
			return err
		}
	} else {
		for _, r := range rows {
			for _, p := range r.Problems {
				fmt.Fprintf(a.out, "FAILED %s: %s\n", r.Case, p)
			}
		}
		fmt.Fprintf(a.out, "%d passed, %d failed\n", len(rows)-failed, failed)
	}
	if failed > 0 {
		return errNo
	}
	return nil
}

func (a *app) pluginConform() *cobra.Command {
	var cases string
	c := &cobra.Command{
		Use: "conform [DIR|FILE.wasm]", Short: "Hold a plugin against what every plugin has to keep to", Args: cobra.MaximumNArgs(1),
		Long: "Hold a plugin against what every plugin has to keep to: what it exports and says of itself, cut and broken input, equal output for equal input, streams that do not see each other, memory, fuel. Exit code 1 if a check fails.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.withPlugin(ctx, folder(args), cases, func(s *plugindev.Subject, lab *host.Lab) error {
				report, err := plugindev.Conform(ctx, lab, s.Cases, 0)
				if err != nil {
					return err
				}
				if a.json {
					err = a.printJSON(report)
				} else {
					err = a.printReport(&report)
				}
				if err == nil && !report.Conforms() {
					err = errNo
				}
				return err
			})
		},
	}
	c.Flags().StringVar(&cases, "cases", "", "`folder` of the plugin's cases (default its testdata, or those in the file)")
	return c
}

func (a *app) printReport(r *conform.Report) error {
	var rows [][]string
	for _, f := range r.Findings {
		text := f.Title
		if f.Problem != "" {
			text += ": " + f.Problem
		}
		rows = append(rows, []string{string(f.Result), f.ID, text})
	}
	if err := table(a.out, []string{"result", "check", "what"}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "%s %s (ABI %s): %d passed, %d failed, %d do not apply\n", r.Plugin, r.Version, r.ABI, r.Passed, r.Failed, r.Skipped)
	return err
}

func (a *app) pluginBench() *cobra.Command {
	var cases string
	var each time.Duration
	c := &cobra.Command{
		Use: "bench [DIR|FILE.wasm]", Short: "Measure a plugin's recorded cases", Args: cobra.MaximumNArgs(1),
		Long: "Measure what a plugin costs: its file, its start, and each recorded case in time and in fuel. Fuel does not depend on the machine.",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := plugindev.Open(cmd.Context(), folder(args), cases)
			if err != nil {
				return err
			}
			f, err := plugindev.Bench(cmd.Context(), s, a.labOptions(), each)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(f)
			}
			var rows [][]string
			for _, c := range f.Calls {
				rows = append(rows, []string{
					c.Case, c.Op, time.Duration(c.NS).Round(100 * time.Nanosecond).String(), strconv.FormatUint(c.Fuel, 10),
					strconv.Itoa(c.InBytes), strconv.Itoa(c.OutBytes),
				})
			}
			if err := table(a.out, []string{"case", "operation", "time", "fuel", "in", "out"}, rows); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "file %d bytes, loaded in %v, an instance in %v with %d bytes of memory\n",
				f.File, f.Compile.Round(time.Millisecond), f.Start.Round(10*time.Microsecond), f.Memory)
			return err
		},
	}
	c.Flags().StringVar(&cases, "cases", "", "`folder` of the plugin's cases (default its testdata, or those in the file)")
	c.Flags().DurationVar(&each, "time", 200*time.Millisecond, "how `long` to run each case")
	return c
}
