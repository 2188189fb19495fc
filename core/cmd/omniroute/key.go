package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/boot/control"
)

func (a *app) keyVerb() *cobra.Command {
	return group("key", "Client keys: who may use the gateway", a.keyCreate(), a.keyList(), a.keyRevoke())
}

func (a *app) keyCreate() *cobra.Command {
	want := account.Key{Limits: account.Unlimited(), Enabled: true}
	var expires time.Duration
	var meta []string
	c := &cobra.Command{
		Use: "create", Short: "Create a client key and print it, once", Args: cobra.NoArgs,
		Example: "  omniroute key create --name laptop\n  omniroute key create --name ci --models 'openai/*' --budget-daily 5 --rpm 60",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if want.Name == "" {
				return usagef("key create needs --name")
			}
			if expires < 0 {
				return usagef("--expires is a time from now, such as 720h")
			}
			if expires > 0 {
				want.ExpiresAt = time.Now().Add(expires)
			}
			var err error
			if want.Meta, err = pairs("--meta", meta); err != nil {
				return err
			}
			return a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				made, err := desk.CreateKey(ctx, want)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(made)
				}
				fmt.Fprintf(a.err, "Key %q (%s). It is shown only now:\n", made.Key.Name, made.Key.ID)
				_, err = fmt.Fprintln(a.out, made.Secret)
				return err
			})
		},
	}
	f := c.Flags()
	f.StringVar(&want.Name, "name", "", "what to call it")
	f.StringSliceVar(&want.Models, "models", nil, "models it may use, as `globs` (default all)")
	f.StringSliceVar(&want.Providers, "providers", nil, "providers it may use, as `globs` (default all)")
	f.StringSliceVar(&want.Scopes, "scopes", nil, "`scopes` (default inference)")
	f.StringVar(&want.Team, "team", "", "team it belongs to")
	f.StringSliceVar(&want.Tags, "tags", nil, "`tags` that policies can read")
	f.StringSliceVar(&meta, "meta", nil, "`name=value` pairs that policies can read")
	f.Float64Var(&want.Limits.DailyUSD, "budget-daily", -1, "`USD` a day (-1 = unlimited)")
	f.Float64Var(&want.Limits.WeeklyUSD, "budget-weekly", -1, "`USD` a week")
	f.Float64Var(&want.Limits.MonthlyUSD, "budget-monthly", -1, "`USD` a month")
	f.Float64Var(&want.Limits.TotalUSD, "budget-total", -1, "`USD` in all")
	f.Int64Var(&want.Limits.RPM, "rpm", -1, "`requests` a minute")
	f.Int64Var(&want.Limits.TPM, "tpm", -1, "`tokens` a minute")
	f.Int64Var(&want.Limits.RPD, "rpd", -1, "`requests` a day")
	f.Int64Var(&want.Limits.Concurrency, "concurrency", -1, "`requests` at the same time")
	f.DurationVar(&expires, "expires", 0, "life of the key, such as 720h (default for ever)")
	f.BoolVar(&want.NoLog, "no-log", false, "keep no bodies of its requests")
	return c
}

func (a *app) keyList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the client keys", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				keys, err := desk.Keys(ctx)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(list(keys))
				}
				var rows [][]string
				for _, k := range keys {
					rows = append(rows, []string{k.ID, k.Name, k.Preview, strings.Join(k.Models, " "), limitsText(k.Limits), keyState(k), age(k.LastUsed)})
				}
				return table(a.out, []string{"id", "name", "key", "models", "limits", "state", "last used"}, rows)
			})
		},
	}
}

func (a *app) keyRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID|NAME...", Short: "Revoke client keys", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				for _, id := range args {
					if err := desk.RevokeKey(ctx, id); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func keyState(k *account.Key) string {
	switch {
	case !k.Enabled:
		return "disabled"
	case !k.ExpiresAt.IsZero() && time.Now().After(k.ExpiresAt):
		return "expired"
	case k.FromFile:
		return "active, from file"
	}
	return "active"
}

func limitsText(l account.Limits) string {
	var parts []string
	usd := func(v float64, unit string) {
		if v >= 0 {
			parts = append(parts, "$"+strconv.FormatFloat(v, 'f', -1, 64)+unit)
		}
	}
	count := func(v int64, unit string) {
		if v >= 0 {
			parts = append(parts, strconv.FormatInt(v, 10)+unit)
		}
	}
	usd(l.DailyUSD, "/day")
	usd(l.WeeklyUSD, "/week")
	usd(l.MonthlyUSD, "/month")
	usd(l.TotalUSD, " total")
	count(l.RPM, " rpm")
	count(l.TPM, " tpm")
	count(l.RPD, " rpd")
	count(l.Concurrency, " at once")
	return strings.Join(parts, ", ")
}

// pairs reads name=value arguments.
func pairs(flag string, list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	m := map[string]string{}
	for _, p := range list {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, usagef("%s %q is not name=value", flag, p)
		}
		m[name] = value
	}
	return m, nil
}

// age is a past moment as a person says it.
func age(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	switch d := time.Since(t); {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min ago"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h ago"
	}
	return t.Local().Format(time.DateOnly)
}
