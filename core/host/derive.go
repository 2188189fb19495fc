package host

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// derive makes of a secret what a marker asks for: {{secret:NAME|STEP|STEP…}}.
// The steps are taken in order:
//
//	after=TEXT  what stands behind the last TEXT, the whole if there is none
//	sha256      the SHA-256 digest in hexadecimal digits
//	uuid5       the name-based UUID in the namespace DNS (RFC 9562, version 5)
//
// Some services want such values of the token beside the token itself, and a
// plugin that cannot see the token cannot make them.
func (f *filler) derive(secret, steps string) string {
	for step := range strings.SplitSeq(steps, "|") {
		name, text, _ := strings.Cut(step, "=")
		switch {
		case name == "after" && text != "":
			if k := strings.LastIndex(secret, text); k >= 0 {
				secret = secret[k+len(text):]
			}
		case step == "sha256":
			sum := sha256.Sum256([]byte(secret))
			secret = hex.EncodeToString(sum[:])
		case step == "uuid5":
			secret = uuid5(namespaceDNS, secret)
		default:
			f.fail("A plan has a secret marker with the step %q, which this gateway does not know", step)
			return ""
		}
	}
	return secret
}

// namespaceDNS is 6ba7b810-9dad-11d1-80b4-00c04fd430c8 (RFC 9562, appendix A).
var namespaceDNS = [16]byte{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}

func uuid5(namespace [16]byte, name string) string {
	h := sha1.New()
	h.Write(namespace[:])
	h.Write([]byte(name))
	b := h.Sum(nil)[:16]
	b[6] = b[6]&0x0f | 0x50
	b[8] = b[8]&0x3f | 0x80
	s := hex.EncodeToString(b)
	return strings.Join([]string{s[:8], s[8:12], s[12:16], s[16:20], s[20:]}, "-")
}
