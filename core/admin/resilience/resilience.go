// Package resilience has the routes about what keeps requests away: breakers, cooldowns, limits, lockouts, bans, and
// about the cache that answers in a provider's place. Each can be looked at and reset.
package resilience

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/admin/access"
	"github.com/omniroute/omniroute/core/admin/api"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/health"
)

const tag = "Resilience"

// Deps are what the routes work with.
type Deps struct {
	Health *health.Health
	Pool   *account.Pool
	// Ready reports whether requests can be served.
	Ready   func() bool
	Access  *access.Service
	Version string
	Started time.Time
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
	api.Handle(r, api.Route{Method: "GET", Path: "/api/health", Aliases: []string{"/api/health/live"}, Tier: api.Public, Tag: tag, Summary: "Whether the gateway lives"}, h.live)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/health/ready", Tier: api.Public, Tag: tag, Summary: "Whether requests can be served",
		Errors: []fault.Code{fault.Unavailable}}, h.ready)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/monitoring/health", Tier: api.Public, Tag: tag, Seed: true, Summary: "Whether the gateway lives, for scripts",
		Description: "Breakers and lockouts are told to who may read; GET /api/breakers and GET /api/lockouts say more."}, h.monitoring)
	api.Handle(r, api.Route{Method: "DELETE", Path: "/api/monitoring/health", Tier: api.Admin, Tag: tag, Seed: true, Audit: "breaker.reset", Guarded: true,
		Summary: "Close all breakers"}, h.resetBreakers)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/breakers", Tier: api.Viewer, Tag: tag, Summary: "Circuit breakers"}, h.breakers)
	api.Handle(r, api.Route{Method: "POST", Path: "/api/breakers/reset", Tier: api.Admin, Tag: tag, Audit: "breaker.reset", Guarded: true,
		Summary: "Close a breaker", Errors: []fault.Code{fault.NotFound}}, h.resetBreaker)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/cooldowns", Tier: api.Viewer, Tag: tag, Summary: "Accounts and models that rest"}, h.cooldowns)
	api.Handle(r, api.Route{Method: "POST", Path: "/api/resilience/reset", Tier: api.Admin, Tag: tag, Audit: "resilience.reset", Guarded: true,
		Summary: "Forget breakers, cooldowns or lockouts"}, h.reset)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/rate-limits", Tier: api.Viewer, Tag: tag, Summary: "Limits, their queues, and model locks"}, h.limits)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/lockouts", Tier: api.Viewer, Tag: tag, Summary: "Who failed too often"}, h.lockouts)
	api.Handle(r, api.Route{Method: "POST", Path: "/api/lockouts/unlock", Tier: api.Admin, Tag: tag, Audit: "lockout.unlock", Guarded: true,
		Summary: "Let somebody in again", Errors: []fault.Code{fault.NotFound}}, h.unlock)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/policies", Tier: api.Viewer, Tag: tag, Seed: true, Summary: "Breakers and lockouts, for scripts",
		Description: "Rules written as expressions are elsewhere."}, h.policies)
	api.Handle(r, api.Route{Method: "POST", Path: "/api/policies", Tier: api.Admin, Tag: tag, Seed: true, Audit: "lockout.unlock", Guarded: true,
		Summary: "Let somebody in again, for scripts", Errors: []fault.Code{fault.NotFound}}, h.act)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/ip-filter/bans", Tier: api.Viewer, Tag: tag, Summary: "Banned addresses"}, h.bans)
	api.Handle(r, api.Route{Method: "POST", Path: "/api/ip-filter/bans", Tier: api.Admin, Tag: tag, Audit: "ban.add", Guarded: true, Status: 201,
		Summary: "Ban an address for a while", Errors: []fault.Code{fault.Conflict}}, h.ban)
	api.Handle(r, api.Route{Method: "DELETE", Path: "/api/ip-filter/bans/{ip}", Tier: api.Admin, Tag: tag, Audit: "ban.remove", Guarded: true,
		Summary: "Lift a ban", Errors: []fault.Code{fault.NotFound}}, h.unban)
	api.Handle(r, api.Route{Method: "GET", Path: "/api/cache", Aliases: []string{"/api/cache/stats"}, Tier: api.Viewer, Tag: tag, Summary: "The response cache"}, h.cache)
	api.Handle(r, api.Route{Method: "DELETE", Path: "/api/cache", Aliases: []string{"/api/cache/stats"}, Tier: api.Admin, Tag: tag, Audit: "cache.purge", Guarded: true,
		Summary: "Forget all cached answers"}, h.purge)
}

// Alive is the shortest answer.
type Alive struct {
	Status  string `json:"status" enum:"ok"`
	Version string `json:"version"`
}

func (h routes) live(context.Context, *struct{}) (*api.Body[Alive], error) {
	return api.Reply(Alive{"ok", h.Version}), nil
}

func (h routes) ready(ctx context.Context, in *struct{}) (*api.Body[Alive], error) {
	if !h.Ready() {
		return nil, fault.New(fault.Unavailable, "The gateway is starting or stopping")
	}
	return h.live(ctx, in)
}

// Monitoring is what scripts poll.
type Monitoring struct {
	Status        string                    `json:"status" enum:"healthy"`
	Timestamp     time.Time                 `json:"timestamp"`
	System        System                    `json:"system"`
	SetupComplete bool                      `json:"setupComplete"`
	Providers     map[string]ProviderHealth `json:"providerHealth,omitempty" doc:"Only for who may read"`
	Lockouts      []Lockout                 `json:"lockouts,omitempty" doc:"Only for who may read"`
}

// System tells about the process.
type System struct {
	Version string `json:"version"`
	Uptime  int64  `json:"uptime" doc:"Seconds"`
}

// ProviderHealth is a breaker as scripts know it.
type ProviderHealth struct {
	State    string `json:"state"`
	Failures int    `json:"failures"`
}

func (h routes) monitoring(ctx context.Context, _ *struct{}) (*api.Body[Monitoring], error) {
	now := h.Now()
	out := Monitoring{
		Status: "healthy", Timestamp: now.UTC(), SetupComplete: h.Access.HasPassword(),
		System: System{Version: h.Version, Uptime: int64(now.Sub(h.Started).Seconds())},
	}
	if api.From(ctx).May(access.ScopeRead) {
		out.Providers, out.Lockouts = map[string]ProviderHealth{}, h.locked()
		for _, b := range h.Health.Breakers.List() {
			out.Providers[b.Name] = ProviderHealth{State: seedState(b.State), Failures: b.Failures}
		}
	}
	return api.Reply(out), nil
}

// seedState is the state in the words of scripts.
func seedState(s health.BreakerState) string {
	switch s {
	case health.Open:
		return "OPEN"
	case health.HalfOpen:
		return "HALF_OPEN"
	}
	return "CLOSED"
}

// Breaker is one circuit breaker.
type Breaker struct {
	Name         string `json:"name"`
	State        string `json:"state" enum:"closed,half_open,open"`
	Failures     int    `json:"failures" doc:"In a row"`
	WindowTotal  int    `json:"windowTotal" doc:"Requests of the last minute"`
	WindowFailed int    `json:"windowFailed"`
	Reopens      int    `json:"reopens" doc:"Failed probes since it was closed"`
	SinceMS      int64  `json:"sinceMs"`
	RetryAfterMS int64  `json:"retryAfterMs"`
}

func (h routes) breakers(context.Context, *struct{}) (*api.Body[api.List[Breaker]], error) {
	rows := []Breaker{}
	for _, b := range h.Health.Breakers.List() {
		rows = append(rows, Breaker{Name: b.Name, State: string(b.State), Failures: b.Failures, WindowTotal: b.WindowTotal, WindowFailed: b.WindowFailed,
			Reopens: b.Reopens, SinceMS: b.SinceMS, RetryAfterMS: b.RetryAfterMS})
	}
	return api.Reply(api.Whole(rows)), nil
}

// Count is how much was reset.
type Count struct {
	OK         bool   `json:"ok"`
	Success    bool   `json:"success"`
	Message    string `json:"message"`
	ResetCount int    `json:"resetCount"`
}

func counted(n int) *api.Body[Count] {
	return api.Reply(Count{OK: true, Success: true, Message: "Reset", ResetCount: n})
}

// closeAll closes the breakers that are not closed.
func (h routes) closeAll() int {
	n := 0
	for _, b := range h.Health.Breakers.List() {
		if b.State != health.Closed {
			n++
		}
	}
	h.Health.Breakers.Reset("")
	return n
}

func (h routes) resetBreakers(ctx context.Context, _ *struct{}) (*api.Body[Count], error) {
	api.Touched(ctx, "breaker", "*", nil, nil)
	return counted(h.closeAll()), nil
}

// NameIn names one thing whose name may hold any character.
type NameIn struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"300"`
	}
}

func (h routes) resetBreaker(ctx context.Context, in *NameIn) (*api.Body[Count], error) {
	api.Touched(ctx, "breaker", in.Body.Name, nil, nil)
	if !slices.ContainsFunc(h.Health.Breakers.List(), func(b health.Breaker) bool { return b.Name == in.Body.Name }) {
		return nil, api.Missing("breaker", in.Body.Name)
	}
	h.Health.Breakers.Reset(in.Body.Name)
	return counted(1), nil
}

// Cooldown is an account, or a model on one, that rests.
type Cooldown struct {
	Provider    string    `json:"provider"`
	Account     string    `json:"account" doc:"Name"`
	AccountID   string    `json:"accountId"`
	Model       string    `json:"model,omitempty" doc:"Absent: the whole account"`
	Status      string    `json:"status,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	Until       time.Time `json:"until,omitzero"`
	RemainingMS int64     `json:"remainingMs"`
	Backoff     int       `json:"backoff"`
}

func (h routes) resting() []Cooldown {
	now := h.Now()
	rows := []Cooldown{}
	names := map[string]string{}
	for _, a := range h.Pool.List("") {
		names[a.ID] = a.Name
		s := a.State
		if now.Before(s.CoolUntil) || s.Disabled || s.Status != "" && s.Status != account.StatusActive {
			rows = append(rows, Cooldown{Provider: a.Provider, Account: a.Name, AccountID: a.ID, Status: string(s.Status), Reason: s.ErrorType,
				Until: s.CoolUntil, RemainingMS: max(0, s.CoolUntil.Sub(now).Milliseconds()), Backoff: s.Backoff})
		}
	}
	for _, l := range h.Pool.Locks() {
		rows = append(rows, Cooldown{Provider: l.Provider, Account: names[l.Account], AccountID: l.Account, Model: l.Model, Reason: l.Reason,
			Until: l.Until, RemainingMS: max(0, l.Until.Sub(now).Milliseconds())})
	}
	return rows
}

func (h routes) cooldowns(context.Context, *struct{}) (*api.Body[api.List[Cooldown]], error) {
	return api.Reply(api.Whole(h.resting())), nil
}

// ResetIn says what to forget.
type ResetIn struct {
	Scope string `query:"scope" enum:"breakers,cooldowns,lockouts" doc:"Absent: breakers and cooldowns"`
	Name  string `query:"name" maxLength:"300" doc:"One breaker, account or subject; absent: all"`
}

func (h routes) reset(ctx context.Context, in *ResetIn) (*api.Body[Count], error) {
	api.Touched(ctx, "resilience", in.Scope+":"+in.Name, nil, nil)
	n := 0
	if in.Scope == "" || in.Scope == "breakers" {
		if in.Name == "" {
			n += h.closeAll()
		} else {
			h.Health.Breakers.Reset(in.Name)
			n++
		}
	}
	if in.Scope == "" || in.Scope == "cooldowns" {
		for _, c := range h.resting() {
			if in.Name != "" && in.Name != c.AccountID {
				continue
			}
			if err := h.Pool.Clear(ctx, c.AccountID); err != nil {
				return nil, err
			}
			n++
		}
	}
	if in.Scope == "lockouts" {
		for _, l := range h.Health.Lockouts.List() {
			if (in.Name == "" || in.Name == l.Subject) && h.Health.Lockouts.Clear(l.Subject) {
				n++
			}
		}
	}
	return counted(n), nil
}

// Limiter is one limit.
type Limiter struct {
	Scope     string `json:"scope"`
	Queued    int    `json:"queued"`
	Running   int    `json:"running"`
	Done      int    `json:"done"`
	Reservoir *int   `json:"reservoir" doc:"Starts left, where a provider told"`
	PausedMS  int64  `json:"pausedMs"`
}

// Limits are the limits and the locks of models.
type Limits struct {
	Limiters []Limiter  `json:"limiters"`
	Lockouts []Cooldown `json:"lockouts" doc:"Models kept away from accounts"`
}

func (h routes) limits(context.Context, *struct{}) (*api.Body[Limits], error) {
	out := Limits{Limiters: []Limiter{}, Lockouts: []Cooldown{}}
	for _, l := range h.Health.Limits.List() {
		row := Limiter{Scope: l.Scope, Queued: l.Queued, Running: l.Running, Done: l.Done, PausedMS: l.PausedMS}
		if l.Reservoir >= 0 {
			row.Reservoir = &l.Reservoir
		}
		out.Limiters = append(out.Limiters, row)
	}
	for _, c := range h.resting() {
		if c.Model != "" {
			out.Lockouts = append(out.Lockouts, c)
		}
	}
	return api.Reply(out), nil
}

// Lockout is somebody who failed too often, or is about to.
type Lockout struct {
	Identifier  string     `json:"identifier"`
	Locked      bool       `json:"locked"`
	LockedUntil *time.Time `json:"lockedUntil"`
	RemainingMS int64      `json:"remainingMs"`
	Attempts    int        `json:"attempts"`
	Locks       int        `json:"locks" doc:"In the last day"`
}

func (h routes) locked() []Lockout {
	now := h.Now().UTC()
	rows := []Lockout{}
	for _, l := range h.Health.Lockouts.List() {
		row := Lockout{Identifier: l.Subject, Locked: l.Locked, RemainingMS: l.RemainingMS, Attempts: l.Attempts, Locks: l.Locks}
		if l.Locked {
			until := now.Add(time.Duration(l.RemainingMS) * time.Millisecond)
			row.LockedUntil = &until
		}
		rows = append(rows, row)
	}
	return rows
}

func (h routes) lockouts(context.Context, *struct{}) (*api.Body[api.List[Lockout]], error) {
	return api.Reply(api.Whole(h.locked())), nil
}

// free lets somebody in again.
func (h routes) free(ctx context.Context, subject string) error {
	api.Touched(ctx, "lockout", subject, nil, nil)
	if !h.Health.Lockouts.Clear(subject) {
		return api.Missing("lockout", subject)
	}
	return nil
}

// UnlockIn names who is let in.
type UnlockIn struct {
	Body struct {
		Identifier string `json:"identifier" minLength:"1" maxLength:"300"`
	}
}

// Unlocked is the answer that scripts expect.
type Unlocked struct {
	Success    bool   `json:"success"`
	Action     string `json:"action" enum:"unlocked"`
	Identifier string `json:"identifier"`
}

func (h routes) unlock(ctx context.Context, in *UnlockIn) (*api.Body[Unlocked], error) {
	if err := h.free(ctx, in.Body.Identifier); err != nil {
		return nil, err
	}
	return api.Reply(Unlocked{true, "unlocked", in.Body.Identifier}), nil
}

// Policies is what scripts read.
type Policies struct {
	CircuitBreakers   []SeedBreaker `json:"circuitBreakers"`
	LockedIdentifiers []Lockout     `json:"lockedIdentifiers"`
}

// SeedBreaker is a breaker as scripts know it.
type SeedBreaker struct {
	Name         string `json:"name"`
	State        string `json:"state" enum:"CLOSED,OPEN,HALF_OPEN"`
	FailureCount int    `json:"failureCount"`
}

func (h routes) policies(context.Context, *struct{}) (*api.Body[Policies], error) {
	out := Policies{CircuitBreakers: []SeedBreaker{}, LockedIdentifiers: []Lockout{}}
	for _, b := range h.Health.Breakers.List() {
		out.CircuitBreakers = append(out.CircuitBreakers, SeedBreaker{b.Name, seedState(b.State), b.Failures})
	}
	for _, l := range h.locked() {
		if l.Locked {
			out.LockedIdentifiers = append(out.LockedIdentifiers, l)
		}
	}
	return api.Reply(out), nil
}

// ActIn is an action of scripts.
type ActIn struct {
	Body struct {
		Action     string `json:"action" enum:"unlock"`
		Identifier string `json:"identifier" minLength:"1" maxLength:"300"`
	}
}

func (h routes) act(ctx context.Context, in *ActIn) (*api.Body[Unlocked], error) {
	if err := h.free(ctx, in.Body.Identifier); err != nil {
		return nil, err
	}
	return api.Reply(Unlocked{true, "unlocked", in.Body.Identifier}), nil
}

// Ban is a banned address.
type Ban struct {
	IP          string    `json:"ip"`
	Until       time.Time `json:"until"`
	Reason      string    `json:"reason"`
	RemainingMS int64     `json:"remainingMs"`
}

func (h routes) bans(context.Context, *struct{}) (*api.Body[api.List[Ban]], error) {
	now := h.Now()
	rows := []Ban{}
	for _, b := range h.Health.Bans.List() {
		rows = append(rows, Ban{IP: b.IP, Until: b.Until, Reason: b.Reason, RemainingMS: max(0, b.Until.Sub(now).Milliseconds())})
	}
	return api.Reply(api.Whole(rows)), nil
}

// BanIn is a new ban.
type BanIn struct {
	Body struct {
		IP         string `json:"ip" minLength:"2" maxLength:"50"`
		DurationMS int64  `json:"durationMs,omitempty" minimum:"1000" maximum:"31536000000" default:"3600000"`
		Reason     string `json:"reason,omitempty" maxLength:"300" default:"Manual ban"`
	}
}

func (h routes) ban(ctx context.Context, in *BanIn) (*api.Body[Ban], error) {
	ip, err := netip.ParseAddr(in.Body.IP)
	if err != nil {
		return nil, fault.Newf(fault.InvalidBody, "%q is no address", in.Body.IP)
	}
	ip = ip.Unmap().WithZone("")
	if ip == api.From(ctx).IP || ip.IsLoopback() {
		return nil, fault.New(fault.Conflict, "This would lock you out")
	}
	d := time.Duration(in.Body.DurationMS) * time.Millisecond
	h.Health.Bans.Add(ip.String(), d, in.Body.Reason)
	out := Ban{IP: ip.String(), Until: h.Now().Add(d).UTC(), Reason: in.Body.Reason, RemainingMS: in.Body.DurationMS}
	api.Touched(ctx, "ban", out.IP, nil, out)
	return api.Reply(out), nil
}

// UnbanIn names an address.
type UnbanIn struct {
	IP string `path:"ip" maxLength:"50"`
}

func (h routes) unban(ctx context.Context, in *UnbanIn) (*struct{}, error) {
	api.Touched(ctx, "ban", in.IP, nil, nil)
	if !h.Health.Bans.Remove(in.IP) {
		return nil, api.Missing("ban", in.IP)
	}
	return nil, nil
}

// Cache are the numbers of the response cache.
type Cache struct {
	Size        int     `json:"size" doc:"Answers in memory"`
	Bytes       int64   `json:"bytes"`
	MaxBytes    int64   `json:"maxBytes"`
	Hits        int64   `json:"hits"`
	DiskHits    int64   `json:"diskHits"`
	Misses      int64   `json:"misses"`
	Evictions   int64   `json:"evictions"`
	HitRate     float64 `json:"hitRate" doc:"0 to 1"`
	TokensSaved int64   `json:"tokensSaved"`
}

func (h routes) cache(context.Context, *struct{}) (*api.Body[Cache], error) {
	s := h.Health.Cache.Stats()
	out := Cache{Size: s.Entries, Bytes: s.Bytes, MaxBytes: s.MaxBytes, Hits: s.Hits, DiskHits: s.DiskHits, Misses: s.Misses, Evictions: s.Evictions, TokensSaved: s.TokensSaved}
	if n := s.Hits + s.Misses; n > 0 {
		out.HitRate = float64(s.Hits) / float64(n)
	}
	return api.Reply(out), nil
}

func (h routes) purge(ctx context.Context, _ *struct{}) (*api.Body[Count], error) {
	api.Touched(ctx, "cache", "*", nil, nil)
	return counted(h.Health.Cache.Purge(nil)), nil
}
