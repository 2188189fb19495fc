package oauth

import (
	"encoding/base64"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/doc"
)

// Grant is what an authorization server gave: a credential and whose it is.
// Printing one shows nothing.
type Grant struct {
	Access, Refresh, ID, APIKey string
	// Extra are further secrets by name, Data what is not secret.
	Extra, Data map[string]string
	// ExpiresAt is the end of the access token by this machine's clock; zero =
	// unknown.
	ExpiresAt time.Time
	// Who it is: Subject is the provider's stable id.
	Email, Name, Subject, Plan string
}

// String keeps grants out of logs.
func (Grant) String() string { return "(grant)" }

// GoString does so for %#v.
func (Grant) GoString() string { return "(grant)" }

// data sets what is not empty.
func (g *Grant) data(name, v string) {
	if v == "" {
		return
	}
	if g.Data == nil {
		g.Data = map[string]string{}
	}
	g.Data[name] = v
}

// secret sets a further secret that is not empty.
func (g *Grant) secret(name, v string) {
	if v == "" {
		return
	}
	if g.Extra == nil {
		g.Extra = map[string]string{}
	}
	g.Extra[name] = v
}

// Credential is what an account holds when it is renewed.
type Credential struct {
	Access, Refresh, ID, APIKey string
	Extra, Data                 map[string]string
}

// String keeps credentials out of logs.
func (Credential) String() string { return "(credential)" }

// GoString does so for %#v.
func (Credential) GoString() string { return "(credential)" }

// maxLife bounds what servers say about the life of tokens.
const maxLife = 10 * 365 * 24 * time.Hour

// Instant reads a Unix time in seconds or milliseconds, whole or not, or a date of
// RFC 3339.
func Instant(s string) (time.Time, bool) {
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		if !(n > 0 && n < 1e15) {
			return time.Time{}, false
		}
		if n < 1e12 {
			n *= 1000
		}
		return time.UnixMilli(int64(n)), true
	}
	for _, layout := range [...]string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// TokenEnd is when a token ends by this machine's clock. expiresIn is its life in
// seconds, which no clock can spoil; else expiresAt is a time of the provider's
// clock, whose deviation the Date header of its answer shows. Zero = unknown.
func TokenEnd(expiresIn, expiresAt, date string, now time.Time) time.Time {
	if n, err := strconv.ParseFloat(expiresIn, 64); err == nil && n > 0 && !math.IsInf(n, 0) {
		life := maxLife
		if n < maxLife.Seconds() {
			life = time.Duration(n * float64(time.Second))
		}
		return now.Add(life)
	}
	end, ok := Instant(expiresAt)
	if !ok {
		return time.Time{}
	}
	if theirs, err := http.ParseTime(date); err == nil {
		if skew := now.Sub(theirs); skew.Abs() > time.Minute {
			end = end.Add(skew)
		}
	}
	return end
}

// text is a member of a JSON document: a string, or a number's digits.
func text(body []byte, path ...string) string {
	raw, ok := doc.Get(body, path...)
	if !ok {
		return ""
	}
	if s, ok := doc.String(raw); ok {
		return s
	}
	if len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') {
		return string(raw)
	}
	return ""
}

// member is a part of a JSON document, {} if it is not there.
func member(body []byte, path ...string) []byte {
	if raw, ok := doc.Get(body, path...); ok {
		return raw
	}
	return []byte("{}")
}

// claims is the payload of a JWT, {} if it is none. Its signature is not checked:
// it came over TLS from the one who signed it.
func claims(jwt string) []byte {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return []byte("{}")
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil || !json.Valid(raw) {
		return []byte("{}")
	}
	return raw
}

func clip(s string) string {
	const limit = 200
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}
