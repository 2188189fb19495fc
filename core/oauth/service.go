package oauth

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Times of logins.
const (
	loginLife     = 5 * time.Minute // of one with a browser
	maxDeviceLife = 15 * time.Minute
	deviceLife    = 10 * time.Minute // if the server does not say
	pollInterval  = 5 * time.Second  // RFC 8628, section 3.2
	pollSlower    = 5 * time.Second  // added at slow_down
	pollLongest   = 30 * time.Second
	rememberLogin = 10 * time.Minute // how long a finished login can be asked for
	saveTimeout   = 15 * time.Second
	maxLogins     = 64 // that are open at once
)

// Errors of this package.
var (
	// ErrNoModule says that nobody can log in at a provider here.
	ErrNoModule = errors.New("oauth: accounts of this provider have no login; add one with an API key")
	// ErrNoLogin says that there is no such login, or none any more.
	ErrNoLogin = errors.New("oauth: there is no such login any more; start another")
	// ErrNotRenewable says that credentials of a provider cannot be renewed.
	ErrNotRenewable = errors.New("oauth: credentials of this provider cannot be renewed")
	// ErrTooMany says that too many logins are open.
	ErrTooMany = errors.New("oauth: too many logins are open; finish or cancel one")

	errPending = &Error{Status: 400, Code: codePending}
	errLocal   = &Error{Status: 403, Code: "local_import_off", Text: "reading the logins of other programs is off; oauth.local_import allows it"}
)

// Codes of device logins (RFC 8628, section 3.5).
const (
	codePending  = "authorization_pending"
	codeSlowDown = "slow_down"
	codeExpired  = "expired_token"
	codeDenied   = "access_denied"
)

// MissingSecretError says that the operator has to supply a client secret.
type MissingSecretError struct{ Provider, Env string }

// Error implements error.
func (e *MissingSecretError) Error() string {
	return "the login at " + e.Provider + " needs a client secret, which is not part of this program: set " + e.Env +
		" in the environment or oauth." + e.Provider + ".client_secret in the configuration"
}

// Account is a stored account, as logins tell of it.
type Account struct {
	ID       string `json:"id"`
	Provider string `json:"provider"`
	Name     string `json:"name"`
	Email    string `json:"email,omitempty"`
}

// Options of a Service.
type Options struct {
	// Server finds what is known of a provider; ok is false if it does not exist.
	Server func(provider string) (s Server, ok bool)
	// Send performs the requests of a provider. account is the id of the account
	// they are for, "" while there is none.
	Send func(ctx context.Context, provider, account string, r *Request) (*Response, error)
	// Save makes an account of a grant, or renews the credential of the account with
	// the id in want.
	Save func(ctx context.Context, want Start, g *Grant) (Account, error)

	Now    func() time.Time                                 // nil = time.Now
	Sleep  func(ctx context.Context, d time.Duration) error // nil = a timer
	Listen func(addr string) (net.Listener, error)          // nil = TCP
	Log    *slog.Logger                                     // nil = none
}

// Service runs logins and renewals.
type Service struct {
	opt  Options
	ctx  context.Context
	stop context.CancelFunc
	work sync.WaitGroup

	mu     sync.Mutex
	logins map[string]*login
	closed bool
}

// New makes a service. Close it.
func New(opt Options) *Service {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Sleep == nil {
		opt.Sleep = sleep
	}
	if opt.Listen == nil {
		opt.Listen = func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{opt: opt, logins: map[string]*login{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends all logins.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	for _, l := range s.logins {
		l.end()
	}
	s.mu.Unlock()
	s.stop()
	s.work.Wait()
}

// enter counts work that Close waits for; false if it is too late to begin any.
func (s *Service) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Add(1)
	return true
}

// client for a provider, for an account or none.
func (s *Service) client(provider, account string) (*client, module, error) {
	m := moduleOf(provider)
	if m == nil {
		return nil, nil, ErrNoModule
	}
	server, ok := s.opt.Server(provider)
	if !ok {
		return nil, nil, ErrNoModule
	}
	c := &client{Server: server, now: s.opt.Now, sleep: s.opt.Sleep, send: func(ctx context.Context, r *Request) (*Response, error) {
		return s.opt.Send(ctx, provider, account, r)
	}}
	c.hide(server.ClientSecret)
	return c, m, nil
}

// Refresh renews a credential, once. What is empty in the grant stays as it is. An
// *Error that is Final says that only a new login helps; ErrNotRenewable that the
// provider renews none.
func (s *Service) Refresh(ctx context.Context, provider, account string, old *Credential) (*Grant, error) {
	c, m, err := s.client(provider, account)
	if err != nil {
		return nil, err
	}
	if c.Region != "" {
		if c.Server, err = c.Server.inRegion(old.Data["region"]); err != nil {
			return nil, err
		}
	}
	c.hide(old.Access, old.Refresh, old.ID, old.APIKey)
	for _, v := range old.Extra {
		c.hide(v)
	}
	return m.refresh(ctx, c, old)
}
