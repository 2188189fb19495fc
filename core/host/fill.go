package host

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
)

// Secrets finds the secret of a name for the chosen account.
type Secrets func(name string) (string, bool)

// Request is a plan ready to be sent. It holds secrets: never log it.
type Request struct {
	Method string
	URLs   []string
	Header []abi.Header
	Body   []byte

	signed   [][]abi.Header // in place of Header, per URL, where a signature covers it
	reach    *reach
	redirect string
}

// HeaderFor returns the header to send to one of the request's URLs: a
// signature covers the URL it is for.
func (r *Request) HeaderFor(rawURL string) []abi.Header {
	if k := slices.Index(r.URLs, rawURL); k >= 0 && k < len(r.signed) {
		return r.signed[k]
	}
	return r.Header
}

// String keeps a request's secrets out of logs.
func (r *Request) String() string { return r.Method + " (request with credentials)" }

// Fill puts secrets and the auth directive into a plan: the only place where a
// secret meets a request. body is the final, inflated request body; markers in
// it are filled only when the plan put markers into the body; such a plan is
// refused beforehand when the client's request holds markers of its own.
//
// Secrets that the plugin was not granted are refused here. effects performs
// the exchange that the directive google-sa needs when no token is at hand; nil
// = use one at hand only. Errors are *fault.Error.
func Fill(ctx context.Context, p *Plan, secrets Secrets, body []byte, effects Effects) (*Request, error) {
	f := filler{ctx: ctx, plan: p, secrets: secrets, effects: effects, now: time.Now}
	if p.by != nil {
		f.now = p.by.mod.host.now
	}
	r := &Request{Method: p.Method, Body: body, reach: p.reach, redirect: p.Redirect}
	for _, u := range p.URLs {
		r.URLs = append(r.URLs, f.replace(u, url.QueryEscape))
	}
	for _, h := range p.Header {
		r.Header = append(r.Header, abi.Header{Name: h.Name, Value: f.replace(h.Value, f.headerSafe)})
	}
	if p.marksBody() {
		r.Body = []byte(f.replace(string(body), p.bodyEscape()))
	}
	if f.err == nil {
		f.authenticate(r, p.Auth)
	}
	return r, f.err
}

const (
	markerOpen  = "{{secret:"
	markerClose = "}}"
)

// marked reports whether the plan has secret markers anywhere.
func (p *Plan) marked() bool {
	for _, u := range p.URLs {
		if strings.Contains(u, markerOpen) {
			return true
		}
	}
	for _, h := range p.Header {
		if strings.Contains(h.Value, markerOpen) {
			return true
		}
	}
	return p.marksBody()
}

// bodyEscape is how a secret is written into the plan's body.
func (p *Plan) bodyEscape() func(string) string {
	for _, h := range p.Header {
		if strings.EqualFold(h.Name, "content-type") && strings.HasPrefix(strings.ToLower(h.Value), "application/x-www-form-urlencoded") {
			return url.QueryEscape
		}
	}
	return escapeJSON
}

// marksBody reports whether the plan puts secret markers into the body.
func (p *Plan) marksBody() bool {
	if holdsMarker(p.Body) {
		return true
	}
	for k := range p.Edits {
		if holdsMarker(p.Edits[k].Value) {
			return true
		}
	}
	return false
}

func holdsMarker(texts ...[]byte) bool {
	for _, t := range texts {
		if bytes.Contains(t, []byte(markerOpen)) {
			return true
		}
	}
	return false
}

func blobsHoldMarker(b Blobs) bool {
	if b == nil {
		return false
	}
	for id := 0; ; id++ {
		blob, ok := b.Blob(id)
		if !ok {
			return false
		}
		if holdsMarker(blob) {
			return true
		}
	}
}

type filler struct {
	ctx     context.Context
	plan    *Plan
	secrets Secrets
	effects Effects
	now     func() time.Time
	err     error
}

func (f *filler) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fault.Newf(fault.PluginTrap, format, args...)
	}
}

// secret returns a secret by name. A missing one is the account's lack.
func (f *filler) secret(name string) string {
	if !f.plan.mayUse(name) {
		f.fail("The plugin %s may not use the secret %s: it was not granted", f.plan.by.part.Plugin, name)
		return ""
	}
	if v, ok := f.plan.minted[name]; ok {
		return v
	}
	if f.secrets != nil {
		if v, ok := f.secrets(name); ok {
			return v
		}
	}
	if f.err == nil {
		e := fault.Newf(fault.NoCredentials, "The account has no %s", name)
		e.Scope = fault.ScopeCredential
		f.err = e
	}
	return ""
}

// replace puts secrets in the places of their markers.
func (f *filler) replace(s string, escape func(string) string) string {
	if !strings.Contains(s, markerOpen) {
		return s
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, markerOpen)
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		marker, after, ok := strings.Cut(rest, markerClose)
		if !ok {
			f.fail("A plan has a secret marker without an end")
			return ""
		}
		name, steps, derived := strings.Cut(marker, "|")
		value := f.secret(name)
		if derived {
			value = f.derive(value, steps)
		}
		b.WriteString(escape(value))
		s = after
	}
}

func (f *filler) headerSafe(v string) string {
	if strings.ContainsAny(v, "\r\n\x00") {
		f.fail("A credential has characters that no header may have")
		return ""
	}
	return v
}

func escapeJSON(s string) string {
	q := doc.Quote(nil, s)
	return string(q[1 : len(q)-1])
}

// header sets a header, in place of any the plan had of that name.
func (f *filler) header(r *Request, name, value string) {
	value = f.headerSafe(value)
	for k := range r.Header {
		if strings.EqualFold(r.Header[k].Name, name) {
			r.Header[k].Value = value
			return
		}
	}
	r.Header = append(r.Header, abi.Header{Name: name, Value: value})
}

func addQuery(u, name, value string) string {
	base, fragment, _ := strings.Cut(u, "#")
	sep := "?"
	if strings.Contains(base, "?") {
		sep = "&"
	}
	base += sep + url.QueryEscape(name) + "=" + url.QueryEscape(value)
	if fragment != "" {
		base += "#" + fragment
	}
	return base
}

// ApplyEdits appends body with the plan's edits applied to dst. Members that
// are not edited keep their bytes.
func (p *Plan) ApplyEdits(dst, body []byte) ([]byte, error) {
	if len(p.Edits) == 0 {
		return append(dst, body...), nil
	}
	cur := body
	for k := range p.Edits {
		next, err := p.Edits[k].apply(cur)
		if err != nil {
			return dst, err
		}
		cur = next
	}
	return append(dst, cur...), nil
}

// apply returns the edited body; it may be the same slice.
func (e *Edit) apply(body []byte) ([]byte, error) {
	have, exists := doc.Get(body, e.Path...)
	switch e.Op {
	case abi.EditSet:
	case abi.EditDefault:
		if exists {
			return body, nil
		}
	case abi.EditDelete:
		return e.remove(body), nil
	case abi.EditDeleteEmpty:
		if exists && isEmpty(have) {
			return e.remove(body), nil
		}
		return body, nil
	case abi.EditRename:
		if !exists {
			return body, nil
		}
		target := append(append([]string{}, e.Path[:len(e.Path)-1]...), string(e.Value))
		out := e.remove(body)
		if _, taken := doc.Get(body, target...); taken {
			return out, nil
		}
		return e.write(out, have, target)
	}
	return e.write(body, e.Value, e.Path)
}

func (e *Edit) remove(body []byte) []byte {
	out, _ := doc.Delete(make([]byte, 0, len(body)), body, e.Path...)
	return out
}

func (e *Edit) write(body, raw []byte, path []string) ([]byte, error) {
	if err := doc.Valid(raw, doc.Options{}); err != nil {
		return nil, fault.Newf(fault.PluginTrap, "A plan sets %s to something that is not JSON", strings.Join(path, "."))
	}
	out, ok := doc.Set(make([]byte, 0, len(body)+len(raw)+64), body, raw, path...)
	if !ok {
		return nil, fault.New(fault.PluginTrap, fmt.Sprintf("A plan cannot set %s in this body", strings.Join(path, ".")))
	}
	return out, nil
}

func isEmpty(raw []byte) bool {
	s := strings.TrimSpace(string(raw))
	if len(s) < 2 || s[0] != '[' && s[0] != '{' {
		return false
	}
	return strings.TrimSpace(s[1:len(s)-1]) == ""
}
