package call

import (
	"fmt"
	"net/netip"

	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/policy"
)

// Snapshot is everything a call is decided by. It never changes; a call keeps
// the one it started with until its last byte.
type Snapshot struct {
	Config  *config.Snapshot
	Policy  *policy.Set
	Catalog *catalog.Catalog
	Cfg     *policy.Cfg // settings that preset rules read

	Trusted     []netip.Prefix // proxies whose X-Forwarded-For counts
	RequireKeys bool
	Wants       Wants

	profiles map[string]*host.Profile
}

// Wants are the costly facts that some loaded rule reads.
type Wants struct {
	Texts, ToolNames, Meta, Headers, Body bool
	Stats, Spend, KeyCounters, Session    bool
	Guard                                 bool
}

// NewSnapshot binds what was loaded together.
func NewSnapshot(conf *config.Snapshot, set *policy.Set, cat *catalog.Catalog) (*Snapshot, error) {
	s := &Snapshot{Config: conf, Policy: set, Catalog: cat, Cfg: Settings(conf.File), profiles: make(map[string]*host.Profile)}
	for _, p := range conf.File.Server.TrustedProxies {
		prefix, err := parsePrefix(p)
		if err != nil {
			return nil, fmt.Errorf("server.trusted_proxies: %w", err)
		}
		s.Trusted = append(s.Trusted, prefix)
	}
	s.RequireKeys = requireKeys(conf.File)
	for _, p := range cat.Providers() {
		s.profiles[p.ID] = host.NewProfile(p.ID, p.Profile)
	}
	for _, t := range cat.MediaTargets() {
		name := catalog.MediaProfile(t.Provider.ID, t.Media.Kind)
		s.profiles[name] = host.NewProfile(t.Provider.ID, t.Media.Profile)
	}
	s.Wants = wantsOf(set)
	return s, nil
}

// Profile returns the executor profile of a provider.
func (s *Snapshot) Profile(provider string) *host.Profile { return s.profiles[provider] }

func wantsOf(set *policy.Set) Wants {
	any := func(paths ...string) bool {
		for _, p := range paths {
			if set.Needs(p) {
				return true
			}
		}
		return false
	}
	return Wants{
		Texts:     any("req.first_text", "req.user_text", "req.last_text", "req.last_user_text"),
		ToolNames: any("req.tool_names"),
		Meta:      any("req.meta"),
		Headers:   any("req.headers"),
		Body:      any("req.body"),
		Stats:     any("target.stats"),
		Spend: any("target.spend_day", "target.spend_month", "account.spend_day", "account.spend_month",
			"account.requests_minute", "account.requests_day", "account.tokens_minute"),
		KeyCounters: any("key.inflight", "key.spend_day", "key.spend_week", "key.spend_month", "key.spend_total", "key.reserved_usd",
			"key.requests_minute", "key.requests_day", "key.tokens_minute", "key.tokens_day"),
		Session: any("req.session", "account.bound"),
		Guard:   any("guard"),
	}
}

// requireKeys resolves "auto": keys are asked for as soon as others than this
// machine can reach the listener.
func requireKeys(f *config.File) bool {
	switch f.Auth.RequireKeys {
	case config.RequireTrue:
		return true
	case config.RequireFalse:
		return false
	}
	return !f.Server.Loopback()
}

func parsePrefix(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}
