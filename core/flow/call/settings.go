package call

import (
	"strings"

	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/policy"
)

// Settings returns what rules read as cfg.*, from the file.
func Settings(f *config.File) *policy.Cfg {
	cfg := policy.NewCfg()
	r := f.Routing
	if r.Strategy != "" {
		cfg.Strategy = r.Strategy
	}
	if r.StickyLimit > 0 {
		cfg.StickyLimit = r.StickyLimit
	}
	cfg.MaxRetries = r.MaxRetries
	cfg.RetryDelayMS = int(r.RetryDelay.Milliseconds())
	if t := f.ThinkingBudget; t.Mode != "" {
		cfg.ThinkingMode, cfg.Effort, cfg.CustomBudget = t.Mode, t.EffortLevel, t.CustomBudget
	}
	if f.IPFilter.Enabled {
		cfg.IPMode, cfg.IPAllow, cfg.IPBlock = f.IPFilter.Mode, f.IPFilter.Whitelist, f.IPFilter.Blacklist
	}
	if f.SystemPrompt.Enabled {
		cfg.SystemEnabled, cfg.SystemPrompt = true, f.SystemPrompt.Prompt
	}
	return cfg
}

// Settings returns the settings that hold for a call: a list of addresses never
// locks out the machine itself unless it is told to, and the system prompt has
// its variables filled in.
func (c *Call) Settings() *policy.Cfg {
	cfg := c.Snapshot.Cfg
	if ip := c.IP.Unmap(); ip.IsLoopback() && cfg.IPMode != "off" && !c.Snapshot.Config.File.IPFilter.BlockLoopback {
		own := *cfg
		own.IPMode = "off"
		cfg = &own
	}
	if cfg.SystemEnabled && strings.Contains(cfg.SystemPrompt, "{{") {
		own := *cfg
		own.SystemPrompt = c.filled(own.SystemPrompt)
		cfg = &own
	}
	return cfg
}

// filled puts values in the place of the variables of a text.
func (c *Call) filled(text string) string {
	var date, key, user string
	if clock := c.Env.Clock; clock != nil {
		date = clock.Date
	}
	if c.Env.Key != nil {
		key = c.Env.Key.Name
	}
	if c.Req != nil {
		user = c.Req.User
	}
	return strings.NewReplacer("{{date}}", date, "{{model}}", c.Model, "{{key.name}}", key, "{{user}}", user).Replace(text)
}
