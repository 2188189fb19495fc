package config

import (
	"net/netip"
	"regexp"
	"strings"
)

// IPFilter says from which addresses clients may come. Rules read it as
// cfg.ip_mode, cfg.ip_allow and cfg.ip_block.
type IPFilter struct {
	Enabled bool   `yaml:"enabled"`
	Mode    string `yaml:"mode"` // blacklist | whitelist | whitelist-priority; allowlist and blocklist say the same
	// Entries are addresses, prefixes such as 10.0.0.0/8 and patterns such as
	// 192.168.*.*.
	Whitelist []string `yaml:"whitelist"`
	Blacklist []string `yaml:"blacklist"`
	// BlockLoopback lets the lists hold against this machine itself too.
	BlockLoopback bool `yaml:"block_loopback"`
}

// ThinkingBudget is what becomes of the thinking that clients ask for. Rules
// read it as cfg.thinking_mode, cfg.custom_budget and cfg.effort.
type ThinkingBudget struct {
	Mode         string `yaml:"mode"`          // passthrough | auto | custom | adaptive
	CustomBudget int    `yaml:"custom_budget"` // tokens, for custom
	EffortLevel  string `yaml:"effort_level"`  // none | low | medium | high, for adaptive
}

// SystemPrompt is a text for every conversation. Rules read it as
// cfg.system_enabled and cfg.system_prompt.
type SystemPrompt struct {
	Enabled bool `yaml:"enabled"`
	// Prompt may name {{date}}, {{model}}, {{key.name}} and {{user}}.
	Prompt string `yaml:"prompt"`
	// Position holds for the rule of the preset: prepend | append | replace | last_user.
	Position string `yaml:"position"`
}

// Guard inspects what clients send.
type Guard struct {
	Mode  string     `yaml:"mode"` // off | log | warn | block
	PII   GuardPII   `yaml:"pii"`
	Tools GuardTools `yaml:"tools"`
}

// GuardPII is about personal data.
type GuardPII struct {
	Requests string `yaml:"requests"` // off | log | redact | block
}

// GuardTools says which tools clients may offer to models.
type GuardTools struct {
	Mode  string   `yaml:"mode"` // disabled | allowlist | denylist
	Names []string `yaml:"names"`
}

// ChainLink is one stand-in of a fallback chain. In the file it is a provider or
// "provider/model" alone, or a mapping.
type ChainLink struct {
	Pos      Pos    `yaml:"-"`
	Provider string `yaml:"provider"` // "" with Model = "provider/model"
	Model    string `yaml:"model"`    // "" = the same model
	Priority int    `yaml:"priority"` // lower first
	Enabled  bool   `yaml:"enabled" default:"true"`
}

// Limits of the settings above.
const (
	maxThinkingBudget = 131072
	maxSystemPrompt   = 50_000 // characters
	maxChain          = 8
)

func (c *checker) safety() {
	f := c.file
	c.ipFilter(&f.IPFilter)
	t := &f.ThinkingBudget
	c.oneOf(join("thinking_budget", "mode"), t.Mode, "passthrough", "auto", "custom", "adaptive")
	c.oneOf(join("thinking_budget", "effort_level"), t.EffortLevel, "none", "low", "medium", "high")
	if t.CustomBudget < 0 || t.CustomBudget > maxThinkingBudget {
		c.bad(join("thinking_budget", "custom_budget"), "want 0 to %d tokens", maxThinkingBudget)
	}
	c.oneOf(join("system_prompt", "position"), f.SystemPrompt.Position, "prepend", "append", "replace", "last_user")
	if n := len([]rune(f.SystemPrompt.Prompt)); n > maxSystemPrompt {
		c.bad(join("system_prompt", "prompt"), "want at most %d characters, got %d", maxSystemPrompt, n)
	}
	c.oneOf(join("guard", "mode"), f.Guard.Mode, "off", "log", "warn", "block")
	c.oneOf(join(join("guard", "pii"), "requests"), f.Guard.PII.Requests, "off", "log", "redact", "block")
	c.oneOf(join(join("guard", "tools"), "mode"), f.Guard.Tools.Mode, "disabled", "allowlist", "denylist")
	for _, pattern := range sortedNames(f.FallbackChains) {
		c.chain(join("fallback_chains", pattern), f.FallbackChains[pattern])
	}
}

func (c *checker) chain(path string, links []ChainLink) {
	if len(links) > maxChain {
		c.bad(path, "a chain has at most %d entries, got %d", maxChain, len(links))
	}
	for i, l := range links {
		if l.Provider == "" && !strings.Contains(l.Model, "/") {
			c.bad(index(path, i), "an entry needs a provider, or a model such as openai/gpt-4o")
		}
	}
}

func (c *checker) ipFilter(f *IPFilter) {
	if i := strings.Index(f.Mode, "allowlist"); i == 0 {
		f.Mode = "whitelist" + strings.TrimPrefix(f.Mode, "allowlist")
	} else if f.Mode == "blocklist" {
		f.Mode = "blacklist"
	}
	c.oneOf(join("ip_filter", "mode"), f.Mode, "blacklist", "whitelist", "whitelist-priority")
	for name, list := range map[string][]string{"whitelist": f.Whitelist, "blacklist": f.Blacklist} {
		for i, entry := range list {
			if !isAddressPattern(entry) {
				c.bad(index(join("ip_filter", name), i), "%q is not an address, a prefix such as 10.0.0.0/8 or a pattern such as 192.168.*.*", entry)
			}
		}
	}
}

// thinkTag is the name of a tag around reasoning.
var thinkTag = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,31}$`)

var octets = regexp.MustCompile(`^(\d{1,3}|\*)(\.(\d{1,3}|\*)){3}$`)

// isAddressPattern tells whether ipIn of the policies understands an entry.
func isAddressPattern(s string) bool {
	if _, err := netip.ParsePrefix(s); err == nil {
		return true
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if !strings.Contains(s, "*") || !octets.MatchString(s) {
		return false
	}
	_, err := netip.ParseAddr(strings.ReplaceAll(s, "*", "0"))
	return err == nil
}
