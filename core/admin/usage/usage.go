// Package usage has the routes that add requests up: totals, series, breakdowns. All are read from roll-ups, so
// that their cost does not grow with the log.
package usage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/admin/api"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/telemetry"
)

const tag = "Usage"

// Deps are what the routes work with.
type Deps struct {
	Ledger  *ledger.Ledger
	Traffic *telemetry.Traffic
	Keys    *account.Keys
	// AccountName names an account by its id; "" if there is none any more.
	AccountName func(id string) string
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

type routes struct{ Deps }

// Register adds the routes.
func Register(r *api.Router, d Deps) {
	if d.Now == nil {
		d.Now = time.Now
	}
	h := routes{d}
	api.Handle(r, api.Route{Method: "GET", Path: "/api/usage/history", Aliases: []string{"/api/usage/stats"}, Tier: api.Viewer, Tag: tag, Seed: true,
		Summary: "Totals of all time, and the last ten minutes"}, h.history)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/usage/analytics", Tier: api.Viewer, Tag: tag,
		Summary: "A span broken down by model, provider, account and key"}, h.analytics)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/usage/series", Tier: api.Viewer, Tag: tag,
		Summary: "One figure over time, by up to two dimensions"}, h.series)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/telemetry/summary", Tier: api.Viewer, Tag: tag,
		Summary: "How long the phases of recent requests took"}, h.phases)
}

// Sum is what some requests add up to.
type Sum struct {
	Requests         int64    `json:"requests"`
	Errors           int64    `json:"errors"`
	PromptTokens     int64    `json:"promptTokens"`
	CompletionTokens int64    `json:"completionTokens"`
	CachedTokens     int64    `json:"cachedTokens"`
	ReasoningTokens  int64    `json:"reasoningTokens"`
	Cost             float64  `json:"cost" doc:"USD at list prices, of the requests whose price is known"`
	CostNanos        int64    `json:"costNanos"`
	Billed           float64  `json:"billed"`
	Unpriced         int64    `json:"unpriced" doc:"Requests whose price nobody knows"`
	Pct              *float64 `json:"pct,omitempty" doc:"Share of all tokens, in percent"`
}

func sum(t *ledger.Totals) Sum {
	return Sum{Requests: t.Requests, Errors: t.Errors, PromptTokens: t.Prompt, CompletionTokens: t.Completion, CachedTokens: t.CachedRead,
		ReasoningTokens: t.Reasoning, Cost: t.Cost.USD(), CostNanos: int64(t.Cost), Billed: t.Billed.USD(), Unpriced: t.Unpriced}
}

// label is the text scripts know a value of a dimension by.
func (h routes) label(d ledger.Dimension, value string) string {
	switch d {
	case ledger.ByModel:
		if provider, model, ok := strings.Cut(value, "/"); ok {
			return fmt.Sprintf("%s (%s)", model, provider)
		}
	case ledger.ByKey:
		if k, ok := h.Keys.Get(value); ok {
			return k.Name
		}
	case ledger.ByAccount:
		if name := h.AccountName(value); name != "" {
			return name
		}
	}
	return value
}

// totals adds the points of a query up by one dimension.
func (h routes) totals(ctx context.Context, q ledger.UsageQuery, d ledger.Dimension) (map[string]*ledger.Totals, error) {
	q.Step, q.By = ledger.StepAll, []ledger.Dimension{d}
	points, err := h.Ledger.Usage(ctx, q)
	if err != nil {
		return nil, err
	}
	out := map[string]*ledger.Totals{}
	for i := range points {
		name := points[i].By[0]
		if name == "" {
			continue
		}
		if out[name] == nil {
			out[name] = &ledger.Totals{}
		}
		out[name].Add(&points[i].Totals)
	}
	return out, nil
}

// Minute is one of the last ten.
type Minute struct {
	Requests         int64   `json:"requests"`
	PromptTokens     int64   `json:"promptTokens"`
	CompletionTokens int64   `json:"completionTokens"`
	Cost             float64 `json:"cost"`
}

// Pending counts requests that run.
type Pending struct {
	ByModel   map[string]int `json:"byModel"`
	ByAccount map[string]int `json:"byAccount"`
}

// ActiveRequest counts requests that run alike.
type ActiveRequest struct {
	Model    string `json:"model"`
	Provider string `json:"provider"`
	Account  string `json:"account"`
	Count    int    `json:"count"`
}

// History are totals of all time.
type History struct {
	TotalRequests         int64           `json:"totalRequests"`
	TotalPromptTokens     int64           `json:"totalPromptTokens"`
	TotalCompletionTokens int64           `json:"totalCompletionTokens"`
	TotalCost             float64         `json:"totalCost"`
	ByProvider            map[string]Sum  `json:"byProvider"`
	ByModel               map[string]Sum  `json:"byModel" doc:"By model (provider)"`
	ByAccount             map[string]Sum  `json:"byAccount"`
	ByKey                 map[string]Sum  `json:"byApiKey"`
	Last10Minutes         []Minute        `json:"last10Minutes" doc:"The present minute is last"`
	Pending               Pending         `json:"pending"`
	Active                []ActiveRequest `json:"activeRequests"`
}

func (h routes) history(ctx context.Context, _ *struct{}) (*api.Body[History], error) {
	now := h.Now().UTC()
	out := History{Last10Minutes: make([]Minute, 10), Active: []ActiveRequest{}}
	for d, dst := range map[ledger.Dimension]*map[string]Sum{
		ledger.ByProvider: &out.ByProvider, ledger.ByModel: &out.ByModel, ledger.ByAccount: &out.ByAccount, ledger.ByKey: &out.ByKey,
	} {
		parts, err := h.totals(ctx, ledger.UsageQuery{From: now.AddDate(-5, 0, 0)}, d)
		if err != nil {
			return nil, err
		}
		*dst = map[string]Sum{}
		for value, t := range parts {
			(*dst)[h.label(d, value)] = sum(t)
		}
	}
	all, err := h.Ledger.Usage(ctx, ledger.UsageQuery{From: now.AddDate(-5, 0, 0)})
	if err != nil {
		return nil, err
	}
	for i := range all {
		out.TotalRequests += all[i].Requests
		out.TotalPromptTokens += all[i].Prompt
		out.TotalCompletionTokens += all[i].Completion
		out.TotalCost += all[i].Cost.USD()
	}
	first := now.Truncate(time.Minute).Add(-9 * time.Minute)
	minutes, err := h.Ledger.Usage(ctx, ledger.UsageQuery{From: first, Step: ledger.StepMinute})
	if err != nil {
		return nil, err
	}
	for i := range minutes {
		if n := int(minutes[i].Start.Sub(first) / time.Minute); n >= 0 && n < 10 {
			m := &out.Last10Minutes[n]
			m.Requests += minutes[i].Requests
			m.PromptTokens += minutes[i].Prompt
			m.CompletionTokens += minutes[i].Completion
			m.Cost += minutes[i].Cost.USD()
		}
	}
	out.Pending.ByModel, out.Pending.ByAccount = h.Traffic.Pending()
	out.Active = running(h.Traffic.Running())
	return api.Reply(out), nil
}

// running counts the requests that are alike.
func running(list []telemetry.Running) []ActiveRequest {
	out := []ActiveRequest{}
	for _, r := range list {
		want := ActiveRequest{Model: r.Model, Provider: r.Provider, Account: r.Account}
		i := slices.IndexFunc(out, func(a ActiveRequest) bool {
			return a.Model == want.Model && a.Provider == want.Provider && a.Account == want.Account
		})
		if i < 0 {
			i, out = len(out), append(out, want)
		}
		out[i].Count++
	}
	return out
}

// AnalyticsIn is the span.
type AnalyticsIn struct {
	Range string `query:"range" enum:"1d,7d,30d,90d,ytd,all" default:"30d"`
}

// Day is one day of a span.
type Day struct {
	Date             string  `json:"date"`
	Requests         int64   `json:"requests"`
	Errors           int64   `json:"errors"`
	PromptTokens     int64   `json:"promptTokens"`
	CompletionTokens int64   `json:"completionTokens"`
	Cost             float64 `json:"cost"`
}

// Part is one value of a dimension.
type Part struct {
	Name string `json:"name"`
	ID   string `json:"id"`
	Sum
}

// Weekday is the average of a day of the week.
type Weekday struct {
	Day         int   `json:"day" doc:"0 = Sunday"`
	AvgTokens   int64 `json:"avgTokens"`
	TotalTokens int64 `json:"totalTokens"`
}

// Summary of a span.
type Summary struct {
	TotalTokens      int64   `json:"totalTokens"`
	PromptTokens     int64   `json:"promptTokens"`
	CompletionTokens int64   `json:"completionTokens"`
	TotalCost        float64 `json:"totalCost"`
	TotalBilled      float64 `json:"totalBilled"`
	TotalRequests    int64   `json:"totalRequests"`
	TotalErrors      int64   `json:"totalErrors"`
	Unpriced         int64   `json:"unpriced"`
	UniqueModels     int     `json:"uniqueModels"`
	UniqueAccounts   int     `json:"uniqueAccounts"`
	UniqueKeys       int     `json:"uniqueApiKeys"`
	Streak           int     `json:"streak" doc:"Days in a row with requests, up to today"`
}

// Analytics break a span down.
type Analytics struct {
	Range         string           `json:"range"`
	Summary       Summary          `json:"summary"`
	DailyTrend    []Day            `json:"dailyTrend"`
	DailyByModel  []map[string]any `json:"dailyByModel" doc:"One object a day: date, and tokens by model name"`
	ModelNames    []string         `json:"modelNames"`
	ByModel       []Part           `json:"byModel"`
	ByProvider    []Part           `json:"byProvider"`
	ByAccount     []Part           `json:"byAccount"`
	ByKey         []Part           `json:"byApiKey"`
	ActivityMap   map[string]int64 `json:"activityMap" doc:"Tokens by date, of the last 365 days"`
	WeeklyPattern []Weekday        `json:"weeklyPattern"`
}

// start of a range.
func start(now time.Time, name string) time.Time {
	day := now.Truncate(24 * time.Hour)
	switch name {
	case "1d":
		return now.Add(-24 * time.Hour)
	case "7d":
		return day.AddDate(0, 0, -6)
	case "90d":
		return day.AddDate(0, 0, -89)
	case "ytd":
		return time.Date(now.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	case "all":
		return now.AddDate(-5, 0, 0)
	}
	return day.AddDate(0, 0, -29)
}

const dateForm = "2006-01-02"

func (h routes) analytics(ctx context.Context, in *AnalyticsIn) (*api.Body[Analytics], error) {
	now := h.Now().UTC()
	from := start(now, in.Range)
	out := Analytics{Range: in.Range, ActivityMap: map[string]int64{}, DailyByModel: []map[string]any{}, ModelNames: []string{}}
	var err error
	for d, dst := range map[ledger.Dimension]*[]Part{
		ledger.ByModel: &out.ByModel, ledger.ByProvider: &out.ByProvider, ledger.ByAccount: &out.ByAccount, ledger.ByKey: &out.ByKey,
	} {
		if *dst, err = h.parts(ctx, from, d); err != nil {
			return nil, err
		}
	}
	if err := h.days(ctx, from, now, &out); err != nil {
		return nil, err
	}
	s := &out.Summary
	s.TotalTokens = s.PromptTokens + s.CompletionTokens
	s.UniqueModels, s.UniqueAccounts, s.UniqueKeys = len(out.ByModel), len(out.ByAccount), len(out.ByKey)
	return api.Reply(out), nil
}

// parts breaks a span down by one dimension, the largest first.
func (h routes) parts(ctx context.Context, from time.Time, d ledger.Dimension) ([]Part, error) {
	totals, err := h.totals(ctx, ledger.UsageQuery{From: from}, d)
	if err != nil {
		return nil, err
	}
	var all int64
	for _, t := range totals {
		all += t.Prompt + t.Completion
	}
	list := []Part{}
	for value, t := range totals {
		p := Part{Name: h.label(d, value), ID: value, Sum: sum(t)}
		if all > 0 {
			share := float64(t.Prompt+t.Completion) * 100 / float64(all)
			p.Pct = &share
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b Part) int {
		return cmp.Or(cmp.Compare(b.PromptTokens+b.CompletionTokens, a.PromptTokens+a.CompletionTokens), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// days fills in what goes by day.
func (h routes) days(ctx context.Context, from, now time.Time, out *Analytics) error {
	today := now.Truncate(24 * time.Hour)
	year := today.AddDate(0, 0, -364)
	points, err := h.Ledger.Usage(ctx, ledger.UsageQuery{From: earlier(from, year), Step: ledger.StepDay, By: []ledger.Dimension{ledger.ByModel}})
	if err != nil {
		return err
	}
	byDay, models := map[string]*Day{}, map[string]map[string]any{}
	week := [7]struct{ tokens, days int64 }{}
	for i := range points {
		p := &points[i]
		date, tokens := p.Start.Format(dateForm), p.Prompt+p.Completion
		if !p.Start.Before(year) {
			out.ActivityMap[date] += tokens
		}
		if p.Start.Before(from.Truncate(24 * time.Hour)) {
			continue
		}
		s := &out.Summary
		s.PromptTokens += p.Prompt
		s.CompletionTokens += p.Completion
		s.TotalRequests += p.Requests
		s.TotalErrors += p.Errors
		s.TotalCost += p.Cost.USD()
		s.TotalBilled += p.Billed.USD()
		s.Unpriced += p.Unpriced
		d := byDay[date]
		if d == nil {
			d = &Day{Date: date}
			byDay[date], models[date] = d, map[string]any{"date": date}
		}
		d.Requests += p.Requests
		d.Errors += p.Errors
		d.PromptTokens += p.Prompt
		d.CompletionTokens += p.Completion
		d.Cost += p.Cost.USD()
		if name := h.label(ledger.ByModel, p.By[0]); name != "" {
			have, _ := models[date][name].(int64)
			models[date][name] = have + tokens
			if !slices.Contains(out.ModelNames, name) {
				out.ModelNames = append(out.ModelNames, name)
			}
		}
	}
	for day := from.Truncate(24 * time.Hour); !day.After(today); day = day.AddDate(0, 0, 1) {
		date := day.Format(dateForm)
		d, m := byDay[date], models[date]
		if d == nil {
			if out.Range == "all" && len(out.DailyTrend) == 0 {
				continue // before the first request
			}
			d, m = &Day{Date: date}, map[string]any{"date": date}
		}
		out.DailyTrend, out.DailyByModel = append(out.DailyTrend, *d), append(out.DailyByModel, m)
		w := &week[day.Weekday()]
		w.tokens += d.PromptTokens + d.CompletionTokens
		w.days++
	}
	for i, w := range week {
		out.WeeklyPattern = append(out.WeeklyPattern, Weekday{Day: i, TotalTokens: w.tokens, AvgTokens: w.tokens / max(w.days, 1)})
	}
	for day := today; out.ActivityMap[day.Format(dateForm)] > 0; day = day.AddDate(0, 0, -1) {
		out.Summary.Streak++
	}
	slices.Sort(out.ModelNames)
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// SeriesIn asks for one figure over time.
type SeriesIn struct {
	Metric string    `query:"metric" enum:"requests,errors,tokens.in,tokens.out,cost,billed,latency.p50,latency.p95,ttft.p50,ttft.p95" default:"requests"`
	By     []string  `query:"by" maxItems:"2" doc:"provider, model, key, account or combo; up to two"`
	From   time.Time `query:"from" doc:"Default: 24 hours ago"`
	To     time.Time `query:"to" doc:"Default: now"`
	Step   string    `query:"step" enum:"minute,hour,day,month" default:"hour"`
}

// Series is one figure over time, a line for each combination of values.
type Series struct {
	Metric string      `json:"metric"`
	Step   string      `json:"step"`
	Times  []time.Time `json:"times" doc:"Starts of the steps, UTC"`
	Lines  []Line      `json:"lines"`
}

// Line is one combination of values.
type Line struct {
	By     []string   `json:"by" doc:"Ids, in the order that was asked for"`
	Names  []string   `json:"names"`
	Values []*float64 `json:"values" doc:"One a step; null = no requests"`
}

// maxPoints bounds an answer.
const maxPoints = 5000

// metric reads a figure from sums.
func metric(name string, t *ledger.Totals) float64 {
	switch name {
	case "errors":
		return float64(t.Errors)
	case "tokens.in":
		return float64(t.Prompt)
	case "tokens.out":
		return float64(t.Completion)
	case "cost":
		return t.Cost.USD()
	case "billed":
		return t.Billed.USD()
	case "latency.p50":
		return float64(t.Latency.Percentile(50))
	case "latency.p95":
		return float64(t.Latency.Percentile(95))
	case "ttft.p50":
		return float64(t.TTFT.Percentile(50))
	case "ttft.p95":
		return float64(t.TTFT.Percentile(95))
	}
	return float64(t.Requests)
}

func (h routes) series(ctx context.Context, in *SeriesIn) (*api.Body[Series], error) {
	now := h.Now().UTC()
	if in.To.IsZero() {
		in.To = now
	}
	if in.From.IsZero() {
		in.From = in.To.Add(-24 * time.Hour)
	}
	width := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour, "month": 28 * 24 * time.Hour}[in.Step]
	if !in.From.Before(in.To) || in.To.Sub(in.From)/width > maxPoints {
		return nil, fault.Newf(fault.InvalidBody, "from must lie before to, at most %d steps", maxPoints)
	}
	q := ledger.UsageQuery{From: in.From, To: in.To, Step: ledger.Step(in.Step)}
	for _, name := range in.By {
		switch name { // the words of other routes
		case "apiKey":
			name = ledger.ByKey.String()
		case "connection":
			name = ledger.ByAccount.String()
		}
		d, ok := ledger.ParseDimension(name)
		if !ok {
			return nil, fault.Newf(fault.InvalidBody, "There is no dimension %q; want provider, model, key, account or combo", name)
		}
		q.By = append(q.By, d)
	}
	points, err := h.Ledger.Usage(ctx, q)
	if err != nil {
		return nil, err
	}
	return api.Reply(h.lines(in, q.By, points)), nil
}

// lines arranges points, which come in order of time.
func (h routes) lines(in *SeriesIn, by []ledger.Dimension, points []ledger.Point) Series {
	out := Series{Metric: in.Metric, Step: in.Step, Times: []time.Time{}, Lines: []Line{}}
	at := map[time.Time]int{}
	for i := range points {
		if _, ok := at[points[i].Start]; !ok {
			at[points[i].Start] = len(out.Times)
			out.Times = append(out.Times, points[i].Start)
		}
	}
	index := map[string]int{}
	for i := range points {
		p := &points[i]
		name := strings.Join(p.By, "\x00")
		n, ok := index[name]
		if !ok {
			n = len(out.Lines)
			index[name] = n
			line := Line{By: p.By, Names: []string{}, Values: make([]*float64, len(out.Times))}
			if line.By == nil {
				line.By = []string{}
			}
			for j, value := range p.By {
				line.Names = append(line.Names, h.label(by[j], value))
			}
			out.Lines = append(out.Lines, line)
		}
		v := metric(in.Metric, &p.Totals)
		out.Lines[n].Values[at[p.Start]] = &v
	}
	return out
}

// PhasesIn is the window.
type PhasesIn struct {
	WindowMS int64 `query:"windowMs" minimum:"1000" maximum:"86400000" default:"300000"`
}

func (h routes) phases(_ context.Context, in *PhasesIn) (*api.Body[telemetry.Summary], error) {
	return api.Reply(h.Traffic.Summary(h.Now(), time.Duration(in.WindowMS)*time.Millisecond)), nil
}
