package fault

import "slices"

// Code is a stable name of a failure in the catalogue, such as AUTH_001.
type Code string

// The codes.
const (
	AuthRequired        Code = "AUTH_001"
	InvalidKey          Code = "AUTH_002"
	KeyExpired          Code = "AUTH_003"
	Forbidden           Code = "AUTH_004"
	AccountLocked       Code = "AUTH_005"
	NoCredentials       Code = "AUTH_006"
	ModelNotAllowed     Code = "AUTH_007"
	Denied              Code = "ACCESS_001"
	AddressNotAllowed   Code = "ACCESS_002"
	ProxyFailed         Code = "PROXY_001"
	ProxyTimeout        Code = "PROXY_002"
	ProxiesExhausted    Code = "PROXY_003"
	RateLimited         Code = "RATE_001"
	BudgetExceeded      Code = "RATE_002"
	AccountsExhausted   Code = "RATE_003"
	ModelNotFound       Code = "MODEL_001"
	ModelAmbiguous      Code = "MODEL_002"
	ModelUnavailable    Code = "MODEL_003"
	ContextTooLong      Code = "MODEL_004"
	Provider            Code = "PROVIDER_001"
	ProviderTimeout     Code = "PROVIDER_002"
	ProviderUnknown     Code = "PROVIDER_003"
	InvalidBody         Code = "VALID_001"
	MissingField        Code = "VALID_002"
	InputBlocked        Code = "VALID_003"
	IdempotencyConflict Code = "VALID_004"
	BodyTooLarge        Code = "VALID_005"
	PolicyFailed        Code = "POLICY_001"
	PluginTrap          Code = "PLUGIN_001"
	PluginDeadline      Code = "PLUGIN_002"
	FirstEventTimeout   Code = "STREAM_001"
	StreamStalled       Code = "STREAM_002"
	ClientClosed        Code = "CLIENT_001"
	Internal            Code = "INTERNAL_001"
	Database            Code = "INTERNAL_002"
	CircuitOpen         Code = "INTERNAL_003"
)

// The codes that only the management API answers with.
const (
	SetupRequired   Code = "SETUP_REQUIRED"
	NotFound        Code = "NOT_FOUND_001"
	Conflict        Code = "CONFLICT_001"
	ConfigInvalid   Code = "CONFIG_001"
	PluginRefused   Code = "PLUGIN_003"
	PluginConflict  Code = "PLUGIN_004"
	PluginTooLarge  Code = "PLUGIN_005"
	PayloadTooLarge Code = "PAYLOAD_TOO_LARGE"
	Unavailable     Code = "SERVICE_UNAVAILABLE"
	ConfirmFirst    Code = "AUTH_008"
)

// Entry is one line of the catalogue.
type Entry struct {
	Code      Code   `json:"code"`
	Status    int    `json:"status"`
	Retryable bool   `json:"retryable"`
	Class     Class  `json:"class"`
	Scope     Scope  `json:"scope"`
	Reason    Reason `json:"reason"`
	Message   string `json:"message"`
}

// catalogue lists every failure the gateway itself can raise.
var catalogue = []Entry{
	{AuthRequired, 401, false, ClassAuth, ScopeRequest, ReasonAuth, "Authentication required"},
	{InvalidKey, 401, false, ClassAuth, ScopeRequest, ReasonAuth, "Invalid API key"},
	{KeyExpired, 401, false, ClassAuth, ScopeRequest, ReasonAuth, "API key expired"},
	{Forbidden, 403, false, ClassAuth, ScopeRequest, ReasonAuth, "Insufficient permissions"},
	{AccountLocked, 423, true, ClassAuth, ScopeRequest, ReasonAuth, "Account locked"},
	{NoCredentials, 400, false, ClassAuth, ScopeProvider, ReasonAuth, "No credentials for provider"},
	{ModelNotAllowed, 403, false, ClassAuth, ScopeRequest, ReasonAuth, "This API key may not use this model"},
	{Denied, 403, false, ClassClient, ScopeRequest, ReasonUnknown, "Denied by policy"},
	{AddressNotAllowed, 403, false, ClassClient, ScopeRequest, ReasonUnknown, "IP address not allowed"},
	{ProxyFailed, 502, true, ClassTransport, ScopeCredential, ReasonNetwork, "Proxy connection failed"},
	{ProxyTimeout, 504, true, ClassTimeout, ScopeCredential, ReasonTimeout, "Proxy timeout"},
	{ProxiesExhausted, 503, true, ClassTransport, ScopeCredential, ReasonNetwork, "All proxies exhausted"},
	{RateLimited, 429, true, ClassRate, ScopeRequest, ReasonRateLimit, "Rate limit exceeded"},
	{BudgetExceeded, 429, true, ClassQuota, ScopeRequest, ReasonQuota, "Daily budget exceeded"},
	{AccountsExhausted, 503, true, ClassRate, ScopeProvider, ReasonRateLimit, "All accounts rate-limited"},
	{ModelNotFound, 404, false, ClassNotFound, ScopeModel, ReasonUnknown, "Model not found"},
	{ModelAmbiguous, 400, false, ClassClient, ScopeRequest, ReasonUnknown, "Ambiguous model identifier"},
	{ModelUnavailable, 503, true, ClassOverloaded, ScopeModel, ReasonCapacity, "Model temporarily unavailable"},
	{ContextTooLong, 400, false, ClassClient, ScopeRequest, ReasonContextOverflow, "The input is longer than the model's context"},
	{Provider, 502, true, ClassUpstream, ScopeProvider, ReasonServer, "Provider error"},
	{ProviderTimeout, 504, true, ClassTimeout, ScopeProvider, ReasonTimeout, "Provider timeout"},
	{ProviderUnknown, 400, false, ClassClient, ScopeRequest, ReasonUnknown, "Provider not configured"},
	{InvalidBody, 400, false, ClassClient, ScopeRequest, ReasonMalformed, "Invalid request body"},
	{MissingField, 400, false, ClassClient, ScopeRequest, ReasonMalformed, "Missing required field"},
	{InputBlocked, 400, false, ClassContentFilter, ScopeRequest, ReasonContentPolicy, "Input sanitization blocked"},
	{IdempotencyConflict, 409, false, ClassClient, ScopeRequest, ReasonUnknown, "Idempotency key was used for a different request"},
	{BodyTooLarge, 413, false, ClassClient, ScopeRequest, ReasonUnknown, "Request body too large"},
	{PolicyFailed, 500, false, ClassInternal, ScopeRequest, ReasonServer, "Policy evaluation failed"},
	{PluginTrap, 502, true, ClassPlugin, ScopePlugin, ReasonServer, "Plugin failed"},
	{PluginDeadline, 504, true, ClassPlugin, ScopePlugin, ReasonTimeout, "Plugin took too long"},
	{FirstEventTimeout, 504, true, ClassTimeout, ScopeProvider, ReasonTimeout, "The provider sent no event in time"},
	{StreamStalled, 504, true, ClassTimeout, ScopeProvider, ReasonTimeout, "The provider's stream stalled"},
	{ClientClosed, 499, false, ClassClient, ScopeRequest, ReasonAborted, "Client closed request"},
	{Internal, 500, true, ClassInternal, ScopeRequest, ReasonServer, "Internal server error"},
	{Database, 500, true, ClassInternal, ScopeRequest, ReasonServer, "Database error"},
	{CircuitOpen, 503, true, ClassOverloaded, ScopeProvider, ReasonCapacity, "Circuit breaker open"},
	{SetupRequired, 403, false, ClassAuth, ScopeRequest, ReasonAuth, "No password is set yet"},
	{NotFound, 404, false, ClassNotFound, ScopeRequest, ReasonUnknown, "Not found"},
	{Conflict, 409, false, ClassClient, ScopeRequest, ReasonUnknown, "Conflict with what is stored"},
	{ConfigInvalid, 422, false, ClassClient, ScopeRequest, ReasonMalformed, "The configuration does not compile"},
	{PluginRefused, 422, false, ClassClient, ScopeRequest, ReasonMalformed, "The plugin was refused"},
	{PluginConflict, 409, false, ClassClient, ScopeRequest, ReasonUnknown, "The plugin conflicts with what is installed"},
	{PluginTooLarge, 413, false, ClassClient, ScopeRequest, ReasonUnknown, "The plugin is too large"},
	{PayloadTooLarge, 413, false, ClassClient, ScopeRequest, ReasonUnknown, "Request body too large"},
	{Unavailable, 503, true, ClassInternal, ScopeRequest, ReasonServer, "The gateway is stopping"},
	{ConfirmFirst, 403, false, ClassAuth, ScopeRequest, ReasonAuth, "Confirm with your password first"},
}

// Catalogue returns every entry, in the order in which docs list them.
func Catalogue() []Entry { return slices.Clone(catalogue) }

// Lookup returns the entry of code; an unknown code gives that of [Internal].
func Lookup(code Code) Entry {
	var fallback Entry
	for i := range catalogue {
		switch catalogue[i].Code {
		case code:
			return catalogue[i]
		case Internal:
			fallback = catalogue[i]
		}
	}
	return fallback
}
