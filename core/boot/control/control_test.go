package control_test

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// book is a desk that remembers what it was asked.
type book struct {
	control.Desk
	key     account.Key
	revoked string
	account control.NewAccount
	tested  string
	filter  ledger.Filter
	live    bool
}

func (b *book) Status(context.Context) (control.Status, error) {
	return control.Status{Version: "v9", Running: true, Problems: []fault.Diagnostic{{File: "f", Line: 3, Message: "bad"}}}, nil
}

func (b *book) CreateKey(_ context.Context, want account.Key) (control.NewKey, error) {
	b.key = want
	return control.NewKey{Secret: "sk-secret", Key: &want}, nil
}

func (b *book) RevokeKey(_ context.Context, id string) error {
	b.revoked = id
	e := fault.Newf(fault.InvalidBody, "no client key is called %q", id)
	e.Status = 404
	return e
}

func (b *book) AddAccount(_ context.Context, want control.NewAccount) (*account.Account, error) {
	b.account = want
	return &account.Account{ID: "a1", Provider: want.Provider, Name: "main"}, nil
}

func (b *book) TestAccount(_ context.Context, id string) (control.Test, error) {
	b.tested = id
	return control.Test{Account: id, Valid: true, Diagnosis: "ok"}, nil
}

func (b *book) Models(_ context.Context, provider string, live bool) ([]control.Model, error) {
	b.live = live
	return []control.Model{{ID: provider + "/m", Context: 9}}, nil
}

func (b *book) Requests(_ context.Context, f ledger.Filter) (ledger.Page, error) {
	b.filter = f
	return ledger.Page{Entries: []*ledger.Entry{{ID: "r1", Cost: 5}}, Next: "n"}, nil
}

func (b *book) Request(_ context.Context, id string) (control.Request, error) {
	return control.Request{Entry: &ledger.Entry{ID: id}, Trace: []byte(`{"Entries":[]}`)}, nil
}

func (b *book) Keys(context.Context) ([]*account.Key, error) { return nil, errors.New("disk full") }

// start serves a book and dials it.
func start(t *testing.T) (*book, *control.Client, string) {
	t.Helper()
	b := &book{}
	path := filepath.Join(t.TempDir(), control.Socket)
	s, err := control.Serve(path, b)
	require.NoError(t, err)
	c, err := control.Dial(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() {
		c.Close()
		require.NoError(t, s.Close(context.Background()))
	})
	return b, c, path
}

// What a command asks arrives whole, and so does the answer.
func TestEverythingTravels(t *testing.T) {
	b, c, _ := start(t)
	ctx := t.Context()

	status, err := c.Status(ctx)
	require.NoError(t, err)
	require.Equal(t, "v9", status.Version)
	require.Equal(t, "f:3: bad", status.Problems[0].String())

	want := account.Key{Name: "ci", Models: []string{"openai/*"}, Limits: account.Limits{DailyUSD: 5, RPM: -1}}
	made, err := c.CreateKey(ctx, want)
	require.NoError(t, err)
	require.Equal(t, "sk-secret", made.Secret)
	require.Equal(t, want, b.key)

	acc, err := c.AddAccount(ctx, control.NewAccount{Provider: "openai", APIKey: "sk-x", Data: map[string]string{"region": "eu"}})
	require.NoError(t, err)
	require.Equal(t, "a1", acc.ID)
	require.Equal(t, "sk-x", b.account.APIKey)

	_, err = c.TestAccount(ctx, "openai/a b/c")
	require.NoError(t, err)
	require.Equal(t, "openai/a b/c", b.tested, "names may hold anything")

	models, err := c.Models(ctx, "lab", true)
	require.NoError(t, err)
	require.Equal(t, "lab/m", models[0].ID)
	require.True(t, b.live)

	since := time.Date(2026, 2, 18, 21, 30, 0, 5, time.UTC)
	f := ledger.Filter{Status: "error", Model: "gpt", Key: "ci & co", Combo: true, Since: since, Limit: 7, Cursor: "x/y"}
	page, err := c.Requests(ctx, f)
	require.NoError(t, err)
	require.Equal(t, f, b.filter)
	require.Equal(t, "r1", page.Entries[0].ID)

	r, err := c.Request(ctx, "r/1")
	require.NoError(t, err)
	require.Equal(t, "r/1", r.ID)
	require.JSONEq(t, `{"Entries":[]}`, string(r.Trace))
}

// A refusal keeps its code and message; a failure of the gateway tells the operator what it was.
func TestErrorsTravel(t *testing.T) {
	b, c, _ := start(t)
	err := c.RevokeKey(t.Context(), "nobody")
	require.Equal(t, "nobody", b.revoked)
	require.Equal(t, fault.InvalidBody, fault.As(err).Code)
	require.Contains(t, fault.As(err).Message, `no client key is called "nobody"`)

	_, err = c.Keys(t.Context())
	require.ErrorContains(t, err, "disk full")
}

// The socket is for the user of the gateway alone.
func TestSocketMode(t *testing.T) {
	_, _, path := start(t)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// Neither an absent socket nor one that a dead process left behind is a server, and a server may start over both.
func TestNoServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), control.Socket)
	_, err := control.Dial(t.Context(), path)
	require.ErrorIs(t, err, control.ErrNoServer)

	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	require.NoError(t, err)
	ln.SetUnlinkOnClose(false)
	require.NoError(t, ln.Close())
	_, err = control.Dial(t.Context(), path)
	require.ErrorIs(t, err, control.ErrNoServer)

	s, err := control.Serve(path, &book{})
	require.NoError(t, err)
	require.NoError(t, s.Close(context.Background()))
	require.NoFileExists(t, path)
}

// What is no request of the protocol is refused, not guessed at.
func TestBadRequests(t *testing.T) {
	h := control.Handler(&book{})
	for _, tc := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/keys", "{", 400},
		{"POST", "/accounts", `{"priority":"first"}`, 400},
		{"GET", "/requests?limit=many", "", 400},
		{"GET", "/requests?since=yesterday", "", 400},
		{"GET", "/nothing", "", 404},
		{"PUT", "/keys", "{}", 405},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tc.method, tc.path, strings.NewReader(tc.body)))
		require.Equal(t, tc.status, w.Code, "%s %s", tc.method, tc.path)
	}
}
