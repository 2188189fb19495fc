package sdk

import (
	"strconv"
	"strings"

	"github.com/omniroute/omniroute/sdk/abi"
)

// Wire formats.
const (
	OpenAI    = "openai"
	Responses = "openai-responses"
	Claude    = "claude"
	Gemini    = "gemini"
	Ollama    = "ollama"
)

// Model is one model of a provider.
type Model struct {
	ID        string
	Name      string
	Context   int64 // tokens
	MaxOutput int64 // tokens
	Tools     bool
	Images    bool
	Reasoning bool
}

// ProviderPart is an executor for one provider, built from facts and hooks.
type ProviderPart struct {
	name, version, id string
	alias             []string
	dialect           string
	bases             []string
	hosts             []string
	reason            string
	auth              Auth
	models            []Model
	headers           []abi.Header
	settings          configSchema
	needsBody         bool

	onPlan   func(*Ctx, *Plan) error
	onResult func(*Ctx, *Result) Verdict
	onFrame  func(*Stream, *Frame) error

	onRefresh func(*Ctx, *Plan) error
	onQuota   func(*Ctx) ([]byte, error)
	onSign    func(*Ctx, *Signing) ([]abi.Header, error)

	store  string   // why it needs one, "" = it does not
	reveal []string // secrets it reads itself
	also   []string // secrets it uses beside those of its auth directive
}

// Provider starts a provider. name is "owner/name"; the provider's id is the
// part after the slash.
func Provider(name, version string) *ProviderPart {
	id := name
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		id = name[i+1:]
	}
	return &ProviderPart{name: name, version: version, id: id, dialect: OpenAI, auth: Bearer("api_key")}
}

// ID sets the provider's id.
func (p *ProviderPart) ID(id string) *ProviderPart { p.id = id; return p }

// Alias adds short names.
func (p *ProviderPart) Alias(names ...string) *ProviderPart {
	p.alias = append(p.alias, names...)
	return p
}

// Base sets the base URLs, first choice first.
func (p *ProviderPart) Base(urls ...string) *ProviderPart { p.bases = urls; return p }

// Hosts declares the hosts the provider is reached at, for the operator's
// consent; those of the base URLs need not be repeated.
func (p *ProviderPart) Hosts(hosts ...string) *ProviderPart {
	p.hosts = append(p.hosts, hosts...)
	return p
}

// Reason says why the hosts and secrets are needed.
func (p *ProviderPart) Reason(text string) *ProviderPart { p.reason = text; return p }

// Dialect sets the wire format of the upstream; OpenAI chat if not set.
func (p *ProviderPart) Dialect(name string) *ProviderPart { p.dialect = name; return p }

// Auth sets how requests are authenticated; Bearer("api_key") if not set.
func (p *ProviderPart) Auth(a Auth) *ProviderPart { p.auth = a; return p }

// Models lists the models.
func (p *ProviderPart) Models(models ...Model) *ProviderPart {
	p.models = append(p.models, models...)
	return p
}

// Header adds a header to every request.
func (p *ProviderPart) Header(name, value string) *ProviderPart {
	p.headers = append(p.headers, abi.Header{Name: name, Value: value})
	return p
}

// Config declares settings.
func (p *ProviderPart) Config(settings ...Setting) *ProviderPart {
	p.settings = append(p.settings, settings...)
	return p
}

// ReadsBody makes the body's skeleton visible to OnPlan. Without it the plugin
// never sees a request; edits work all the same.
func (p *ProviderPart) ReadsBody() *ProviderPart { p.needsBody = true; return p }

// OnPlan changes the planned request before it is sent.
func (p *ProviderPart) OnPlan(f func(*Ctx, *Plan) error) *ProviderPart { p.onPlan = f; return p }

// OnResult judges answers; without it [Default] does.
func (p *ProviderPart) OnResult(f func(*Ctx, *Result) Verdict) *ProviderPart {
	p.onResult = f
	return p
}

// OnFrame maps upstream frames; without it they pass untouched and the plugin
// is not called for them.
func (p *ProviderPart) OnFrame(f func(*Stream, *Frame) error) *ProviderPart {
	p.onFrame = f
	return p
}

// Module implements [Source]: the provider alone in a module.
func (p *ProviderPart) Module() *Module { return Bundle(p.name, p.version, p) }

func (p *ProviderPart) register(m *Module) {
	m.schema = append(m.schema, p.settings...)
	x := &providerExecutor{p: p, own: map[string]override{}}
	m.executors[p.id] = x
	if p.onFrame != nil {
		m.executors[p.id] = streamingProvider{x}
	}
}

// Provides implements [Part].
func (p *ProviderPart) Provides() [][]byte {
	b := append([]byte(nil), `{"kind":"executor","id":`...)
	b = append(b, Quote(p.id)...)
	if len(p.alias) > 0 {
		b = append(appendStrings(append(b, `,"alias":[`...), p.alias), ']')
	}
	b = append(append(b, `,"dialect":`...), Quote(p.dialect)...)
	b = append(b, `,"endpoints":["chat"]`...)
	b = append(appendStrings(append(b, `,"base_urls":[`...), p.bases), ']')
	b = append(p.auth.appendTo(append(b, `,"auth":[`...)), ']')
	b = append(append(b, `,"framing":`...), Quote(Framing(p.dialect))...)
	if p.onFrame == nil {
		b = append(b, `,"stream":"passthrough"`...)
	} else {
		b = append(b, `,"stream":"frames"`...)
	}
	if p.needsBody {
		b = append(b, `,"body":"skeleton"`...)
	} else {
		b = append(b, `,"body":"none"`...)
	}
	if p.onResult == nil {
		b = append(b, `,"result":"errors"`...)
	}
	b = append(b, `,"models":[`...)
	for i, m := range p.models {
		if i > 0 {
			b = append(b, ',')
		}
		b = m.append(b)
	}
	return [][]byte{append(b, `]}`...)}
}

func (m Model) append(b []byte) []byte {
	b = append(append(b, `{"id":`...), Quote(m.ID)...)
	if m.Name != "" {
		b = append(append(b, `,"name":`...), Quote(m.Name)...)
	}
	for _, n := range []struct {
		name  string
		value int64
	}{{"context", m.Context}, {"max_output", m.MaxOutput}} {
		if n.value > 0 {
			b = append(append(b, `,"`...), n.name...)
			b = strconv.AppendInt(append(b, `":`...), n.value, 10)
		}
	}
	for _, f := range []struct {
		name  string
		value bool
	}{{"tools", m.Tools}, {"images", m.Images}, {"reasoning", m.Reasoning}} {
		b = append(append(b, `,"`...), f.name...)
		b = strconv.AppendBool(append(b, `":`...), f.value)
	}
	return append(b, '}')
}

// providerExecutor runs a ProviderPart.
type providerExecutor struct {
	p   *ProviderPart
	own map[string]override // by provider id
}

// override is what the operator's profile of a provider sets in place of the
// plugin's own.
type override struct {
	bases   []string
	headers []abi.Header
}

// Configure implements [Configurer]: base_urls and headers of the profile win.
func (x *providerExecutor) Configure(c *Ctx, profile []byte) (abi.BodyKind, error) {
	var o override
	root := JSON(profile).Get("")
	root.Get("base_urls").Each(func(v JSON) { o.bases = append(o.bases, v.Text()) })
	root.Get("headers").Members(func(name string, v JSON) {
		o.headers = append(o.headers, abi.Header{Name: name, Value: v.Text()})
	})
	x.own[c.Provider] = o
	if x.p.needsBody {
		return abi.BodySkeleton, nil
	}
	return abi.BodyNone, nil
}

// Plan implements [Executor].
func (x *providerExecutor) Plan(c *Ctx, p *Plan) error {
	endpoint := c.Endpoint
	if endpoint == "" {
		endpoint = "chat"
	}
	path, ok := Path(x.p.dialect, endpoint, c.Stream)
	if !ok {
		return &abi.ErrorRecord{Message: "the provider has no endpoint " + endpoint, Class: "client", Scope: string(ThisRequest), Status: 404, Fallback: true}
	}
	own := x.own[c.Provider]
	bases := own.bases
	if len(bases) == 0 {
		bases = x.p.bases
	}
	for _, base := range bases {
		p.URLs = append(p.URLs, strings.TrimSuffix(base, "/")+strings.ReplaceAll(path, "{model}", c.Model))
	}
	if endpoint == "models" {
		p.Method, p.Idempotent = "GET", true
	} else {
		p.Header("Content-Type", "application/json")
	}
	for _, h := range x.p.headers {
		p.Header(h.Name, h.Value)
	}
	for _, h := range own.headers {
		p.Header(h.Name, h.Value)
	}
	p.Auth, p.Framing = x.p.auth, Framing(x.p.dialect)
	if x.p.dialect == Gemini {
		p.Body.Drop("model", "stream")
	}
	if x.p.onPlan == nil {
		return nil
	}
	return x.p.onPlan(c, p)
}

// Result implements [Executor].
func (x *providerExecutor) Result(c *Ctx, r *Result) (Verdict, error) {
	if x.p.onResult == nil {
		return Default(r), nil
	}
	return x.p.onResult(c, r), nil
}

type streamingProvider struct{ *providerExecutor }

// OpenStream implements [Streamer].
func (x streamingProvider) OpenStream(*Ctx) (FrameHandler, error) {
	return frameFunc(x.p.onFrame), nil
}

type frameFunc func(*Stream, *Frame) error

// Frame implements [FrameHandler]. Comments mean nothing and go no further.
func (f frameFunc) Frame(s *Stream, fr abi.Frame) error {
	if fr.Kind == abi.FrameComment {
		return nil
	}
	return f(s, &Frame{Frame: fr})
}

// End implements [FrameHandler].
func (f frameFunc) End(*Stream, abi.EndReason) error { return nil }

// Framing returns how upstreams of a wire format frame their streams.
func Framing(dialect string) string {
	if dialect == Ollama {
		return "ndjson"
	}
	return "sse"
}

// Path returns the URL path of an endpoint behind a base URL, {model} standing
// for the model id. Base URLs follow the habit of each format's own clients:
// openai, openai-responses and claude end in /v1, gemini in /v1beta/models,
// ollama has none.
func Path(dialect, endpoint string, stream bool) (path string, ok bool) {
	switch dialect {
	case OpenAI, Responses:
		switch {
		case endpoint == "chat" && dialect == Responses:
			return "/responses", true
		case endpoint == "chat":
			return "/chat/completions", true
		case endpoint == "images":
			return "/images/generations", true
		case endpoint == "responses", endpoint == "embeddings", endpoint == "models":
			return "/" + endpoint, true
		}
	case Claude:
		switch endpoint {
		case "chat":
			return "/messages", true
		case "count_tokens":
			return "/messages/count_tokens", true
		case "models":
			return "/models", true
		}
	case Gemini:
		switch {
		case endpoint == "chat" && stream:
			return "/{model}:streamGenerateContent?alt=sse", true
		case endpoint == "chat":
			return "/{model}:generateContent", true
		case endpoint == "count_tokens":
			return "/{model}:countTokens", true
		case endpoint == "models":
			return "", true
		}
	case Ollama:
		switch endpoint {
		case "chat":
			return "/api/chat", true
		case "models":
			return "/api/tags", true
		}
	}
	return "", false
}

// capabilities collects what a manifest asks for.
type capabilities struct {
	hosts, secrets, reveal []string
	reason, store          string
}

func (c *capabilities) add(p *ProviderPart) {
	for _, base := range p.bases {
		c.hosts = addOnce(c.hosts, hostOf(base))
	}
	for _, h := range p.hosts {
		c.hosts = addOnce(c.hosts, h)
	}
	for _, s := range append(p.auth.secrets, p.also...) {
		c.secrets = addOnce(c.secrets, s)
	}
	for _, s := range p.reveal {
		c.reveal = addOnce(c.reveal, s)
	}
	if c.reason == "" {
		c.reason = p.reason
	}
	if c.store == "" {
		c.store = p.store
	}
}

func (c *capabilities) append(b []byte) []byte {
	if len(c.hosts) == 0 && len(c.secrets) == 0 && len(c.reveal) == 0 && c.store == "" {
		return b
	}
	reason := c.reason
	if reason == "" {
		reason = "inference"
	}
	b = append(appendStrings(append(b, `,"capabilities":{"http":{"hosts":[`...), c.hosts), `],"reason":`...)
	b = append(append(b, Quote(reason)...), '}')
	if len(c.secrets) > 0 || len(c.reveal) > 0 {
		b = append(appendStrings(append(b, `,"secrets":{"use":[`...), c.secrets), ']')
		if len(c.reveal) > 0 {
			b = append(appendStrings(append(b, `,"reveal":[`...), c.reveal), ']')
		}
		b = append(b, `,"reason":"authentication"}`...)
	}
	if c.store != "" {
		b = append(append(append(b, `,"kv":{"reason":`...), Quote(c.store)...), '}')
	}
	return append(b, '}')
}

func addOnce(list []string, s string) []string {
	for _, x := range list {
		if x == s {
			return list
		}
	}
	return append(list, s)
}

// hostOf returns the host (with port, if any) of a URL.
func hostOf(url string) string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		rest = url
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	return rest
}
