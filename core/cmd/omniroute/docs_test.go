package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/config"
)

var update = flag.Bool("update", false, "write the generated pages of docs/ anew")

// docs/cli.md is what the commands say of themselves.
func TestReferenceOfCommandsIsFresh(t *testing.T) {
	fresh(t, "../../../docs/cli.md", commandReference((&app{}).root()))
}

// The rules that the README shows compile, and their tests pass.
func TestPolicyOfTheREADME(t *testing.T) {
	page, err := os.ReadFile("../../../README.md")
	require.NoError(t, err)
	_, block, ok := strings.Cut(string(page), "```yaml\npolicies:")
	require.True(t, ok)
	block, _, _ = strings.Cut(block, "```")
	s := newShell(t, "")
	file := s.write("readme.yaml", "policies:"+block)
	require.Contains(t, s.yes("policy", "check", file), "2 rules")
	require.Contains(t, s.yes("policy", "test", file), "1 passed, 0 failed")
}

// The plugin that the README shows is the one that examples/plugin builds and tests.
func TestPluginOfTheREADME(t *testing.T) {
	page, err := os.ReadFile("../../../README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("../../../examples/plugin/main.go")
	require.NoError(t, err)
	_, body, ok := strings.Cut(string(source), "var acme")
	require.True(t, ok)
	body, _, _ = strings.Cut(body, "func main")
	require.Contains(t, string(page), "var acme"+body)
}

func fresh(t *testing.T, path string, want []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, want, 0o644))
	}
	have, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(have), "run go test ./core/cmd/omniroute -run Fresh -update")
}

// docs/configuration.md names every variable of the environment that counts.
func TestConfigurationPageNamesTheEnvironment(t *testing.T) {
	page, err := os.ReadFile("../../../docs/configuration.md")
	require.NoError(t, err)
	for name := range config.EnvNames() {
		require.Contains(t, string(page), "`"+name+"`")
	}
}

// docs/configuration.md lists every key that the configuration takes, and says which ones wait for a restart.
func TestConfigurationPageIsFresh(t *testing.T) {
	const path = "../../../docs/configuration.md"
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(page), "<!-- keys -->\n")
	require.True(t, ok)
	_, tail, ok := strings.Cut(rest, "<!-- /keys -->")
	require.True(t, ok)
	fresh(t, path, []byte(head+"<!-- keys -->\n"+keyReference()+"<!-- /keys -->"+tail))
	for _, name := range boot.StartOnly() {
		require.Contains(t, head, "`"+name+"`")
	}
}

// keyReference groups the keys by their parents.
func keyReference() string {
	var b strings.Builder
	b.WriteString("| under | keys |\n| --- | --- |\n")
	parent := ""
	var names []string
	flush := func() {
		if len(names) > 0 {
			fmt.Fprintf(&b, "| `%s` | %s |\n", parent, strings.Join(names, ", "))
		}
		names = nil
	}
	keys := config.Keys()
	slices.SortStableFunc(keys, func(x, y string) int { return strings.Compare(under(x), under(y)) })
	for _, key := range keys {
		if under(key) != parent {
			flush()
			parent = under(key)
		}
		names = append(names, "`"+key[len(parent)+1:]+"`")
	}
	flush()
	return b.String()
}

func under(key string) string { return key[:strings.LastIndexByte(key, '.')] }

func commandReference(root *cobra.Command) []byte {
	var b bytes.Buffer
	b.WriteString("# Commands\n\nGenerated from the commands themselves; `omniroute help VERB` shows the same.\n\n" +
		"While a gateway runs, commands that touch its state reach it over a control socket in its data directory; otherwise they\n" +
		"open the data themselves. Data goes to standard output, everything else to standard error. Exit codes: 0 good, 1 the answer\n" +
		"is no (a check or test failed, nothing was found), 2 wrong usage.\n\nEvery command takes:\n\n")
	b.WriteString(flagTable(root.PersistentFlags()))
	for _, c := range root.Commands() {
		writeCommand(&b, c)
	}
	return b.Bytes()
}

func writeCommand(b *bytes.Buffer, c *cobra.Command) {
	if c.Name() == "help" || c.Name() == "completion" {
		return
	}
	if !c.HasSubCommands() {
		text := c.Long
		if text == "" {
			text = c.Short
		}
		fmt.Fprintf(b, "## %s\n\n%s.\n\n```\n%s\n```\n\n", strings.TrimPrefix(c.CommandPath(), "omniroute "), strings.TrimSuffix(text, "."), c.UseLine())
		if c.HasLocalFlags() {
			b.WriteString(flagTable(c.LocalNonPersistentFlags()))
		}
		if c.Example != "" {
			fmt.Fprintf(b, "```sh\n%s\n```\n\n", strings.ReplaceAll(strings.TrimSpace(c.Example), "\n  ", "\n"))
		}
	}
	for _, sub := range c.Commands() {
		writeCommand(b, sub)
	}
}

func flagTable(flags *pflag.FlagSet) string {
	var rows []string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "`--" + f.Name
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		if value != "" {
			name += " " + value
		}
		rows = append(rows, "| "+name+"` | "+strings.ReplaceAll(usage, "|", `\|`)+" |")
	})
	if len(rows) == 0 {
		return ""
	}
	return "| flag | meaning |\n| --- | --- |\n" + strings.Join(rows, "\n") + "\n\n"
}
