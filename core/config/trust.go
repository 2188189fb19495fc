package config

import (
	"encoding/base64"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Trust is whose plugins may run and what they may do.
type Trust struct {
	Mode     string       `yaml:"mode"`     // warn | enforce | dev
	Keys     []TrustedKey `yaml:"keys"`     // whose signatures count
	Unsigned Unsigned     `yaml:"unsigned"` // files without one
	Deny     Deny         `yaml:"deny"`     // what no plugin may do, whatever was granted
}

// TrustedKey is a minisign public key.
type TrustedKey struct {
	Pos       Pos      `yaml:"-"`
	ID        string   `yaml:"id"`        // the key itself, RW…
	Name      string   `yaml:"name"`      // for people
	Scope     []string `yaml:"scope"`     // patterns of plugin names it counts for; empty = all
	Isolation string   `yaml:"isolation"` // of what it signed: shared | stream | call; "" = what the manifest says
}

// Unsigned is about files that no listed key signed.
type Unsigned struct {
	Allow     []string `yaml:"allow"`     // patterns of paths that load in mode enforce too
	Isolation string   `yaml:"isolation"` // shared | stream | call; "" = stream
	Grants    Grants   `yaml:"grants"`    // beyond what any file may do by itself
}

// Grants are capabilities of plugins.
type Grants struct {
	HTTP   []string `yaml:"http"`           // hosts: host, host:port, *.suffix, http://host
	Use    []string `yaml:"secrets.use"`    // secrets that the gateway puts into its requests
	Reveal []string `yaml:"secrets.reveal"` // secrets that the plugin may read
	KV     bool     `yaml:"kv"`             // a small store of its own
}

// Deny takes capabilities and hosts away from all plugins.
type Deny struct {
	Capabilities []string `yaml:"capabilities"` // http, secrets.use, secrets.reveal, kv
	Hosts        []string `yaml:"hosts"`        // names, *.suffix
}

// PluginIndex is a list of plugins that someone publishes.
type PluginIndex struct {
	Pos  Pos      `yaml:"-"`
	Name string   `yaml:"name"`
	URL  string   `yaml:"url"`  // of index.json: https://…, or a file
	Keys []string `yaml:"keys"` // public keys, one of which must have signed it
}

// capabilities are those that can be granted and denied.
var capabilities = []string{"http", "secrets.use", "secrets.reveal", "kv"}

// trust checks plugins.trust, the grants of items and the indexes.
func (c *checker) trust() {
	p := &c.file.Plugins
	at := join("plugins", "trust")
	for k := range p.Trust.Keys {
		key := &p.Trust.Keys[k]
		here := join(join(at, "keys"), strconv.Itoa(k))
		c.publicKey(join(here, "id"), key.ID)
		c.patterns(join(here, "scope"), key.Scope)
		if !c.oneOf(join(here, "isolation"), key.Isolation, isolations...) {
			key.Isolation = ""
		}
	}
	unsigned := join(at, "unsigned")
	c.patterns(join(unsigned, "allow"), p.Trust.Unsigned.Allow)
	if !c.oneOf(join(unsigned, "isolation"), p.Trust.Unsigned.Isolation, isolations...) {
		p.Trust.Unsigned.Isolation = ""
	}
	c.grants(join(unsigned, "grants"), &p.Trust.Unsigned.Grants)
	for k, name := range p.Trust.Deny.Capabilities {
		c.oneOf(join(join(join(at, "deny"), "capabilities"), strconv.Itoa(k)), name, capabilities...)
	}
	for k, host := range p.Trust.Deny.Hosts {
		if host == "" || strings.ContainsAny(host, "/:@ ") {
			c.bad(join(join(join(at, "deny"), "hosts"), strconv.Itoa(k)), "want a host name or *.suffix")
		}
	}
	for _, name := range sortedNames(p.Items) {
		it := p.Items[name]
		c.grants(join(join(join("plugins", "items"), name), "grants"), &it.Grants)
	}
	c.indexes()
}

func (c *checker) indexes() {
	var names []string
	for k, x := range c.file.Plugins.Indexes {
		here := join(join("plugins", "indexes"), strconv.Itoa(k))
		switch {
		case x.Name == "" || strings.ContainsAny(x.Name, "/@: "):
			c.bad(join(here, "name"), "want a name without slashes, colons and blanks")
		case slices.Contains(names, x.Name):
			c.bad(join(here, "name"), "there is another index %q", x.Name)
		case x.URL == "":
			c.bad(join(here, "url"), "missing")
		case strings.HasPrefix(x.URL, "http://"):
			c.bad(join(here, "url"), "want an https:// URL or a file")
		case len(x.Keys) == 0:
			c.bad(here, "an index needs the keys that sign it")
		}
		names = append(names, x.Name)
		for j, key := range x.Keys {
			c.publicKey(join(join(here, "keys"), strconv.Itoa(j)), key)
		}
	}
}

// publicKey checks the form of a minisign public key: an algorithm, a number
// and 32 bytes.
func (c *checker) publicKey(path, key string) {
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(raw) != 42 || string(raw[:2]) != "Ed" {
		c.bad(path, "want a minisign public key: the second line of its .pub file, RW…")
	}
}

func (c *checker) patterns(at string, list []string) {
	for k, p := range list {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			c.bad(join(at, strconv.Itoa(k)), "%q is not a pattern", p)
		}
	}
}

func (c *checker) grants(at string, g *Grants) {
	for k, h := range g.HTTP {
		if h == "" || h == "*" || strings.ContainsAny(h, " @?#") {
			c.bad(join(join(at, "http"), strconv.Itoa(k)), "want a host: host, host:port, *.suffix or http://host")
		}
	}
	for name, list := range map[string][]string{"secrets.use": g.Use, "secrets.reveal": g.Reveal} {
		for k, s := range list {
			if s == "" || strings.ContainsAny(s, " :{}") {
				c.bad(join(join(at, name), strconv.Itoa(k)), "%q is not the name of a secret", s)
			}
		}
	}
}
