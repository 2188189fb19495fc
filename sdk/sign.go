package sdk

import "github.com/omniroute/omniroute/sdk/abi"

// Signing is a request that is about to be sent, as an executor that signs it
// sees it: without secrets, and with the digest of its body.
type Signing struct {
	Method     string
	URL        string
	Headers    []abi.Header
	BodyDigest []byte // SHA-256 of the final body
}

// Signer is an executor whose plans have the auth directive custom. The body is
// final when it is asked, unlike in a plan.
type Signer interface {
	// Sign returns the headers to add. [Ctx.HMAC] signs with a secret of the
	// account; {{secret:name}} in a value is filled in by the host.
	Sign(c *Ctx, r *Signing) ([]abi.Header, error)
}

// Custom is the auth directive of a plan that the executor signs itself; see
// [ProviderPart.OnSign]. The names are those of the secrets it uses.
func Custom(secrets ...string) Auth { return Auth{directive: "custom", secrets: secrets} }

// SigV4 signs requests for a service of AWS with the account's secrets
// access_key_id, secret_access_key and, where there is one, session_token.
func SigV4(service, region string) Auth {
	return Auth{
		directive: "aws-sigv4:" + service + ":" + region,
		secrets:   []string{"access_key_id", "secret_access_key", "session_token"},
	}
}

// GoogleSA exchanges the key file of a service account, which is the secret of
// that name, for a bearer token. Scopes are parted by blanks; "" = cloud-platform.
func GoogleSA(secret, scopes string) Auth {
	return Auth{directive: "google-sa:" + secret + ":" + scopes, secrets: []string{secret}}
}

// HMACAuth writes the keyed digest of a text into a header. The algorithm is
// sha256-hex, sha256-base64 and so on; the template names what is signed:
// {method} {host} {path} {query} {body} {body_sha256} {time} {header:NAME}, and
// \n for a line break.
func HMACAuth(algorithm, secret, header, template string) Auth {
	return Auth{directive: "hmac:" + algorithm + ":" + secret + ":" + header + ":" + template, secrets: []string{secret}}
}

// CookieAuth sends a secret as a cookie; the name "*" sends a whole cookie
// header as it was stored.
func CookieAuth(name, secret string) Auth {
	return Auth{directive: "cookie:" + name + ":" + secret, secrets: []string{secret}}
}

// KV asks for a small store of the plugin's own; the reason is for the operator.
func (p *ProviderPart) KV(reason string) *ProviderPart { p.store = reason; return p }

// Uses asks for further secrets of the account, which the host puts into
// requests: those of markers and of [Ctx.HMAC].
func (p *ProviderPart) Uses(secrets ...string) *ProviderPart {
	p.also = append(p.also, secrets...)
	return p
}

// Reveals asks to read secrets with [Ctx.Secret]. Few operators will grant it.
func (p *ProviderPart) Reveals(secrets ...string) *ProviderPart {
	p.reveal = append(p.reveal, secrets...)
	return p
}

// OnSign signs requests whose auth directive is custom; see [Signer].
func (p *ProviderPart) OnSign(f func(*Ctx, *Signing) ([]abi.Header, error)) *ProviderPart {
	p.onSign = f
	return p
}

// Sign implements [Signer].
func (x *providerExecutor) Sign(c *Ctx, r *Signing) ([]abi.Header, error) {
	if x.p.onSign == nil {
		return nil, unsupported(abi.OpExSign)
	}
	return x.p.onSign(c, r)
}

func (m *Module) sign(c *call) error {
	ex, err := m.executor(c.Part)
	if err != nil {
		return err
	}
	s, ok := ex.(Signer)
	if !ok {
		return unsupported(abi.OpExSign)
	}
	headers, err := s.Sign(&c.Ctx, &c.signing)
	if err != nil {
		return err
	}
	for _, h := range headers {
		m.out.Pair(abi.TagPlanHeader, h.Name, h.Value)
	}
	return nil
}
