package sdk

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/abi"
)

// Plan is the HTTP request that an executor wants the gateway to send. Secrets
// stand in URLs, headers and a replaced body as {{secret:name}}, and what is made
// of them as {{secret:name|sha256}}, {{secret:name|uuid5}} (namespace DNS) or
// {{secret:name|after=TEXT}}; such steps can follow each other.
type Plan struct {
	Method      string   // "" = POST
	URLs        []string // first choice first
	Headers     []abi.Header
	Body        Body
	Auth        Auth
	Framing     string // of a streamed answer: sse ndjson raw …
	Dialect     string // of the answer when it is not the provider's own
	Timeouts    Timeouts
	HTTP        string // 1.1 (also ""), 2, 2-required
	Redirect    string // none (also ""), same-host
	Expect      []string
	Duplex      bool
	Idempotent  bool
	ForceStream bool // upstream streams even when the client did not ask
	CostHint    uint32

	// Judge has the executor's Result see an answer 429 before another URL is
	// tried.
	Judge bool
	// Poll repeats the request of a [Need] until the reply says that it is done.
	Poll Poll
	// Fresh says that the token which this plan of a [Need] obtained before is not
	// good any more; see [Plan.Token].
	Fresh bool

	local   *Local
	refresh bool
	reshape string
	tokens  []abi.Header
	learned []abi.Header
}

// Poll is how a long-running operation is waited for.
type Poll struct {
	Until   string // dotted path of the member that becomes true; "" = no polling
	EveryMS uint32 // pause
	Max     uint32 // most requests
}

// Timeouts are clocks in milliseconds; 0 leaves the gateway's.
type Timeouts struct{ Connect, FirstByte, Idle, Total uint32 }

// Header adds a request header, replacing one of the same name.
func (p *Plan) Header(name, value string) {
	for i := range p.Headers {
		if equalFold(p.Headers[i].Name, name) {
			p.Headers[i].Value = value
			return
		}
	}
	p.Headers = append(p.Headers, abi.Header{Name: name, Value: value})
}

// Answer makes the plan a local reply: no upstream is called.
func (p *Plan) Answer(l *Local) { p.local = l }

// Refresh asks the gateway to refresh the credential and to plan again.
func (p *Plan) Refresh() { p.refresh = true }

// Reshape asks the gateway to translate the client's request into another
// dialect, or anew into the same, and to plan again; [Ctx.Dialect] tells then
// what it is in.
func (p *Plan) Reshape(dialect string) { p.reshape = dialect }

// Learn has the gateway keep what was found out about the account: it comes back
// as [Ctx.Attribute].
func (p *Plan) Learn(attribute, value string) {
	p.learned = append(p.learned, abi.Header{Name: attribute, Value: value})
}

// Local is an answer without any upstream, in the provider's dialect.
type Local struct {
	Status  int // 0 = 200
	Headers []abi.Header
	Body    []byte      // of a plain answer
	Frames  []abi.Frame // of a streamed answer
}

// Body is the request body of a plan. The edits are made by the gateway, so
// the long strings never enter the plugin; nothing but the edited members
// changes.
type Body struct {
	in    []byte
	out   []byte
	edits []edit
}

type edit struct {
	op    abi.EditOp
	path  string
	value string
}

// JSON returns the body as it came, when the part's manifest asks for it.
// Strings longer than the gateway's threshold are body tokens.
func (b *Body) JSON() JSON { return b.in }

// Replace sets the body. It may contain body tokens of the incoming one.
func (b *Body) Replace(body []byte) { b.out = body }

// add takes an edit, unless the same one was planned already.
func (b *Body) add(op abi.EditOp, path, value string) {
	e := edit{op, path, value}
	for _, have := range b.edits {
		if have == e {
			return
		}
	}
	b.edits = append(b.edits, e)
}

// Drop removes members. Paths are dotted.
func (b *Body) Drop(paths ...string) {
	for _, p := range paths {
		b.add(abi.EditDelete, p, "")
	}
}

// DropEmpty removes members that are empty arrays or objects.
func (b *Body) DropEmpty(paths ...string) {
	for _, p := range paths {
		b.add(abi.EditDeleteEmpty, p, "")
	}
}

// Rename moves a top-level member; when the new name exists already, the old
// member is only removed.
func (b *Body) Rename(from, to string) {
	b.add(abi.EditRename, from, to)
}

// Set writes a JSON value, making the objects on the way.
func (b *Body) Set(path, json string) {
	b.add(abi.EditSet, path, json)
}

// Default writes a JSON value where the member is absent.
func (b *Body) Default(path, json string) {
	b.add(abi.EditDefault, path, json)
}

// Auth is an authentication directive that the gateway carries out after the
// request is final. It names secrets and holds none.
type Auth struct {
	directive string
	secrets   []string
}

// Bearer sends "Authorization: Bearer <secret>".
func Bearer(secret string) Auth {
	return Auth{directive: "bearer:" + secret, secrets: []string{secret}}
}

// HeaderAuth sends the secret in a header, after a prefix.
func HeaderAuth(name, secret, prefix string) Auth {
	return Auth{directive: "header:" + name + ":" + secret + ":" + prefix, secrets: []string{secret}}
}

// QueryAuth sends the secret as a query parameter.
func QueryAuth(name, secret string) Auth {
	return Auth{directive: "query:" + name + ":" + secret, secrets: []string{secret}}
}

// BasicAuth sends two secrets as user and password.
func BasicAuth(user, password string) Auth {
	return Auth{directive: "basic:" + user + ":" + password, secrets: []string{user, password}}
}

// NoAuth sends no credential.
func NoAuth() Auth { return Auth{directive: "none"} }

// appendTo writes the elements of a manifest's "auth": which kinds of
// credential an account needs, none for [NoAuth].
func (a Auth) appendTo(b []byte) []byte {
	if len(a.secrets) == 0 {
		return b
	}
	kind := "api_key"
	if a.secrets[0] == "access_token" {
		kind = "oauth"
	}
	apply, _, _ := strings.Cut(a.directive, ":")
	b = append(append(b, `{"type":`...), Quote(kind)...)
	return append(append(append(b, `,"apply":`...), Quote(apply)...), '}')
}

// String returns the directive.
func (a Auth) String() string { return a.directive }

func (p *Plan) appendTo(w *abi.Writer) {
	w.Text(abi.TagPlanMethod, p.Method)
	for _, u := range p.URLs {
		w.String(abi.TagPlanURL, u)
	}
	for _, h := range p.Headers {
		w.Pair(abi.TagPlanHeader, h.Name, h.Value)
	}
	if p.Body.out != nil {
		w.Bytes(abi.TagPlanBody, p.Body.out)
	}
	for _, e := range p.Body.edits {
		e.appendTo(w)
	}
	w.Text(abi.TagPlanAuth, p.Auth.directive)
	w.Text(abi.TagPlanFraming, p.Framing)
	w.Text(abi.TagPlanDialect, p.Dialect)
	number(w, abi.TagPlanConnectMS, p.Timeouts.Connect)
	number(w, abi.TagPlanFirstByteMS, p.Timeouts.FirstByte)
	number(w, abi.TagPlanIdleMS, p.Timeouts.Idle)
	number(w, abi.TagPlanTotalMS, p.Timeouts.Total)
	w.Text(abi.TagPlanHTTP, p.HTTP)
	w.Text(abi.TagPlanRedirect, p.Redirect)
	for _, x := range p.Expect {
		w.String(abi.TagPlanExpect, x)
	}
	w.Flag(abi.TagPlanDuplex, p.Duplex)
	w.Flag(abi.TagPlanIdempotent, p.Idempotent)
	w.Flag(abi.TagPlanForced, p.ForceStream)
	number(w, abi.TagPlanCostHint, p.CostHint)
	w.Flag(abi.TagPlanJudge, p.Judge)
	w.Text(abi.TagPlanPoll, p.Poll.Until)
	number(w, abi.TagPlanPollMS, p.Poll.EveryMS)
	number(w, abi.TagPlanPollMax, p.Poll.Max)
	w.Flag(abi.TagPlanFresh, p.Fresh)
	for _, t := range p.tokens {
		w.Pair(abi.TagPlanToken, t.Name, t.Value)
	}
}

func (e *edit) appendTo(w *abi.Writer) {
	m := w.Open(abi.TagPlanEdit)
	w.U8(abi.TagEditOp, uint8(e.op))
	for path := e.path; path != ""; {
		var name string
		name, path, _ = strings.Cut(path, ".")
		w.String(abi.TagEditPath, name)
	}
	if e.value != "" {
		w.String(abi.TagValue, e.value)
	}
	w.Close(m)
}

func (l *Local) appendTo(w *abi.Writer) {
	if l.Status != 0 {
		w.U32(abi.TagLocalStatus, uint32(l.Status))
	}
	for _, h := range l.Headers {
		w.Pair(abi.TagLocalHeader, h.Name, h.Value)
	}
	if l.Body != nil {
		w.Bytes(abi.TagLocalBody, l.Body)
	}
	for _, f := range l.Frames {
		w.Frame(f)
	}
}

func number(w *abi.Writer, t abi.Tag, v uint32) {
	if v != 0 {
		w.U32(t, v)
	}
}
