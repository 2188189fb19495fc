package ledger

import (
	"math"
	"math/bits"
	"strconv"

	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/sdk/hub"
)

// Money is an amount in nano-USD.
type Money int64

// Unknown is the cost of a request whose price nobody knows.
const Unknown Money = -1

// USD is the amount in USD, for display and for policies.
func (m Money) USD() float64 { return float64(m) / 1e9 }

// String writes the amount exactly, without trailing zeros: 0.0125.
func (m Money) String() string {
	if m == Unknown {
		return "unknown"
	}
	whole, rest := int64(m)/1e9, int64(m)%1e9
	sign := ""
	if m < 0 {
		sign, whole, rest = "-", -whole, -rest
	}
	s := strconv.FormatInt(1e9+rest, 10)[1:]
	end := len(s)
	for end > 2 && s[end-1] == '0' {
		end--
	}
	return sign + strconv.FormatInt(whole, 10) + "." + s[:end]
}

// FromUSD rounds an amount to nano-USD; amounts too large become the largest.
func FromUSD(usd float64) Money {
	v := math.Round(usd * 1e9)
	switch {
	case v != v:
		return 0
	case v >= math.MaxInt64:
		return math.MaxInt64
	case v <= math.MinInt64:
		return math.MinInt64
	}
	return Money(v)
}

// CostOptions change the formula.
type CostOptions struct {
	// ReasoningTwice bills reasoning tokens beside output tokens and cache
	// writes beside input tokens, as the "seed" reasoning mode does.
	ReasoningTwice bool
	// WriteMilli is the rate of cache writes where the price names none, in
	// thousandths of the input rate; 0 = 1000.
	WriteMilli int64
	// Images is how many images were made, Characters how much text was spoken,
	// Millis how many milliseconds of sound were heard.
	Images, Characters, Millis int64
}

// Cost prices the usage of one request; Unknown if the price is. Usage counts
// cached tokens inside the prompt and reasoning tokens inside the completion,
// and each token is billed once:
//
//	(prompt - cached - written)·input + cached·cachedRate + written·writeRate
//	+ (completion - reasoning)·output + reasoning·reasoningRate
//
// A rate that is not given is that of input or output. Prompts longer than the
// long-context threshold take the rates of that tier.
func Cost(u hub.Usage, p catalog.Price, opt CostOptions) Money {
	if !p.Known {
		return Unknown
	}
	r := ratesFor(u.Prompt, p)
	if p.CacheWrite < 0 && opt.WriteMilli > 0 {
		r.write = r.input * catalog.Rate(opt.WriteMilli) / 1000
	}
	cached, written := max(u.CachedRead, 0), max(u.CacheWrite, 0)
	plain, text := u.Prompt-cached-written, u.Completion-u.Reasoning
	if opt.ReasoningTwice {
		plain, text = u.Prompt-cached, u.Completion
	}
	var sum wide
	sum.add(plain, r.input)
	sum.add(cached, r.cached)
	sum.add(written, r.write)
	sum.add(text, r.output)
	sum.add(u.Reasoning, r.reasoning)
	total := sum.nano()
	return saturate(total, p.Request, mulSaturate(p.Image, opt.Images), mulSaturate(p.Character, opt.Characters),
		mulSaturate(p.Second, opt.Millis)/1000)
}

type rates struct{ input, output, cached, write, reasoning catalog.Rate }

func ratesFor(prompt int64, p catalog.Price) rates {
	r := rates{p.Input, p.Output, p.Cached, p.CacheWrite, p.Reasoning}
	if r.reasoning == catalog.NoRate || r.reasoning == p.Output {
		r.reasoning = -1 // follows output, in the long tier too
	}
	if p.LongAbove > 0 && prompt > p.LongAbove {
		r.input = either(p.LongInput, r.input)
		r.output = either(p.LongOutput, r.output)
		r.cached = either(p.LongCached, r.cached)
	}
	r.cached = either(r.cached, r.input)
	r.write = either(r.write, r.input)
	r.reasoning = either(r.reasoning, r.output)
	return r
}

func either(a, b catalog.Rate) catalog.Rate {
	if a >= 0 {
		return a
	}
	return b
}

// Estimate prices a request before it is made; an unknown price counts as one
// USD per million tokens in and three out.
func Estimate(tokensIn, tokensOut int64, p catalog.Price) Money {
	if !p.Known {
		p = catalog.Price{Known: true, Input: 1_000_000, Output: 3_000_000, Cached: catalog.NoRate, CacheWrite: catalog.NoRate, Reasoning: catalog.NoRate}
	}
	return Cost(hub.Usage{Prompt: tokensIn, Completion: tokensOut}, p, CostOptions{})
}

// wide sums products of tokens and pico-USD rates in 128 bits.
type wide struct{ hi, lo uint64 }

func (w *wide) add(tokens int64, rate catalog.Rate) {
	if tokens <= 0 || rate <= 0 {
		return
	}
	hi, lo := bits.Mul64(uint64(tokens), uint64(rate))
	var carry uint64
	w.lo, carry = bits.Add64(w.lo, lo, 0)
	w.hi += hi + carry
}

// nano rounds half up to nano-USD.
func (w wide) nano() int64 {
	lo, carry := bits.Add64(w.lo, 500, 0)
	hi := w.hi + carry
	if hi >= 1000 {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, 1000)
	return int64(min(q, math.MaxInt64))
}

func mulSaturate(a, b int64) int64 {
	if a <= 0 || b <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi > 0 || lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(lo)
}

func saturate(parts ...int64) Money {
	sum := int64(0)
	for _, p := range parts {
		if p > math.MaxInt64-sum {
			return math.MaxInt64
		}
		sum += p
	}
	return Money(sum)
}
