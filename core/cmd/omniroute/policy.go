package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/policy"
)

func (a *app) policyVerb() *cobra.Command {
	return group("policy", "Policies: check, test, format, explain and replay rules",
		a.policyCheck(), a.policyTest(), a.policyFmt(), a.policyEnv(), a.policyExplain(), a.policyReplay(), a.policyBench())
}

// layers are the rules of the configuration.
func (a *app) layers() ([]policy.Layer, error) {
	layers, err := boot.PolicyLayers(a.quiet())
	return layers, a.configError(err)
}

// set compiles the rules of the configuration, or of one file that stands in their place, and shows their problems.
func (a *app) set(file string) (*policy.Set, error) {
	set, diags, err := a.rules(file)
	if err == nil && set == nil {
		a.printRuleProblems(diags)
		err = errNo
	}
	return set, err
}

func (a *app) rules(file string) (*policy.Set, []policy.Diagnostic, error) {
	read := a.layers
	if file != "" {
		read = func() ([]policy.Layer, error) { return policy.Layers(file) }
	}
	layers, err := read()
	if err != nil {
		return nil, nil, err
	}
	if file != "" {
		layers[0].DefaultPreset = boot.DefaultPreset
		settings, err := a.layers() // a draft stands in place of the rules, not of the settings
		if err != nil {
			return nil, nil, err
		}
		for _, l := range settings {
			if l.Level == policy.LevelPreset {
				layers = append(layers, l)
			}
		}
	}
	set, diags := policy.Load(layers...)
	return set, diags, nil
}

func (a *app) printRuleProblems(diags []policy.Diagnostic) {
	for _, d := range diags {
		if d.Severity == policy.Warning {
			d.Message = "warning: " + d.Message
		}
		fmt.Fprintln(a.err, d.Text())
	}
}

func (a *app) policyCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check [FILE|FOLDER...]", Short: "Compile rules and show every problem with its place",
		Long: "Compile rules and show every problem with its place: those of the files and folders named, each file on its own, or else those of the configuration. Exit code 1 if there is an error.",
		RunE: func(_ *cobra.Command, args []string) error {
			var c policy.Checked
			if len(args) > 0 {
				var err error
				if c, err = policy.Check(args...); err != nil {
					return err
				}
			} else {
				layers, err := a.layers()
				if err != nil {
					return err
				}
				c = policy.CheckLayers(layers...)
			}
			if a.json {
				if err := a.printJSON(c); err != nil {
					return err
				}
			} else {
				a.printRuleProblems(c.Diagnostics)
			}
			if !c.OK() {
				return errNo
			}
			if !a.json {
				fmt.Fprintf(a.out, "ok: %d files, %d rules, %d expressions\n", c.Files, c.Rules, c.Expressions)
			}
			return nil
		},
	}
}

func (a *app) policyTest() *cobra.Command {
	var verbose bool
	c := &cobra.Command{
		Use: "test [FILE|FOLDER...]", Short: "Run the tests inside and beside rule files",
		Long: "Run the tests inside and beside rule files (x.yaml and x_test.yaml): those of the files and folders named, or else those of the configuration. Exit code 1 if one fails.",
		RunE: func(_ *cobra.Command, args []string) error {
			var t policy.Tested
			if len(args) > 0 {
				var err error
				if t, err = policy.Test(args...); err != nil {
					return err
				}
			} else {
				layers, err := a.layers()
				if err != nil {
					return err
				}
				t = policy.TestLayers(layers...)
			}
			if a.json {
				if err := a.printJSON(t); err != nil {
					return err
				}
			} else {
				a.printTested(t, verbose)
			}
			if !t.OK() {
				return errNo
			}
			return nil
		},
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "show the tests that pass too")
	return c
}

func (a *app) printTested(t policy.Tested, verbose bool) {
	a.printRuleProblems(t.Diagnostics)
	for _, r := range t.Results {
		name := r.Name
		if name == "" {
			name = r.Hook
		}
		switch {
		case !r.OK:
			fmt.Fprintf(a.out, "FAIL %s:%d: %s: %s\n", r.File, r.Line, name, r.Message)
		case verbose:
			fmt.Fprintf(a.out, "pass %s:%d: %s\n", r.File, r.Line, name)
		}
	}
	fmt.Fprintf(a.out, "%d passed, %d failed\n", t.Passed, t.Failed)
}

func (a *app) policyFmt() *cobra.Command {
	var check bool
	c := &cobra.Command{
		Use: "fmt FILE|FOLDER...", Short: "Quote expressions that YAML would misread", Args: cobra.MinimumNArgs(1),
		Long: "Quote expressions that YAML would misread, in place; - reads standard input and writes standard output. Comments, order and layout stay. With --check nothing is written: the files that would change are listed, with exit code 1.",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "-" {
				return a.fmtStream()
			}
			return a.fmtFiles(args, check)
		},
	}
	c.Flags().BoolVar(&check, "check", false, "list what would change and write nothing")
	return c
}

func (a *app) fmtStream() error {
	src, err := io.ReadAll(io.LimitReader(a.in, maxDocument))
	if err != nil {
		return err
	}
	out, err := policy.Fmt(src)
	if err != nil {
		return err
	}
	_, err = a.out.Write(out)
	return err
}

func (a *app) fmtFiles(paths []string, check bool) error {
	files, err := policy.Files(paths...)
	if err != nil {
		return err
	}
	ok := true
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		out, err := policy.Fmt(src)
		if err != nil {
			ok = false
			var d fault.Diagnostic
			if errors.As(err, &d) {
				d.File = file
				err = d
			}
			fmt.Fprintln(a.err, err)
			continue
		}
		if bytes.Equal(src, out) {
			continue
		}
		fmt.Fprintln(a.out, file)
		if check {
			ok = false
			continue
		}
		if err := replaceFile(file, out); err != nil {
			return err
		}
	}
	if !ok {
		return errNo
	}
	return nil
}

func (a *app) policyEnv() *cobra.Command {
	var markdown bool
	c := &cobra.Command{
		Use: "env [HOOK...]", Short: "Show what rules can read and answer",
		Long: "Show what rules can read and answer: fields, variables and functions of the hooks named, or the list of hooks.",
		RunE: func(_ *cobra.Command, args []string) error {
			if markdown {
				_, err := a.out.Write(policy.Reference())
				return err
			}
			docs, err := policy.EnvDoc(args...)
			if err != nil {
				return usageError{err}
			}
			if a.json {
				return a.printJSON(docs)
			}
			if len(args) == 0 {
				return a.printHooks(docs)
			}
			for _, d := range docs {
				if err := a.printHook(d); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&markdown, "markdown", false, "the whole reference as Markdown")
	return c
}

func (a *app) printHooks(docs []policy.HookDoc) error {
	var rows [][]string
	for _, d := range docs {
		rows = append(rows, []string{d.Name, d.When, d.Combination, d.OnFailure})
	}
	return table(a.out, []string{"hook", "asked", "combination", "if it fails"}, rows)
}

func (a *app) printHook(d policy.HookDoc) error {
	fmt.Fprintf(a.out, "%s: %s\n\n", d.Name, d.When)
	var rows [][]string
	for _, f := range d.Fields {
		rows = append(rows, []string{f.Name, f.Type, f.Doc})
	}
	if err := table(a.out, []string{"field", "type", "meaning"}, rows); err != nil {
		return err
	}
	rows = nil
	var walk func(prefix string, list []policy.VariableDoc)
	walk = func(prefix string, list []policy.VariableDoc) {
		for _, v := range list {
			if len(v.Fields) == 0 {
				rows = append(rows, []string{prefix + v.Name, v.Type, v.Doc})
			}
			walk(prefix+v.Name+".", v.Fields)
		}
	}
	walk("", d.Variables)
	fmt.Fprintln(a.out)
	if err := table(a.out, []string{"variable", "type", "meaning"}, rows); err != nil {
		return err
	}
	rows = nil
	for _, f := range d.Functions {
		rows = append(rows, []string{f.Signature, f.Doc})
	}
	fmt.Fprintln(a.out)
	if err := table(a.out, []string{"function", "meaning"}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.out)
	return err
}

func (a *app) policyExplain() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "explain REQUEST.json", Short: "Decide recorded facts and show every rule with its values", Args: cobra.ExactArgs(1),
		Long: "Decide the facts of a request (as `omniroute explain --json` records them under trace.record, or as you write them: {\"req\": {...}, \"key\": {...}, \"targets\": [...]}; a body that a client would send tells the facts of the request alone) and show every rule with the values that decided. Nothing is sent and nothing is counted; the same facts give the same answer. - reads standard input.",
		RunE: func(_ *cobra.Command, args []string) error {
			record, err := a.readRecord(args[0])
			if err != nil {
				return err
			}
			set, err := a.set(file)
			if err != nil {
				return err
			}
			e := set.Explain(record)
			if a.json {
				return a.printJSON(e)
			}
			return a.printExplanation(e)
		},
	}
	c.Flags().StringVar(&file, "policy", "", "rule `file` to use in place of the configuration's rules")
	return c
}

func (a *app) readRecord(path string) (*policy.Record, error) {
	var data []byte
	var err error
	if path == "-" {
		data, err = io.ReadAll(io.LimitReader(a.in, maxDocument))
	} else {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, err
	}
	r, err := policy.RecordFromRequest(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func (a *app) printExplanation(e policy.Explanation) error {
	v := e.Verdicts
	answer := "allowed"
	if !v.Allowed {
		answer = "refused: " + strconv.Itoa(v.Status) + " " + v.Code + " " + v.Reason
	}
	fmt.Fprintf(a.out, "%-9s %s\n", "answer", answer)
	if v.Model != "" {
		fmt.Fprintf(a.out, "%-9s %s\n", "model", v.Model)
	}
	if v.Unresolved {
		fmt.Fprintf(a.out, "%-9s %s\n", "targets", "not among the recorded facts: nothing after admission is decided")
	}
	if len(v.Targets) > 0 {
		fmt.Fprintf(a.out, "%-9s %s\n", "targets", strings.Join(v.Targets, ", "))
	}
	if v.Account != "" {
		fmt.Fprintf(a.out, "%-9s %s\n", "account", v.Account)
	}
	fmt.Fprintf(a.out, "%-9s %s %s\n\n", "rules", e.Preset, e.Set)
	if err := a.printCandidates("target", e.Targets); err != nil {
		return err
	}
	if err := a.printCandidates("account", e.Accounts); err != nil {
		return err
	}
	return a.printTrace(e.Trace)
}

func (a *app) printCandidates(kind string, list []policy.CandidateOutcome) error {
	var rows [][]string
	for _, c := range list {
		fate := "kept"
		if !c.Kept {
			fate = "dropped by " + c.DroppedBy
			if c.Reason != "" {
				fate += ": " + c.Reason
			}
		}
		rank := ""
		if c.Rank > 0 {
			rank = strconv.Itoa(c.Rank)
		}
		rows = append(rows, []string{c.ID, rank, c.RankedBy, keysText(c.Keys), fate})
	}
	if len(rows) == 0 {
		return nil
	}
	if err := table(a.out, []string{kind, "rank", "by", "keys", "fate"}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.out)
	return err
}

func (a *app) policyBench() *cobra.Command {
	var file string
	var targets, accounts int
	var total time.Duration
	c := &cobra.Command{
		Use: "bench", Short: "Measure how long each hook takes", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if targets < 1 || accounts < 1 || total <= 0 || total > time.Minute {
				return usagef("--targets and --accounts start at 1; --time is at most 1m")
			}
			set, err := a.set(file)
			if err != nil {
				return err
			}
			results := policy.Bench(set, targets, accounts, total)
			if a.json {
				return a.printJSON(results)
			}
			var rows [][]string
			for _, b := range results {
				rows = append(rows, []string{b.Hook, strconv.FormatFloat(b.NS/1000, 'f', 2, 64)})
			}
			return table(a.out, []string{"hook", "µs a call"}, rows)
		},
	}
	f := c.Flags()
	f.StringVar(&file, "policy", "", "rule `file` to use in place of the configuration's rules")
	f.IntVar(&targets, "targets", 10, "`number` of targets")
	f.IntVar(&accounts, "accounts", 5, "`number` of accounts")
	f.DurationVar(&total, "time", 2*time.Second, "how long to measure")
	return c
}

func (a *app) policyReplay() *cobra.Command {
	var file string
	var since time.Duration
	var failOnChange bool
	c := &cobra.Command{
		Use: "replay --policy DRAFT.yaml", Short: "Show how recorded requests would be decided under a draft", Args: cobra.NoArgs,
		Long: "Decide the recorded requests again, under the rules in force and under a draft in their place, and show what would change. Facts alone are used; nothing is sent. With --fail-on-change the exit code is 1 if anything would.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usagef("policy replay needs --policy DRAFT.yaml")
			}
			before, err := a.set("")
			if err != nil {
				return err
			}
			after, err := a.set(file)
			if err != nil {
				return err
			}
			var r policy.Replayed
			err = a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				list, err := records(ctx, desk, since)
				if err == nil {
					r = policy.Replay(list, before, after)
				}
				return err
			})
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(r)
			} else {
				err = a.printReplayed(r)
			}
			if err == nil && failOnChange && r.Changed > 0 {
				return errNo
			}
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&file, "policy", "", "the draft `file`")
	f.DurationVar(&since, "since", 24*time.Hour, "how far back")
	f.BoolVar(&failOnChange, "fail-on-change", false, "exit with 1 if a decision would change")
	return c
}

func (a *app) printReplayed(r policy.Replayed) error {
	var rows [][]string
	for _, c := range r.Changes {
		rows = append(rows, []string{c.ID, strings.Join(c.What, " "), c.Rule, decision(c.Before), decision(c.After)})
	}
	if err := table(a.out, []string{"request", "changed", "rule", "before", "after"}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "%d of %d requests would change: %d newly denied, %d newly allowed, %d to another target; cost $%.4f before, $%.4f after\n",
		r.Changed, r.Requests, r.NewlyDenied, r.NewlyAllowed, r.TargetChanged, r.CostBefore, r.CostAfter)
	return err
}

func decision(v policy.Verdicts) string {
	if !v.Allowed {
		return "denied: " + v.Reason
	}
	if len(v.Targets) > 0 {
		return v.Targets[0]
	}
	if v.Unresolved {
		return "allowed, " + v.Model
	}
	return "allowed"
}

// records reads the recorded facts of requests, oldest first. What they do not tell of models that rules put in place
// is looked up in the catalogue of today.
func records(ctx context.Context, desk control.Desk, since time.Duration) (list []*policy.Record, err error) {
	known := map[control.Question]*policy.Record{}
	err = eachRequest(ctx, desk, time.Now().Add(-since), func(t storedTrace) {
		if t.Record == nil {
			return
		}
		t.Record.Lookup = func(model string) *policy.Record { return lookup(ctx, desk, known, t.Record, model) }
		list = append(list, t.Record)
	})
	return list, err
}

// lookup asks what a model name means today; nil if nobody can tell.
func lookup(ctx context.Context, desk control.Desk, known map[control.Question]*policy.Record, r *policy.Record, model string) *policy.Record {
	q := control.Question{Model: model}
	if r.Req != nil {
		q.TokensIn, q.MaxTokens = r.Req.TokensIn, r.Req.MaxTokens
	}
	found, asked := known[q]
	if !asked {
		found, _ = desk.Candidates(ctx, q)
		known[q] = found
	}
	return found
}
