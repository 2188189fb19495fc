package codeassist

import (
	"strconv"
	"strings"
	"time"

	"github.com/omniroute/omniroute/sdk"
)

// Wait is how long an answer asks to wait, in milliseconds: its headers first,
// then the details of its error, then what its message says.
func Wait(c *sdk.Ctx, r *sdk.Result) (ms int64, known bool) {
	if ms, ok := retryAfter(r.Header("retry-after"), c.NowMS()); ok {
		return ms, true
	}
	if ms, ok := seconds(r.Header("x-ratelimit-reset-after")); ok && ms > 0 {
		return ms, true
	}
	if at, err := strconv.ParseInt(r.Header("x-ratelimit-reset"), 10, 64); err == nil {
		if ms := at*1000 - c.NowMS(); ms > 0 {
			return ms, true
		}
	}
	body := errorOf(r)
	if ms := detail(body, "RetryInfo", "retryDelay"); ms > 0 {
		return ms, true
	}
	if ms := detail(body, "ErrorInfo", "metadata.quotaResetDelay"); ms > 0 {
		return ms, true
	}
	ms = spoken(body.Get("message").Text())
	return ms, ms > 0
}

// retryAfter reads a Retry-After header: whole seconds above 0, or a date.
func retryAfter(s string, now int64) (int64, bool) {
	if s == "" {
		return 0, false
	}
	if n, err := strconv.ParseInt(s, 10, 32); err == nil {
		return n * 1000, n > 0
	}
	at, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", s)
	ms := at.UnixMilli() - now
	return ms, err == nil && ms > 0
}

func seconds(s string) (int64, bool) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f < 0 || f > 1e9 {
		return 0, false
	}
	return int64(f * 1000), true
}

// errorOf is the error object of an answer: {"error": …}, [{"error": …}] or the
// body itself.
func errorOf(r *sdk.Result) sdk.JSON {
	root := sdk.JSON(r.Body).Get("")
	if len(root) > 0 && root[0] == '[' {
		var first sdk.JSON
		root.Each(func(v sdk.JSON) {
			if first == nil {
				first = v
			}
		})
		root = first
	}
	if e := root.Get("error"); e.Exists() {
		return e
	}
	return root
}

// detail reads a duration from the error detail of a type.
func detail(e sdk.JSON, kind, path string) (ms int64) {
	e.Get("details").Each(func(d sdk.JSON) {
		if ms == 0 && strings.HasSuffix(d.Get("@type").Text(), kind) {
			ms = duration(d.Get(path).Text())
		}
	})
	return ms
}

// duration reads 0.847s, 1h2m3s and the like.
func duration(s string) int64 {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0
	}
	return d.Milliseconds()
}

// spoken finds "reset after 2h7m23s" in a message, else "after 30s".
func spoken(text string) int64 {
	lower := strings.ToLower(text)
	if _, rest, ok := strings.Cut(lower, "reset after "); ok {
		if ms := clock(rest, true); ms > 0 {
			return ms
		}
	}
	for rest, ok := lower, true; ; {
		if _, rest, ok = strings.Cut(rest, "after "); !ok {
			return 0
		}
		if ms := clock(rest, false); ms > 0 {
			return ms
		}
	}
}

// clock reads hours, minutes and seconds, or seconds alone, at the start of s.
func clock(s string, all bool) (ms int64) {
	units := [...]struct {
		name byte
		ms   int64
	}{{'h', 3_600_000}, {'m', 60_000}, {'s', 1000}}
	for k, u := range units {
		if !all && k < 2 {
			continue
		}
		n := 0
		for n < len(s) && n < 9 && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		if n == 0 || n >= len(s) || s[n] != u.name {
			continue
		}
		v, err := strconv.ParseInt(s[:n], 10, 64)
		if err != nil {
			return 0
		}
		ms, s = ms+v*u.ms, s[n+1:]
	}
	return ms
}
