package policy

import (
	"github.com/omniroute/omniroute/core/fault"
	"go.yaml.in/yaml/v3"
)

// Level is the place of a layer in the stack: rules of a higher level are asked
// first and replace rules of a lower one that have the same id.
type Level int

// The levels, lowest first. Layers of the same level count as one: their rules
// keep the order given and an id may appear only once. Those of LevelPreset are
// laid over each other one by one.
const (
	LevelPreset Level = iota - 1 // built-in presets, which Load adds itself, and above them rules that settings mean
	LevelFile                    // omniroute.yaml and its includes
	LevelUI                      // rules edited at run time
)

// Scope binds the rules of a layer to one account, combo or provider. They are
// asked before the global rules of the same hook, in that order.
type Scope struct {
	Account  string
	Combo    string
	Provider string
}

// Layer is one source of rules.
type Layer struct {
	// File is the name used in diagnostics.
	File string
	// Data is the text of a whole file with a top-level "policies" key. When
	// Node is set, Data only serves the excerpts of diagnostics.
	Data []byte
	// Node is the mapping under "policies" itself, for callers that parsed the
	// file already; positions in it must refer to File.
	Node *yaml.Node
	// Level is LevelFile unless set.
	Level Level
	// Scope is zero for global rules.
	Scope Scope
	// DefaultPreset is used when no layer names a preset: "modern" for
	// omniroute.yaml, "" (none) for a file that stands alone.
	DefaultPreset string
}

// Severity of a diagnostic.
type Severity string

// Severities: an error rejects the whole load, a warning does not.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Diagnostic is a problem in a rule file, with the rule it belongs to.
type Diagnostic struct {
	fault.Diagnostic
	Severity Severity `json:"severity"`
	Hook     string   `json:"hook,omitempty"`
	Rule     string   `json:"rule,omitempty"`
	Field    string   `json:"field,omitempty"`
}
