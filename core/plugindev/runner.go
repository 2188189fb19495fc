package plugindev

import (
	"context"

	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/conform"
	"github.com/omniroute/omniroute/sdk/fixture"
)

// Runner runs recorded cases in one instance of a plugin; it implements
// [fixture.Runner] and [fixture.Meter].
type Runner struct {
	*host.LabRun
	called bool
}

// Start makes a runner with a fresh instance.
func Start(ctx context.Context, lab *host.Lab) (*Runner, error) {
	run, err := lab.Start(ctx)
	if err != nil {
		return nil, err
	}
	return &Runner{LabRun: run}, nil
}

// Call implements [fixture.Runner].
func (r *Runner) Call(op abi.Op, handle uint32, in []byte, h fixture.Host) ([]byte, bool, error) {
	if !r.called {
		r.called = true
		for key, value := range h.KV {
			if err := r.Store(context.Background(), key, value); err != nil {
				return nil, false, err
			}
		}
	}
	env := host.LabEnv{NowMS: h.NowMS, Seed: h.Seed, Secrets: h.Secrets, Blobs: make(map[int][]byte, len(h.Tokens))}
	for id, text := range h.Tokens {
		env.Blobs[id] = []byte(text)
	}
	return r.LabRun.Call(op, handle, in, env)
}

// Check runs a case in fresh instances: see [fixture.Case.Check].
func Check(ctx context.Context, lab *host.Lab, c *fixture.Case) (*fixture.Outcome, []string, error) {
	var runs []*Runner
	defer func() {
		for _, r := range runs {
			r.Close()
		}
	}()
	return c.Check(func() (fixture.Runner, error) {
		r, err := Start(ctx, lab)
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
		return r, nil
	})
}

// Conform examines a plugin in WebAssembly; cases are its recorded ones, churn
// is how many streams come and go (0 = 10,000).
func Conform(ctx context.Context, lab *host.Lab, cases []fixture.Case, churn int) (conform.Report, error) {
	manifest, err := lab.Describe(ctx)
	if err != nil {
		return conform.Report{}, err
	}
	return conform.Run(conform.Plugin{
		Manifest: manifest, Cases: cases, Churn: churn,
		Start: func() (fixture.Runner, error) { return Start(ctx, lab) },
	}), nil
}
