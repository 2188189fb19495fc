// Package requests has the routes of the request log: what was asked, where it went, why, and what came back.
package requests

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	json "github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/admin/api"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/state"
	"github.com/omniroute/omniroute/core/telemetry"
)

const tag = "Requests"

// Deps are what the routes work with.
type Deps struct {
	Ledger  *ledger.Ledger
	Traffic *telemetry.Traffic
}

type routes struct{ Deps }

// Register adds the routes.
func Register(r *api.Router, d Deps) {
	h := routes{d}
	api.Handle(r, api.Route{Method: "GET", Path: "/api/requests", Tier: api.Viewer, Tag: tag, Summary: "The request log, newest first",
		Description: "A search that has to read many rows may give a short page that still has a next one."}, h.list)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/requests/{id}", Tier: api.Viewer, Tag: tag, Summary: "One request",
		Errors: []fault.Code{fault.NotFound}}, h.get)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/requests/{id}/trace", Tier: api.Viewer, Tag: tag, Summary: "Why a request went where it went",
		Description: "Every rule that was asked, with its answer, and every attempt. Absent for keys that keep no log.",
		Errors:      []fault.Code{fault.NotFound}}, h.trace)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/usage/active", Tier: api.Viewer, Tag: tag, Summary: "Requests that run"}, h.active)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/sessions", Tier: api.Viewer, Tag: tag, Summary: "Conversations of the last half hour"}, h.sessions)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/usage/call-logs", Tier: api.Viewer, Tag: tag, Seed: true, Summary: "The request log as an array",
		Description: "For scripts; GET /api/requests has pages."}, h.calls)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/usage/call-logs/{id}", Tier: api.Viewer, Tag: tag, Seed: true, Summary: "One request, with its bodies if they were kept",
		Errors: []fault.Code{fault.NotFound}}, h.call)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/usage/logs", Aliases: []string{"/api/usage/request-logs"}, Tier: api.Viewer, Tag: tag, Seed: true,
		Summary: "The newest 200 lines of the textual log"}, h.lines)
}

// Row is one request.
type Row struct {
	ID          string    `json:"id"`
	Time        time.Time `json:"time" doc:"When it began"`
	Status      int       `json:"status"`
	Code        string    `json:"code,omitempty" doc:"Catalogue code of a failure"`
	Error       string    `json:"error,omitempty"`
	Method      string    `json:"method,omitempty"`
	Path        string    `json:"path,omitempty"`
	Endpoint    string    `json:"endpoint,omitempty"`
	Client      string    `json:"client,omitempty"`
	IP          string    `json:"ip,omitempty"`
	Format      string    `json:"format,omitempty" doc:"Of the client"`
	Dialect     string    `json:"dialect,omitempty" doc:"Of the target"`
	Stream      bool      `json:"stream"`
	Model       string    `json:"model,omitempty" doc:"As asked for"`
	Combo       string    `json:"combo,omitempty"`
	Target      string    `json:"target,omitempty" doc:"provider/model that served"`
	Provider    string    `json:"provider,omitempty"`
	Account     string    `json:"account,omitempty" doc:"Name"`
	AccountID   string    `json:"accountId,omitempty"`
	Key         string    `json:"apiKey,omitempty" doc:"Name"`
	KeyID       string    `json:"apiKeyId,omitempty"`
	Team        string    `json:"team,omitempty"`
	Session     string    `json:"session,omitempty"`
	Tags        []string  `json:"tags"`
	LatencyMS   int64     `json:"latencyMs"`
	TTFTMS      int64     `json:"ttftMs,omitempty"`
	Tokens      Tokens    `json:"tokens"`
	CostUSD     *float64  `json:"costUsd" doc:"List price; null while nobody knows it"`
	CostNanos   *int64    `json:"costNanos" doc:"The same in billionths of a USD"`
	BilledUSD   *float64  `json:"billedUsd" doc:"What was charged and counts in budgets"`
	Cached      bool      `json:"cached"`
	Bypass      string    `json:"bypass,omitempty" doc:"The rule that answered in the provider's place"`
	Finish      string    `json:"finish,omitempty"`
	Attempts    []Attempt `json:"attempts"`
	Degraded    []string  `json:"degraded,omitempty" doc:"Fields the target's format cannot carry"`
	Trimmed     int       `json:"trimmed,omitempty" doc:"Messages left out to fit the model's context"`
	HasRequest  bool      `json:"hasRequestBody"`
	HasResponse bool      `json:"hasResponseBody"`
}

// Tokens of a request.
type Tokens struct {
	In         int64 `json:"in" doc:"All input, cached parts included"`
	Out        int64 `json:"out"`
	CachedRead int64 `json:"cachedRead,omitempty"`
	CacheWrite int64 `json:"cacheWrite,omitempty"`
	Reasoning  int64 `json:"reasoning,omitempty"`
	Estimated  bool  `json:"estimated" doc:"Counted by the gateway: the provider told nothing"`
}

// Attempt is one try at one account.
type Attempt struct {
	Target  string `json:"target"`
	Account string `json:"account,omitempty"`
	Status  int    `json:"status"`
	Reason  string `json:"reason,omitempty"`
	Error   string `json:"error,omitempty"`
	MS      int64  `json:"ms"`
}

func money(m ledger.Money) (usd *float64, nanos *int64) {
	if m == ledger.Unknown {
		return nil, nil
	}
	f, n := m.USD(), int64(m)
	return &f, &n
}

func show(e *ledger.Entry) Row {
	r := Row{
		ID: e.ID, Time: e.Time, Status: e.Status, Code: e.Code, Error: e.Error, Method: e.Method, Path: e.Path, Endpoint: e.Endpoint,
		Client: e.Client, IP: e.IP, Format: e.Format, Dialect: e.Dialect, Stream: e.Stream, Model: e.Model, Combo: e.Combo, Target: e.Target,
		Provider: e.Provider, Account: e.AccountName, AccountID: e.Account, Key: e.KeyName, KeyID: e.KeyID, Team: e.Team, Session: e.Session,
		Tags: e.Tags, LatencyMS: e.LatencyMS, TTFTMS: e.TTFTMS, Cached: e.Cached, Bypass: e.Bypass, Finish: e.Finish, Degraded: e.Degraded,
		Trimmed: e.Trimmed, HasRequest: len(e.Request) > 0, HasResponse: len(e.Response) > 0,
		Tokens: Tokens{In: e.Usage.Prompt, Out: e.Usage.Completion, CachedRead: e.Usage.CachedRead, CacheWrite: e.Usage.CacheWrite,
			Reasoning: e.Usage.Reasoning, Estimated: e.Usage.Estimated},
		Attempts: make([]Attempt, len(e.Attempts)),
	}
	for i, a := range e.Attempts {
		r.Attempts[i] = Attempt(a)
	}
	if r.Tags == nil {
		r.Tags = []string{}
	}
	r.CostUSD, r.CostNanos = money(e.Cost)
	r.BilledUSD, _ = money(e.Billed)
	return r
}

// Query are the filters of a list.
type Query struct {
	Status   string    `query:"status" maxLength:"20" doc:"ok, error or a status code"`
	Model    string    `query:"model" maxLength:"300" doc:"Part of the requested model or the target"`
	Provider string    `query:"provider" maxLength:"300" doc:"Part of its id"`
	Account  string    `query:"account" maxLength:"300" doc:"Part of its name or id"`
	Key      string    `query:"apiKey" maxLength:"300" doc:"Part of its name or id"`
	Combo    bool      `query:"combo" doc:"Only requests to combos"`
	Search   string    `query:"q" maxLength:"300" doc:"A request id, or part of any text of the row"`
	From     time.Time `query:"from"`
	To       time.Time `query:"to"`
}

func (q *Query) filter() (ledger.Filter, error) {
	if q.Status != "" && q.Status != "ok" && q.Status != "error" {
		if n, err := strconv.Atoi(q.Status); err != nil || n < 100 || n > 599 {
			return ledger.Filter{}, fault.New(fault.InvalidBody, "status is ok, error or a status code")
		}
	}
	return ledger.Filter{
		Status: q.Status, Model: q.Model, Provider: q.Provider, Account: q.Account, Key: q.Key, Combo: q.Combo, Search: q.Search,
		Since: q.From, Until: q.To,
	}, nil
}

// ListIn is the query of the log.
type ListIn struct {
	Query
	Cursor string `query:"cursor" maxLength:"4000" doc:"page.next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

func (h routes) list(ctx context.Context, in *ListIn) (*api.Body[api.List[Row]], error) {
	f, err := in.filter()
	if err != nil {
		return nil, err
	}
	f.Cursor, f.Limit = in.Cursor, in.Limit
	page, err := h.Ledger.List(ctx, f)
	if err != nil {
		return nil, err
	}
	out := api.List[Row]{Data: make([]Row, len(page.Entries)), Page: api.Page{Next: page.Next, Limit: in.Limit}}
	for i, e := range page.Entries {
		out.Data[i] = show(e)
	}
	return api.Reply(out), nil
}

func (h routes) find(ctx context.Context, id string) (*ledger.Entry, error) {
	e, err := h.Ledger.Get(ctx, id)
	if errors.Is(err, state.ErrNotFound) {
		return nil, api.Missing("request", id)
	}
	return e, err
}

func (h routes) get(ctx context.Context, in *api.ByID) (*api.Body[Row], error) {
	e, err := h.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return api.Reply(show(e)), nil
}

// Trace is JSON as it was kept.
type Trace json.RawMessage

// MarshalJSON implements json.Marshaler.
func (t Trace) MarshalJSON() ([]byte, error) { return t, nil }

// Schema implements huma.SchemaProvider.
func (Trace) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Description: "The decision record, as explain prints it"}
}

func (h routes) trace(ctx context.Context, in *api.ByID) (*api.Body[Trace], error) {
	if _, err := h.find(ctx, in.ID); err != nil {
		return nil, err
	}
	trace, err := h.Ledger.Trace(ctx, in.ID)
	if errors.Is(err, state.ErrNotFound) || err == nil && len(trace) == 0 {
		return nil, api.Missing("trace of request", in.ID)
	}
	if err != nil {
		return nil, err
	}
	return api.Reply(Trace(trace)), nil
}

// Call is a row as scripts know it.
type Call struct {
	ID           string    `json:"id"`
	Timestamp    time.Time `json:"timestamp"`
	Method       string    `json:"method"`
	Path         string    `json:"path"`
	Status       int       `json:"status"`
	Model        string    `json:"model"`
	Provider     string    `json:"provider"`
	Account      string    `json:"account"`
	Duration     int64     `json:"duration"`
	Tokens       CallUsage `json:"tokens"`
	SourceFormat string    `json:"sourceFormat"`
	TargetFormat string    `json:"targetFormat"`
	Error        *string   `json:"error"`
	ComboName    *string   `json:"comboName"`
	APIKeyID     *string   `json:"apiKeyId"`
	APIKeyName   *string   `json:"apiKeyName"`
	HasRequest   bool      `json:"hasRequestBody"`
	HasResponse  bool      `json:"hasResponseBody"`
}

// CallUsage are the tokens of a Call.
type CallUsage struct {
	In  int64 `json:"in"`
	Out int64 `json:"out"`
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func call(e *ledger.Entry) Call {
	return Call{
		ID: e.ID, Timestamp: e.Time, Method: e.Method, Path: e.Path, Status: e.Status, Model: e.Model, Provider: e.Provider, Account: e.AccountName,
		Duration: e.LatencyMS, Tokens: CallUsage{In: e.Usage.Prompt, Out: e.Usage.Completion}, SourceFormat: e.Format, TargetFormat: e.Dialect,
		Error: text(e.Error), ComboName: text(e.Combo), APIKeyID: text(e.KeyID), APIKeyName: text(e.KeyName),
		HasRequest: len(e.Request) > 0, HasResponse: len(e.Response) > 0,
	}
}

// CallsIn is the query of scripts.
type CallsIn struct {
	Status   string `query:"status" maxLength:"20"`
	Model    string `query:"model" maxLength:"300"`
	Provider string `query:"provider" maxLength:"300"`
	Account  string `query:"account" maxLength:"300"`
	Key      string `query:"apiKey" maxLength:"300"`
	Combo    string `query:"combo" maxLength:"10" doc:"1 = only combos"`
	Search   string `query:"search" maxLength:"300"`
	Limit    int    `query:"limit" minimum:"1" maximum:"200" default:"200"`
}

func (h routes) calls(ctx context.Context, in *CallsIn) (*api.Body[[]Call], error) {
	q := Query{Status: in.Status, Model: in.Model, Provider: in.Provider, Account: in.Account, Key: in.Key, Combo: in.Combo == "1" || in.Combo == "true", Search: in.Search}
	f, err := q.filter()
	if err != nil {
		return nil, err
	}
	f.Limit = in.Limit
	page, err := h.Ledger.List(ctx, f)
	if err != nil {
		return nil, err
	}
	out := make([]Call, len(page.Entries))
	for i, e := range page.Entries {
		out[i] = call(e)
	}
	return api.Reply(out), nil
}

// CallBodies is a Call with what was kept of its bodies.
type CallBodies struct {
	Call
	RequestBody  *string `json:"requestBody" doc:"Redacted; null if not kept"`
	ResponseBody *string `json:"responseBody"`
}

func (h routes) call(ctx context.Context, in *api.ByID) (*api.Body[CallBodies], error) {
	e, err := h.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return api.Reply(CallBodies{Call: call(e), RequestBody: text(string(e.Request)), ResponseBody: text(string(e.Response))}), nil
}

func (h routes) lines(context.Context, *struct{}) (*api.Body[[]string], error) {
	lines := h.Traffic.Lines(200)
	if lines == nil {
		lines = []string{}
	}
	return api.Reply(lines), nil
}

// Active is a request that runs.
type Active struct {
	ID        string    `json:"id"`
	Began     time.Time `json:"startedAt"`
	ElapsedMS int64     `json:"elapsedMs"`
	Endpoint  string    `json:"endpoint"`
	Model     string    `json:"model"`
	Provider  string    `json:"provider,omitempty"`
	Account   string    `json:"account,omitempty"`
	Stream    bool      `json:"stream"`
}

func (h routes) active(context.Context, *struct{}) (*api.Body[api.List[Active]], error) {
	now := time.Now()
	rows := []Active{}
	for _, r := range h.Traffic.Running() {
		rows = append(rows, Active{ID: r.ID, Began: r.Began, ElapsedMS: now.Sub(r.Began).Milliseconds(), Endpoint: r.Endpoint, Model: r.Model,
			Provider: r.Provider, Account: r.Account, Stream: r.Stream})
	}
	return api.Reply(api.Whole(rows)), nil
}

// Sessions are the conversations of the last half hour.
type Sessions struct {
	Count    int       `json:"count"`
	Sessions []Session `json:"sessions"`
}

// Session is one conversation.
type Session struct {
	telemetry.Session
	AgeMS int64 `json:"ageMs"`
}

func (h routes) sessions(context.Context, *struct{}) (*api.Body[Sessions], error) {
	now := time.Now()
	out := Sessions{Sessions: []Session{}}
	for _, s := range h.Traffic.Sessions() {
		out.Sessions = append(out.Sessions, Session{Session: s, AgeMS: now.Sub(s.CreatedAt).Milliseconds()})
	}
	out.Count = len(out.Sessions)
	return api.Reply(out), nil
}
