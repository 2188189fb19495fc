package host

import (
	"net/url"
	"slices"
	"strings"
)

const (
	concealed = "****"
	// minSecret is the length below which a text is too common to be searched
	// for: replacing it would tell more than it hides.
	minSecret = 6
	// minQuoted is how many leading characters of a secret give it away.
	minQuoted = 12
)

// Concealed are secrets in every form in which they turn up in texts that come
// from a provider: plain, within JSON and within a URL; the longest first.
type Concealed []string

// Conceal prepares secrets for taking them out of texts.
func Conceal(secrets ...string) Concealed {
	var list Concealed
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		for _, form := range [...]string{s, escapeJSON(s), url.QueryEscape(s), url.PathEscape(s)} {
			if !slices.Contains(list, form) {
				list = append(list, form)
			}
		}
	}
	slices.SortFunc(list, func(x, y string) int { return len(y) - len(x) })
	return list
}

// Text is a text with **** in place of the secrets, also of those that it quotes
// in part: the first characters, and behind a mask perhaps the last.
func (c Concealed) Text(text string) string {
	for _, s := range c {
		if len(text) < minSecret {
			break
		}
		text = strings.ReplaceAll(text, s, concealed)
		if len(s) >= minQuoted+4 {
			text = withoutQuoted(text, s)
		}
	}
	return text
}

// withoutQuoted replaces a secret of which a text quotes the first characters,
// and behind a mask perhaps the last.
func withoutQuoted(text, secret string) string {
	head, tail := secret[:minQuoted], secret[len(secret)-4:]
	if !strings.Contains(text, head) {
		return text
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, head)
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		b.WriteString(concealed)
		for i := minQuoted; i < len(secret) && rest != "" && rest[0] == secret[i]; i++ {
			rest = rest[1:]
		}
		if masked := strings.TrimLeft(rest, "*.…•"); len(masked) < len(rest) && strings.HasPrefix(masked, tail) {
			rest = masked[len(tail):]
		}
		text = rest
	}
}
