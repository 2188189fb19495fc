package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	json "github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/state"
)

// Scopes of sessions and tokens.
const (
	ScopeRead  = "read"
	ScopeAdmin = "admin"
)

// How long things live.
const (
	idleTimeout  = 24 * time.Hour
	maxLifetime  = 30 * 24 * time.Hour
	setupTimeout = 30 * time.Minute
	touchEvery   = time.Minute // how often the last use is written down
	confirmFresh = 5 * time.Minute
	// parallelHashes bounds the memory of password hashing.
	parallelHashes = 2
)

// Kinds of failures that lock an address out.
const (
	EventLogin = "login" // a wrong password
	EventSetup = "setup" // a wrong setup token
	EventToken = "token" // a wrong admin token
)

// Lockout counts failures; the rules are the operator's policy.
type Lockout interface {
	// Locked tells how long an address must wait yet before it may try; 0 = now.
	Locked(ip netip.Addr) time.Duration
	// Failed counts a failure and Succeeded forgets earlier ones.
	Failed(ip netip.Addr, event string)
	Succeeded(ip netip.Addr, event string)
}

// Options of Open.
type Options struct {
	// Secret signs session cookies; at least 32 bytes.
	Secret []byte
	// InitialPassword becomes the password of a gateway that has none, and is ignored from then on.
	InitialPassword string
	Lockout         Lockout
	// Now is the clock; nil = time.Now.
	Now func() time.Time
	// OnError is told of writes that failed beside a request; nil drops them.
	OnError func(error)

	// Cost of password hashes; zero = 64 MiB and 3 passes. Less is for tests.
	Cost Cost
}

// Client describes who knocks.
type Client struct {
	IP        netip.Addr
	UserAgent string
}

// Identity is who administers.
type Identity struct {
	Subject string   `json:"user"` // "admin", or the name of a token
	Kind    string   `json:"kind"` // session | token | open | local
	ID      string   `json:"id"`   // of the session or token
	Scopes  []string `json:"scopes"`
	// Confirmed is when the password was last typed; zero for a token.
	Confirmed time.Time `json:"confirmed,omitzero"`
}

// May tells whether the identity has a scope; admin includes read.
func (i *Identity) May(scope string) bool {
	return i != nil && (slices.Contains(i.Scopes, scope) || slices.Contains(i.Scopes, ScopeAdmin))
}

// Session is one browser that logged in.
type Session struct {
	ID        string    `json:"id"`
	Created   time.Time `json:"createdAt"`
	LastUsed  time.Time `json:"lastUsedAt"`
	Expires   time.Time `json:"expiresAt"` // at the latest
	IP        string    `json:"ip"`
	UserAgent string    `json:"userAgent"`
	Scopes    []string  `json:"scopes"`
	Confirmed time.Time `json:"confirmedAt"` // when the password was typed
	Epoch     int64     `json:"epoch"`
}

// IdleExpires is when the session ends if it is not used.
func (s *Session) IdleExpires() time.Time {
	if t := s.LastUsed.Add(idleTimeout); t.Before(s.Expires) {
		return t
	}
	return s.Expires
}

// Token is a credential for scripts.
type Token struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Scopes   []string  `json:"scopes"`
	Hash     string    `json:"hash"` // SHA-256 of the secret, in hex
	Created  time.Time `json:"createdAt"`
	Expires  time.Time `json:"expiresAt,omitzero"` // zero = never
	LastUsed time.Time `json:"lastUsedAt,omitzero"`
}

// login is the stored record about the operator.
type login struct {
	Hash         string `json:"hash,omitempty"`
	Epoch        int64  `json:"epoch"`
	RequireLogin bool   `json:"require_login"`
}

// Service holds everything about access in memory and writes every change through to the store.
type Service struct {
	store state.Store
	opt   Options
	now   func() time.Time
	slots chan struct{} // password hashes being computed

	mu       sync.Mutex
	login    login
	sessions map[string]*Session
	tokens   map[string]*Token
	setup    [sha256.Size]byte // of the setup token
	setupEnd time.Time         // zero = there is none
}

var keyLogin = state.Key("adm", "login")

// Open reads what is stored.
func Open(ctx context.Context, store state.Store, opt Options) (*Service, error) {
	if len(opt.Secret) < 32 {
		return nil, errors.New("access: the signing secret needs 32 bytes")
	}
	s := &Service{
		store: store, opt: opt, now: opt.Now, slots: make(chan struct{}, parallelHashes),
		login: login{RequireLogin: true}, sessions: map[string]*Session{}, tokens: map[string]*Token{},
	}
	if s.now == nil {
		s.now = time.Now
	}
	if opt.Cost == (Cost{}) {
		s.opt.Cost = usualCost
	}
	data, err := store.Get(ctx, keyLogin)
	switch {
	case errors.Is(err, state.ErrNotFound):
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(data, &s.login); err != nil {
			return nil, err
		}
	}
	if err := load(ctx, store, state.Prefix("adm/sess"), func(v *Session) { s.sessions[v.ID] = v }); err != nil {
		return nil, err
	}
	if err := load(ctx, store, state.Prefix("adm/tok"), func(v *Token) { s.tokens[v.ID] = v }); err != nil {
		return nil, err
	}
	if s.login.Hash == "" && opt.InitialPassword != "" {
		if err := s.setPassword(ctx, opt.InitialPassword, true); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func load[T any](ctx context.Context, store state.Store, prefix string, add func(*T)) error {
	return store.Scan(ctx, state.Query{Prefix: prefix}, func(e state.Entry) error {
		v := new(T)
		if err := json.Unmarshal(e.Value, v); err != nil {
			return err
		}
		add(v)
		return nil
	})
}

// HasPassword tells whether the operator has set one.
func (s *Service) HasPassword() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.login.Hash != ""
}

// RequireLogin tells whether the dashboard asks for a login at all.
func (s *Service) RequireLogin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.login.RequireLogin
}

// SetRequireLogin switches the login of the dashboard on or off.
func (s *Service) SetRequireLogin(ctx context.Context, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.login
	next.RequireLogin = on
	return s.saveLogin(ctx, next)
}

// saveLogin must be called with mu held.
func (s *Service) saveLogin(ctx context.Context, next login) error {
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := durable(ctx, s.store, keyLogin, data, 0); err != nil {
		return err
	}
	s.login = next
	return nil
}

func durable(ctx context.Context, store state.Store, key string, value []byte, ttl time.Duration) error {
	b := state.Batch{Durable: true}
	b.Put(key, value, ttl)
	if err := store.Apply(ctx, &b); err != nil {
		return fault.Wrap(fault.Database, err)
	}
	return nil
}

// setPassword stores a new hash and ends all sessions. first refuses to replace a password.
func (s *Service) setPassword(ctx context.Context, password string, first bool) error {
	hashed, err := s.hash(ctx, password)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first && s.login.Hash != "" {
		return fault.New(fault.Conflict, "A password has been set already; log in with it")
	}
	next := s.login
	next.Hash, next.Epoch = hashed, next.Epoch+1
	if err := s.saveLogin(ctx, next); err != nil {
		return err
	}
	s.setupEnd = time.Time{}
	return s.dropSessions(ctx)
}

// dropSessions ends every session; mu is held.
func (s *Service) dropSessions(ctx context.Context) error {
	b := state.Batch{Durable: true}
	for id := range s.sessions {
		b.Delete(state.Key("adm/sess", id))
	}
	clear(s.sessions)
	if b.Len() == 0 {
		return nil
	}
	return s.store.Apply(ctx, &b)
}

// hash computes a password hash when one of the few slots is free.
func (s *Service) hash(ctx context.Context, password string) (string, error) {
	if err := s.slot(ctx); err != nil {
		return "", err
	}
	defer func() { <-s.slots }()
	return s.opt.Cost.hash(password)
}

func (s *Service) slot(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// SetupToken makes the one-time token of a gateway without a password; "" if it has one. An earlier token ends.
func (s *Service) SetupToken() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.login.Hash != "" {
		return "", nil
	}
	token := rand.Text()
	s.setup, s.setupEnd = sha256.Sum256([]byte(token)), s.now().Add(setupTimeout)
	return token, nil
}

// Setup sets the first password and logs in. token is the one-time token; a person at the machine itself (local)
// needs none. Errors: 401 for a wrong or old token, 409 when there is a password, 423 while locked.
func (s *Service) Setup(ctx context.Context, token, password string, local bool, c Client) (cookie string, _ *Session, err error) {
	if err := s.locked(c); err != nil {
		return "", nil, err
	}
	if s.HasPassword() {
		return "", nil, fault.New(fault.Conflict, "A password has been set already; log in with it")
	}
	if !local && !s.IsSetup(token) {
		s.opt.Lockout.Failed(c.IP, EventSetup)
		return "", nil, fault.New(fault.InvalidKey, "The setup link is wrong, was used, or has expired; restart the gateway for a new one")
	}
	if err := checkNew(password); err != nil {
		return "", nil, err
	}
	if err := s.setPassword(ctx, password, true); err != nil {
		return "", nil, err
	}
	return s.open(ctx, c)
}

// IsSetup tells whether token is the valid setup token.
func (s *Service) IsSetup(token string) bool {
	sum := sha256.Sum256([]byte(token))
	s.mu.Lock()
	defer s.mu.Unlock()
	return subtle.ConstantTimeCompare(sum[:], s.setup[:]) == 1 && s.now().Before(s.setupEnd)
}

func (s *Service) locked(c Client) error {
	wait := s.opt.Lockout.Locked(c.IP)
	if wait <= 0 {
		return nil
	}
	e := fault.New(fault.AccountLocked, "Too many failed attempts; try again later")
	e.RetryAfter = wait
	return e
}

// Login compares the password and opens a session. Errors: 401, 403 SETUP_REQUIRED while there is no password, 423
// with RetryAfter while the address is locked out.
func (s *Service) Login(ctx context.Context, password string, c Client) (cookie string, _ *Session, err error) {
	if err := s.Check(ctx, password, c); err != nil {
		return "", nil, err
	}
	return s.open(ctx, c)
}

// Check compares the password, counting failures; for actions that want it typed again.
func (s *Service) Check(ctx context.Context, password string, c Client) error {
	if err := s.locked(c); err != nil {
		return err
	}
	s.mu.Lock()
	hashed := s.login.Hash
	s.mu.Unlock()
	missing := hashed == ""
	if missing {
		hashed = s.opt.Cost.decoy()
	}
	if err := s.slot(ctx); err != nil {
		return err
	}
	ok, stale, err := s.opt.Cost.matches(hashed, password)
	<-s.slots
	switch {
	case err != nil:
		return fault.Wrap(fault.Internal, err)
	case missing:
		return fault.New(fault.SetupRequired, "No password is set yet: open the setup link that the gateway printed at its start")
	case !ok:
		s.opt.Lockout.Failed(c.IP, EventLogin)
		return fault.New(fault.InvalidKey, "Invalid password")
	}
	s.opt.Lockout.Succeeded(c.IP, EventLogin)
	if stale {
		return s.rehash(ctx, hashed, password)
	}
	return nil
}

// rehash replaces a hash of an older kind without ending sessions.
func (s *Service) rehash(ctx context.Context, old, password string) error {
	hashed, err := s.hash(ctx, password)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.login.Hash != old {
		return nil
	}
	next := s.login
	next.Hash = hashed
	return s.saveLogin(ctx, next)
}

// ChangePassword replaces the password, ends every session and opens a new one for the caller.
func (s *Service) ChangePassword(ctx context.Context, current, password string, c Client) (cookie string, _ *Session, err error) {
	if err := s.Check(ctx, current, c); err != nil {
		return "", nil, err
	}
	if err := checkNew(password); err != nil {
		return "", nil, err
	}
	if err := s.setPassword(ctx, password, false); err != nil {
		return "", nil, err
	}
	return s.open(ctx, c)
}

// ResetPassword sets a password without knowing the old one; for the person who owns the data directory.
func (s *Service) ResetPassword(ctx context.Context, password string) error {
	if err := checkNew(password); err != nil {
		return err
	}
	return s.setPassword(ctx, password, false)
}

// Confirm notes in the session that its person has just typed the password.
func (s *Service) Confirm(ctx context.Context, id, password string, c Client) error {
	if err := s.Check(ctx, password, c); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.sessions[id]
	if !ok {
		return fault.New(fault.AuthRequired)
	}
	v.Confirmed = s.now()
	return s.saveSession(ctx, v)
}

// Confirmed tells whether the password was typed within the last minutes, as dangerous actions want it.
func (s *Service) Confirmed(who *Identity) bool {
	return who != nil && s.now().Sub(who.Confirmed) < confirmFresh
}

func newSecret() (secret, sum string) {
	secret = rand.Text() + rand.Text()
	h := sha256.Sum256([]byte(secret))
	return secret, hex.EncodeToString(h[:])
}
