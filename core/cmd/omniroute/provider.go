package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/boot/control"
)

func (a *app) providerVerb() *cobra.Command {
	return group("provider", "Providers and the accounts the gateway uses them with",
		a.providerList(), a.providerAdd(), a.providerLogin(), a.providerRemove(), a.providerTest(), a.providerModels(), a.providerQuota())
}

func (a *app) providerList() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "list", Short: "List the accounts, or the whole catalogue of providers", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				if all {
					return a.listProviders(ctx, desk)
				}
				return a.listAccounts(ctx, desk)
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "every provider there is")
	return c
}

func (a *app) listProviders(ctx context.Context, desk control.Desk) error {
	providers, err := desk.Providers(ctx, true)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(list(providers))
	}
	var rows [][]string
	for _, p := range providers {
		auth := strings.Join(p.Auth, " ")
		if p.NoAuth {
			auth = "none"
		}
		rows = append(rows, []string{p.ID, p.Alias, p.Name, p.Dialect, auth, strconv.Itoa(p.Models), strconv.Itoa(p.Accounts), p.Origin})
	}
	return table(a.out, []string{"id", "alias", "name", "dialect", "auth", "models", "accounts", "from"}, rows)
}

func (a *app) listAccounts(ctx context.Context, desk control.Desk) error {
	accounts, err := desk.Accounts(ctx, "")
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(list(accounts))
	}
	var rows [][]string
	for _, acc := range accounts {
		from := "store"
		if acc.FromFile {
			from = "file"
		}
		rows = append(rows, []string{
			acc.Provider + "/" + acc.Name, acc.Auth, acc.Preview, strconv.Itoa(acc.Priority), accountState(acc), age(acc.State.LastUsed), from,
		})
	}
	return table(a.out, []string{"account", "auth", "secret", "priority", "state", "last used", "from"}, rows)
}

func accountState(acc *account.Account) string {
	s := string(acc.State.Status)
	if !acc.Enabled {
		s = "disabled"
	}
	if acc.State.LastError != "" && acc.State.Status != account.StatusActive {
		s += ": " + acc.State.LastError
	}
	return s
}

func (a *app) providerAdd() *cobra.Command {
	var want control.NewAccount
	var fromEnv string
	var fromStdin bool
	var data []string
	c := &cobra.Command{
		Use: "add PROVIDER", Short: "Add an account of a provider", Args: cobra.ExactArgs(1),
		Example: "  omniroute provider add openai --key-env OPENAI_API_KEY\n  pass show groq | omniroute provider add groq --key-stdin --name work",
		RunE: func(cmd *cobra.Command, args []string) error {
			want.Provider = args[0]
			var err error
			if want.Data, err = pairs("--data", data); err != nil {
				return err
			}
			if err := a.readSecret(&want.APIKey, fromEnv, fromStdin); err != nil {
				return err
			}
			return a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				acc, err := desk.AddAccount(ctx, want)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(acc)
				}
				_, err = fmt.Fprintf(a.out, "%s/%s\n", acc.Provider, acc.Name)
				return err
			})
		},
	}
	f := c.Flags()
	f.StringVar(&want.Name, "name", "", "what to call it (default main, main-2 …)")
	f.StringVar(&want.APIKey, "key", "", "API `key`; others on this machine can see it while the command runs, --key-env and --key-stdin are safer")
	f.StringVar(&fromEnv, "key-env", "", "read the API key from this environment `variable`")
	f.BoolVar(&fromStdin, "key-stdin", false, "read the API key from standard input")
	f.IntVar(&want.Priority, "priority", 0, "place among the accounts of the provider, 1 first (default last)")
	f.StringVar(&want.Proxy, "proxy", "", "proxy `URL` for this account, or direct")
	f.StringSliceVar(&want.Models, "models", nil, "models it serves, as `globs` (default all)")
	f.StringSliceVar(&want.Tags, "tags", nil, "`tags` that policies can read")
	f.StringSliceVar(&data, "data", nil, "what the provider wants beside the key, as `name=value`")
	c.MarkFlagsMutuallyExclusive("key", "key-env", "key-stdin")
	return c
}

// readSecret fills in the key from where the person keeps it.
func (a *app) readSecret(key *string, fromEnv string, fromStdin bool) error {
	switch {
	case fromEnv != "":
		for _, kv := range a.env {
			if name, value, _ := strings.Cut(kv, "="); name == fromEnv && value != "" {
				*key = value
				return nil
			}
		}
		return usagef("the environment variable %s is not set", fromEnv)
	case fromStdin:
		line, err := bufio.NewReader(io.LimitReader(a.in, 64<<10)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if *key = strings.TrimSpace(line); *key == "" {
			return usagef("standard input holds no key")
		}
	case *key == "-":
		return usagef("use --key-stdin to read the key from standard input")
	}
	return nil
}

func (a *app) providerRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove PROVIDER/NAME...", Short: "Remove accounts", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				for _, id := range args {
					if err := desk.RemoveAccount(ctx, id); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func (a *app) providerTest() *cobra.Command {
	return &cobra.Command{
		Use: "test [PROVIDER/NAME...]", Short: "Ask the providers whether they accept the accounts",
		Long: "Ask the providers whether they accept the accounts (all of them if none is named). Exit code 1 if one is not accepted.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				if len(args) == 0 {
					accounts, err := desk.Accounts(ctx, "")
					if err != nil {
						return err
					}
					for _, acc := range accounts {
						if acc.Enabled {
							args = append(args, acc.ID)
						}
					}
				}
				return a.testAccounts(ctx, desk, args)
			})
		},
	}
}

func (a *app) testAccounts(ctx context.Context, desk control.Desk, ids []string) error {
	good := true
	results := []control.Test{}
	for _, id := range ids {
		t, err := desk.TestAccount(ctx, id)
		if err != nil {
			return err
		}
		good = good && t.Valid
		results = append(results, t)
	}
	if a.json {
		if err := a.printJSON(results); err != nil {
			return err
		}
	} else {
		var rows [][]string
		for _, t := range results {
			status := ""
			if t.Status > 0 {
				status = strconv.Itoa(t.Status)
			}
			rows = append(rows, []string{t.Account, t.Diagnosis, status, strconv.FormatInt(t.LatencyMS, 10) + " ms", oneLine(t.Message)})
		}
		if err := table(a.out, []string{"account", "result", "status", "time", "message"}, rows); err != nil {
			return err
		}
	}
	if !good {
		return errNo
	}
	return nil
}

// oneLine is a text that fits a cell of a table.
func oneLine(s string) string {
	const limit = 80
	r := []rune(strings.Join(strings.Fields(s), " "))
	if len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return string(r)
}

func (a *app) providerModels() *cobra.Command {
	var live bool
	c := &cobra.Command{
		Use: "models [PROVIDER]", Short: "List the models of a provider, or of all that can be used", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			provider := strings.Join(args, "")
			if live && provider == "" {
				return usagef("--live needs a provider")
			}
			return a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				models, err := desk.Models(ctx, provider, live)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(list(models))
				}
				var rows [][]string
				for _, m := range models {
					rows = append(rows, []string{m.ID, m.Name, tokens(m.Context), tokens(m.MaxOutput), abilities(m), price(m)})
				}
				return table(a.out, []string{"model", "name", "context", "output", "can", "$/M in/out"}, rows)
			})
		},
	}
	c.Flags().BoolVar(&live, "live", false, "ask the provider itself, with its first account")
	return c
}

func tokens(n int64) string {
	if n < 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func abilities(m control.Model) string {
	var list []string
	if m.Tools {
		list = append(list, "tools")
	}
	if m.Vision {
		list = append(list, "vision")
	}
	if m.Thinking {
		list = append(list, "thinking")
	}
	return strings.Join(list, " ")
}

func price(m control.Model) string {
	if m.Input < 0 {
		return ""
	}
	return strconv.FormatFloat(m.Input, 'f', -1, 64) + "/" + strconv.FormatFloat(m.Output, 'f', -1, 64)
}
