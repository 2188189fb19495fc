// Command plugin is a provider in thirty lines, compiled to WebAssembly (see run.sh). Natively it is an ordinary
// package that main_test.go tests.
package main

import "github.com/omniroute/omniroute/sdk"

var acme = sdk.Provider("acme/acme-llm", "1.0.0").ID("acme").
	Base("https://api.acme.example/v1").Reason("inference").
	Dialect(sdk.OpenAI).Auth(sdk.Bearer("api_key")).
	Models(sdk.Model{ID: "acme-large", Context: 131072, MaxOutput: 8192, Tools: true}).
	Config(sdk.Enum("region", "eu", "us").Default("eu")).
	OnPlan(func(c *sdk.Ctx, p *sdk.Plan) error {
		p.Body.Drop("logit_bias", "seed")
		p.Body.Rename("max_completion_tokens", "max_tokens")
		p.Header("X-Acme-Region", c.Config("region"))
		return nil
	})

func main() { sdk.Serve(acme) } // does nothing outside WebAssembly
