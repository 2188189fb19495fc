package hub

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/hub/caps"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// Blobs gives access to the content of strings behind body tokens.
type Blobs = jsn.Blobs

// Ctx is what a translator knows beside the body. One Ctx belongs to one request
// or one answer; it is not safe for concurrent use.
type Ctx struct {
	// From and To name the dialects of this translation, in the direction the
	// body moves: a request goes From the client's To the provider's dialect, an
	// answer From the provider's To the client's. [TranslateRequest] and its
	// siblings fill them in.
	From, To string

	Model    string // target model; "" keeps the body's own
	Provider string // provider id, for provider-specific rules
	Project  string // project id of the envelope formats

	Status  int               // upstream HTTP status of an answer; 0 = 200
	Headers map[string]string // upstream answer headers that matter, lower-case names

	// Request is the client's own request in the client's dialect (a skeleton is
	// fine), nil if unknown. Answers take the model echo, the visibility of
	// reasoning, include_usage and the tool names from it.
	Request []byte
	// Names maps fitted tool names back to the client's. AppendRequest fills it;
	// for answers it may be given back and then saves deriving it from Request.
	Names map[string]string

	Stream  bool // the client wants a stream
	Collect bool // the upstream streams, the client wants one body
	// Count marks a token-counting request: output limits, thinking limits,
	// stream and stop are left out of the translated body.
	Count bool
	// Rebuild writes an answer anew where both sides speak one dialect and it
	// would otherwise keep its bytes: only fields of the dialect are left, and
	// reasoning between think tags stands apart.
	Rebuild bool

	// What the configuration knows of the upstream.
	KeepDeveloper  bool     // it knows the role developer, whoever it is (S-1)
	ThinkTags      []string // names of the tags around reasoning in its text; nil = think (W-4)
	ThinkPrefilled bool     // its prompts end with a start tag: texts begin as reasoning

	Blobs Blobs  // body tokens of Request and of a request body; nil = none
	Nonce string // nonce of the body tokens; "" = full body

	Rand    func() uint64 // per-call random source; nil = a fixed sequence
	NowUnix func() int64  // clock in seconds; nil = 0

	// Arena lends the memory of a parsed request; nil = memory of its own.
	Arena *Arena

	// Table is the model capability table; nil = the built-in one.
	Table *caps.Table

	// Degraded is told each dropped or weakened field by the name it has in the
	// client's dialect. May be nil.
	Degraded func(field string)

	seq     uint64
	seen    []string
	aliases map[string]string
}

// Tokens returns the body token vocabulary of this call.
func (c *Ctx) Tokens() jsn.Tokens { return jsn.Tokens{Nonce: c.Nonce, Blobs: c.Blobs} }

// Drop reports a dropped or weakened field, once per name.
func (c *Ctx) Drop(field string) {
	if c.Degraded == nil {
		return
	}
	if a, ok := c.aliases[field]; ok {
		field = a
	}
	for _, s := range c.seen {
		if s == field {
			return
		}
	}
	c.seen = append(c.seen, field)
	c.Degraded(field)
}

// DropIf reports field when raw holds a value.
func (c *Ctx) DropIf(field string, raw []byte) {
	if !jsn.IsNull(raw) {
		c.Drop(field)
	}
}

// Alias tells that the hub field has another name in the client's dialect, so that
// reports use that name.
func (c *Ctx) Alias(field, client string) {
	if c.aliases == nil {
		c.aliases = make(map[string]string, 8)
	}
	c.aliases[field] = client
}

// Aliases returns what [Ctx.Alias] was told, hub name to client name.
func (c *Ctx) Aliases() map[string]string { return c.aliases }

// Now returns the time in Unix seconds.
func (c *Ctx) Now() int64 {
	if c.NowUnix == nil {
		return 0
	}
	return c.NowUnix()
}

const idAlphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// NewID returns prefix and 24 random characters; ids of one call are distinct.
func (c *Ctx) NewID(prefix string) string {
	var buf [24]byte
	for i := 0; i < len(buf); {
		v := c.random()
		for range 8 {
			if i < len(buf) {
				buf[i] = idAlphabet[v%62]
				v /= 62
				i++
			}
		}
	}
	return prefix + string(buf[:])
}

// random falls back to splitmix64 over a counter when no source was given, which
// keeps a translation a pure function of its input.
func (c *Ctx) random() uint64 {
	if c.Rand != nil {
		return c.Rand()
	}
	c.seq += 0x9E3779B97F4A7C15
	z := c.seq
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// Capabilities returns what is known about the target model.
func (c *Ctx) Capabilities(model string) caps.Model {
	if c.Table != nil {
		return c.Table.Lookup(model)
	}
	return caps.Default().Lookup(model)
}

// TargetModel returns the model the request is sent for: [Ctx.Model], or else own.
func (c *Ctx) TargetModel(own string) string {
	if c.Model != "" {
		return c.Model
	}
	return own
}

// MessageID fits an upstream id to a client format that wants prefix (I-1).
func (c *Ctx) MessageID(prefix, upstream string) string {
	if strings.HasPrefix(upstream, prefix) {
		return upstream
	}
	clean := make([]byte, 0, len(prefix)+len(upstream))
	clean = append(clean, prefix...)
	for i := 0; i < len(upstream); i++ {
		if idChar(upstream[i]) {
			clean = append(clean, upstream[i])
		}
	}
	if len(clean) == len(prefix) {
		return c.NewID(prefix)
	}
	return string(clean)
}

func idChar(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b == '-'
}
