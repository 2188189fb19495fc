package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/omniroute/omniroute/core/fault"
)

// Health says whether a plugin is fit for work.
type Health string

// Health of a plugin.
const (
	HealthOK         Health = "ok"
	HealthDegraded   Health = "degraded"   // crashed too often lately and rests; see Limits.Crashes
	HealthQuarantine Health = "quarantine" // did so again soon after; serves no more until Host.Readmit or another version
)

// Crash is the last time a plugin broke off a call.
type Crash struct {
	Op     string    `json:"op"`
	Why    string    `json:"why"`            // a clause about the plugin
	Said   string    `json:"said,omitempty"` // what it printed
	Fuel   int64     `json:"fuel"`           // used until then
	Input  string    `json:"input"`          // SHA-256 of the input, first 16 digits
	At     time.Time `json:"at"`
	Digest string    `json:"digest"` // of the plugin file, first 16 digits
}

// breaker watches the crashes of one module.
type breaker struct {
	mu      sync.Mutex
	crashes []time.Time // of the last minute
	until   time.Time   // it rests
	rested  time.Time   // when it last began to
	out     bool        // it is in quarantine
	last    *Crash
}

// crashWindow is the time in which Limits.Crashes are too many.
const crashWindow = time.Minute

// crash counts one, and reports whether the module has to go.
func (b *breaker) crash(c *Crash, lim *Limits, bundled bool) (worse Health) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = c
	keep := b.crashes[:0]
	for _, at := range b.crashes {
		if c.At.Sub(at) < crashWindow {
			keep = append(keep, at)
		}
	}
	b.crashes = append(keep, c.At)
	if len(b.crashes) < lim.Crashes || b.out || c.At.Before(b.until) {
		return HealthOK
	}
	again := !b.rested.IsZero() && c.At.Sub(b.rested) < 10*lim.Rest
	b.crashes, b.rested, b.until = b.crashes[:0], c.At, c.At.Add(lim.Rest)
	if again && !bundled {
		b.out = true
		return HealthQuarantine
	}
	return HealthDegraded
}

func (b *breaker) health(now time.Time) (Health, *Crash) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.out:
		return HealthQuarantine, b.last
	case now.Before(b.until):
		return HealthDegraded, b.last
	}
	return HealthOK, b.last
}

// readmit forgets what happened, but not the last crash.
func (b *breaker) readmit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.crashes, b.until, b.rested, b.out = nil, time.Time{}, time.Time{}, false
}

// crashed takes a crash into account. A plugin that is put in quarantine goes
// from the next generation, so that whoever else has its parts serves them.
func (m *module) crashed(e *trapError, fuel int64, input []byte) {
	sum := sha256.Sum256(input)
	c := &Crash{
		Op: e.op.String(), Why: e.why, Said: e.said, Fuel: fuel, At: m.host.now(),
		Input: hex.EncodeToString(sum[:8]), Digest: hex.EncodeToString(m.digest[:8]),
	}
	switch m.breaker.crash(c, &m.limits, m.file == "") {
	case HealthDegraded:
		m.log.Warn("plugin crashes too often", "crashes", m.limits.Crashes, "rests_for", m.limits.Rest, "why", c.Why)
	case HealthQuarantine:
		m.log.Error("plugin is put in quarantine", "why", c.Why, "said", c.Said, "input", c.Input, "fuel", fuel)
		select {
		case m.host.sick <- struct{}{}:
		default: // the host will look at all of them anyway
		}
	}
}

// admit refuses work for a plugin that rests. The built-in plugins never rest:
// without them nothing would be served at all.
func (m *module) admit() error {
	if m.file == "" {
		return nil
	}
	switch h, last := m.breaker.health(m.host.now()); h {
	case HealthQuarantine:
		return fault.Newf(fault.PluginTrap, "The plugin %s is in quarantine: it %s", m.manifest.Name, last.Why)
	case HealthDegraded:
		return fault.Newf(fault.PluginTrap, "The plugin %s rests after %d crashes within a minute: it %s", m.manifest.Name, m.limits.Crashes, last.Why)
	}
	return nil
}

// quarantined tells why the module's parts may not serve; "" when they may.
func (m *module) quarantined() string {
	if h, last := m.breaker.health(m.host.now()); h == HealthQuarantine {
		return fmt.Sprintf("in quarantine: it %s in %s", last.Why, last.Op)
	}
	return ""
}

// Readmit lets a plugin serve again that rests or is in quarantine.
func (h *Host) Readmit(ctx context.Context, plugin string) error {
	g := h.Current()
	defer g.Release()
	found := false
	for _, m := range g.modules {
		if m.manifest.Name == plugin {
			m.breaker.readmit()
			found = true
		}
	}
	if !found {
		return fmt.Errorf("there is no plugin %s", plugin)
	}
	return h.refresh(ctx)
}

// fuelHistogram counts calls by what they used, four steps to the doubling.
type fuelHistogram struct {
	mu    sync.Mutex
	steps [4 * 40]uint32
	most  int64
}

func (h *fuelHistogram) add(fuel int64) {
	h.mu.Lock()
	h.steps[fuelStep(fuel)]++
	h.most = max(h.most, fuel)
	h.mu.Unlock()
}

func fuelStep(fuel int64) int {
	step := 0
	for fuel >= 8 && step < 4*39 {
		fuel >>= 1
		step += 4
	}
	return step + int(max(0, min(fuel-4, 3)))
}

// at returns the fuel that a share of the calls stays below.
func (h *fuelHistogram) at(share float64) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	total := uint64(0)
	for _, n := range h.steps {
		total += uint64(n)
	}
	seen := uint64(0)
	for step, n := range h.steps {
		if seen += uint64(n); n > 0 && float64(seen) >= share*float64(total) {
			return min(h.most, int64(5+step%4)<<(step/4)-1)
		}
	}
	return 0
}
