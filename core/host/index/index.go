package index

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/core/host/pack"
)

// SignatureSuffix is added to the name of an index for its signature.
const SignatureSuffix = ".minisig"

// Index is the content of an index.json.
type Index struct {
	Schema  int       `json:"schema"`
	Serial  int64     `json:"serial"`
	Expires time.Time `json:"expires"`
	Keys    []string  `json:"keys,omitempty"` // public keys that may sign the next ones
	Plugins []Plugin  `json:"plugins"`
}

// Plugin is one plugin of an index, newest version first.
type Plugin struct {
	Name     string    `json:"name"`
	Summary  string    `json:"summary,omitempty"`
	Kinds    []string  `json:"kinds,omitempty"`
	Versions []Version `json:"versions"`
}

// Version is one version of a plugin.
type Version struct {
	Version       string            `json:"version"`
	ABI           string            `json:"abi,omitempty"`
	Requires      manifest.Requires `json:"requires,omitzero"`
	Size          int               `json:"size"` // bytes
	FileDigest    string            `json:"file_digest"`
	ContentDigest string            `json:"content_digest"`
	SignedBy      []string          `json:"signed_by,omitempty"` // key ids, hexadecimal
	Caps          []string          `json:"caps,omitempty"`
	URLs          []string          `json:"urls"` // https://…, oci://…, or relative to the index
	Yanked        bool              `json:"yanked,omitempty"`
}

const schema = 1

// Open checks the signature of an index by one of the keys, its form and its
// date.
func Open(raw, signature []byte, keys []pack.Key, now time.Time) (*Index, error) {
	signers, err := pack.VerifyBytes(raw, signature, keys)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the index: %w", err)
	case len(signers) == 0:
		return nil, errors.New("the index is not signed by one of its keys")
	}
	x, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	if !now.Before(x.Expires) {
		return nil, fmt.Errorf("the index expired on %s; its publisher has to renew it", x.Expires.Format(time.DateOnly))
	}
	return x, nil
}

// Parse reads an index without looking at its signature or date.
func Parse(raw []byte) (*Index, error) {
	x := &Index{}
	if err := json.Unmarshal(raw, x); err != nil {
		return nil, fmt.Errorf("the index is not valid JSON: %w", err)
	}
	if x.Schema != schema {
		return nil, fmt.Errorf("the index has schema %d; this gateway reads schema %d", x.Schema, schema)
	}
	for _, p := range x.Plugins {
		if !manifest.ValidName(p.Name) {
			return nil, fmt.Errorf("the index has a plugin with the invalid name %q", p.Name)
		}
		for _, v := range p.Versions {
			if _, err := semver.NewVersion(v.Version); err != nil || v.FileDigest == "" || len(v.URLs) == 0 {
				return nil, fmt.Errorf("the index has an incomplete version %q of %s", v.Version, p.Name)
			}
		}
	}
	return x, nil
}

// NotBefore refuses an index that is older than one seen before.
func (x *Index) NotBefore(serial int64) error {
	if x.Serial < serial {
		return fmt.Errorf("the index has serial %d; %d was seen before: someone shows an old one", x.Serial, serial)
	}
	return nil
}

// Find returns a plugin, nil if the index has none of that name.
func (x *Index) Find(name string) *Plugin {
	for k := range x.Plugins {
		if x.Plugins[k].Name == name {
			return &x.Plugins[k]
		}
	}
	return nil
}

// Search returns plugins whose name, summary or kinds contain all words.
func (x *Index) Search(words string) []Plugin {
	var out []Plugin
	for _, p := range x.Plugins {
		text := strings.ToLower(p.Name + " " + p.Summary + " " + strings.Join(p.Kinds, " "))
		fits := true
		for _, w := range strings.Fields(strings.ToLower(words)) {
			fits = fits && strings.Contains(text, w)
		}
		if fits {
			out = append(out, p)
		}
	}
	return out
}

// Choose returns the newest version that a constraint ("", "1.2.0", "^1.2")
// allows and this gateway runs; nil if there is none. A yanked version is chosen
// only by its very number.
func (p *Plugin) Choose(constraint, gateway string) *Version {
	var best *Version
	var high *semver.Version
	for k := range p.Versions {
		v := &p.Versions[k]
		n, err := semver.NewVersion(v.Version)
		if err != nil || v.Yanked && constraint != v.Version || !Fits(v.Version, constraint) {
			continue
		}
		m := manifest.Manifest{Requires: v.Requires}
		if m.Supports(gateway) != nil {
			continue
		}
		if high == nil || n.GreaterThan(high) {
			best, high = v, n
		}
	}
	return best
}

// Fits reports whether a version is what a constraint wants. Without one every
// version fits that is not a pre-release.
func Fits(version, constraint string) bool {
	v, err := semver.NewVersion(version)
	if err != nil {
		return false
	}
	if constraint == "" {
		return v.Prerelease() == ""
	}
	c, err := semver.NewConstraint(constraint)
	return err == nil && c.Check(v)
}

// Newer reports whether version a is newer than b.
func Newer(a, b string) bool {
	x, err1 := semver.NewVersion(a)
	y, err2 := semver.NewVersion(b)
	return err1 == nil && err2 == nil && x.GreaterThan(y)
}

// Add puts a plugin file into the index; the same version is replaced.
func (x *Index) Add(f *pack.File, urls ...string) error {
	m := f.Manifest
	if m == nil {
		return errors.New("it has no manifest")
	}
	v := Version{
		Version: m.Version, ABI: m.ABI, Requires: m.Requires, Size: len(f.Data), FileDigest: f.FileDigest,
		ContentDigest: f.ContentDigest, Caps: m.Asks().Lines(), URLs: urls,
	}
	for _, s := range f.ListSignatures() {
		v.SignedBy = append(v.SignedBy, s.KeyID)
	}
	p := x.Find(m.Name)
	if p == nil {
		x.Plugins = append(x.Plugins, Plugin{Name: m.Name})
		p = &x.Plugins[len(x.Plugins)-1]
	}
	p.Summary, p.Kinds = m.Summary, m.Kinds()
	p.Versions = slices.DeleteFunc(p.Versions, func(o Version) bool { return o.Version == v.Version })
	p.Versions = append(p.Versions, v)
	slices.SortFunc(p.Versions, func(a, b Version) int {
		if Newer(a.Version, b.Version) {
			return -1
		}
		return 1
	})
	slices.SortFunc(x.Plugins, func(a, b Plugin) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// Format is the text of an index.json.
func (x *Index) Format() ([]byte, error) {
	x.Schema = schema
	out, err := json.MarshalIndent(x, "", "  ")
	return append(out, '\n'), err
}
