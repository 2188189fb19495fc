package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/omniroute/omniroute/core/fault"
)

// checker looks for what types cannot say, and makes paths absolute.
type checker struct {
	*reader
	file *File
	dir  string // of the file
	opt  Options
}

func (c *checker) run() {
	c.server()
	c.auth()
	c.routing()
	for _, id := range sortedNames(c.file.Providers) {
		p := c.file.Providers[id]
		c.provider(join("providers", id), id, &p)
		c.file.Providers[id] = p
	}
	for _, name := range sortedNames(c.file.Aliases) {
		if c.file.Aliases[name].Target == "" {
			c.bad(join("aliases", name), "an alias needs a target")
		}
	}
	c.combos()
	c.safety()
	c.plugins()
	c.guards()
	c.rest()
}

// bad reports a problem at a path; a path that was not written (a default) is
// reported at its nearest written parent.
func (c *checker) bad(path, format string, args ...any) {
	for b := range c.broken {
		if b == path || strings.HasPrefix(b, path+sep) || strings.HasPrefix(path, b+sep) {
			return
		}
	}
	c.refused[path] = true
	c.fail(c.place(path), "%s: %s", shown(path), fmt.Sprintf(format, args...))
}

func (c *checker) warn(path, format string, args ...any) {
	p := c.place(path)
	c.warnings = append(c.warnings, fault.At(p.File, c.sources[p.File], p.Line, p.Column, shown(path)+": "+fmt.Sprintf(format, args...)))
}

func (c *checker) place(path string) Pos {
	for {
		if p, ok := c.pos[path]; ok {
			return p
		}
		i := strings.LastIndex(path, sep)
		if i < 0 {
			return Pos{}
		}
		path = path[:i]
	}
}

func (c *checker) oneOf(path, value string, allowed ...string) (ok bool) {
	if slices.Contains(allowed, value) {
		return true
	}
	if near := nearest(value, allowed); near != "" {
		c.bad(path, "unknown value %q, did you mean %q?", value, near)
		return false
	}
	c.bad(path, "unknown value %q (want %s)", value, strings.Join(allowed, ", "))
	return false
}

func (c *checker) server() {
	s := &c.file.Server
	if host, port, err := net.SplitHostPort(s.Listen); err != nil {
		c.bad(join("server", "listen"), "%q is not an address such as 127.0.0.1:20128", s.Listen)
	} else {
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			c.bad(join("server", "listen"), "%q is not a port", port)
		}
		if host != "" && net.ParseIP(host) == nil && strings.ContainsAny(host, " /") {
			c.bad(join("server", "listen"), "%q is not a host", host)
		}
	}
	if c.opt.DataDir != "" {
		s.DataDir = c.opt.DataDir
	}
	if s.DataDir == "" {
		s.DataDir = defaultDataDir(c.env)
	}
	if dir, err := expandHome(s.DataDir, c.env); err != nil {
		c.bad(join("server", "data_dir"), "%v", err)
	} else {
		s.DataDir = dir
	}
	if s.BodyLimit < 1024 {
		c.bad(join("server", "body_limit"), "want at least 1KiB, got %s", s.BodyLimit)
	}
	if p := s.BasePath; p != "" && (!strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/") || strings.ContainsAny(p, " ?#*:")) {
		c.bad(join("server", "base_path"), "want a path such as /gateway, got %q", p)
	}
	if s.BaseURL != "" {
		c.url(join("server", "base_url"), s.BaseURL, "http", "https")
		s.BaseURL = strings.TrimSuffix(s.BaseURL, "/")
	}
	for i, a := range s.TrustedProxies {
		if _, err := netip.ParsePrefix(a); err != nil {
			if _, err := netip.ParseAddr(a); err != nil {
				c.bad(index(join("server", "trusted_proxies"), i), "%q is not an address or a prefix such as 10.0.0.0/8", a)
			}
		}
	}
	for i, o := range s.CORSOrigins {
		if o != "*" {
			c.url(index(join("server", "cors_origins"), i), o, "http", "https")
		}
	}
	if s.ShutdownTimeout <= 0 {
		c.bad(join("server", "shutdown_timeout"), "want more than 0")
	}
}

// defaultDataDir follows the conventions of the platform.
func defaultDataDir(env map[string]string) string {
	if base := env["APPDATA"]; base != "" && runtime.GOOS == "windows" {
		return filepath.Join(base, "omniroute")
	}
	if base := env["XDG_CONFIG_HOME"]; base != "" {
		return filepath.Join(base, "omniroute")
	}
	return "~/.omniroute"
}

func expandHome(path string, env map[string]string) (string, error) {
	if path == "~" || strings.HasPrefix(path, "~/") || strings.HasPrefix(path, `~\`) {
		home := env["HOME"]
		if home == "" {
			var err error
			if home, err = os.UserHomeDir(); err != nil {
				return "", fmt.Errorf("%q: there is no home directory", path)
			}
		}
		path = filepath.Join(home, path[1:])
	}
	return filepath.Abs(path)
}

func (c *checker) auth() {
	a := &c.file.Auth
	c.oneOf(join("auth", "require_keys"), string(a.RequireKeys), "auto", "true", "false")
	if n := len(a.JWTSecret); n > 0 && n < 32 {
		c.bad(join("auth", "jwt_secret"), "want at least 32 characters, got %d", n)
	}
	c.oneOf(join("auth", "store_keys"), a.StoreKeys, "encrypted", "hash")
	if n := len(a.APIKeySecret); n > 0 && n < 16 {
		c.bad(join("auth", "api_key_secret"), "want at least 16 characters, got %d", n)
	}
	names := map[string]int{}
	for i := range a.Keys {
		k := &a.Keys[i]
		path := index(join("auth", "keys"), i)
		if k.Name == "" {
			c.bad(path, "a key needs a name")
		} else if first, dup := names[k.Name]; dup {
			c.bad(join(path, "name"), "the name %q is taken by the key in line %d", k.Name, first)
		}
		names[k.Name] = k.Pos.Line
		switch {
		case k.Key != "" && k.Hash != "":
			c.bad(path, "give key or hash, not both")
		case k.Hash != "":
			if _, ok := keyHash(k); !ok {
				c.bad(join(path, "hash"), "want sha256: and 64 hex digits")
			}
		case k.Key == "" && c.written(join(path, "key")):
			c.warn(path, "the key is empty and is left out")
			k.Enabled = false
		case k.Key == "":
			c.bad(path, "a key needs a key or a hash")
		case len(k.Key) < 8:
			c.bad(join(path, "key"), "want at least 8 characters")
		}
		c.limits(join(path, "limits"), &k.Limits)
	}
	c.duplicates()
}

// duplicates finds keys of the file that are the same under two names.
func (c *checker) duplicates() {
	first := map[[sha256.Size]byte]string{}
	for i := range c.file.Auth.Keys {
		k := &c.file.Auth.Keys[i]
		hash, ok := keyHash(k)
		if !ok {
			continue
		}
		if name, dup := first[hash]; dup {
			c.bad(index(join("auth", "keys"), i), "key %q is the same as key %q", k.Name, name)
			continue
		}
		first[hash] = k.Name
	}
}

// keyHash is what a static key is known by; false if it has none.
func keyHash(k *Key) (sum [sha256.Size]byte, ok bool) {
	if k.Key != "" {
		return sha256.Sum256([]byte(k.Key)), true
	}
	raw, found := strings.CutPrefix(k.Hash, "sha256:")
	b, err := hex.DecodeString(raw)
	if !found || err != nil || len(b) != len(sum) {
		return sum, false
	}
	return [sha256.Size]byte(b), true
}

// written reports whether a value stands in the file or the environment.
func (c *checker) written(path string) bool { _, ok := c.pos[path]; return ok }

func (c *checker) limits(path string, l *KeyLimits) {
	for name, v := range map[string]*float64{"daily_usd": l.DailyUSD, "weekly_usd": l.WeeklyUSD, "monthly_usd": l.MonthlyUSD, "total_usd": l.TotalUSD} {
		if v != nil && *v < 0 {
			c.bad(join(path, name), "want 0 or more")
		}
	}
	for name, v := range map[string]*int64{"rpm": l.RPM, "tpm": l.TPM, "rpd": l.RPD, "concurrency": l.Concurrency} {
		if v != nil && *v < 0 {
			c.bad(join(path, name), "want 0 or more")
		}
	}
	if l.WarnAt != nil && (*l.WarnAt < 0 || *l.WarnAt > 1) {
		c.bad(join(path, "warn_at"), "want a share between 0 and 1")
	}
}

func (c *checker) routing() {
	r := &c.file.Routing
	c.oneOf(join("routing", "strategy"), r.Strategy, "fill-first", "round-robin", "p2c", "random", "least-used", "cost-optimized")
	if r.Ambiguous != "" {
		c.oneOf(join("routing", "ambiguous"), r.Ambiguous, "error", "combo")
	}
	if r.StickyLimit < 1 {
		c.bad(join("routing", "sticky_limit"), "want 1 or more")
	}
	if r.MaxRetries < 0 || r.MaxRetries > 10 {
		c.bad(join("routing", "max_retries"), "want 0 to 10")
	}
}

func (c *checker) provider(path, id string, p *Provider) {
	if strings.ContainsAny(id, "/ \t") {
		c.bad(path, "an id must not hold slashes or blanks")
	}
	if strings.ContainsAny(p.Prefix, "/ \t") {
		c.bad(join(path, "prefix"), "a prefix must not hold slashes or blanks")
	}
	if p.Dialect != "" {
		c.oneOf(join(path, "dialect"), p.Dialect, "openai", "openai-responses", "claude", "gemini", "ollama")
	}
	for i, u := range p.BaseURLs {
		c.url(index(join(path, "base_urls"), i), u, "http", "https")
		p.BaseURLs[i] = strings.TrimSuffix(u, "/")
	}
	if p.ModelsList.URL != "" {
		c.url(join(join(path, "models_list"), "url"), p.ModelsList.URL, "http", "https")
	}
	for name, v := range p.Paths {
		switch at := join(join(path, "paths"), name); {
		case strings.HasPrefix(v, "/"):
		case strings.Contains(v, "://"): // at another server
			c.url(at, v, "http", "https")
		default:
			c.bad(at, "want a path that starts with /, or a URL")
		}
	}
	c.proxy(join(path, "proxy"), p.Proxy)
	c.optional(join(path, "billing"), p.Billing, "metered", "subscription", "free")
	c.optional(join(path, "tier"), p.Tier, "subscription", "cheap", "free", "paid")
	c.optional(join(path, "kind"), p.Kind, "oauth", "apikey", "local")
	c.optional(join(path, "quota_scope"), p.QuotaScope, "account", "model")
	c.optional(join(path, "data_policy"), p.DataPolicy, "zdr", "no-train", "retain", "train")
	c.optional(join(path, "developer_role"), p.DeveloperRole, "keep", "system")
	c.optional(join(path, "default_effort"), p.DefaultEffort, "none", "minimal", "low", "medium", "high", "xhigh")
	c.optional(join(path, "tool_result_mode"), p.ToolResultMode, "text", "native")
	for i, n := range p.SupportedTools {
		if n < 1 {
			c.bad(index(join(path, "supported_tools"), i), "must be positive")
		}
	}
	for name, n := range map[string]*int64{"max_tokens": p.MaxTokens, "context_window": p.ContextWindow} {
		if n != nil && *n < 1 {
			c.bad(join(path, name), "must be positive")
		}
	}
	for name, n := range map[string]*int64{"max_output_tokens_cap": p.MaxOutputTokensCap, "max_short_waits": p.MaxShortWaits} {
		if n != nil && *n < 0 {
			c.bad(join(path, name), "must not be negative")
		}
	}
	for i, tag := range p.ThinkTags {
		if !thinkTag.MatchString(tag) {
			c.bad(index(join(path, "think_tags"), i), "want the name of a tag without its brackets, such as thinking")
		}
	}
	c.accounts(join(path, "accounts"), p)
	ids := map[string]int{}
	for i := range p.Models {
		m := &p.Models[i]
		c.model(index(join(path, "models"), i), m)
		if first, dup := ids[m.ID]; dup && m.ID != "" {
			c.bad(join(index(join(path, "models"), i), "id"), "the id %q is taken by the model in line %d", m.ID, first)
		}
		ids[m.ID] = m.Pos.Line
	}
}

func (c *checker) optional(path, value string, allowed ...string) {
	if value != "" {
		c.oneOf(path, value, allowed...)
	}
}

func (c *checker) accounts(path string, p *Provider) {
	names := map[string]int{}
	for i := range p.Accounts {
		a := &p.Accounts[i]
		item := index(path, i)
		if a.Name == "" {
			c.bad(item, "an account needs a name")
		} else if strings.ContainsAny(a.Name, "/\x00") {
			c.bad(join(item, "name"), "a name must not hold slashes")
		} else if first, dup := names[a.Name]; dup {
			c.bad(join(item, "name"), "the name %q is taken by the account in line %d", a.Name, first)
		}
		names[a.Name] = a.Pos.Line
		if a.Priority < 0 {
			c.bad(join(item, "priority"), "want 1 or more")
		}
		switch {
		case a.APIKey != "" && a.AccessToken != "":
			c.bad(item, "give api_key or access_token, not both")
		case a.APIKey != "" || a.AccessToken != "":
		case c.written(join(item, "api_key")) || c.written(join(item, "access_token")):
			c.warn(item, "the credential is empty, the account is left out")
			a.Enabled = false
		default:
			c.bad(item, "an account needs an api_key (none for servers without keys)")
		}
		c.proxy(join(item, "proxy"), a.Proxy)
		c.optional(join(item, "billing"), a.Billing, "metered", "subscription", "free")
	}
}

func (c *checker) model(path string, m *Model) {
	if m.ID == "" {
		c.bad(path, "a model needs an id")
	}
	for name, v := range map[string]*int64{"context": m.Context, "max_output": m.MaxOutput, "rpm": m.RPM, "tpm": m.TPM} {
		if v != nil && *v < 0 {
			c.bad(join(path, name), "want 0 or more")
		}
	}
	c.optional(join(path, "format"), m.Format, "openai", "openai-responses", "claude", "gemini", "ollama")
	c.optional(join(path, "tier"), m.Tier, "subscription", "cheap", "free", "paid")
	if m.Price != nil {
		c.price(join(path, "price"), m.Price)
	}
}

func (c *checker) price(path string, p *Price) {
	for name, v := range map[string]*float64{
		"input": p.Input, "output": p.Output, "cached": p.Cached, "cache_creation": p.CacheWrite,
		"reasoning": p.Reasoning, "request": p.Request, "image": p.Image,
	} {
		if v != nil && (*v < 0 || *v > 1e6) {
			c.bad(join(path, name), "want USD, 0 or more")
		}
	}
	if p.Long == nil {
		return
	}
	if p.Long.Above <= 0 {
		c.bad(join(join(path, "long_context"), "above"), "want the number of prompt tokens from which the tier holds")
	}
	for name, v := range map[string]*float64{"input": p.Long.Input, "output": p.Long.Output, "cached": p.Long.Cached} {
		if v != nil && (*v < 0 || *v > 1e6) {
			c.bad(join(join(path, "long_context"), name), "want USD, 0 or more")
		}
	}
}

func (c *checker) combos() {
	for _, name := range sortedNames(c.file.Combos) {
		combo := c.file.Combos[name]
		path := join("combos", name)
		for i, m := range combo.Models {
			if m.Model == "" {
				c.bad(index(join(path, "models"), i), "a member needs a model")
			}
			if m.Weight < 0 || m.Weight > 100 {
				c.bad(join(index(join(path, "models"), i), "weight"), "want 0 to 100")
			}
		}
		cfg := combo.Config
		if v := cfg.MaxRetries; v != nil && (*v < 0 || *v > 10) {
			c.bad(join(join(path, "config"), "max_retries"), "want 0 to 10")
		}
		if v := cfg.RetryDelay; v != nil && v.Seconds() > 60 {
			c.bad(join(join(path, "config"), "retry_delay"), "want at most 60s")
		}
		if v := cfg.Timeout; v != nil && (v.Seconds() < 1 || v.Seconds() > 600) {
			c.bad(join(join(path, "config"), "timeout"), "want 1s to 10m")
		}
		if v := cfg.ConcurrencyPerModel; v != nil && (*v < 1 || *v > 1000) {
			c.bad(join(join(path, "config"), "concurrency_per_model"), "want 1 to 1000")
		}
	}
}

func (c *checker) rest() {
	f := c.file
	if !c.oneOf(join(join("plugins", "trust"), "mode"), f.Plugins.Trust.Mode, "warn", "enforce", "dev") {
		f.Plugins.Trust.Mode = "warn"
	}
	for _, p := range []*string{&f.Plugins.Dir, &f.Plugins.Lock} {
		if *p != "" && !filepath.IsAbs(*p) && !strings.HasPrefix(*p, "~") {
			*p = filepath.Join(c.dir, *p)
		}
		if dir, err := expandHome(*p, c.env); err == nil && *p != "" {
			*p = dir
		}
	}
	cache := &f.Plugins.Cache.Dir
	if *cache == "" {
		*cache = filepath.Join(f.Server.DataDir, "wasm-cache")
	} else if dir, err := expandHome(*cache, c.env); err == nil {
		*cache = dir
	}
	c.trust()
	c.proxy(join("upstream", "proxy"), f.Upstream.Proxy)
	c.oneOf(join("logging", "level"), f.Logging.Level, "debug", "info", "warn", "error")
	c.oneOf(join("logging", "format"), f.Logging.Format, "text", "json")
	c.oneOf(join(join("logging", "requests"), "bodies"), f.Logging.Requests.Bodies, "none", "errors", "all")
	c.oneOf(join(join("logging", "requests"), "stages"), f.Logging.Requests.Stages, "none", "errors", "all")
	if f.Logging.Requests.MaxRows < 0 {
		c.bad(join(join("logging", "requests"), "max_rows"), "want 0 or more")
	}
	if f.Telemetry.OTLP.Endpoint != "" {
		c.bad(join(join("telemetry", "otlp"), "endpoint"), "this version does not export traces; leave it empty")
	}
	c.oneOf(join("pricing", "table"), f.Pricing.Table, "list", "seed")
	c.oneOf(join("pricing", "reasoning_mode"), f.Pricing.ReasoningMode, "once", "seed")
	for _, provider := range sortedNames(f.Pricing.Override) {
		for _, model := range sortedNames(f.Pricing.Override[provider]) {
			p := f.Pricing.Override[provider][model]
			c.price(join(join(join("pricing", "override"), provider), model), &p)
		}
	}
	if f.Usage.BufferTokens < 0 {
		c.bad(join("usage", "buffer_tokens"), "want 0 or more")
	}
	if f.Cache.MaxEntries < 0 {
		c.bad(join("cache", "max_entries"), "want 0 or more")
	}
	if k := f.Storage.EncryptionKey; k != "" && len(k) < 43 {
		c.bad(join("storage", "encryption_key"), "want 32 bytes as 64 hex digits or in base64")
	}
}

func (c *checker) proxy(path, value string) {
	if value == "" || value == "direct" {
		return
	}
	c.url(path, value, "http", "https", "socks5", "socks5h")
	if strings.HasPrefix(value, "socks5") && !c.file.Upstream.SOCKS5 {
		c.bad(path, "socks5 proxies are switched off (upstream.socks5)")
	}
}

// url checks a URL. The value is never repeated: it may hold a password.
func (c *checker) url(path, value string, schemes ...string) {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme) {
		c.bad(path, "want a URL that starts with %s://", strings.Join(schemes, ":// or "))
	}
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
