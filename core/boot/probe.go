package boot

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/upstream"
)

// probeTimeout bounds a connection test and a model list.
const probeTimeout = 30 * time.Second

// probeBody bounds what is read of an answer.
const probeBody = 8 << 20

// reply is what a provider said to a probe.
type reply struct {
	local  bool // the plugin answered by itself
	status int
	body   []byte
}

// probe asks a provider whether it accepts an account: by its model list, and where that says nothing by the
// smallest chat there is. It changes no state of the account but the date of its last test.
func (d *desk) probe(ctx context.Context, a *account.Account) (control.Test, error) {
	p, ok := d.catalog.Load().Provider(a.Provider)
	if !ok {
		return control.Test{}, notFound("the provider %q of this account does not exist any more", a.Provider)
	}
	start := time.Now()
	t := control.Test{Account: a.Provider + "/" + a.Name, Provider: p.ID, TestedAt: start}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	r, err := d.ask(ctx, p, a, "models", "", nil)
	if err != nil && fault.As(err) != nil && fault.As(err).Class == fault.ClassClient || err == nil && listless(r.status) {
		r, err = d.smallestChat(ctx, p, a)
	}
	t.LatencyMS = time.Since(start).Milliseconds()
	if err != nil {
		t.Diagnosis, t.Message = diagnoseError(err)
		return t, nil
	}
	t.Status = r.status
	t.Valid, t.Diagnosis, t.Message = diagnose(r)
	return t, nil
}

// listless tells that a provider has no model list to ask.
func listless(status int) bool {
	return status == http.StatusNotFound || status == http.StatusMethodNotAllowed
}

func (d *desk) smallestChat(ctx context.Context, p *catalog.Provider, a *account.Account) (reply, error) {
	if len(p.Models) == 0 {
		return reply{}, errors.New("the provider lists no models and none is known to try")
	}
	model := p.Models[0]
	body, err := json.Marshal(map[string]any{
		"model": model.UpstreamID, "max_tokens": 1,
		"messages": []map[string]string{{"role": "user", "content": "test"}},
	})
	if err != nil {
		return reply{}, err
	}
	dialect := p.Dialect
	if model.Format != "" {
		dialect = model.Format
	}
	if dialect != "openai" {
		gen := d.plugins.Current()
		out, err := gen.Request(ctx, host.Translation{
			From: "openai", To: dialect, Model: model.UpstreamID, Provider: p.ID, Body: body,
		})
		gen.Release()
		if err != nil {
			return reply{}, err
		}
		body = out.Body
	}
	return d.ask(ctx, p, a, "chat", model.UpstreamID, body)
}

// ask sends one request to a provider with an account's credential.
func (d *desk) ask(ctx context.Context, p *catalog.Provider, a *account.Account, endpoint, model string, body []byte) (reply, error) {
	gen := d.plugins.Current()
	defer gen.Release()
	ex, ok := gen.Executor(p.Executor)
	if !ok {
		return reply{}, fault.Newf(fault.PluginTrap, "no plugin provides the executor %q", p.Executor)
	}
	lease, err := d.pool.Reserve(account.Query{Provider: p.ID, Allowed: []string{a.ID}}, func([]account.View) int { return 0 })
	if err != nil {
		return reply{}, err
	}
	defer lease.Release()
	planned, err := ex.Plan(ctx, host.PlanInput{
		Profile: host.NewProfile(p.ID, p.Profile), Endpoint: endpoint, Model: model, Body: body, Dialect: p.Dialect,
		AuthKind: authKind(a.Auth), Attributes: a.Data, Effects: d.effects(p, a, lease.Secret), Secrets: lease.Secret,
	})
	if err == nil && len(planned.Learned) > 0 {
		_ = d.pool.Learn(ctx, a.ID, planned.Learned) // it serves; the next request stores it
	}
	switch {
	case err != nil:
		return reply{}, err
	case planned.Local != nil:
		return reply{local: true, status: planned.Local.Status, body: planned.Local.Body}, nil
	case endpoint == "models" && p.ModelsURL != "" && planned.Send != nil:
		planned.Send.URLs = []string{p.ModelsURL}
	case planned.Send == nil:
		return reply{}, fault.New(fault.NoCredentials, "the credential has to be refreshed first")
	}
	r, err := d.send(ctx, p, a, planned.Send, lease.Secret, body)
	secrets := host.Conceal(lease.Secrets()...) // providers quote what they refuse
	if e := fault.As(err); e != nil {
		e.Message = secrets.Text(e.Message)
	}
	if r.status >= 300 {
		r.body = []byte(secrets.Text(string(r.body)))
	}
	return r, err
}

// effects performs what the provider's executor asks for before it can plan.
func (d *desk) effects(p *catalog.Provider, a *account.Account, secrets host.Secrets) host.Effects {
	return func(ctx context.Context, plan *host.Plan) (*host.Reply, error) {
		r, err := d.send(ctx, p, a, plan, secrets, plan.Body)
		if err != nil {
			return nil, err
		}
		return &host.Reply{Status: r.status, Body: r.body}, nil
	}
}

func (d *desk) send(ctx context.Context, p *catalog.Provider, a *account.Account, plan *host.Plan, secrets host.Secrets, body []byte) (reply, error) {
	if plan.Body != nil {
		body = plan.Body
	}
	body, err := plan.ApplyEdits(nil, body)
	if err != nil {
		return reply{}, err
	}
	req, err := host.Fill(ctx, plan, secrets, body, d.effects(p, a, secrets))
	if err != nil {
		return reply{}, err
	}
	if req.Body != nil {
		body = req.Body
	}
	proxy := d.config().File.Upstream.Proxy
	for _, own := range []string{p.Proxy, a.Proxy} {
		if own != "" {
			proxy = own
		}
	}
	if proxy == "direct" {
		proxy = ""
	}
	var last error
	for _, url := range req.URLs {
		resp, err := d.client.Do(ctx, &upstream.Request{
			Method: req.Method, URL: url, Header: req.HeaderFor(url), Body: body, Proxy: proxy, AllowPrivate: req.MayBePrivate(url, p.AllowPrivate),
			Timeouts: upstream.Timeouts{Connect: 10 * time.Second, Total: probeTimeout}, HTTP: upstream.Version(plan.HTTP),
		})
		if err != nil {
			last = err
			continue
		}
		text, err := resp.ReadAll(probeBody)
		status := resp.Status
		resp.Close()
		if err != nil {
			last = err
			continue
		}
		return reply{status: status, body: text}, nil
	}
	if last == nil {
		last = fault.New(fault.PluginTrap, "the plugin planned a request without a URL")
	}
	return reply{}, last
}

// authKind is the word of plans for the auth of an account.
func authKind(auth string) string {
	if auth == "apikey" {
		return "api_key"
	}
	return auth
}

// diagnose judges an answer by its status. What is wrong with a request whose credential was accepted does not
// matter here.
func diagnose(r reply) (valid bool, diagnosis, message string) {
	text := strings.TrimSpace(string(r.body[:min(len(r.body), 300)]))
	switch {
	case r.local, r.status < 300:
		return true, "ok", ""
	case r.status == 401, r.status == 403, r.status == 400 && bytes.Contains(r.body, []byte("API_KEY_INVALID")):
		return false, "upstream_auth_error", text
	case r.status == 429:
		return false, "upstream_rate_limited", text
	case listless(r.status):
		return false, "unsupported", text
	case r.status >= 500:
		return false, "upstream_unavailable", text
	}
	return true, "ok", text
}

func diagnoseError(err error) (diagnosis, message string) {
	var none *account.NoneError
	e := fault.As(err)
	switch {
	case errors.As(err, &none):
		return "auth_missing", err.Error()
	case e == nil:
		return "runtime_error", err.Error()
	case e.Class == fault.ClassTransport, e.Class == fault.ClassTimeout:
		return "network_error", e.Message
	case e.Class == fault.ClassAuth:
		return "auth_missing", e.Message
	}
	return "runtime_error", e.Message
}

// liveModels asks the provider itself what it has, with the account of the highest priority.
func (d *desk) liveModels(ctx context.Context, p *catalog.Provider) ([]control.Model, error) {
	accounts := d.pool.List(p.ID)
	i := slices.IndexFunc(accounts, func(a *account.Account) bool { return a.Enabled })
	if i < 0 {
		return nil, fault.Newf(fault.NoCredentials, "%s has no account to ask with", p.ID)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	r, err := d.ask(ctx, p, accounts[i], "models", "", nil)
	if err != nil {
		return nil, err
	}
	if r.status >= 300 {
		return nil, fault.Upstream(r.status, string(r.body[:min(len(r.body), 300)]))
	}
	ids := modelIDs(r.body)
	if ids == nil {
		return nil, fault.New(fault.Provider, "the provider's model list cannot be read")
	}
	list := make([]control.Model, 0, len(ids))
	for _, id := range ids {
		if m, ok := d.catalog.Load().Model(p.ID, id); ok {
			list = append(list, modelRow(p, m))
			continue
		}
		list = append(list, control.Model{ID: p.ID + "/" + id, Context: -1, MaxOutput: -1, Input: -1, Output: -1})
	}
	return list, nil
}

// modelIDs reads the forms in which providers list models: {"data": […]}, {"models": […]} or a bare array, whose
// elements have an id, a modelId or a name.
func modelIDs(body []byte) []string {
	type model struct {
		ID      string `json:"id"`
		ModelID string `json:"modelId"`
		Name    string `json:"name"`
	}
	var page struct {
		Data   []model `json:"data"`
		Models []model `json:"models"`
	}
	list := []model(nil)
	if err := json.Unmarshal(body, &page); err == nil {
		list = append(page.Data, page.Models...)
	} else if json.Unmarshal(body, &list) != nil {
		return nil
	}
	ids := []string{}
	for _, m := range list {
		id := m.ID
		if id == "" {
			id = m.ModelID
		}
		if id == "" {
			id = strings.TrimPrefix(m.Name, "models/")
		}
		if id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}
