package main

import (
	"fmt"

	"github.com/omniroute/omniroute/core/fault"
)

// printProblems shows diagnostics for a person: each with its place and a caret.
func (a *app) printProblems(problems []fault.Diagnostic) {
	for _, d := range problems {
		fmt.Fprintln(a.err, d.Text())
	}
}
