// Package parts lists the built-in plugins.
package parts

import (
	"github.com/omniroute/omniroute/plugins/dialect/antigravity"
	"github.com/omniroute/omniroute/plugins/dialect/claude"
	"github.com/omniroute/omniroute/plugins/dialect/cursor"
	"github.com/omniroute/omniroute/plugins/dialect/gemini"
	"github.com/omniroute/omniroute/plugins/dialect/geminicli"
	"github.com/omniroute/omniroute/plugins/dialect/kiro"
	"github.com/omniroute/omniroute/plugins/dialect/ollama"
	"github.com/omniroute/omniroute/plugins/dialect/openai"
	"github.com/omniroute/omniroute/plugins/dialect/openairesponses"
	agexecutor "github.com/omniroute/omniroute/plugins/provider/antigravity"
	"github.com/omniroute/omniroute/plugins/provider/codex"
	cursorexecutor "github.com/omniroute/omniroute/plugins/provider/cursor"
	"github.com/omniroute/omniroute/plugins/provider/default"
	"github.com/omniroute/omniroute/plugins/provider/demo"
	cliexecutor "github.com/omniroute/omniroute/plugins/provider/geminicli"
	"github.com/omniroute/omniroute/plugins/provider/github"
	kiroexecutor "github.com/omniroute/omniroute/plugins/provider/kiro"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/translator"
)

// Version of the bundle.
const Version = "0.1.0"

// Module returns all built-in parts as one module.
func Module() *sdk.Module {
	return sdk.Bundle("omniroute/core", Version,
		translator.Of(
			openai.New(),
			openairesponses.New(),
			claude.New(),
			gemini.New(),
			geminicli.New(),
			antigravity.New(),
			kiro.New(),
			cursor.New(),
			ollama.New(),
		),
		executor.New(),
		demo.New(),
		agexecutor.New(),
		cliexecutor.New(),
		codex.New(),
		github.New(),
		cursorexecutor.New(),
		kiroexecutor.New(),
	).Handles(2048)
}
