package guard

import (
	"slices"
	"strings"
)

// Look says what is looked for.
type Look uint8

const (
	// Injection looks for attempts to talk a model out of its instructions.
	Injection Look = 1 << iota
	// Personal looks for personal data.
	Personal
)

// Severities, from bad to worse.
const (
	Low    = "low"
	Medium = "medium"
	High   = "high"
)

// Findings are what an inspection found.
type Findings struct {
	// Hits names the patterns, each once, in the order of their declaration;
	// those of personal data begin with pii_.
	Hits []string
	// Severity is the highest of them, "" without any.
	Severity string
}

// Inspect looks through the texts of a request body, which must be valid JSON.
func Inspect(body []byte, look Look) Findings {
	var hits [len(injections)]bool
	var kinds [len(personal)]bool
	w := walker{see: func(text string) (string, bool) {
		if look&Injection != 0 {
			inject(text, &hits)
		}
		if look&Personal != 0 {
			person(text, Requests, &kinds)
		}
		return "", false
	}}
	w.value(body, false, false)
	var f Findings
	for i, hit := range hits {
		if hit {
			f.add(injections[i].name, injections[i].severity)
		}
	}
	for i, hit := range kinds {
		if hit {
			f.add("pii_"+strings.ToLower(personal[i].name), Low)
		}
	}
	return f
}

func (f *Findings) add(name, severity string) {
	f.Hits = append(f.Hits, name)
	order := []string{"", Low, Medium, High}
	if slices.Index(order, severity) > slices.Index(order, f.Severity) {
		f.Severity = severity
	}
}

// Direction says which kinds of personal data count.
type Direction uint8

const (
	// Requests are what clients send.
	Requests Direction = iota + 1
	// Answers are what models say; keys and addresses of machines count too.
	Answers
)

// Redact replaces personal data in the texts of a JSON body by its kind:
// [EMAIL_REDACTED]. Everything else keeps its bytes. changed is false, and out
// the body itself, if there is none.
func Redact(body []byte, d Direction) (out []byte, changed bool) {
	w := walker{see: func(text string) (string, bool) {
		clean := RedactText(text, d)
		return clean, clean != text
	}}
	w.value(body, false, false)
	if len(w.edits) == 0 {
		return body, false
	}
	return splice(make([]byte, 0, len(body)), body, w.edits), true
}
