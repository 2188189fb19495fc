package conform

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/fixture"
)

// Plugin is what is examined.
type Plugin struct {
	Manifest []byte // JSON
	Cases    []fixture.Case
	// Start makes a runner with a fresh instance. A runner that is a
	// [fixture.Meter] has its fuel compared, one with Memory() int its memory,
	// and one with Close() is closed.
	Start func() (fixture.Runner, error)
	// Churn is how many streams come and go while memory is watched; 0 = 10,000.
	Churn int
}

// Result of a check.
type Result string

// Results.
const (
	Passed  Result = "passed"
	Failed  Result = "failed"
	Skipped Result = "skipped" // it does not apply to this plugin
)

// Finding is the outcome of one check.
type Finding struct {
	ID      string `json:"id"`
	Title   string `json:"title"`
	Result  Result `json:"result"`
	Problem string `json:"problem,omitempty"`
}

// Report is the outcome of all checks.
type Report struct {
	Plugin   string    `json:"plugin"`
	Version  string    `json:"version"`
	ABI      string    `json:"abi"`
	Passed   int       `json:"passed"`
	Failed   int       `json:"failed"`
	Skipped  int       `json:"skipped"`
	Findings []Finding `json:"checks"`
}

// Conforms tells whether no check failed.
func (r *Report) Conforms() bool { return r.Failed == 0 }

// check is one rule. run returns what is wrong.
type check struct {
	id, title string
	run       func(k *kit) error
}

var errSkip = errors.New("it does not apply")

func checks() []check {
	return slices.Concat(borderChecks(), inputChecks(), streamChecks(), dialectChecks())
}

// Run examines a plugin.
func Run(p Plugin) Report {
	k := &kit{Plugin: p}
	var r Report
	if err := json.Unmarshal(p.Manifest, &k.manifest); err != nil {
		r.add(Finding{ID: "manifest", Title: "the manifest is JSON", Result: Failed, Problem: err.Error()})
		return r
	}
	r.Plugin, r.Version, r.ABI = k.manifest.Name, k.manifest.Version, k.manifest.ABI
	k.collect()
	for _, c := range checks() {
		f := Finding{ID: c.id, Title: c.title, Result: Passed}
		k.noted = nil
		err := c.run(k)
		if err == nil {
			err = errors.Join(k.noted...)
		}
		k.close()
		switch {
		case errors.Is(err, errSkip):
			f.Result = Skipped
		case err != nil:
			f.Result, f.Problem = Failed, err.Error()
		}
		r.add(f)
	}
	return r
}

func (r *Report) add(f Finding) {
	switch f.Result {
	case Passed:
		r.Passed++
	case Failed:
		r.Failed++
	default:
		r.Skipped++
	}
	r.Findings = append(r.Findings, f)
}

// kit is one examination.
type kit struct {
	Plugin
	manifest manifest
	samples  []sample
	streams  []fixture.Case
	running  []fixture.Runner
	noted    []error // what the watch over every output found
}

type manifest struct {
	Name     string
	Version  string
	ABI      string
	Provides []part
	Config   struct {
		Properties map[string]json.RawMessage
	} `json:"config_schema"`
	Capabilities struct {
		HTTP    struct{ Hosts []string }
		Secrets struct {
			Use    []string
			Reveal []string
		}
	}
}

type part struct {
	Kind, ID, Dialect, From, To, Stream string
	BaseURL                             string   `json:"base_url"`
	BaseURLs                            []string `json:"base_urls"`
}

// sample is an operation with an input that the plugin answers without state.
type sample struct {
	name string
	op   abi.Op
	in   []byte
	host fixture.Host
	conf []byte
}

// collect makes the inputs of the checks out of the cases and the manifest.
func (k *kit) collect() {
	for _, c := range k.Cases {
		switch {
		case c.Batches != nil:
			k.streams = append(k.streams, c)
		case c.Op.Stateless():
			k.samples = append(k.samples, sample{c.Name, c.Op, c.In, c.Host, c.Config})
		}
	}
	for _, p := range k.manifest.Provides {
		if p.Kind == "executor" {
			k.executorSamples(p)
		} else {
			k.translatorSamples(p)
		}
	}
}

// now and seed of synthetic calls.
var world = fixture.Host{NowMS: 1_700_000_000_000, Seed: 1}

func (k *kit) sample(name string, op abi.Op, fields string) {
	in, err := fixture.Encode([]byte(fields))
	if err != nil {
		panic(err) // the text is ours
	}
	k.samples = append(k.samples, sample{name, op, in, world, nil})
}

func quote(s string) string {
	q, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always can
	}
	return string(q)
}

func (k *kit) executorSamples(p part) {
	head := `{"Part":` + quote(p.ID) + `,"Provider":` + quote(p.ID) + `,"Endpoint":"chat","Model":"conform-model"`
	k.sample("a plan", abi.OpExPlan, head+`,"Body":{"model":"conform-model","messages":[{"role":"user","content":"hi"}]}}`)
	k.sample("a plan of a stream", abi.OpExPlan, head+`,"Stream":1,"Attempt":1,"Previous":{"ErrMessage":"x","ErrClass":"rate"}}`)
	for _, answer := range []string{
		`"Status":200,"Body":{"choices":[]}`, `"Status":401,"Body":{"error":{"message":"no"}}`,
		`"Status":429,"Header":{"Name":"Retry-After","Value":"2"},"Body":{"error":"slow"}`,
		`"Status":500,"Body":"<html>"`, `"Status":400,"Body":[]`,
	} {
		k.sample("an answer with "+answer, abi.OpExResult, head+","+answer+"}")
	}
	if p.Stream == "frames" {
		k.stream(p.ID, abi.OpExOpen, head+`,"Stream":1}`)
	}
}

func (k *kit) translatorSamples(p part) {
	from, to := p.From, p.To
	if p.Dialect != "" {
		from, to = hubForm, p.Dialect
	}
	head := `{"From":` + quote(from) + `,"To":` + quote(to)
	back := `{"From":` + quote(to) + `,"To":` + quote(from)
	k.sample("a request", abi.OpTrRequest, head+`,"Body":{"model":"m","messages":[{"role":"user","content":"hi"}]}}`)
	k.sample("an answer", abi.OpTrResponse, back+`,"Status":200,"Body":{}}`)
	k.sample("a failure", abi.OpTrResponse, back+`,"Status":500,"Body":{"error":{"message":"x"}}}`)
	k.stream(to, abi.OpTrOpen, back+`,"Stream":1}`)
}

// stream adds a synthetic stream, unless the plugin brought its own.
func (k *kit) stream(name string, op abi.Op, fields string) {
	if slices.ContainsFunc(k.streams, func(c fixture.Case) bool { return c.Op == op }) {
		return
	}
	in, err := fixture.Encode([]byte(fields))
	if err != nil {
		panic(err) // the text is ours
	}
	k.streams = append(k.streams, fixture.Case{
		Name: "a stream of " + name, Op: op, In: in, Host: world,
		Batches: fixture.ParseEvents([]byte("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n---\ndata: {}\n\ndata: [DONE]\n\n")),
	})
}

// start makes a runner whose every output is watched.
func (k *kit) start() (fixture.Runner, error) {
	r, err := k.Start()
	if err != nil {
		return nil, err
	}
	k.running = append(k.running, r)
	return &watch{Runner: r, kit: k}, nil
}

func (k *kit) close() {
	for _, r := range k.running {
		if c, ok := r.(interface{ Close() }); ok {
			c.Close()
		}
	}
	k.running = nil
}

// each runs f over all samples, each in a fresh instance that is configured as
// the sample asks.
func (k *kit) each(f func(r fixture.Runner, s sample) error) error {
	if len(k.samples) == 0 {
		return errSkip
	}
	for _, s := range k.samples {
		r, err := k.start()
		if err != nil {
			return err
		}
		if s.conf != nil {
			if _, _, err := r.Call(abi.OpConfigure, 0, s.conf, s.host); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		if err := f(r, s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		k.close()
	}
	return nil
}
