package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/fault"
)

func (a *app) checkVerb() *cobra.Command {
	return &cobra.Command{
		Use: "check [FILE]", Short: "Load and compile everything without serving; show every problem", Args: cobra.MaximumNArgs(1),
		Long: "Load and compile the configuration, its policies, references and plugins without serving. Every problem is printed as file:line:column with the place marked. Exit code 1 if there is one.",
		RunE: func(cmd *cobra.Command, args []string) error {
			opt := a.quiet()
			if len(args) == 1 {
				if opt.Config != "" && opt.Config != args[0] {
					return usagef("the file is given twice, as --config and as an argument")
				}
				opt.Config = args[0]
			}
			problems, warnings, err := boot.Check(cmd.Context(), opt)
			if err != nil {
				return err
			}
			return a.verdict(problems, warnings)
		},
	}
}

// verdict prints what a check found. Warnings alone are a yes.
func (a *app) verdict(problems, warnings []fault.Diagnostic) error {
	if a.json {
		if problems == nil {
			problems = []fault.Diagnostic{}
		}
		if warnings == nil {
			warnings = []fault.Diagnostic{}
		}
		if err := a.printJSON(map[string]any{"ok": len(problems) == 0, "problems": problems, "warnings": warnings}); err != nil {
			return err
		}
	} else {
		for _, d := range warnings {
			d.Message = "warning: " + d.Message
			fmt.Fprintln(a.err, d.Text())
		}
		a.printProblems(problems)
	}
	if len(problems) > 0 {
		return errNo
	}
	if !a.json {
		fmt.Fprintln(a.out, "ok")
	}
	return nil
}
