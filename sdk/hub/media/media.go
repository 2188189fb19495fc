package media

import (
	"encoding/base64"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// headerPeek is how much of a string is read to find the end of a data URL's header.
const headerPeek = 512

// DataURL splits a data URL into MIME type (lower case, parameters cut, image/jpg
// made image/jpeg) and base64 payload. ok is false when s is no data URL.
func DataURL(t jsn.Tokens, s jsn.Str) (mime string, data jsn.Str, ok bool) {
	if !t.HasPrefix(s, "data:") && !t.HasPrefix(s, "DATA:") {
		return "", nil, false
	}
	head := t.Peek(s, headerPeek)
	comma := -1
	for i := 0; i < len(head) && i < headerPeek; i++ {
		if head[i] == ',' {
			comma = i
			break
		}
	}
	if comma < 0 {
		return "", nil, false
	}
	header := jsn.Str(head[:comma]).String()[len("data:"):]
	payload := t.Cut(s, comma+1)
	mime, params, _ := strings.Cut(header, ";")
	mime = Type(mime)
	if mime == "" {
		mime = "text/plain"
	}
	if !strings.HasSuffix(strings.ToLower(";"+params), ";base64") {
		text, err := url.PathUnescape(t.Decode(payload))
		if err != nil {
			text = t.Decode(payload)
		}
		payload = jsn.Str(base64.StdEncoding.EncodeToString([]byte(text)))
	}
	return mime, payload, true
}

// AppendDataURL appends a data URL as escaped string content.
func AppendDataURL(dst []byte, mime string, data jsn.Str) []byte {
	dst = append(dst, "data:"...)
	dst = jsn.AppendEscaped(dst, mime)
	dst = append(dst, ";base64,"...)
	return append(dst, data...)
}

// Type brings a MIME type into its usual form: lower case, without parameters.
func Type(s string) string {
	s, _, _ = strings.Cut(s, ";")
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "image/jpg" {
		return "image/jpeg"
	}
	return s
}

// FromURL makes the part that an image_url of a client stands for: an image, or the
// document hidden in a data URL (M-2). partType names the part in the client's
// dialect.
func FromURL(t jsn.Tokens, s jsn.Str, partType string) hub.Part {
	mime, data, ok := DataURL(t, s)
	if !ok {
		return hub.Part{Kind: hub.PartImage, Media: &hub.Media{URL: s, Type: partType}}
	}
	return FromData(mime, data, partType)
}

// FromData makes the part for a base64 payload of a MIME type.
func FromData(mime string, data jsn.Str, partType string) hub.Part {
	p := hub.Part{Kind: hub.PartFile, Media: &hub.Media{MIME: mime, Data: data, Type: partType}}
	switch {
	case strings.HasPrefix(mime, "image/"):
		p.Kind = hub.PartImage
	case strings.HasPrefix(mime, "audio/"):
		p.Kind = hub.PartAudio
	case strings.HasPrefix(mime, "video/"):
		p.Kind = hub.PartVideo
	}
	return p
}

// GuessType guesses the MIME type of a URL from its path (M-1); fallback when the
// path tells nothing.
func GuessType(t jsn.Tokens, s jsn.Str, fallback string) string {
	path := t.Decode(s)
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	path = path[strings.LastIndexByte(path, '/')+1:]
	switch strings.ToLower(path[strings.LastIndexByte(path, '.')+1:]) {
	case "jpg", "jpeg":
		return "image/jpeg"
	case "png":
		return "image/png"
	case "gif":
		return "image/gif"
	case "webp":
		return "image/webp"
	case "heic":
		return "image/heic"
	case "heif":
		return "image/heif"
	case "bmp":
		return "image/bmp"
	case "svg":
		return "image/svg+xml"
	case "pdf":
		return "application/pdf"
	case "txt", "md":
		return "text/plain"
	case "csv":
		return "text/csv"
	case "html", "htm":
		return "text/html"
	case "json":
		return "application/json"
	case "mp4":
		return "video/mp4"
	case "webm":
		return "video/webm"
	case "mov":
		return "video/quicktime"
	case "mp3":
		return "audio/mp3"
	case "wav":
		return "audio/wav"
	}
	return fallback
}

// IsText tells whether documents of a MIME type are plain text.
func IsText(mime string) bool {
	if strings.HasPrefix(mime, "text/") || strings.HasSuffix(mime, "+json") || strings.HasSuffix(mime, "+xml") {
		return true
	}
	switch mime {
	case "application/json", "application/xml", "application/yaml", "application/x-yaml", "application/toml",
		"application/javascript", "application/typescript", "application/x-sh", "application/sql":
		return true
	}
	return false
}

// Text decodes the payload of a text document. ok is false when it is not base64 of
// UTF-8.
func Text(t jsn.Tokens, data jsn.Str) (text jsn.Str, ok bool) {
	raw, err := base64.StdEncoding.DecodeString(t.Decode(data))
	if err != nil {
		if raw, err = base64.RawStdEncoding.DecodeString(t.Decode(data)); err != nil {
			return nil, false
		}
	}
	if !utf8.Valid(raw) {
		return nil, false
	}
	return jsn.Lit(string(raw)), true
}

// AudioType returns the MIME type of an OpenAI audio format (M-3).
func AudioType(format string) string {
	switch format {
	case "pcm16":
		return "audio/pcm"
	case "":
		return "audio/wav"
	}
	return "audio/" + format
}

// AudioFormat returns the OpenAI name of an audio MIME type (M-3).
func AudioFormat(mime string) string {
	switch f := strings.TrimPrefix(mime, "audio/"); f {
	case "mpeg":
		return "mp3"
	case "pcm":
		return "pcm16"
	case "x-wav", "wave":
		return "wav"
	default:
		return f
	}
}

// Label names unsupported content in placeholders.
func Label(p *hub.Part) string {
	switch {
	case p.Media == nil:
		return "content"
	case p.Media.Type != "":
		return p.Media.Type
	case p.Media.MIME != "":
		return p.Media.MIME
	}
	return "content"
}

// Placeholder is the text that stands for content a target does not take (M-4).
func Placeholder(p *hub.Part) hub.Part {
	return hub.Part{Kind: hub.PartText, Text: jsn.Lit("[unsupported content: " + Label(p) + "]"), Cache: p.Cache}
}

// Refuse applies M-4: content that takes does not accept becomes a placeholder, or a
// 400 that another target may serve when it stands in the last user message. takes
// is asked for every part that is not text, with the message it stands in.
func Refuse(c *hub.Ctx, r *hub.Request, takes func(m *hub.Message, p *hub.Part) bool) error {
	last := len(r.Messages) - 1
	for last >= 0 && r.Messages[last].Role != hub.User {
		last--
	}
	for i := range r.Messages {
		m := &r.Messages[i]
		for j := range m.Parts {
			p := &m.Parts[j]
			if p.Kind == hub.PartText || takes(m, p) {
				continue
			}
			label := Label(p)
			if i == last {
				return &hub.Error{Status: 400, Code: "unsupported_content", Param: "messages", Fallback: true,
					Message: "the target model's format cannot carry this content: " + label}
			}
			c.Drop(label)
			*p = Placeholder(p)
		}
	}
	return nil
}

// FileName is the name of a document that came without one (M-2).
func FileName(m *hub.Media) string {
	if m.MIME == "application/pdf" && m.Type != "input_file" {
		return "document.pdf"
	}
	return "file"
}
