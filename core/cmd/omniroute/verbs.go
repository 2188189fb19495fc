package main

import "github.com/spf13/cobra"

// verbs lists every command.
func (a *app) verbs() []*cobra.Command {
	return []*cobra.Command{
		a.serveVerb(),
		a.checkVerb(),
		a.keyVerb(),
		a.providerVerb(),
		a.translateVerb(),
		a.policyVerb(),
		a.pluginVerb(),
		a.devVerb(),
		a.adminVerb(),
		a.requestsVerb(),
		a.explainVerb(),
		a.backupVerb(),
		a.restoreVerb(),
		a.exportVerb(),
		a.importVerb(),
		a.doctorVerb(),
		a.versionVerb(),
	}
}
