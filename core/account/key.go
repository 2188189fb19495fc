package account

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/fault"
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
	// IPs are the addresses and prefixes it may be used from; empty = anywhere.
	IPs []string `json:"ips,omitempty"`
	// Schedule says when it may be used; nil = always.
	Schedule *Schedule `json:"schedule,omitempty"`
	Limits   Limits    `json:"limits"`
	Enabled  bool      `json:"enabled"`
	NoLog    bool      `json:"no_log,omitempty"`
	// Verbatim: answers are not sanitized for its requests.
	Verbatim  bool      `json:"verbatim,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	LastUsed  time.Time `json:"last_used,omitzero"`
	Rev       int64     `json:"rev"`
	// FromFile keys are declared in omniroute.yaml and are read-only.
	FromFile bool `json:"from_file,omitempty"`
}

// Schedule is the part of a week in which a key may be used.
type Schedule struct {
	From  string `json:"from"`  // "08:00"
	Until string `json:"until"` // "18:30"; before From it is on the next day
	Days  []int  `json:"days"`  // 0 = Sunday … 6, of From; empty = every day
	TZ    string `json:"tz"`    // IANA name; "" = UTC
}

// Check reports what is wrong with a schedule.
func (s *Schedule) Check() error {
	for _, text := range []string{s.From, s.Until} {
		if _, err := time.Parse("15:04", text); err != nil {
			return fmt.Errorf("%q is no time of day such as 08:30", text)
		}
	}
	for _, d := range s.Days {
		if d < 0 || d > 6 {
			return fmt.Errorf("%d is no day of the week; Sunday is 0 and Saturday 6", d)
		}
	}
	if _, err := time.LoadLocation(s.TZ); err != nil {
		return fmt.Errorf("%q is no time zone such as Europe/Berlin", s.TZ)
	}
	return nil
}

// open tells whether a moment lies within the schedule; one that cannot be read is closed.
func (s *Schedule) open(now time.Time) bool {
	zone, err := time.LoadLocation(s.TZ)
	from, bad1 := time.Parse("15:04", s.From)
	until, bad2 := time.Parse("15:04", s.Until)
	if err != nil || bad1 != nil || bad2 != nil {
		return false
	}
	now = now.In(zone)
	minute := func(t time.Time) int { return t.Hour()*60 + t.Minute() }
	on := func(day time.Weekday) bool { return len(s.Days) == 0 || slices.Contains(s.Days, int(day)) }
	at, begin, end := minute(now), minute(from), minute(until)
	if begin < end {
		return at >= begin && at < end && on(now.Weekday())
	}
	return at >= begin && on(now.Weekday()) || at < end && on((now.Weekday()+6)%7)
}

// CheckIPs reports what is wrong with a list of addresses and prefixes.
func CheckIPs(list []string) error {
	for _, text := range list {
		if _, err := prefix(text); err != nil {
			return fmt.Errorf("%q is neither an address nor a prefix such as 10.0.0.0/8", text)
		}
	}
	return nil
}

func prefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}

// Admit returns why a key may not be used from an address at a moment; nil if it may.
func (k *Key) Admit(ip netip.Addr, now time.Time) error {
	if len(k.IPs) > 0 && !slices.ContainsFunc(k.IPs, func(text string) bool {
		p, err := prefix(text)
		return err == nil && p.Contains(ip.Unmap().WithZone(""))
	}) {
		return fault.New(fault.AddressNotAllowed, "This key may not be used from this address")
	}
	if k.Schedule != nil && !k.Schedule.open(now) {
		return fault.New(fault.Forbidden, "This key may not be used at this time")
	}
	return nil
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
