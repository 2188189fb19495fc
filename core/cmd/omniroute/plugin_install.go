package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/host/library"
	"github.com/omniroute/omniroute/core/host/lock"
	"github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/core/host/pack"
	"github.com/omniroute/omniroute/core/host/trust"
)

// consent are the flags with which an operator agrees beforehand.
type consent struct {
	yes    bool
	grants []string
}

func (c *consent) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&c.yes, "yes", "y", false, "agree to what the plugin asks for, except what --grant has to name")
	cmd.Flags().StringArrayVar(&c.grants, "grant", nil, "agree to a capability by `name=value`: secrets.reveal=token, http=10.0.0.7")
}

// named are the grants of --grant.
func (c *consent) named() (manifest.Grants, error) {
	var g manifest.Grants
	for _, text := range c.grants {
		name, value, _ := strings.Cut(text, "=")
		switch {
		case name == manifest.CapKV:
			g.KV = true
		case value == "":
			return g, usagef("--grant %s: want name=value", text)
		case name == manifest.CapHTTP:
			g.HTTP = append(g.HTTP, value)
		case name == manifest.CapUse:
			g.Use = append(g.Use, value)
		case name == manifest.CapReveal:
			g.Reveal = append(g.Reveal, value)
		default:
			return g, usagef("--grant %s: want one of %s", text, strings.Join(manifest.CapNames(), ", "))
		}
	}
	if err := g.Check(); err != nil {
		return g, usageError{err}
	}
	return g, nil
}

func (a *app) pluginInstall() *cobra.Command {
	var agreed consent
	var opt library.Options
	c := &cobra.Command{
		Use: "install FILE|URL|OCI|NAME[@VERSION]", Short: "Install a plugin", Args: cobra.ExactArgs(1),
		Long: "Install a plugin from a file, an archive of `plugin save`, an https:// URL, an oci:// reference or by name from an index. Its signature, what it asks for and its own test cases are checked first; then the operator is asked. A running gateway takes it into service at once.\n\n" +
			"A version that asks for more than the installed one waits until `plugin approve`, unless this is agreed to here.",
		Example: "  omniroute plugin install ./acme.wasm\n  omniroute plugin install oci://registry.example/acme/llm:1.2.0\n  omniroute plugin install acme/acme-llm@^1.2",
		RunE: func(cmd *cobra.Command, args []string) error {
			lib, err := a.library()
			if err != nil {
				return err
			}
			src, err := a.source(cmd.Context(), lib, args[0])
			if err != nil {
				return err
			}
			if opt.Accept, err = agreed.named(); err != nil {
				return err
			}
			opt.Constraint = src.constraint
			out, err := a.install(cmd.Context(), lib, src.Source, opt, &agreed)
			if err != nil {
				return err
			}
			return a.installed(cmd.Context(), lib, out)
		},
	}
	agreed.flags(c)
	c.Flags().BoolVar(&opt.AllowDowngrade, "allow-downgrade", false, "take a version older than the installed one")
	c.Flags().BoolVar(&opt.SkipFixtures, "skip-fixtures", false, "do not run the plugin's own test cases")
	return c
}

// install asks for consent where it is needed and installs.
func (a *app) install(ctx context.Context, lib *boot.PluginLibrary, src library.Source, opt library.Options, agreed *consent) (*library.Outcome, error) {
	named := opt.Accept
	for asked := false; ; asked = true {
		out, err := lib.Install(ctx, src, opt)
		var need *library.Consent
		if !errors.As(err, &need) || asked {
			return out, err
		}
		a.printAsks(need)
		if missing := named.Missing(need.Special); !missing.Empty() {
			return nil, fmt.Errorf("%s asks for what has to be agreed to by name: %s", need.Manifest.Name, grantFlags(missing))
		}
		if !agreed.yes {
			yes, err := a.ask("Agree and install?")
			if err != nil {
				return nil, err
			}
			if opt.Stage = !yes; !yes && !a.isInstalled(lib, need.Manifest.Name) {
				return nil, errors.New("not installed")
			}
			if !yes {
				continue
			}
		}
		opt.Accept = named.And(need.Missing)
	}
}

func (a *app) isInstalled(lib *boot.PluginLibrary, name string) bool {
	i, err := lib.Find(name)
	return err == nil && i.Entry != nil && i.Entry.Pinned()
}

// printAsks shows what a plugin asks for, with its reasons.
func (a *app) printAsks(need *library.Consent) {
	m := need.Manifest
	signed := strings.TrimSpace(strings.Join(need.Signers, ", "))
	if signed == "" {
		signed = "nobody you trust"
	}
	fmt.Fprintf(a.err, "%s %s, signed by %s, asks for:\n", m.Name, m.Version, signed)
	special := map[string]bool{}
	for _, line := range need.Special.Lines() {
		special[line] = true
	}
	for _, line := range need.Missing.Lines() {
		name, _, _ := strings.Cut(line, " ")
		mark := " "
		if special[line] {
			mark = "!"
		}
		if reason := m.Capabilities.Reason(name); reason != "" {
			line += " (" + reason + ")"
		}
		fmt.Fprintf(a.err, " %s %s\n", mark, line)
	}
}

// grantFlags writes grants as flags of this command.
func grantFlags(g manifest.Grants) string {
	var out []string
	for _, line := range g.Lines() {
		out = append(out, "--grant "+strings.Replace(line, " ", "=", 1))
	}
	return strings.Join(out, " ")
}

// errNobody is the answer where nobody can be asked.
var errNobody = errors.New("nobody is there to ask; --yes agrees")

// ask asks a person at a terminal; elsewhere nobody can agree.
func (a *app) ask(question string) (bool, error) {
	f, ok := a.in.(*os.File)
	if !ok {
		return false, errNobody
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false, errNobody
	}
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	line, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && line == "" { // the null device, or the end
		fmt.Fprintln(a.err)
		return false, errNobody
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}

// installed reports an outcome and tells the running gateway.
func (a *app) installed(ctx context.Context, lib *boot.PluginLibrary, out *library.Outcome) error {
	err := a.told(ctx, lib, out.Entry.Name)
	if a.json {
		return errors.Join(a.printJSON(out), err)
	}
	e := out.Entry
	switch {
	case out.Pending:
		fmt.Fprintf(a.out, "%s %s waits: it asks for %s\n%s serves on; `omniroute plugin approve %s` agrees\n", e.Name, e.Pending.Version, out.Added, e.Version, e.Name)
	case out.Same:
		fmt.Fprintf(a.out, "%s %s is installed already\n", e.Name, e.Version)
	case out.Replaced != "":
		fmt.Fprintf(a.out, "%s %s -> %s\n", e.Name, out.Replaced, e.Version)
		a.printDiff(out)
	default:
		fmt.Fprintf(a.out, "%s %s\n", e.Name, e.Version)
	}
	if e.Fixtures != nil && !out.Same {
		fmt.Fprintf(a.out, "  %d of its own test cases passed\n", e.Fixtures.Passed)
	}
	return err
}

// printDiff shows how the rights of a plugin changed.
func (a *app) printDiff(out *library.Outcome) {
	for _, line := range out.Added.Lines() {
		fmt.Fprintln(a.out, "  + "+line)
	}
	for _, line := range out.Dropped.Lines() {
		fmt.Fprintln(a.out, "  - "+line)
	}
}

func (a *app) pluginApprove() *cobra.Command {
	var agreed consent
	c := &cobra.Command{
		Use: "approve OWNER/NAME", Short: "Agree to what a plugin asks for", Args: cobra.ExactArgs(1),
		Long: "Agree to what a plugin asks for beyond what it was granted: a version that waits comes into service, and a file dropped into the folder may do what it asks for.",
		RunE: func(cmd *cobra.Command, args []string) error {
			lib, err := a.library()
			if err != nil {
				return err
			}
			named, err := agreed.named()
			if err != nil {
				return err
			}
			out, err := lib.Approve(args[0], named)
			var need *library.Consent
			if errors.As(err, &need) {
				return fmt.Errorf("%s asks for what has to be agreed to by name: %s", args[0], grantFlags(need.Special))
			} else if err != nil {
				return err
			}
			return a.turned(cmd.Context(), lib, out)
		},
	}
	agreed.flags(c)
	return c
}

func (a *app) pluginRollback() *cobra.Command {
	return &cobra.Command{
		Use: "rollback OWNER/NAME", Short: "Return to the version before", Args: cobra.ExactArgs(1),
		Long: "Return to the version that served before, with what it was granted then. The same once more goes forward again.",
		RunE: func(cmd *cobra.Command, args []string) error {
			lib, err := a.library()
			if err != nil {
				return err
			}
			out, err := lib.Rollback(args[0])
			if err != nil {
				return err
			}
			return a.turned(cmd.Context(), lib, out)
		},
	}
}

// turned reports that another version, or other rights, are in force.
func (a *app) turned(ctx context.Context, lib *boot.PluginLibrary, out *library.Outcome) error {
	err := a.told(ctx, lib, out.Entry.Name)
	if a.json {
		return errors.Join(a.printJSON(out), err)
	}
	if out.Replaced != "" {
		fmt.Fprintf(a.out, "%s %s -> %s\n", out.Entry.Name, out.Replaced, out.Entry.Version)
	} else {
		fmt.Fprintln(a.out, out.Entry.Name)
	}
	a.printDiff(out)
	return err
}

func (a *app) pluginSwitch(use, short string, on bool) *cobra.Command {
	return &cobra.Command{
		Use: use + " OWNER/NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			lib, err := a.library()
			if err != nil {
				return err
			}
			if err := lib.Enable(args[0], on); err != nil {
				return err
			}
			err = a.told(cmd.Context(), lib, args[0])
			if a.json {
				return errors.Join(a.printJSON(map[string]any{"name": args[0], "enabled": on}), err)
			}
			fmt.Fprintf(a.out, "%s %sd\n", args[0], use)
			return err
		},
	}
}

func (a *app) pluginRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove OWNER/NAME", Short: "Remove a plugin with all kept versions", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			lib, err := a.library()
			if err != nil {
				return err
			}
			if err := lib.Remove(args[0]); err != nil {
				return err
			}
			err = a.told(cmd.Context(), lib, args[0])
			if a.json {
				return errors.Join(a.printJSON(map[string]any{"name": args[0], "removed": true}), err)
			}
			fmt.Fprintf(a.out, "%s removed\n", args[0])
			return err
		},
	}
}

// withoutSpecial is what --yes agrees to of an update.
func withoutSpecial(e *lock.Entry, f *pack.File) manifest.Grants {
	own, _ := trust.Special(e.Grants.Missing(f.Manifest.Asks()))
	return own
}
