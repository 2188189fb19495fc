package account

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/state"
)

// hand is a clock the test moves.
type hand struct{ t time.Time }

func (h *hand) now() time.Time          { return h.t }
func (h *hand) advance(d time.Duration) { h.t = h.t.Add(d) }

func newHand() *hand { return &hand{time.Date(2026, 2, 18, 21, 30, 0, 0, time.UTC)} }

func openKeys(t testing.TB, s state.Store, h *hand, edit ...func(*KeysOptions)) *Keys {
	t.Helper()
	opt := KeysOptions{Secret: "a-secret-of-the-installation", MachineID: "machine", MachineSalt: "endpoint-proxy-salt", AcceptLegacy: true, Reveal: true, Now: h.now}
	for _, e := range edit {
		e(&opt)
	}
	k, err := OpenKeys(t.Context(), s, opt)
	require.NoError(t, err)
	return k
}

func TestKeyLife(t *testing.T) {
	s, h := state.NewMemory(nil), newHand()
	defer s.Close()
	k := openKeys(t, s, h)
	ctx := t.Context()
	secret, key, err := k.Create(ctx, Key{Name: " ci ", Models: []string{"openai/*"}, Limits: Unlimited(), Team: "ops"})
	require.NoError(t, err)
	parts := strings.Split(secret, "-")
	require.Len(t, parts, 4)
	require.Equal(t, []int{2, 16, 26, 8}, []int{len(parts[0]), len(parts[1]), len(parts[2]), len(parts[3])})
	require.Equal(t, "ci", key.Name)
	require.Equal(t, secret[:8]+"…"+secret[len(secret)-4:], key.Preview)

	got, err := k.Verify(secret)
	require.NoError(t, err)
	require.Equal(t, key.ID, got.ID)
	require.Equal(t, []string{"openai/*"}, got.Models)
	for _, bad := range []string{"", "x", "sk-", secret + "x", secret[:len(secret)-1] + "g", strings.ToUpper(secret)} {
		_, err = k.Verify(bad)
		require.ErrorIs(t, err, fault.New(fault.InvalidKey), bad)
		require.NotContains(t, err.Error(), secret[3:19])
	}
	_, err = k.Verify(secret[:len(secret)-2] + "zz")
	require.ErrorContains(t, err, "mistyped")

	_, _, err = k.Create(ctx, Key{Name: "ci"})
	require.ErrorIs(t, err, ErrNameTaken)
	_, _, err = k.Create(ctx, Key{})
	require.Error(t, err)

	k2 := openKeys(t, s, h) // restart
	_, err = k2.Verify(secret)
	require.NoError(t, err)
	shown, err := k2.Reveal(ctx, "ci")
	require.NoError(t, err)
	require.Equal(t, secret, shown)

	upd, err := k2.Update(ctx, "ci", func(k *Key) error { k.ExpiresAt = h.t.Add(time.Hour); k.ID = "evil"; return nil })
	require.NoError(t, err)
	require.Equal(t, key.ID, upd.ID)
	require.EqualValues(t, 2, upd.Rev)
	_, err = k2.Verify(secret)
	require.NoError(t, err)
	h.advance(time.Hour)
	_, err = k2.Verify(secret)
	require.ErrorIs(t, err, fault.New(fault.KeyExpired))
	_, err = k2.Update(ctx, key.ID, func(k *Key) error { k.ExpiresAt = time.Time{}; k.Enabled = false; return nil })
	require.NoError(t, err)
	_, err = k2.Verify(secret)
	require.ErrorIs(t, err, fault.New(fault.InvalidKey))
	require.Zero(t, k2.Count())

	require.NoError(t, k2.Revoke(ctx, "ci"))
	require.ErrorIs(t, k2.Revoke(ctx, "ci"), ErrNotFound)
	_, err = openKeys(t, s, h).Verify(secret)
	require.ErrorIs(t, err, fault.New(fault.InvalidKey))
}

func TestKeysAreStoredAsHashes(t *testing.T) {
	s, h := state.NewMemory(nil), newHand()
	defer s.Close()
	k := openKeys(t, s, h, func(o *KeysOptions) { o.Reveal = false })
	secret, key, err := k.Create(t.Context(), Key{Name: "a"})
	require.NoError(t, err)
	raw, err := s.Get(t.Context(), state.Key("key", key.ID))
	require.NoError(t, err)
	require.NotContains(t, string(raw), secret)
	_, err = k.Reveal(t.Context(), "a")
	require.ErrorIs(t, err, ErrNotKept)
}

func TestFileKeys(t *testing.T) {
	s, h := state.NewMemory(nil), newHand()
	defer s.Close()
	k := openKeys(t, s, h, func(o *KeysOptions) { o.AcceptLegacy = false })
	_, _, err := k.Create(t.Context(), Key{Name: "stored"})
	require.NoError(t, err)
	usd, rpm := 5.0, int64(0)
	require.Empty(t, k.SetFile([]config.Key{
		{Name: "ci", Key: "my-own-key-1", Enabled: true, Limits: config.KeyLimits{DailyUSD: &usd, RPM: &rpm}},
		{Name: "hash", Hash: "sha256:2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90", Enabled: true}, // of "alice"
		{Name: "old", Key: "sk-12345678", Enabled: true},
		{Name: "unset", Enabled: false},
	}))
	key, err := k.Verify("my-own-key-1")
	require.NoError(t, err)
	require.Equal(t, "file:ci", key.ID)
	require.Equal(t, 5.0, key.Limits.DailyUSD)
	require.Equal(t, -1.0, key.Limits.MonthlyUSD)
	require.EqualValues(t, 0, key.Limits.RPM)
	require.EqualValues(t, -1, key.Limits.TPM)
	_, err = k.Verify("alice")
	require.NoError(t, err)
	_, err = k.Verify("sk-12345678")
	require.ErrorIs(t, err, fault.New(fault.InvalidKey), "two-part keys are switched off")
	require.ErrorIs(t, k.Revoke(t.Context(), "ci"), ErrFromFile)
	_, err = k.Update(t.Context(), "file:ci", nil)
	require.ErrorIs(t, err, ErrFromFile)

	diags := k.SetFile([]config.Key{{Name: "stored", Key: "another-1", Pos: config.Pos{File: "f", Line: 3, Column: 7}, Enabled: true}, {Name: "a", Key: "same-same"}, {Name: "b", Key: "same-same"}})
	require.Len(t, diags, 2)
	require.Equal(t, `f:3:7: key "stored" is declared here and in the data directory; revoke that one or rename this`, diags[0].String())
	_, err = k.Verify("my-own-key-1")
	require.NoError(t, err, "a bad set changes nothing")
	require.Empty(t, k.SetFile(nil))
	_, err = k.Verify("my-own-key-1")
	require.Error(t, err)
	require.Len(t, k.List(), 1)
}

func TestKeyUseIsRemembered(t *testing.T) {
	s, h := state.NewMemory(nil), newHand()
	defer s.Close()
	w := state.NewWriter(s, state.WriterOptions{Every: time.Hour})
	k := openKeys(t, s, h, func(o *KeysOptions) { o.Writer = w })
	_, key, err := k.Create(t.Context(), Key{Name: "a"})
	require.NoError(t, err)
	k.Touch(key.ID)
	k.Touch("nobody")
	got, _ := k.Get("a")
	require.Equal(t, h.t, got.LastUsed)
	require.NoError(t, w.Close())
	got, _ = openKeys(t, s, h).Get(key.ID)
	require.Equal(t, h.t, got.LastUsed)
}

func BenchmarkVerify(b *testing.B) {
	s := state.NewMemory(nil)
	defer s.Close()
	k := openKeys(b, s, newHand())
	var secret string
	for range 1000 {
		var err error
		secret, _, err = k.Create(b.Context(), Key{Name: randomID(5)})
		require.NoError(b, err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Verify(secret); err != nil {
			b.Fatal(err)
		}
	}
}

// What makes the keys of an installation its own: the check digits follow from
// its secret, the machine part from its salt.
func TestKeysBelongToAnInstallation(t *testing.T) {
	s, h := state.NewMemory(nil), newHand()
	defer s.Close()
	secret, _, err := openKeys(t, s, h).Create(t.Context(), Key{Name: "a"})
	require.NoError(t, err)
	other := func(edit func(*KeysOptions)) string {
		text, _, err := openKeys(t, state.NewMemory(nil), h, edit).Create(t.Context(), Key{Name: "a"})
		require.NoError(t, err)
		return text
	}
	part := func(text string) string { return strings.Split(text, "-")[1] }
	salted := other(func(o *KeysOptions) { o.MachineSalt = "another" })
	require.NotEqual(t, part(secret), part(salted))
	require.Equal(t, part(secret), part(other(func(o *KeysOptions) { o.Secret = "another-secret-of-it" })))

	mistaken := secret[:len(secret)-8] + "00000000"
	_, err = openKeys(t, s, h).Verify(mistaken)
	require.ErrorContains(t, err, "mistyped", "the digits do not follow from the secret")
	_, err = openKeys(t, state.NewMemory(nil), h, func(o *KeysOptions) { o.Secret = "another-secret-of-it" }).Verify(secret)
	require.ErrorContains(t, err, "mistyped", "a key of the same machine, made with another secret")
	_, err = openKeys(t, state.NewMemory(nil), h).Verify(secret)
	require.NotContains(t, err.Error(), "mistyped", "well written, but unknown here")
}

func TestRotatedKeys(t *testing.T) {
	s, h := state.NewMemory(nil), newHand()
	defer s.Close()
	k := openKeys(t, s, h)
	first, key, err := k.Create(t.Context(), Key{Name: "ci", Limits: Unlimited()})
	require.NoError(t, err)
	second, changed, err := k.Rotate(t.Context(), key.ID, time.Hour)
	require.NoError(t, err)
	require.Equal(t, key.ID, changed.ID)
	require.Equal(t, key.Rev+1, changed.Rev)
	good := func(k *Keys, secrets ...string) {
		t.Helper()
		for _, secret := range secrets {
			got, err := k.Verify(secret)
			require.NoError(t, err)
			require.Equal(t, key.ID, got.ID)
		}
	}
	good(k, first, second)
	good(openKeys(t, s, h), first, second) // a restart
	_, err = k.Update(t.Context(), key.ID, func(k *Key) error { k.Team = "x"; return nil })
	require.NoError(t, err)
	good(k, first, second)
	shown, err := k.Reveal(t.Context(), key.ID)
	require.NoError(t, err)
	require.Equal(t, second, shown)

	h.advance(time.Hour)
	good(k, second)
	_, err = k.Verify(first)
	require.ErrorIs(t, err, fault.New(fault.InvalidKey))
	third, _, err := k.Rotate(t.Context(), key.ID, 0)
	require.NoError(t, err)
	good(k, third)
	_, err = k.Verify(second)
	require.Error(t, err, "no grace")
	require.NoError(t, k.Revoke(t.Context(), key.ID))
	_, err = k.Verify(third)
	require.Error(t, err)
}

func TestKeysAreAdmittedByAddressAndTime(t *testing.T) {
	at := func(text string) time.Time {
		when, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return when
	}
	office := &Schedule{From: "08:00", Until: "18:30", Days: []int{1, 2, 3, 4, 5}, TZ: "Europe/Berlin"}
	night := &Schedule{From: "22:00", Until: "06:00", Days: []int{5}}
	for _, c := range []struct {
		key  Key
		ip   string
		when string
		ok   bool
	}{
		{Key{}, "203.0.113.9", "2026-02-18T21:30:00Z", true},
		{Key{IPs: []string{"10.0.0.0/8", "2001:db8::1"}}, "10.1.2.3", "2026-02-18T21:30:00Z", true},
		{Key{IPs: []string{"10.0.0.0/8", "2001:db8::1"}}, "::ffff:10.1.2.3", "2026-02-18T21:30:00Z", true},
		{Key{IPs: []string{"10.0.0.0/8", "2001:db8::1"}}, "2001:db8::1", "2026-02-18T21:30:00Z", true},
		{Key{IPs: []string{"10.0.0.0/8"}}, "203.0.113.9", "2026-02-18T21:30:00Z", false},
		{Key{Schedule: office}, "10.1.2.3", "2026-02-18T07:00:00Z", true}, // 08:00 in Berlin, a Wednesday
		{Key{Schedule: office}, "10.1.2.3", "2026-02-18T06:59:00Z", false},
		{Key{Schedule: office}, "10.1.2.3", "2026-02-18T17:30:00Z", false},
		{Key{Schedule: office}, "10.1.2.3", "2026-02-21T10:00:00Z", false}, // Saturday
		{Key{Schedule: night}, "10.1.2.3", "2026-02-20T23:00:00Z", true},   // Friday
		{Key{Schedule: night}, "10.1.2.3", "2026-02-21T05:59:00Z", true},   // the morning after
		{Key{Schedule: night}, "10.1.2.3", "2026-02-20T05:00:00Z", false},  // the morning before
		{Key{Schedule: &Schedule{From: "x", Until: "y"}}, "10.1.2.3", "2026-02-20T05:00:00Z", false},
	} {
		err := c.key.Admit(netip.MustParseAddr(c.ip), at(c.when))
		require.Equal(t, c.ok, err == nil, "%+v %s %s: %v", c.key, c.ip, c.when, err)
	}
	require.NoError(t, office.Check())
	require.Error(t, (&Schedule{From: "8", Until: "9"}).Check())
	require.Error(t, (&Schedule{From: "08:00", Until: "09:00", Days: []int{7}}).Check())
	require.Error(t, (&Schedule{From: "08:00", Until: "09:00", TZ: "Nowhere/X"}).Check())
	require.NoError(t, CheckIPs([]string{"10.0.0.1", "2001:db8::/32"}))
	require.Error(t, CheckIPs([]string{"10.0.0.*"}))
}
