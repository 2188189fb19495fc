// Package entry reads what executors of one particular provider need from its
// entry in the catalogue: where it is, which headers it wants and what the
// operator set.
//
//	e, err := entry.Parse(profile)       // in Configure: the bytes are gone afterwards
//	p.URLs = e.URLs("chat_stream")
//	e.Headers(p, true)
//	level := e.Option("default_effort", "medium")
package entry

import (
	"strings"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
)

// Entry is a provider's entry.
type Entry struct {
	Bases   []string // first choice first
	Extra   []string // those at the end of Bases that are for failures only
	paths   map[string]string
	headers []abi.Header
	options map[string]string
}

// Parse reads an entry; it keeps nothing of raw.
func Parse(raw []byte) (*Entry, error) {
	root := sdk.JSON(raw).Get("")
	e := &Entry{paths: map[string]string{}, options: map[string]string{}}
	for _, name := range [...]string{"base_urls", "extra_fallback_urls"} {
		n := len(e.Bases)
		root.Get(name).Each(func(v sdk.JSON) { e.Bases = append(e.Bases, strings.TrimRight(v.Text(), "/")) })
		e.Extra = e.Bases[n:]
	}
	if len(e.Bases) == 0 {
		return nil, &abi.ErrorRecord{Message: "the provider has no base_urls", Class: "client", Scope: "provider", Status: 400}
	}
	root.Get("paths").Members(func(name string, v sdk.JSON) { e.paths[name] = v.Text() })
	root.Get("headers").Members(func(name string, v sdk.JSON) {
		e.headers = append(e.headers, abi.Header{Name: name, Value: v.Text()})
	})
	root.Get("options").Members(func(name string, v sdk.JSON) { e.options[name] = v.Text() })
	return e, nil
}

// URLs are the places of an endpoint, first choice first; none if the provider
// does not have it.
func (e *Entry) URLs(endpoint string) []string {
	path, ok := e.paths[endpoint]
	if !ok {
		return nil
	}
	return e.At(path)
}

// At are the places of a path: behind each base URL, or the path itself where it
// is a whole URL.
func (e *Entry) At(path string) []string {
	if strings.Contains(path, "://") {
		return []string{path}
	}
	out := make([]string, len(e.Bases))
	for k, base := range e.Bases {
		out[k] = base + path
	}
	return out
}

// Path is the path of an endpoint, or a fallback.
func (e *Entry) Path(endpoint, fallback string) string {
	if p, ok := e.paths[endpoint]; ok {
		return p
	}
	return fallback
}

// Option is a setting of the operator for this provider, or a fallback.
func (e *Entry) Option(name, fallback string) string {
	if v, ok := e.options[name]; ok {
		return v
	}
	return fallback
}

// Headers puts the entry's headers, and those of every request with a body, into
// a plan.
func (e *Entry) Headers(p *sdk.Plan, stream bool) {
	p.Header("Content-Type", "application/json")
	accept := "application/json"
	if stream {
		accept = "text/event-stream"
	}
	p.Header("Accept", accept)
	for _, h := range e.headers {
		p.Header(h.Name, h.Value)
	}
}

// Known are the entries of an executor, by provider.
type Known map[string]*Entry

// Configure takes the entry of the provider of a call.
func (k Known) Configure(c *sdk.Ctx, raw []byte) error {
	e, err := Parse(raw)
	if err == nil {
		k[c.Provider] = e
	}
	return err
}

// Of is the entry of the provider of a call.
func (k Known) Of(c *sdk.Ctx) (*Entry, error) {
	if e := k[c.Provider]; e != nil {
		return e, nil
	}
	return nil, &abi.ErrorRecord{Message: "provider " + c.Provider + " was not configured", Class: "plugin", Scope: "plugin", Status: 502}
}

// NoEndpoint is the error of a provider that does not have what is asked for.
func NoEndpoint(c *sdk.Ctx) error {
	return &abi.ErrorRecord{
		Message: "the provider " + c.Provider + " has no " + c.Endpoint + " endpoint",
		Class:   "client", Scope: "model", Status: 404, Fallback: true,
	}
}

// UUID is a random UUID (RFC 9562, version 4).
func UUID(c *sdk.Ctx) string { return uuid(c.Rand(), c.Rand()) }

// UUIDFrom is a UUID (version 8) that stands for 16 bytes.
func UUIDFrom(b [16]byte) string {
	var hi, lo uint64
	for k := range 8 {
		hi, lo = hi<<8|uint64(b[k]), lo<<8|uint64(b[k+8])
	}
	s := []byte(uuid(hi, lo))
	s[14] = '8'
	return string(s)
}

func uuid(hi, lo uint64) string {
	const hex = "0123456789abcdef"
	hi = hi&^0xF000 | 0x4000
	lo = lo&^(0xC<<60) | 0x8<<60
	b := make([]byte, 0, 36)
	for k := range 32 {
		if k == 8 || k == 12 || k == 16 || k == 20 {
			b = append(b, '-')
		}
		v := hi
		if k >= 16 {
			v = lo
		}
		b = append(b, hex[v>>(60-4*(k%16))&15])
	}
	return string(b)
}
