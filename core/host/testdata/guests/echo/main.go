// Guest echo is a provider and a set of deliberate faults for the host's
// tests. What it does is chosen by the model of the call.
package main

import (
	"strings"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
)

var echo = sdk.Provider("test/echo", "1.0.0").
	Base("https://echo.example/v1").
	Models(sdk.Model{ID: "plain"}).
	Config(sdk.Enum("region", "eu", "us").Default("eu")).
	ReadsBody().
	OnPlan(plan).
	OnResult(func(_ *sdk.Ctx, r *sdk.Result) sdk.Verdict { return sdk.Default(r) }).
	OnFrame(frame)

func main() { sdk.Serve(echo) }

var (
	hog   [][]byte
	spins int
	seen  string // what a stream left for another one to find
)

func plan(c *sdk.Ctx, p *sdk.Plan) error {
	switch c.Model {
	case "panic":
		panic("as asked")
	case "trap":
		trap(1)
	case "hog":
		for {
			hog = append(hog, make([]byte, 1<<20))
		}
	case "huge":
		p.Body.Replace(make([]byte, 3<<20))
	case "fail":
		return &abi.ErrorRecord{Message: "no", Class: "quota", Scope: "credential", Status: 402}
	case "log":
		c.Info("hello from the guest")
	case "two":
		if more := (sdk.Plan{Method: "GET", URLs: []string{"https://echo.example/more"}}); len(c.Replies) == 0 {
			return &sdk.Need{Plans: []sdk.Plan{more, more}}
		}
	case "ask":
		return &sdk.Need{Plans: []sdk.Plan{{Method: "GET", URLs: []string{"https://echo.example/more"}}}, Keep: []byte("state")}
	case "need":
		return need(c, p)
	case "random":
		p.Header("X-Rand", hex(c.Rand()))
		p.Header("X-Now", hex(uint64(c.NowMS())))
	case "blob":
		buf := make([]byte, 8)
		n := c.Blobs().Read(0, 2, buf)
		p.Header("X-Blob", string(buf[:n]))
		if c.Blobs().Len(99) >= 0 {
			p.Header("X-Forged", "1")
		}
	case "secretbody":
		p.Body.Set("key", `"{{secret:api_key}}"`)
	case "elsewhere":
		p.URLs = []string{"https://evil.example/"}
	case "badheader":
		p.Header("X-A", "b\r\nX-C: d")
	case "spin":
		for n := 0; ; n++ {
			spins = n
		}
	case "count":
		spins++
		p.Header("X-Count", hex(uint64(spins)))
	case "churn":
		for range 2000 {
			hog = [][]byte{make([]byte, 64<<10)}
		}
	}
	p.Header("X-Region", c.Config("region"))
	return nil
}

func need(c *sdk.Ctx, p *sdk.Plan) error {
	if len(c.Replies) < 1 {
		return &sdk.Need{Plans: []sdk.Plan{{Method: "GET", URLs: []string{"https://echo.example/token"}}}, Keep: []byte("state")}
	}
	p.Header("X-Token", string(c.Replies[0].Body)+"/"+string(c.Continuation))
	return nil
}

// trap overflows the stack, which no recover can catch.
//
//go:noinline
func trap(n int) int {
	var pad [256]int
	pad[n%256] = n
	return trap(n+1) + pad[(n+1)%256]
}

func frame(s *sdk.Stream, f *sdk.Frame) error {
	switch string(f.Payload) {
	case "panic":
		panic("in a stream")
	case "trap":
		trap(1)
	case "spin":
		for n := 0; ; n++ {
			spins = n
		}
	case "steal":
		f.Payload = []byte(seen)
	default:
		seen = string(f.Payload)
	}
	f.Payload = []byte(strings.ToUpper(string(f.Payload)))
	return s.Pass(f.Frame)
}

func hex(v uint64) string {
	const digits = "0123456789abcdef"
	var b [16]byte
	for i := 15; i >= 0; i-- {
		b[i], v = digits[v&15], v>>4
	}
	return string(b[:])
}
