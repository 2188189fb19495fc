package plugindev

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/fixture"
)

// Figures are what a plugin costs.
type Figures struct {
	File    int           `json:"file_bytes"`
	Compile time.Duration `json:"compile_ns"` // of the module, or loading it from the cache
	Start   time.Duration `json:"start_ns"`   // of an instance
	Memory  int           `json:"memory_bytes"`
	Calls   []CallFigures `json:"calls"`
}

// CallFigures are what a recorded case costs, all its calls together.
type CallFigures struct {
	Case     string  `json:"case"`
	Op       string  `json:"op"`
	Runs     int     `json:"runs"`
	NS       float64 `json:"ns"`
	Fuel     uint64  `json:"fuel"`
	InBytes  int     `json:"in_bytes"`
	OutBytes int     `json:"out_bytes"`
}

// Bench measures a plugin: each case is run over and over for the given time.
func Bench(ctx context.Context, s *Subject, opt host.LabOptions, each time.Duration) (*Figures, error) {
	if len(s.Cases) == 0 {
		return nil, errors.New("there are no cases to measure")
	}
	f := &Figures{File: len(s.Wasm)}
	begin := time.Now()
	lab, err := host.OpenLab(ctx, s.Wasm, opt)
	if err != nil {
		return nil, err
	}
	defer lab.Close(context.WithoutCancel(ctx))
	f.Compile = time.Since(begin)
	begin = time.Now()
	r, err := Start(ctx, lab)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f.Start = time.Since(begin)
	for _, c := range s.Cases {
		calls, err := benchCase(ctx, r, c, each)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		f.Calls = append(f.Calls, calls)
	}
	f.Memory = r.Memory()
	return f, nil
}

// counter times calls as they pass.
type counter struct {
	*Runner
	out     int
	in      int
	elapsed time.Duration
}

// Call implements [fixture.Runner].
func (c *counter) Call(op abi.Op, handle uint32, in []byte, h fixture.Host) ([]byte, bool, error) {
	begin := time.Now()
	out, isError, err := c.Runner.Call(op, handle, in, h)
	c.elapsed += time.Since(begin)
	c.in, c.out = c.in+len(in), c.out+len(out)
	return out, isError, err
}

func benchCase(ctx context.Context, r *Runner, c fixture.Case, each time.Duration) (CallFigures, error) {
	f := CallFigures{Case: c.Name, Op: c.Op.String()}
	count := &counter{Runner: r}
	for begin := time.Now(); f.Runs == 0 || time.Since(begin) < each && ctx.Err() == nil; f.Runs++ {
		o, err := c.Play(count, c.Batches)
		if err != nil {
			return f, err
		}
		f.Fuel = o.Fuel
	}
	f.NS = float64(count.elapsed.Nanoseconds()) / float64(f.Runs)
	f.InBytes, f.OutBytes = count.in/f.Runs, count.out/f.Runs
	return f, ctx.Err()
}

// Fuzz calls a plugin with damaged inputs of its cases until the time is over.
// It returns the input under which it broke off, if it did.
func Fuzz(ctx context.Context, lab *host.Lab, cases []fixture.Case, seed uint64, length time.Duration) (runs int, op abi.Op, in []byte, err error) {
	if len(cases) == 0 {
		return 0, 0, nil, errors.New("there are no cases to damage")
	}
	random := rand.New(rand.NewPCG(seed, 0)).Uint64
	r, err := Start(ctx, lab)
	if err != nil {
		return 0, 0, nil, err
	}
	defer r.Close()
	for begin := time.Now(); time.Since(begin) < length && ctx.Err() == nil; runs++ {
		c := &cases[random()%uint64(len(cases))]
		in = damage(random, c.In)
		if _, _, err := r.Call(c.Op, fixture.Handle, in, c.Host); err != nil {
			return runs, c.Op, in, err
		}
	}
	return runs, 0, nil, ctx.Err()
}

// damage changes a few bytes, cuts or doubles a piece.
func damage(random func() uint64, in []byte) []byte {
	out := append([]byte(nil), in...)
	for range 1 + random()%4 {
		if len(out) == 0 {
			return out
		}
		at := int(random() % uint64(len(out)))
		switch random() % 4 {
		case 0:
			out = out[:at]
		case 1:
			out[at] = byte(random())
		case 2:
			out = append(out[:at], out[min(len(out), at+1+int(random()%8)):]...)
		default:
			out = append(out[:at:at], append(append([]byte(nil), out[at/2:at]...), out[at:]...)...)
		}
	}
	return out
}
