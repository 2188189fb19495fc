// Guest caps uses everything that a plugin can be granted. What it does is
// chosen by the model of the call; the result stands in the header X-Result.
package main

import (
	"strconv"
	"strings"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
)

var caps = sdk.Provider("test/caps", "1.0.0").
	Base("https://api.caps.example/v1").Hosts("*.caps.example", "https://caps.example:8443").
	Auth(sdk.Bearer("api_key")).Uses("signing_key").KV("sessions").
	Models(sdk.Model{ID: "plain"}).
	ReadsBody().
	OnPlan(plan).
	OnSign(sign)

func main() { sdk.Serve(caps) }

func plan(c *sdk.Ctx, p *sdk.Plan) error {
	what, arg, _ := strings.Cut(c.Model, " ")
	var result string
	var err error
	switch what {
	case "put":
		key, value, _ := strings.Cut(arg, "=")
		err = c.KVPut(key, []byte(value), 0)
	case "big":
		n, _ := strconv.Atoi(arg)
		err = c.KVPut("big"+arg, make([]byte, n), 0)
	case "get":
		var value []byte
		var ok bool
		value, ok, err = c.KVGet(arg)
		result = strconv.FormatBool(ok) + " " + string(value)
	case "del":
		err = c.KVDelete(arg)
	case "hmac":
		var mac []byte
		mac, err = c.HMAC(abi.DigestSHA256, arg, []byte("what to sign"))
		result = hex(mac)
	case "read":
		var secret []byte
		secret, err = c.Secret(arg)
		result = string(secret)
	case "auth":
		p.Auth = sdk.Bearer(arg)
	case "mark":
		p.Header("X-Mark", "{{secret:"+arg+"}}")
	case "custom":
		p.Auth = sdk.Custom("signing_key")
	case "url":
		p.URLs = []string{arg}
	}
	if err != nil {
		return err
	}
	p.Header("X-Result", result)
	return nil
}

func sign(c *sdk.Ctx, r *sdk.Signing) ([]abi.Header, error) {
	mac, err := c.HMAC(abi.DigestSHA256, "signing_key", []byte(r.Method+" "+r.URL+" "+hex(r.BodyDigest)))
	if err != nil {
		return nil, err
	}
	return []abi.Header{{Name: "X-Signature", Value: hex(mac)}, {Name: "X-Key", Value: "{{secret:api_key}}"}}, nil
}

func hex(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}
