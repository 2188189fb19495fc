package config

import (
	"net/netip"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/omniroute/omniroute/core/fault"
)

// Pos is where something was written. File is empty for defaults and the name
// of the variable for values from the environment.
type Pos struct {
	File         string
	Line, Column int
}

// Size is a number of bytes, written 64MiB, 10MB, 512k or as a plain number.
type Size int64

// File is what the operator typed, with defaults filled in. It is shared and
// must not be changed. Values of maps carry the place they were written at.
type File struct {
	Server    Server              `yaml:"server"`
	Auth      Auth                `yaml:"auth"`
	Routing   Routing             `yaml:"routing"`
	Providers map[string]Provider `yaml:"providers"`
	// Aliases: their Pos gives the order of the file, which decides ties
	// between wildcards.
	Aliases map[string]Alias `yaml:"aliases"`
	Combos  map[string]Combo `yaml:"combos"`
	// FallbackChains are stand-ins by model name or pattern.
	FallbackChains map[string][]ChainLink `yaml:"fallback_chains"`
	ThinkingBudget ThinkingBudget         `yaml:"thinking_budget"`
	SystemPrompt   SystemPrompt           `yaml:"system_prompt"`
	IPFilter       IPFilter               `yaml:"ip_filter"`
	Guard          Guard                  `yaml:"guard"`
	Plugins        Plugins                `yaml:"plugins"`
	Upstream       Upstream               `yaml:"upstream"`
	Logging        Logging                `yaml:"logging"`
	Telemetry      Telemetry              `yaml:"telemetry"`
	Pricing        Pricing                `yaml:"pricing"`
	Usage          Usage                  `yaml:"usage"`
	Cache          Cache                  `yaml:"cache"`
	Storage        Storage                `yaml:"storage"`
	OAuth          OAuth                  `yaml:"oauth"`

	sources map[string][]byte
	pos     map[string]Pos
}

// Place tells where a key was written, like Place("routing", "default_provider").
// It is the zero Pos for defaults.
func (f *File) Place(keys ...string) Pos {
	if f == nil {
		return Pos{}
	}
	return f.pos[strings.Join(keys, sep)]
}

// At makes a diagnostic for a place in the configuration, with its excerpt.
func (f *File) At(p Pos, message string) fault.Diagnostic {
	if f == nil {
		return fault.Diagnostic{File: p.File, Line: p.Line, Column: p.Column, Message: message}
	}
	return fault.At(p.File, f.sources[p.File], p.Line, p.Column, message)
}

// Server is the listener and its limits.
type Server struct {
	Listen          string        `yaml:"listen"`    // host:port
	DataDir         string        `yaml:"data_dir"`  // absolute after loading
	BaseURL         string        `yaml:"base_url"`  // public URL; "" = derived from Listen
	BasePath        string        `yaml:"base_path"` // "" or "/prefix", no slash at the end
	BodyLimit       Size          `yaml:"body_limit"`
	TrustedProxies  []string      `yaml:"trusted_proxies"` // addresses and prefixes
	RealIPHeaders   []string      `yaml:"real_ip_headers"` // fields of trusted proxies that name the client: cf-connecting-ip, x-real-ip
	CORSOrigins     []string      `yaml:"cors_origins"`    // "*" or origins; empty = no CORS headers
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout"`
	InstanceName    string        `yaml:"instance_name"`
	PublicOpenAPI   bool          `yaml:"public_openapi"` // shows the description of the management API without a login
}

// Loopback reports whether only this machine can reach the listener.
func (s *Server) Loopback() bool {
	ap, err := netip.ParseAddrPort(s.Listen)
	if err == nil {
		return ap.Addr().IsLoopback()
	}
	return strings.HasPrefix(s.Listen, "localhost:")
}

// RequireKeys says when /v1 asks for a client key.
type RequireKeys string

const (
	RequireAuto  RequireKeys = "auto" // as soon as the listener is not loopback
	RequireTrue  RequireKeys = "true"
	RequireFalse RequireKeys = "false"
)

// Auth is about client keys.
type Auth struct {
	RequireKeys      RequireKeys `yaml:"require_keys"`
	Keys             []Key       `yaml:"keys"`
	APIKeySecret     string      `yaml:"api_key_secret"` // "" = kept in the data directory
	MachineIDSalt    string      `yaml:"machine_id_salt"`
	AcceptLegacyKeys bool        `yaml:"accept_legacy_keys"`
	StoreKeys        string      `yaml:"store_keys"` // encrypted | hash

	JWTSecret          string `yaml:"jwt_secret"`           // signs dashboard sessions; "" = kept in the data directory
	InitialPassword    string `yaml:"initial_password"`     // becomes the dashboard's password if there is none
	CookieSecure       bool   `yaml:"cookie_secure"`        // session cookies over HTTPS only, whatever the gateway sees
	AllowOpenDashboard bool   `yaml:"allow_open_dashboard"` // the login may be switched off while listening beyond this machine
}

// Key is a static client key. Exactly one of Key and Hash is set.
type Key struct {
	Pos       Pos               `yaml:"-"`
	Name      string            `yaml:"name"` // also its id: "file:<name>"
	Key       string            `yaml:"key"`
	Hash      string            `yaml:"hash"` // sha256:<64 hex> of the key
	Models    []string          `yaml:"models"`
	Providers []string          `yaml:"providers"`
	Scopes    []string          `yaml:"scopes"`
	Team      string            `yaml:"team"`
	Tags      []string          `yaml:"tags"`
	Meta      map[string]string `yaml:"meta"`
	Limits    KeyLimits         `yaml:"limits"`
	Expires   time.Time         `yaml:"expires"` // zero = never
	NoLog     bool              `yaml:"no_log"`
	Sanitize  *bool             `yaml:"sanitize"` // false: answers pass as the provider wrote them
	Enabled   bool              `yaml:"enabled" default:"true"`
}

// KeyLimits are limits of one key; nil = unlimited, 0 = nothing allowed.
type KeyLimits struct {
	DailyUSD    *float64 `yaml:"daily_usd"`
	WeeklyUSD   *float64 `yaml:"weekly_usd"`
	MonthlyUSD  *float64 `yaml:"monthly_usd"`
	TotalUSD    *float64 `yaml:"total_usd"`
	WarnAt      *float64 `yaml:"warn_at"` // 0..1
	RPM         *int64   `yaml:"rpm"`
	TPM         *int64   `yaml:"tpm"`
	RPD         *int64   `yaml:"rpd"`
	Concurrency *int64   `yaml:"concurrency"`
}

// Routing holds the settings that preset rules read as cfg.*.
type Routing struct {
	// DefaultProvider takes bare model names nobody offers; "" = model not found.
	DefaultProvider string `yaml:"default_provider"`
	// Ambiguous says what a bare name offered by several providers means:
	// error or combo; "" = combo, or error under the classic preset.
	Ambiguous string `yaml:"ambiguous"`
	// Strategy of account selection: fill-first, round-robin, p2c, random,
	// least-used, cost-optimized.
	Strategy    string        `yaml:"strategy"`
	StickyLimit int           `yaml:"sticky_limit"`
	MaxRetries  int           `yaml:"max_retries"`
	RetryDelay  time.Duration `yaml:"retry_delay"`
	// PanicMode lets a request whose every target has an open breaker through to
	// the one that failed the longest ago.
	PanicMode bool `yaml:"panic_mode" default:"true"`
}

// Provider overrides a known provider or, with an id nobody knows and a
// dialect, defines a compatible node. Nil and empty fields change nothing.
type Provider struct {
	Pos          Pos               `yaml:"-"`
	Name         string            `yaml:"name"`
	Dialect      string            `yaml:"dialect"` // openai | openai-responses | claude | gemini | ollama
	Prefix       string            `yaml:"prefix"`  // what stands before "/" in model names; default the id
	Executor     string            `yaml:"executor"`
	BaseURLs     []string          `yaml:"base_urls"`
	Paths        map[string]string `yaml:"paths"`
	Headers      map[string]string `yaml:"headers"` // "" removes
	Enabled      *bool             `yaml:"enabled"`
	AllowPrivate *bool             `yaml:"allow_private"`
	Proxy        string            `yaml:"proxy"` // URL, or "direct"
	Timeouts     Timeouts          `yaml:"timeouts"`
	Billing      string            `yaml:"billing"` // metered | subscription | free
	Tier         string            `yaml:"tier"`    // subscription | cheap | free | paid
	Kind         string            `yaml:"kind"`    // failure profile: oauth | apikey | local
	QuotaScope   string            `yaml:"quota_scope"`
	Region       string            `yaml:"region"`
	DataPolicy   string            `yaml:"data_policy"` // zdr | no-train | retain | train
	// DeveloperRole says what becomes of developer messages of chat clients:
	// keep, or system for upstreams that do not know the role. "" = as is known
	// of the provider; system for a compatible server.
	DeveloperRole string            `yaml:"developer_role"`
	Tags          []string          `yaml:"tags"`
	Meta          map[string]string `yaml:"meta"`
	Passthrough   *bool             `yaml:"passthrough_models"`
	Sanitize      *bool             `yaml:"sanitize"` // true: answers for chat clients have that API's fields only, think tags are split off
	// ThinkTags are the names of the tags that its models put around reasoning in
	// their text; empty = think. ThinkPrefilled: its prompts end with the start tag,
	// so that answers begin as reasoning.
	ThinkTags      []string `yaml:"think_tags"`
	ThinkPrefilled bool     `yaml:"think_prefilled"`
	Cooling        *bool    `yaml:"cooling"` // false: transient failures never cool its accounts
	// What executors of particular providers ask for. Codex: the instructions and
	// the reasoning effort of requests without; Antigravity: the first part of the
	// system instruction, the most output tokens of a Gemini model, and how often a
	// host is waited for.
	DefaultInstructions string     `yaml:"default_instructions"`
	DefaultEffort       string     `yaml:"default_effort"`
	DefaultSystem       string     `yaml:"default_system"`
	MaxOutputTokensCap  *int64     `yaml:"max_output_tokens_cap"` // 0 = no cap
	MaxShortWaits       *int64     `yaml:"max_short_waits"`
	ClientVersion       string     `yaml:"client_version"`
	SupportedTools      []int64    `yaml:"supported_tools"`
	ToolResultMode      string     `yaml:"tool_result_mode"` // text | native
	MaxTokens           *int64     `yaml:"max_tokens"`
	ContextWindow       *int64     `yaml:"context_window"`
	ModelsList          ModelsList `yaml:"models_list"`
	Accounts            []Account  `yaml:"accounts"`
	Models              []Model    `yaml:"models"`
	// Own are the provider's own rules, by hook.
	Own map[string]Rules `yaml:"-"`
}

// ModelsList is where a provider lists its models.
type ModelsList struct {
	URL string `yaml:"url"`
}

// Account is one credential of a provider.
type Account struct {
	Pos         Pos      `yaml:"-"`
	Name        string   `yaml:"name"`
	APIKey      string   `yaml:"api_key"`
	AccessToken string   `yaml:"access_token"`
	Priority    int      `yaml:"priority"` // 1 first; 0 = order of the file
	Proxy       string   `yaml:"proxy"`
	Enabled     bool     `yaml:"enabled" default:"true"`
	Models      []string `yaml:"models"`         // globs; empty = all
	Exclude     []string `yaml:"exclude_models"` // globs
	Tags        []string `yaml:"tags"`
	Plan        string   `yaml:"plan"`
	Billing     string   `yaml:"billing"`
	Cooling     *bool    `yaml:"cooling"`
	// QuotaPolicy keeps back a part of the account's quotas: by window, the
	// percentage that must be left; "*" for windows that are not named.
	QuotaPolicy map[string]float64 `yaml:"quota_policy"`
	Data        map[string]string  `yaml:"data"` // what the provider's executor wants beside the secret
	// Own are the account's own rules, by hook.
	Own map[string]Rules `yaml:"-"`
}

// Model adds a model to a provider or overrides fields of a known one.
type Model struct {
	Pos        Pos      `yaml:"-"`
	ID         string   `yaml:"id"`
	Name       string   `yaml:"name"`
	UpstreamID string   `yaml:"upstream_id"`
	Context    *int64   `yaml:"context"`
	MaxOutput  *int64   `yaml:"max_output"`
	Tools      *bool    `yaml:"tools"`
	Images     *bool    `yaml:"images"`
	JSONSchema *bool    `yaml:"json_schema"`
	Reasoning  *bool    `yaml:"reasoning"`
	Audio      *bool    `yaml:"audio"`
	Files      *bool    `yaml:"files"`
	Temp       *bool    `yaml:"temperature"`
	Format     string   `yaml:"format"`
	Hidden     *bool    `yaml:"hidden"`
	Tags       []string `yaml:"tags"`
	Tier       string   `yaml:"tier"`
	Quant      string   `yaml:"quant"`
	RPM        *int64   `yaml:"rpm"`
	TPM        *int64   `yaml:"tpm"`
	Price      *Price   `yaml:"price"`
}

// Price is in USD per million tokens; nil = not given.
type Price struct {
	Input      *float64  `yaml:"input"`
	Output     *float64  `yaml:"output"`
	Cached     *float64  `yaml:"cached"`
	CacheWrite *float64  `yaml:"cache_creation"`
	Reasoning  *float64  `yaml:"reasoning"`
	Request    *float64  `yaml:"request"` // USD per request
	Image      *float64  `yaml:"image"`   // USD per image
	Long       *LongTier `yaml:"long_context"`
}

// LongTier replaces prices when the prompt is longer than Above tokens.
type LongTier struct {
	Above  int64    `yaml:"above"`
	Input  *float64 `yaml:"input"`
	Output *float64 `yaml:"output"`
	Cached *float64 `yaml:"cached"`
}

// Alias is another name for a model, an alias or a combo. In the file it is
// the target alone or a mapping.
type Alias struct {
	Pos    Pos            `yaml:"-"`
	Target string         `yaml:"target"`
	Set    map[string]any `yaml:"set"` // request fields given when the client left them out
	Tags   []string       `yaml:"tags"`
}

// Combo is a named list of targets.
type Combo struct {
	Pos      Pos           `yaml:"-"`
	Strategy string        `yaml:"strategy"`
	Models   []ComboMember `yaml:"models"`
	Enabled  bool          `yaml:"enabled" default:"true"`
	Tags     []string      `yaml:"tags"`
	Config   ComboConfig   `yaml:"config"`
	// Own are the combo's own rules, by hook.
	Own map[string]Rules `yaml:"-"`
}

// ComboMember is "provider/model", a model name, another combo, or a mapping.
type ComboMember struct {
	Pos    Pos     `yaml:"-"`
	Model  string  `yaml:"model"`
	Weight float64 `yaml:"weight"`
}

// ComboConfig overrides the defaults of the attempt loop for one combo.
type ComboConfig struct {
	MaxRetries          *int           `yaml:"max_retries"`
	RetryDelay          *time.Duration `yaml:"retry_delay"`
	Timeout             *time.Duration `yaml:"timeout"`
	ConcurrencyPerModel *int           `yaml:"concurrency_per_model"`
	QueueTimeout        *time.Duration `yaml:"queue_timeout"`
}

// Plugins says where plugin files are and whom to trust.
type Plugins struct {
	Dir        string                `yaml:"dir"`
	Lock       string                `yaml:"lock"`
	Trust      Trust                 `yaml:"trust"`
	Cache      PluginCache           `yaml:"cache"`
	ModuleSize Size                  `yaml:"module_size"` // of a plugin file
	Limits     PluginLimits          `yaml:"limits"`
	Items      map[string]PluginItem `yaml:"items"`   // by plugin name
	Indexes    []PluginIndex         `yaml:"indexes"` // of plugins to install; only commands read them
}

// PluginCache is where compiled modules are kept.
type PluginCache struct {
	Dir string `yaml:"dir"` // absolute; "" = <data_dir>/wasm-cache
	Max Size   `yaml:"max"` // 0 = 512MiB
}

// PluginItem is about one plugin.
type PluginItem struct {
	Pos      Pos            `yaml:"-"`
	Enabled  bool           `yaml:"enabled" default:"true"`
	Priority int            `yaml:"priority"` // the higher one serves a part both have
	Config   map[string]any `yaml:"config"`   // checked against the plugin's schema

	Required bool   `yaml:"required"` // without it the gateway does not start
	Grants   Grants `yaml:"grants"`   // beyond what the lock file has

	Limits    PluginLimits `yaml:"limits"`
	Isolation string       `yaml:"isolation"`              // shared | stream | call; "" = what manifest and trust come to
	Metered   bool         `yaml:"metered" default:"true"` // false runs it as it is: it can then not be stopped
}

// Upstream is how providers are reached.
type Upstream struct {
	Proxy    string   `yaml:"proxy"`    // http://, https:// or socks5:// URL; "" = direct
	NoProxy  []string `yaml:"no_proxy"` // host names and suffixes reached directly
	SOCKS5   bool     `yaml:"socks5"`   // false refuses socks5 proxies
	Timeouts Timeouts `yaml:"timeouts"`
}

// Timeouts are the clocks of one upstream request; 0 = the default of the policy.
type Timeouts struct {
	Connect    time.Duration `yaml:"connect"`
	Headers    time.Duration `yaml:"headers"`
	FirstEvent time.Duration `yaml:"first_event"`
	Idle       time.Duration `yaml:"idle"`
	Total      time.Duration `yaml:"total"`
	Heartbeat  time.Duration `yaml:"heartbeat"`
}

// Logging is the log and the request log.
type Logging struct {
	Level    string         `yaml:"level"`  // debug | info | warn | error
	Format   string         `yaml:"format"` // text | json
	Requests RequestLogging `yaml:"requests"`
	Audit    AuditLogging   `yaml:"audit"`
}

// RequestLogging is what is kept of every request.
type RequestLogging struct {
	Bodies    string        `yaml:"bodies"`    // none | errors | all
	Retention time.Duration `yaml:"retention"` // age
	MaxSize   Size          `yaml:"max_size"`  // bytes of all rows together
	MaxRows   int64         `yaml:"max_rows"`  // 0 = no bound by number
	// Stages keeps what requests looked like on their way, as files below
	// captures/: none | errors | all.
	Stages          string        `yaml:"stages"`
	StagesRetention time.Duration `yaml:"stages_retention"`
	StagesMaxSize   Size          `yaml:"stages_max_size"` // bytes of all files together
	// File also gets one line per request; it is rotated at FileMaxSize. "" = none.
	File        string `yaml:"file"`
	FileMaxSize Size   `yaml:"file_max_size"`
}

// AuditLogging is about the audit log.
type AuditLogging struct {
	Retention time.Duration `yaml:"retention"` // age
}

// Telemetry is what others can read.
type Telemetry struct {
	Prometheus Prometheus `yaml:"prometheus"`
	OTLP       OTLP       `yaml:"otlp"`
}

// Prometheus is the /metrics endpoint.
type Prometheus struct {
	Enabled bool `yaml:"enabled"`
}

// OTLP is the OpenTelemetry exporter; "" = off.
type OTLP struct {
	Endpoint string `yaml:"endpoint"`
}

// Pricing chooses among the known prices and overrides single ones.
type Pricing struct {
	Table         string                      `yaml:"table"`          // list | seed
	ReasoningMode string                      `yaml:"reasoning_mode"` // once | seed
	Override      map[string]map[string]Price `yaml:"override"`       // provider -> model -> price
}

// Usage is about token counts shown to clients, and about the quotas that
// providers tell.
type Usage struct {
	BufferTokens int64               `yaml:"buffer_tokens"`
	APIs         map[string]UsageAPI `yaml:",inline"` // by provider
}

// Cache bounds the response cache; whether it is used is a policy.
type Cache struct {
	MaxBytes   Size          `yaml:"max_bytes"`
	MaxEntries int           `yaml:"max_entries"`
	MaxEntry   Size          `yaml:"max_entry"`
	TTL        time.Duration `yaml:"ttl"`
	// Coalesce lets cacheable requests that are alike and run at the same time
	// share one upstream call: off | plain (whole answers) | all (streams too).
	Coalesce string `yaml:"coalesce"`
	// Disk keeps answers in the data directory as well.
	Disk bool `yaml:"disk"`
}

// Storage is about the data directory.
type Storage struct {
	EncryptionKey string `yaml:"encryption_key"` // 32 bytes in hex or base64; "" = kept in the data directory
}

// PolicySource is one layer of policy text with its positions.
type PolicySource struct {
	File string
	Data []byte
	// Node is the mapping below "policies"; nil when the key is absent. For the
	// rules of an entity it is a mapping of hooks made of what the entity holds.
	Node *yaml.Node
	// Included is false for omniroute.yaml itself.
	Included bool
	// Account ("provider/name"), Combo or Provider is the entity whose own rules
	// these are; all are "" for global rules.
	Account, Combo, Provider string
}

// Rules are rules of one hook in the block of an account, a combo or a provider.
// They are kept as written, without variables filled in; see [Snapshot.Policies].
type Rules struct {
	Pos  Pos
	Node *yaml.Node // the list of rules
}
