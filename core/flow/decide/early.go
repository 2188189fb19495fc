package decide

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	json "github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/health"
	"github.com/omniroute/omniroute/core/policy"
	"github.com/omniroute/omniroute/sdk/abi"
)

// idempotency replays the answer of an earlier request with the same
// Idempotency-Key, or waits for the one that is still running. Streams are not
// replayed.
func (s *Stage) idempotency(c *call.Call) {
	header := c.Header.Get("idempotency-key")
	if header == "" || c.Stream || c.Endpoint == call.EndpointCountTokens || c.Media != nil && (c.Media.Spoken || c.Media.Upload != nil) {
		return
	}
	h := sha256.New()
	for _, part := range [...]string{c.Env.Key.ID, c.Method, c.Path, header} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	stored, finish, err := s.Health.Idem.Begin(c.Ctx, hex.EncodeToString(h.Sum(nil)), sha256.Sum256(c.Body))
	switch {
	case errors.Is(err, health.ErrBodyMismatch):
		c.Fail(fault.Wrap(fault.IdempotencyConflict, err))
	case errors.Is(err, health.ErrWait):
		e := fault.Wrap(fault.IdempotencyConflict, err, "The first request with this idempotency key is still running")
		e.RetryAfter, e.Retryable = 10*time.Second, true
		c.Fail(e)
	case err != nil:
		c.Fail(err)
	case stored != nil:
		c.CacheHit = true
		c.Answer = replay(stored, abi.Header{Name: "x-omniroute-idempotent", Value: "true"})
	default:
		c.Idempotent = finish
		c.Keep = true
	}
}

// bypass answers housekeeping requests without a model, or sends them to
// another one.
func (s *Stage) bypass(c *call.Call) {
	if c.Media != nil {
		return // a text is no answer to it
	}
	v := c.Snapshot.Policy.Bypass(&c.Env.GateEnv, c.Trace)
	switch {
	case !v.Hit:
	case v.Route != "":
		c.Route = v.Route
	default:
		c.Bypass, c.Canned = v.Rule, v.Reply
		if c.Canned == "" {
			c.Canned = "OK"
		}
	}
}

// cache looks for a stored answer, and remembers under which name the answer may
// be stored.
func (s *Stage) cache(c *call.Call) {
	if c.Media != nil {
		return
	}
	v := c.Snapshot.Policy.Cache(&c.Env.GateEnv, c.Trace)
	if !v.Read && !v.Write || c.Endpoint == call.EndpointCountTokens {
		return
	}
	key, ok := cacheKey(c, v.Scope)
	if !ok {
		return
	}
	if v.Read {
		if stored, ok := s.Health.Cache.Get(key); ok {
			c.CacheHit = true
			age := int(s.Now().Sub(stored.Stored).Seconds())
			c.Answer = replay(stored, abi.Header{Name: "x-omniroute-cache", Value: "HIT"},
				abi.Header{Name: "x-omniroute-cache-age", Value: strconv.Itoa(max(age, 0))})
			return
		}
	}
	if v.Read && v.Write && coalesces(c) {
		answer, land, err := s.Health.Flights.Join(c.Ctx, key)
		switch {
		case err != nil:
			c.Fail(err)
			return
		case answer != nil:
			c.CacheHit = true
			c.Answer = replay(answer, abi.Header{Name: "x-omniroute-cache", Value: "HIT"}, abi.Header{Name: "x-omniroute-cache-age", Value: "0"})
			return
		}
		c.Flight = land
	}
	c.CacheState = "BYPASS"
	if v.Read {
		c.CacheState = "MISS"
	}
	if v.Write {
		c.CacheKey, c.CacheTTL, c.CacheTools, c.Keep = key, ms(v.TTLMS), v.AllowTools, true
		if v.Preset || v.TTLMS == policy.Unset {
			c.CacheTTL = c.Snapshot.Config.File.Cache.TTL
		}
	}
}

// coalesces reports whether requests like this one share an upstream call.
func coalesces(c *call.Call) bool {
	switch c.Snapshot.Config.File.Cache.Coalesce {
	case "all":
		return true
	case "plain":
		return !c.Stream
	}
	return false
}

// replay turns a stored answer into one for this client.
func replay(stored *health.CachedResponse, extra ...abi.Header) *call.Answer {
	a := &call.Answer{Status: stored.Status, Body: stored.Body, Header: extra}
	for _, h := range stored.Headers {
		a.Header = append(a.Header, abi.Header{Name: h[0], Value: h[1]})
	}
	return a
}

// unkeyed are the root members that do not change what a model answers.
var unkeyed = [...]string{"stream", "stream_options", "user", "metadata", "store"}

// cacheKey hashes everything that decides about an answer: the scope, the
// dialect, whether it is a stream, and the body with its members in order.
func cacheKey(c *call.Call, scope string) (string, bool) {
	var body map[string]json.RawMessage
	if json.Unmarshal(c.Body, &body) != nil {
		return "", false
	}
	for _, name := range unkeyed {
		if name != "stream_options" || !c.Stream { // a stream with usage is another answer
			delete(body, name)
		}
	}
	canonical := make(map[string]any, len(body))
	for name, raw := range body {
		v, err := ordered(raw)
		if err != nil {
			return "", false
		}
		canonical[name] = v
	}
	text, err := json.Marshal(canonical)
	if err != nil {
		return "", false
	}
	h := sha256.New()
	for _, part := range [...]string{"1", scope, c.Dialect, c.Endpoint, c.Route, strconv.FormatBool(c.Stream)} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	h.Write(text)
	return hex.EncodeToString(h.Sum(nil)), true
}

// ordered decodes a value so that encoding it again sorts its members; numbers
// keep their digits.
func ordered(raw json.RawMessage) (any, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err := d.Decode(&v)
	return v, err
}
