package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/host/index"
	"github.com/omniroute/omniroute/core/host/library"
	"github.com/omniroute/omniroute/core/host/lock"
	"github.com/omniroute/omniroute/core/host/pack"
	"github.com/omniroute/omniroute/core/host/registry"
)

// newer is what an update found for one plugin.
type newer struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`          // installed
	Latest  string   `json:"latest,omitempty"` // "" = there is no newer one
	Added   []string `json:"added,omitempty"`  // what it asks for beyond what was granted
	Dropped []string `json:"dropped,omitempty"`
	Pending bool     `json:"pending,omitempty"` // it waits for approval
	Done    bool     `json:"done,omitempty"`
	Error   string   `json:"error,omitempty"`
}

func (a *app) pluginUpdate() *cobra.Command {
	var check bool
	var agreed consent
	c := &cobra.Command{
		Use: "update [OWNER/NAME...]", Short: "Update installed plugins", Args: cobra.ArbitraryArgs,
		Long: "Look where each installed plugin came from for a newer version, within the constraint it was installed with, and install it. A version that asks for more waits for `plugin approve` while the old one serves on, unless --yes agrees. With --check nothing is changed, and the exit code is 1 if there is something newer.",
		RunE: func(cmd *cobra.Command, args []string) error {
			lib, err := a.library()
			if err != nil {
				return err
			}
			rows, err := a.update(cmd.Context(), lib, args, check, &agreed)
			if err != nil {
				return err
			}
			return a.printUpdates(rows, check)
		},
	}
	agreed.flags(c)
	c.Flags().BoolVar(&check, "check", false, "only say what is newer")
	return c
}

func (a *app) update(ctx context.Context, lib *boot.PluginLibrary, names []string, check bool, agreed *consent) ([]newer, error) {
	locked, err := lock.Read(lib.Lock)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if e := locked.Find(name); e == nil || !e.Pinned() {
			return nil, fmt.Errorf("%s is not installed", name)
		}
	}
	rows := []newer{}
	for k := range locked.Plugins {
		e := &locked.Plugins[k]
		if !e.Pinned() || len(names) > 0 && !slices.Contains(names, e.Name) {
			continue
		}
		row := newer{Name: e.Name, Version: e.Version}
		if err := a.updateOne(ctx, lib, e, &row, check, agreed); err != nil {
			row.Error = err.Error()
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (a *app) updateOne(ctx context.Context, lib *boot.PluginLibrary, e *lock.Entry, row *newer, check bool, agreed *consent) error {
	src, err := a.latest(ctx, lib, e)
	if err != nil || src == nil {
		return err
	}
	f, err := pack.Open(src.Name, src.Data, src.Signature)
	switch {
	case err != nil:
		return err
	case f.Manifest == nil || f.Manifest.Name != e.Name:
		return fmt.Errorf("what is there now is not %s", e.Name)
	case !index.Newer(f.Manifest.Version, e.Version), !fits(f.Manifest.Version, e.Constraint):
		return nil
	}
	asks := f.Manifest.Asks()
	row.Latest, row.Added, row.Dropped = f.Manifest.Version, e.Grants.Missing(asks).Lines(), asks.Missing(e.Grants).Lines()
	if check {
		return nil
	}
	opt := library.Options{Stage: true}
	if opt.Accept, err = agreed.named(); err != nil {
		return err
	}
	if agreed.yes {
		opt.Accept = opt.Accept.And(withoutSpecial(e, f))
	}
	out, err := lib.Install(ctx, src.Source, opt)
	if err != nil {
		return err
	}
	row.Pending, row.Done = out.Pending, !out.Pending
	return a.told(ctx, lib, e.Name)
}

// fits is index.Fits, but without a constraint everything does.
func fits(version, constraint string) bool {
	return constraint == "" || index.Fits(version, constraint)
}

// latest gets the newest version from where a plugin came from; nil if that is the installed one.
func (a *app) latest(ctx context.Context, lib *boot.PluginLibrary, e *lock.Entry) (*fetched, error) {
	switch {
	case strings.HasPrefix(e.Source, indexScheme):
		from, _, _ := strings.Cut(strings.TrimPrefix(e.Source, indexScheme), "/")
		return a.fromIndexes(ctx, lib, from, e.Name, e.Constraint)
	case strings.HasPrefix(e.Source, registry.Scheme):
		tags, err := registry.Tags(ctx, e.Source, a.registryOptions())
		if err != nil {
			return nil, err
		}
		best := ""
		for _, tag := range tags {
			if index.Fits(tag, e.Constraint) && index.Newer(tag, e.Version) && (best == "" || index.Newer(tag, best)) {
				best = tag
			}
		}
		if best == "" {
			return nil, nil
		}
		return a.source(ctx, lib, registry.WithTag(e.Source, best))
	}
	return a.source(ctx, lib, e.Source)
}

func (a *app) printUpdates(rows []newer, check bool) error {
	outdated, failed := false, false
	var lines [][]string
	for _, r := range rows {
		state := "up to date"
		switch {
		case r.Error != "":
			state, failed = r.Error, true
		case r.Pending:
			state = "waits: it asks for " + strings.Join(r.Added, ", ") + "; `omniroute plugin approve " + r.Name + "` agrees"
		case r.Done:
			state = "updated"
		case r.Latest != "":
			state, outdated = "newer", true
			if len(r.Added) > 0 {
				state += ", asks for " + strings.Join(r.Added, ", ")
			}
		}
		lines = append(lines, []string{r.Name, r.Version, r.Latest, state})
	}
	var err error
	if a.json {
		err = a.printJSON(rows)
	} else {
		err = table(a.out, []string{"plugin", "installed", "latest", "state"}, lines)
	}
	if err == nil && (failed || check && outdated) {
		return errNo
	}
	return err
}

func (a *app) pluginWarm() *cobra.Command {
	return &cobra.Command{
		Use: "warm", Short: "Compile all plugins into the cache", Args: cobra.NoArgs,
		Long: "Compile the built-in plugins and those of the plugin folder into the compile cache, so that the next start finds them there: for container images and fresh machines.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			began := time.Now()
			h, release, err := boot.OpenPlugins(cmd.Context(), a.quiet())
			if err != nil {
				return a.configError(err)
			}
			stats, problems := h.Stats(), h.Problems()
			if err := release(); err != nil {
				return err
			}
			took := time.Since(began).Round(time.Millisecond)
			if a.json {
				err = a.printJSON(map[string]any{"plugins": len(stats), "took_ms": took.Milliseconds(), "problems": list(problems)})
			} else {
				_, err = fmt.Fprintf(a.out, "%d plugins ready after %s\n", len(stats), took)
			}
			for _, p := range problems {
				fmt.Fprintf(a.err, "%s: %s\n", p.File, p.Message)
			}
			if err == nil && len(problems) > 0 {
				return errNo
			}
			return err
		},
	}
}

// finding is one line of the doctor.
type finding struct {
	Check string `json:"check"`
	Good  bool   `json:"good"`
	Text  string `json:"text"`
}

func (a *app) pluginDoctor() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Can plugins run well on this machine?", Args: cobra.NoArgs,
		Long: "Check the engine, the compile cache, the plugin folder, the lock file and every plugin. Exit code 1 if something is wrong.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings, err := a.examinePlugins(cmd.Context())
			if err != nil {
				return err
			}
			bad := false
			var rows [][]string
			for _, f := range findings {
				mark := "ok"
				if !f.Good {
					mark, bad = "bad", true
				}
				rows = append(rows, []string{mark, f.Check, f.Text})
			}
			if a.json {
				err = a.printJSON(findings)
			} else {
				err = table(a.out, []string{"", "check", "finding"}, rows)
			}
			if err == nil && bad {
				return errNo
			}
			return err
		},
	}
}

func (a *app) examinePlugins(ctx context.Context) ([]finding, error) {
	lib, err := a.library()
	if err != nil {
		return nil, err
	}
	var out []finding
	add := func(check string, err error, good string) {
		f := finding{check, err == nil, good}
		if err != nil {
			f.Text = err.Error()
		}
		out = append(out, f)
	}
	add("engine", host.CanCompile(), "plugins run as native code on "+runtime.GOOS+"/"+runtime.GOARCH)
	conf := lib.Config.File.Plugins
	h, release, err := boot.OpenPlugins(ctx, a.quiet())
	add("compile cache", err, conf.Cache.Dir)
	if err == nil {
		for _, p := range h.Problems() {
			add("plugin", errors.New(p.File+": "+p.Message), "")
		}
		active := 0
		for _, p := range h.Parts() {
			if p.State == host.StateActive {
				active++
			}
		}
		add("plugins", nil, fmt.Sprintf("%d of %d parts serve", active, len(h.Parts())))
		if err := release(); err != nil {
			return nil, err
		}
	}
	locked, err := lock.Read(lib.Lock)
	if add("lock file", err, lib.Lock); err == nil {
		for _, e := range locked.Plugins {
			if e.Pending != nil {
				add("waiting", nil, e.Name+" "+e.Pending.Version+" asks for "+e.Grants.Missing(e.Pending.Grants).String())
			}
		}
	}
	add("trust", nil, fmt.Sprintf("mode %s, %d keys", conf.Trust.Mode, len(conf.Trust.Keys)))
	switch g, err := lib.Gateway(ctx); {
	case errors.Is(err, control.ErrNoServer):
		add("gateway", nil, "none runs")
	case err != nil:
		add("gateway", err, "")
	default:
		defer g.Close()
		state, err := g.Plugins(ctx, false)
		add("gateway", err, fmt.Sprintf("runs generation %d", state.Generation))
		for _, p := range state.Problems {
			add("gateway", errors.New(p.File+": "+p.Message), "")
		}
	}
	return out, nil
}
