package main

import "github.com/spf13/cobra"

// verbs lists every command in the order `omniroute help` shows them.
func (a *app) verbs() []*cobra.Command {
	return []*cobra.Command{
		a.versionVerb(),
	}
}
