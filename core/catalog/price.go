package catalog

// Rate is a price in pico-USD per token, which is micro-USD per million tokens.
type Rate int64

// USD is the rate in USD per million tokens.
func (r Rate) USD() float64 { return float64(r) / 1e6 }

// Price of a model. Rates that are not given are -1; the meaning of a missing
// one is in ledger.Cost.
type Price struct {
	// Known is false when nobody knows the price; costs are then unknown, not 0.
	Known      bool
	Input      Rate
	Output     Rate
	Cached     Rate
	CacheWrite Rate
	Reasoning  Rate
	// Request and Image are in nano-USD each, 0 = none.
	Request, Image int64
	// Long replaces rates for prompts longer than LongAbove tokens (0 = never).
	LongAbove                         int64
	LongInput, LongOutput, LongCached Rate
}
