package canonicalize

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/flow/call"
)

// clients are the marks by which well-known clients are recognised in their
// User-Agent, lower case.
var clients = [...]struct{ mark, name string }{
	{"claude-cli", "claude-cli"},
	{"claude-code", "claude-cli"},
	{"codex", "codex"},
	{"gemini-cli", "gemini-cli"},
	{"geminicli", "gemini-cli"},
	{"roo-code", "roo"},
	{"kilo-code", "kilo"},
	{"cline", "cline"},
	{"cursor", "cursor"},
	{"opencode", "opencode"},
	{"aider", "aider"},
	{"anthropic", "anthropic-sdk"},
	{"openai", "openai-sdk"},
	{"google-genai", "genai-sdk"},
}

// clientName recognises the program that asks; "" if it is none of the known.
func clientName(userAgent string, h call.Header) string {
	ua := strings.ToLower(userAgent)
	for _, c := range clients {
		if strings.Contains(ua, c.mark) {
			return c.name
		}
	}
	if strings.HasPrefix(h.Get("originator"), "codex") {
		return "codex"
	}
	return ""
}

// session names the conversation a request belongs to: what the client says, or
// else a fingerprint of its start. Neither model nor account is part of it, so
// that a conversation keeps its name when it moves. Only hashes leave here.
func session(c *call.Call) string {
	for _, name := range [...]string{"x-session-id", "x-claude-code-session-id", "session_id"} {
		if v := c.Header.Get(name); v != "" {
			return hash("h", v)
		}
	}
	skeleton := c.Doc.Skeleton()
	if v, ok := doc.String(skeleton, "prompt_cache_key"); ok && v != "" {
		return hash("p", v)
	}
	if v, ok := doc.String(skeleton, "metadata", "user_id"); ok {
		if _, id, ok := strings.Cut(v, "_session_"); ok {
			return hash("m", id)
		}
	}
	return fingerprint(c)
}

// fingerprint hashes the key, the system text, the first user message and the
// tool names.
func fingerprint(c *call.Call) string {
	skeleton := c.Doc.Skeleton()
	h := sha256.New()
	part := func(raw []byte) {
		h.Write([]byte{0})
		if len(raw) == 0 {
			return
		}
		if full, err := c.Doc.Inflate(nil, raw, maxText); err == nil {
			h.Write(full)
		}
	}
	h.Write([]byte(c.Secret.Reveal()))
	for _, name := range [...]string{"system", "instructions", "systemInstruction"} {
		raw, _ := doc.Get(skeleton, name)
		part(raw)
	}
	list := inputName(c.Dialect)
	first, _ := doc.Get(skeleton, list)
	if kind(first) == 'a' {
		doc.Each(first, func(_ int, m []byte) bool {
			part(m)
			role, _ := doc.String(m, "role")
			return role != "user"
		})
	} else {
		part(first)
	}
	tools, _ := doc.Get(skeleton, "tools")
	doc.Each(tools, func(_ int, t []byte) bool {
		name, ok := doc.Get(t, "name")
		if !ok {
			name, _ = doc.Get(t, "function", "name")
		}
		part(name)
		return true
	})
	return "f" + hex.EncodeToString(h.Sum(nil)[:12])
}

func hash(kind, s string) string {
	sum := sha256.Sum256([]byte(s))
	return kind + hex.EncodeToString(sum[:12])
}
