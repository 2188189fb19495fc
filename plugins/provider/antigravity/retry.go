package antigravity

import (
	"slices"
	"strings"

	"github.com/omniroute/omniroute/plugins/provider/codeassist"
	"github.com/omniroute/omniroute/plugins/provider/entry"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
)

const (
	shortWait  = 10_000 // milliseconds that are waited for on the same host
	shortWaits = 3      // per host, unless the operator says otherwise
	blindWaits = 3      // per host, where nobody says how long: 2 s, 4 s, 8 s
	// capacityRounds is how often all hosts are tried again that lack capacity.
	capacityRounds = 3
)

// state is what happened so far in one attempt.
type state struct {
	host   string // of the plan's first URL; "" = none was chosen
	done   []string
	waits  int // short ones on this host
	blind  int
	rounds int // of all hosts
}

// The state travels as lines: host, counts, hosts that are done with.
func readState(b []byte) *state {
	if len(b) == 0 {
		return &state{}
	}
	lines := strings.Split(string(b), "\n")
	s := &state{host: lines[0]}
	if len(lines) > 1 && len(lines[1]) == 3 {
		s.waits, s.blind, s.rounds = int(lines[1][0]-'a'), int(lines[1][1]-'a'), int(lines[1][2]-'a')
		s.done = lines[2:]
	}
	return s
}

func (s *state) bytes() []byte {
	b := append([]byte(s.host), '\n', 'a'+byte(s.waits), 'a'+byte(s.blind), 'a'+byte(s.rounds))
	for _, h := range s.done {
		b = append(append(b, '\n'), h...)
	}
	return b
}

// order puts the host that was chosen first and leaves out those that are done
// with.
func (s *state) order(urls []string) []string {
	var out []string
	for _, u := range urls {
		switch h := baseOf(u); {
		case h == s.host:
			out = append([]string{u}, out...)
		case !slices.Contains(s.done, h):
			out = append(out, u)
		}
	}
	return out
}

// baseOf is the part of a URL before the action.
func baseOf(url string) string {
	base, _, _ := strings.Cut(url, "/v1internal:")
	return base
}

// judge decides about a failure: wait, go to another host, or give up.
func judge(c *sdk.Ctx, r *sdk.Result, e *entry.Entry) sdk.Verdict {
	v := sdk.Default(r)
	if r.Status != 429 && r.Status != 503 {
		return v
	}
	s, host := readState(c.State), baseOf(r.URL)
	if s.host != host {
		s.waits, s.blind = 0, 0
	}
	s.host = host
	s.pass(e)
	wait, known := codeassist.Wait(c, r)
	if known {
		v.Err.RetryAfterMS = wait
	}
	most := int(number(e.Option("max_short_waits", digits(shortWaits))))
	most = min(max(most, 0), 20)
	switch {
	case known && wait <= shortWait && s.waits < most:
		s.waits++
		return again(v, s, wait)
	case r.Status == 429 && !known && s.blind < blindWaits:
		s.blind++
		return again(v, s, 1000<<s.blind)
	}
	s.done = append(s.done, host)
	if s.next(e) {
		return again(v, s, 0)
	}
	if lacksCapacity(r) && s.rounds < capacityRounds {
		s.rounds++
		s.host, s.done = "", nil
		s.next(e)
		return again(v, s, min(int64(s.rounds)*250, 2000))
	}
	return v
}

// pass is done with the hosts that come before the one that answered: they could
// not be reached.
func (s *state) pass(e *entry.Entry) {
	for _, base := range e.Bases {
		switch h := baseOf(base); {
		case h == s.host:
			return
		case !slices.Contains(s.done, h):
			s.done = append(s.done, h)
		}
	}
}

// next chooses a host that is not done with.
func (s *state) next(e *entry.Entry) bool {
	for _, base := range e.Bases {
		if h := baseOf(base); !slices.Contains(s.done, h) {
			s.host, s.waits, s.blind = h, 0, 0
			return true
		}
	}
	return false
}

func again(v sdk.Verdict, s *state, ms int64) sdk.Verdict {
	return sdk.Verdict{Kind: abi.VerdictRetry, Err: v.Err, AfterMS: ms, State: s.bytes()}
}

func lacksCapacity(r *sdk.Result) bool {
	return r.Status == 503 && strings.Contains(strings.ToLower(string(r.Body)), "no capacity available")
}
