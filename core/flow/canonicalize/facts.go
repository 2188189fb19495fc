package canonicalize

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/policy"
)

const (
	// maxText is how much of a text rules can see.
	maxText = 64 << 10
	// imageTokens is the flat estimate for one image, whatever its size.
	imageTokens = 1600
)

// Want says which of the costly facts somebody will look at.
type Want struct {
	Texts bool // first_text, user_text, last_text, last_user_text
	Tools bool // tool_names
	Meta  bool // meta, user
}

// Dialects lists the client dialects whose requests can be read.
func Dialects() []string { return []string{"openai", "claude", "openai-responses", "gemini"} }

// ReadFacts fills req with what the skeleton of a client request says. It
// reports the first member that has a type its dialect does not allow; it does
// not validate more than it reads.
func ReadFacts(dialect string, d *doc.Doc, want Want, req *policy.Req) *fault.Error {
	r := reader{d: d, want: want, req: req, mark: []byte("~b" + d.Nonce() + ".")}
	member := r.openaiMember
	switch dialect {
	case "claude":
		member = r.claudeMember
	case "openai-responses":
		member = r.responsesMember
	case "gemini":
		member = r.geminiMember
	}
	if !doc.Scan(d.Skeleton(), func(key, raw []byte) bool {
		if !isNull(raw) {
			member(key, raw)
		}
		return r.bad == nil
	}) && r.bad == nil {
		return fault.New(fault.InvalidBody, "The request body must be a JSON object")
	}
	if r.bad != nil {
		return r.bad
	}
	r.finish()
	return nil
}

// reader walks one request. The dialect files hold its member functions.
type reader struct {
	d    *doc.Doc
	want Want
	req  *policy.Req
	mark []byte
	bad  *fault.Error

	media    int      // bytes of inline media, which are no text
	lastUser [][]byte // raw texts of the last user message
}

// message is called at the start of each message.
func (r *reader) message(role string) {
	r.req.Messages++
	r.req.LastRole = role
	r.req.LastText = ""
	if role == "user" {
		r.req.Turn++
		r.req.LastUserText = ""
		r.lastUser = r.lastUser[:0]
	}
}

// text takes one piece of text of the message that was begun last.
func (r *reader) text(raw []byte) {
	role := r.req.LastRole
	if role == "user" {
		r.lastUser = append(r.lastUser, raw)
	}
	if !r.want.Texts {
		return
	}
	s := r.str(raw, maxText)
	join(&r.req.LastText, s)
	if r.req.Messages == 1 {
		join(&r.req.FirstText, s)
	}
	if role == "user" {
		join(&r.req.LastUserText, s)
		join(&r.req.UserText, s)
	}
}

// join appends s to *to, pieces separated by a blank, up to maxText.
func join(to *string, s string) {
	switch {
	case *to == "":
		*to = s
	case len(*to) < maxText:
		*to = cut(*to+" "+s, maxText)
	}
}

// cut shortens s to at most n bytes without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// str returns the text of a raw JSON string, looked up if it was elided, up to
// limit bytes.
func (r *reader) str(raw []byte, limit int) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	inner := raw[1 : len(raw)-1]
	if blob, ok := r.blob(inner); ok {
		inner = blob
	}
	if len(inner) > limit {
		inner = trimEscape(inner[:limit])
	}
	if bytes.IndexByte(inner, '\\') < 0 {
		return cut(string(inner), limit)
	}
	quoted := make([]byte, 0, len(inner)+2)
	quoted = append(append(append(quoted, '"'), inner...), '"')
	out, ok := doc.Unquote(quoted[:0:0], quoted)
	if !ok {
		return ""
	}
	return string(out)
}

// trimEscape cuts b back so that it ends neither within an escape sequence nor
// within a character.
func trimEscape(b []byte) []byte {
	for i := 0; i < len(b); {
		n := 1
		switch {
		case b[i] == '\\' && i+1 < len(b) && b[i+1] == 'u':
			n = 6
			if i+3 < len(b) && b[i+2]|0x20 == 'd' && strings.IndexByte("89abAB", b[i+3]) >= 0 { // first half of a surrogate pair
				n = 12
			}
		case b[i] == '\\':
			n = 2
		case b[i] >= utf8.RuneSelf:
			if utf8.RuneStart(b[i]) && !utf8.FullRune(b[i:]) {
				return b[:i]
			}
		}
		if i+n > len(b) {
			return b[:i]
		}
		i += n
	}
	return b
}

// blob returns the content behind inner if that is one body token.
func (r *reader) blob(inner []byte) ([]byte, bool) {
	id, ok := bytes.CutPrefix(inner, r.mark)
	if !ok {
		return nil, false
	}
	id, ok = bytes.CutSuffix(id, []byte("~"))
	if !ok {
		return nil, false
	}
	n, err := strconv.Atoi(string(id))
	if err != nil {
		return nil, false
	}
	return r.d.Blob(n)
}

// chars estimates the characters of a raw string without decoding it.
func (r *reader) chars(raw []byte) int {
	inner := raw[1 : len(raw)-1]
	if blob, ok := r.blob(inner); ok {
		inner = blob
	}
	return utf8.RuneCount(inner) - bytes.Count(inner, []byte{'\\'})
}

// inline counts one image, file or sound that travels within the body.
func (r *reader) inline(raw []byte) {
	if len(raw) < 2 || raw[0] != '"' {
		return
	}
	if blob, ok := r.blob(raw[1 : len(raw)-1]); ok {
		r.media += len(blob)
	}
}

// finish derives what depends on the whole request.
func (r *reader) finish() {
	text := len(r.d.Original()) - r.media
	r.req.TokensIn = (text+3)/4 + r.req.Images*imageTokens
	for _, raw := range r.lastUser {
		r.req.LastUserChars += r.chars(raw)
	}
}

// meta reads an object of strings.
func (r *reader) meta(raw []byte) {
	if !r.want.Meta {
		return
	}
	r.req.Meta = make(map[string]string)
	doc.Scan(raw, func(key, raw []byte) bool {
		if kind(raw) == 's' {
			r.req.Meta[string(key)] = r.str(raw, maxText)
		}
		return true
	})
}

func (r *reader) tool(nameOf ...[]byte) {
	r.req.Tools++
	if r.want.Tools && len(nameOf) > 0 {
		r.req.ToolNames = append(r.req.ToolNames, r.str(nameOf[0], maxText))
	}
}

// forced notes a tool that the client insists on, which need not be among those
// it offers.
func (r *reader) forced(name []byte, ok bool) {
	if !ok || !r.want.Tools || kind(name) != 's' {
		return
	}
	if s := r.str(name, maxText); !slices.Contains(r.req.ToolNames, s) {
		r.req.ToolNames = append(r.req.ToolNames, s)
	}
}

// Typed readers: each reports a wrong type as an error of the named member.

func (r *reader) int(name string, raw []byte, to *int) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(string(raw), 64)
		if ferr != nil || f != float64(int64(f)) {
			r.wrong(name, "an integer")
			return
		}
		n = int64(f)
	}
	*to = int(n)
}

func (r *reader) float(name string, raw []byte, to **float64) {
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		r.wrong(name, "a number")
		return
	}
	*to = &f
}

func (r *reader) bool(name string, raw []byte, to *bool) {
	if k := kind(raw); k != 't' && k != 'f' {
		r.wrong(name, "true or false")
		return
	}
	*to = raw[0] == 't'
}

// short reads a string that is a name rather than a text.
func (r *reader) short(name string, raw []byte, to *string) {
	if kind(raw) != 's' {
		r.wrong(name, "a string")
		return
	}
	*to = r.str(raw, 4096)
}

// parts returns the role of a message and the raw value of one other member.
func parts(m []byte, name string) (role string, value []byte) {
	doc.Scan(m, func(key, raw []byte) bool {
		switch {
		case string(key) == "role":
			role = roleOf(raw)
		case string(key) == name:
			value = raw
		}
		return true
	})
	return role, value
}

// roleOf reads a role; the common ones cost no memory.
func roleOf(raw []byte) string {
	switch string(raw) {
	case `"user"`:
		return "user"
	case `"assistant"`:
		return "assistant"
	case `"tool"`:
		return "tool"
	case `"system"`:
		return "system"
	case `"developer"`:
		return "developer"
	case `"model"`:
		return "model"
	}
	role, _ := doc.String(raw)
	return role
}

// typed returns the raw type member of an object, with its quotes.
func typed(m []byte) string {
	raw, _ := doc.Get(m, "type")
	return string(raw)
}

// each walks an array member.
func (r *reader) each(name string, raw []byte, yield func(i int, raw []byte) bool) {
	if kind(raw) != 'a' {
		r.wrong(name, "an array")
		return
	}
	doc.Each(raw, func(i int, raw []byte) bool { return yield(i, raw) && r.bad == nil })
}

func (r *reader) wrong(name, want string) {
	r.bad = fault.Newf(fault.InvalidBody, "%s must be %s", name, want)
	r.bad.Param = name
}

// kind returns the type of a raw value: s string, o object, a array, t true,
// f false, z null, n number.
func kind(raw []byte) byte {
	if len(raw) == 0 {
		return 'z'
	}
	switch raw[0] {
	case '"':
		return 's'
	case '{':
		return 'o'
	case '[':
		return 'a'
	case 't', 'f':
		return raw[0]
	case 'n':
		return 'z'
	}
	return 'n'
}

func isNull(raw []byte) bool { return kind(raw) == 'z' }
