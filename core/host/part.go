package host

import (
	"github.com/goccy/go-json"

	declared "github.com/omniroute/omniroute/core/host/manifest"
)

// Kind is the kind of a part.
type Kind = declared.Kind

// Kinds of parts.
const (
	KindExecutor   = declared.KindExecutor   // plans upstream calls for a provider
	KindTranslator = declared.KindTranslator // translates between two formats
	KindProvider   = declared.KindProvider   // a provider pack over an executor
)

// State says whether a part is in use.
type State string

// States of a part.
const (
	StateActive   State = "active"
	StateShadowed State = "shadowed" // another plugin's part of that id has a higher priority
	StateDisabled State = "disabled" // switched off by the operator
	StateRefused  State = "refused"  // see Part.Reason

	StateQuarantine State = "quarantine" // the plugin crashed too often; see Part.Reason and Stats
)

// Part is one thing a plugin provides.
type Part struct {
	Kind       Kind     `json:"kind"`
	ID         string   `json:"id"` // executor "demo", translator "claude" or "openai>acme-chat", provider "acme"
	Plugin     string   `json:"plugin"`
	Version    string   `json:"version"`
	File       string   `json:"file,omitempty"` // drop-in file name; "" = bundled
	State      State    `json:"state"`
	Reason     string   `json:"reason,omitempty"` // why it is not active
	Alias      []string `json:"alias,omitempty"`
	Dialect    string   `json:"dialect,omitempty"`    // what an executor's upstream speaks, or the format a translator serves
	From       string   `json:"from,omitempty"`       // translators of one pair
	To         string   `json:"to,omitempty"`         //
	Directions []string `json:"directions,omitempty"` // request response stream error
	Endpoints  []string `json:"endpoints,omitempty"`
	Local      bool     `json:"local,omitempty"` // answers by itself, without an account

	// Models and Profile are data for the catalogue: the models array of the
	// manifest, and the provider in the field names of providers.yaml: a whole
	// pack, or what an executor's manifest says (id, name, format, base_urls,
	// auth; "auth": [] = it takes no credential). nil for an executor that
	// brings no provider of its own.
	Models  json.RawMessage `json:"models,omitempty"`
	Profile json.RawMessage `json:"profile,omitempty"`
}

// Problem is a plugin file that is not in use as it stands. A file that was
// good before keeps serving in its last good form.
type Problem struct {
	File    string `json:"file"`
	Plugin  string `json:"plugin,omitempty"` // its name, where the file says one
	Message string `json:"message"`
	Serving bool   `json:"serving"` // an earlier version of the file still serves
}
