// Command lender uses what the gateway lends to plugins that ask for it, answers
// by itself, and has requests made before it plans: by the model's name. It is
// the same in every language.
package main

import (
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
)

var lender = sdk.Provider("test/lender", "1.0.0").ID("lender").
	Base("https://api.lend.example/v1").Hosts("api.lend.example").
	Dialect(sdk.OpenAI).Auth(sdk.Bearer("api_key")).Uses("signing_key").KV("counts").
	Models(sdk.Model{ID: "plain"}).
	OnPlan(plan)

func plan(c *sdk.Ctx, p *sdk.Plan) error {
	switch c.Model {
	case "count":
		value, ok, err := c.KVGet("count")
		if err != nil {
			return err
		}
		if !ok {
			value = []byte("none")
		}
		p.Header("X-Count", string(value))
		if err := c.KVPut("count", []byte("changed"), 60_000); err != nil {
			return err
		}
		if err := c.KVDelete("other"); err != nil {
			return err
		}
		value, _, _ = c.KVGet("count")
		p.Header("X-Now", string(value))
	case "sign":
		mac, err := c.HMAC(abi.DigestSHA256, "signing_key", []byte("what to sign"))
		if err != nil {
			return err
		}
		p.Header("X-Signature", hex(mac))
	case "reveal":
		_, err := c.Secret("api_key")
		return err
	case "local":
		p.Answer(&sdk.Local{Status: 200, Headers: []abi.Header{{Name: "X-Local", Value: "yes"}}, Body: []byte(`{"ok":true}`)})
	case "play":
		p.Answer(&sdk.Local{Frames: []abi.Frame{{Payload: []byte(`{"n":1}`)}, {Name: "late", DelayMS: 5, Payload: []byte(`{"n":2}`)}}})
	case "ask":
		if len(c.Replies) == 0 {
			ask := sdk.Plan{Method: "GET", URLs: []string{"https://api.lend.example/token"}}
			ask.Header("X-Ask", "1")
			return &sdk.Need{Plans: []sdk.Plan{ask}, Keep: []byte("state")}
		}
		r := c.Replies[0]
		if r.Err != nil {
			p.Header("X-Failed", r.Err.Message)
			return nil
		}
		p.Header("X-Token", sdk.JSON(r.Body).Get("token").Text())
		p.Header("X-Kept", string(c.Continuation))
	}
	return nil
}

func hex(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}

func main() { sdk.Serve(lender) }
