package host

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/url"
	"strconv"
	"strings"

	"github.com/omniroute/omniroute/sdk/abi"
)

// Auth directives of a plan. A directive is a word and its arguments, parted by
// colons:
//
//	none
//	bearer:SECRET                          Authorization: Bearer …
//	header:NAME:SECRET[:PREFIX]            NAME: PREFIX…
//	query:NAME:SECRET                      ?NAME=…
//	basic:USER:PASSWORD                    both are names of secrets
//	cookie:NAME:SECRET                     Cookie: NAME=…
//	aws-sigv4:SERVICE:REGION[:ID:KEY:TOKEN] AWS Signature Version 4; secrets
//	                                       access_key_id, secret_access_key and,
//	                                       where there is one, session_token
//	google-sa:SECRET[:SCOPES]              bearer token for a service account key
//	hmac:ALG-ENC:SECRET:HEADER:TEMPLATE    HEADER: digest of what the template says
//	custom                                 the plugin is asked: EX_SIGN
//
// authenticate carries one out over the final request.
func (f *filler) authenticate(r *Request, directive string) {
	kind, arg, _ := strings.Cut(directive, ":")
	switch kind {
	case "", "none":
	case "bearer":
		f.header(r, "Authorization", "Bearer "+f.secret(arg))
	case "header":
		f.authHeader(r, directive, arg)
	case "query":
		name, secret, ok := strings.Cut(arg, ":")
		if !ok || name == "" {
			f.badDirective(directive)
			return
		}
		value := f.secret(secret)
		for k, u := range r.URLs {
			r.URLs[k] = addQuery(u, name, value)
		}
	case "basic":
		user, password, _ := strings.Cut(arg, ":")
		pair := f.secret(user) + ":" + f.secret(password)
		f.header(r, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	case "cookie":
		f.authCookie(r, directive, arg)
	case "aws-sigv4":
		f.authSigV4(r, directive, arg)
	case "google-sa":
		secret, scopes, _ := strings.Cut(arg, ":")
		if token := f.googleToken(f.secret(secret), scopes); f.err == nil {
			f.header(r, "Authorization", "Bearer "+token)
		}
	case "hmac":
		f.authHMAC(r, directive, arg)
	case "custom":
		f.authCustom(r)
	default:
		f.fail("A plan has the auth directive %q, which this gateway does not carry out", kind)
	}
}

func (f *filler) badDirective(directive string) {
	f.fail("A plan has the invalid auth directive %q", directive)
}

func (f *filler) authHeader(r *Request, directive, arg string) {
	name, rest, ok := strings.Cut(arg, ":")
	secret, prefix, _ := strings.Cut(rest, ":")
	if !ok || !validHeader(abi.Header{Name: name}) {
		f.badDirective(directive)
		return
	}
	value := f.secret(secret)
	if strings.HasPrefix(value, lastWord(prefix)) && lastWord(prefix) != "" {
		prefix = strings.TrimSuffix(prefix, lastWord(prefix)) // some store the token with its marker
	}
	f.header(r, name, prefix+value)
}

// lastWord is the part of an auth prefix that is a marker of the token itself
// ("workos:"), not the scheme before it ("Bearer ").
func lastWord(prefix string) string {
	if k := strings.LastIndexByte(prefix, ' '); k >= 0 {
		return prefix[k+1:]
	}
	return ""
}

// authCookie adds a cookie to those the plan has. A secret that is a whole
// cookie header already ("a=1; b=2") is sent as it is when the name is "*".
func (f *filler) authCookie(r *Request, directive, arg string) {
	name, secret, ok := strings.Cut(arg, ":")
	if !ok || name == "" || name != "*" && !validHeader(abi.Header{Name: name}) {
		f.badDirective(directive)
		return
	}
	pair := f.secret(secret)
	if name != "*" {
		if strings.ContainsAny(pair, ";, \"\\") {
			f.fail("A credential has characters that no cookie may have")
			return
		}
		pair = name + "=" + pair
	}
	if have := headerValue(r.Header, "Cookie"); have != "" {
		pair = have + "; " + pair
	}
	f.header(r, "Cookie", pair)
}

// authHMAC writes a keyed digest over what the template names: {method},
// {host}, {path}, {query}, {body}, {body_sha256} (hexadecimal), {time} (Unix
// seconds), {header:NAME}, and \n for a line break. The result is one header
// per URL, as hexadecimal or base64 digits.
func (f *filler) authHMAC(r *Request, directive, arg string) {
	parts := strings.SplitN(arg, ":", 4)
	if len(parts) != 4 || !validHeader(abi.Header{Name: parts[2]}) {
		f.badDirective(directive)
		return
	}
	alg, enc, _ := strings.Cut(parts[0], "-")
	newHash, known := hashes[alg]
	if !known || enc != "hex" && enc != "base64" {
		f.badDirective(directive)
		return
	}
	key := f.secret(parts[1])
	for _, raw := range r.URLs {
		u, err := url.Parse(raw)
		if err != nil {
			f.fail("A plan has an invalid URL")
			return
		}
		text, ok := canonical(parts[3], r, u, f.now().Unix())
		if !ok {
			f.badDirective(directive)
			return
		}
		mac := hmac.New(newHash, []byte(key))
		mac.Write(text)
		value := hex.EncodeToString(mac.Sum(nil))
		if enc == "base64" {
			value = base64.StdEncoding.EncodeToString(mac.Sum(nil))
		}
		f.sign(r, abi.Header{Name: parts[2], Value: value})
	}
}

var hashes = map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}

// canonical fills a template of authHMAC.
func canonical(template string, r *Request, u *url.URL, now int64) ([]byte, bool) {
	var out bytes.Buffer
	for {
		before, rest, more := strings.Cut(template, "{")
		out.WriteString(strings.ReplaceAll(before, `\n`, "\n"))
		if !more {
			return out.Bytes(), true
		}
		word, after, ok := strings.Cut(rest, "}")
		if !ok {
			return nil, false
		}
		name, arg, _ := strings.Cut(word, ":")
		switch name {
		case "method":
			out.WriteString(r.Method)
		case "host":
			out.WriteString(u.Host)
		case "path":
			out.WriteString(pathOf(u))
		case "query":
			out.WriteString(u.RawQuery)
		case "body":
			out.Write(r.Body)
		case "body_sha256":
			out.WriteString(hexSum(r.Body))
		case "time":
			out.WriteString(strconv.FormatInt(now, 10))
		case "header":
			out.WriteString(headerValue(r.Header, arg))
		default:
			return nil, false
		}
		template = after
	}
}

// sign gives the next URL that has no signed header yet its own.
func (f *filler) sign(r *Request, more ...abi.Header) {
	own := Request{Header: append([]abi.Header(nil), r.Header...)}
	for _, h := range more {
		f.header(&own, h.Name, h.Value)
	}
	r.signed = append(r.signed, own.Header)
}

func pathOf(u *url.URL) string {
	if p := u.EscapedPath(); p != "" {
		return p
	}
	return "/"
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
