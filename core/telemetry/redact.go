package telemetry

import (
	"log/slog"
	"strings"
)

// mask stands where a secret was.
const mask = "[redacted]"

// Secret is a string that never prints: fmt, slog and JSON show a mark. Reveal
// gives it back.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler, which JSON uses too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// sensitive lists the names, without separators, whose values are secrets.
var sensitive = map[string]bool{
	"authorization": true, "proxyauthorization": true, "cookie": true, "setcookie": true,
	"apikey": true, "xapikey": true, "xgoogapikey": true, "key": true, "clientkey": true,
	"accesstoken": true, "refreshtoken": true, "idtoken": true, "token": true, "authtoken": true,
	"sessiontoken": true, "bearer": true, "jwt": true, "csrf": true, "csrftoken": true, "xcsrftoken": true,
	"password": true, "passwd": true, "passphrase": true, "secret": true, "clientsecret": true,
	"secretkey": true, "secretaccesskey": true, "awssecretaccesskey": true, "privatekey": true, "storagekey": true, "encryptionkey": true,
	"credential": true, "credentials": true, "xamzsecuritytoken": true, "xgoogiamauthorizationtoken": true,
	"codeverifier": true, "devicecode": true, "authorizationcode": true, "assertion": true,
}

// suffixes make a longer name sensitive: openai_api_key, x-session-token.
var suffixes = []string{"apikey", "accesstoken", "refreshtoken", "idtoken", "authtoken", "sessiontoken", "secret", "password", "secretkey", "privatekey", "storagekey", "authorization"}

// SensitiveName reports whether a header, field, environment variable or log
// attribute of that name carries a secret. Case and separators do not matter.
func SensitiveName(name string) bool {
	if len(name) < 3 || len(name) > 80 {
		return false
	}
	var buf [80]byte
	flat := buf[:0]
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'A' && c <= 'Z':
			flat = append(flat, c|0x20)
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			flat = append(flat, c)
		}
	}
	if sensitive[string(flat)] {
		return true
	}
	for _, s := range suffixes {
		if n := len(flat) - len(s); n > 0 && string(flat[n:]) == s {
			return true
		}
	}
	return false
}

// RedactField returns the value of a field as it may be shown.
func RedactField(name, value string) string {
	if value != "" && SensitiveName(name) {
		return mask
	}
	return Redact(value)
}

// A credential pattern: what it starts with, and how many characters of a
// credential must follow at least.
type pattern struct {
	prefix string
	least  int
	keep   bool // the prefix is a word and stays
	any    bool // in any case of letters
}

// patterns lists what credentials look like, by the byte they begin with.
var patterns = func() (index [256][]pattern) {
	for _, p := range []pattern{
		{"bearer ", 6, true, true}, {"basic ", 8, true, true},
		{"sk-", 8, false, false}, {"sk_", 12, false, false}, {"pk_live_", 8, false, false}, {"rk_live_", 8, false, false},
		{"AIza", 20, false, false}, {"ya29.", 10, false, false}, {"1//0", 20, false, false}, {"GOCSPX-", 10, false, false},
		{"gsk_", 12, false, false}, {"xai-", 12, false, false}, {"pplx-", 12, false, false}, {"hf_", 16, false, false},
		{"r8_", 16, false, false}, {"nvapi-", 12, false, false}, {"fw_", 16, false, false}, {"tgp_v1_", 12, false, false},
		{"gho_", 20, false, false}, {"ghp_", 20, false, false}, {"ghu_", 20, false, false}, {"ghs_", 20, false, false}, {"github_pat_", 20, false, false},
		{"AKIA", 16, false, false}, {"ASIA", 16, false, false}, {"xoxb-", 10, false, false}, {"xoxp-", 10, false, false},
		{"eyJ", 20, false, false}, // JSON Web Tokens, and other base64 of JSON
	} {
		first := p.prefix[0]
		index[first] = append(index[first], p)
		if p.any {
			index[first-'a'+'A'] = append(index[first-'a'+'A'], p)
		}
	}
	return index
}()

// leastNamed is how long a value behind "name: " must be to count as a secret:
// prose has colons too.
const leastNamed = 8

// Redact returns text with everything that looks like a credential replaced by
// a mark. It errs on the side of hiding.
func Redact(text string) string {
	var out strings.Builder
	done := 0
	word := true // a word begins here
	for i := 0; i < len(text); {
		if !word || !wordByte(text[i]) {
			word = !wordByte(text[i])
			i++
			continue
		}
		word = false
		start, end := secretAt(text, i)
		if end == 0 {
			i++
			continue
		}
		out.WriteString(text[done:start])
		out.WriteString(mask)
		done, i = end, end
	}
	if done == 0 {
		return text
	}
	out.WriteString(text[done:])
	return out.String()
}

// secretAt returns the part of text to hide if a credential begins at i; end
// is 0 otherwise.
func secretAt(text string, i int) (start, end int) {
	rest := text[i:]
	for _, p := range patterns[text[i]] {
		if !hasPrefix(rest, p.prefix, p.any) {
			continue
		}
		from := i + len(p.prefix)
		to := tokenEnd(text, from)
		if to-from < p.least {
			continue
		}
		if p.keep {
			return from, to
		}
		return i, to
	}
	return namedSecret(text, i)
}

// namedSecret finds name=value, name: value and "name":"value" at i, as they
// stand in URLs, dumps and JSON, where the name is that of a secret.
func namedSecret(text string, i int) (start, end int) {
	stop := i
	for stop < len(text) && (wordByte(text[stop]) || text[stop] == '_' || text[stop] == '-') {
		stop++
	}
	quoted := stop
	for quoted < len(text) && (text[quoted] == '"' || text[quoted] == '\'' || text[quoted] == '\\') {
		quoted++
	}
	name, rest := text[i:stop], text[quoted:]
	if rest == "" || rest[0] != '=' && rest[0] != ':' || !SensitiveName(name) && !strings.EqualFold(name, "code") {
		return 0, 0
	}
	least := 1
	if rest[0] == ':' && !(quoted > stop && len(name) > len("code") && quotedValue(rest[1:])) { // "key" and "code" have other uses
		least = leastNamed
	}
	value := strings.TrimLeft(rest[1:], ` \"'[{`)
	start = len(text) - len(value)
	end = tokenEnd(text, start)
	if end-start < least {
		return 0, 0
	}
	if scheme := strings.ToLower(text[start:end]); scheme == "bearer" || scheme == "basic" {
		return 0, 0 // what follows is found as a pattern
	}
	return start, end
}

// quotedValue reports whether a text goes on with a quoted string, as the member
// of a JSON object does.
func quotedValue(text string) bool {
	text = strings.TrimLeft(text, " \\")
	return text != "" && text[0] == '"'
}

func hasPrefix(s, prefix string, fold bool) bool {
	if len(s) < len(prefix) {
		return false
	}
	if fold {
		return strings.EqualFold(s[:len(prefix)], prefix)
	}
	return s[:len(prefix)] == prefix
}

// wordByte reports whether c can stand inside a word that a pattern begins.
func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// tokenEnd returns where a credential that begins at i ends.
func tokenEnd(text string, i int) int {
	for i < len(text) && (wordByte(text[i]) || strings.IndexByte("-_.~+/=%:", text[i]) >= 0) {
		i++
	}
	return i
}
