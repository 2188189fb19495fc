package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-json"
	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/fault"
)

// Exit codes of every verb.
const (
	exitYes   = 0
	exitNo    = 1
	exitUsage = 2
)

// errNo is the answer "no" of a verb that has already said why.
var errNo = errors.New("no")

// usageError is a mistake in how a verb was called that only the verb itself can see.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// app is what all verbs share: the streams, the environment and the global flags.
type app struct {
	in       io.Reader
	out, err io.Writer
	env      []string
	version  string
	core     func() []byte // the built-in plugins, nil if the binary has none

	configPath string
	dataDir    string
	json       bool

	started bool // a verb began its work, so an error is no longer one of usage
}

// run executes one command line and gives its exit code.
func run(ctx context.Context, a *app, args []string) int {
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitYes
	case errors.Is(err, errNo):
		return exitNo
	case !a.started, errors.As(err, &usage):
		fmt.Fprintf(a.err, "omniroute: %v\nSee 'omniroute help'.\n", err)
		return exitUsage
	}
	text := err.Error()
	if e := fault.As(err); e != nil && e.Cause == nil {
		text = e.Message // its code is for programs
	}
	fmt.Fprintf(a.err, "omniroute: %s\n", text)
	return exitNo
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:               "omniroute",
		Short:             "One local endpoint for every model",
		Long:              "OmniRoute is a local-first gateway for language models: one endpoint, every dialect, every provider.",
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              cobra.NoArgs,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	flags := root.PersistentFlags()
	flags.StringVar(&a.configPath, "config", "", "configuration `file` (default ./omniroute.yaml, then $XDG_CONFIG_HOME/omniroute/omniroute.yaml)")
	flags.StringVar(&a.dataDir, "data-dir", "", "data `directory` (over DATA_DIR and server.data_dir)")
	flags.BoolVar(&a.json, "json", false, "machine-readable output")
	root.AddCommand(a.verbs()...)
	a.mark(root)
	return root
}

// mark makes every verb note that it began: whatever fails before that is a matter of usage.
func (a *app) mark(c *cobra.Command) {
	if work := c.RunE; work != nil {
		c.RunE = func(cmd *cobra.Command, args []string) error {
			a.started = true
			return work(cmd, args)
		}
	}
	for _, sub := range c.Commands() {
		a.mark(sub)
	}
}

// group is a verb that only holds others; alone it shows what they are.
func group(use, short string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("%s needs one of its verbs; see '%s --help'", cmd.CommandPath(), cmd.CommandPath())
		},
	}
	c.AddCommand(verbs...)
	return c
}

// printJSON writes v for machines: one indented document.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// list is l, but never null in JSON.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
