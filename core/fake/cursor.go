package fake

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	binaryenc "encoding/binary"
	"encoding/hex"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/sdk/pb"
)

// cursor plays the chat service of Cursor: protobuf in frames of the Connect
// protocol.
type cursor struct{}

func (cursor) contentType() string { return "application/connect+proto" }

// parse reads the frame and the message of a request into JSON of the shape
// {"model", "messages": [{"role", "content", "result": "id of a call"}], "tools":
// ["name"], "supported": "kinds of tools in hex", "mode"}.
func (cursor) parse(r *Request) bool {
	if ct := r.Header.Get("Content-Type"); ct != "application/connect+proto" {
		r.violate("content type %q, want application/connect+proto", ct)
	}
	body := r.Body
	if len(body) < 5 || int(binaryenc.BigEndian.Uint32(body[1:5])) != len(body)-5 || body[0] > 1 {
		r.violate("invalid_argument: protocol error: incomplete envelope")
		return true
	}
	message := body[5:]
	if body[0] == 1 {
		zr, err := gzip.NewReader(bytes.NewReader(message))
		if err != nil {
			r.violate("invalid_argument: %v", err)
			return true
		}
		message, _ = io.ReadAll(zr)
	}
	chat, ok := pb.Get(message, 1)
	if !ok || !pb.Valid(message) || !pb.Valid(chat.Bytes) {
		r.violate("invalid_argument: failed to parse message")
		return true
	}
	out := obj{}
	messages, tools := []obj{}, []string{}
	for f := range pb.Fields(chat.Bytes) {
		switch f.Number {
		case 1:
			role := "user"
			if kind, _ := pb.Get(f.Bytes, 2); kind.Uint == 2 {
				role = "assistant"
			}
			m := obj{"role": role, "content": pbText(f.Bytes, 1), "id": pbText(f.Bytes, 13)}
			if result, ok := pb.Get(f.Bytes, 18); ok {
				m["result"] = pbText(result.Bytes, 1)
			}
			messages = append(messages, m)
		case 5:
			r.Model = pbText(f.Bytes, 1)
		case 23:
			out["conversation"] = string(f.Bytes)
		case 29:
			out["supported"] = hex.EncodeToString(f.Bytes)
		case 34:
			tools = append(tools, pbText(f.Bytes, 1))
			if _, err := cases.Parse([]byte(pbText(f.Bytes, 3))); err != nil {
				r.violate("the parameters of a tool are no JSON")
			}
		case 46:
			out["mode"] = f.Uint
		case 49:
			out["thinking"] = f.Uint
		}
	}
	out["model"], out["messages"], out["tools"] = r.Model, messages, tools
	r.JSON, _ = cases.Parse(encode(out))
	return true
}

func pbText(msg []byte, number int) string {
	f, _ := pb.Get(msg, number)
	return string(f.Bytes)
}

var (
	uuid4       = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	cursorTrace = regexp.MustCompile(`^Root=` + strings.Trim(uuid4.String(), "^$") + `$`)
	cursorID    = regexp.MustCompile(`^[0-9a-f]{64}(/[0-9a-f]{64})?$`)
)

func (cursor) check(r *Request) {
	v := r.JSON
	r.matches("conversation_id", v.Str("conversation"), uuid4)
	if r.Model == "" {
		r.violate("the model is missing")
	}
	messages, _ := v.Get("messages")
	if len(messages.Items) == 0 {
		r.violate("the conversation is empty")
	}
	for _, m := range messages.Items {
		r.matches("bubble_id", m.Str("id"), uuid4)
	}
	mode := "1"
	if tools, _ := v.Get("tools"); len(tools.Items) > 0 {
		mode = "2"
	}
	if got, _ := v.Get("mode"); got.Text != mode {
		r.violate("unified_mode is %q, want %s", got.Text, mode)
	}
	token := r.Key()
	if strings.Contains(token, "::") {
		r.violate("the token has the user's id before it")
	}
	sum := sha256.Sum256([]byte(token))
	for name, want := range map[string]string{
		"Connect-Protocol-Version": "1", "X-Client-Key": hex.EncodeToString(sum[:]), "X-Session-Id": dnsUUID(token), "X-Cursor-Client-Type": "ide",
	} {
		if got := r.Header.Get(name); got != want {
			r.violate("%s is %q, want %q", name, got, want)
		}
	}
	r.matches("x-request-id", r.Header.Get("X-Request-Id"), uuid4)
	r.matches("x-cursor-config-version", r.Header.Get("X-Cursor-Config-Version"), uuid4)
	r.matches("x-amzn-trace-id", r.Header.Get("X-Amzn-Trace-Id"), cursorTrace)
	r.cursorChecksum(r.Header.Get("X-Cursor-Checksum"))
}

// cursorChecksum takes the time out of a checksum and compares it with the clock.
func (r *Request) cursorChecksum(sum string) {
	if len(sum) < 8 {
		r.violate("x-cursor-checksum is missing")
		return
	}
	b, err := base64.RawURLEncoding.DecodeString(sum[:8])
	if err != nil {
		r.violate("x-cursor-checksum: %v", err)
		return
	}
	key := byte(165)
	for i := range b {
		plain := (b[i] - byte(i)) ^ key
		key, b[i] = b[i], plain
	}
	if b[0] != b[4] || b[1] != b[5] {
		r.violate("x-cursor-checksum: the time is % x", b)
		return
	}
	at := int64(b[2])<<24 | int64(b[3])<<16 | int64(b[4])<<8 | int64(b[5])
	if now := time.Now().UnixMilli() / 1_000_000; at < now-2 || at > now+2 {
		r.violate("x-cursor-checksum: its time is %d, it is %d", at, now)
	}
	r.matches("x-cursor-checksum", sum[8:], cursorID)
}

// dnsUUID is the name-based UUID in the namespace DNS (RFC 9562, version 5).
func dnsUUID(name string) string {
	h := sha1.New()
	h.Write([]byte{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8})
	h.Write([]byte(name))
	b := h.Sum(nil)[:16]
	b[6], b[8] = b[6]&0x0f|0x50, b[8]&0x3f|0x80
	s := hex.EncodeToString(b)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

var cursorResult = regexp.MustCompile(`(?s)^<tool_result>\n.*<result>(.*)</result>\n</tool_result>$`)

func (cursor) results(r *Request) []string {
	var out []string
	messages, _ := r.JSON.Get("messages")
	for i := len(messages.Items) - 1; i >= 0; i-- {
		m := cursorResult.FindStringSubmatch(messages.Items[i].Str("content"))
		if m == nil {
			break
		}
		out = append([]string{m[1]}, out...)
	}
	return out
}

func (d cursor) body(r *Request, reply Reply) []byte {
	var out []byte
	for _, e := range d.events(r, reply) {
		out = append(out, d.frame(e)...)
	}
	return out
}

// Names of events: a message, one that is sent compressed, and the trailer.
const (
	cursorMessage = ""
	cursorZipped  = "gzip"
	cursorEnd     = "end"
)

// cursorEvent is an event with a message; its data is the message in base64.
func cursorEvent(name string, write func(w *pb.Writer)) cases.Event {
	var w pb.Writer
	write(&w)
	return event(name, w.Data())
}

func cursorText(text string) func(*pb.Writer) {
	return func(w *pb.Writer) { w.Message(2, func(w *pb.Writer) { w.String(1, text) }) }
}

func (cursor) events(_ *Request, reply Reply) []cases.Event {
	out := []cases.Event{cursorEvent(cursorMessage, func(w *pb.Writer) { w.Message(5, func(w *pb.Writer) { w.Bytes(1, nil) }) })}
	for _, p := range cutWords(reply.thinkingText()) {
		out = append(out, cursorEvent(cursorMessage, func(w *pb.Writer) {
			w.Message(2, func(w *pb.Writer) { w.Message(25, func(w *pb.Writer) { w.String(1, p) }) })
		}))
	}
	for i, p := range reply.pieces() {
		name := cursorMessage
		if i%2 == 1 {
			name = cursorZipped
		}
		out = append(out, cursorEvent(name, cursorText(p)))
	}
	for _, c := range reply.Calls {
		pieces := halves(c.Args)
		for i, p := range pieces {
			out = append(out, cursorEvent(cursorMessage, func(w *pb.Writer) {
				w.Message(1, func(w *pb.Writer) { writeCursorCall(w, c, p, i == len(pieces)-1) })
			}))
		}
	}
	return append(out, event(cursorEnd, obj{}))
}

func writeCursorCall(w *pb.Writer, c Call, args string, last bool) {
	w.Uint(1, 19)
	w.String(3, c.ID+"\nmc_fake")
	w.String(9, "mcp_custom_"+c.Name)
	w.Uint(14, 1)
	if last {
		w.Uint(15, 1)
	}
	w.Message(27, func(w *pb.Writer) {
		w.Message(1, func(w *pb.Writer) { w.String(1, c.Name); w.String(3, args); w.String(4, "custom") })
	})
}

func (cursor) frame(e cases.Event) []byte {
	flags, payload := byte(2), []byte(e.Data)
	if e.Name != cursorEnd {
		v, _ := cases.Parse(e.Data)
		payload, _ = base64.StdEncoding.DecodeString(v.Text)
		flags = 0
	}
	if e.Name == cursorZipped {
		var zipped bytes.Buffer
		zw := gzip.NewWriter(&zipped)
		_, _ = zw.Write(payload)
		_ = zw.Close()
		flags, payload = 1, zipped.Bytes()
	}
	return append(binaryenc.BigEndian.AppendUint32([]byte{flags}, uint32(len(payload))), payload...)
}

func cursorCode(status int) string {
	switch status {
	case 401:
		return "unauthenticated"
	case 403:
		return "permission_denied"
	case 404:
		return "not_found"
	case 429:
		return "resource_exhausted"
	case 503:
		return "unavailable"
	}
	if status >= 500 {
		return "internal"
	}
	return "invalid_argument"
}

func cursorError(status int, message string) obj {
	return obj{"code": cursorCode(status), "message": "Error", "details": []obj{{
		"type": "aiserver.v1.ErrorDetails", "debug": obj{"error": "ERROR_CUSTOM", "details": obj{"title": message, "detail": ""}, "isExpected": true},
	}}}
}

func (cursor) failure(reply Reply) answer {
	return answer{status: reply.Status, body: encode(cursorError(reply.Status, reply.Error))}
}

func (cursor) errorEvents(message string) []cases.Event {
	return []cases.Event{event(cursorEnd, obj{"error": cursorError(429, message)})}
}

func (cursor) extra(_ *Request, models []string) answer {
	var w pb.Writer
	for _, m := range models {
		w.Message(2, func(w *pb.Writer) { w.String(1, m); w.Uint(15, 200000); w.String(17, strings.ToUpper(m)) })
	}
	return answer{status: 200, body: w.Data()}
}
