package sdk_test

import (
	"encoding/json"
	"testing"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/fixture"
	"github.com/omniroute/omniroute/sdk/plugintest"
	"github.com/stretchr/testify/require"
)

// acme is the provider of the package comment, with every hook.
func acme() *sdk.ProviderPart {
	return sdk.Provider("acme/acme-llm", "1.2.0").
		ID("acme").Alias("ac").
		Base("https://api.acme.example/v1").Hosts("*.cdn.acme.example").
		Dialect(sdk.OpenAI).Auth(sdk.Bearer("api_key")).
		Models(sdk.Model{ID: "acme-large", Context: 131072, MaxOutput: 8192, Tools: true}).
		Config(sdk.Enum("region", "eu", "us").Default("eu").Title("Region"), sdk.Number("depth").Default("3"), sdk.Switch("fast")).
		OnPlan(func(c *sdk.Ctx, p *sdk.Plan) error {
			p.Body.Drop("logit_bias", "seed", "seed")
			p.Body.Rename("max_completion_tokens", "max_tokens")
			p.Header("X-Acme-Region", c.Config("region"))
			return nil
		}).
		OnResult(func(_ *sdk.Ctx, r *sdk.Result) sdk.Verdict {
			if r.Status == 429 && r.JSON("error.code").Is("daily_quota") {
				return sdk.Cooldown(sdk.Credential, r.JSON("error.reset_ms").Int())
			}
			return sdk.Default(r)
		}).
		OnFrame(func(s *sdk.Stream, f *sdk.Frame) error {
			if f.JSON("object").Is("acme.thought") {
				return s.Emit(sdk.ReasoningDelta(f.JSON("text")))
			}
			s.Usage(sdk.Usage{Prompt: 1, Completion: 2, Total: 3})
			return s.Pass(f.Frame)
		})
}

func TestProviderCases(t *testing.T) { plugintest.Run(t, acme(), "testdata") }

func TestProviderManifest(t *testing.T) {
	require.JSONEq(t, `{"schema":1,"name":"acme/acme-llm","version":"1.2.0","abi":"1.0","features":["skeleton"],
		"provides":[{"kind":"executor","id":"acme","alias":["ac"],"dialect":"openai","endpoints":["chat"],
			"base_urls":["https://api.acme.example/v1"],"auth":[{"type":"api_key","apply":"bearer"}],"framing":"sse","stream":"frames","body":"none",
			"models":[{"id":"acme-large","context":131072,"max_output":8192,"tools":true,"images":false,"reasoning":false}]}],
		"capabilities":{"http":{"hosts":["api.acme.example","*.cdn.acme.example"],"reason":"inference"},
			"secrets":{"use":["api_key"],"reason":"authentication"}},
		"isolation":"shared","recovery":"replay",
		"config_schema":{"type":"object","additionalProperties":false,"properties":{
			"region":{"type":"string","title":"Region","enum":["eu","us"],"default":"eu"},
			"depth":{"type":"number","default":3},"fast":{"type":"boolean"}}}}`, string(acme().Module().Manifest()))
}

func call(m *sdk.Module, op abi.Op, handle uint32, fields string) (record map[string]any, isError bool) {
	in, err := fixture.Encode([]byte(fields))
	if err != nil {
		panic(err)
	}
	out, isError, _ := fixture.Native(m).Call(op, handle, in, fixture.Host{})
	text, err := fixture.Record(out)
	if err != nil {
		panic(err)
	}
	if err := json.Unmarshal(text, &record); err != nil {
		panic(err)
	}
	return record, isError
}

func TestConfiguration(t *testing.T) {
	m := acme().Module()
	for config, want := range map[string]string{
		`{"region":"mars"}`: "setting region: is not one of the allowed values",
		`{"region":3}`:      "setting region: must be text",
		`{"depth":"x"}`:     "setting depth: must be a number",
		`{"fast":1}`:        "setting fast: must be true or false",
		`{"speed":1}`:       "unknown setting speed",
	} {
		out, isError := call(m, abi.OpConfigure, 0, `{"Config":`+config+`}`)
		require.True(t, isError, config)
		require.Equal(t, want, out["ErrMessage"])
	}
	_, isError := call(m, abi.OpConfigure, 0, `{"Config":{"region":"us"}}`)
	require.False(t, isError)
	out, _ := call(m, abi.OpExPlan, 0, `{"Model":"m"}`)
	require.Contains(t, out["Plan"].(map[string]any)["PlanHeader"], map[string]any{"Name": "X-Acme-Region", "Value": "us"})
}

func TestProfileWinsOverThePlugin(t *testing.T) {
	m := acme().Module()
	out, isError := call(m, abi.OpConfigure, 0, `{"Part":"acme","Provider":"mine","Config":{"base_urls":["http://127.0.0.1:1/v1/"],"headers":{"X-Mine":"1"}}}`)
	require.False(t, isError)
	require.EqualValues(t, abi.BodyNone, out["Needs"])
	out, _ = call(m, abi.OpExPlan, 0, `{"Part":"acme","Provider":"mine","Model":"m"}`)
	plan := out["Plan"].(map[string]any)
	require.Equal(t, "http://127.0.0.1:1/v1/chat/completions", plan["PlanURL"])
	require.Contains(t, plan["PlanHeader"], map[string]any{"Name": "X-Mine", "Value": "1"})
	out, _ = call(m, abi.OpExPlan, 0, `{"Part":"acme","Provider":"other","Model":"m"}`)
	require.Equal(t, "https://api.acme.example/v1/chat/completions", out["Plan"].(map[string]any)["PlanURL"])
}

func TestContentTypeOfAPlan(t *testing.T) {
	m := sdk.Provider("a/b", "1").ID("b").Base("https://b.example/v1").Auth(sdk.NoAuth()).Module()
	out, _ := call(m, abi.OpExPlan, 0, `{"Model":"m"}`)
	require.Equal(t, map[string]any{"Name": "Content-Type", "Value": "application/json"}, out["Plan"].(map[string]any)["PlanHeader"])
	out, _ = call(m, abi.OpExPlan, 0, `{"Model":"m","Endpoint":"models"}`)
	require.Equal(t, "GET", out["Plan"].(map[string]any)["PlanMethod"])
	require.NotContains(t, out["Plan"], "PlanHeader")
	m = sdk.Provider("a/b", "1").ID("b").Base("https://b.example/v1").Auth(sdk.NoAuth()).OnPlan(func(_ *sdk.Ctx, p *sdk.Plan) error {
		p.Header("content-type", "application/vnd.b+json")
		return nil
	}).Module()
	out, _ = call(m, abi.OpExPlan, 0, `{"Model":"m"}`)
	require.Equal(t, map[string]any{"Name": "Content-Type", "Value": "application/vnd.b+json"}, out["Plan"].(map[string]any)["PlanHeader"])
}

func TestAuthInTheManifest(t *testing.T) {
	for want, a := range map[string]sdk.Auth{
		`[]`: sdk.NoAuth(), `[{"type":"oauth","apply":"bearer"}]`: sdk.Bearer("access_token"),
		`[{"type":"api_key","apply":"header"}]`: sdk.HeaderAuth("x-api-key", "api_key", ""),
	} {
		var p struct{ Auth json.RawMessage }
		require.NoError(t, json.Unmarshal(sdk.Provider("a/b", "1").Auth(a).Provides()[0], &p))
		require.Equal(t, want, string(p.Auth))
	}
}

func TestUnsupportedOperations(t *testing.T) {
	m := acme().Module()
	for op, in := range map[abi.Op]string{
		abi.OpAuthStart: `{}`, abi.Op(0x77): `{}`, abi.OpHookFirst: `{}`, abi.OpTrData: `{}`, abi.OpTrEnd: `{}`,
		abi.OpTrRequest: `{"From":"openai","To":"claude"}`, abi.OpTrResponse: `{}`, abi.OpExPlan: `{"Part":"other"}`,
	} {
		_, isError := call(m, op, 9, in)
		require.True(t, isError, op.String())
	}
	_, isError := call(m, abi.OpSelfTest, 0, `{}`)
	require.False(t, isError)
}

func TestMalformedInput(t *testing.T) {
	m := acme().Module()
	for _, op := range []abi.Op{abi.OpExPlan, abi.OpExResult, abi.OpConfigure, abi.OpTrRequest, abi.OpTrOpen} {
		for _, in := range [][]byte{{1}, {1, 2, 3, 4, 5, 6, 7, 8, 9}, make([]byte, 7)} {
			_, isError, err := fixture.Native(m).Call(op, 0, in, fixture.Host{})
			require.NoError(t, err)
			require.True(t, isError, op.String())
		}
	}
}

func FuzzCall(f *testing.F) {
	seed, err := fixture.Encode([]byte(`{"Part":"acme","Model":"m","Stream":1,"Body":{"a":1},"Attributes":{"x":"y"}}`))
	require.NoError(f, err)
	f.Add(uint32(abi.OpExPlan), seed)
	f.Add(uint32(abi.OpExResult), seed)
	f.Fuzz(func(t *testing.T, op uint32, in []byte) {
		m := acme().Module()
		_, _, _ = fixture.Native(m).Call(abi.Op(op), 1, in, fixture.Host{})
	})
}

func TestRetryAfter(t *testing.T) {
	for header, want := range map[string]int64{"1": 1000, "1.5": 1500, "0.25": 250, "0": 0} {
		ms, ok := sdk.RetryAfterMS(&sdk.Result{Headers: []abi.Header{{Name: "Retry-After", Value: header}}})
		require.True(t, ok, header)
		require.Equal(t, want, ms)
	}
	for _, header := range []string{"", "soon", "-1", "1s", "99999999999999", "Wed, 21 Oct 2026 07:28:00 GMT"} {
		_, ok := sdk.RetryAfterMS(&sdk.Result{Headers: []abi.Header{{Name: "retry-after", Value: header}}})
		require.False(t, ok, header)
	}
}

func TestPath(t *testing.T) {
	for _, c := range []struct {
		dialect, endpoint string
		stream            bool
		want              string
	}{
		{sdk.OpenAI, "chat", true, "/chat/completions"}, {sdk.Responses, "chat", false, "/responses"},
		{sdk.Claude, "chat", true, "/messages"}, {sdk.Claude, "count_tokens", false, "/messages/count_tokens"},
		{sdk.Gemini, "chat", true, "/{model}:streamGenerateContent?alt=sse"}, {sdk.Gemini, "chat", false, "/{model}:generateContent"},
		{sdk.Ollama, "chat", true, "/api/chat"}, {sdk.OpenAI, "images", false, "/images/generations"},
	} {
		got, ok := sdk.Path(c.dialect, c.endpoint, c.stream)
		require.True(t, ok)
		require.Equal(t, c.want, got)
	}
	_, ok := sdk.Path("telex", "chat", false)
	require.False(t, ok)
}
