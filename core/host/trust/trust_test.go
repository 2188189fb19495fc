package trust

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/host/lock"
	"github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/core/host/pack"
)

const yaml = "id: acme\nplugin: acme/llm\nversion: 1.2.0\nformat: openai\nbase_url: https://api.acme.example\n"

func file(t *testing.T, text string, by ...pack.Signer) *pack.File {
	t.Helper()
	f, err := pack.Open("acme.provider.yaml", []byte(text), nil)
	require.NoError(t, err)
	var sigs []byte
	for _, s := range by {
		text, err := f.Sign(s)
		require.NoError(t, err)
		sigs = append(sigs, text...)
	}
	f, err = pack.Open("acme.provider.yaml", []byte(text), sigs)
	require.NoError(t, err)
	return f
}

func signer(t *testing.T) pack.Signer {
	t.Helper()
	s, _, _, err := pack.NewSigner(rand.Reader, "")
	require.NoError(t, err)
	return s
}

func TestModes(t *testing.T) {
	acme, stranger := signer(t), signer(t)
	key := Key{Key: acme.Key, Name: "acme", Scope: []string{"acme/*"}}
	elsewhere := Key{Key: acme.Key, Name: "acme", Scope: []string{"other/*"}}
	cases := []struct {
		name      string
		policy    Policy
		file      *pack.File
		err       string
		isolation string
		signed    bool
	}{
		{"warn unsigned", Policy{}, file(t, yaml), "", "stream", false},
		{"dev unsigned", Policy{Mode: Dev}, file(t, yaml), "", "shared", false},
		{"isolation of unsigned", Policy{Isolation: "call"}, file(t, yaml), "", "call", false},
		{"enforce unsigned", Policy{Mode: Enforce}, file(t, yaml), "not signed", "", false},
		{"enforce allowed", Policy{Mode: Enforce, Allow: []string{"./dev/*"}}, file(t, yaml), "", "stream", false},
		{"enforce signed", Policy{Mode: Enforce, Keys: []Key{key}}, file(t, yaml, acme), "", "shared", true},
		{"enforce stranger", Policy{Mode: Enforce, Keys: []Key{key}}, file(t, yaml, stranger), "not signed", "", false},
		{"enforce two", Policy{Mode: Enforce, Keys: []Key{key}}, file(t, yaml, stranger, acme), "", "shared", true},
		{"out of scope", Policy{Mode: Enforce, Keys: []Key{elsewhere}}, file(t, yaml, acme), "not signed", "", false},
		{"isolation of key", Policy{Keys: []Key{{Key: acme.Key, Isolation: "stream"}}}, file(t, yaml, acme), "", "stream", true},
		{"stranger in warn", Policy{Keys: []Key{key}}, file(t, yaml, stranger), "", "stream", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v, err := c.policy.Judge(Subject{File: c.file, Path: "dev/acme.provider.yaml"})
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.isolation, v.Isolation)
			require.Equal(t, c.signed, v.Signed())
			require.True(t, v.Freeze)
			require.Equal(t, []string{"api.acme.example"}, v.Grants.HTTP)
		})
	}
	broken := file(t, yaml, acme)
	broken, err := pack.Open("acme.provider.yaml", []byte(yaml+"name: Acme\n"), broken.SignatureText())
	require.NoError(t, err)
	_, err = (&Policy{Keys: []Key{key}}).Judge(Subject{File: broken})
	require.ErrorIs(t, err, pack.ErrBadSignature, "in every mode")
}

func TestGrants(t *testing.T) {
	plain := file(t, yaml)
	private := file(t, strings.Replace(yaml, "https://api.acme.example", "http://10.0.0.7:8000", 1))
	pinned := func(e lock.Entry) *lock.Entry { e.Name, e.ContentDigest = "acme/llm", plain.ContentDigest; return &e }
	given := manifest.Grants{HTTP: []string{"api.acme.example"}, Use: []string{"api_key"}}
	cases := []struct {
		name    string
		policy  Policy
		subject Subject
		err     string
	}{
		{"first sight", Policy{}, Subject{File: plain}, ""},
		{"private", Policy{}, Subject{File: private}, "plugins.items"},
		{"private granted", Policy{}, Subject{File: private, Item: Item{Listed: true, Grants: manifest.Grants{HTTP: []string{"http://10.0.0.7:8000"}}}}, ""},
		{"private for all unsigned", Policy{Grants: manifest.Grants{HTTP: []string{"http://10.0.0.7:8000"}}}, Subject{File: private}, ""},
		{"locked", Policy{}, Subject{File: plain, Entry: pinned(lock.Entry{Grants: given})}, ""},
		{"locked without the secret", Policy{}, Subject{File: plain, Entry: pinned(lock.Entry{Grants: manifest.Grants{HTTP: given.HTTP}})}, "plugin approve acme/llm"},
		{"granted in the settings", Policy{}, Subject{File: plain, Item: Item{Grants: given}, Entry: pinned(lock.Entry{})}, ""},
		{"other content", Policy{}, Subject{File: private, Entry: pinned(lock.Entry{Grants: given})}, "not what the lock file says"},
		{"denied host", Policy{Deny: Deny{Hosts: []string{"*.acme.example"}}}, Subject{File: plain, Entry: pinned(lock.Entry{Grants: given})}, "deny forbids what it asks for (http api.acme.example)"},
		{"denied capability", Policy{Deny: Deny{Capabilities: []string{"secrets.use"}}}, Subject{File: plain}, "secrets.use api_key"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v, err := c.policy.Judge(c.subject)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.True(t, v.Grants.Missing(c.subject.File.Manifest.Asks()).Empty())
			require.Equal(t, c.subject.Entry == nil, v.Freeze)
		})
	}
}

func TestRevealTakesAnOperator(t *testing.T) {
	own, special := Special(manifest.Grants{HTTP: []string{"a.example", "localhost"}, Use: []string{"k"}, Reveal: []string{"k"}, KV: true})
	require.Equal(t, manifest.Grants{HTTP: []string{"a.example"}, Use: []string{"k"}, KV: true}, own)
	require.Equal(t, manifest.Grants{HTTP: []string{"localhost"}, Reveal: []string{"k"}}, special)
}
