package catalog

import (
	"time"

	"github.com/omniroute/omniroute/core/config"
)

// Provider is one upstream service as the gateway uses it.
type Provider struct {
	ID    string
	Alias string // short prefix, "" if there is none beside the id
	Name  string
	Group string // oauth | apikey | free | compatible | local
	// Kind chooses the failure profile: oauth, apikey or local.
	Kind     string
	Billing  string // metered | subscription | free
	Tier     string // subscription | cheap | free | paid, as policies see it
	Dialect  string // wire format of requests and replies
	Executor string // part id of the executor plugin
	BaseURLs []string
	// ModelsURL is where the operator says the models are listed; "" = where the
	// executor looks.
	ModelsURL string
	// Auth lists the credentials it takes: "api_key", "oauth"; empty = none.
	Auth []string
	// NoAuth providers serve without an account.
	NoAuth bool
	// AllowPrivate lets its base URLs be loopback or private addresses.
	AllowPrivate bool
	Proxy        string // "" = inherit, "direct" = none
	Timeouts     config.Timeouts
	// Cooling false keeps transient failures from cooling its accounts.
	Cooling bool
	// QuotaScope is "account" or "model".
	QuotaScope string
	Region     string
	DataPolicy string
	Tags       []string
	Meta       map[string]string
	// Passthrough providers take model ids the catalogue does not know.
	Passthrough bool
	// OnlyListed providers do not: the operator said so.
	OnlyListed bool
	// Sanitize answers for chat clients: they keep the fields of that API only, and
	// reasoning between think tags becomes a field of its own.
	Sanitize bool
	// Traits are what translators are told of it: the Trait constants of package abi.
	Traits []string
	// ForcedStream providers always stream upstream.
	ForcedStream bool
	// EffortSuffixes are model name endings that mean a reasoning effort.
	EffortSuffixes []string
	OAuth          OAuth
	Models         []*Model
	// Profile is the whole entry as JSON, for the executor's CONFIGURE.
	Profile []byte
	// Origin says where the entry comes from: builtin, plugin:<name>, file, state.
	Origin string
	Pos    config.Pos

	byID    map[string]*Model
	targets map[string]Target
}

// Model is one model of one provider.
type Model struct {
	ID         string
	Name       string
	UpstreamID string // what is sent; equals ID unless the provider calls it differently
	Format     string // dialect for this model if not the provider's
	Context    int64  // tokens; -1 unknown
	MaxOutput  int64  // tokens; -1 unknown
	Caps       Caps
	// Temperature false: the upstream rejects the field.
	Temperature  bool
	EffortLevels []string
	Price        Price
	Tier         string
	Quant        string
	Tags         []string
	RPM, TPM     int64 // known provider limits; -1 unknown
	Hidden       bool
	Custom       bool // made by the operator, not by the built-in data
}

// Caps are the abilities of a model.
type Caps struct {
	Vision, Tools, JSONSchema, Thinking, Audio, Files bool
}

// Target is one provider and model a request may be sent to. The pointers lead
// into the catalogue and must not be changed.
type Target struct {
	ID       string // provider/model
	Provider *Provider
	Model    *Model // never nil; synthetic for unknown ids of passthrough providers
	Upstream string // model id to send
	Dialect  string // wire format for this model
	Weight   float64
	// Entry is the index of the top-level combo member it came from.
	Entry int
	// Position is the index in the expanded list.
	Position int
	Tags     []string
	// Media is nil for chat.
	Media *Media
}

// Combo is a validated combo.
type Combo struct {
	Name     string
	Strategy string
	Members  []config.ComboMember
	Tags     []string
	Config   ComboConfig
	Origin   string
	Pos      config.Pos
}

// ComboConfig is the attempt loop of one combo, defaults filled in.
type ComboConfig struct {
	MaxRetries int
	RetryDelay time.Duration
	// Timeout bounds how long a member may take to its first content, or for a
	// whole answer; 0 = as the clocks of the target say.
	Timeout time.Duration
	// ConcurrencyPerModel bounds the requests that run on a member; 0 = unbounded.
	ConcurrencyPerModel int
	// QueueTimeout is how long a request waits for a place at a member.
	QueueTimeout time.Duration
}

// Thinking is what a suffix asked for. The zero value means nothing was asked.
type Thinking struct {
	Effort string // none auto minimal low medium high xhigh max, or ""
	Budget int64  // tokens, 0 = not given
	On     bool   // "-thinking": on with the model's default budget
}

// Resolution is what a name stands for.
type Resolution struct {
	Requested string
	Combo     *Combo // nil outside a combo
	Targets   []Target
	// Path lists the aliases that were followed, first first.
	Path []string
	// Chain is the pattern of the fallback chain whose targets come last; "" = none.
	Chain string
	// Set are request fields the aliases give when the client left them out.
	Set      map[string]any
	Tags     []string // of aliases, combo and suffixes
	Thinking Thinking
	// LongContext is the [1m] suffix.
	LongContext bool
}
