package manifest

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/goccy/go-json"
)

// Capabilities are what a plugin asks to be granted, with the reasons it gives.
type Capabilities struct {
	HTTP    HTTP    `json:"http,omitzero"`
	Secrets Secrets `json:"secrets,omitzero"`
	KV      *KV     `json:"kv,omitempty"`

	unknown []string // capabilities that this gateway does not have
}

// HTTP asks for hosts that plans may name.
type HTTP struct {
	Hosts  []string `json:"hosts,omitempty"` // [scheme://]host[:port] or *.suffix
	Reason string   `json:"reason,omitempty"`
}

// Secrets asks for credentials of the account a call is for.
type Secrets struct {
	Use    []string `json:"use,omitempty"`    // put into requests by the host
	Reveal []string `json:"reveal,omitempty"` // read by the plugin itself
	Reason string   `json:"reason,omitempty"`
}

// KV asks for a small store of the plugin's own.
type KV struct {
	Reason string `json:"reason,omitempty"`
}

// UnmarshalJSON notes capabilities this gateway does not know: they cannot be
// granted, so they must not be overlooked.
func (c *Capabilities) UnmarshalJSON(raw []byte) error {
	type plain Capabilities
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, (*plain)(c)); err != nil {
		return err
	}
	for name := range all {
		if name != "http" && name != "secrets" && name != "kv" {
			c.unknown = append(c.unknown, name)
		}
	}
	slices.Sort(c.unknown)
	return nil
}

func (c *Capabilities) check() error {
	if len(c.unknown) > 0 {
		return fmt.Errorf("it asks for the capability %q, which this gateway does not have", c.unknown[0])
	}
	for _, h := range c.HTTP.Hosts {
		if _, err := ParseHost(h); err != nil {
			return err
		}
	}
	for _, s := range append(append([]string{}, c.Secrets.Use...), c.Secrets.Reveal...) {
		if s == "" || strings.ContainsAny(s, " :{}\t\r\n") {
			return fmt.Errorf("it asks for a secret with the invalid name %q", s)
		}
	}
	return nil
}

// Grants are capabilities: those that a plugin asks for, or those that it was
// given.
type Grants struct {
	HTTP   []string `yaml:"http,omitempty,flow" json:"http,omitempty"`
	Use    []string `yaml:"secrets.use,omitempty,flow" json:"secrets.use,omitempty"`
	Reveal []string `yaml:"secrets.reveal,omitempty,flow" json:"secrets.reveal,omitempty"`
	KV     bool     `yaml:"kv,omitempty" json:"kv,omitempty"`
}

// Names of capabilities, as they stand in trust policies and messages.
const (
	CapHTTP   = "http"
	CapUse    = "secrets.use"
	CapReveal = "secrets.reveal"
	CapKV     = "kv"
)

// CapNames lists all capabilities that can be granted.
func CapNames() []string { return []string{CapHTTP, CapUse, CapReveal, CapKV} }

// Asks is all that a plugin wants to do. The hosts of base URLs count as asked
// for: requests go there without further words.
func (m *Manifest) Asks() Grants {
	g := Grants{
		HTTP: slices.Clone(m.Capabilities.HTTP.Hosts), Use: slices.Clone(m.Capabilities.Secrets.Use),
		Reveal: slices.Clone(m.Capabilities.Secrets.Reveal), KV: m.Capabilities.KV != nil,
	}
	for k := range m.Provides {
		for _, base := range m.Provides[k].BaseURLs {
			if h := hostOfURL(base); h != "" && !coveredBy(g.HTTP, h) {
				g.HTTP = addOnce(g.HTTP, h)
			}
		}
	}
	return g
}

// hostOfURL is the narrowest pattern for a URL: without a scheme for https, and
// without a default port.
func hostOfURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "http" {
		return "http://" + strings.TrimSuffix(host, ":80")
	}
	return strings.TrimSuffix(host, ":443")
}

// Host is a pattern of hosts: exact, or every host below a suffix.
type Host struct {
	Scheme string // http or https
	Name   string // host name or address; a suffix starts with a dot
	Port   string // "" = the scheme's own
}

// ParseHost reads [scheme://]host[:port], where host may be *.suffix. Without a
// scheme it is https.
func ParseHost(pattern string) (Host, error) {
	bad := fmt.Errorf("%q is not a host: write host, host:port, *.suffix or http://host", pattern)
	h := Host{Scheme: "https"}
	rest := strings.ToLower(pattern)
	if scheme, after, ok := strings.Cut(rest, "://"); ok {
		if scheme != "http" && scheme != "https" {
			return h, bad
		}
		h.Scheme, rest = scheme, after
	}
	if strings.ContainsAny(rest, "/?#@ \t\r\n") || rest == "" {
		return h, bad
	}
	name := rest
	if strings.HasPrefix(rest, "[") {
		inside, after, ok := strings.Cut(rest[1:], "]")
		if _, err := netip.ParseAddr(inside); !ok || err != nil {
			return h, bad
		}
		name, h.Port = inside, strings.TrimPrefix(after, ":")
	} else if host, port, ok := strings.Cut(rest, ":"); ok {
		if name, h.Port = host, port; port == "" {
			return h, bad
		}
	}
	if strings.Trim(h.Port, "0123456789") != "" {
		return h, bad
	}
	if suffix, ok := strings.CutPrefix(name, "*."); ok {
		if !strings.Contains(suffix, ".") {
			return h, fmt.Errorf("%q stands for too many hosts", pattern)
		}
		name = "." + suffix
	}
	if name == "" || name == "." || strings.Contains(name, "*") {
		return h, bad
	}
	h.Name = name
	if h.Port == defaultPort(h.Scheme) {
		h.Port = ""
	}
	return h, nil
}

func defaultPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}

// Matches reports whether a URL's scheme, host and port are what the pattern
// says.
func (h Host) Matches(u *url.URL) bool {
	port := u.Port()
	if port == defaultPort(u.Scheme) {
		port = ""
	}
	name := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if u.Scheme != h.Scheme || port != h.Port || name == "" {
		return false
	}
	if strings.HasPrefix(h.Name, ".") {
		return strings.HasSuffix(name, h.Name) && len(name) > len(h.Name)
	}
	return name == h.Name
}

// Private reports whether the pattern names what can only be in a private
// network: loopback, an address of a private range, or a name that no public
// resolver knows.
func (h Host) Private() bool {
	if addr, err := netip.ParseAddr(h.Name); err == nil {
		addr = addr.Unmap()
		return addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsUnspecified() || addr.IsMulticast()
	}
	name := strings.TrimSuffix(h.Name, ".")
	for _, suffix := range []string{"localhost", "local", "internal", "lan", "home.arpa", "intranet", "corp", "home"} {
		if name == suffix || strings.HasSuffix(name, "."+suffix) {
			return true
		}
	}
	return !strings.Contains(strings.TrimPrefix(name, "."), ".")
}

// covers reports whether every URL that o matches is matched by h.
func (h Host) covers(o Host) bool {
	if h.Scheme != o.Scheme || h.Port != o.Port {
		return false
	}
	if h.Name == o.Name {
		return true
	}
	return strings.HasPrefix(h.Name, ".") && strings.HasSuffix(o.Name, h.Name)
}

func coveredBy(patterns []string, asked string) bool {
	o, err := ParseHost(asked)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(patterns, func(p string) bool {
		h, err := ParseHost(p)
		return err == nil && h.covers(o)
	})
}

// Missing is the part of what is asked for that g does not give.
func (g Grants) Missing(asked Grants) Grants {
	var out Grants
	for _, h := range asked.HTTP {
		if !coveredBy(g.HTTP, h) {
			out.HTTP = append(out.HTTP, h)
		}
	}
	out.Use = without(asked.Use, append(slices.Clone(g.Use), g.Reveal...))
	out.Reveal = without(asked.Reveal, g.Reveal)
	out.KV = asked.KV && !g.KV
	return out
}

// And joins two sets of grants.
func (g Grants) And(o Grants) Grants {
	out := Grants{HTTP: slices.Clone(g.HTTP), Use: slices.Clone(g.Use), Reveal: slices.Clone(g.Reveal), KV: g.KV || o.KV}
	for _, h := range o.HTTP {
		if !coveredBy(out.HTTP, h) {
			out.HTTP = append(out.HTTP, h)
		}
	}
	for _, s := range o.Use {
		out.Use = addOnce(out.Use, s)
	}
	for _, s := range o.Reveal {
		out.Reveal = addOnce(out.Reveal, s)
	}
	return out
}

// Empty reports whether nothing is granted, or asked for.
func (g Grants) Empty() bool {
	return len(g.HTTP) == 0 && len(g.Use) == 0 && len(g.Reveal) == 0 && !g.KV
}

// Check says what in operator-written grants is not one.
func (g Grants) Check() error {
	for _, h := range g.HTTP {
		if _, err := ParseHost(h); err != nil {
			return err
		}
	}
	for _, s := range append(slices.Clone(g.Use), g.Reveal...) {
		if s == "" {
			return errors.New("a secret has no name")
		}
	}
	return nil
}

// Lines says each grant in one line, "http api.acme.example" or "kv".
func (g Grants) Lines() []string {
	var out []string
	add := func(name string, values []string) {
		for _, v := range values {
			out = append(out, name+" "+v)
		}
	}
	add(CapHTTP, g.HTTP)
	add(CapUse, g.Use)
	add(CapReveal, g.Reveal)
	if g.KV {
		out = append(out, CapKV)
	}
	return out
}

// String is all lines in one, "nothing" if there are none.
func (g Grants) String() string {
	if g.Empty() {
		return "nothing"
	}
	return strings.Join(g.Lines(), ", ")
}

// Reason is what the plugin says a capability is for, "" if it does not say.
func (c *Capabilities) Reason(name string) string {
	switch name {
	case CapHTTP:
		return c.HTTP.Reason
	case CapUse, CapReveal:
		return c.Secrets.Reason
	case CapKV:
		if c.KV != nil {
			return c.KV.Reason
		}
	}
	return ""
}

func without(list, gone []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(gone, s) {
			out = append(out, s)
		}
	}
	return out
}

func addOnce(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
