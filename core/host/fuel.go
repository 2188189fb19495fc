package host

import (
	"context"
	"fmt"
	"time"

	"github.com/omniroute/omniroute/core/host/meter"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// A guest gets its fuel in portions. Each time it comes back for the next one
// it can be stopped, and Go's collector, which waits for whatever runs, can do
// its work. Portions are made so that this is about once in a millisecond.
const (
	firstPortion = 10_000
	leastPortion = 100
	mostPortion  = 100_000
	often        = time.Millisecond

	// grace is how long a call runs on although nobody waits for it any more: one
	// that ends by itself is cheaper than a new instance.
	grace = 5 * time.Millisecond
)

// gauge counts the fuel of one instance. It is used under the instance's lock.
type gauge struct {
	global  api.MutableGlobal // what the guest has left; nil until it ran, or not metered
	ctx     context.Context   // of the call; nil = nobody can leave
	budget  int64             // of the call
	granted int64             // of it
	portion int64
	wall    time.Duration
	start   time.Time
	last    time.Time // when the guest came for fuel
	used    int64     // by the last call
	running bool
	slow    int // how many times longer calls may take
}

// stopError says why a guest was stopped. It would run no better elsewhere.
type stopError struct {
	why   string // a clause about the plugin
	cause error  // of the context, when the caller left
}

func (e *stopError) Error() string { return e.why }

func (e *stopError) Unwrap() error { return e.cause }

// begin starts counting a call.
func (g *gauge) begin(ctx context.Context, budget int64, wall time.Duration) {
	g.ctx, g.budget, g.wall = ctx, budget, wall*time.Duration(max(1, g.slow))
	g.start = time.Now()
	g.last, g.running = g.start, true
	if g.portion == 0 {
		g.portion = firstPortion
	}
	g.granted = min(g.portion, budget)
	if g.global != nil {
		g.global.Set(uint64(g.granted))
	} else {
		g.granted = 0 // it comes for its first portion at once
	}
}

// end returns what the call used.
func (g *gauge) end() int64 {
	if g.running {
		g.used, g.running, g.ctx = 0, false, nil
		if g.global != nil {
			g.used = g.granted - int64(g.global.Get())
		}
	}
	return g.used
}

// refill gives the next portion, or panics with a *stopError.
func (g *gauge) refill() {
	used := g.granted - int64(g.global.Get())
	if used > g.budget {
		panic(&stopError{why: fmt.Sprintf("used up its fuel of %d units", g.budget)})
	}
	now := time.Now()
	if took := now.Sub(g.start); took >= g.wall {
		panic(&stopError{why: fmt.Sprintf("ran longer than %s", g.wall)})
	} else if g.ctx != nil && took >= grace && g.ctx.Err() != nil {
		panic(&stopError{why: "was stopped because its caller had left", cause: context.Cause(g.ctx)})
	}
	switch took := now.Sub(g.last); {
	case took > often:
		g.portion = max(leastPortion, g.portion*int64(often)/int64(took))
	case took < often/2:
		g.portion = min(mostPortion, 2*g.portion)
	}
	g.last = now
	g.granted = min(used+g.portion, g.budget)
	g.global.Set(uint64(g.granted - used))
}

// spend charges the guest for bytes the host reads, writes or computes on its
// behalf.
func (i *instance) spend(bytes uint64) {
	g := &i.gauge
	if g.global == nil {
		return
	}
	left := int64(g.global.Get()) - int64(bytes>>6) - 1
	g.global.Set(uint64(left))
	if left < 0 {
		g.refill()
	}
}

// fuelUsed is what the last call used; 0 when the module is not metered.
func (i *instance) fuelUsed() uint64 { return uint64(max(0, i.gauge.used)) }

// enter prepares a call of the guest.
func (i *instance) enter(ctx context.Context, op abi.Op, in int) {
	lim := &i.mod.limits
	i.gauge.begin(ctx, lim.fuel(op, in), lim.wall(op))
}

// buildMeter makes the module through which metered guests get fuel.
func buildMeter(ctx context.Context, rt wazero.Runtime) error {
	yield := api.GoModuleFunc(func(ctx context.Context, m api.Module, stack []uint64) {
		i := instanceOf(ctx)
		if i.gauge.global == nil {
			i.gauge.global = m.ExportedGlobal(meter.Fuel).(api.MutableGlobal)
		}
		i.gauge.refill()
		stack[0] = i.gauge.global.Get()
	})
	_, err := rt.NewHostModuleBuilder(meter.Module).NewFunctionBuilder().
		WithGoModuleFunction(yield, nil, valueTypes("I")).Export(meter.Yield).Instantiate(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", meter.Module, err)
	}
	return nil
}
