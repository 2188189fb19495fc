package execute

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/health"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/policy"
	"github.com/omniroute/omniroute/core/telemetry/capture"
	"github.com/omniroute/omniroute/core/upstream"
)

// wholeHeaders is how much longer than for a stream the headers of a whole
// answer may take: they come when everything has been generated.
const wholeHeaders = 10

// send fills the plan with secrets and sends it, to the next base URL if one is
// down or busy.
func (a *attempt) send() *fault.Error {
	body, err := a.finalBody()
	if err != nil {
		return err
	}
	filled, ferr := host.Fill(a.c.Ctx, a.plan, a.lease.Secret, body, a.effects)
	if ferr != nil {
		return a.pluginFault(ferr)
	}
	if filled.Body != nil {
		body = filled.Body
	}
	req := upstream.Request{
		Method: filled.Method, Body: body, Timeouts: a.clocks(), HTTP: upstream.Version(a.plan.HTTP),
		Redirects: filled.Redirects(), MayFollow: filled.MayFollow,
	}
	var last *fault.Error
	urls := filled.URLs
	media := a.c.Media
	if media != nil && a.t.Media.Fallback != "" {
		urls = append(slices.Clone(urls), a.t.Media.Fallback)
	}
	var upload *form
	if media != nil && media.Upload != nil {
		upload = newForm(body, media.Upload)
		req.Body = nil
	}
	if a.state == nil { // else the executor chose among them
		urls = a.healthiest(urls)
	}
	for i, u := range urls {
		req.URL, req.Proxy, req.Header = u, a.proxy(u), filled.HeaderFor(u)
		req.AllowPrivate = filled.MayBePrivate(u, a.t.Provider.AllowPrivate)
		if conf := a.c.Snapshot.Config.File.Upstream; !conf.SOCKS5 && strings.HasPrefix(req.Proxy, "socks5") {
			return fault.New(fault.Internal, "The account's proxy is a SOCKS5 one, which upstream.socks5 switches off")
		}
		a.dress(&req, upload)
		report, closed := a.hostBreaker(u, req.Proxy, len(urls))
		if closed != nil {
			return closed
		}
		a.c.Stages.Request(capture.Target, u, call.Captured(req.Header), body)
		resp, err := a.l.s.Upstream.Do(a.c.Ctx, &req)
		if err != nil {
			if a.c.Ctx.Err() != nil {
				report(nil, 0)
				return cancelled(a.c)
			}
			last = a.blamed(fault.From(err))
			if report(last, 0); last.Class == fault.ClassTransport || last.Clock == upstream.ClockConnect {
				continue
			}
			return last
		}
		report(nil, resp.Status)
		if media != nil && moved(resp.Status) && i+1 < len(urls) {
			_ = resp.Close()
			continue
		}
		if resp.Status == 429 && i+1 < len(urls) && !a.plan.Judge {
			_ = resp.Close()
			continue
		}
		a.resp, a.url = resp, a.plan.URLs[max(slices.Index(filled.URLs, u), 0)] // without what was filled in
		return nil
	}
	if last == nil {
		last = a.blamed(fault.New(fault.PluginTrap, "The executor planned a request without a URL"))
	}
	return last
}

// dress gives a request that is not chat the form of its body and of its answer.
func (a *attempt) dress(req *upstream.Request, upload *form) {
	if upload != nil {
		req.BodyReader = upload.reader()
		req.Header = withHeader(req.Header, "Content-Type", upload.contentType())
	}
	if m := a.c.Media; m != nil && (m.Spoken || m.Upload != nil) {
		req.Header = withHeader(req.Header, "Accept", "*/*")
	}
}

// healthiest puts the hosts of a provider that are out of order behind the others.
func (a *attempt) healthiest(urls []string) []string {
	if len(urls) < 2 {
		return urls
	}
	order := slices.Clone(urls)
	rank := func(u string) int {
		if a.l.s.Health.Breakers.View(a.hostName(u)).State == health.Open {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(order, func(x, y string) int { return rank(x) - rank(y) })
	return order
}

// hostBreaker takes the breakers of the way to a URL: of the host, if it is one of
// several, and of the proxy. A provider with a single host has its own breaker,
// and a proxy that is down is not its fault. The error says that the proxy is
// left alone for now.
func (a *attempt) hostBreaker(u, proxy string, hosts int) (report func(e *fault.Error, status int), closed *fault.Error) {
	breakers := a.l.s.Health.Breakers
	var host, way func(health.Outcome)
	if proxy != "" {
		name := proxyName(proxy)
		var ok bool
		if way, ok = breakers.Allow(name); !ok {
			e := fault.New(fault.ProxyFailed, "The proxy cannot be reached and is tried again later")
			e.RetryAfter = millis(int(breakers.View(name).RetryAfterMS))
			return nil, e
		}
	}
	if hosts > 1 {
		var ok bool
		if host, ok = breakers.Allow(a.hostName(u)); !ok {
			host = breakers.Force(a.hostName(u))
		}
	}
	return func(e *fault.Error, status int) {
		aborted := e == nil && status == 0
		proxyDown := e != nil && (e.Code == fault.ProxyFailed || e.Code == fault.ProxyTimeout)
		if way != nil {
			way(health.Outcome{Success: !proxyDown, Ignored: aborted})
		}
		if host != nil {
			host(health.Outcome{Success: e == nil && status < 500, Ignored: aborted || proxyDown || status >= 400 && status < 500})
		}
	}, nil
}

// proxyName is the breaker of a proxy, without its credentials.
func proxyName(proxy string) string {
	if u, err := url.Parse(proxy); err == nil {
		return "proxy|" + u.Host
	}
	return "proxy"
}

func (a *attempt) hostName(u string) string {
	host := u
	if parsed, err := url.Parse(u); err == nil {
		host = parsed.Host
	}
	return a.t.Provider.ID + "|" + host
}

// finalBody applies the plan's edits and puts the long strings back.
func (a *attempt) finalBody() ([]byte, *fault.Error) {
	skeleton := a.request.body
	if a.plan.Body != nil {
		skeleton = a.plan.Body
	}
	if len(a.plan.Edits) > 0 {
		edited, err := a.plan.ApplyEdits(nil, skeleton)
		if err != nil {
			return nil, a.pluginFault(err)
		}
		skeleton = edited
	}
	if a.c.Doc.Blobs() == 0 {
		return skeleton, nil
	}
	body, err := a.c.Doc.Inflate(make([]byte, 0, len(a.c.Doc.Original())+len(skeleton)), skeleton, 0)
	if err != nil {
		return nil, fault.Wrap(fault.PluginTrap, err, "The translated request cannot be put together")
	}
	return body, nil
}

// clocks of the request: what the rules say, over it what the plan asks for,
// over it what the operator configured for the provider or for all.
func (a *attempt) clocks() upstream.Timeouts {
	v := a.c.Snapshot.Policy.Timeouts(&a.c.Env.TargetEnv, a.c.Trace)
	t := upstream.DefaultTimeouts(a.c.Stream)
	fromRules(&t, v, a.c.Stream)
	beat := millis(max(v.HeartbeatMS, 0))
	p := a.plan.Timeouts
	set(&t.Connect, p.Connect)
	set(&t.Headers, p.FirstByte)
	set(&t.Idle, p.Idle)
	set(&t.Total, p.Total)
	for _, c := range [...]config.Timeouts{a.c.Snapshot.Config.File.Upstream.Timeouts, a.t.Provider.Timeouts} {
		set(&t.Connect, c.Connect)
		set(&t.Headers, c.Headers)
		if a.c.Stream {
			set(&t.FirstEvent, c.FirstEvent)
		}
		set(&t.Idle, c.Idle)
		set(&t.Total, c.Total)
		set(&beat, c.Heartbeat)
	}
	if combo := a.c.Resolution.Combo; combo != nil {
		bound(&t, combo.Config.Timeout, a.c.Stream)
	}
	if a.c.Client != nil && beat > 0 {
		a.c.Client.Pace(beat)
	}
	return t
}

func fromRules(t *upstream.Timeouts, v policy.Timeouts, stream bool) {
	set(&t.Connect, millis(max(v.ConnectMS, 0)))
	set(&t.Idle, millis(max(v.IdleMS, 0)))
	set(&t.Total, millis(max(v.TotalMS, 0)))
	headers := millis(max(v.HeadersMS, 0))
	if stream {
		set(&t.FirstEvent, millis(max(v.FirstEventMS, 0)))
	} else {
		headers *= wholeHeaders
	}
	set(&t.Headers, headers)
}

// bound keeps a member of a combo from taking longer than the combo lets it: to
// the first content of a stream, or for a whole answer.
func bound(t *upstream.Timeouts, limit time.Duration, stream bool) {
	if limit <= 0 {
		return
	}
	clocks := []*time.Duration{&t.Headers, &t.FirstEvent}
	if !stream {
		clocks = []*time.Duration{&t.Headers, &t.Total}
	}
	for _, c := range clocks {
		if *c <= 0 || *c > limit {
			*c = limit
		}
	}
}

func set(to *time.Duration, d time.Duration) {
	if d > 0 {
		*to = d
	}
}

// proxy is the proxy for a URL: the account's, else the provider's, else the
// one for everything; "direct" means none.
func (a *attempt) proxy(target string) string {
	conf := a.c.Snapshot.Config.File.Upstream
	for _, p := range [...]string{a.lease.Account().Proxy, a.t.Provider.Proxy} {
		switch p {
		case "":
		case "direct":
			return ""
		default:
			return p
		}
	}
	if conf.Proxy == "" || direct(conf.NoProxy, target) {
		return ""
	}
	return conf.Proxy
}

// direct reports whether the host of a URL is one of, or below one of, names.
func direct(names []string, target string) bool {
	u, err := url.Parse(target)
	if err != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	for _, n := range names {
		n = strings.ToLower(strings.TrimPrefix(n, "."))
		if n != "" && (host == n || strings.HasSuffix(host, "."+n)) {
			return true
		}
	}
	return false
}

// effects performs a request that the executor needs before it can answer, with
// the account's secrets and proxy.
func (a *attempt) effects(ctx context.Context, p *host.Plan) (*host.Reply, error) {
	filled, err := host.Fill(ctx, p, a.lease.Secret, p.Body, a.effects)
	if err != nil {
		return nil, err
	}
	if len(filled.URLs) == 0 {
		return nil, fault.New(fault.PluginTrap, "The executor planned a request without a URL")
	}
	resp, err := a.l.s.Upstream.Do(ctx, &upstream.Request{
		Method: filled.Method, URL: filled.URLs[0], Header: filled.HeaderFor(filled.URLs[0]), Body: filled.Body,
		Timeouts: upstream.DefaultTimeouts(false), HTTP: upstream.Version(p.HTTP), Proxy: a.proxy(filled.URLs[0]),
		AllowPrivate: filled.MayBePrivate(filled.URLs[0], a.t.Provider.AllowPrivate),
		Redirects:    filled.Redirects(), MayFollow: filled.MayFollow,
	})
	if err != nil {
		return nil, err
	}
	defer resp.Close()
	body, err := resp.ReadAll(0)
	if err != nil {
		return nil, err
	}
	return &host.Reply{Status: resp.Status, Header: resp.Header, Body: body}, nil
}
