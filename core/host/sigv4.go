package host

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/omniroute/omniroute/sdk/abi"
)

// AWS Signature Version 4, after "Create a signed AWS API request" of the IAM
// user guide.
const (
	awsAlgorithm = "AWS4-HMAC-SHA256"
	awsTime      = "20060102T150405Z"
	awsDate      = "20060102"
)

// awsKeys are the credentials of a signature.
type awsKeys struct{ id, secret, token string }

func (f *filler) authSigV4(r *Request, directive, arg string) {
	parts := strings.Split(arg, ":")
	if len(parts) != 2 && len(parts) != 5 || parts[0] == "" || parts[1] == "" {
		f.badDirective(directive)
		return
	}
	names := []string{"access_key_id", "secret_access_key", "session_token"}
	if len(parts) == 5 {
		names = parts[2:]
	}
	keys := awsKeys{id: f.secret(names[0]), secret: f.secret(names[1])}
	if names[2] != "" && f.plan.mayUse(names[2]) && f.secrets != nil {
		keys.token, _ = f.secrets(names[2]) // long-lived keys have none
	}
	for _, raw := range r.URLs {
		u, err := url.Parse(raw)
		if err != nil {
			f.fail("A plan has an invalid URL")
			return
		}
		f.sign(r, sigV4(r.Method, u, r.Header, r.Body, keys, parts[0], parts[1], f.now())...)
	}
}

// sigV4 returns the headers that sign a request.
func sigV4(method string, u *url.URL, header []abi.Header, body []byte, keys awsKeys, service, region string, now time.Time) []abi.Header {
	now = now.UTC()
	added := []abi.Header{{Name: "X-Amz-Date", Value: now.Format(awsTime)}}
	if keys.token != "" {
		added = append(added, abi.Header{Name: "X-Amz-Security-Token", Value: keys.token})
	}
	digest := hexSum(body)
	if service == "s3" {
		added = append(added, abi.Header{Name: "X-Amz-Content-Sha256", Value: digest})
	}
	names, headers := awsHeaders(u, append(slices.Clone(header), added...))
	request := strings.Join([]string{method, awsPath(u, service), awsQuery(u), headers, names, digest}, "\n")

	scope := now.Format(awsDate) + "/" + region + "/" + service + "/aws4_request"
	toSign := awsAlgorithm + "\n" + now.Format(awsTime) + "\n" + scope + "\n" + hexSum([]byte(request))
	key := []byte("AWS4" + keys.secret)
	for _, step := range []string{now.Format(awsDate), region, service, "aws4_request", toSign} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(step))
		key = mac.Sum(nil)
	}
	value := awsAlgorithm + " Credential=" + keys.id + "/" + scope + ", SignedHeaders=" + names + ", Signature=" + hex.EncodeToString(key)
	return append(added, abi.Header{Name: "Authorization", Value: value})
}

// awsHeaders returns the signed header names and the canonical headers. What a
// proxy on the way may change is not signed.
func awsHeaders(u *url.URL, header []abi.Header) (names, text string) {
	host := u.Host
	if u.Port() == "80" && u.Scheme == "http" || u.Port() == "443" && u.Scheme == "https" {
		host = u.Hostname()
	}
	values := map[string][]string{"host": {host}}
	for _, h := range header {
		switch name := strings.ToLower(h.Name); name {
		case "authorization", "user-agent", "x-amzn-trace-id", "expect", "accept-encoding", "connection":
		default:
			values[name] = append(values[name], strings.Join(strings.Fields(h.Value), " "))
		}
	}
	list := sortedKeys(values)
	var b strings.Builder
	for _, name := range list {
		b.WriteString(name + ":" + strings.Join(values[name], ",") + "\n")
	}
	return strings.Join(list, ";"), b.String()
}

// awsPath is the canonical path: without dot segments, and encoded once more
// than it is sent, which only S3 does not want.
func awsPath(u *url.URL, service string) string {
	p := u.EscapedPath()
	if service == "s3" {
		if p == "" {
			return "/"
		}
		return p
	}
	clean := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	return awsEscape(clean, true)
}

// awsQuery is the canonical query: members by name, then by value.
func awsQuery(u *url.URL) string {
	if u.RawQuery == "" {
		return ""
	}
	var list [][2]string
	for _, part := range strings.Split(u.RawQuery, "&") {
		name, value, _ := strings.Cut(part, "=")
		list = append(list, [2]string{awsEscape(unescape(name), false), awsEscape(unescape(value), false)})
	}
	slices.SortFunc(list, func(a, b [2]string) int {
		if c := strings.Compare(a[0], b[0]); c != 0 {
			return c
		}
		return strings.Compare(a[1], b[1])
	})
	parts := make([]string, len(list))
	for k, p := range list {
		parts[k] = p[0] + "=" + p[1]
	}
	return strings.Join(parts, "&")
}

func unescape(s string) string {
	if out, err := url.QueryUnescape(s); err == nil {
		return out
	}
	return s
}

// awsEscape encodes everything but unreserved characters, in capital digits.
func awsEscape(s string, slashes bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for k := 0; k < len(s); k++ {
		c := s[k]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 || slashes && c == '/' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}
