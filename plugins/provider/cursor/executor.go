package cursor

import (
	_ "embed"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/omniroute/omniroute/plugins/provider/entry"
	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/jsn"
)

//go:embed manifest.json
var manifest []byte

// New returns the executor as a part of a module.
func New() sdk.Part { return sdk.NewExecutor(manifest, &executor{known: entry.Known{}}) }

type executor struct{ known entry.Known }

// Configure implements sdk.Configurer.
func (x *executor) Configure(c *sdk.Ctx, raw []byte) (abi.BodyKind, error) {
	return abi.BodySkeleton, x.known.Configure(c, raw)
}

// The machine that requests pretend to come from.
const (
	platform = "linux"
	machine  = "x64"
	kernel   = "6.8.0"
	shell    = "/bin/bash"
)

// token is where the account's token goes. Some store it as the web does, with the
// user's id and a separator in front.
const token = "{{secret:access_token|after=::|after=%3A%3A"

// Plan implements sdk.Executor.
func (x *executor) Plan(c *sdk.Ctx, p *sdk.Plan) error {
	e, err := x.known.Of(c)
	if err != nil {
		return err
	}
	switch c.Endpoint {
	case "", "chat":
		return planChat(c, p, e)
	case "models":
		return listModels(c, p, e)
	}
	return entry.NoEndpoint(c)
}

func planChat(c *sdk.Ctx, p *sdk.Plan, e *entry.Entry) error {
	p.URLs = e.URLs("chat")
	if err := identify(c, p, e); err != nil {
		return err
	}
	p.Framing, p.ForceStream, p.HTTP = "connect", !c.Stream, "2"
	p.Body.Replace(frame(appendPayload(make([]byte, frameHeader), p.Body.JSON(), options{
		newID:     func() string { return entry.UUID(c) },
		tokens:    jsn.Tokens{Nonce: c.Nonce(), Blobs: c.Blobs()},
		supported: kinds(e.Option("supported_tools", "")),
		native:    e.Option("tool_result_mode", "text") == "native",
		platform:  platform, arch: machine, release: kernel, shell: shell,
		time: time.UnixMilli(c.NowMS()).UTC().Format("2006-01-02T15:04:05.000Z"),
	})))
	return nil
}

// kinds reads a list of numbers such as [1, 19]; nil if there is none.
func kinds(list string) (out []uint64) {
	for _, s := range strings.FieldsFunc(list, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.ParseUint(s, 10, 32); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// frameHeader is the length of what stands before a message: flags and length.
const frameHeader = 5

// frame completes a message that has room for the header in front.
func frame(b []byte) []byte {
	b[0] = 0
	binary.BigEndian.PutUint32(b[1:frameHeader], uint32(len(b)-frameHeader))
	return b
}

// identify writes the headers by which the service knows its client.
func identify(c *sdk.Ctx, p *sdk.Plan, e *entry.Entry) error {
	id := c.Attribute("machineId")
	if id == "" {
		return &abi.ErrorRecord{
			Message: "the account has no machine id (machineId), which Cursor wants with every request",
			Class:   "auth", Scope: string(sdk.Credential), Status: 400, Fallback: true,
		}
	}
	e.Headers(p, false)
	for k := 0; k < len(p.Headers); k++ {
		if strings.EqualFold(p.Headers[k].Name, "accept") {
			p.Headers = append(p.Headers[:k], p.Headers[k+1:]...) // the content type says it all
			k--
		}
	}
	ghost := "true"
	if v := c.Attribute("ghostMode"); v == "false" {
		ghost = v
	}
	p.Auth = sdk.NoAuth()
	for _, h := range []abi.Header{
		{Name: "content-type", Value: "application/connect+proto"},
		{Name: "authorization", Value: "Bearer " + token + "}}"},
		{Name: "x-amzn-trace-id", Value: "Root=" + entry.UUID(c)},
		{Name: "x-client-key", Value: token + "|sha256}}"},
		{Name: "x-cursor-checksum", Value: checksum(c.NowMS(), id)},
		{Name: "x-cursor-client-os", Value: platform},
		{Name: "x-cursor-client-arch", Value: machine},
		{Name: "x-cursor-config-version", Value: entry.UUID(c)},
		{Name: "x-cursor-timezone", Value: "UTC"},
		{Name: "x-ghost-mode", Value: ghost},
		{Name: "x-request-id", Value: entry.UUID(c)},
		{Name: "x-session-id", Value: token + "|uuid5}}"},
	} {
		p.Header(h.Name, h.Value)
	}
	if v := e.Option("client_version", ""); v != "" {
		p.Header("x-cursor-client-version", v)
	}
	return nil
}

// checksum hides the time, in steps of 1000 seconds, before a machine id. The
// order of its bytes is that of shifts by 40, 32 and so on of a 32-bit number,
// which wrap around.
func checksum(nowMS int64, machineID string) string {
	ts := uint32(nowMS / 1_000_000)
	b := [6]byte{byte(ts >> 8), byte(ts), byte(ts >> 24), byte(ts >> 16), byte(ts >> 8), byte(ts)}
	key := byte(165)
	for i := range b {
		b[i] = (b[i] ^ key) + byte(i)
		key = b[i]
	}
	return base64.RawURLEncoding.EncodeToString(b[:]) + machineID
}

// Result implements sdk.Executor.
func (x *executor) Result(c *sdk.Ctx, r *sdk.Result) (sdk.Verdict, error) {
	if r.Status < 400 {
		return sdk.Good(r), nil
	}
	v := sdk.Default(r)
	if e := readError(r.Body); e != nil {
		e.apply(v.Err)
	}
	return v, nil
}
