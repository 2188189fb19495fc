package index

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/host/pack"
)

func file(t *testing.T, name, version string) *pack.File {
	t.Helper()
	f, err := pack.Open("x.provider.yaml", fmt.Appendf(nil,
		"id: acme\nplugin: %s\nversion: %s\nsummary: Fast models\nformat: openai\nbase_url: https://api.acme.example\n", name, version), nil)
	require.NoError(t, err)
	return f
}

func TestIndex(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	x := &Index{Serial: 7, Expires: now.Add(24 * time.Hour)}
	for _, v := range []string{"1.0.0", "2.0.0-rc1", "1.10.0", "1.9.0"} {
		require.NoError(t, x.Add(file(t, "acme/llm", v), "acme-"+v+".provider.yaml"))
	}
	require.NoError(t, x.Add(file(t, "other/thing", "1.0.0"), "https://x.example/thing"))
	raw, err := x.Format()
	require.NoError(t, err)
	signer, _, _, err := pack.NewSigner(nil, "")
	require.NoError(t, err)
	stranger, _, _, err := pack.NewSigner(nil, "")
	require.NoError(t, err)
	sig, err := signer.SignBytes(raw, "index")
	require.NoError(t, err)

	y, err := Open(raw, sig, []pack.Key{stranger.Key, signer.Key}, now)
	require.NoError(t, err)
	p := y.Find("acme/llm")
	require.Equal(t, "1.10.0", p.Choose("", "dev").Version)
	require.Equal(t, "1.0.0", p.Choose("~1.0", "dev").Version)
	require.Equal(t, "2.0.0-rc1", p.Choose("2.0.0-rc1", "dev").Version)
	require.Nil(t, p.Choose("^3", "dev"))
	p.Versions[1].Yanked = true // 1.10.0
	require.Equal(t, "1.9.0", p.Choose("", "dev").Version)
	require.Equal(t, "1.10.0", p.Choose("1.10.0", "dev").Version)
	p.Versions[2].Requires.OmniRoute = ">=9"
	require.Equal(t, "1.0.0", p.Choose("", "1.0.0").Version)
	require.Equal(t, []string{"http api.acme.example", "secrets.use api_key"}, p.Versions[0].Caps)
	require.Len(t, y.Search("fast ACME"), 1)
	require.Len(t, y.Search("provider"), 2)
	require.NoError(t, y.NotBefore(7))
	require.ErrorContains(t, y.NotBefore(8), "someone shows an old one")

	_, err = Open(raw, sig, []pack.Key{signer.Key}, now.Add(48*time.Hour))
	require.ErrorContains(t, err, "expired on 2026-03-02")
	_, err = Open(raw, sig, []pack.Key{stranger.Key}, now)
	require.ErrorContains(t, err, "not signed by one of its keys")
	_, err = Open(append(raw, ' '), sig, []pack.Key{signer.Key}, now)
	require.ErrorIs(t, err, pack.ErrBadSignature)
	_, err = Parse([]byte(`{"schema":1,"plugins":[{"name":"acme/llm","versions":[{"version":"1.0.0"}]}]}`))
	require.ErrorContains(t, err, "incomplete version")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"schema":1,"serial":1,"plugins":[{"name":"a/b","versions":[{"version":"1.0.0","file_digest":"x","urls":["u"]}]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if x, err := Parse(raw); err == nil {
			for k := range x.Plugins {
				x.Plugins[k].Choose("^1", "1.0.0")
			}
		}
	})
}
