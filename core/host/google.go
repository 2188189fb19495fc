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
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-json"
	"golang.org/x/sync/singleflight"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
)

// googleScope is asked for where a directive names no scope.
const googleScope = "https://www.googleapis.com/auth/cloud-platform"

// Tokens last an hour; one that is about to run out is not used any more.
const (
	assertionLife = time.Hour
	tokenMargin   = time.Minute
)

// tokens keeps access tokens that were exchanged for keys, in memory alone.
type tokens struct {
	flight singleflight.Group
	mu     sync.Mutex
	have   map[[sha256.Size]byte]token
}

type token struct {
	value string
	until time.Time
}

// maxTokens bounds how many are kept; beyond it those that ran out go, or all.
const maxTokens = 1024

func (t *tokens) find(key [sha256.Size]byte, now time.Time) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, ok := t.have[key]
	return v.value, ok && now.Before(v.until)
}

func (t *tokens) keep(key [sha256.Size]byte, v token, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.have) >= maxTokens {
		for k, old := range t.have {
			if !now.Before(old.until) {
				delete(t.have, k)
			}
		}
	}
	if t.have == nil || len(t.have) >= maxTokens {
		t.have = map[[sha256.Size]byte]token{}
	}
	t.have[key] = v
}

// serviceAccount is a key file of a Google service account.
type serviceAccount struct {
	Type     string `json:"type"`
	Email    string `json:"client_email"`
	KeyID    string `json:"private_key_id"`
	Key      string `json:"private_key"`
	TokenURI string `json:"token_uri"`
}

// googleToken exchanges a signed assertion for an access token (RFC 7523), once
// for all who ask, and keeps it until shortly before it runs out.
func (f *filler) googleToken(key, scopes string) string {
	if f.err != nil {
		return ""
	}
	if scopes == "" {
		scopes = googleScope
	}
	store := &tokens{}
	if f.plan.by != nil {
		store = &f.plan.by.mod.host.tokens
	}
	id := sha256.Sum256([]byte(scopes + "\x00" + key))
	if v, ok := store.find(id, f.now()); ok {
		return v
	}
	if f.effects == nil {
		f.fail("No access token for the service account is at hand")
		return ""
	}
	v, err, _ := store.flight.Do(string(id[:]), func() (any, error) {
		return f.exchange(store, id, key, scopes)
	})
	if err != nil {
		if f.err == nil {
			f.err = err
		}
		return ""
	}
	return v.(string)
}

func (f *filler) exchange(store *tokens, id [sha256.Size]byte, key, scopes string) (string, error) {
	if v, ok := store.find(id, f.now()); ok { // made while this one waited
		return v, nil
	}
	var account serviceAccount
	if err := json.Unmarshal([]byte(key), &account); err != nil || account.Email == "" || account.Key == "" {
		return "", badCredential("The credential is not the key file of a service account")
	}
	if account.TokenURI == "" {
		account.TokenURI = "https://oauth2.googleapis.com/token"
	}
	now := f.now()
	assertion, err := account.assertion(scopes, now)
	if err != nil {
		return "", badCredential("The private key of the service account cannot be used")
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}
	reply, err := f.effects(context.WithoutCancel(f.ctx), &Plan{ // others may wait for it too
		Method: "POST", URLs: []string{account.TokenURI}, Body: []byte(form.Encode()), Auth: "none",
		Header:   []abi.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}, {Name: "Accept", Value: "application/json"}},
		Timeouts: PlanTimeouts{Total: 30 * time.Second}, Idempotent: true,
	})
	if err != nil {
		return "", err
	}
	var answer struct {
		Token   string  `json:"access_token"`
		Expires float64 `json:"expires_in"`
		Error   string  `json:"error_description"`
	}
	if err := json.Unmarshal(reply.Body, &answer); err != nil || reply.Status != 200 || answer.Token == "" {
		if reply.Status >= 500 || reply.Status == 429 {
			return "", fault.Upstream(reply.Status, "The token endpoint of the service account is not available")
		}
		return "", badCredential("The service account was refused: " + answer.Error)
	}
	life := time.Duration(answer.Expires) * time.Second
	store.keep(id, token{answer.Token, now.Add(life - tokenMargin)}, now)
	return answer.Token, nil
}

func badCredential(text string) error {
	e := fault.New(fault.InvalidKey, strings.TrimSuffix(strings.TrimSpace(text), ":"))
	e.Scope = fault.ScopeCredential
	return e
}

// assertion is a JSON Web Token, signed with RS256.
func (a *serviceAccount) assertion(scopes string, now time.Time) (string, error) {
	block, _ := pem.Decode([]byte(a.Key))
	if block == nil {
		return "", errors.New("no PEM block")
	}
	var private *rsa.PrivateKey
	if parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		private, _ = parsed.(*rsa.PrivateKey)
	} else if private, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
		return "", err
	}
	if private == nil {
		return "", errors.New("not an RSA key")
	}
	head, err := json.Marshal(map[string]string{"alg": "RS256", "typ": "JWT", "kid": a.KeyID})
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{
		"iss": a.Email, "scope": scopes, "aud": a.TokenURI, "iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}
