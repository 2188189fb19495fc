package envelope

import (
	"encoding/base64"
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// Prefix starts every envelope.
const Prefix = "omni:"

const redacted = "-redacted"

// Append appends the envelope of a signed block as escaped string content.
func Append(dst []byte, r *hub.Reasoning) []byte {
	dst = append(dst, Prefix...)
	dst = append(dst, r.Provider...)
	if r.Redacted {
		dst = append(dst, redacted...)
	}
	dst = append(dst, ':')
	return append(dst, r.Sig...)
}

// Open takes a signature out of its envelope. ok is false when s is none.
func Open(t jsn.Tokens, s jsn.Str) (r hub.Reasoning, ok bool) {
	if !t.HasPrefix(s, Prefix) {
		return r, false
	}
	head := t.Peek(s, 64)
	for i := len(Prefix); i < len(head) && i < 64; i++ {
		if head[i] == ':' {
			r.Provider = string(head[len(Prefix):i])
			if p, cut := strings.CutSuffix(r.Provider, redacted); cut {
				r.Provider, r.Redacted = p, true
			}
			r.Sig = t.Cut(s, i+1)
			return r, true
		}
	}
	return r, false
}

// AppendBase64 appends the envelope in base64, the form of Gemini signatures.
func AppendBase64(dst []byte, t jsn.Tokens, r *hub.Reasoning) []byte {
	plain := *r
	plain.Sig = t.Expand(r.Sig)
	text := jsn.Str(Append(nil, &plain)).String()
	return base64.StdEncoding.AppendEncode(dst, []byte(text))
}

// OpenBase64 opens the base64 form. ok is false for a native signature.
func OpenBase64(t jsn.Tokens, s jsn.Str) (r hub.Reasoning, ok bool) {
	// "omni:" and its next byte encode to "b21uaT" and more.
	if !t.HasPrefix(s, "b21uaT") {
		return r, false
	}
	raw, err := base64.StdEncoding.DecodeString(t.Decode(s))
	if err != nil {
		return r, false
	}
	return Open(jsn.Tokens{}, jsn.Lit(string(raw)))
}
