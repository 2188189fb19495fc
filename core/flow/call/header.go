package call

import (
	"strings"

	"github.com/omniroute/omniroute/core/telemetry/capture"
	"github.com/omniroute/omniroute/sdk/abi"
)

// Header holds the fields of the client's request, as they came.
type Header []abi.Header

// Get returns the first value of a field, "" if there is none. Case does not
// matter.
func (h Header) Get(name string) string {
	for i := range h {
		if len(h[i].Name) == len(name) && strings.EqualFold(h[i].Name, name) {
			return h[i].Value
		}
	}
	return ""
}

// Captured is header fields as they are kept with the stages of a request.
func Captured(h []abi.Header) []capture.Header {
	out := make([]capture.Header, len(h))
	for i, f := range h {
		out[i] = capture.Header{Name: f.Name, Value: f.Value}
	}
	return out
}

// Map returns the fields by lower-case name; of repeated ones the first.
func (h Header) Map() map[string]string {
	m := make(map[string]string, len(h))
	for i := len(h) - 1; i >= 0; i-- {
		m[strings.ToLower(h[i].Name)] = h[i].Value
	}
	return m
}
