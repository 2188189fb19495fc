package host

import (
	"net/url"
	"slices"

	"github.com/omniroute/omniroute/core/fault"
	declared "github.com/omniroute/omniroute/core/host/manifest"
)

// reach is where the requests of one plugin for one provider may go: the
// enforcement point of the capability http. It is asked for the URLs of a plan
// and again for each redirect; the address that is dialled in the end is
// guarded by the outbound client.
type reach struct {
	x       *Executor
	profile *Profile
}

// refuses says why a URL is out of reach, "" = it is not.
func (r *reach) refuses(u *url.URL) string {
	m := r.x.mod
	switch {
	case u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil:
		return "a plan has an invalid URL"
	case m.file != "" && m.host.denied(u.Hostname()):
		return "plugins.trust.deny forbids requests to " + u.Host
	case r.declares(u), slices.ContainsFunc(m.hosts, func(h declared.Host) bool { return h.Matches(u) }):
		return ""
	}
	return "it may not send requests to " + u.Host
}

// declares reports whether the provider's own base URLs lead to the host. What
// they say about private addresses holds for these hosts alone.
func (r *reach) declares(u *url.URL) bool {
	return r.profile != nil && slices.ContainsFunc(r.profile.hosts, func(h declared.Host) bool { return h.Matches(u) })
}

// grantedPrivate reports whether the operator named the private host itself.
func (r *reach) grantedPrivate(u *url.URL) bool {
	return slices.ContainsFunc(r.x.mod.hosts, func(h declared.Host) bool { return h.Private() && h.Matches(u) })
}

// Redirects is how many redirects may be followed.
func (r *Request) Redirects() int {
	switch r.redirect {
	case RedirectSameHost, RedirectGranted:
		return 3
	}
	return 0
}

// Redirect policies of a plan; everything else hands a redirect to the plugin.
const (
	RedirectSameHost = "same-host" // to a host that the plan names
	RedirectGranted  = "granted"   // to any host that the plugin may send requests to
)

// MayFollow reports whether a redirect may be followed to a URL. Its errors
// name the host only: credentials have been filled in.
func (r *Request) MayFollow(to *url.URL) error {
	if r.redirect != RedirectGranted && !slices.ContainsFunc(r.URLs, func(raw string) bool {
		u, err := url.Parse(raw)
		return err == nil && u.Host == to.Host && u.Scheme == to.Scheme
	}) {
		return fault.New(fault.Denied, "A redirect leads to another host ("+to.Host+"), where the request may not go")
	}
	if r.reach == nil {
		return nil
	}
	if why := r.reach.refuses(to); why != "" {
		return r.reach.x.refuse(why)
	}
	return nil
}

// MayBePrivate reports whether a URL of the request may lead to a private or
// local address: if the provider may be private and the URL is one of its own,
// or if the operator granted the plugin that very host.
func (r *Request) MayBePrivate(rawURL string, provider bool) bool {
	if r.reach == nil {
		return provider
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return false
	}
	return provider && r.reach.declares(u) || r.reach.grantedPrivate(u)
}

// check refuses a plan that goes where this plugin may not send anything: to
// hosts that neither the provider's base URLs nor its grants name. It also
// refuses one whose secret markers may stem from the client: filling them would
// show the client's own request, and thereby the client, a credential.
func (x *Executor) check(p *Plan, profile *Profile, tainted func() bool) error {
	if p.marked() && tainted() {
		return fault.New(fault.InvalidBody, "The request contains the text "+markerOpen+", which this provider cannot be sent")
	}
	if len(p.URLs) == 0 {
		return x.refuse("a plan has no URL")
	}
	p.by, p.reach = x, &reach{x, profile}
	for _, raw := range p.URLs {
		u, err := url.Parse(raw)
		if err != nil {
			return x.refuse("a plan has an invalid URL")
		}
		if why := p.reach.refuses(u); why != "" {
			return x.refuse(why)
		}
	}
	for _, h := range p.Header {
		if !validHeader(h) {
			return x.refuse("a plan has an invalid header")
		}
	}
	return nil
}

func (x *Executor) refuse(why string) error {
	return fault.New(fault.PluginTrap, "The plugin "+x.part.Plugin+" failed: "+why)
}
