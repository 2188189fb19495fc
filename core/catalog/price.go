package catalog

import "math"

// Rate is a price in pico-USD per token, which is micro-USD per million tokens.
type Rate int64

// NoRate is a rate that is not given.
const NoRate Rate = -1

// USD is the rate in USD per million tokens.
func (r Rate) USD() float64 { return float64(r) / 1e6 }

// RateOf turns USD per million tokens into a Rate.
func RateOf(usd float64) Rate { return Rate(math.Round(usd * 1e6)) }

// Price of a model. A Rate that is not given is NoRate; ledger.Cost says what
// stands in for it. The zero value is the unknown price.
type Price struct {
	// Known is false when nobody knows the price; costs are then unknown, not 0.
	Known      bool
	Input      Rate
	Output     Rate
	Cached     Rate
	CacheWrite Rate
	Reasoning  Rate
	// Request, Image, Character of text to speak and Second of sound are in nano-USD
	// each, 0 = none.
	Request, Image, Character, Second int64
	// Long rates replace the others for prompts longer than LongAbove tokens
	// (0 = never).
	LongAbove                         int64
	LongInput, LongOutput, LongCached Rate
}

// Free reports a known price of nothing.
func (p Price) Free() bool {
	return p.Known && p.Input == 0 && p.Output == 0 && p.Request == 0 && p.Image == 0 && p.Character == 0 && p.Second == 0
}

// priceOf reads a price entry; without an input rate the price is unknown.
func priceOf(r raw) Price {
	in, ok := number(r["input"])
	if !ok {
		if req, isFlat := number(r["request"]); isFlat {
			return Price{Known: true, Cached: NoRate, CacheWrite: NoRate, Reasoning: NoRate, Request: nano(req),
				LongInput: NoRate, LongOutput: NoRate, LongCached: NoRate}
		}
		return Price{}
	}
	rate := func(r raw, key string) Rate {
		if v, ok := number(r[key]); ok {
			return RateOf(v)
		}
		return NoRate
	}
	p := Price{
		Known: true, Input: RateOf(in), Output: rate(r, "output"), Cached: rate(r, "cached"),
		CacheWrite: rate(r, "cache_creation"), Reasoning: rate(r, "reasoning"),
		LongInput: NoRate, LongOutput: NoRate, LongCached: NoRate,
	}
	if p.Output == NoRate {
		p.Output = p.Input
	}
	if v, ok := number(r["request"]); ok {
		p.Request = nano(v)
	}
	if v, ok := number(r["image"]); ok {
		p.Image = nano(v)
	}
	if v, ok := number(r["character"]); ok {
		p.Character = nano(v)
	}
	if v, ok := number(r["second"]); ok {
		p.Second = nano(v)
	}
	if long := r.child("long_context"); long != nil {
		above, _ := number(long["above"])
		p.LongAbove = int64(above)
		p.LongInput, p.LongOutput, p.LongCached = rate(long, "input"), rate(long, "output"), rate(long, "cached")
	}
	return p
}

func nano(usd float64) int64 { return int64(math.Round(usd * 1e9)) }

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case uint64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}
