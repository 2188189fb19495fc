package host

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/omniroute/omniroute/sdk/abi"
)

// TokenEnd is when a token ends by this machine's clock, from the fields
// expires_in and expires_at of a credential: so many seconds from now, or a time
// of the provider's clock, whose deviation the Date of its answer shows. Zero =
// nobody said.
func TokenEnd(fields map[string]string, header []abi.Header, now time.Time) time.Time {
	if n, err := strconv.ParseInt(fields["expires_in"], 10, 64); err == nil && n > 0 {
		return now.Add(time.Duration(min(n, 10*365*24*3600)) * time.Second)
	}
	end, ok := Instant(fields["expires_at"])
	if !ok {
		return time.Time{}
	}
	for _, h := range header {
		if !strings.EqualFold(h.Name, "date") {
			continue
		}
		if theirs, err := http.ParseTime(h.Value); err == nil {
			if skew := now.Sub(theirs); skew.Abs() > time.Minute {
				end = end.Add(skew)
			}
		}
	}
	return end
}

// Instant reads a Unix time in seconds or milliseconds, or a date of RFC 3339.
func Instant(s string) (time.Time, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > 0 {
		if n < 1e12 {
			return time.Unix(n, 0), true
		}
		return time.UnixMilli(n), true
	}
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil
}
