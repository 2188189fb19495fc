package guard

import (
	"regexp"
	"slices"
	"strings"
)

// injection is a pattern of an attempt to talk a model out of its instructions.
type injection struct {
	name, severity string
	// anchors are lower-case words with which a match begins. They are looked for
	// first: a text without any costs little.
	anchors []string
	// about are words of which one must follow within reach; nil = none need.
	about []string
	// rest must match what begins at an anchor; nil = the anchor is enough.
	rest *regexp.Regexp
}

// reach is how far behind its anchor a pattern can see, in bytes.
const reach = 160

// injections in the order in which hits are named. They are never written to.
var injections = [...]injection{
	{"system_override", High, []string{"ignore", "disregard", "forget", "override", "bypass"},
		[]string{"instruction", "prompt", "rule", "context", "direction", "guideline", "message"},
		regexp.MustCompile(`^\w+\b[^.\n]{0,60}?\b(?:previous|prior|above|earlier|preceding|all|your|system|initial)\b[^.\n]{0,40}?\b(?:instruction|prompt|rule|context|direction|guideline|message)s?\b`)},
	{"role_hijack", Medium, []string{"you are now", "act as ", "pretend ", "from now on", "roleplay as"}, nil,
		regexp.MustCompile(`^(?:you are now (?:a|an|the|in|no longer|free|unrestricted)\b|act as (?:if you|though you|an? (?:unrestricted|unfiltered|different|evil|hacker))|pretend (?:to be|you are|you're|that you)\b|from now on,? (?:you|your) (?:are|will|must|have|act)\b|roleplay as (?:an? )?\w+)`)},
	{"system_prompt_leak", High, []string{"reveal", "show", "print", "repeat", "output", "display", "tell me", "give me", "what is", "what are", "leak", "dump"},
		[]string{"prompt", "instruction", "message", "rule"},
		regexp.MustCompile(`^\w+(?: \w+)?\b[^.\n]{0,40}?\b(?:system|initial|hidden|original|secret|developer)\s+(?:prompt|instruction|message|rule)s?\b`)},
	{"delimiter_injection", High, []string{"[system]", "[inst]", "<<sys>>", "<|im_start|>", "<|system|>", "<|user|>"}, nil, nil},
	{"jailbreak_dan", Medium, []string{"do anything now", "dan mode", "jailbreak", "developer mode enabled", "without any restrictions"}, nil, nil},
	{"encoding_evasion", Medium, []string{"base64", "rot13", "decode ", "decipher "}, nil,
		regexp.MustCompile(`^(?:(?:base64|rot13)[\s-]*(?:decode|encoded)\b|(?:decode|decipher)\b[^.\n]{0,40}?\b(?:base64|rot13|hex|hexadecimal|morse)\b)`)},
}

// inject marks the patterns that a text holds.
func inject(text string, hits *[len(injections)]bool) {
	lower := strings.ToLower(text)
	for i := range injections {
		if !hits[i] {
			hits[i] = injections[i].in(lower)
		}
	}
}

func (p *injection) in(lower string) bool {
	for _, anchor := range p.anchors {
		for at := 0; ; at++ {
			next := strings.Index(lower[at:], anchor)
			if next < 0 {
				break
			}
			at += next
			window := lower[at:min(at+reach, len(lower))]
			if p.rest == nil || startsWord(lower, at) && p.concerns(window) && p.rest.MatchString(window) {
				return true
			}
		}
	}
	return false
}

func (p *injection) concerns(window string) bool {
	return p.about == nil || slices.ContainsFunc(p.about, func(word string) bool { return strings.Contains(window, word) })
}

// startsWord tells whether a word can begin at a place.
func startsWord(s string, at int) bool {
	if at == 0 {
		return true
	}
	c := s[at-1]
	return c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z')
}

// kind is a kind of personal data.
type kind struct {
	name string
	re   *regexp.Regexp
	// part tells which bytes a match is made of and keep whether a run of them is
	// worth a look; nil looks at the whole text.
	part func(c byte) bool
	keep func(run string) bool
	// valid looks at what the pattern cannot say; nil = everything is.
	valid func(match string) bool
	// answers tells that the kind counts in answers alone.
	answers bool
}

func inNumber(c byte) bool { return c >= '0' && c <= '9' || strings.IndexByte(" .-/()+", c) >= 0 }

func inAddress(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("._%+-@", c) >= 0
}

func hasAt(run string) bool { return strings.IndexByte(run, '@') > 0 }

// digits returns a test for runs with at least n digits.
func digits(n int) func(string) bool {
	return func(run string) bool { return countDigits(run) >= n }
}

// personal are the kinds, those first whose digits others would take for theirs.
// They are never written to.
var personal = [...]kind{
	{name: "EMAIL", re: regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}\b`), part: inAddress, keep: hasAt},
	{name: "CNPJ", re: regexp.MustCompile(`\b\d{2}\.?\d{3}\.?\d{3}/\d{4}-?\d{2}\b`), part: inNumber, keep: digits(14), valid: validCNPJ},
	{name: "CPF", re: regexp.MustCompile(`\b\d{3}\.\d{3}\.\d{3}-?\d{2}\b|\b\d{9}-\d{2}\b`), part: inNumber, keep: digits(11), valid: validCPF},
	{name: "CARD", re: regexp.MustCompile(`\b\d(?:[ -]?\d){12,18}\b`), part: inNumber, keep: digits(13), valid: validCard},
	{name: "SSN", re: regexp.MustCompile(`\b\d{3}-\d{2}-\d{4}\b`), part: inNumber, keep: digits(9), valid: validSSN},
	{name: "PHONE", re: regexp.MustCompile(`(?:\+55[ -]?\(?|\()\d{2}\)?[ -]?9?\d{4}[ -]?\d{4}\b`), part: inNumber, keep: digits(10)},
	{name: "US_PHONE", re: regexp.MustCompile(`(?:\+?1[ .-])?\(?\b\d{3}\)?[ .-]\d{3}[ .-]\d{4}\b`), part: inNumber, keep: digits(10), answers: true},
	{name: "IP", re: regexp.MustCompile(`\b(?:\d{1,3}\.){3}\d{1,3}\b`), part: inNumber, keep: digits(4), valid: validIP, answers: true},
	{name: "AWS_KEY", re: regexp.MustCompile(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`), answers: true},
	{name: "API_KEY", re: regexp.MustCompile(`\b(?:sk|pk|rk|ghp|gho|xox[abp]|glpat)[-_][A-Za-z0-9_-]{16,}|(?i:\b(?:api[_-]?key|secret|access[_-]?token)\b["']?\s*[:=]\s*["']?)[A-Za-z0-9_/+=-]{16,}`), answers: true},
}

// each yields where a text holds the kind.
func (k *kind) each(text string, yield func(start, end int) bool) {
	if k.part == nil {
		k.within(text, 0, len(text), yield)
		return
	}
	for at := 0; at < len(text); {
		if !k.part(text[at]) {
			at++
			continue
		}
		end := at + 1
		for end < len(text) && k.part(text[end]) {
			end++
		}
		if k.keep(text[at:end]) && !k.within(text, at, end, yield) {
			return
		}
		at = end
	}
}

// within looks at one run, and at its neighbours to see where words end.
func (k *kind) within(text string, from, to int, yield func(start, end int) bool) bool {
	from, to = max(from-1, 0), min(to+1, len(text))
	for _, m := range k.re.FindAllStringIndex(text[from:to], -1) {
		start, end := from+m[0], from+m[1]
		if (k.valid == nil || k.valid(text[start:end])) && !yield(start, end) {
			return false
		}
	}
	return true
}

func countDigits(s string) (n int) {
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			n++
		}
	}
	return n
}

// person marks the kinds that a text holds.
func person(text string, d Direction, kinds *[len(personal)]bool) {
	for i := range personal {
		if k := &personal[i]; !kinds[i] && (!k.answers || d == Answers) {
			k.each(text, func(int, int) bool {
				kinds[i] = true
				return false
			})
		}
	}
}

// RedactText replaces the personal data in one text.
func RedactText(text string, d Direction) string {
	for i := range personal {
		k := &personal[i]
		if k.answers && d != Answers {
			continue
		}
		var b strings.Builder
		done := 0
		k.each(text, func(start, end int) bool {
			b.WriteString(text[done:start])
			b.WriteString("[" + k.name + "_REDACTED]")
			done = end
			return true
		})
		if done > 0 {
			b.WriteString(text[done:])
			text = b.String()
		}
	}
	return text
}
