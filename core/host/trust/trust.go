package trust

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/omniroute/omniroute/core/host/lock"
	"github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/core/host/pack"
)

// Mode says which files of the plugin folder are loaded.
type Mode string

// Modes.
const (
	Enforce Mode = "enforce" // only what a listed key signed or Policy.Allow matches
	Warn    Mode = "warn"    // any file with a manifest, isolated, and says so in the log; the default
	Dev     Mode = "dev"     // also modules without a manifest
)

// Policy is what the operator thinks of plugin files. The zero value is that of
// mode warn.
type Policy struct {
	Mode      Mode            // "" = warn
	Keys      []Key           // whose signatures count
	Allow     []string        // unsigned files that may load under enforce: patterns of paths
	Isolation string          // of unsigned files; "" = stream
	Grants    manifest.Grants // what unsigned files may do beyond what they may by themselves
	Deny      Deny            // what no plugin may do
}

// Key is a public key the operator trusts.
type Key struct {
	pack.Key
	Name      string   // for people
	Scope     []string // patterns of plugin names it counts for, "acme/*"; empty = all
	Isolation string   // of the plugins it signed; "" = what their manifest says
}

// Deny takes away, whatever was granted.
type Deny struct {
	Capabilities []string // http, secrets.use, secrets.reveal, kv
	Hosts        []string // names, *.suffix
}

// Item is what the operator's settings say of one plugin.
type Item struct {
	Listed   bool // there is an entry
	Disabled bool
	Grants   manifest.Grants
}

// Subject is a file to be judged.
type Subject struct {
	File  *pack.File
	Path  string   // relative to the plugin folder, with slashes
	Paths []string // further spellings of it that Policy.Allow may use
	Item  Item
	Entry *lock.Entry // of the lock file; nil = none
}

// Verdict is what a file that may run may do.
type Verdict struct {
	Keys      []string        // public keys that signed it and count
	Signer    string          // the first of them, by its name
	Isolation string          // at least that; shared, stream or call
	Grants    manifest.Grants // effective
	Freeze    bool            // nothing is locked yet: record Grants in the lock file
}

// Signed reports whether a key that counts vouches for the file.
func (v *Verdict) Signed() bool { return len(v.Keys) > 0 }

// NeedsApproval is the error about a plugin that wants more than it was
// granted.
type NeedsApproval struct {
	Name    string
	Missing manifest.Grants
}

func (e *NeedsApproval) Error() string {
	return "it asks for more than it was granted (" + e.Missing.String() + "); run `omniroute plugin approve " + e.Name + "`"
}

// Judge decides about a file with a manifest. Errors are sentences that call
// the file "it".
func (p *Policy) Judge(s Subject) (Verdict, error) {
	var v Verdict
	m := s.File.Manifest
	if m == nil {
		return v, errors.New("it has no manifest")
	}
	signers, err := p.signers(s.File)
	if err != nil {
		return v, err
	}
	for _, k := range signers {
		v.Keys = append(v.Keys, k.Text)
	}
	v.Isolation = manifest.IsolationShared
	switch {
	case len(signers) > 0:
		v.Signer = signers[0].Name
		v.Isolation = stricter(v.Isolation, signers[0].Isolation)
	case p.Mode == Enforce && !p.allowed(s):
		return v, errors.New("it is not signed by a listed key, and plugins.trust.unsigned.allow does not name it")
	case p.Isolation != "":
		v.Isolation = stricter(v.Isolation, p.Isolation)
	case p.Mode != Dev:
		v.Isolation = manifest.IsolationStream
	}
	v.Isolation = stricter(v.Isolation, m.Isolation)
	if s.Entry != nil && s.Entry.Pinned() && s.Entry.ContentDigest != s.File.ContentDigest {
		return v, fmt.Errorf("its content is not what the lock file says (%s %s); install it with `omniroute plugin install`", s.Entry.Name, s.Entry.Version)
	}
	asks := m.Asks()
	if denied := p.Deny.Of(asks); !denied.Empty() {
		return v, fmt.Errorf("plugins.trust.deny forbids what it asks for (%s)", denied)
	}
	v.Grants, v.Freeze, err = p.grants(s, asks, len(signers) > 0)
	return v, err
}

// grants are those that were agreed on, or where nothing was yet, those that a
// file may have by itself.
func (p *Policy) grants(s Subject, asks manifest.Grants, signed bool) (g manifest.Grants, freeze bool, err error) {
	name := s.File.Manifest.Name
	if s.Entry != nil {
		g = s.Entry.Grants.And(s.Item.Grants)
		if missing := g.Missing(asks); !missing.Empty() {
			return g, false, &NeedsApproval{name, missing}
		}
		return g, false, nil
	}
	own, special := Special(asks)
	g = own.And(s.Item.Grants)
	if !signed {
		g = g.And(p.Grants)
	}
	if missing := g.Missing(special); !missing.Empty() {
		return g, false, fmt.Errorf("it asks for %s, which takes an entry for %s in plugins.items with these grants", missing, name)
	}
	return g, true, nil
}

// Special splits what is asked for into what any plugin may have and what takes
// an operator's word: reading secrets, and hosts in private networks.
func Special(asks manifest.Grants) (own, special manifest.Grants) {
	own = manifest.Grants{Use: asks.Use, KV: asks.KV}
	special = manifest.Grants{Reveal: asks.Reveal}
	for _, h := range asks.HTTP {
		if host, err := manifest.ParseHost(h); err != nil || host.Private() {
			special.HTTP = append(special.HTTP, h)
		} else {
			own.HTTP = append(own.HTTP, h)
		}
	}
	return own, special
}

// signers are the listed keys that signed a file and count for its name.
func (p *Policy) signers(f *pack.File) ([]Key, error) {
	keys := make([]pack.Key, len(p.Keys))
	for k := range p.Keys {
		keys[k] = p.Keys[k].Key
	}
	valid, err := f.SignedBy(keys)
	if err != nil {
		return nil, err
	}
	var out []Key
	for _, v := range valid {
		for _, k := range p.Keys {
			if k.Text == v.Text && k.counts(f.Manifest.Name) {
				out = append(out, k)
			}
		}
	}
	return out, nil
}

func (k *Key) counts(name string) bool {
	return len(k.Scope) == 0 || slices.ContainsFunc(k.Scope, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}

func (p *Policy) allowed(s Subject) bool {
	for _, pattern := range p.Allow {
		for _, name := range append([]string{s.Path}, s.Paths...) {
			if ok, err := path.Match(strings.TrimPrefix(pattern, "./"), name); ok && err == nil {
				return true
			}
		}
	}
	return false
}

// Of is the part of what is asked for that is denied.
func (d *Deny) Of(asks manifest.Grants) manifest.Grants {
	var out manifest.Grants
	if slices.Contains(d.Capabilities, manifest.CapUse) {
		out.Use = asks.Use
	}
	if slices.Contains(d.Capabilities, manifest.CapReveal) {
		out.Reveal = asks.Reveal
	}
	out.KV = asks.KV && slices.Contains(d.Capabilities, manifest.CapKV)
	for _, h := range asks.HTTP {
		host, err := manifest.ParseHost(h)
		if slices.Contains(d.Capabilities, manifest.CapHTTP) || err == nil && d.Host(host.Name) {
			out.HTTP = append(out.HTTP, h)
		}
	}
	return out
}

// Host reports whether no plugin may send requests to a host. A name that
// starts with a dot stands for all below it.
func (d *Deny) Host(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	return slices.ContainsFunc(d.Hosts, func(pattern string) bool {
		pattern = strings.ToLower(pattern)
		suffix, wild := strings.CutPrefix(pattern, "*.")
		if wild {
			return strings.HasSuffix(name, "."+suffix)
		}
		return strings.TrimPrefix(name, ".") == pattern
	})
}

// stricter is the level that keeps streams further apart; "" is none.
func stricter(a, b string) string {
	levels := []string{"", manifest.IsolationShared, manifest.IsolationStream, manifest.IsolationCall}
	if slices.Index(levels, b) > slices.Index(levels, a) {
		return b
	}
	return a
}
