package policy

// The structs below are what expressions can see. Conventions: an unknown
// number is -1, an unknown text is "", times are distances or ages in
// milliseconds (never absolute), money is USD, and a pointer is used only where
// nil means "not given". The constructors (NewReq, NewTarget …) start from the
// unknown values, so that a caller only sets what it knows.

// Req is the client's request.
type Req struct {
	ID            string            `expr:"id" doc:"request id; seeds rand()"`
	Endpoint      string            `expr:"endpoint" doc:"chat, responses, messages, gemini, embeddings, images, audio, rerank, moderations or count_tokens"`
	Path          string            `expr:"path" doc:"URL path of the request"`
	Format        string            `expr:"format" doc:"dialect of the client: openai, openai-responses, claude, gemini …"`
	Model         string            `expr:"model" doc:"model as requested; rewrite rules see the result of earlier ones"`
	Stream        bool              `expr:"stream" doc:"the client asked for a stream"`
	Headers       map[string]string `expr:"headers" doc:"request headers, names in lower case"`
	Meta          map[string]string `expr:"meta" doc:"metadata object of the body"`
	Tags          []string          `expr:"tags" doc:"tags from the x-omniroute-tags header, the key, model suffixes and gate rules"`
	User          string            `expr:"user" doc:"end-user id given in the body"`
	UserAgent     string            `expr:"user_agent" doc:"User-Agent header"`
	Client        string            `expr:"client" doc:"recognised client: claude-cli, codex, cursor, cline, openai-sdk … or empty"`
	IP            string            `expr:"ip" doc:"client address after trusted proxies"`
	TokensIn      int               `expr:"tokens_in" doc:"estimated input tokens"`
	MaxTokens     int               `expr:"max_tokens" doc:"output limit asked for; 0 = none given"`
	Messages      int               `expr:"messages" doc:"number of messages"`
	Tools         int               `expr:"tools" doc:"number of tools offered"`
	ToolNames     []string          `expr:"tool_names" doc:"names of the tools offered"`
	Images        int               `expr:"images" doc:"number of images in the input"`
	Files         int               `expr:"files" doc:"number of files in the input"`
	Audio         bool              `expr:"audio" doc:"the input has audio"`
	HasSystem     bool              `expr:"has_system" doc:"the request carries a system prompt"`
	FirstText     string            `expr:"first_text" doc:"text of the first message (up to 64 KiB)"`
	UserText      string            `expr:"user_text" doc:"all text of user messages (up to 64 KiB)"`
	LastRole      string            `expr:"last_role" doc:"role of the last message"`
	LastText      string            `expr:"last_text" doc:"text of the last message (up to 64 KiB)"`
	LastUserText  string            `expr:"last_user_text" doc:"text of the last user message (up to 64 KiB)"`
	LastUserChars int               `expr:"last_user_chars" doc:"length of the last user message in characters"`
	Temperature   *float64          `expr:"temperature" doc:"sampling temperature; nil when absent, so write req.temperature ?? 1"`
	TopP          *float64          `expr:"top_p" doc:"nucleus sampling; nil when absent"`
	N             int               `expr:"n" doc:"number of answers asked for"`
	JSONMode      string            `expr:"json_mode" doc:"empty, object or schema"`
	Thinking      Thinking          `expr:"thinking" doc:"what the client asked of the model's reasoning"`
	Session       string            `expr:"session" doc:"fingerprint of the conversation"`
	Turn          int               `expr:"turn" doc:"turn of the conversation, from 1"`
	Body          map[string]any    `expr:"body" doc:"read-only view of the client's body"`
}

// Thinking is the reasoning a client asked for.
type Thinking struct {
	Requested bool   `expr:"requested" doc:"the client asked for reasoning"`
	Effort    string `expr:"effort" doc:"level asked for, or empty"`
	Budget    int    `expr:"budget" doc:"token budget asked for; 0 = none given"`
}

// NewReq returns a request with everything unknown.
func NewReq() *Req { return &Req{N: 1} }

// Key is the client key of the request.
type Key struct {
	ID             string         `expr:"id" doc:"key id"`
	Name           string         `expr:"name" doc:"name given by the operator"`
	Known          bool           `expr:"known" doc:"a key record was found (false in open local mode)"`
	Team           string         `expr:"team" doc:"team of the key"`
	Tags           []string       `expr:"tags" doc:"tags of the key"`
	Meta           map[string]any `expr:"meta" doc:"free metadata of the key"`
	Models         []string       `expr:"models" doc:"model globs this key may use; empty = all"`
	NoLog          bool           `expr:"no_log" doc:"nothing of this key's content may be logged"`
	AgeDays        float64        `expr:"age_days" doc:"age of the key in days"`
	ExpiresInMS    int            `expr:"expires_in_ms" doc:"time to expiry; -1 = never"`
	Limits         KeyLimits      `expr:"limits" doc:"limits configured for the key"`
	SpendDay       float64        `expr:"spend_day" doc:"USD spent today"`
	SpendWeek      float64        `expr:"spend_week" doc:"USD spent this week"`
	SpendMonth     float64        `expr:"spend_month" doc:"USD spent this month"`
	SpendTotal     float64        `expr:"spend_total" doc:"USD spent since creation"`
	ReservedUSD    float64        `expr:"reserved_usd" doc:"USD reserved by running requests"`
	RequestsMinute int            `expr:"requests_minute" doc:"requests in the last minute"`
	RequestsDay    int            `expr:"requests_day" doc:"requests today"`
	TokensMinute   int            `expr:"tokens_minute" doc:"tokens in the last minute"`
	TokensDay      int            `expr:"tokens_day" doc:"tokens today"`
	Inflight       int            `expr:"inflight" doc:"requests running now"`
}

// KeyLimits are the limits of a client key; -1 = unlimited.
type KeyLimits struct {
	DailyUSD   float64 `expr:"daily_usd" doc:"USD a day; -1 = unlimited"`
	WeeklyUSD  float64 `expr:"weekly_usd" doc:"USD a week; -1 = unlimited"`
	MonthlyUSD float64 `expr:"monthly_usd" doc:"USD a month; -1 = unlimited"`
	TotalUSD   float64 `expr:"total_usd" doc:"USD in all; -1 = unlimited"`
	WarnAt     float64 `expr:"warn_at" doc:"share of a limit at which to warn"`
	RPM        int     `expr:"rpm" doc:"requests a minute; -1 = unlimited"`
	TPM        int     `expr:"tpm" doc:"tokens a minute; -1 = unlimited"`
	RPD        int     `expr:"rpd" doc:"requests a day; -1 = unlimited"`
}

// NewKey returns a key without any limit.
func NewKey() *Key {
	return &Key{ExpiresInMS: -1, Limits: KeyLimits{DailyUSD: -1, WeeklyUSD: -1, MonthlyUSD: -1, TotalUSD: -1, WarnAt: 0.8, RPM: -1, TPM: -1, RPD: -1}}
}

// Clock is the wall clock in the time zone of the policy set (policies.tz).
type Clock struct {
	UnixMS  int    `expr:"unix_ms" doc:"milliseconds since 1970"`
	Hour    int    `expr:"hour" doc:"hour, 0-23"`
	Minute  int    `expr:"minute" doc:"minute, 0-59"`
	Weekday int    `expr:"weekday" doc:"1 = Monday … 7 = Sunday"`
	Day     int    `expr:"day" doc:"day of the month"`
	Date    string `expr:"date" doc:"like 2026-02-18"`
	HHMM    string `expr:"hhmm" doc:"like 21:30"`
}

// Sys is the state of the gateway process.
type Sys struct {
	Inflight int     `expr:"inflight" doc:"requests running now"`
	LoadPct  float64 `expr:"load_pct" doc:"processor time this process used in the last second, in percent of what it may use"`
	Draining bool    `expr:"draining" doc:"the process is going down"`
	Version  string  `expr:"version" doc:"version of the gateway"`
}

// Cfg holds the settings of the admin UI which preset rules read.
type Cfg struct {
	Strategy      string   `expr:"strategy" doc:"account strategy: fill-first, round-robin, p2c, random, least-used or cost-optimized"`
	StickyLimit   int      `expr:"sticky_limit" doc:"requests in a row on one account with round-robin"`
	MaxRetries    int      `expr:"max_retries" doc:"retries of a target after its accounts are exhausted"`
	RetryDelayMS  int      `expr:"retry_delay_ms" doc:"wait before such a retry"`
	ThinkingMode  string   `expr:"thinking_mode" doc:"passthrough, auto, custom or adaptive"`
	Effort        string   `expr:"effort" doc:"effort level of adaptive thinking"`
	CustomBudget  int      `expr:"custom_budget" doc:"token budget of custom thinking"`
	IPMode        string   `expr:"ip_mode" doc:"off, blacklist, whitelist or whitelist-priority"`
	IPAllow       []string `expr:"ip_allow" doc:"allowed addresses, CIDR ranges or 192.168.*.* patterns"`
	IPBlock       []string `expr:"ip_block" doc:"blocked addresses, same forms"`
	SystemEnabled bool     `expr:"system_enabled" doc:"the global system prompt is on"`
	SystemPrompt  string   `expr:"system_prompt" doc:"text of the global system prompt"`
}

// NewCfg returns the settings of an untouched installation.
func NewCfg() *Cfg {
	return &Cfg{Strategy: "fill-first", StickyLimit: 3, MaxRetries: 1, RetryDelayMS: 2000, ThinkingMode: "passthrough", Effort: "medium", CustomBudget: 10240, IPMode: "off"}
}

// Guard is the result of the input guard.
type Guard struct {
	Hits     []string `expr:"hits" doc:"names of the patterns found"`
	Severity string   `expr:"severity" doc:"highest severity found: empty, low, medium or high"`
}

// Combo is the combo the request was resolved to.
type Combo struct {
	Name     string `expr:"name" doc:"combo name; empty outside a combo"`
	Strategy string `expr:"strategy" doc:"strategy of the combo"`
	Counter  int    `expr:"counter" doc:"round-robin counter of the combo"`
	Size     int    `expr:"size" doc:"number of targets in the combo"`
}

// Target is one provider and model a request may be sent to.
type Target struct {
	ID            string            `expr:"id" doc:"provider/model"`
	Provider      string            `expr:"provider" doc:"provider id"`
	Model         string            `expr:"model" doc:"upstream model id"`
	Position      int               `expr:"position" doc:"index in the expanded list"`
	Weight        float64           `expr:"weight" doc:"weight given in the combo"`
	Auth          string            `expr:"auth" doc:"oauth, apikey or none"`
	Tags          []string          `expr:"tags" doc:"tags of the target"`
	Meta          map[string]string `expr:"meta" doc:"free metadata of the target"`
	Region        string            `expr:"region" doc:"region of the endpoint"`
	Tier          string            `expr:"tier" doc:"subscription, cheap, free or paid"`
	DataPolicy    string            `expr:"data_policy" doc:"zdr, no-train, retain, train or empty"`
	Quant         string            `expr:"quant" doc:"quantisation of the served weights"`
	Context       int               `expr:"context" doc:"context window in tokens; 0 = unknown"`
	MaxOutput     int               `expr:"max_output" doc:"output limit in tokens; 0 = unknown"`
	Caps          Caps              `expr:"caps" doc:"what the model can do"`
	Price         Price             `expr:"price" doc:"list price"`
	EstCost       float64           `expr:"est_cost" doc:"estimated USD for this request; -1 = unknown"`
	TPM           int               `expr:"tpm" doc:"known tokens-a-minute limit of the provider; -1 = unknown"`
	RPM           int               `expr:"rpm" doc:"known requests-a-minute limit of the provider; -1 = unknown"`
	Stats         Stats             `expr:"stats" doc:"recent measurements"`
	Breaker       string            `expr:"breaker" doc:"closed, half_open or open"`
	Cooling       bool              `expr:"cooling" doc:"every eligible account is cooling or locked for this model"`
	CooldownMS    int               `expr:"cooldown_ms" doc:"time until the first account is ready again"`
	AccountsReady int               `expr:"accounts_ready" doc:"accounts that could be used now"`
	AccountsTotal int               `expr:"accounts_total" doc:"accounts of the provider"`
	QuotaLeft     float64           `expr:"quota_left" doc:"percent of quota left on the best account; -1 = unknown"`
	QuotaResetMS  int               `expr:"quota_reset_ms" doc:"time until that quota resets; -1 = unknown"`
	SpendDay      float64           `expr:"spend_day" doc:"USD spent on the target today"`
	SpendMonth    float64           `expr:"spend_month" doc:"USD spent on the target this month"`
	LastGood      bool              `expr:"last_good" doc:"the last success of this combo was on this target"`
}

// Caps are the abilities of a model.
type Caps struct {
	Vision     bool `expr:"vision" doc:"image input"`
	Tools      bool `expr:"tools" doc:"tool use"`
	JSONSchema bool `expr:"json_schema" doc:"output bound to a JSON schema"`
	Thinking   bool `expr:"thinking" doc:"reasoning"`
	Audio      bool `expr:"audio" doc:"audio input"`
	Files      bool `expr:"files" doc:"file input"`
}

// Price is a list price in USD per million tokens.
type Price struct {
	Known  bool    `expr:"known" doc:"the price is known"`
	Input  float64 `expr:"input" doc:"USD per million input tokens"`
	Output float64 `expr:"output" doc:"USD per million output tokens"`
	Cached float64 `expr:"cached" doc:"USD per million cached input tokens"`
}

// Stats are recent measurements of a target.
type Stats struct {
	Requests       int     `expr:"requests" doc:"requests in the last 10 minutes"`
	RequestsMinute int     `expr:"requests_minute" doc:"requests in the last minute"`
	TokensMinute   int     `expr:"tokens_minute" doc:"tokens in the last minute"`
	Inflight       int     `expr:"inflight" doc:"requests running now"`
	Errors30s      int     `expr:"errors_30s" doc:"failures in the last 30 seconds"`
	SuccessRate    float64 `expr:"success_rate" doc:"share of successes, 0-1; -1 = unknown"`
	P50MS          float64 `expr:"p50_ms" doc:"median latency; -1 = unknown"`
	P95MS          float64 `expr:"p95_ms" doc:"95th percentile latency; -1 = unknown"`
	TTFTMS         float64 `expr:"ttft_ms" doc:"time to first token; -1 = unknown"`
	TPS            float64 `expr:"tps" doc:"output tokens a second; -1 = unknown"`
	LastOKMS       int     `expr:"last_ok_ms" doc:"age of the last success; -1 = never"`
}

// NewTarget returns a usable target about which nothing else is known.
func NewTarget() *Target {
	return &Target{
		Auth: "apikey", Breaker: "closed", AccountsReady: 1, AccountsTotal: 1, Caps: Caps{Tools: true},
		EstCost: -1, TPM: -1, RPM: -1, QuotaLeft: -1, QuotaResetMS: -1,
		Stats: Stats{SuccessRate: -1, P50MS: -1, P95MS: -1, TTFTMS: -1, TPS: -1, LastOKMS: -1},
	}
}

// Attempt is the progress of the attempt loop.
type Attempt struct {
	N            int      `expr:"n" doc:"number of this attempt, from 1"`
	Same         int      `expr:"same" doc:"repeats on this target so far"`
	AccountsLeft int      `expr:"accounts_left" doc:"accounts of this target not tried yet"`
	TargetsLeft  int      `expr:"targets_left" doc:"targets after this one"`
	ElapsedMS    int      `expr:"elapsed_ms" doc:"time since the request arrived"`
	Tried        []string `expr:"tried" doc:"ids of targets already tried"`
}

// Profile is the failure profile of a target's provider.
type Profile struct {
	Kind             string `expr:"kind" doc:"oauth, apikey or local"`
	TransientMS      int    `expr:"transient_ms" doc:"base cooldown after a transient failure"`
	RateLimitMS      int    `expr:"rate_limit_ms" doc:"base cooldown after a rate limit without a hint"`
	MaxBackoff       int    `expr:"max_backoff" doc:"highest backoff level"`
	BreakerThreshold int    `expr:"breaker_threshold" doc:"consecutive failures that open the breaker"`
	BreakerResetMS   int    `expr:"breaker_reset_ms" doc:"time an opened breaker stays open"`
	RPM              int    `expr:"rpm" doc:"default requests a minute for an account"`
	MinGapMS         int    `expr:"min_gap_ms" doc:"default gap between two requests of an account"`
	Concurrency      int    `expr:"concurrency" doc:"default concurrent requests of an account"`
	MaxWaitMS        int    `expr:"max_wait_ms" doc:"longest wait for a limiter slot"`
	QuotaScope       string `expr:"quota_scope" doc:"what a quota belongs to: account or model"`
}

// NewProfile returns the built-in profile of a kind: oauth, apikey (also for an
// unknown kind) or local.
func NewProfile(kind string) *Profile {
	p := &Profile{Kind: kind, TransientMS: 3000, MaxBackoff: 5, BreakerThreshold: 5, BreakerResetMS: 30000}
	switch kind {
	case "oauth":
		p.TransientMS, p.RateLimitMS, p.MaxBackoff, p.BreakerThreshold, p.BreakerResetMS = 5000, 60000, 8, 3, 60000
	case "local":
		p.TransientMS, p.RateLimitMS, p.MaxBackoff, p.BreakerThreshold, p.BreakerResetMS = 2000, 5000, 3, 2, 15000
	default:
		p.Kind = "apikey"
	}
	p.RPM, p.MinGapMS, p.Concurrency, p.MaxWaitMS, p.QuotaScope = 100, 200, 10, 10000, "account"
	return p
}

// Account is one credential of a provider.
type Account struct {
	ID             string   `expr:"id" doc:"account id"`
	Name           string   `expr:"name" doc:"name given by the operator"`
	Provider       string   `expr:"provider" doc:"provider id"`
	Auth           string   `expr:"auth" doc:"oauth, apikey or none"`
	Plan           string   `expr:"plan" doc:"plan of the subscription"`
	Tags           []string `expr:"tags" doc:"tags of the account"`
	Priority       int      `expr:"priority" doc:"lower goes first; 999 = none"`
	Active         bool     `expr:"active" doc:"switched on"`
	Status         string   `expr:"status" doc:"active, unavailable, error, expired, banned or credits_exhausted"`
	Tried          bool     `expr:"tried" doc:"already failed in this request"`
	Cooling        bool     `expr:"cooling" doc:"in a cooldown"`
	CooldownMS     int      `expr:"cooldown_ms" doc:"rest of that cooldown"`
	ModelLocked    bool     `expr:"model_locked" doc:"the target's model is locked on this account"`
	Backoff        int      `expr:"backoff" doc:"backoff level"`
	HasError       bool     `expr:"has_error" doc:"the last use failed"`
	ErrorCode      int      `expr:"error_code" doc:"status of that failure; 0 = none"`
	ErrorType      string   `expr:"error_type" doc:"reason of that failure"`
	Current        bool     `expr:"current" doc:"most recently used of the eligible accounts, and used at least once"`
	Uses           int      `expr:"uses" doc:"consecutive uses"`
	LastUsedMS     int      `expr:"last_used_ms" doc:"age of the last use; -1 = never"`
	Bound          bool     `expr:"bound" doc:"this conversation was served by this account"`
	Inflight       int      `expr:"inflight" doc:"requests running now"`
	QuotaLeft      float64  `expr:"quota_left" doc:"percent of quota left; -1 = unknown"`
	QuotaResetMS   int      `expr:"quota_reset_ms" doc:"time until the quota resets; -1 = unknown"`
	SpendDay       float64  `expr:"spend_day" doc:"USD spent today"`
	SpendMonth     float64  `expr:"spend_month" doc:"USD spent this month"`
	RequestsMinute int      `expr:"requests_minute" doc:"requests in the last minute"`
	RequestsDay    int      `expr:"requests_day" doc:"requests today"`
	TokensMinute   int      `expr:"tokens_minute" doc:"tokens in the last minute"`
	TokenTTLMS     int      `expr:"token_ttl_ms" doc:"life left in the access token; -1 = does not expire"`
	Health         int      `expr:"health" doc:"health score, 0-100"`
	CostRank       float64  `expr:"cost_rank" doc:"0 = within a subscription, 1 = free tier, 2 = paid"`
}

// NewAccount returns a healthy account that was never used.
func NewAccount() *Account {
	return &Account{Active: true, Status: "active", Priority: 999, LastUsedMS: -1, QuotaLeft: -1, QuotaResetMS: -1, TokenTTLMS: -1, Health: 100}
}

// Err is the failure of an attempt.
type Err struct {
	Status       int               `expr:"status" doc:"upstream status; 0 = none"`
	Text         string            `expr:"text" doc:"failure text in lower case (up to 8 KiB)"`
	Code         string            `expr:"code" doc:"provider's error code"`
	Type         string            `expr:"type" doc:"provider's error type"`
	Reason       string            `expr:"reason" doc:"classified reason: rate_limit_exceeded, quota_exhausted, model_capacity, auth_error, server_error, banned, credits_exhausted, context_overflow, content_policy, malformed, unsupported, timeout, network, empty_output, aborted or unknown"`
	RetryAfterMS int               `expr:"retry_after_ms" doc:"wait the upstream asked for; -1 = unknown"`
	Headers      map[string]string `expr:"headers" doc:"response headers, names in lower case"`
	Timeout      bool              `expr:"timeout" doc:"one of our clocks ran out"`
	Network      bool              `expr:"network" doc:"the connection failed"`
	Aborted      bool              `expr:"aborted" doc:"the client went away"`
	Streamed     bool              `expr:"streamed" doc:"content was already sent to the client"`
	EmptyOutput  bool              `expr:"empty_output" doc:"the answer had no content"`
}

// NewErr returns a failure about which only the status is known.
func NewErr(status int) *Err { return &Err{Status: status, RetryAfterMS: -1} }

// BreakerState is the circuit breaker of a provider.
type BreakerState struct {
	Name         string `expr:"name" doc:"name of the breaker"`
	State        string `expr:"state" doc:"closed, half_open or open"`
	Failures     int    `expr:"failures" doc:"consecutive failures, this one included"`
	WindowTotal  int    `expr:"window_total" doc:"outcomes in the window"`
	WindowFailed int    `expr:"window_failed" doc:"failures in the window"`
	Reopens      int    `expr:"reopens" doc:"times it opened again after a probe"`
	SinceMS      int    `expr:"since_ms" doc:"age of the state"`
}

// Lock is the lockout state of a subject.
type Lock struct {
	Subject     string `expr:"subject" doc:"subject of the rule being asked"`
	Locked      bool   `expr:"locked" doc:"locked now"`
	RemainingMS int    `expr:"remaining_ms" doc:"rest of the lock"`
	Attempts    int    `expr:"attempts" doc:"failures in the window"`
	Locks       int    `expr:"locks" doc:"locks in the last 24 hours"`
}

// Event is what a lockout rule is asked about.
type Event struct {
	Source string `expr:"source" doc:"login, api_key or policy"`
	Kind   string `expr:"kind" doc:"check, failure or success"`
	Status int    `expr:"status" doc:"status answered, for policy denials"`
	Reason string `expr:"reason" doc:"reason of the failure"`
}

// RateHeaders are the rate-limit hints of an upstream response head.
type RateHeaders struct {
	Status          int    `expr:"status" doc:"upstream status"`
	Limit           int    `expr:"limit" doc:"requests allowed; -1 = not told"`
	Remaining       int    `expr:"remaining" doc:"requests left; -1 = not told"`
	ResetMS         int    `expr:"reset_ms" doc:"time until the window resets; -1 = not told"`
	LimitTokens     int    `expr:"limit_tokens" doc:"tokens allowed; -1 = not told"`
	RemainingTokens int    `expr:"remaining_tokens" doc:"tokens left; -1 = not told"`
	RetryMS         int    `expr:"retry_ms" doc:"wait asked for; -1 = not told"`
	OverLimit       string `expr:"over_limit" doc:"yes when the upstream marks a soft limit as passed"`
}

// NewRateHeaders returns a response head that tells nothing but its status.
func NewRateHeaders(status int) *RateHeaders {
	return &RateHeaders{Status: status, Limit: -1, Remaining: -1, ResetMS: -1, LimitTokens: -1, RemainingTokens: -1, RetryMS: -1}
}

// Budget is the budget a budget rule speaks of, in the rule's unit.
type Budget struct {
	Scope    string  `expr:"scope" doc:"scope of the rule"`
	Period   string  `expr:"period" doc:"period of the rule"`
	Limit    float64 `expr:"limit" doc:"the rule's limit (evaluated first)"`
	Spent    float64 `expr:"spent" doc:"spent in the period"`
	Reserved float64 `expr:"reserved" doc:"reserved by running requests"`
	Est      float64 `expr:"est" doc:"estimate for this request"`
	ResetMS  int     `expr:"reset_ms" doc:"time until the period ends"`
	WarnAt   float64 `expr:"warn_at" doc:"share of the limit at which to warn"`
}

// Usage is what a finished request used.
type Usage struct {
	Input      int     `expr:"input" doc:"input tokens, cached ones included"`
	CachedRead int     `expr:"cached_read" doc:"input tokens read from the provider's cache"`
	CacheWrite int     `expr:"cache_write" doc:"input tokens written to the provider's cache"`
	Output     int     `expr:"output" doc:"output tokens, reasoning included"`
	Reasoning  int     `expr:"reasoning" doc:"reasoning tokens"`
	Total      int     `expr:"total" doc:"all tokens"`
	Estimated  bool    `expr:"estimated" doc:"the upstream told nothing, the numbers are estimates"`
	CostUSD    float64 `expr:"cost_usd" doc:"cost by list price"`
	LatencyMS  int     `expr:"latency_ms" doc:"duration of the request"`
	TTFTMS     int     `expr:"ttft_ms" doc:"time to the first token; -1 = unknown"`
	Status     int     `expr:"status" doc:"status answered"`
	CacheHit   bool    `expr:"cache_hit" doc:"answered from the response cache"`
}
