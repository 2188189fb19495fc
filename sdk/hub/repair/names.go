package repair

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// NameRule says which tool names a target accepts (N-1).
type NameRule struct {
	Limit      int    // most characters; 0 = no limit and any character
	Extra      string // characters allowed beside a-z A-Z 0-9 _ -
	LetterHead bool   // must begin with a letter or _
}

// RuleOf returns the rule of a dialect.
func RuleOf(dialect string) NameRule {
	switch dialect {
	case "openai", "openai-responses", "kiro":
		return NameRule{Limit: 64}
	case "claude":
		return NameRule{Limit: 128}
	case "gemini", "gemini-cli", "antigravity":
		return NameRule{Limit: 64, Extra: ".:", LetterHead: true}
	}
	return NameRule{}
}

// plain are the characters that every target accepts.
var plain = func() (t [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") {
		t[c] = true
	}
	return t
}()

// Fit returns name as the target accepts it.
func (n NameRule) Fit(name string) string {
	if n.Limit == 0 {
		return name
	}
	fitted := Clean(name, n.Extra)
	if n.LetterHead && fitted != "" {
		if c := fitted[0]; c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			fitted = "_" + fitted
		}
	}
	if len(fitted) > n.Limit {
		sum := sha256.Sum256([]byte(name))
		fitted = fitted[:n.Limit-9] + "_" + hex.EncodeToString(sum[:4])
	}
	return fitted
}

// fits tells whether the target accepts name as it is.
func (n *NameRule) fits(name string) bool {
	if n.Limit == 0 || name == "" {
		return true
	}
	if len(name) > n.Limit {
		return false
	}
	for i := 0; i < len(name); i++ {
		if !plain[name[i]] && !has(n.Extra, name[i]) {
			return false
		}
	}
	c := name[0]
	return !n.LetterHead || c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// fitsAll tells whether no name of r has to be changed, as is usual. A message repeats
// the names of definitions, mostly the one of the message before it.
func (n *NameRule) fitsAll(r *hub.Request) bool {
	for i := range r.Tools {
		if t := &r.Tools[i]; t.Hosted == "" && !n.fits(t.Name) {
			return false
		}
	}
	seen := ""
	for i := range r.Messages {
		m := &r.Messages[i]
		for j := range m.Calls {
			if name := m.Calls[j].Name; name != seen {
				if !n.fits(name) {
					return false
				}
				seen = name
			}
		}
		if m.Role == hub.Tool && m.Name != seen && !n.fits(m.Name) {
			return false
		}
	}
	for _, name := range r.Choice.Names {
		if !n.fits(name) {
			return false
		}
	}
	return true
}

// Clean replaces every character that is neither plain nor in extra by _.
func Clean(s, extra string) string {
	bad := -1
	for i := 0; i < len(s); i++ {
		if !plain[s[i]] && !has(extra, s[i]) {
			bad = i
			break
		}
	}
	if bad < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r < 0x80 && (plain[byte(r)] || has(extra, byte(r))) {
			out = append(out, byte(r))
		} else {
			out = append(out, '_')
		}
	}
	return string(out)
}

func has(set string, c byte) bool {
	for i := 0; i < len(set); i++ {
		if set[i] == c {
			return true
		}
	}
	return false
}

// Namer maps names to what a target accepts and keeps different ones apart (N-2).
type Namer struct {
	fit  func(string) string
	to   map[string]string
	used map[string]bool
}

// NewNamer returns an empty map over fit.
func NewNamer(fit func(string) string) *Namer {
	return &Namer{fit: fit, to: make(map[string]string, 16), used: make(map[string]bool, 16)}
}

// Map returns the fitted form of name, always the same for the same name.
func (n *Namer) Map(name string) string {
	if got, ok := n.to[name]; ok {
		return got
	}
	got := distinct(n.fit(name), func(s string) bool { return n.used[s] })
	n.to[name], n.used[got] = got, true
	return got
}

// Names fits the tool names of definitions, choice and history (N-1, N-2) and
// records in Ctx.Names how to restore them.
func Names(c *hub.Ctx, r *hub.Request, rule NameRule) {
	if c.Names == nil {
		c.Names = make(map[string]string)
	}
	if rule.fitsAll(r) {
		return
	}
	n := NewNamer(rule.Fit)
	apply := func(name *string) {
		if *name == "" {
			return
		}
		fitted := n.Map(*name)
		if fitted != *name {
			c.Names[fitted] = *name
			*name = fitted
		}
	}
	for i := range r.Tools {
		if r.Tools[i].Hosted == "" {
			apply(&r.Tools[i].Name)
		}
	}
	for i := range r.Messages {
		m := &r.Messages[i]
		for j := range m.Calls {
			apply(&m.Calls[j].Name)
		}
		if m.Role == hub.Tool {
			apply(&m.Name)
		}
	}
	for i := range r.Choice.Names {
		apply(&r.Choice.Names[i])
	}
}

// Restore returns the lookup from upstream tool names to the client's (N-3). declared
// lists the client's own names in the order of its definitions and history; it is
// asked only when the request's map was not handed over in Ctx.Names.
func Restore(c *hub.Ctx, declared func(*hub.Ctx) []string) func(string) string {
	back := c.Names
	if back == nil && len(c.Request) > 0 {
		back = inverse(c.From, declared(c))
	}
	if back == nil {
		return func(s string) string { return s }
	}
	return func(s string) string {
		if own, ok := back[s]; ok {
			return own
		}
		return s
	}
}

// inverse maps fitted names back to declared ones. Behind the hub's JSON form the
// upstream's rule is not known: there every rule is tried, and what is no declared name
// itself is mapped to the first name that fits.
func inverse(upstream string, declared []string) map[string]string {
	rules := []NameRule{RuleOf(upstream)}
	if upstream == "" || upstream == "hub" {
		rules = []NameRule{RuleOf("openai"), RuleOf("claude"), RuleOf("gemini")}
	}
	own := make(map[string]bool, len(declared))
	for _, name := range declared {
		own[name] = true
	}
	back := make(map[string]string)
	for _, rule := range rules {
		n := NewNamer(rule.Fit)
		for _, name := range declared {
			fitted := n.Map(name)
			if _, taken := back[fitted]; fitted != name && !taken && (len(rules) == 1 || !own[fitted]) {
				back[fitted] = name
			}
		}
	}
	return back
}

// CallIDs rewrites call ids with fit, identically on calls and results; ids that
// become equal get a suffix (N-4, N-5, N-2).
func CallIDs(r *hub.Request, fit func(string) string) {
	n := NewNamer(fit)
	for i := range r.Messages {
		m := &r.Messages[i]
		for j := range m.Calls {
			m.Calls[j].ID = n.Map(m.Calls[j].ID)
		}
		if m.Role == hub.Tool && m.CallID != "" {
			m.CallID = n.Map(m.CallID)
		}
	}
}

// Digest returns the SHA-256 of the content of s in hex.
func Digest(t jsn.Tokens, s jsn.Str) string {
	sum := sha256.Sum256([]byte(t.Decode(s)))
	return hex.EncodeToString(sum[:])
}
