package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/config"
)

const ownRules = `
providers:
  lab:
    dialect: openai
    base_urls: [http://127.0.0.1:8000/v1]
    on_error:
      - {id: p, do: 'stop("${env is not read here}")'}
    accounts:
      - {name: a, api_key: none, limits: [{id: l, scope: x, rpm: 1}], meter: [{id: m, cost: 1}]}
combos:
  daily:
    models: [lab/x]
    order:
      - {id: o, by: [target.position]}
`

func TestOwnRules(t *testing.T) {
	path := write(t, ownRules)
	snap := load(t, path)
	require.Equal(t, config.Pos{File: path, Line: 7, Column: 7}, snap.File.Providers["lab"].Own["on_error"].Pos)
	require.Len(t, snap.File.Providers["lab"].Accounts[0].Own, 2)
	require.Contains(t, snap.File.Combos["daily"].Own, "order")

	require.Len(t, snap.Policies, 4, "the file's own section, then one layer for each entity")
	provider, account, combo := snap.Policies[1], snap.Policies[2], snap.Policies[3]
	require.Equal(t, "lab", provider.Provider)
	require.Equal(t, "lab/a", account.Account)
	require.Equal(t, "daily", combo.Combo)
	require.Len(t, account.Node.Content, 4)
	require.Equal(t, "on_error", provider.Node.Content[0].Value)
	require.Equal(t, `stop("${env is not read here}")`, provider.Node.Content[1].Content[0].Content[3].Value)
	require.Equal(t, path, combo.File)
}

func TestOwnRulesStandInTheFile(t *testing.T) {
	for text, want := range map[string]string{
		"combos: {daily: {models: [a/b], gate: []}}":                    `unknown key "combos.daily.gate"`,
		"providers: {openai: {order: []}}":                              `unknown key "providers.openai.order"`,
		"providers: {openai: {accounts: [{name: a, order: []}]}}":       `unknown key "providers.openai.accounts.0.order"`,
		"telemetry: {otlp: {endpoint: \"http://127.0.0.1:4318\"}}\n":    "does not export traces",
		"providers: {lab: {dialect: telegraph, base_urls: [http://x]}}": "want openai, openai-responses, claude, gemini, ollama",
	} {
		snap, diags := config.Load(config.Options{Path: write(t, text), Env: []string{"HOME=/home/u"}})
		require.Nil(t, snap, text)
		require.Contains(t, diags[0].Message, want)
		require.Positive(t, diags[0].Line)
	}
	_, diags := config.Load(config.Options{Path: write(t, ownRules), Env: []string{"HOME=/home/u", "OMNIROUTE_COMBOS__DAILY__ORDER=[]"}})
	require.Contains(t, diags[0].Message, "rules can only be written in the file")
}
