package account

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Key is a client key without its secret. A *Key is shared and must not be
// changed.
type Key struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Preview   string            `json:"preview"`          // first 8 and last 4 characters
	Scopes    []string          `json:"scopes,omitempty"` // inference, admin, …; empty = inference
	Team      string            `json:"team,omitempty"`
	Tags      []string          `json:"tags,omitempty"`
	Meta      map[string]string `json:"meta,omitempty"`
	Models    []string          `json:"models,omitempty"`    // globs; empty = all
	Providers []string          `json:"providers,omitempty"` // globs; empty = all
	Accounts  []string          `json:"accounts,omitempty"`  // account ids; empty = all
	Limits    Limits            `json:"limits"`
	Enabled   bool              `json:"enabled"`
	NoLog     bool              `json:"no_log,omitempty"`
	// Verbatim: answers are not sanitized for its requests.
	Verbatim  bool      `json:"verbatim,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	LastUsed  time.Time `json:"last_used,omitzero"`
	Rev       int64     `json:"rev"`
	// FromFile keys are declared in omniroute.yaml and are read-only.
	FromFile bool `json:"from_file,omitempty"`
}

// Limits of a key; -1 = unlimited, 0 = nothing allowed.
type Limits struct {
	DailyUSD    float64 `json:"daily_usd"`
	WeeklyUSD   float64 `json:"weekly_usd"`
	MonthlyUSD  float64 `json:"monthly_usd"`
	TotalUSD    float64 `json:"total_usd"`
	WarnAt      float64 `json:"warn_at"` // share of a limit from which to warn
	RPM         int64   `json:"rpm"`
	TPM         int64   `json:"tpm"`
	RPD         int64   `json:"rpd"`
	Concurrency int64   `json:"concurrency"`
}

// Unlimited limits nothing and warns at 80 %.
func Unlimited() Limits {
	return Limits{DailyUSD: -1, WeeklyUSD: -1, MonthlyUSD: -1, TotalUSD: -1, WarnAt: 0.8, RPM: -1, TPM: -1, RPD: -1, Concurrency: -1}
}

// Key text: sk-<machine 16 hex>-<id 26 base 32>-<check 8 hex>. The check part
// tells a mistyped key from an unknown one without a look at any table.
const (
	keyPrefix  = "sk-"
	keyIDBytes = 16
	base32     = "abcdefghijklmnopqrstuvwxyz234567"
)

// machinePart is the part of a key that says where it was issued.
func machinePart(machineID, salt string) string {
	sum := sha256.Sum256([]byte(machineID + salt))
	return hex.EncodeToString(sum[:8])
}

// checkPart signs the other two parts.
func checkPart(secret, machine, id string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(machine))
	mac.Write([]byte(id))
	return hex.EncodeToString(mac.Sum(nil)[:4])
}

// newKeyText makes a key with 128 random bits.
func newKeyText(secret, machine string) string {
	id := randomID(keyIDBytes)
	return keyPrefix + machine + "-" + id + "-" + checkPart(secret, machine, id)
}

// randomID gives n random bytes as lower-case base 32.
func randomID(n int) string {
	raw := make([]byte, n)
	rand.Read(raw)
	var b strings.Builder
	acc, bits := uint32(0), 0
	for _, c := range raw {
		acc = acc<<8 | uint32(c)
		for bits += 8; bits >= 5; {
			bits -= 5
			b.WriteByte(base32[acc>>bits&31])
		}
	}
	if bits > 0 {
		b.WriteByte(base32[acc<<(5-bits)&31])
	}
	return b.String()
}

// mistyped reports a key of our own form whose check part does not fit.
func mistyped(text, secret, machine string) bool {
	parts := strings.Split(text, "-")
	return len(parts) == 4 && parts[0] == "sk" && parts[1] == machine &&
		!hmac.Equal([]byte(parts[3]), []byte(checkPart(secret, machine, parts[2])))
}

// legacy reports the old two-part form, which has no check part.
func legacy(text string) bool {
	return strings.HasPrefix(text, keyPrefix) && strings.Count(text, "-") == 1
}

// preview shows enough of a secret to tell it from others and no more.
func preview(text string) string {
	if len(text) < 16 {
		return "****"
	}
	return text[:min(8, len(text)/4)] + "…" + text[len(text)-4:]
}
