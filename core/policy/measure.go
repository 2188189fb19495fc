package policy

import (
	"sync/atomic"
	"time"
)

// counts is what happened to a rule.
type counts struct {
	hits, errors, shadows atomic.Int64
	lastLog               atomic.Int64 // when an error was reported last, in Unix nanoseconds
}

type countsKey struct {
	hook, id string
	scope    Scope
}

func (r *rule) countsKey() countsKey { return countsKey{r.hook, r.id, r.origin.Scope} }

// evalBounds are the upper bounds of the buckets of evalTimes, in nanoseconds.
// They are never written to.
var evalBounds = [...]int64{1e3, 2e3, 5e3, 10e3, 20e3, 50e3, 100e3, 200e3, 500e3, 1e6, 5e6, 20e6, 100e6}

// evalTimes counts how long the questions to one hook took.
type evalTimes struct {
	buckets [len(evalBounds) + 1]atomic.Uint64 // the last one is for what took longer
	sum     atomic.Int64
}

func (t *evalTimes) observe(d time.Duration) {
	at := 0
	for at < len(evalBounds) && int64(d) > evalBounds[at] {
		at++
	}
	t.buckets[at].Add(1)
	t.sum.Add(int64(d))
}

// EvalTimes is a histogram of how long the questions to a hook took, over all
// sets that were loaded after one another.
type EvalTimes struct {
	Hook  string
	Count uint64
	Sum   float64 // seconds
	// Buckets holds how many took no longer than so many seconds.
	Buckets map[float64]uint64
}

// Times tells how long the questions to each hook took, in the order of Hooks.
func (s *Set) Times() []EvalTimes {
	out := make([]EvalTimes, hookCount)
	for i, h := range Hooks() {
		t := &s.times[i]
		e := EvalTimes{Hook: h.Name, Buckets: make(map[float64]uint64, len(evalBounds))}
		for b := range t.buckets {
			e.Count += t.buckets[b].Load()
			if b < len(evalBounds) {
				e.Buckets[float64(evalBounds[b])/1e9] = e.Count
			}
		}
		e.Sum = float64(t.sum.Load()) / 1e9
		out[i] = e
	}
	return out
}
