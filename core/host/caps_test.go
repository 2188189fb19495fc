package host

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/host/lock"
	declared "github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/core/host/pack"
	"github.com/omniroute/omniroute/core/host/trust"
	"github.com/omniroute/omniroute/sdk/abi"
)

const capsGuest = "./testdata/guests/caps"

// asking is the caps guest with other capabilities in its manifest than its code
// would use.
func asking(t testing.TB, capabilities string) []byte {
	t.Helper()
	wasm := packed(t, capsGuest)
	raw, _, err := abi.Section(wasm, abi.SectionManifest)
	require.NoError(t, err)
	text := string(raw)
	from := strings.Index(text, `"capabilities":`)
	to := strings.Index(text, `,"isolation"`)
	out, err := pack.Build(wasm, pack.Parts{Manifest: []byte(text[:from] + `"capabilities":` + capabilities + text[to:])})
	require.NoError(t, err)
	return out
}

// droppedCaps serves a module as a drop-in and returns its executor.
func droppedCaps(t testing.TB, wasm []byte, opt Options) *Executor {
	t.Helper()
	opt.Dir = t.TempDir()
	drop(t, opt.Dir, "caps.wasm", wasm)
	h := open(t, opt)
	require.Empty(t, h.Problems())
	g := h.Current()
	t.Cleanup(g.Release)
	x, ok := g.Executor("caps")
	require.True(t, ok)
	return x
}

var capsSecrets = Secrets(func(name string) (string, bool) {
	v, ok := map[string]string{"api_key": "sk-caps", "signing_key": "sign me", "refresh_token": "rt"}[name]
	return v, ok
})

// run asks the guest to do something and returns what came of it.
func run(t testing.TB, x *Executor, model string) (string, *Plan, error) {
	t.Helper()
	out, err := x.Plan(t.Context(), PlanInput{Model: model, Body: []byte(`{}`), Secrets: capsSecrets})
	if err != nil {
		return "", nil, err
	}
	return headerValue(out.Send.Header, "X-Result"), out.Send, nil
}

const nothingAsked = `{"http":{"hosts":["api.caps.example"]}}`

func TestStoreNeedsItsGrant(t *testing.T) {
	x := droppedCaps(t, asking(t, nothingAsked), Options{})
	for _, model := range []string{"put a=b", "get a", "del a"} {
		_, _, err := run(t, x, model)
		require.ErrorContains(t, err, "not granted", model)
	}
}

func TestStore(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	opt := Options{Limits: Limits{Values: 3000, Value: 1500}, Now: func() time.Time { return now }}
	x := droppedCaps(t, packed(t, capsGuest), opt)
	do := func(model string) string {
		t.Helper()
		out, _, err := run(t, x, model)
		require.NoError(t, err)
		return out
	}
	require.Equal(t, "false ", do("get a"))
	do("put a=one")
	require.Equal(t, "true one", do("get a"))
	do("put a=")
	require.Equal(t, "true ", do("get a"))
	do("del a")
	do("del a")
	require.Equal(t, "false ", do("get a"))

	do("big 1400")
	do("big 1401")
	_, _, err := run(t, x, "big 1402")
	require.ErrorContains(t, err, "larger than it may be", "all values together")
	_, _, err = run(t, x, "big 1501")
	require.ErrorContains(t, err, "larger than it may be", "one value")
	do("del big1400")
	do("big 1402")

	// Each plugin sees its own values only.
	other := &module{host: x.mod.host, manifest: &manifest{Name: "test/other"}}
	v, err := other.values().get(t.Context(), "big1402")
	require.NoError(t, err)
	require.Nil(t, v)
	v, err = x.mod.values().get(t.Context(), "big1402")
	require.NoError(t, err)
	require.Len(t, v, 1402)
}

func TestSecretsForSigning(t *testing.T) {
	x := droppedCaps(t, packed(t, capsGuest), Options{})
	mac := hmac.New(sha256.New, []byte("sign me"))
	mac.Write([]byte("what to sign"))
	out, _, err := run(t, x, "hmac signing_key")
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(mac.Sum(nil)), out)

	_, _, err = run(t, x, "hmac refresh_token")
	require.ErrorContains(t, err, "not granted", "a secret it did not ask for")
	_, _, err = run(t, droppedCaps(t, asking(t, nothingAsked), Options{}), "hmac signing_key")
	require.ErrorContains(t, err, "not granted")
}

func TestSecretsInPlansNeedTheirGrant(t *testing.T) {
	x := droppedCaps(t, packed(t, capsGuest), Options{})
	fill := func(model string) error {
		_, p, err := run(t, x, model)
		require.NoError(t, err)
		_, err = Fill(t.Context(), p, capsSecrets, nil, nil)
		return err
	}
	require.NoError(t, fill("auth api_key"))
	require.NoError(t, fill("mark signing_key"))
	require.ErrorContains(t, fill("auth refresh_token"), "may not use the secret refresh_token")
	require.ErrorContains(t, fill("mark refresh_token"), "may not use the secret refresh_token")
}

func TestReadingSecretsTakesTheOperator(t *testing.T) {
	wasm := asking(t, `{"http":{"hosts":["api.caps.example"]},"secrets":{"use":["api_key"],"reveal":["signing_key"]}}`)
	dir := t.TempDir()
	drop(t, dir, "caps.wasm", wasm)
	h := open(t, Options{Dir: dir})
	require.Contains(t, h.Problems()[0].Message, "secrets.reveal signing_key")
	require.Equal(t, "test/caps", h.Problems()[0].Plugin)

	granted := Options{Items: map[string]Item{"test/caps": {Grants: declared.Grants{Reveal: []string{"signing_key"}}}}}
	x := droppedCaps(t, wasm, granted)
	out, _, err := run(t, x, "read signing_key")
	require.NoError(t, err)
	require.Equal(t, "sign me", out)
	_, _, err = run(t, x, "read api_key")
	require.ErrorContains(t, err, "not granted", "to be used is not to be read")

	_, _, err = run(t, droppedCaps(t, packed(t, capsGuest), Options{}), "read signing_key")
	require.ErrorContains(t, err, "not granted")
}

func TestHostsNeedTheirGrant(t *testing.T) {
	x := droppedCaps(t, packed(t, capsGuest), Options{Trust: Trust{Deny: trust.Deny{Hosts: []string{"secret.caps.example"}}}})
	for target, want := range map[string]string{
		"https://api.caps.example/v2":           "",
		"https://eu.caps.example/":              "",
		"https://caps.example:8443/":            "",
		"https://caps.example/":                 "may not send requests to caps.example",
		"http://api.caps.example/":              "may not send requests",
		"https://api.caps.example:9000/":        "may not send requests",
		"https://api.caps.example.evil.example": "may not send requests",
		"https://10.0.0.1/":                     "may not send requests",
		"https://u:p@api.caps.example/":         "invalid URL",
		"ftp://api.caps.example/":               "invalid URL",
		"https://secret.caps.example/":          "deny forbids requests to secret.caps.example",
	} {
		_, p, err := run(t, x, "url "+target)
		if want != "" {
			require.ErrorContains(t, err, want, target)
			continue
		}
		require.NoError(t, err, target)
		// Redirects are held to the same rule, and no host is private by grant alone.
		req, err := Fill(t.Context(), p, capsSecrets, nil, nil)
		require.NoError(t, err)
		inside, _ := url.Parse("https://us.caps.example/x")
		outside, _ := url.Parse("https://evil.example/x")
		require.Zero(t, req.Redirects())
		require.ErrorContains(t, req.MayFollow(inside), "leads to another host (us.caps.example)")
		p.Redirect = RedirectGranted
		req, err = Fill(t.Context(), p, capsSecrets, nil, nil)
		require.NoError(t, err)
		require.NoError(t, req.MayFollow(inside))
		require.ErrorContains(t, req.MayFollow(outside), "may not send requests to evil.example")
		require.False(t, req.MayBePrivate(target, false))
	}
}

// What a provider's settings say about private addresses holds for its own base
// URLs; a plugin's further hosts are private only if the operator names them.
func TestPrivateHosts(t *testing.T) {
	profile := NewProfile("caps", []byte(`{"id":"caps","base_urls":["http://127.0.0.1:8000/v1"]}`))
	ask := func(x *Executor, target string) *Request {
		out, err := x.Plan(t.Context(), PlanInput{Profile: profile, Model: "url " + target, Body: []byte(`{}`)})
		require.NoError(t, err)
		req, err := Fill(t.Context(), out.Send, capsSecrets, nil, nil)
		require.NoError(t, err)
		return req
	}
	x := droppedCaps(t, packed(t, capsGuest), Options{})
	require.True(t, ask(x, "http://127.0.0.1:8000/v1").MayBePrivate("http://127.0.0.1:8000/v1", true))
	require.False(t, ask(x, "https://rebind.caps.example/").MayBePrivate("https://rebind.caps.example/", true), "a name that leads inside")

	const lan = "http://10.0.0.7:9000"
	x = droppedCaps(t, packed(t, capsGuest), Options{Items: map[string]Item{"test/caps": {Grants: declared.Grants{HTTP: []string{lan}}}}})
	require.True(t, ask(x, lan+"/").MayBePrivate(lan+"/", false))
	require.False(t, ask(x, "https://eu.caps.example/").MayBePrivate("https://eu.caps.example/", false))
}

func TestCustomSignature(t *testing.T) {
	x := droppedCaps(t, packed(t, capsGuest), Options{})
	_, p, err := run(t, x, "custom")
	require.NoError(t, err)
	req, err := Fill(t.Context(), p, capsSecrets, []byte("body"), nil)
	require.NoError(t, err)
	sum := sha256.Sum256([]byte("body"))
	mac := hmac.New(sha256.New, []byte("sign me"))
	mac.Write([]byte("POST " + p.URLs[0] + " " + hex.EncodeToString(sum[:])))
	require.Equal(t, hex.EncodeToString(mac.Sum(nil)), headerValue(req.HeaderFor(req.URLs[0]), "X-Signature"))
	require.Equal(t, "sk-caps", headerValue(req.HeaderFor(req.URLs[0]), "X-Key"))
}

func TestDropInMayNotTakeAProvidersPlace(t *testing.T) {
	dir := t.TempDir()
	drop(t, dir, "caps.wasm", packed(t, capsGuest))
	drop(t, dir, "o.provider.yaml", []byte("id: openai\nformat: openai\nbase_url: https://evil.example/v1\nexecutor: caps\n"))
	h := open(t, Options{Dir: dir, Reserved: []string{"openai", "caps"}})
	for _, p := range h.Parts() {
		require.Equal(t, StateRefused, p.State, p.ID)
		require.Contains(t, p.Reason, "get its credentials")
	}
	h = open(t, Options{Dir: dir, Reserved: []string{"openai", "caps"}, Items: map[string]Item{"test/caps": {}, "local/openai": {}}})
	for _, p := range h.Parts() {
		require.Equal(t, StateActive, p.State, p.ID)
	}
}

func TestLockFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(t.TempDir(), "omniroute.plugins.lock")
	wasm := packed(t, capsGuest)
	drop(t, dir, "caps.wasm", wasm)
	h := open(t, Options{Dir: dir, Lock: path, Freeze: true})
	require.Equal(t, StateActive, state(h, KindExecutor, "caps"))

	// What an unsigned file may do is frozen when it is first seen.
	f, err := lock.Read(path)
	require.NoError(t, err)
	e := f.Find("test/caps")
	require.Equal(t, []string{"api.caps.example", "*.caps.example", "https://caps.example:8443"}, e.Grants.HTTP)
	require.Equal(t, []string{"api_key", "signing_key"}, e.Grants.Use)
	require.True(t, e.Grants.KV)
	require.False(t, e.Pinned())
	before := h.Current().Number()
	require.NoError(t, h.Rescan(t.Context()))
	require.Equal(t, before, h.Current().Number(), "nothing is loaded again for that")

	// A version that wants more waits; the one before it serves on.
	more := asking(t, `{"http":{"hosts":["*.caps.example","other.example"]},"secrets":{"use":["api_key"]}}`)
	drop(t, dir, "caps.wasm", more)
	require.NoError(t, h.Rescan(t.Context()))
	require.Contains(t, h.Problems()[0].Message, "http other.example); run `omniroute plugin approve test/caps`")
	require.True(t, h.Problems()[0].Serving)
	require.NoError(t, lock.Update(path, func(f *lock.File) error {
		f.Find("test/caps").Grants.HTTP = append(f.Find("test/caps").Grants.HTTP, "other.example")
		return nil
	}))
	require.NoError(t, h.Rescan(t.Context()))
	require.Empty(t, h.Problems())

	// Switched off, and pinned to other content.
	require.NoError(t, lock.Update(path, func(f *lock.File) error { f.Find("test/caps").Disabled = true; return nil }))
	require.NoError(t, h.Rescan(t.Context()))
	require.Equal(t, StateDisabled, state(h, KindExecutor, "caps"))
	require.NoError(t, lock.Update(path, func(f *lock.File) error {
		f.Find("test/caps").Disabled = false
		f.Find("test/caps").ContentDigest = pack.Digest([]byte("other"))
		return nil
	}))
	require.NoError(t, h.Rescan(t.Context()))
	require.Contains(t, h.Problems()[0].Message, "not what the lock file says")
	require.Empty(t, h.Parts(), "content that is not the locked one stops serving")

	require.NoError(t, os.Remove(filepath.Join(dir, "caps.wasm")))
	require.NoError(t, h.Rescan(t.Context()))
	require.Contains(t, h.Problems()[0].Message, "not in the plugin folder")
	require.NoError(t, os.WriteFile(path, []byte("schema: 7\n"), 0o600))
	drop(t, dir, "caps.wasm", wasm)
	require.NoError(t, h.Rescan(t.Context()))
	require.Contains(t, h.Problems()[0].Message, "lock file cannot be read")
}

// New settings come into force without a restart.
func TestConfigureWhileRunning(t *testing.T) {
	dir := t.TempDir()
	drop(t, dir, "echo.wasm", packed(t, echoGuest))
	h := open(t, Options{Dir: dir})
	region := func() string {
		g := h.Current()
		defer g.Release()
		x, ok := g.Executor("echo")
		if !ok {
			return "none"
		}
		out, err := plan(t, x, "plain")
		require.NoError(t, err)
		return headerValue(out.Send.Header, "X-Region")
	}
	require.Equal(t, "eu", region())
	items := func(i Item) Settings { return Settings{Items: map[string]Item{"test/echo": i}} }
	require.NoError(t, h.Configure(t.Context(), items(Item{Config: []byte(`{"region":"us"}`)})))
	require.Equal(t, "us", region())

	require.NoError(t, h.Configure(t.Context(), items(Item{Config: []byte(`{"region":"mars"}`)})))
	require.Contains(t, h.Problems()[0].Message, "region")
	require.NoError(t, h.Configure(t.Context(), items(Item{Disabled: true})))
	require.Equal(t, "none", region())
	require.Equal(t, "switched off in plugins.items", h.Parts()[0].Reason)
	require.NoError(t, h.Configure(t.Context(), Settings{Trust: Trust{Mode: TrustEnforce}}))
	require.Equal(t, "none", region())
	require.NoError(t, h.Configure(t.Context(), Settings{}))
	require.Equal(t, "eu", region())

	require.NoError(t, h.Configure(t.Context(), Settings{Items: map[string]Item{"test/echo": {Required: true}, "test/lost": {Required: true}}}))
	require.Len(t, h.Missing(), 1)
	require.Equal(t, "test/lost", h.Missing()[0].Plugin)
}

func TestSignedDropIns(t *testing.T) {
	signer, _, _, err := pack.NewSigner(nil, "")
	require.NoError(t, err)
	wasm := packed(t, echoGuest)
	f, err := pack.Open("echo.wasm", wasm, nil)
	require.NoError(t, err)
	text, err := f.Sign(signer)
	require.NoError(t, err)
	signed, err := f.Embed(text)
	require.NoError(t, err)
	enforce := Trust{Mode: TrustEnforce, Keys: []trust.Key{{Key: signer.Key, Name: "echo", Scope: []string{"test/*"}}}}

	for name, files := range map[string]map[string][]byte{
		"embedded": {"echo.wasm": signed},
		"side-car": {"echo.wasm": wasm, "echo.wasm.minisig": text},
		"below":    {"mine/echo.wasm": signed},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(dir, "mine"), 0o755))
			for file, data := range files {
				drop(t, dir, file, data)
			}
			h := open(t, Options{Dir: dir, Trust: enforce})
			require.Empty(t, h.Problems())
			require.Equal(t, StateActive, state(h, KindExecutor, "echo"))
			g := h.Current()
			defer g.Release()
			require.Equal(t, "shared", g.modules[0].isolation)
			require.Equal(t, []string{signer.Key.Text}, g.modules[0].signed)
		})
	}
	dir := t.TempDir()
	drop(t, dir, "echo.wasm", append(append([]byte{}, signed[:len(signed)-8]...), make([]byte, 8)...))
	h := open(t, Options{Dir: dir, Trust: Trust{Keys: enforce.Keys}})
	require.Len(t, h.Problems(), 1, "a broken signature is refused in every mode")
}
