package host

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-json"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
)

// The vectors are those AWS publishes: the Signature Version 4 test suite, and
// the ListUsers example of the IAM user guide.
func TestSigV4(t *testing.T) {
	keys := awsKeys{id: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	at := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	cases := []struct {
		name, method, url string
		header            []abi.Header
		body              string
		service           string
		signed, signature string
	}{
		{"get-vanilla", "GET", "https://example.amazonaws.com/", nil, "", "service",
			"host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"get-vanilla-empty-query-key", "GET", "https://example.amazonaws.com/?Param1=value1", nil, "", "service",
			"host;x-amz-date", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
		{"get-vanilla-query-order-key-case", "GET", "https://example.amazonaws.com/?Param2=value2&Param1=value1", nil, "", "service",
			"host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{"post-vanilla", "POST", "https://example.amazonaws.com/", nil, "", "service",
			"host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		{"post-x-www-form-urlencoded", "POST", "https://example.amazonaws.com/",
			[]abi.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}}, "Param1=value1", "service",
			"content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
		{"get-unreserved", "GET", "https://example.amazonaws.com/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", nil, "", "service",
			"host;x-amz-date", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
		{"get-relative", "GET", "https://example.amazonaws.com/example/..", nil, "", "service",
			"host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"iam", "GET", "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
			[]abi.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded; charset=utf-8"}}, "", "iam",
			"content-type;host;x-amz-date", "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			u, err := url.Parse(c.url)
			require.NoError(t, err)
			got := sigV4(c.method, u, c.header, []byte(c.body), keys, c.service, "us-east-1", at)
			require.Equal(t, "20150830T123600Z", headerValue(got, "X-Amz-Date"))
			require.Equal(t, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/"+c.service+
				"/aws4_request, SignedHeaders="+c.signed+", Signature="+c.signature, headerValue(got, "Authorization"))
		})
	}
	u, _ := url.Parse("https://bucket.s3.amazonaws.com/a%20b")
	keys.token = "session"
	got := sigV4("PUT", u, nil, []byte("x"), keys, "s3", "us-east-1", at)
	require.Equal(t, "session", headerValue(got, "X-Amz-Security-Token"))
	require.Contains(t, headerValue(got, "Authorization"), "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,")
	require.Equal(t, "/model/anthropic.claude%253A0/invoke", awsPath(&url.URL{Path: "/model/anthropic.claude:0/invoke", RawPath: "/model/anthropic.claude%3A0/invoke"}, "bedrock"))
}

// A signature covers the URL it is for, so each URL of a plan has its own.
func TestSignedPerURL(t *testing.T) {
	have := Secrets(func(name string) (string, bool) {
		v, ok := map[string]string{"access_key_id": "ID", "secret_access_key": "KEY", "k": "key"}[name]
		return v, ok
	})
	p := &Plan{Method: "POST", URLs: []string{"https://a.example/x", "https://b.example/x"}, Auth: "aws-sigv4:bedrock:eu-west-1",
		Header: []abi.Header{{Name: "X-One", Value: "1"}}}
	r, err := Fill(t.Context(), p, have, []byte("{}"), nil)
	require.NoError(t, err)
	a, b := r.HeaderFor("https://a.example/x"), r.HeaderFor("https://b.example/x")
	require.Equal(t, "1", headerValue(a, "X-One"))
	require.NotEqual(t, headerValue(a, "Authorization"), headerValue(b, "Authorization"))
	require.Contains(t, headerValue(a, "Authorization"), "Credential=ID/")

	// RFC 4231 test case 2 is HMAC-SHA-256 of this text with the key "Jefe".
	jefe := Secrets(func(string) (string, bool) { return "Jefe", true })
	r, err = Fill(t.Context(), &Plan{Method: "POST", URLs: []string{"https://a.example/p?q=1"}, Auth: "hmac:sha256-hex:k:X-Sig:{body}"}, jefe,
		[]byte("what do ya want for nothing?"), nil)
	require.NoError(t, err)
	require.Equal(t, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", headerValue(r.HeaderFor("https://a.example/p?q=1"), "X-Sig"))

	u, _ := url.Parse("https://a.example/p%20q?b=2")
	text, ok := canonical(`{method}\n{host}{path}?{query}\n{time}\n{header:X-A}\n{body_sha256}`,
		&Request{Method: "PUT", Header: []abi.Header{{Name: "x-a", Value: "v"}}}, u, 7)
	require.True(t, ok)
	require.Equal(t, "PUT\na.example/p%20q?b=2\n7\nv\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", string(text))
}

func TestCookieAuth(t *testing.T) {
	jar := Secrets(func(name string) (string, bool) {
		return map[string]string{"s": "abc", "whole": "a=1; b=2", "evil": "x;y"}[name], true
	})
	for directive, want := range map[string]string{"cookie:sid:s": "lang=en; sid=abc", "cookie:*:whole": "lang=en; a=1; b=2"} {
		r, err := Fill(t.Context(), &Plan{URLs: []string{"https://a.example"}, Auth: directive, Header: []abi.Header{{Name: "Cookie", Value: "lang=en"}}}, jar, nil, nil)
		require.NoError(t, err)
		require.Equal(t, want, headerValue(r.Header, "Cookie"))
	}
	_, err := Fill(t.Context(), &Plan{URLs: []string{"https://a.example"}, Auth: "cookie:sid:evil"}, jar, nil, nil)
	require.ErrorContains(t, err, "no cookie may have")
}

func TestBadDirectives(t *testing.T) {
	all := Secrets(func(string) (string, bool) { return "v", true })
	for _, directive := range []string{
		"cookie:a", "cookie::s", "aws-sigv4:bedrock", "aws-sigv4::eu", "hmac:sha256-hex:k:X-S", "hmac:sha3-hex:k:X-S:{body}",
		"hmac:sha256-oct:k:X-S:{body}", "hmac:sha256-hex:k:X S:{body}", "hmac:sha256-hex:k:X-S:{moon}", "hmac:sha256-hex:k:X-S:{body", "custom", "magic:x",
	} {
		_, err := Fill(t.Context(), &Plan{URLs: []string{"https://a.example"}, Auth: directive}, all, nil, nil)
		require.Error(t, err, directive)
		require.Equal(t, fault.ClassPlugin, fault.As(err).Class, directive)
	}
}

func TestGoogleServiceAccount(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	file, err := json.Marshal(serviceAccount{
		Type: "service_account", Email: "bot@project.example", KeyID: "kid-1", TokenURI: "https://oauth.example/token",
		Key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	require.NoError(t, err)
	secret := Secrets(func(name string) (string, bool) { return string(file), name == "sa" })

	now := time.Unix(1_700_000_000, 0)
	h := &Host{opt: Options{Now: func() time.Time { return now }}}
	x := &Executor{mod: &module{host: h, manifest: &manifest{}}}
	var mu sync.Mutex
	asked := 0
	status := 200
	effects := Effects(func(_ context.Context, p *Plan) (*Reply, error) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		require.Equal(t, []string{"https://oauth.example/token"}, p.URLs)
		form, err := url.ParseQuery(string(p.Body))
		require.NoError(t, err)
		require.Equal(t, "urn:ietf:params:oauth:grant-type:jwt-bearer", form.Get("grant_type"))
		parts := strings.Split(form.Get("assertion"), ".")
		require.Len(t, parts, 3)
		sig, err := base64.RawURLEncoding.DecodeString(parts[2])
		require.NoError(t, err)
		sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		require.NoError(t, rsa.VerifyPKCS1v15(&private.PublicKey, crypto.SHA256, sum[:], sig))
		claims, err := base64.RawURLEncoding.DecodeString(parts[1])
		require.NoError(t, err)
		require.JSONEq(t, fmt.Sprintf(`{"iss":"bot@project.example","scope":"https://www.googleapis.com/auth/cloud-platform","aud":"https://oauth.example/token","iat":%d,"exp":%d}`,
			now.Unix(), now.Unix()+3600), string(claims))
		if status != 200 {
			return &Reply{Status: status, Body: []byte(`{"error":"invalid_grant","error_description":"Invalid JWT"}`)}, nil
		}
		return &Reply{Status: 200, Body: []byte(fmt.Sprintf(`{"access_token":"ya29.%d","expires_in":3600}`, asked))}, nil
	})
	fill := func(e Effects) (string, error) {
		r, err := Fill(t.Context(), &Plan{URLs: []string{"https://a.example"}, Auth: "google-sa:sa", by: x}, secret, nil, e)
		if err != nil {
			return "", err
		}
		return headerValue(r.Header, "Authorization"), nil
	}
	_, err = fill(nil)
	require.ErrorContains(t, err, "No access token")

	var wg sync.WaitGroup
	for range 8 { // one exchange serves all who ask
		wg.Go(func() {
			if got, err := fill(effects); err != nil || got != "Bearer ya29.1" {
				t.Error(got, err)
			}
		})
	}
	wg.Wait()
	now = now.Add(58 * time.Minute)
	got, err := fill(nil)
	require.NoError(t, err)
	require.Equal(t, "Bearer ya29.1", got, "kept without asking")
	now = now.Add(2 * time.Minute)
	got, err = fill(effects)
	require.NoError(t, err)
	require.Equal(t, "Bearer ya29.2", got, "renewed before it runs out")

	now, status = now.Add(2*time.Hour), 400
	_, err = fill(effects)
	require.ErrorContains(t, err, "Invalid JWT")
	require.Equal(t, fault.ScopeCredential, fault.As(err).Scope)
	file = []byte(`{"type":"authorized_user"}`)
	_, err = fill(effects)
	require.ErrorContains(t, err, "not the key file of a service account")
}
