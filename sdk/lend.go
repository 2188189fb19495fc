package sdk

import "github.com/omniroute/omniroute/sdk/abi"

// Lender is what the host lends to plugins that were granted more than the rest
// of [Env]: a store of their own (capability kv), and the account's secrets, to
// sign with (secrets.use) or, rarely, to read (secrets.reveal). Results below
// zero are abi.Denied, abi.NotFound and abi.TooLarge.
type Lender interface {
	KVGet(key string) (value []byte, code int)
	KVPut(key string, value []byte, ttlMS int64) (code int)
	KVDelete(key string) (code int)
	SecretHMAC(algorithm uint32, name string, data []byte) (mac []byte, code int)
	SecretRead(name string) (secret []byte, code int)
}

// lent is the refusal of a capability.
func lent(code int, what string) error {
	switch {
	case code >= 0:
		return nil
	case code == abi.NotFound:
		return &abi.ErrorRecord{Message: what + " is not there", Class: "plugin", Scope: "request", Status: 502, Code: "not_found"}
	case code == abi.TooLarge:
		return &abi.ErrorRecord{Message: what + " is larger than it may be", Class: "plugin", Scope: "request", Status: 502, Code: "too_large"}
	}
	return &abi.ErrorRecord{Message: what + " was not granted", Class: "plugin", Scope: "plugin", Status: 502, Code: "denied"}
}

func (c *Ctx) lender() Lender {
	if l, ok := c.env.(Lender); ok {
		return l
	}
	return noLender{}
}

// KVGet reads a value from the plugin's own store; ok is false where there is
// none. The manifest has to ask for the capability kv: see [ProviderPart.KV].
func (c *Ctx) KVGet(key string) (value []byte, ok bool, err error) {
	value, code := c.lender().KVGet(key)
	if code == abi.NotFound {
		return nil, false, nil
	}
	return value, code >= 0, lent(code, "kv")
}

// KVPut stores a value of at most 64 KiB; ttlMS is its life in milliseconds, 0
// = for ever. All values of a plugin together have at most 1 MiB.
func (c *Ctx) KVPut(key string, value []byte, ttlMS int64) error {
	return lent(c.lender().KVPut(key, value, ttlMS), "kv value "+key)
}

// KVDelete removes a value, also one that is not there.
func (c *Ctx) KVDelete(key string) error {
	if code := c.lender().KVDelete(key); code != abi.NotFound {
		return lent(code, "kv")
	}
	return nil
}

// HMAC computes a keyed digest with a secret of the account, which the plugin
// does not see. The algorithm is one of abi.DigestSHA256 and its siblings.
func (c *Ctx) HMAC(algorithm uint32, secret string, data []byte) ([]byte, error) {
	mac, code := c.lender().SecretHMAC(algorithm, secret, data)
	return mac, lent(code, "secret "+secret)
}

// Secret reads a secret of the account. Operators grant this to few plugins;
// think of [Plan] markers, auth directives and [Ctx.HMAC] first.
func (c *Ctx) Secret(name string) ([]byte, error) {
	secret, code := c.lender().SecretRead(name)
	return secret, lent(code, "secret "+name)
}

// noLender grants nothing.
type noLender struct{}

func (noLender) KVGet(string) ([]byte, int)                      { return nil, abi.Denied }
func (noLender) KVPut(string, []byte, int64) int                 { return abi.Denied }
func (noLender) KVDelete(string) int                             { return abi.Denied }
func (noLender) SecretHMAC(uint32, string, []byte) ([]byte, int) { return nil, abi.Denied }
func (noLender) SecretRead(string) ([]byte, int)                 { return nil, abi.Denied }
