package access

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/state"
)

// counting locks an address out after a number of failures.
type counting struct {
	mu    sync.Mutex
	limit int
	fails map[string]int
}

func (c *counting) Locked(ip netip.Addr) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fails[ip.String()] >= c.limit {
		return 15 * time.Minute
	}
	return 0
}

func (c *counting) Failed(ip netip.Addr, _ string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fails[ip.String()]++
}

func (c *counting) Succeeded(ip netip.Addr, _ string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.fails, ip.String())
}

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

var someone = Client{IP: netip.MustParseAddr("203.0.113.7"), UserAgent: "test"}

const good = "correct horse battery"

func open(t *testing.T, store state.Store, c *clock, initial string) *Service {
	t.Helper()
	s, err := Open(t.Context(), store, Options{
		Secret: []byte("0123456789abcdef0123456789abcdef"), InitialPassword: initial, Now: c.now, Cost: Cost{Memory: 64, Passes: 1},
		Lockout: &counting{limit: 5, fails: map[string]int{}},
	})
	require.NoError(t, err)
	return s
}

func code(t *testing.T, err error) fault.Code {
	t.Helper()
	e := fault.As(err)
	require.NotNil(t, e, "%v", err)
	return e.Code
}

func TestSetupOnceAndLogin(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	store := state.NewMemory(c.now)
	s := open(t, store, c, "")
	_, _, err := s.Login(t.Context(), good, someone)
	require.Equal(t, fault.SetupRequired, code(t, err))

	token, err := s.SetupToken()
	require.NoError(t, err)
	_, _, err = s.Setup(t.Context(), "wrong", good, false, someone)
	require.Equal(t, fault.InvalidKey, code(t, err))
	_, _, err = s.Setup(t.Context(), token, "short", false, someone)
	require.Equal(t, fault.InvalidBody, code(t, err))
	cookie, session, err := s.Setup(t.Context(), token, good, false, someone)
	require.NoError(t, err)
	require.Equal(t, c.t, session.Created)
	who, err := s.Session(t.Context(), cookie)
	require.NoError(t, err)
	require.True(t, who.May(ScopeRead))
	_, _, err = s.Setup(t.Context(), token, good, false, someone)
	require.Equal(t, fault.Conflict, code(t, err))

	again := open(t, store, c, "ignored-because-there-is-one") // a restart
	_, err = again.Session(t.Context(), cookie)
	require.NoError(t, err)
	_, _, err = again.Login(t.Context(), "ignored-because-there-is-one", someone)
	require.Equal(t, fault.InvalidKey, code(t, err))
	_, _, err = again.Login(t.Context(), good, someone)
	require.NoError(t, err)
}

func TestSetupTokenExpires(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	s := open(t, state.NewMemory(c.now), c, "")
	token, _ := s.SetupToken()
	c.t = c.t.Add(setupTimeout)
	_, _, err := s.Setup(t.Context(), token, good, false, someone)
	require.Equal(t, fault.InvalidKey, code(t, err))
	_, _, err = s.Setup(t.Context(), "", good, true, someone)
	require.NoError(t, err, "a person at the machine needs no token")
}

func TestFirstPasswordIsSetOnce(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	s := open(t, state.NewMemory(c.now), c, "")
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 4 {
		wg.Go(func() {
			if _, _, err := s.Setup(context.Background(), "", good, true, someone); err == nil {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, won)
}

func TestLockoutComesBeforeTheHash(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	s := open(t, state.NewMemory(c.now), c, good)
	for range 5 {
		_, _, err := s.Login(t.Context(), "nope nope", someone)
		require.Equal(t, fault.InvalidKey, code(t, err))
	}
	_, _, err := s.Login(t.Context(), good, someone)
	require.Equal(t, fault.AccountLocked, code(t, err))
	require.Equal(t, 15*time.Minute, fault.As(err).RetryAfter)
	other := Client{IP: netip.MustParseAddr("203.0.113.8")}
	_, _, err = s.Login(t.Context(), good, other)
	require.NoError(t, err, "another address is not locked")
}

func TestSessionsEnd(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	store := state.NewMemory(c.now)
	s := open(t, store, c, good)
	login := func() (string, *Session) {
		cookie, session, err := s.Login(t.Context(), good, someone)
		require.NoError(t, err)
		return cookie, session
	}
	t.Run("logged out", func(t *testing.T) {
		cookie, session := login()
		ok, err := s.EndSession(t.Context(), session.ID)
		require.NoError(t, err)
		require.True(t, ok)
		_, err = s.Session(t.Context(), cookie)
		require.Equal(t, fault.KeyExpired, code(t, err))
		_, err = open(t, store, c, "").Session(t.Context(), cookie)
		require.Error(t, err, "nor after a restart")
	})
	t.Run("idle", func(t *testing.T) {
		cookie, _ := login()
		c.t = c.t.Add(idleTimeout - time.Second)
		_, err := s.Session(t.Context(), cookie)
		require.NoError(t, err, "use keeps it alive")
		c.t = c.t.Add(idleTimeout - time.Second)
		_, err = s.Session(t.Context(), cookie)
		require.NoError(t, err)
		c.t = c.t.Add(idleTimeout)
		_, err = s.Session(t.Context(), cookie)
		require.Error(t, err)
	})
	t.Run("too old", func(t *testing.T) {
		cookie, _ := login()
		for range int(maxLifetime/idleTimeout) * 2 {
			c.t = c.t.Add(idleTimeout / 2)
			if _, err := s.Session(t.Context(), cookie); err != nil {
				return
			}
		}
		_, err := s.Session(t.Context(), cookie)
		require.Error(t, err)
	})
	t.Run("password changed", func(t *testing.T) {
		cookie, _ := login()
		fresh, _, err := s.ChangePassword(t.Context(), good, "another good one", someone)
		require.NoError(t, err)
		_, err = s.Session(t.Context(), cookie)
		require.Error(t, err)
		_, err = s.Session(t.Context(), fresh)
		require.NoError(t, err)
		require.Len(t, s.Sessions(), 1)
	})
}

func TestForgedCookies(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	s := open(t, state.NewMemory(c.now), c, good)
	_, session, err := s.Login(t.Context(), good, someone)
	require.NoError(t, err)
	claim := claims{Authenticated: true, SID: session.ID, Epoch: session.Epoch, RegisteredClaims: jwt.RegisteredClaims{ExpiresAt: jwt.NewNumericDate(session.Expires)}}
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, claim).SignedString(jwt.UnsafeAllowNoneSignatureType)
	require.NoError(t, err)
	other, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claim).SignedString([]byte("another secret of at least 32 bytes!"))
	require.NoError(t, err)
	for _, cookie := range []string{"", "x", "a.b.c", none, other} {
		_, err := s.Session(t.Context(), cookie)
		require.Equal(t, fault.AuthRequired, code(t, err), cookie)
	}
}

func TestTokens(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	store := state.NewMemory(c.now)
	s := open(t, store, c, good)
	secret, token, err := s.CreateToken(t.Context(), "ci", []string{ScopeRead}, c.t.Add(time.Hour))
	require.NoError(t, err)
	require.True(t, IsToken(secret))
	who, err := s.Token(t.Context(), secret, someone)
	require.NoError(t, err)
	require.True(t, who.May(ScopeRead))
	require.False(t, who.May(ScopeAdmin))
	require.Empty(t, s.Tokens()[0].Hash)
	require.NoError(t, store.Scan(t.Context(), state.Query{}, func(e state.Entry) error {
		require.NotContains(t, string(e.Value), secret[len(tokenPrefix)+len(token.ID)+1:])
		return nil
	}))

	for name, bad := range map[string]string{"unknown": "omr_nosuch_x", "wrong secret": secret + "x", "empty": "omr_"} {
		_, err := s.Token(t.Context(), bad, Client{IP: netip.MustParseAddr("203.0.113.9")})
		require.Equal(t, fault.InvalidKey, code(t, err), name)
	}
	_, _, err = s.CreateToken(t.Context(), "ci", []string{ScopeRead}, time.Time{})
	require.Equal(t, fault.Conflict, code(t, err))
	_, _, err = s.CreateToken(t.Context(), "x", []string{"root"}, time.Time{})
	require.Equal(t, fault.InvalidBody, code(t, err))

	c.t = c.t.Add(time.Hour)
	_, err = s.Token(t.Context(), secret, someone)
	require.Equal(t, fault.KeyExpired, code(t, err))
	ok, err := s.RemoveToken(t.Context(), token.ID)
	require.NoError(t, err)
	require.True(t, ok)
	require.Empty(t, open(t, store, c, "").Tokens())
}

func TestConfirmation(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	s := open(t, state.NewMemory(c.now), c, good)
	cookie, session, err := s.Login(t.Context(), good, someone)
	require.NoError(t, err)
	who, _ := s.Session(t.Context(), cookie)
	require.True(t, s.Confirmed(who))
	c.t = c.t.Add(confirmFresh)
	require.False(t, s.Confirmed(who))
	require.Equal(t, fault.InvalidKey, code(t, s.Confirm(t.Context(), session.ID, "wrong", someone)))
	require.NoError(t, s.Confirm(t.Context(), session.ID, good, someone))
	who, _ = s.Session(t.Context(), cookie)
	require.True(t, s.Confirmed(who))
}

func TestImportedHashIsReplaced(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	store := state.NewMemory(c.now)
	old, err := bcrypt.GenerateFromPassword([]byte(good), bcrypt.MinCost)
	require.NoError(t, err)
	require.NoError(t, store.Put(t.Context(), keyLogin, []byte(`{"hash":"`+string(old)+`","epoch":3,"require_login":true}`), 0))
	s := open(t, store, c, "")
	_, _, err = s.Login(t.Context(), good, someone)
	require.NoError(t, err)
	data, err := store.Get(t.Context(), keyLogin)
	require.NoError(t, err)
	require.Contains(t, string(data), "$argon2id$")
	_, _, err = s.Login(t.Context(), good, someone)
	require.NoError(t, err)
}

func FuzzMatches(f *testing.F) {
	f.Add(usualCost.decoy(), "x")
	f.Add("$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA", "x")
	f.Add("$2a$04$", "x")
	f.Fuzz(func(t *testing.T, hashed, password string) {
		if len(hashed) > 20 && hashed[:10] == "$argon2id$" {
			t.Skip("the cost of a real hash")
		}
		_, _, _ = usualCost.matches(hashed, password)
	})
}
