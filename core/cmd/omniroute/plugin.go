package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/host"
)

func (a *app) pluginVerb() *cobra.Command {
	return group("plugin", "Plugins: what is loaded, and packing your own", append([]*cobra.Command{a.pluginList(), a.pluginPack()}, a.pluginDevVerbs()...)...)
}

func (a *app) pluginList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the parts of all plugins, built in and dropped in", Args: cobra.NoArgs,
		Long: "List the parts of all plugins as a gateway with this configuration loads them. Exit code 1 if a file cannot be used.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, release, err := boot.OpenPlugins(cmd.Context(), a.quiet())
			if err != nil {
				return a.configError(err)
			}
			parts, problems := h.Parts(), h.Problems()
			if err := release(); err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(map[string]any{"parts": list(parts), "problems": list(problems)})
			} else {
				err = a.printParts(parts, problems)
			}
			if err == nil && len(problems) > 0 {
				return errNo
			}
			return err
		},
	}
}

func (a *app) printParts(parts []host.Part, problems []host.Problem) error {
	var rows [][]string
	for _, p := range parts {
		from := p.File
		if from == "" {
			from = "built in"
		}
		state := string(p.State)
		if p.Reason != "" {
			state += ": " + p.Reason
		}
		rows = append(rows, []string{string(p.Kind), p.ID, p.Dialect, p.Plugin, p.Version, from, state})
	}
	for _, p := range problems {
		fmt.Fprintln(a.err, fault.Diagnostic{File: p.File, Message: p.Message})
	}
	return table(a.out, []string{"kind", "id", "dialect", "plugin", "version", "from", "state"}, rows)
}

func (a *app) pluginPack() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "pack FILE.wasm", Short: "Put a module's own manifest into the file", Args: cobra.ExactArgs(1),
		Long: "Put a module's own manifest into the file, so that a gateway can read who it is and what it wants before it runs a single instruction. Drop the result into the plugin folder.",
		RunE: func(cmd *cobra.Command, args []string) error {
			wasm, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			packed, err := host.Pack(cmd.Context(), wasm)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if out == "" {
				out = args[0]
			}
			if err := replaceFile(out, packed); err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, out)
			return err
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "", "`file` to write (default the module itself)")
	return c
}

// replaceFile writes a file so that nobody ever reads half of it.
func replaceFile(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+strings.TrimSuffix(filepath.Base(path), ".wasm")+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(tmp.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	return err
}
