package fault

import "time"

// RetryAfter finds out how long an upstream wants us to wait, from its headers
// and error body. header returns the first value of a header by lower-case
// name; it may be nil. The result is [Unknown] if nothing is said.
func RetryAfter(header func(name string) string, body []byte, now time.Time) time.Duration {
	panic("not reached before the first full commit")
}

// ParseDuration reads the ways in which providers write a wait: "1h2m3s",
// "500ms", "1.5s", a bare number of seconds, an epoch in seconds or
// milliseconds, an ISO 8601 or HTTP date.
func ParseDuration(s string, now time.Time) (time.Duration, bool) {
	panic("not reached before the first full commit")
}
