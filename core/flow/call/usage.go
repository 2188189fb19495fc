package call

import "github.com/omniroute/omniroute/sdk/hub"

// Estimate is the usage of an answer that came without one: the estimate of the
// request, and 3.5 characters of output for a token.
func (c *Call) Estimate(outputChars int) hub.Usage {
	u := hub.Usage{Prompt: int64(c.Req.TokensIn), Estimated: true}
	if outputChars > 0 {
		u.Completion = max(1, int64((outputChars*2+6)/7))
	}
	u.Total = u.Sum()
	return u
}
