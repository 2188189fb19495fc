// Command drop is the drop-in plugin of the end-to-end tests. Built for WebAssembly it is the plugin; run
// natively it prints the manifest that belongs into the file.
package main

import (
	"os"
	"runtime"
	"strings"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
)

// version is set by the linker.
var version = "0"

func plugin() *sdk.ProviderPart {
	return sdk.Provider("test/drop", "1.0."+version).
		Base("https://drop.example/v1").
		Dialect(sdk.OpenAI).Auth(sdk.Bearer("api_key")).
		Models(sdk.Model{ID: "local", Context: 1000}, sdk.Model{ID: "panic", Context: 1000}, sdk.Model{ID: "trap", Context: 1000}).
		ReadsBody().
		OnPlan(plan).
		OnFrame(frame)
}

func main() {
	p := plugin()
	sdk.Serve(p)
	if runtime.GOOS != "wasip1" {
		_, _ = os.Stdout.Write(p.Module().Manifest())
	}
}

func plan(c *sdk.Ctx, p *sdk.Plan) error {
	switch c.Model {
	case "local":
		text := "version " + version
		p.Answer(&sdk.Local{
			Headers: []abi.Header{{Name: "Content-Type", Value: "application/json"}},
			Body:    []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"local","choices":[{"index":0,"message":{"role":"assistant","content":"` + text + `"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`),
		})
	case "panic":
		panic("the plugin panics as asked")
	case "trap":
		trap(1)
	}
	return nil
}

// frame passes every event through the guest; the word boom makes it panic.
func frame(s *sdk.Stream, f *sdk.Frame) error {
	if strings.Contains(string(f.Payload), "boom") {
		panic("the plugin panics in a stream")
	}
	return s.Pass(f.Frame)
}

// trap overflows the stack, which no recover can catch.
//
//go:noinline
func trap(n int) int {
	var pad [256]int
	pad[n%256] = n
	return trap(n+1) + pad[(n+1)%256]
}
