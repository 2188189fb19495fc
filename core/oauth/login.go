package oauth

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Start is what a login begins with.
type Start struct {
	Provider string `json:"provider"`
	// Method is the id of a [Method]; "" = the provider's first.
	Method string `json:"method,omitempty"`
	// Account is the id of an account whose credential shall be replaced; "" = a new
	// account, or the one that belongs to the same person.
	Account string `json:"account,omitempty"`
	Name    string `json:"name,omitempty"`
	// Redirect is where the browser is sent to, when the caller receives it; ""
	// = a listener on the loopback, where the method has one.
	Redirect string `json:"redirect,omitempty"`
	// Paste starts no listener: the person pastes the address.
	Paste bool `json:"paste,omitempty"`
	// Fields are what the method asks for.
	Fields map[string]string `json:"fields,omitempty"`
}

// String keeps the fields, which may hold secrets, out of logs.
func (s Start) String() string { return "login at " + s.Provider }

// Phase of a login.
type Phase string

// The phases.
const (
	Pending Phase = "pending"
	Done    Phase = "done"
	Failed  Phase = "error"
)

// Login is how a login stands. It holds no secret.
type Login struct {
	ID       string `json:"id"`
	Provider string `json:"provider"`
	Method   Method `json:"method"`
	Phase    Phase  `json:"phase"`
	// AuthURL is to be opened in a browser.
	AuthURL     string `json:"auth_url,omitempty"`
	RedirectURI string `json:"redirect_uri,omitempty"`
	// Listening tells that the browser can come back to this machine, at Port.
	Listening bool `json:"listening,omitempty"`
	Port      int  `json:"port,omitempty"`
	// VerifyURL and UserCode are for another device; VerifyComplete has the code in
	// it.
	VerifyURL      string    `json:"verify_url,omitempty"`
	VerifyComplete string    `json:"verify_complete,omitempty"`
	UserCode       string    `json:"user_code,omitempty"`
	Interval       int       `json:"interval,omitempty"` // seconds
	ExpiresAt      time.Time `json:"expires_at"`
	// Account is the result.
	Account *Account `json:"account,omitempty"`
	// Code and Message tell why it failed.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Notice  string `json:"notice,omitempty"`
}

// login is one that runs, or has ended lately.
type login struct {
	want   Start
	flow   flow
	client *client
	module module
	cancel context.CancelFunc // of what runs beside
	done   chan struct{}

	mu    sync.Mutex
	view  Login
	spent bool // the state has served
	ended time.Time
}

func (l *login) end() { l.cancel() }

// spend takes the one chance to finish a login; false if it has been taken.
func (l *login) spend() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.spent
	l.spent = true
	return !was
}

func (l *login) snapshot() Login {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.view
}

// Start begins a login. An import is done when it returns; anything else goes on
// by itself until [Service.Wait], [Service.Callback] or [Service.Cancel].
func (s *Service) Start(ctx context.Context, want Start) (Login, error) {
	l, err := s.prepare(want)
	if err != nil {
		return Login{}, err
	}
	switch l.flow.method.Kind {
	case KindImport:
		g, err := l.module.take(ctx, l.client, &l.flow)
		if err != nil {
			return Login{}, err
		}
		account, err := s.opt.Save(ctx, want, g)
		if err != nil {
			return Login{}, err
		}
		l.view.Phase, l.view.Account = Done, &account
		l.ended = s.opt.Now()
		close(l.done)
		return l.view, s.keep(l)
	case KindDevice:
		err = s.startDevice(ctx, l)
	default:
		err = s.startBrowser(l)
	}
	if err != nil {
		l.end()
		return Login{}, err
	}
	if err := s.keep(l); err != nil {
		l.end()
		return Login{}, err
	}
	return l.snapshot(), nil
}

// prepare checks what was asked for.
func (s *Service) prepare(want Start) (*login, error) {
	c, m, err := s.client(want.Provider, want.Account)
	if err != nil {
		return nil, err
	}
	methods := m.methods()
	i := 0
	if want.Method != "" {
		i = slices.IndexFunc(methods, func(x Method) bool { return x.ID == want.Method || string(x.Kind) == want.Method })
		if i < 0 {
			var ids []string
			for _, x := range methods {
				ids = append(ids, x.ID)
			}
			return nil, &Error{Status: 400, Code: "invalid_method", Text: want.Provider + " has no login of this kind; it has: " + strings.Join(ids, ", ")}
		}
	}
	method := methods[i]
	for _, f := range method.Fields {
		if strings.TrimSpace(want.Fields[f.Name]) == "" && !f.Optional {
			return nil, &Error{Status: 400, Code: "missing_field", Text: "the login needs " + f.Name + " (" + f.Label + ")"}
		}
		if f.Secret {
			c.hide(want.Fields[f.Name])
		}
	}
	if c.NeedsSecret && c.ClientSecret == "" {
		return nil, &MissingSecretError{want.Provider, c.SecretEnv}
	}
	if c.Region != "" {
		if c.Server, err = c.Server.inRegion(want.Fields["region"]); err != nil {
			return nil, err
		}
	}
	l := &login{want: want, client: c, module: m, done: make(chan struct{}), cancel: func() {},
		flow: flow{method: method, state: token(), verifier: token(), fields: want.Fields}}
	c.hide(l.flow.verifier)
	l.view = Login{ID: token(), Provider: want.Provider, Method: method, Phase: Pending, ExpiresAt: s.opt.Now().Add(loginLife), Notice: Notice}
	return l, nil
}

// keep remembers a login, and forgets those of long ago.
func (s *Service) keep(l *login) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opt.Now()
	open := 0
	for id, old := range s.logins {
		old.mu.Lock()
		switch {
		case old.view.Phase == Pending && now.After(old.view.ExpiresAt.Add(time.Minute)), old.view.Phase != Pending && now.Sub(old.ended) > rememberLogin:
			delete(s.logins, id)
			old.end()
		case old.view.Phase == Pending:
			open++
		}
		old.mu.Unlock()
	}
	if s.closed || open >= maxLogins {
		return ErrTooMany
	}
	s.logins[l.view.ID] = l
	return nil
}

func (s *Service) find(id string) (*login, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.logins[id]
	if l == nil {
		return nil, ErrNoLogin
	}
	return l, nil
}

// Login tells how a login stands.
func (s *Service) Login(id string) (Login, error) {
	l, err := s.find(id)
	if err != nil {
		return Login{}, err
	}
	s.expire(l)
	return l.snapshot(), nil
}

// Wait waits until a login is done or has failed, or ctx ends.
func (s *Service) Wait(ctx context.Context, id string) (Login, error) {
	l, err := s.find(id)
	if err != nil {
		return Login{}, err
	}
	select {
	case <-l.done:
	case <-ctx.Done():
		s.expire(l)
	}
	return l.snapshot(), nil
}

// Cancel ends a login.
func (s *Service) Cancel(id string) error {
	l, err := s.find(id)
	if err != nil {
		return err
	}
	if !s.lapse(l, &Error{Code: "cancelled", Text: "the login was cancelled"}) {
		return &Error{Status: 409, Code: "already_used", Text: "this login has been finished already"}
	}
	return nil
}

// lapse fails a login unless its answer has come already.
func (s *Service) lapse(l *login, err *Error) bool {
	l.mu.Lock()
	open := l.view.Phase == Pending && !l.spent
	l.spent = l.spent || open
	l.mu.Unlock()
	if open {
		s.finish(l, nil, err)
	}
	return open
}

// expire fails a login whose time is over.
func (s *Service) expire(l *login) {
	if s.opt.Now().After(l.snapshot().ExpiresAt) {
		s.lapse(l, &Error{Code: codeExpired, Text: "the login took too long; start another"})
	}
}

// finish ends a login with an account or an error; the first end counts.
func (s *Service) finish(l *login, account *Account, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.view.Phase != Pending {
		return
	}
	l.spent, l.ended = true, s.opt.Now()
	l.view.Phase, l.view.Account = Done, account
	if err != nil {
		l.view.Phase, l.view.Message = Failed, l.client.clean(err.Error())
		var e *Error
		if errors.As(err, &e) {
			l.view.Code = e.Code
		}
		s.opt.Log.LogAttrs(s.ctx, slog.LevelWarn, "a login failed", slog.String("provider", l.want.Provider), slog.String("error", l.view.Message))
	}
	l.flow = flow{method: l.flow.method} // nothing of it is needed any more
	close(l.done)
	l.end()
}

// save stores a grant, also when whoever waits has gone.
func (s *Service) save(ctx context.Context, l *login, g *Grant) (*Account, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	a, err := s.opt.Save(ctx, l.want, g)
	if err != nil {
		return nil, err
	}
	return &a, nil
}

// Callback finishes a login with what the browser came back with: the whole
// address, "code#state", or the code alone. A state that is not that of the login
// is refused and leaves the login as it was; a state serves once.
func (s *Service) Callback(ctx context.Context, id, answer string) (Login, error) {
	l, err := s.find(id)
	if err != nil {
		return Login{}, err
	}
	s.expire(l)
	q, err := readAnswer(answer)
	if err != nil {
		return l.snapshot(), err
	}
	if err := s.redeem(ctx, l, q, false); err != nil {
		return l.snapshot(), err
	}
	return l.snapshot(), nil
}

// answer is what came back from the browser.
type answer struct{ path, code, state, failure, text string }

// readAnswer reads an address, or what people copy out of one.
func readAnswer(s string) (answer, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return answer{}, &Error{Status: 400, Code: "missing_code", Text: "paste the address that the browser ended on"}
	}
	if !strings.Contains(s, "://") && !strings.Contains(s, "code=") && !strings.Contains(s, "error=") {
		code, state, _ := strings.Cut(s, "#")
		return answer{code: code, state: state}, nil
	}
	if !strings.Contains(s, "://") && !strings.Contains(s, "?") {
		s = "?" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return answer{}, &Error{Status: 400, Code: "missing_code", Text: "this is no address that the browser can have ended on"}
	}
	return answerOf(u)
}

func answerOf(u *url.URL) (answer, error) {
	q := u.Query()
	a := answer{path: u.Path, code: q.Get("code"), state: q.Get("state"), failure: q.Get("error"), text: q.Get("error_description")}
	if code, state, ok := strings.Cut(a.code, "#"); ok {
		a.code, a.state = code, state
	}
	if code, state, ok := strings.Cut(u.Fragment, "="); a.state == "" && ok && code == "state" {
		a.state = state
	}
	if a.code == "" && a.failure == "" {
		return a, &Error{Status: 400, Code: "missing_code", Text: "the address holds no code"}
	}
	return a, nil
}

// redeem exchanges a code. fromBrowser answers have to prove that they belong to
// the login; a person who pastes a bare code does so by pasting.
func (s *Service) redeem(ctx context.Context, l *login, a answer, fromBrowser bool) error {
	if !s.enter() {
		return ErrNoLogin
	}
	defer s.work.Done()
	l.mu.Lock()
	if l.spent || l.view.Phase != Pending {
		l.mu.Unlock()
		return &Error{Status: 409, Code: "already_used", Text: "this login has been finished already"}
	}
	bound := a.state
	if inPath(l.want.Provider) && bound == "" {
		bound = a.path[strings.LastIndexByte(a.path, '/')+1:]
	}
	if (bound != "" || fromBrowser) && !same(bound, l.flow.state) {
		l.mu.Unlock()
		return &Error{Status: 400, Code: "invalid_state", Text: "the answer belongs to another login"}
	}
	if l.flow.method.Kind != KindBrowser {
		l.mu.Unlock()
		return &Error{Status: 400, Code: "invalid_method", Text: "this login takes no code"}
	}
	l.spent = true
	flow := l.flow
	l.mu.Unlock()
	if a.failure != "" {
		err := &Error{Code: a.failure, Text: l.client.clean(a.text)}
		s.finish(l, nil, err)
		return err
	}
	l.client.hide(a.code)
	g, err := l.module.exchange(context.WithoutCancel(ctx), l.client, &flow, a.code)
	var account *Account
	if err == nil {
		account, err = s.save(ctx, l, g)
	}
	s.finish(l, account, err)
	return err
}

// inPath reports providers that send no state back.
func inPath(provider string) bool { return provider == "cline" }

// startDevice asks for a code and polls beside the caller.
func (s *Service) startDevice(ctx context.Context, l *login) error {
	if err := l.module.device(ctx, l.client, &l.flow); err != nil {
		return err
	}
	d := &l.flow.dev
	if d.life <= 0 {
		d.life = deviceLife
	}
	d.life = min(d.life, maxDeviceLife)
	if d.interval <= 0 {
		d.interval = pollInterval
	}
	d.interval = min(d.interval, pollLongest)
	l.view.VerifyURL, l.view.VerifyComplete, l.view.UserCode = d.verify, d.complete, d.user
	l.view.Interval = int(d.interval / time.Second)
	l.view.ExpiresAt = s.opt.Now().Add(d.life)
	polling, cancel := context.WithCancel(s.ctx)
	l.cancel = cancel
	flow := l.flow
	s.work.Go(func() { s.poll(polling, l, flow) })
	return nil
}

// poll asks until the person is done, the code has expired, or the login is
// cancelled (RFC 8628, section 3.5).
func (s *Service) poll(ctx context.Context, l *login, flow flow) {
	interval := flow.dev.interval
	for {
		if s.opt.Sleep(ctx, interval) != nil {
			s.lapse(l, &Error{Code: "cancelled", Text: "the login was cancelled"})
			return
		}
		if s.opt.Now().After(l.snapshot().ExpiresAt) {
			s.lapse(l, &Error{Code: codeExpired, Text: "nobody entered the code in time; start another login"})
			return
		}
		g, err := l.module.poll(ctx, l.client, &flow)
		var e *Error
		switch {
		case err == nil && !l.spend():
			return // cancelled meanwhile
		case err == nil:
			account, err := s.save(ctx, l, g)
			s.finish(l, account, err)
			return
		case !errors.As(err, &e), e.Status >= 500: // the way is bad; the code still good
			interval = min(interval*2, pollLongest)
		case strings.EqualFold(e.Code, codePending), e.Code == "AuthorizationPendingException":
		case e.Code == codeSlowDown, e.Code == "SlowDownException", e.Status == 429:
			interval = min(interval+pollSlower, pollLongest)
		default:
			s.finish(l, nil, explained(e))
			return
		}
	}
}

// explained gives the usual ends of a device login words of their own.
func explained(e *Error) *Error {
	switch e.Code {
	case codeExpired, "ExpiredTokenException":
		return &Error{Status: e.Status, Code: codeExpired, Text: "the code has expired; start another login"}
	case codeDenied, "AccessDeniedException":
		return &Error{Status: e.Status, Code: codeDenied, Text: "the login was denied"}
	}
	return e
}

// startBrowser makes the address to open and, unless told otherwise, listens for
// the browser to come back.
func (s *Service) startBrowser(l *login) error {
	redirect := l.client.Redirect
	switch {
	case l.want.Redirect != "":
		redirect = l.want.Redirect
	case strings.HasPrefix(redirect, "http://localhost"):
		var err error
		if redirect, err = s.loopback(l, redirect); err != nil {
			return err
		}
	}
	if inPath(l.want.Provider) {
		redirect = strings.TrimRight(redirect, "/") + "/" + l.flow.state
	}
	l.flow.redirect = redirect
	l.view.RedirectURI = redirect
	l.view.AuthURL = l.module.authorize(l.client, &l.flow)
	return nil
}

// defaultPort is that of a redirect nobody listens at.
const defaultPort = 8080

// loopback opens the listener of a redirect address and returns the address with
// its port. Where it cannot be opened, the person pastes.
func (s *Service) loopback(l *login, redirect string) (string, error) {
	free := strings.Contains(redirect, "{port}")
	addr := "127.0.0.1:0"
	if !free {
		u, err := url.Parse(redirect)
		if err != nil {
			return "", err
		}
		addr = net.JoinHostPort("127.0.0.1", u.Port())
	}
	port := defaultPort
	if !l.want.Paste {
		ln, err := s.opt.Listen(addr)
		switch {
		case err == nil:
			port = ln.Addr().(*net.TCPAddr).Port
			l.view.Listening = true
			s.receive(l, ln)
		default:
			s.opt.Log.LogAttrs(s.ctx, slog.LevelInfo, "nothing listens for the browser to come back; its address has to be pasted", slog.Any("error", err))
		}
	}
	if free {
		redirect = strings.ReplaceAll(redirect, "{port}", strconv.Itoa(port))
	} else if _, p, err := net.SplitHostPort(addr); err == nil {
		port, _ = strconv.Atoi(p)
	}
	l.view.Port = port
	return redirect, nil
}
