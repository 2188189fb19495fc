package manifest

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const acme = `{"schema":1,"name":"acme/acme-llm","version":"1.2.0","abi":"1.0","features":["skeleton"],"requires":{"omniroute":">=0.6 <2"},
"provides":[{"kind":"executor","id":"acme","alias":["ac"],"dialect":"openai","base_url":"https://api.acme.example/v1","auth":[{"type":"api_key","apply":"bearer"}],
"models":[{"id":"acme-large"}]},{"kind":"translator","from":"openai","to":"acme-chat"}],
"capabilities":{"http":{"hosts":["api.acme.example"],"reason":"inference"},"secrets":{"use":["api_key"],"reason":"authentication"},"kv":{"reason":"sessions"}},
"limits":{"memory_pages":128},"config_schema":{"type":"object","additionalProperties":false,"properties":{"region":{"enum":["eu","us"],"default":"eu"}}}}`

func TestParse(t *testing.T) {
	m, err := Parse([]byte(acme))
	require.NoError(t, err)
	require.Equal(t, "acme/acme-llm 1.2.0 (ABI 1.0)", m.String())
	require.Equal(t, []string{"executor", "translator"}, m.Kinds())
	require.Equal(t, IsolationShared, m.Isolation)
	require.Equal(t, Grants{HTTP: []string{"api.acme.example"}, Use: []string{"api_key"}, KV: true}, m.Asks())
	require.Equal(t, "openai>acme-chat", m.Provides[1].ID)
	require.JSONEq(t, `{"id":"acme","format":"openai","executor":"acme","base_urls":["https://api.acme.example/v1"],"auth":[{"type":"api_key","apply":"bearer"}]}`, string(m.Provides[0].Profile()))

	require.NoError(t, m.Supports("0.7.1"))
	require.NoError(t, m.Supports("dev"))
	require.ErrorContains(t, m.Supports("2.0.0"), "needs OmniRoute >=0.6 <2")
}

func TestParseRefuses(t *testing.T) {
	for _, c := range [][3]string{
		{`"version":"1.2.0"`, `"version":"one"`, "semantic version"},
		{`"kv":{`, `"fs":{`, `the capability "fs"`},
		{`"hosts":["api.acme.example"]`, `"hosts":["*.example"]`, "too many hosts"},
		{`"hosts":["api.acme.example"]`, `"hosts":["https://a/b"]`, "not a host"},
		{`"use":["api_key"]`, `"use":["a:b"]`, "invalid name"},
		{`"abi":"1.0"`, `"abi":"2.0"`, "built for ABI 2.0"},
		{`"limits"`, `"isolation":"none","limits"`, "isolation"},
		{`"type":"object"`, `"type":17`, "config_schema"},
		{`https://api.acme.example/v1`, `ftp://x`, "not an http or https URL"},
	} {
		_, err := Parse([]byte(strings.Replace(acme, c[0], c[1], 1)))
		require.ErrorContains(t, err, c[2], c[1])
	}
}

func TestConfig(t *testing.T) {
	m, err := Parse([]byte(acme))
	require.NoError(t, err)
	out, err := m.Config(nil)
	require.NoError(t, err)
	require.JSONEq(t, `{"region":"eu"}`, string(out))
	_, err = m.Config([]byte(`{"region":"mars"}`))
	require.ErrorContains(t, err, "region: enum")
	_, err = m.Config([]byte(`{"planet":"mars"}`))
	require.ErrorContains(t, err, "planet")
}

func TestHosts(t *testing.T) {
	cases := []struct {
		pattern, url string
		want         bool
	}{
		{"api.x.example", "https://api.x.example/v1", true},
		{"api.x.example", "https://API.x.example./v1", true},
		{"api.x.example", "https://api.x.example:443/", true},
		{"api.x.example", "http://api.x.example/", false},
		{"api.x.example", "https://api.x.example:8443/", false},
		{"api.x.example:8443", "https://api.x.example:8443/", true},
		{"http://api.x.example", "http://api.x.example:80/", true},
		{"http://api.x.example", "https://api.x.example/", false},
		{"*.x.example", "https://a.b.x.example/", true},
		{"*.x.example", "https://x.example/", false},
		{"*.x.example", "https://evilx.example/", false},
		{"[::1]:80", "https://[::1]:80/", true},
		{"api.x.example", "https://api.x.example.evil.example/", false},
		{"api.x.example", "https://user@evil.example#api.x.example", false},
	}
	for _, c := range cases {
		h, err := ParseHost(c.pattern)
		require.NoError(t, err, c.pattern)
		u, err := url.Parse(c.url)
		require.NoError(t, err)
		require.Equal(t, c.want, h.Matches(u), "%s %s", c.pattern, c.url)
	}
	for _, bad := range []string{"", "*", "*.", "*.com", "a b", "x/y", "ftp://x", "x:", "x:port", "a.*.b", "u@x", "[::1", "http://"} {
		_, err := ParseHost(bad)
		require.Error(t, err, bad)
	}
	for name, want := range map[string]bool{"127.0.0.1": true, "10.1.2.3": true, "localhost": true, "db.internal": true, "*.internal.lan": true, "nas": true, "8.8.8.8": false, "api.x.example": false, "[fd00::1]": true} {
		h, err := ParseHost(name)
		require.NoError(t, err, name)
		require.Equal(t, want, h.Private(), name)
	}
}

func TestMissing(t *testing.T) {
	given := Grants{HTTP: []string{"*.acme.example"}, Use: []string{"api_key"}}
	asked := Grants{HTTP: []string{"api.acme.example", "evil.example"}, Use: []string{"api_key", "token"}, Reveal: []string{"token"}, KV: true}
	require.Equal(t, "http evil.example, secrets.use token, secrets.reveal token, kv", given.Missing(asked).String())
	require.True(t, given.And(asked).Missing(asked).Empty())
	require.Equal(t, "nothing", Grants{}.String())
	require.Equal(t, Grants{HTTP: []string{"http evil"}}.Missing(Grants{}), Grants{})
}

func TestPackErrors(t *testing.T) {
	const good = "id: acme\nformat: openai\nbase_url: https://acme.example/v1\nmodels:\n- {id: m1, context: 10}\n"
	p, err := ParsePack("acme.provider.yaml", []byte(good))
	require.NoError(t, err)
	require.Equal(t, "local/acme", p.Plugin)
	require.Equal(t, Grants{HTTP: []string{"acme.example"}, Use: []string{"api_key"}}, p.Manifest().Asks())
	for _, c := range [][3]string{
		{"context: 10", "context: ten", `line 5: models[0].context: `},
		{"context: 10", "contxt: 10", `line 5: there is no field "contxt" in models[0]`},
		{"format: openai", "format: telex", "line 2: format: enum"},
		{"id: acme\n", "id: acme\nbase_ulr: x\n", `line 2: there is no field "base_ulr"`},
		{"id: acme\n", "", "id"},
		{"base_url: https://acme.example/v1", "base_url: acme.example", "line 3: base_url"},
		{"base_url: https://acme.example/v1\n", "", "no base_urls"},
		{"id: acme", "id: [", "not valid YAML"},
		{good, "[]", "not a mapping"},
	} {
		_, err := ParsePack("x", []byte(strings.Replace(good, c[0], c[1], 1)))
		require.ErrorContains(t, err, c[2], c[1])
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(acme))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if m, err := Parse(raw); err == nil {
			_ = m.Asks().Missing(Grants{})
			_, _ = m.Config(nil)
		}
	})
}

func FuzzParsePack(f *testing.F) {
	f.Add([]byte("id: a\nformat: openai\nbase_url: https://x.example\nauth: {api_key: {header: X}}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if p, err := ParsePack("x", raw); err == nil {
			_ = p.Manifest().Asks()
		}
	})
}
