package host

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-json"
	"github.com/omniroute/omniroute/sdk/abi"
)

// manifest is what a plugin says about itself, in the custom section
// omniroute.manifest.
type manifest struct {
	Schema       int             `json:"schema"`
	Name         string          `json:"name"`
	Version      string          `json:"version"`
	ABI          string          `json:"abi"`
	Features     []string        `json:"features"`
	Provides     []provided      `json:"provides"`
	Capabilities capabilities    `json:"capabilities"`
	Limits       manifestLimits  `json:"limits"`
	Isolation    string          `json:"isolation"`
	Recovery     string          `json:"recovery"`
	Metrics      []string        `json:"metrics"`
	ConfigSchema json.RawMessage `json:"config_schema"`
}

type provided struct {
	Kind       Kind            `json:"kind"`
	ID         string          `json:"id"`
	Alias      []string        `json:"alias"`
	Name       string          `json:"name"`
	Dialect    string          `json:"dialect"`
	From       string          `json:"from"`
	To         string          `json:"to"`
	Directions []string        `json:"directions"`
	Endpoints  []string        `json:"endpoints"`
	BaseURL    string          `json:"base_url"`
	BaseURLs   []string        `json:"base_urls"`
	Auth       json.RawMessage `json:"auth"`
	Framing    string          `json:"framing"`
	Stream     string          `json:"stream"` // passthrough | frames
	Body       string          `json:"body"`   // none | meta | skeleton | full
	Result     string          `json:"result"` // errors = only failures are judged by the guest
	Local      bool            `json:"local"`
	Models     json.RawMessage `json:"models"`
}

type capabilities struct {
	HTTP struct {
		Hosts  []string `json:"hosts"`
		Reason string   `json:"reason"`
	} `json:"http"`
	Secrets struct {
		Use    []string `json:"use"`
		Reveal []string `json:"reveal"`
		Reason string   `json:"reason"`
	} `json:"secrets"`
}

type manifestLimits struct {
	MemoryPages uint32 `json:"memory_pages"`
	Handles     int    `json:"handles"`
	Instances   int    `json:"instances"`
}

// Isolation and recovery of a manifest.
const (
	isolationShared = "shared"
	isolationStream = "stream"
	isolationCall   = "call"
	recoveryReplay  = "replay"
)

// isolations are the levels, from the one that shares most.
var isolations = []string{isolationShared, isolationStream, isolationCall}

// stricter returns the level that shares less.
func stricter(a, b string) string {
	if slices.Index(isolations, a) > slices.Index(isolations, b) {
		return a
	}
	return b
}

var (
	pluginName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*$`)
	partID     = regexp.MustCompile(`^[a-z0-9][a-z0-9._/>-]*$`)
)

// parseManifest reads and checks a manifest.
func parseManifest(raw []byte) (*manifest, error) {
	m := &manifest{}
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("its manifest is not valid JSON: %w", err)
	}
	switch {
	case m.Schema != 1:
		return nil, fmt.Errorf("its manifest has schema %d; this gateway reads schema 1", m.Schema)
	case !pluginName.MatchString(m.Name):
		return nil, fmt.Errorf("its name %q is not of the form owner/name", m.Name)
	case m.Version == "":
		return nil, errors.New("its manifest has no version")
	case len(m.Provides) == 0:
		return nil, errors.New("it provides nothing")
	}
	if err := checkABI(m.ABI); err != nil {
		return nil, err
	}
	if err := checkFeatures(m.Features); err != nil {
		return nil, err
	}
	if m.Isolation == "" {
		m.Isolation = isolationShared
	}
	if !slices.Contains(isolations, m.Isolation) {
		return nil, fmt.Errorf("its isolation %q is not shared, stream or call", m.Isolation)
	}
	for k := range m.Provides {
		if err := m.Provides[k].check(); err != nil {
			return nil, fmt.Errorf("provides[%d]: %w", k, err)
		}
	}
	return m, nil
}

func checkABI(v string) error {
	major, minor, ok := strings.Cut(v, ".")
	maj, err1 := strconv.Atoi(major)
	mnr, err2 := strconv.Atoi(minor)
	switch {
	case !ok || err1 != nil || err2 != nil:
		return fmt.Errorf("its abi %q is not of the form major.minor", v)
	case maj != abi.Major || mnr > abi.Minor:
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

func (p *provided) check() error {
	switch p.Kind {
	case "":
		return errors.New("kind is missing")
	case KindExecutor:
		if !partID.MatchString(p.ID) {
			return fmt.Errorf("id %q is not a valid part id", p.ID)
		}
		if p.Stream != "" && p.Stream != "passthrough" && p.Stream != "frames" {
			return fmt.Errorf("stream %q is not passthrough or frames", p.Stream)
		}
		if _, ok := bodyKind(p.Body); !ok {
			return fmt.Errorf("body %q is not none, meta, skeleton or full", p.Body)
		}
		if p.BaseURL != "" {
			p.BaseURLs = append([]string{p.BaseURL}, p.BaseURLs...)
		}
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
	default:
		return fmt.Errorf("kind %q is not known to this gateway", p.Kind)
	}
	return nil
}

func bodyKind(s string) (abi.BodyKind, bool) {
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

func (p *provided) part(m *manifest, file string) Part {
	return Part{
		Kind: p.Kind, ID: p.ID, Plugin: m.Name, Version: m.Version, File: file, State: StateActive,
		Alias: p.Alias, Dialect: p.Dialect, From: p.From, To: p.To, Directions: p.Directions,
		Endpoints: p.Endpoints, Local: p.Local, Models: p.Models, Profile: p.profile(),
	}
}

// profile is what an executor's manifest says of the provider it serves; nil
// for one that only serves providers described elsewhere.
func (p *provided) profile() json.RawMessage {
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
