package sdk

import "github.com/omniroute/omniroute/sdk/abi"

// Env is what the host lends to one call. In wasm it stands for the imports of
// module omni_v1, in native tests for a fake.
type Env interface {
	// NowMS is the time in Unix milliseconds, the same throughout a call.
	NowMS() int64
	// Rand returns random bits from the call's seed.
	Rand() uint64
	// Len and Read give the content of body token id; Len is negative when there
	// is none, Read returns the number of bytes read from offset off.
	Len(id int) int
	Read(id, off int, dst []byte) int
	// LogOn reports whether a level is written; Log writes a line.
	LogOn(level int) bool
	Log(level int, line string)
}

// Ctx is one call as an executor sees it. It is valid during the call.
type Ctx struct {
	Part     string // part the call is for
	Provider string // provider id
	Endpoint string // chat, responses, embeddings, models, …
	Model    string // upstream model id
	Stream   bool   // the client asked for a stream
	AuthKind string // api_key, oauth, none
	Attempt  int    // 0 first
	Dialect  string // of the body to plan for
	// Session stands for the client's conversation, where it names one; only for
	// executors whose manifest has "session": true.
	Session string

	// State is the State of the [Verdict] that asked for this round, nil at first.
	State []byte

	// Previous is the failure of the attempt before, nil at first.
	Previous *abi.ErrorRecord

	// Continuation and Replies are set when the call goes on after a [Need].
	Continuation []byte
	Replies      []Reply

	env     Env
	attrs   []byte
	headers []abi.Header
	config  configuration
	body    []byte
	status  int
	nonce   string
	expires int64
}

// Config returns a setting of the plugin, or its declared default.
func (c *Ctx) Config(name string) string { return c.config.get(name) }

// Attribute returns a non-secret attribute of the chosen account.
func (c *Ctx) Attribute(name string) string { return JSON(c.attrs).Get(name).Text() }

// ClientHeader returns a header of the client's request that the host shows to
// executors. Case does not matter.
func (c *Ctx) ClientHeader(name string) string { return header(c.headers, name) }

// NowMS is the time in Unix milliseconds.
func (c *Ctx) NowMS() int64 { return c.env.NowMS() }

// Rand returns random bits.
func (c *Ctx) Rand() uint64 { return c.env.Rand() }

// Blobs gives access to the content behind body tokens.
func (c *Ctx) Blobs() Env { return c.env }

// Nonce is the nonce of the body tokens in this call's body.
func (c *Ctx) Nonce() string { return c.nonce }

// Debug writes a line to the log.
func (c *Ctx) Debug(line string) { c.log(abi.LogDebug, line) }

// Info writes a line to the log.
func (c *Ctx) Info(line string) { c.log(abi.LogInfo, line) }

// Warn writes a line to the log.
func (c *Ctx) Warn(line string) { c.log(abi.LogWarn, line) }

func (c *Ctx) log(level int, line string) {
	if c.env.LogOn(level) {
		c.env.Log(level, line)
	}
}

// Reply is the answer to one plan of a [Need].
type Reply struct {
	Status int
	Header []abi.Header
	Body   []byte
	Err    *abi.ErrorRecord // the plan could not be performed
}

// Need is returned as the error of an executor method that has to ask
// something over HTTP first. The method is called again with the same input
// and with [Ctx.Replies] set, in the order of Plans.
type Need struct {
	Plans []Plan
	Keep  []byte // comes back as Ctx.Continuation; at most 64 KiB
}

// Error implements error.
func (n *Need) Error() string { return "HTTP results are needed first" }

func header(hs []abi.Header, name string) string {
	for i := range hs {
		if equalFold(hs[i].Name, name) {
			return hs[i].Value
		}
	}
	return ""
}

// equalFold compares header names: ASCII only.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		x, y := a[i], b[i]
		if 'A' <= x && x <= 'Z' {
			x += 'a' - 'A'
		}
		if 'A' <= y && y <= 'Z' {
			y += 'a' - 'A'
		}
		if x != y {
			return false
		}
	}
	return true
}
