package manifest

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/sdk/abi"
)

// Manifest is the content of the custom section omniroute.manifest.
type Manifest struct {
	Schema       int             `json:"schema"`
	Name         string          `json:"name"` // owner/name
	Version      string          `json:"version"`
	Summary      string          `json:"summary,omitempty"`
	License      string          `json:"license,omitempty"`
	Source       string          `json:"source,omitempty"` // URL of its sources
	ABI          string          `json:"abi"`              // major.minor
	Features     []string        `json:"features,omitempty"`
	Requires     Requires        `json:"requires,omitzero"`
	Provides     []Part          `json:"provides"`
	Capabilities Capabilities    `json:"capabilities,omitzero"`
	Limits       Limits          `json:"limits,omitzero"`
	Isolation    string          `json:"isolation,omitempty"` // shared | stream | call
	Recovery     string          `json:"recovery,omitempty"`  // replay, "" = none
	Metrics      []string        `json:"metrics,omitempty"`
	ConfigSchema json.RawMessage `json:"config_schema,omitempty"` // JSON Schema of the plugin's configuration
}

// Requires says what a plugin needs of its gateway.
type Requires struct {
	OmniRoute string `json:"omniroute,omitempty"` // version constraint, ">=0.6 <2"
}

// Kind is the kind of a part.
type Kind string

// Kinds of parts.
const (
	KindExecutor   Kind = "executor"   // plans upstream calls for a provider
	KindTranslator Kind = "translator" // translates between two formats
	KindProvider   Kind = "provider"   // a provider pack over an executor
)

// Part is one entry of "provides".
type Part struct {
	Kind       Kind            `json:"kind"`
	ID         string          `json:"id,omitempty"`
	Alias      []string        `json:"alias,omitempty"`
	Name       string          `json:"name,omitempty"`
	Dialect    string          `json:"dialect,omitempty"`
	From       string          `json:"from,omitempty"`
	To         string          `json:"to,omitempty"`
	Directions []string        `json:"directions,omitempty"`
	Endpoints  []string        `json:"endpoints,omitempty"`
	BaseURL    string          `json:"base_url,omitempty"`
	BaseURLs   []string        `json:"base_urls,omitempty"` // after Parse with BaseURL first
	Auth       json.RawMessage `json:"auth,omitempty"`
	Framing    string          `json:"framing,omitempty"`
	Stream     string          `json:"stream,omitempty"`  // passthrough | frames
	Body       string          `json:"body,omitempty"`    // none | meta | skeleton | full
	Result     string          `json:"result,omitempty"`  // errors = only failures are judged by the guest
	Session    bool            `json:"session,omitempty"` // plans want to know the client's conversation
	Local      bool            `json:"local,omitempty"`   // answers by itself, without an account
	Models     json.RawMessage `json:"models,omitempty"`
}

// Limits are what a plugin asks for instead of the defaults.
type Limits struct {
	MemoryPages uint32 `json:"memory_pages,omitempty"` // of 64 KiB
	Handles     int    `json:"handles,omitempty"`      // open streams per instance
	Instances   int    `json:"instances,omitempty"`

	// It may ask for less than the default of all others, never for more. Sizes
	// are in bytes, times in milliseconds.
	Input         int   `json:"input,omitempty"`          // of one call
	Output        int   `json:"output,omitempty"`         // of one call
	WallMS        int64 `json:"wall_ms,omitempty"`        // of one call
	DataWallMS    int64 `json:"data_wall_ms,omitempty"`   // of a call with frames of a stream
	Fuel          int64 `json:"fuel,omitempty"`           // of one call
	FuelPerByte   int64 `json:"fuel_per_byte,omitempty"`  //
	DataFuel      int64 `json:"data_fuel,omitempty"`      // of a call with frames of a stream
	DataPerByte   int64 `json:"data_per_byte,omitempty"`  //
	SetupFuel     int64 `json:"setup_fuel,omitempty"`     // of starting and configuring
	RecycleCalls  int64 `json:"recycle_calls,omitempty"`  // calls after which an instance is replaced
	RecycleMemory int   `json:"recycle_memory,omitempty"` // memory from which on it is
	Replay        int   `json:"replay,omitempty"`         // input kept per stream
	ReplayTotal   int   `json:"replay_total,omitempty"`   // likewise, of all streams
	LogLines      int   `json:"log_lines,omitempty"`      // per second
	IdleTTLMS     int64 `json:"idle_ttl_ms,omitempty"`
	ColdTTLMS     int64 `json:"cold_ttl_ms,omitempty"`
	Rounds        int   `json:"rounds,omitempty"`
	RoundPlans    int   `json:"round_plans,omitempty"`
	Continuation  int   `json:"continuation,omitempty"`
	KVValue       int   `json:"kv_value,omitempty"`
	KVTotal       int   `json:"kv_total,omitempty"`
	Crashes       int   `json:"crashes,omitempty"`
}

// Isolation levels, from the one that shares most, and the recovery of streams.
const (
	IsolationShared = "shared" // streams share instances
	IsolationStream = "stream" // each stream has an instance of its own
	IsolationCall   = "call"   // each call has a fresh instance
	RecoveryReplay  = "replay" // a stream is replayed into a fresh instance after a trap
)

var (
	pluginName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}/[a-z0-9][a-z0-9._-]{0,62}$`)
	partID     = regexp.MustCompile(`^[a-z0-9][a-z0-9._/>-]*$`)
)

// ValidName reports whether a plugin name is of the form owner/name.
func ValidName(name string) bool { return pluginName.MatchString(name) }

// Parse reads and checks a manifest. Errors are sentences about the file, which
// they call "it".
func Parse(raw []byte) (*Manifest, error) {
	m := &Manifest{}
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("its manifest is not valid JSON: %w", err)
	}
	switch {
	case m.Schema != 1:
		return nil, fmt.Errorf("its manifest has schema %d; this gateway reads schema 1", m.Schema)
	case !ValidName(m.Name):
		return nil, fmt.Errorf("its name %q is not of the form owner/name", m.Name)
	case m.Version == "":
		return nil, errors.New("its manifest has no version")
	case len(m.Provides) == 0:
		return nil, errors.New("it provides nothing")
	}
	if _, err := semver.NewVersion(m.Version); err != nil {
		return nil, fmt.Errorf("its version %q is not a semantic version like 1.2.0", m.Version)
	}
	if err := checkABI(m.ABI); err != nil {
		return nil, err
	}
	if err := checkFeatures(m.Features); err != nil {
		return nil, err
	}
	if err := m.Capabilities.check(); err != nil {
		return nil, err
	}
	if err := m.isolation(); err != nil {
		return nil, err
	}
	if err := checkSchema(m.ConfigSchema); err != nil {
		return nil, err
	}
	for k := range m.Provides {
		if err := m.Provides[k].check(); err != nil {
			return nil, fmt.Errorf("provides[%d]: %w", k, err)
		}
	}
	return m, nil
}

func (m *Manifest) isolation() error {
	switch m.Isolation {
	case "":
		m.Isolation = IsolationShared
	case IsolationShared, IsolationStream, IsolationCall:
	default:
		return fmt.Errorf("its isolation %q is not shared, stream or call", m.Isolation)
	}
	if m.Recovery != "" && m.Recovery != RecoveryReplay && m.Recovery != "none" {
		return fmt.Errorf("its recovery %q is not replay or none", m.Recovery)
	}
	return nil
}

// Supports reports whether a gateway of that version may run the plugin. A
// version that is not a semantic one, of a build from sources, runs all.
func (m *Manifest) Supports(gateway string) error {
	if m.Requires.OmniRoute == "" {
		return nil
	}
	want, err := semver.NewConstraint(m.Requires.OmniRoute)
	if err != nil {
		return fmt.Errorf("its requires.omniroute %q is not a version constraint", m.Requires.OmniRoute)
	}
	have, err := semver.NewVersion(gateway)
	if err != nil {
		return nil
	}
	if bare, err := have.SetPrerelease(""); err == nil {
		have = &bare
	}
	if !want.Check(have) {
		return fmt.Errorf("it needs OmniRoute %s; this is %s", m.Requires.OmniRoute, gateway)
	}
	return nil
}

// Kinds lists the kinds of its parts, each once, in order of appearance.
func (m *Manifest) Kinds() []string {
	var kinds []string
	for k := range m.Provides {
		kinds = addOnce(kinds, string(m.Provides[k].Kind))
	}
	return kinds
}

// Executor finds an executor by its id; nil if the plugin has none of it.
func (m *Manifest) Executor(id string) *Part {
	for k := range m.Provides {
		if p := &m.Provides[k]; p.Kind == KindExecutor && p.ID == id {
			return p
		}
	}
	return nil
}

// Same reports whether two manifests name the same plugin in the same version
// for the same ABI.
func (m *Manifest) Same(o *Manifest) bool {
	return m.Name == o.Name && m.Version == o.Version && m.ABI == o.ABI
}

// String is name, version and ABI, for messages.
func (m *Manifest) String() string { return m.Name + " " + m.Version + " (ABI " + m.ABI + ")" }

func checkABI(v string) error {
	major, minor, ok := strings.Cut(v, ".")
	maj, err1 := strconv.Atoi(major)
	mnr, err2 := strconv.Atoi(minor)
	switch {
	case !ok || err1 != nil || err2 != nil:
		return fmt.Errorf("its abi %q is not of the form major.minor", v)
	case maj != abi.Major || mnr > abi.Minor || mnr < 0:
		return fmt.Errorf("it was built for ABI %s; this gateway runs %d.0 to %d.%d", v, abi.Major, abi.Major, abi.Minor)
	}
	return nil
}

func checkFeatures(list []string) error {
	for _, f := range list {
		known := false
		for _, k := range abi.Features() {
			known = known || k == f
		}
		if !known {
			return fmt.Errorf("it needs the feature %q, which this gateway does not have", f)
		}
	}
	return nil
}

func (p *Part) check() error {
	switch p.Kind {
	case "":
		return errors.New("kind is missing")
	case KindExecutor:
		return p.checkExecutor()
	case KindTranslator:
		if (p.Dialect == "") == (p.From == "" || p.To == "") {
			return errors.New("a translator has either a dialect or both from and to")
		}
		if p.ID == "" {
			p.ID = p.Dialect
			if p.ID == "" {
				p.ID = p.From + ">" + p.To
			}
		}
		return nil
	}
	return fmt.Errorf("kind %q is not known to this gateway", p.Kind)
}

func (p *Part) checkExecutor() error {
	if !partID.MatchString(p.ID) {
		return fmt.Errorf("id %q is not a valid part id", p.ID)
	}
	for _, a := range p.Alias {
		if !partID.MatchString(a) {
			return fmt.Errorf("alias %q is not a valid part id", a)
		}
	}
	if p.Stream != "" && p.Stream != "passthrough" && p.Stream != "frames" {
		return fmt.Errorf("stream %q is not passthrough or frames", p.Stream)
	}
	if _, ok := BodyKind(p.Body); !ok {
		return fmt.Errorf("body %q is not none, meta, skeleton or full", p.Body)
	}
	if p.BaseURL != "" {
		p.BaseURLs = append([]string{p.BaseURL}, p.BaseURLs...)
		p.BaseURL = ""
	}
	for _, base := range p.BaseURLs {
		if err := checkBase(base); err != nil {
			return err
		}
	}
	return nil
}

func checkBase(base string) error {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("base URL %q is not an http or https URL", base)
	}
	return nil
}

// BodyKind reads how much of a body an executor wants to see.
func BodyKind(s string) (abi.BodyKind, bool) {
	switch s {
	case "", "none":
		return abi.BodyNone, true
	case "meta":
		return abi.BodyMeta, true
	case "skeleton":
		return abi.BodySkeleton, true
	case "full":
		return abi.BodyFull, true
	}
	return 0, false
}

// Profile is what an executor's part says of the provider it serves, in the
// field names of provider data; nil for one that only serves providers
// described elsewhere.
func (p *Part) Profile() json.RawMessage {
	if p.Kind != KindExecutor || len(p.BaseURLs) == 0 {
		return nil
	}
	raw, err := json.Marshal(struct {
		ID       string          `json:"id"`
		Name     string          `json:"name,omitempty"`
		Format   string          `json:"format,omitempty"`
		Executor string          `json:"executor"`
		BaseURLs []string        `json:"base_urls"`
		Auth     json.RawMessage `json:"auth,omitempty"`
	}{p.ID, p.Name, p.Dialect, p.ID, p.BaseURLs, p.Auth})
	if err != nil { // auth came out of a JSON document, so it is one
		return nil
	}
	return raw
}
