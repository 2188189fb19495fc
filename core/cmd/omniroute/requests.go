package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-json"
	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/policy"
)

func (a *app) requestsVerb() *cobra.Command {
	var f ledger.Filter
	var since time.Duration
	c := &cobra.Command{
		Use: "requests", Short: "List the recorded requests, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if since > 0 {
				f.Since = time.Now().Add(-since)
			}
			return a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				page, err := desk.Requests(ctx, f)
				if err != nil {
					return err
				}
				if a.json {
					page.Entries = list(page.Entries)
					return a.printJSON(page)
				}
				var rows [][]string
				for _, e := range page.Entries {
					rows = append(rows, []string{
						e.ID, e.Time.Local().Format(time.DateTime), strconv.Itoa(e.Status), e.Model, e.Target, e.KeyName,
						strconv.FormatInt(e.Usage.Prompt, 10) + "+" + strconv.FormatInt(e.Usage.Completion, 10), money(e.Billed),
						strconv.FormatInt(e.LatencyMS, 10) + " ms",
					})
				}
				return table(a.out, []string{"id", "time", "status", "model", "served by", "key", "tokens", "cost", "took"}, rows)
			})
		},
	}
	flags := c.Flags()
	flags.IntVar(&f.Limit, "limit", 20, "how many, at most 200")
	flags.DurationVar(&since, "since", 0, "only of this last span, such as 24h")
	flags.StringVar(&f.Status, "status", "", "error, ok, or a `code` such as 429")
	flags.StringVar(&f.Model, "model", "", "part of the model's name")
	flags.StringVar(&f.Provider, "provider", "", "part of the provider's name")
	flags.StringVar(&f.Key, "key", "", "part of the key's name")
	return c
}

func money(m ledger.Money) string {
	if m == ledger.Unknown {
		return "unknown"
	}
	return "$" + strconv.FormatFloat(m.USD(), 'f', -1, 64)
}

func (a *app) explainVerb() *cobra.Command {
	return &cobra.Command{
		Use: "explain REQUEST_ID", Short: "Tell why a request was treated as it was", Args: cobra.ExactArgs(1),
		Long: "Tell why a request was treated as it was: what was asked for, every rule that had a say with its value, every target tried and what it cost. The request id is in the x-request-id header of each answer and in `omniroute requests`.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withDesk(cmd, func(ctx context.Context, desk control.Desk) error {
				r, err := desk.Request(ctx, args[0])
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(r)
				}
				return a.printRequest(r)
			})
		},
	}
}

func (a *app) printRequest(r control.Request) error {
	line := func(name, format string, args ...any) {
		if text := fmt.Sprintf(format, args...); text != "" {
			fmt.Fprintf(a.out, "%-10s %s\n", name, text)
		}
	}
	line("request", "%s", r.ID)
	line("time", "%s", r.Time.Local().Format(time.DateTime))
	line("asked for", "%s (%s)", r.Model, r.Endpoint)
	line("combo", "%s", r.Combo)
	line("key", "%s", r.KeyName)
	line("served by", "%s", r.Target)
	line("account", "%s", r.AccountName)
	line("status", "%d %s", r.Status, r.Error)
	line("tokens", "%d in, %d out", r.Usage.Prompt, r.Usage.Completion)
	line("cost", "%s", money(r.Billed))
	line("took", "%d ms", r.LatencyMS)
	for i, t := range r.Attempts {
		line("attempt "+strconv.Itoa(i+1), "%s %s %d %s %d ms", t.Target, t.Account, t.Status, t.Reason, t.MS)
	}
	for _, field := range r.Degraded {
		line("lost", "%s", field)
	}
	if len(r.Trace) == 0 {
		fmt.Fprintln(a.out, "\nNo trace was kept of this request.")
		return nil
	}
	t, err := readTrace(r.Trace)
	if err != nil {
		return err
	}
	line("names", "%s", strings.Join(t.Path, " > "))
	line("targets", "%s", strings.Join(t.Candidates, ", "))
	if t.Record != nil && len(t.Record.Routes) > 0 {
		line("stand-ins", "%s", t.Record.Routes[len(t.Record.Routes)-1].Chain)
	}
	fmt.Fprintln(a.out)
	if t.Record != nil {
		if set, _, err := a.rules(""); err == nil && set != nil && set.Hash() == t.Policy {
			set.Annotate(t.Rules, t.Record)
		} else {
			fmt.Fprintln(a.out, "The rules have changed since; what their expressions read is not shown.")
		}
	}
	return a.printTrace(t.Rules)
}

// storedTrace is what the request log keeps of a decision.
type storedTrace struct {
	Policy     string         `json:"policy"`     // hash of the rules in force
	Path       []string       `json:"path"`       // aliases that were followed
	Candidates []string       `json:"candidates"` // in the order of trying
	Rules      []policy.Entry `json:"rules"`
	Record     *policy.Record `json:"record"` // the facts, to decide again
}

func readTrace(raw []byte) (t storedTrace, err error) {
	if err = json.Unmarshal(raw, &t); err != nil {
		err = fmt.Errorf("the stored trace cannot be read: %w", err)
	}
	return t, err
}

// eachRequest gives f the trace of every recorded request since a moment, oldest first.
func eachRequest(ctx context.Context, desk control.Desk, since time.Time, f func(storedTrace)) error {
	var ids []string
	filter := ledger.Filter{Since: since, Limit: 200}
	for {
		page, err := desk.Requests(ctx, filter)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			ids = append(ids, e.ID)
		}
		if filter.Cursor = page.Next; filter.Cursor == "" {
			break
		}
	}
	for _, id := range slices.Backward(ids) {
		r, err := desk.Request(ctx, id)
		if err != nil {
			return err
		}
		if len(r.Trace) == 0 {
			continue
		}
		t, err := readTrace(r.Trace)
		if err != nil {
			return err
		}
		f(t)
	}
	return nil
}

// printTrace shows each rule that was asked, grouped by hook in the order they ran.
func (a *app) printTrace(rules []policy.Entry) error {
	var rows [][]string
	for _, e := range rules {
		rows = append(rows, []string{e.Hook, e.Rule, e.Candidate, entryAnswer(e)})
	}
	return table(a.out, []string{"hook", "rule", "about", "answer"}, rows)
}

func entryAnswer(e policy.Entry) string {
	text := "no match"
	switch {
	case e.Error != "":
		text = "failed: " + e.Error
	case e.Dropped:
		text = "dropped: " + valueText(e.Value)
	case e.Rank > 0:
		text = "rank " + strconv.Itoa(e.Rank)
		if len(e.Keys) > 0 {
			text += " by " + keysText(e.Keys)
		}
	case e.Matched:
		text = valueText(e.Value)
	}
	if e.Shadow {
		text = "(shadow) " + text
	}
	for _, p := range e.Parts {
		switch {
		case p.Error != "":
			text += "; " + p.Expr + " failed: " + p.Error
		case p.Value == nil:
			text += "; " + p.Expr + " = nil"
		default:
			text += "; " + p.Expr + " = " + valueText(p.Value)
		}
	}
	return text
}

func keysText(keys []float64) string {
	list := make([]string, len(keys))
	for i, k := range keys {
		list[i] = strconv.FormatFloat(k, 'g', 6, 64)
	}
	return strings.Join(list, ", ")
}

func valueText(v any) string {
	switch v := v.(type) {
	case nil:
		return "matched"
	case string:
		return v
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
