package host

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-json"
	"github.com/omniroute/omniroute/core/fault"
	declared "github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/sdk/abi"
)

// Executor is an executor part of a generation.
type Executor struct {
	gen  *Generation
	mod  *module
	part Part
	spec *provided
	memo planMemo
}

// Profile is the provider an executor works for. Make one per provider with
// [NewProfile] and keep it: a guest is configured once per Profile value.
type Profile struct {
	ID   string
	JSON []byte // provider data in the field names of providers.yaml; no secrets

	hosts []declared.Host // that its base URLs name
}

// NewProfile makes a profile of provider data.
func NewProfile(id string, data []byte) *Profile {
	p := &Profile{ID: id, JSON: data}
	var v struct {
		BaseURL  string            `json:"base_url"`
		BaseURLs []string          `json:"base_urls"`
		Hosts    []string          `json:"hosts"`
		Fallback []string          `json:"extra_fallback_urls"`
		Paths    map[string]string `json:"paths"` // some are whole URLs
		OAuth    struct {
			Token   string `json:"token_url"`
			Refresh string `json:"refresh_url"`
		} `json:"oauth"`
	}
	if json.Unmarshal(data, &v) == nil {
		bases := append(v.BaseURLs, v.BaseURL, v.OAuth.Token, v.OAuth.Refresh)
		bases = slices.AppendSeq(append(bases, v.Fallback...), maps.Values(v.Paths))
		for _, base := range bases {
			if u, err := url.Parse(base); err == nil && u.Host != "" {
				p.hosts = append(p.hosts, hostPatterns([]string{u.Scheme + "://" + u.Host})...)
			}
		}
		p.hosts = append(p.hosts, hostPatterns(v.Hosts)...)
	}
	return p
}

// PlanInput is the input of EX_PLAN.
type PlanInput struct {
	Profile    *Profile // nil = the executor's own provider
	Endpoint   string   // chat, responses, embeddings, models, …
	Model      string   // upstream model id
	Stream     bool
	Body       []byte // translated body (skeleton); the guest gets it only if it asked for it
	Blobs      Blobs
	AuthKind   string            // api_key, oauth, none: of the chosen account
	Attributes map[string]string // non-secret account attributes
	Header     []abi.Header      // client headers an executor may merge (anthropic-beta, …)
	Attempt    int
	Previous   *fault.Error // of the attempt before, nil at first
	Effects    Effects      // performs HTTP a guest needs before it can plan; nil = refuse
	Secrets    Secrets      // of the chosen account, for guests that were granted to sign with them; nil = none
	Seed       uint64       // 0 = random

	Dialect string        // of Body
	State   []byte        // of the verdict that asked for this round
	Session func() string // stands for the client's conversation; asked only for executors that want it, nil = unknown
}

// Effects performs a plan on behalf of a guest.
type Effects func(ctx context.Context, p *Plan) (*Reply, error)

// Reply is the answer to a plan of a NEED.
type Reply struct {
	Status int
	Header []abi.Header
	Body   []byte
}

// ResultInput is the input of EX_RESULT.
type ResultInput struct {
	Profile  *Profile
	Endpoint string
	Model    string
	Stream   bool   // the answer is a stream of the plan's framing
	URL      string // that answered
	Status   int
	Header   []abi.Header
	Body     []byte // at most 64 KiB are shown; nil for a good stream
	AuthKind string
	Attempt  int
	State    []byte // that the plan was made with
	Effects  Effects
}

// Verdict is the answer of EX_RESULT.
type Verdict struct {
	Kind  abi.VerdictKind
	Err   *fault.Error  // with retry, refresh, fallback, error
	After time.Duration // with retry
	State []byte        // with retry: for the next round
}

// maxResultBody is how much of an answer a guest is shown to judge it.
const maxResultBody = 64 << 10

// Part describes the executor.
func (x *Executor) Part() Part { return x.part }

// Passthrough reports that frames of the upstream are in the provider's
// dialect already, so that no executor stream is needed.
func (x *Executor) Passthrough() bool { return x.spec.Stream != "frames" }

// Plan asks how to serve a call. Errors are *fault.Error.
func (x *Executor) Plan(ctx context.Context, in PlanInput) (*Planned, error) {
	var out *Planned
	err := withRecord(func(w *abi.Writer) error {
		x.planRecord(w, &in)
		if out = x.memo.find(in.Profile, w.Buf); out != nil {
			return nil
		}
		memorable, minted := false, map[string]string{}
		err := x.run(ctx, abi.OpExPlan, w.Buf, runInput{in.Profile, in.Body, in.Blobs, in.Seed, in.Effects, in.Secrets, &memorable, minted}, func(rec []byte) (err error) {
			out, err = readPlanned(rec)
			return err
		}, func(tainted func() bool) error {
			if out.Send == nil {
				return nil
			}
			return x.check(out.Send, in.Profile, tainted)
		})
		if err == nil && out.Send != nil && len(minted) > 0 {
			out.Send.minted = minted
		}
		if err == nil && memorable && out.Send != nil && !out.Send.marked() {
			x.memo.keep(in.Profile, w.Buf, out)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (x *Executor) planRecord(w *abi.Writer, in *PlanInput) {
	x.head(w, in.Profile, in.Endpoint, in.Model, in.AuthKind, in.Stream, in.Attempt)
	if len(in.Attributes) > 0 {
		w.Bytes(abi.TagAttributes, attributes(in.Attributes))
	}
	for _, h := range in.Header {
		w.Pair(abi.TagClientHeader, h.Name, h.Value)
	}
	w.Text(abi.TagDialect, in.Dialect)
	if x.spec.Session && in.Session != nil {
		w.Text(abi.TagSession, in.Session())
	}
	if in.State != nil {
		w.Bytes(abi.TagState, in.State)
	}
	if in.Previous != nil {
		m := w.Open(abi.TagPrevious)
		fromFault(in.Previous).AppendTo(w)
		w.Close(m)
	}
}

func (x *Executor) head(w *abi.Writer, p *Profile, endpoint, model, auth string, stream bool, attempt int) {
	w.String(abi.TagPart, x.part.ID)
	if p != nil {
		w.String(abi.TagProvider, p.ID)
	}
	w.Text(abi.TagEndpoint, endpoint)
	w.Text(abi.TagModel, model)
	w.Text(abi.TagAuthKind, auth)
	w.Flag(abi.TagStream, stream)
	if attempt > 0 {
		w.U32(abi.TagAttempt, uint32(attempt))
	}
}

// attributes writes a JSON object with its members in order: equal inputs are
// equal bytes.
func attributes(attrs map[string]string) []byte {
	keys := make([]string, 0, len(attrs))
	for k := range attrs {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	b := []byte{'{'}
	for k, name := range keys {
		if k > 0 {
			b = append(b, ',')
		}
		b = append(appendQuoted(b, name), ':')
		b = appendQuoted(b, attrs[name])
	}
	return append(b, '}')
}

func appendQuoted(b []byte, s string) []byte {
	q, err := json.Marshal(s)
	if err != nil {
		q = []byte(`""`)
	}
	return append(b, q...)
}

// Result judges an answer. For a good answer of an executor that only judges
// failures no guest is called.
func (x *Executor) Result(ctx context.Context, in ResultInput) (Verdict, error) {
	if in.Status < 400 && x.spec.Result == "errors" {
		if in.Stream {
			return Verdict{Kind: abi.VerdictStream}, nil
		}
		return Verdict{Kind: abi.VerdictBody}, nil
	}
	var out Verdict
	err := withRecord(func(w *abi.Writer) error {
		x.head(w, in.Profile, in.Endpoint, in.Model, in.AuthKind, in.Stream, in.Attempt)
		w.U32(abi.TagStatus, uint32(in.Status))
		w.Text(abi.TagPlanURL, in.URL)
		if in.State != nil {
			w.Bytes(abi.TagState, in.State)
		}
		for _, h := range in.Header {
			if !strings.EqualFold(h.Name, "set-cookie") {
				w.Pair(abi.TagHeader, h.Name, h.Value)
			}
		}
		if in.Body != nil {
			w.Bytes(abi.TagBody, in.Body[:min(len(in.Body), maxResultBody)])
		}
		return x.run(ctx, abi.OpExResult, w.Buf, runInput{profile: in.Profile, effects: in.Effects}, func(rec []byte) error {
			return x.readVerdict(rec, &in, &out)
		}, nil)
	})
	return out, err
}

func (x *Executor) readVerdict(rec []byte, in *ResultInput, out *Verdict) error {
	var e abi.ErrorRecord
	failed := false
	r := abi.Read(rec)
	for r.Next() {
		switch f := r.Field(); {
		case f.Tag == abi.TagVerdict:
			out.Kind = abi.VerdictKind(f.Uint())
		case f.Tag == abi.TagRetryAfterMS:
			out.After = time.Duration(f.Int()) * time.Millisecond
		case f.Tag == abi.TagState:
			if len(f.Value) > x.mod.limits.Continuation {
				return errLongState
			}
			out.State = append([]byte{}, f.Value...)
		case e.Set(f):
			failed = true
		default:
			r.Unknown()
		}
	}
	if err := r.Err(); err != nil {
		return err
	}
	if out.Kind < abi.VerdictStream || out.Kind > abi.VerdictError {
		return errNoVerdict
	}
	if !failed && out.Kind >= abi.VerdictRetry {
		e.Status, failed = in.Status, true
	}
	if failed {
		if e.Status == 0 {
			e.Status = in.Status
		}
		out.Err = toFault(&e, x.mod.manifest.Name)
		if in.Profile != nil {
			out.Err.Provider = in.Profile.ID
		}
		if out.Err.RetryAfter == fault.Unknown {
			header := func(name string) string { return headerValue(in.Header, name) }
			out.Err.RetryAfter = fault.RetryAfter(header, in.Body, x.mod.host.now())
		}
	}
	return nil
}

func headerValue(hs []abi.Header, name string) string {
	for k := range hs {
		if strings.EqualFold(hs[k].Name, name) {
			return hs[k].Value
		}
	}
	return ""
}

// runInput is what a stateless executor operation needs beside its record.
type runInput struct {
	profile *Profile
	body    []byte
	blobs   Blobs
	seed    uint64
	effects Effects
	secrets Secrets

	// memorable is told whether the answer follows from the record alone: the
	// guest saw no body, no clock, no random bits, and needed no HTTP.
	memorable *bool

	minted map[string]string // takes the secrets that exchanges obtain; nil = none may
}

// run performs an operation with its NEED rounds. input is the record without
// a body: that is added only where the guest asked for it. approve, if any,
// looks at the final answer; it is told whether what the guest was shown holds
// secret markers that are not the guest's own.
func (x *Executor) run(ctx context.Context, op abi.Op, input []byte, in runInput, use func(rec []byte) error, approve func(tainted func() bool) error) error {
	if in.seed == 0 {
		in.seed = randomSeed()
	}
	var rec, replies abi.Writer
	call := op
	tainted := func() bool { return holdsMarker(input, in.body, replies.Buf) || blobsHoldMarker(in.blobs) }
	for round := 0; ; round++ {
		var asked *need
		w := work{
			op: call, blobs: in.blobs, seed: in.seed, secrets: in.secrets,
			build: func(i *instance) ([]byte, error) {
				rec.Reset()
				if call == abi.OpResume {
					rec.U32(abi.TagResumeOp, uint32(op))
				}
				rec.Buf = append(append(rec.Buf, input...), replies.Buf...)
				return rec.Buf, x.addBody(i, &rec, &in)
			},
			use: func(out []byte) (err error) {
				if asked, err = readNeed(out, &x.mod.limits); err != nil || asked != nil {
					return err
				}
				return use(out)
			},
		}
		err := x.mod.pool.do(ctx, &w)
		if in.memorable != nil {
			*in.memorable = w.pure && call == op && len(rec.Buf) == len(input)
		}
		if err == nil && asked == nil && approve != nil {
			err = approve(tainted)
		}
		if err != nil || asked == nil {
			return err
		}
		if rounds := x.mod.limits.Rounds; round == rounds {
			return fault.Newf(fault.PluginTrap, "The plugin %s asked for more than %d rounds of HTTP", x.part.Plugin, rounds)
		}
		if err := x.fulfil(ctx, &replies, asked, in, tainted); err != nil {
			return err
		}
		call = abi.OpResume
	}
}

// addBody configures the guest for the provider and shows it the body if it
// wants one.
func (x *Executor) addBody(i *instance, w *abi.Writer, in *runInput) error {
	wants, err := i.configureProvider(x.part.ID, in.profile)
	if err != nil {
		return err
	}
	if in.profile == nil {
		wants, _ = bodyKind(x.spec.Body)
	}
	if in.body != nil && wants >= abi.BodySkeleton {
		w.Bytes(abi.TagBody, in.body)
		if in.blobs != nil {
			w.Text(abi.TagNonce, in.blobs.Nonce())
		}
	}
	return nil
}

// fulfil performs the plans of a NEED and writes what the next round gets.
func (x *Executor) fulfil(ctx context.Context, w *abi.Writer, asked *need, in runInput, tainted func() bool) error {
	if in.effects == nil {
		return fault.Newf(fault.PluginTrap, "The plugin %s needs HTTP that is not available here", x.part.Plugin)
	}
	for _, p := range asked.plans {
		if err := x.check(p, in.profile, tainted); err != nil {
			return err
		}
	}
	minted := in.minted
	if minted == nil {
		minted = map[string]string{}
	}
	w.Reset()
	w.Bytes(abi.TagContinuation, asked.continuation)
	for _, p := range asked.plans {
		reply, err := x.effect(ctx, p, &in, minted)
		m := w.Open(abi.TagReply)
		if err != nil {
			fromFault(fault.From(err)).AppendTo(w)
		} else {
			w.U32(abi.TagStatus, uint32(reply.Status))
			for _, h := range reply.Header {
				w.Pair(abi.TagHeader, h.Name, h.Value)
			}
			w.Bytes(abi.TagBody, reply.Body)
		}
		w.Close(m)
	}
	return nil
}

// configureProvider gives the guest a provider profile once per instance. It
// returns how much of the body the guest wants to see for that provider.
func (i *instance) configureProvider(part string, p *Profile) (abi.BodyKind, error) {
	if p == nil {
		return abi.BodyNone, nil
	}
	key := part + "\x00" + p.ID
	if have, ok := i.profiles[key]; ok && have.profile == p {
		return have.needs, nil
	}
	var w abi.Writer
	w.String(abi.TagPart, part)
	w.String(abi.TagProvider, p.ID)
	w.Bytes(abi.TagConfig, p.JSON)
	out, isErr, err := i.call(abi.OpConfigure, 0, w.Buf, i.freshEnv(nil, startSeed))
	if err != nil {
		return 0, err
	}
	if isErr {
		return 0, readErrorRecord(out)
	}
	c := configured{profile: p}
	if f, ok := abi.Find(out, abi.TagNeeds); ok {
		c.needs = abi.BodyKind(f.Uint())
	} else if spec := i.mod.executorSpec(part); spec != nil {
		c.needs, _ = bodyKind(spec.Body)
	}
	i.profiles[key] = c
	return c.needs, nil
}

// configured is what an instance knows about a provider.
type configured struct {
	profile *Profile
	needs   abi.BodyKind
}

func (m *module) executorSpec(id string) *provided {
	for k := range m.manifest.Provides {
		if p := &m.manifest.Provides[k]; p.Kind == KindExecutor && p.ID == id {
			return p
		}
	}
	return nil
}

// OpenStream starts an executor stream: frames of the provider's framing in,
// frames of the provider's dialect out. End it.
func (x *Executor) OpenStream(ctx context.Context, in PlanInput) (*Stream, error) {
	s := &Stream{middle: make([][]abi.Frame, 1)}
	err := withRecord(func(w *abi.Writer) error {
		x.planRecord(w, &in)
		return s.add(ctx, x.mod, abi.OpExOpen, w.Buf, in.Blobs, in.Seed, in.Profile, x.part.ID)
	})
	if err != nil {
		s.abandon()
		return nil, err
	}
	return s, s.keepAlive(x.gen)
}

// validHeader refuses names and values that would break the request apart, and
// headers that are the gateway's own business.
func validHeader(h abi.Header) bool {
	if h.Name == "" || strings.ContainsAny(h.Value, "\r\n\x00") {
		return false
	}
	for k := 0; k < len(h.Name); k++ {
		c := h.Name[k]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	switch strings.ToLower(h.Name) {
	case "host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive":
		return false
	}
	return true
}
