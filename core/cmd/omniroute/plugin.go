package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/host/library"
)

func (a *app) pluginVerb() *cobra.Command {
	verbs := []*cobra.Command{
		a.pluginList(), a.pluginInfo(), a.pluginInstall(), a.pluginUpdate(), a.pluginApprove(), a.pluginRollback(),
		a.pluginSwitch("enable", "Switch a plugin on", true), a.pluginSwitch("disable", "Switch a plugin off", false), a.pluginRemove(),
		a.pluginPack(), a.pluginSign(), a.pluginInspect(), a.pluginVerify(),
		a.pluginPush(), a.pluginPull(), a.pluginSave(), a.pluginLoad(), a.pluginSearch(), a.pluginIndex(),
		a.pluginWarm(), a.pluginDoctor(),
	}
	return group("plugin", "Plugins: install, share and write them", append(verbs, a.pluginDevVerbs()...)...)
}

// library opens the plugins of the configuration.
func (a *app) library() (*boot.PluginLibrary, error) {
	lib, err := boot.OpenLibrary(a.quiet())
	if err != nil {
		return nil, a.configError(err)
	}
	lib.Fixtures = a.runFixtures
	return lib, nil
}

// told makes a running gateway look at what changed, and says what it thinks of it. Without one there is nothing to
// tell.
func (a *app) told(ctx context.Context, lib *boot.PluginLibrary, name string) error {
	g, err := lib.Gateway(ctx)
	if errors.Is(err, control.ErrNoServer) {
		return nil
	}
	if err != nil {
		return err
	}
	defer g.Close()
	state, err := g.Plugins(ctx, true)
	if err != nil {
		return fmt.Errorf("the files were changed, but the running gateway did not follow: %w", err)
	}
	for _, p := range state.Problems {
		if p.Plugin == name {
			fmt.Fprintln(a.err, fault.Diagnostic{File: p.File, Message: "the running gateway: " + p.Message})
			return errNo
		}
	}
	return nil
}

func (a *app) pluginList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the parts of all plugins, built in and dropped in", Args: cobra.NoArgs,
		Long: "List the parts of all plugins: those of the running gateway, or as a gateway with this configuration loads them. Exit code 1 if a file cannot be used.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, err := a.pluginState(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(map[string]any{"parts": list(state.Parts), "problems": list(state.Problems), "stats": list(state.Stats)})
			} else {
				err = a.printParts(state.Parts, state.Problems)
			}
			if err == nil && len(state.Problems) > 0 {
				return errNo
			}
			return err
		},
	}
}

// pluginState asks the running gateway, or loads the plugins itself.
func (a *app) pluginState(ctx context.Context) (control.Plugins, error) {
	lib, err := a.library()
	if err != nil {
		return control.Plugins{}, err
	}
	if g, err := lib.Gateway(ctx); err == nil {
		defer g.Close()
		return g.Plugins(ctx, false)
	} else if !errors.Is(err, control.ErrNoServer) {
		return control.Plugins{}, err
	}
	h, release, err := boot.OpenPlugins(ctx, a.quiet())
	if err != nil {
		return control.Plugins{}, a.configError(err)
	}
	state := control.Plugins{Parts: h.Parts(), Problems: h.Problems(), Stats: h.Stats()}
	return state, release()
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

func (a *app) pluginInfo() *cobra.Command {
	return &cobra.Command{
		Use: "info OWNER/NAME", Short: "What an installed plugin is, may do and does", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			lib, err := a.library()
			if err != nil {
				return err
			}
			info, err := lib.Find(args[0])
			if err != nil {
				return err
			}
			var stats *host.Stats
			if g, err := lib.Gateway(cmd.Context()); err == nil {
				defer g.Close()
				state, err := g.Plugins(cmd.Context(), false)
				if err != nil {
					return err
				}
				for k := range state.Stats {
					if state.Stats[k].Plugin == info.Name {
						stats = &state.Stats[k]
					}
				}
			}
			if a.json {
				return a.printJSON(struct {
					*library.Info
					Stats *host.Stats `json:"stats,omitempty"`
				}{info, stats})
			}
			a.printInfo(info)
			if stats != nil {
				fmt.Fprintf(a.out, "running:    %d instances, %d streams, %d calls, %d crashes\n", stats.Instances, stats.Streams, stats.Calls, stats.Traps)
			}
			return nil
		},
	}
}

// printInfo shows a plugin to a person.
func (a *app) printInfo(i *library.Info) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(a.out, "%-11s %s\n", name+":", value)
		}
	}
	state := i.State
	if i.Reason != "" {
		state += ": " + i.Reason
	}
	line("plugin", i.Name+" "+i.Version)
	line("state", state)
	line("file", i.File)
	line("signature", strings.TrimSpace(string(i.Signature)+" "+strings.Join(i.SignedBy, ", ")))
	if m := i.Manifest; m != nil {
		line("summary", m.Summary)
		line("abi", m.ABI)
		for k := range m.Provides {
			p := &m.Provides[k]
			line("provides", string(p.Kind)+" "+p.ID)
		}
		for _, asked := range i.Asks.Lines() {
			name, _, _ := strings.Cut(asked, " ")
			if reason := m.Capabilities.Reason(name); reason != "" {
				asked += " (" + reason + ")"
			}
			line("asks for", asked)
		}
	}
	line("granted", i.Grants.String())
	if !i.Missing.Empty() {
		line("missing", i.Missing.String())
	}
	if e := i.Entry; e != nil {
		line("source", e.Source)
		if e.Previous != nil {
			line("previous", e.Previous.Version)
		}
		if e.Pending != nil {
			line("waiting", e.Pending.Version+" asks for "+e.Grants.Missing(e.Pending.Grants).String())
		}
	}
	line("content", i.Content)
	line("sha256", strings.TrimPrefix(i.FileDigest, "sha256:"))
	if len(i.Cases) > 0 {
		line("fixtures", fmt.Sprintf("%d cases", len(i.Cases)))
	}
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
