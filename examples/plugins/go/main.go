// Command acme is a provider for OmniRoute: where it is, what it offers, and how its requests and answers differ from
// OpenAI's.
package main

import "github.com/omniroute/omniroute/sdk"

var acme = sdk.Provider("acme/acme-llm", "1.0.0").ID("acme").
	Base("https://api.acme.example/v1").Reason("inference").
	Dialect(sdk.OpenAI).Auth(sdk.Bearer("api_key")).
	Models(sdk.Model{ID: "acme-large", Context: 131072, MaxOutput: 8192, Tools: true}).
	Config(sdk.Enum("region", "eu", "us").Default("eu")).
	OnPlan(func(c *sdk.Ctx, p *sdk.Plan) error {
		p.Body.Drop("logit_bias", "seed") // edits are made by the gateway: long texts stay there
		p.Body.Rename("max_completion_tokens", "max_tokens")
		p.Header("X-Acme-Region", c.Config("region"))
		return nil
	}).
	OnResult(func(_ *sdk.Ctx, r *sdk.Result) sdk.Verdict {
		if r.Status == 429 && r.JSON("error.code").Is("daily_quota") {
			return sdk.Cooldown(sdk.Credential, r.JSON("error.reset_ms").Int())
		}
		return sdk.Default(r) // by HTTP status and error body
	}).
	OnFrame(func(s *sdk.Stream, f *sdk.Frame) error {
		if f.JSON("object").Is("acme.thought") {
			return s.Emit(sdk.ReasoningDelta(f.JSON("text")))
		}
		return s.Pass(f.Frame)
	})

func main() { sdk.Serve(acme) } // does nothing outside WebAssembly
