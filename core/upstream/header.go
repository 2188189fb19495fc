package upstream

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"
)

// hopByHop names the fields that concern one connection only (RFC 9110
// section 7.6.1) or that this package sets itself.
func hopByHop(name string) bool {
	switch len(name) {
	case 2, 7, 10, 14, 16, 17, 18, 19:
	default:
		return false
	}
	switch strings.ToLower(name) {
	case "te", "trailer", "upgrade", "connection", "keep-alive", "content-length",
		"proxy-connection", "transfer-encoding", "proxy-authenticate", "proxy-authorization":
		return true
	}
	return false
}

// checkHeader refuses fields that could break the message apart.
func checkHeader(h Header) error {
	if h.Name == "" {
		return misconfigured("a request header has no name")
	}
	for i := range len(h.Name) {
		if c := h.Name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?={}`, c) >= 0 {
			return misconfigured("the request header name %q is not valid", h.Name)
		}
	}
	for i := range len(h.Value) {
		if c := h.Value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return misconfigured("the value of request header %s contains a control character", h.Name)
		}
	}
	return nil
}

// method returns the request's method.
func (r *Request) method() string {
	switch {
	case r.Method != "":
		return r.Method
	case r.Body != nil || r.BodyReader != nil:
		return http.MethodPost
	}
	return http.MethodGet
}

func checkMethod(m string) error {
	for i := range len(m) {
		if c := m[i]; c < 'A' || c > 'Z' {
			return misconfigured("the request method %q is not valid", m)
		}
	}
	return nil
}

// appendHead appends the request line and the header of an HTTP/1.1 request.
func appendHead(dst []byte, r *Request, u *url.URL) ([]byte, error) {
	method := r.method()
	dst = append(dst, method...)
	dst = append(dst, ' ')
	dst = append(dst, u.RequestURI()...)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	host := HeaderValue(r.Header, "host")
	if host == "" {
		host = u.Host
	}
	dst = append(dst, host...)
	dst = append(dst, "\r\n"...)
	agent, encoding := false, false
	for _, h := range r.Header {
		if err := checkHeader(h); err != nil {
			return nil, err
		}
		switch {
		case hopByHop(h.Name) || strings.EqualFold(h.Name, "host"):
			continue
		case strings.EqualFold(h.Name, "user-agent"):
			agent = true
		case strings.EqualFold(h.Name, "accept-encoding"):
			encoding = true
		}
		dst = appendField(dst, h.Name, h.Value)
	}
	if !agent {
		dst = appendField(dst, "User-Agent", userAgent)
	}
	if !encoding {
		dst = appendField(dst, "Accept-Encoding", "identity")
	}
	switch {
	case r.BodyReader != nil:
		dst = appendField(dst, "Transfer-Encoding", "chunked")
	case r.Body != nil || method != http.MethodGet && method != http.MethodHead:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(r.Body)), 10)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...), nil
}

const userAgent = "omniroute"

func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// responseHeader copies the end-to-end fields of an answer, names in lower
// case, and returns its content coding apart. All text shares one allocation.
func responseHeader(h *fasthttp.ResponseHeader) (fields []Header, coding string) {
	var text []byte
	type place struct{ name, value, end int }
	var places [40]place
	list := places[:0]
	add := func(name, value []byte) {
		at := len(text)
		for _, c := range name {
			if c-'A' < 26 {
				c |= 0x20
			}
			text = append(text, c)
		}
		middle := len(text)
		text = append(text, value...)
		list = append(list, place{at, middle, len(text)})
	}
	text = make([]byte, 0, 1024)
	for name, value := range h.All() {
		add(name, value)
	}
	all := string(text)
	fields = make([]Header, 0, len(list))
	for _, p := range list {
		f := Header{Name: all[p.name:p.value], Value: all[p.value:p.end]}
		if f.Name == "content-encoding" {
			coding = f.Value
			continue
		}
		if !hopByHop(f.Name) {
			fields = append(fields, f)
		}
	}
	return fields, coding
}

// netHeader does the same for an answer of net/http.
func netHeader(h http.Header) (fields []Header, coding string) {
	fields = make([]Header, 0, len(h))
	for name, values := range h {
		name = strings.ToLower(name)
		if name == "content-encoding" {
			coding = strings.Join(values, ", ")
			continue
		}
		if hopByHop(name) {
			continue
		}
		for _, v := range values {
			fields = append(fields, Header{Name: name, Value: v})
		}
	}
	return fields, coding
}
