package execute

import (
	"net/url"
	"slices"
	"strings"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/host"
)

// redact takes the secrets of the attempt out of a failure: providers quote the
// credential that they refuse. It is asked for failures only, so that a good
// answer pays nothing for it.
func (a *attempt) redact(e *fault.Error) {
	secrets := a.secrets()
	for _, text := range [...]*string{&e.Message, &e.Param, &e.ProviderCode, &e.ProviderType} {
		*text = secrets.Text(*text)
	}
	if e.Cause == nil {
		return
	}
	if was := e.Cause.Error(); was != "" {
		if now := secrets.Text(was); now != was {
			e.Cause = redactedError{now, e.Cause}
		}
	}
}

// redactedError is a cause whose text held a secret.
type redactedError struct {
	text  string
	cause error
}

func (e redactedError) Error() string { return e.text }

func (e redactedError) Is(target error) bool { return e.cause == target }

// redactPayload does for an event that carries an error what redact does for a
// failure.
func (a *attempt) redactPayload(payload []byte) []byte {
	was := string(payload)
	if now := a.secrets().Text(was); now != was {
		return []byte(now)
	}
	return payload
}

// secrets are all texts of this attempt that nobody but the provider may see.
func (a *attempt) secrets() host.Concealed {
	var list []string
	add := func(s string) { list = append(list, s) }
	for _, s := range a.lease.Secrets() {
		add(s)
	}
	if a.plan != nil {
		list = append(list, a.plan.Minted()...)
		filled, err := host.Fill(a.c.Ctx, a.plan, a.lease.Secret, nil, nil)
		if err == nil {
			addSent(filled, add)
		}
	}
	node := a.c.Snapshot.Config.File.Providers[a.t.Provider.ID]
	for _, v := range node.Headers {
		add(v)
	}
	for _, u := range append(slices.Clone(node.BaseURLs), a.proxies()...) {
		addURL(u, add)
	}
	return host.Conceal(list...)
}

// addSent adds what a request authenticates with: encoded pairs as they are
// sent, and what stands in a query.
func addSent(r *host.Request, add func(string)) {
	for _, h := range r.Header {
		if scheme, token, ok := strings.Cut(h.Value, " "); ok && strings.EqualFold(h.Name, "Authorization") && scheme != "" {
			add(token)
		}
	}
	for _, u := range r.URLs {
		addURL(u, add)
	}
}

// addURL adds the credentials and the credential-like query members of a URL.
func addURL(raw string, add func(string)) {
	u, err := url.Parse(raw)
	if err != nil {
		return
	}
	if password, ok := u.User.Password(); ok {
		add(password)
	}
	for name, values := range u.Query() {
		if !secretQuery(name) {
			continue
		}
		for _, v := range values {
			add(v)
		}
	}
}

// secretQuery tells query members that hold credentials from those that choose
// a version or a format.
func secretQuery(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"key", "token", "secret", "sig", "password", "auth"}, func(word string) bool {
		return strings.Contains(name, word)
	})
}

// proxies are the proxies that the attempt may have gone through.
func (a *attempt) proxies() []string {
	return []string{a.lease.Account().Proxy, a.t.Provider.Proxy, a.c.Snapshot.Config.File.Upstream.Proxy}
}
