package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	json "github.com/goccy/go-json"
	"github.com/golang-jwt/jwt/v5"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/state"
)

const (
	maxSessions = 1000
	maxTokens   = 1000
	tokenPrefix = "omr_"
	adminName   = "admin"
)

// claims of the cookie.
type claims struct {
	Authenticated bool     `json:"authenticated"`
	SID           string   `json:"sid"`
	Scopes        []string `json:"scp"`
	Epoch         int64    `json:"ep"`
	jwt.RegisteredClaims
}

// open makes a session and its cookie.
func (s *Service) open(ctx context.Context, c Client) (string, *Session, error) {
	now := s.now()
	v := &Session{
		ID: rand.Text(), Created: now, LastUsed: now, Expires: now.Add(maxLifetime), Confirmed: now,
		IP: c.IP.String(), UserAgent: cut(c.UserAgent, 200), Scopes: []string{ScopeAdmin},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v.Epoch = s.login.Epoch
	s.evict()
	if err := s.saveSession(ctx, v); err != nil {
		return "", nil, err
	}
	s.sessions[v.ID] = v
	cookie, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		Authenticated: true, SID: v.ID, Scopes: v.Scopes, Epoch: v.Epoch,
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: adminName, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(v.Expires),
		},
	}).SignedString(s.opt.Secret)
	if err != nil {
		return "", nil, err
	}
	return cookie, clone(v), nil
}

func cut(text string, n int) string {
	if len(text) > n {
		text = strings.ToValidUTF8(text[:n], "")
	}
	return text
}

func clone(v *Session) *Session {
	c := *v
	return &c
}

// evict drops what has expired, and the session unused for longest when there are too many; mu is held. The store
// drops them by their ttl.
func (s *Service) evict() {
	now := s.now()
	var oldest *Session
	for id, v := range s.sessions {
		if !now.Before(v.IdleExpires()) {
			delete(s.sessions, id)
		} else if oldest == nil || v.LastUsed.Before(oldest.LastUsed) {
			oldest = v
		}
	}
	if len(s.sessions) >= maxSessions {
		delete(s.sessions, oldest.ID)
	}
}

// saveSession writes a session; mu is held.
func (s *Service) saveSession(ctx context.Context, v *Session) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return durable(ctx, s.store, state.Key("adm/sess", v.ID), data, v.IdleExpires().Sub(s.now()))
}

// Session tells who a cookie belongs to. Errors: 401 for one that is forged, has expired or was ended.
func (s *Service) Session(ctx context.Context, cookie string) (*Identity, error) {
	var c claims
	_, err := jwt.ParseWithClaims(cookie, &c, func(*jwt.Token) (any, error) { return s.opt.Secret, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithTimeFunc(s.now))
	if err != nil {
		return nil, fault.New(fault.AuthRequired)
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.sessions[c.SID]
	if !ok || v.Epoch != s.login.Epoch || c.Epoch != v.Epoch || !now.Before(v.IdleExpires()) {
		return nil, fault.New(fault.KeyExpired, "The session has ended; log in again")
	}
	if now.Sub(v.LastUsed) >= touchEvery {
		v.LastUsed = now
		if err := s.saveSession(ctx, v); err != nil && s.opt.OnError != nil {
			s.opt.OnError(err) // the session itself is good
		}
	}
	return &Identity{Subject: adminName, Kind: "session", ID: v.ID, Scopes: v.Scopes, Confirmed: v.Confirmed}, nil
}

// Find returns a session by id.
func (s *Service) Find(id string) (*Session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.sessions[id]
	if !ok {
		return nil, false
	}
	return clone(v), true
}

// Sessions lists who is logged in, the latest use first.
func (s *Service) Sessions() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	list := []*Session{}
	for _, v := range s.sessions {
		if now.Before(v.IdleExpires()) {
			list = append(list, clone(v))
		}
	}
	slices.SortFunc(list, func(a, b *Session) int {
		return cmp.Or(b.LastUsed.Compare(a.LastUsed), strings.Compare(a.ID, b.ID))
	})
	return list
}

// EndSession logs one session out; it reports whether there was one.
func (s *Service) EndSession(ctx context.Context, id string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.sessions[id]; !ok {
		return false, nil
	}
	b := state.Batch{Durable: true}
	b.Delete(state.Key("adm/sess", id))
	if err := s.store.Apply(ctx, &b); err != nil {
		return false, fault.Wrap(fault.Database, err)
	}
	delete(s.sessions, id)
	return true, nil
}

// CreateToken makes a token; its secret is returned once. expires zero = never.
func (s *Service) CreateToken(ctx context.Context, name string, scopes []string, expires time.Time) (string, *Token, error) {
	switch {
	case strings.TrimSpace(name) == "" || len(name) > 100:
		return "", nil, fault.New(fault.InvalidBody, "A token needs a name of at most 100 bytes")
	case len(scopes) == 0:
		return "", nil, fault.New(fault.InvalidBody, "A token needs at least one scope: read or admin")
	case !expires.IsZero() && !expires.After(s.now()):
		return "", nil, fault.New(fault.InvalidBody, "expiresAt lies in the past")
	}
	for _, scope := range scopes {
		if scope != ScopeRead && scope != ScopeAdmin {
			return "", nil, fault.Newf(fault.InvalidBody, "There is no scope %q; scopes are read and admin", scope)
		}
	}
	secret, sum := newSecret()
	v := &Token{ID: strings.ToLower(rand.Text()[:12]), Name: name, Scopes: slices.Clone(scopes), Hash: sum, Created: s.now(), Expires: expires}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tokens) >= maxTokens {
		return "", nil, fault.Newf(fault.Conflict, "There are %d tokens already; remove some", maxTokens)
	}
	for _, t := range s.tokens {
		if t.Name == name {
			return "", nil, fault.Newf(fault.Conflict, "A token is called %q already", name)
		}
	}
	if err := s.saveToken(ctx, v); err != nil {
		return "", nil, err
	}
	s.tokens[v.ID] = v
	public := *v
	return tokenPrefix + v.ID + "_" + secret, &public, nil
}

// saveToken writes a token; mu is held.
func (s *Service) saveToken(ctx context.Context, v *Token) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return durable(ctx, s.store, state.Key("adm/tok", v.ID), data, 0)
}

// IsToken tells whether a bearer credential has the form of an admin token.
func IsToken(secret string) bool { return strings.HasPrefix(secret, tokenPrefix) }

// Token tells who a bearer token belongs to. Errors: 401 for one that is unknown or has expired, 423 while the
// address is locked out.
func (s *Service) Token(ctx context.Context, secret string, c Client) (*Identity, error) {
	if err := s.locked(c); err != nil {
		return nil, err
	}
	rest, _ := strings.CutPrefix(secret, tokenPrefix)
	id, secret, _ := strings.Cut(rest, "_")
	sum := sha256.Sum256([]byte(secret))
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	t, ok := s.tokens[id]
	if !ok || subtle.ConstantTimeCompare([]byte(t.Hash), []byte(hex.EncodeToString(sum[:]))) != 1 {
		s.opt.Lockout.Failed(c.IP, EventToken)
		return nil, fault.New(fault.InvalidKey, "Invalid admin token")
	}
	if !t.Expires.IsZero() && !now.Before(t.Expires) {
		return nil, fault.New(fault.KeyExpired, "The admin token has expired")
	}
	if now.Sub(t.LastUsed) >= touchEvery {
		t.LastUsed = now
		if err := s.saveToken(ctx, t); err != nil && s.opt.OnError != nil {
			s.opt.OnError(err)
		}
	}
	return &Identity{Subject: t.Name, Kind: "token", ID: t.ID, Scopes: t.Scopes}, nil
}

// Tokens lists the tokens by name, without anything that could be used as one.
func (s *Service) Tokens() []Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Token, 0, len(s.tokens))
	for _, t := range s.tokens {
		v := *t
		v.Hash = ""
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b Token) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// RemoveToken ends a token; it reports whether there was one.
func (s *Service) RemoveToken(ctx context.Context, id string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.tokens[id]; !ok {
		return false, nil
	}
	b := state.Batch{Durable: true}
	b.Delete(state.Key("adm/tok", id))
	if err := s.store.Apply(ctx, &b); err != nil {
		return false, fault.Wrap(fault.Database, err)
	}
	delete(s.tokens, id)
	return true, nil
}
