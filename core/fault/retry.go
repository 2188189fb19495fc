package fault

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/doc"
)

// RetryAfter finds out how long an upstream wants us to wait, from its headers
// and its error body. header returns the first value of a header by lower-case
// name; it may be nil. The first source that says something wins, headers
// before the body; a moment in the past is 0. The result is [Unknown] if
// nothing is said. Capping is up to the caller.
func RetryAfter(header func(name string) string, body []byte, now time.Time) time.Duration {
	if header != nil {
		if d, ok := fromHeaders(header, now); ok {
			return d
		}
	}
	if d, ok := fromBody(body, now); ok {
		return d
	}
	return Unknown
}

// maxWait keeps absurd numbers from overflowing.
const maxWait = 366 * 24 * time.Hour

func clamp(d time.Duration) time.Duration { return min(max(d, 0), maxWait) }

// seconds converts a number of seconds.
func seconds(n float64) time.Duration {
	if n != n || n <= 0 {
		return 0
	}
	if n >= maxWait.Seconds() {
		return maxWait
	}
	return time.Duration(n * float64(time.Second))
}

func fromHeaders(header func(string) string, now time.Time) (time.Duration, bool) {
	if n, ok := parseNumber(header("retry-after-ms")); ok {
		return seconds(n / 1000), true
	}
	if d, ok := ParseDuration(header("retry-after"), now); ok {
		return d, true
	}
	if d, ok := ParseDuration(header("x-ratelimit-reset-after"), now); ok {
		return d, true
	}
	if strings.EqualFold(header("anthropic-ratelimit-unified-status"), "rejected") {
		if d, ok := ParseDuration(header("anthropic-ratelimit-unified-reset"), now); ok {
			return d, true
		}
	}
	if d, ok := epoch(header("x-ratelimit-reset"), now); ok {
		return d, true
	}
	requests, ok1 := ParseDuration(header("x-ratelimit-reset-requests"), now)
	tokens, ok2 := ParseDuration(header("x-ratelimit-reset-tokens"), now)
	return max(requests, tokens), ok1 || ok2
}

// epoch reads x-ratelimit-reset: a moment in seconds or milliseconds since
// 1970; providers that put a small number there mean seconds from now.
func epoch(s string, now time.Time) (time.Duration, bool) {
	n, ok := parseNumber(s)
	if !ok {
		return ParseDuration(s, now)
	}
	return moment(n, now), true
}

// Numbers above these are moments, not waits.
const (
	epochSeconds = 1.7e9 // the year 2023
	epochMillis  = 1e10
)

func moment(n float64, now time.Time) time.Duration {
	switch {
	case n > epochMillis:
		n -= float64(now.UnixMilli())
		return seconds(n / 1000)
	case n > epochSeconds:
		return seconds(n - float64(now.UnixMilli())/1000)
	}
	return seconds(n)
}

// ParseDuration reads the ways in which providers write a wait: "1h2m3s",
// "500ms", "1.5s", a bare number of seconds, an epoch in seconds or
// milliseconds, an ISO 8601 or an HTTP date. A moment becomes the time until
// it, 0 if it is past.
func ParseDuration(s string, now time.Time) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, false
	}
	if n, ok := parseNumber(s); ok {
		return moment(n, now), true
	}
	if d, rest := units(s); rest == "" {
		return clamp(d), true
	}
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02",
		time.RFC1123, time.RFC1123Z, time.RFC850, time.ANSIC,
	} {
		if at, err := time.Parse(layout, s); err == nil {
			return clamp(at.Sub(now)), true
		}
	}
	return 0, false
}

func parseNumber(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	if s == "" || strings.Trim(s, "+-.0123456789eE") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

// units reads numbers with units from the start of s, as in "1d2h3m4.5s" or
// "5 minutes", and returns what is left. Without any, all of s is left.
func units(s string) (total time.Duration, rest string) {
	rest = s
	for found := false; ; found = true {
		text := strings.TrimLeft(rest, " ")
		i := 0
		for i < len(text) && (text[i]-'0' <= 9 || text[i] == '.') {
			i++
		}
		n, err := strconv.ParseFloat(text[:i], 64)
		if err != nil {
			return total, rest
		}
		word := strings.TrimLeft(text[i:], " ")
		j := 0
		for j < len(word) && word[j]|0x20 >= 'a' && word[j]|0x20 <= 'z' {
			j++
		}
		size := unitSize(strings.ToLower(word[:j]))
		if size == 0 {
			if !found {
				return 0, s
			}
			return total, rest
		}
		total = clamp(total + seconds(n*size.Seconds()))
		rest = word[j:]
		if rest == "" {
			return total, ""
		}
	}
}

func unitSize(word string) time.Duration {
	switch word {
	case "ms", "msec", "msecs", "millisecond", "milliseconds":
		return time.Millisecond
	case "s", "sec", "secs", "second", "seconds":
		return time.Second
	case "m", "min", "mins", "minute", "minutes":
		return time.Minute
	case "h", "hr", "hrs", "hour", "hours":
		return time.Hour
	case "d", "day", "days":
		return 24 * time.Hour
	}
	return 0
}

// maxRetryText bounds how much of an error body is searched.
const maxRetryText = 64 << 10

// fromBody looks at the known fields of JSON errors, then at the text.
func fromBody(body []byte, now time.Time) (time.Duration, bool) {
	body = bytes.TrimSpace(body)
	if len(body) > maxRetryText {
		body = body[:maxRetryText]
	}
	text := string(body)
	if len(body) > 0 && (body[0] == '{' || body[0] == '[') && doc.Valid(body, doc.Options{}) == nil {
		if body[0] == '[' { // Google wraps errors of streams in an array
			body, _ = doc.Get(body, "0")
		}
		for _, root := range [][]string{{"error"}, nil, {"error", "error"}} {
			object, ok := doc.Get(body, root...)
			if !ok {
				continue
			}
			if d, ok := fromFields(object, now); ok {
				return d, true
			}
			if message, ok := doc.String(object, "message"); ok {
				text = message
			}
		}
	}
	return fromText(text, now)
}

// fromFields reads the fields of one JSON error object.
func fromFields(object []byte, now time.Time) (time.Duration, bool) {
	var wait time.Duration
	found := false
	if details, ok := doc.Get(object, "details"); ok {
		doc.Each(details, func(_ int, raw []byte) bool {
			wait, found = field(raw, "retryDelay", now)
			return !found
		})
	}
	for _, name := range []string{"retryDelay", "retry_after", "resets_at", "resets_in_seconds"} {
		if found {
			break
		}
		wait, found = field(object, name, now)
	}
	return wait, found
}

// field reads a duration or moment that is a number or a string.
func field(object []byte, name string, now time.Time) (time.Duration, bool) {
	if n, ok := doc.Float(object, name); ok {
		return moment(n, now), true
	}
	s, ok := doc.String(object, name)
	if !ok {
		return 0, false
	}
	return ParseDuration(s, now)
}

// fromText finds "retry after 5 minutes", "try again in 1.5s", "reset after
// 2h7m23s" and "regain access on 2026-03-01".
func fromText(text string, now time.Time) (time.Duration, bool) {
	lower := strings.ToLower(text)
	if _, after, ok := strings.Cut(lower, "regain access on "); ok && len(after) >= len(time.DateOnly) {
		if at, err := time.Parse(time.DateOnly, after[:len(time.DateOnly)]); err == nil {
			return clamp(at.Sub(now)), true
		}
	}
	for _, verb := range []string{"reset", "resets", "retry", "try again"} {
		for _, preposition := range []string{" after ", " in "} {
			rest := lower
			for {
				_, after, ok := strings.Cut(rest, verb+preposition)
				if !ok {
					break
				}
				rest = after
				if d, left := units(after); left != after {
					return d, true
				}
			}
		}
	}
	return 0, false
}
