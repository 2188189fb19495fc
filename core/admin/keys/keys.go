// Package keys has the routes about client keys: who may use the gateway, for what, and how much.
package keys

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/admin/access"
	"github.com/omniroute/omniroute/core/admin/api"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/ledger"
)

const tag = "Client keys"

// Deps are what the routes work with.
type Deps struct {
	Keys   *account.Keys
	Access *access.Service
	Ledger *ledger.Ledger
}

type routes struct{ Deps }

// Register adds the routes.
func Register(r *api.Router, d Deps) {
	h := routes{d}
	api.Handle(r, api.Route{Method: "GET", Path: "/api/keys", Tier: api.Viewer, Tag: tag, Summary: "All client keys"}, h.list)
	api.Handle(r, api.Route{Method: "POST", Path: "/api/keys", Tier: api.Admin, Tag: tag, Audit: "key.create", Guarded: true, Status: http.StatusCreated,
		Summary: "Make a client key", Description: "The key is in the answer, and only here unless keys are kept so that they can be revealed.",
		Errors: []fault.Code{fault.Conflict}}, h.create)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/keys/{id}", Tier: api.Viewer, Tag: tag, Summary: "A client key",
		Errors: []fault.Code{fault.NotFound}}, h.get)
	api.Handle(r, api.Route{Method: "PATCH", Path: "/api/keys/{id}", Tier: api.Admin, Tag: tag, Audit: "key.update", Summary: "Change a client key",
		Errors: []fault.Code{fault.NotFound, fault.Conflict}}, h.patch)
	api.Handle(r, api.Route{Method: "DELETE", Path: "/api/keys/{id}", Tier: api.Admin, Tag: tag, Audit: "key.revoke", Summary: "Revoke a client key, at once",
		Errors: []fault.Code{fault.NotFound, fault.Conflict}}, h.remove)
	api.Handle(r, api.Route{Method: "POST", Path: "/api/keys/{id}/rotate", Tier: api.Admin, Tag: tag, Audit: "key.rotate", Guarded: true, Summary: "Give a client key another secret",
		Description: "The old one stays good for graceSeconds.", Aliases: []string{"/api/keys/{id}/regenerate"},
		Errors: []fault.Code{fault.NotFound, fault.Conflict}}, h.rotate)
	api.Handle(r, api.Route{Method: "POST", Path: "/api/keys/{id}/reveal", Tier: api.Admin, Tag: tag, Audit: "key.reveal", Guarded: true, Summary: "Show a client key again",
		Description: "Wants the password. Keys of which only a hash is kept (auth.store_keys: hash) cannot be shown.",
		Errors:      []fault.Code{fault.NotFound, fault.Conflict, fault.InvalidKey, fault.AccountLocked}}, h.reveal)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/keys/{id}/usage", Tier: api.Viewer, Tag: tag, Summary: "What a client key has used",
		Errors: []fault.Code{fault.NotFound}}, h.usage)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/me", Tier: api.Key, Tag: tag, Summary: "The limits and use of the key that asks"}, h.me)
}

// Allow says what a key may use; an empty list stands for everything.
type Allow struct {
	Models      []string `json:"models,omitempty" maxItems:"1000" doc:"Globs over provider/model; absent = all"`
	Providers   []string `json:"providers,omitempty" maxItems:"1000" doc:"Globs; absent = all"`
	Connections []string `json:"connections,omitempty" maxItems:"100" doc:"Account ids; absent = all"`
	IPs         []string `json:"ips,omitempty" maxItems:"100" doc:"Addresses and prefixes it may come from; absent = anywhere"`
}

// Window limits one period; null = no limit.
type Window struct {
	USD      *float64 `json:"usd,omitempty" minimum:"0"`
	Requests *int64   `json:"requests,omitempty" minimum:"0"`
}

// Limits of a key; null = none.
type Limits struct {
	RPM         *int64   `json:"rpm,omitempty" minimum:"0" doc:"Requests a minute"`
	TPM         *int64   `json:"tpm,omitempty" minimum:"0" doc:"Tokens a minute"`
	Concurrency *int64   `json:"concurrency,omitempty" minimum:"0"`
	Daily       *Window  `json:"daily,omitempty"`
	Weekly      *Window  `json:"weekly,omitempty" doc:"usd only"`
	Monthly     *Window  `json:"monthly,omitempty" doc:"usd only"`
	TotalUSD    *float64 `json:"totalUsd,omitempty" minimum:"0"`
	WarnAt      *float64 `json:"warnAt,omitempty" minimum:"0" maximum:"1" doc:"Share of a budget from which answers warn"`
}

// Schedule is the part of a week in which a key may be used.
type Schedule struct {
	Enabled bool   `json:"enabled"`
	From    string `json:"from" doc:"HH:MM"`
	Until   string `json:"until" doc:"HH:MM; before from it is on the next day"`
	Days    []int  `json:"days,omitempty" doc:"0 = Sunday; absent = every day"`
	TZ      string `json:"tz,omitempty" doc:"IANA name; absent = UTC"`
}

// Key is a client key as the API shows it.
type Key struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Preview    string            `json:"preview" doc:"Enough to tell it from others"`
	Masked     string            `json:"key" doc:"The same, under the name that scripts know"`
	MachineID  string            `json:"machineId"`
	Scopes     []string          `json:"scopes"`
	IsActive   bool              `json:"isActive"`
	NoLog      bool              `json:"noLog"`
	Sanitize   bool              `json:"sanitize"`
	Team       string            `json:"team,omitempty"`
	Tags       []string          `json:"tags"`
	Meta       map[string]string `json:"meta,omitempty"`
	Allow      Allow             `json:"allow"`
	Limits     Limits            `json:"limits"`
	Schedule   *Schedule         `json:"schedule"`
	CreatedAt  time.Time         `json:"createdAt"`
	LastUsedAt *time.Time        `json:"lastUsedAt"`
	ExpiresAt  *time.Time        `json:"expiresAt"`
	Source     string            `json:"source" enum:"file,state" doc:"file: declared in omniroute.yaml, read-only here"`
	Rev        int64             `json:"rev"`
}

// optional gives nil for the value that stands for no limit.
func optional[T int64 | float64](v T) *T {
	if v < 0 {
		return nil
	}
	return &v
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (h routes) show(k *account.Key) Key {
	out := Key{
		ID: k.ID, Name: k.Name, Preview: k.Preview, Masked: k.Preview, MachineID: h.Keys.Machine(), Scopes: k.Scopes, IsActive: k.Enabled,
		NoLog: k.NoLog, Sanitize: !k.Verbatim, Team: k.Team, Tags: k.Tags, Meta: k.Meta,
		Allow:     Allow{Models: k.Models, Providers: k.Providers, Connections: k.Accounts, IPs: k.IPs},
		CreatedAt: k.CreatedAt, LastUsedAt: moment(k.LastUsed), ExpiresAt: moment(k.ExpiresAt), Source: "state", Rev: k.Rev,
	}
	l := k.Limits
	warn := l.WarnAt
	out.Limits = Limits{RPM: optional(l.RPM), TPM: optional(l.TPM), Concurrency: optional(l.Concurrency), TotalUSD: optional(l.TotalUSD), WarnAt: &warn,
		Daily: &Window{USD: optional(l.DailyUSD), Requests: optional(l.RPD)}, Weekly: &Window{USD: optional(l.WeeklyUSD)}, Monthly: &Window{USD: optional(l.MonthlyUSD)}}
	if s := k.Schedule; s != nil {
		out.Schedule = &Schedule{Enabled: true, From: s.From, Until: s.Until, Days: s.Days, TZ: s.TZ}
	}
	if len(out.Scopes) == 0 {
		out.Scopes = []string{"inference"}
	}
	if out.Tags == nil {
		out.Tags = []string{}
	}
	if k.FromFile {
		out.Source = "file"
	}
	return out
}

type listBody struct {
	Keys []Key `json:"keys"`
	api.List[Key]
}

func (h routes) list(context.Context, *struct{}) (*api.Body[listBody], error) {
	rows := []Key{}
	for _, k := range h.Keys.List() {
		rows = append(rows, h.show(k))
	}
	return api.Reply(listBody{Keys: rows, List: api.Whole(rows)}), nil
}

// fields are what may be set; absent fields stay as they are.
type fields struct {
	Name      *string            `json:"name,omitempty" minLength:"1" maxLength:"200"`
	Scopes    *[]string          `json:"scopes,omitempty" maxItems:"3" doc:"inference, read, admin"`
	IsActive  *bool              `json:"isActive,omitempty"`
	NoLog     *bool              `json:"noLog,omitempty"`
	Sanitize  *bool              `json:"sanitize,omitempty" doc:"false: answers are passed on as they are"`
	Team      *string            `json:"team,omitempty" maxLength:"200"`
	Tags      *[]string          `json:"tags,omitempty" maxItems:"100"`
	Meta      *map[string]string `json:"meta,omitempty"`
	Allow     *Allow             `json:"allow,omitempty" doc:"Replaced as a whole"`
	Limits    *Limits            `json:"limits,omitempty" doc:"Replaced as a whole"`
	Schedule  *Schedule          `json:"schedule,omitempty" doc:"enabled: false removes it"`
	ExpiresAt *time.Time         `json:"expiresAt,omitempty" doc:"The zero time (0001-01-01T00:00:00Z) removes it"`

	AllowedModels      *[]string `json:"allowedModels,omitempty" maxItems:"1000" doc:"allow.models, for scripts"`
	AllowedConnections *[]string `json:"allowedConnections,omitempty" maxItems:"100" doc:"allow.connections, for scripts"`
	AccessSchedule     *Schedule `json:"accessSchedule,omitempty" doc:"schedule, for scripts"`
}

var scopes = map[string]bool{"inference": true, access.ScopeRead: true, access.ScopeAdmin: true}

// apply writes the fields that are there into a key.
func (f *fields) apply(k *account.Key) error {
	set(&k.Name, f.Name)
	set(&k.Scopes, f.Scopes)
	set(&k.Enabled, f.IsActive)
	set(&k.NoLog, f.NoLog)
	set(&k.Team, f.Team)
	set(&k.Tags, f.Tags)
	set(&k.Meta, f.Meta)
	if f.Sanitize != nil {
		k.Verbatim = !*f.Sanitize
	}
	if a := f.Allow; a != nil {
		k.Models, k.Providers, k.Accounts, k.IPs = a.Models, a.Providers, a.Connections, a.IPs
	}
	set(&k.Models, f.AllowedModels)
	set(&k.Accounts, f.AllowedConnections)
	set(&k.ExpiresAt, f.ExpiresAt)
	if f.Limits != nil {
		k.Limits = f.Limits.stored()
	}
	for _, s := range []*Schedule{f.Schedule, f.AccessSchedule} {
		if s == nil {
			continue
		}
		if k.Schedule = nil; s.Enabled {
			k.Schedule = &account.Schedule{From: s.From, Until: s.Until, Days: s.Days, TZ: s.TZ}
			if err := k.Schedule.Check(); err != nil {
				return fault.New(fault.InvalidBody, "schedule: "+err.Error())
			}
		}
	}
	if err := account.CheckIPs(k.IPs); err != nil {
		return fault.New(fault.InvalidBody, "allow.ips: "+err.Error())
	}
	for _, scope := range k.Scopes {
		if !scopes[scope] {
			return fault.Newf(fault.InvalidBody, "There is no scope %q; scopes are inference, read and admin", scope)
		}
	}
	return nil
}

func set[T any](dst, src *T) {
	if src != nil {
		*dst = *src
	}
}

func (l *Limits) stored() account.Limits {
	out := account.Unlimited()
	set(&out.RPM, l.RPM)
	set(&out.TPM, l.TPM)
	set(&out.Concurrency, l.Concurrency)
	set(&out.TotalUSD, l.TotalUSD)
	set(&out.WarnAt, l.WarnAt)
	if w := l.Daily; w != nil {
		set(&out.DailyUSD, w.USD)
		set(&out.RPD, w.Requests)
	}
	if w := l.Weekly; w != nil {
		set(&out.WeeklyUSD, w.USD)
	}
	if w := l.Monthly; w != nil {
		set(&out.MonthlyUSD, w.USD)
	}
	return out
}

// check refuses limits that nothing would hold to.
func (l *Limits) check() error {
	for name, w := range map[string]*Window{"weekly": l.Weekly, "monthly": l.Monthly} {
		if w != nil && w.Requests != nil {
			return fault.Newf(fault.InvalidBody, "limits.%s.requests: requests are limited per minute and per day", name)
		}
	}
	return nil
}

type createIn struct{ Body fields }

type created struct {
	Key
	Secret string `json:"key" doc:"Shown once"`
}

func (h routes) create(ctx context.Context, in *createIn) (*api.Body[created], error) {
	if in.Body.Name == nil {
		return nil, fault.New(fault.MissingField, "A key needs a name")
	}
	want := account.Key{Limits: account.Unlimited(), Enabled: true}
	if err := in.Body.check(); err != nil {
		return nil, err
	}
	if err := in.Body.apply(&want); err != nil {
		return nil, err
	}
	secret, k, err := h.Keys.Create(ctx, want)
	if err != nil {
		return nil, refusal(err)
	}
	if in.Body.IsActive != nil && !*in.Body.IsActive {
		if k, err = h.Keys.Update(ctx, k.ID, in.Body.apply); err != nil {
			return nil, refusal(err)
		}
	}
	api.Touched(ctx, "key", k.ID, nil, h.show(k))
	return api.Reply(created{Key: h.show(k), Secret: secret}), nil
}

func (f *fields) check() error {
	if f.Limits == nil {
		return nil
	}
	return f.Limits.check()
}

// refusal gives the errors of the table their place in the catalogue.
func refusal(err error) error {
	switch {
	case errors.Is(err, account.ErrNotFound):
		return fault.New(fault.NotFound, "There is no such client key")
	case errors.Is(err, account.ErrFromFile):
		return fault.New(fault.Conflict, "The key is declared in omniroute.yaml; change it there")
	case errors.Is(err, account.ErrNameTaken):
		return fault.New(fault.Conflict, "Another client key has this name")
	case errors.Is(err, account.ErrNotKept):
		return fault.New(fault.Conflict, "Only a hash of this key is kept (auth.store_keys); rotate it for a new one")
	}
	return err
}

type keyReply struct {
	ETag string `header:"ETag"`
	Body Key
}

func (h routes) find(id string) (*account.Key, error) {
	k, ok := h.Keys.Get(id)
	if !ok {
		return nil, api.Missing("client key", id)
	}
	return k, nil
}

func (h routes) get(_ context.Context, in *api.ByID) (*keyReply, error) {
	k, err := h.find(in.ID)
	if err != nil {
		return nil, err
	}
	return &keyReply{ETag: api.ETag(k.Rev), Body: h.show(k)}, nil
}

type patchIn struct {
	api.ByID
	api.Match
	Body fields
}

func (h routes) patch(ctx context.Context, in *patchIn) (*keyReply, error) {
	before, err := h.find(in.ID)
	if err != nil {
		return nil, err
	}
	if err := in.Body.check(); err != nil {
		return nil, err
	}
	k, err := h.Keys.Update(ctx, before.ID, func(k *account.Key) error {
		if err := in.Check(k.Rev); err != nil {
			return err
		}
		return in.Body.apply(k)
	})
	if err != nil {
		return nil, refusal(err)
	}
	api.Touched(ctx, "key", k.ID, h.show(before), h.show(k))
	return &keyReply{ETag: api.ETag(k.Rev), Body: h.show(k)}, nil
}

type message struct {
	Message string `json:"message"`
}

type removeIn struct {
	api.ByID
	api.Match
}

func (h routes) remove(ctx context.Context, in *removeIn) (*api.Body[message], error) {
	k, err := h.find(in.ID)
	if err != nil {
		return nil, err
	}
	if err := in.Check(k.Rev); err != nil {
		return nil, err
	}
	if err := h.Keys.Revoke(ctx, k.ID); err != nil {
		return nil, refusal(err)
	}
	api.Touched(ctx, "key", k.ID, h.show(k), nil)
	return api.Reply(message{"Key deleted successfully"}), nil
}

type rotateIn struct {
	api.ByID
	Body struct {
		GraceSeconds int `json:"graceSeconds,omitempty" minimum:"0" maximum:"2592000"`
	}
}

func (h routes) rotate(ctx context.Context, in *rotateIn) (*api.Body[created], error) {
	before, err := h.find(in.ID)
	if err != nil {
		return nil, err
	}
	secret, k, err := h.Keys.Rotate(ctx, before.ID, time.Duration(in.Body.GraceSeconds)*time.Second)
	if err != nil {
		return nil, refusal(err)
	}
	api.Touched(ctx, "key", k.ID, h.show(before), h.show(k))
	return api.Reply(created{Key: h.show(k), Secret: secret}), nil
}

type revealIn struct {
	api.ByID
	Body struct {
		Password string `json:"password" minLength:"1" maxLength:"200"`
	}
}

type revealed struct {
	Key string `json:"key"`
}

func (h routes) reveal(ctx context.Context, in *revealIn) (*api.Body[revealed], error) {
	k, err := h.find(in.ID)
	if err != nil {
		return nil, err
	}
	api.Touched(ctx, "key", k.ID, nil, nil)
	if err := h.Access.Check(ctx, in.Body.Password, api.From(ctx).Client()); err != nil {
		return nil, err
	}
	secret, err := h.Keys.Reveal(ctx, k.ID)
	if err != nil {
		return nil, refusal(err)
	}
	return api.Reply(revealed{secret}), nil
}

// Usage is what a key has used in the present periods.
type Usage struct {
	Key            string    `json:"id"`
	Name           string    `json:"name"`
	SpendDayUSD    float64   `json:"spendDayUsd"`
	SpendWeekUSD   float64   `json:"spendWeekUsd"`
	SpendMonthUSD  float64   `json:"spendMonthUsd"`
	SpendTotalUSD  float64   `json:"spendTotalUsd"`
	RequestsMinute int64     `json:"requestsMinute"`
	RequestsDay    int64     `json:"requestsDay"`
	TokensMinute   int64     `json:"tokensMinute"`
	TokensDay      int64     `json:"tokensDay"`
	Limits         Limits    `json:"limits"`
	DayResetsAt    time.Time `json:"dayResetsAt" doc:"Start of the next day, UTC"`
}

func (h routes) used(k *account.Key) Usage {
	scope := "key:" + k.ID
	now := time.Now().UTC()
	return Usage{
		Key: k.ID, Name: k.Name, Limits: h.show(k).Limits,
		SpendDayUSD: h.Ledger.Spend(scope, "day"), SpendWeekUSD: h.Ledger.Spend(scope, "week"),
		SpendMonthUSD: h.Ledger.Spend(scope, "month"), SpendTotalUSD: h.Ledger.Spend(scope, "total"),
		RequestsMinute: int64(h.Ledger.Requests(scope, "minute")), RequestsDay: int64(h.Ledger.Requests(scope, "day")),
		TokensMinute: int64(h.Ledger.Tokens(scope, "minute")), TokensDay: int64(h.Ledger.Tokens(scope, "day")),
		DayResetsAt: time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, time.UTC),
	}
}

func (h routes) usage(_ context.Context, in *api.ByID) (*api.Body[Usage], error) {
	k, err := h.find(in.ID)
	if err != nil {
		return nil, err
	}
	return api.Reply(h.used(k)), nil
}

func (h routes) me(ctx context.Context, _ *struct{}) (*api.Body[Usage], error) {
	k, err := h.find(api.From(ctx).KeyID)
	if err != nil {
		return nil, err
	}
	return api.Reply(h.used(k)), nil
}
