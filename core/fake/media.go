package fake

import (
	"bytes"
	"encoding/base64"
	le "encoding/binary"
	"errors"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/omniroute/omniroute/core/cases"
)

// mediaKinds are the services beside chat by the end of their paths.
var mediaKinds = [...]struct{ suffix, kind string }{
	{"/embeddings", "embeddings"},
	{"/images/generations", "images"},
	{"/audio/speech", "speech"},
	{"/audio/transcriptions", "transcriptions"},
	{"/audio/translations", "transcriptions"},
	{"/rerank", "rerank"},
	{"/moderations", "moderations"},
}

// routeMedia finds them.
func routeMedia(r *Request) bool {
	for _, m := range mediaKinds {
		if strings.HasSuffix(r.Path, m.suffix) {
			r.Dialect, r.Kind = "openai", m.kind
			return true
		}
	}
	return false
}

// media reports a service that answers neither with text nor with a list.
func (r *Request) media() bool {
	switch r.Kind {
	case "embeddings", "images", "speech", "transcriptions", "rerank", "moderations":
		return true
	}
	return false
}

// File is one file of a multipart request.
type File struct {
	Field, Name, Type string
	Data              []byte
}

// readForm reads a multipart body into Fields and Files.
func (r *Request) readForm() {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		r.violate("content type %q, want multipart/form-data", kind)
		return
	}
	r.Fields = map[string][]string{}
	in := multipart.NewReader(bytes.NewReader(r.Body), params["boundary"])
	for {
		part, err := in.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.violate("the form cannot be read: %v", err)
			return
		}
		data, _ := io.ReadAll(part)
		if part.FileName() == "" {
			r.Fields[part.FormName()] = append(r.Fields[part.FormName()], string(data))
			continue
		}
		r.Files = append(r.Files, File{part.FormName(), part.FileName(), part.Header.Get("Content-Type"), data})
	}
	if len(r.Fields["model"]) == 1 {
		r.Model = r.Fields["model"][0]
	} else {
		r.violate("missing required parameter: 'model'")
	}
	r.Stream = len(r.Fields["stream"]) == 1 && r.Fields["stream"][0] == "true"
	if len(r.Files) != 1 || r.Files[0].Field != "file" {
		r.violate("want one file")
	}
}

// checkMedia checks a request that is not chat.
func checkMedia(r *Request) {
	v := r.JSON
	if r.Dialect == "gemini" {
		if _, ok := v.Get("requests"); ok != strings.HasSuffix(r.Path, ":batchEmbedContents") {
			r.violate("requests is for batches")
		}
		return
	}
	r.want(v, "", "model", cases.String)
	need := func(key string) {
		if m, ok := v.Get(key); !ok || m.Kind == cases.Null {
			r.violate("missing required parameter: '%s'", key)
		}
	}
	switch r.Kind {
	case "embeddings":
		r.only(v, "", "model", "input", "dimensions", "encoding_format", "user", "input_type", "truncate")
		need("input")
	case "images":
		r.only(v, "", "model", "prompt", "n", "size", "quality", "response_format", "style", "user", "width", "height",
			"background", "moderation", "output_format", "output_compression", "steps", "seed")
		need("prompt")
		if strings.HasPrefix(r.Model, "gpt-image") {
			for _, name := range []string{"response_format", "style"} {
				if _, ok := v.Get(name); ok {
					r.violate("unknown parameter: '%s'", name)
				}
			}
		}
	case "speech":
		need("input")
		need("voice")
	case "rerank":
		need("query")
		need("documents")
	case "moderations":
		need("input")
	}
}

// vector is what the fake embeds everything as; each of its numbers is one of float32.
var vector = []float64{0.25, -0.5, 1}

// PNG is the image that the fakes draw, Sound the speech they speak.
var (
	PNG   = []byte("\x89PNG\r\n\x1a\nfake")
	Sound = []byte(strings.Repeat("ID3\x04fake sound ", 4000))
)

// mediaAnswer answers a request that is not chat.
func mediaAnswer(r *Request) (contentType string, body []byte) {
	contentType = "application/json"
	switch r.Kind {
	case "embeddings":
		body = embeddingsAnswer(r)
	case "images":
		asked, _ := r.JSON.Get("n")
		n, _ := asked.Int()
		var data []obj
		for range max(n, 1) {
			data = append(data, obj{"b64_json": base64.StdEncoding.EncodeToString(PNG)})
		}
		out := obj{"created": 1700000000, "data": data}
		if strings.HasPrefix(r.Model, "gpt-image") {
			out["usage"] = obj{"input_tokens": 10, "output_tokens": 100, "total_tokens": 110}
		}
		body = encode(out)
	case "speech":
		return "audio/mpeg", Sound
	case "transcriptions":
		return transcription(r)
	case "rerank":
		body = encode(obj{"id": "rerank-1", "results": []obj{{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}},
			"meta": obj{"billed_units": obj{"search_units": 1}}})
	case "moderations":
		body = encode(obj{"id": "modr-1", "model": r.Model, "results": []obj{{"flagged": true, "categories": obj{"violence": true},
			"category_scores": obj{"violence": 0.9}}}})
	}
	return contentType, body
}

func embeddingsAnswer(r *Request) []byte {
	if r.Dialect == "gemini" {
		return geminiVectors(r)
	}
	count := 1
	if in, _ := r.JSON.Get("input"); in.Kind == cases.Array {
		count = len(in.Items)
	}
	var value any = vector
	if r.JSON.Str("encoding_format") == "base64" {
		var raw []byte
		for _, f := range vector {
			raw = le.LittleEndian.AppendUint32(raw, math.Float32bits(float32(f)))
		}
		value = base64.StdEncoding.EncodeToString(raw)
	}
	data := []obj{}
	for i := range count {
		data = append(data, obj{"object": "embedding", "index": i, "embedding": value})
	}
	return encode(obj{"object": "list", "model": r.Model, "usage": obj{"prompt_tokens": 3, "total_tokens": 3}, "data": data})
}

// geminiVectors answers embedContent and batchEmbedContents.
func geminiVectors(r *Request) []byte {
	values := obj{"values": vector}
	requests, batch := r.JSON.Get("requests")
	if !batch {
		return encode(obj{"embedding": values})
	}
	list := []obj{}
	for range requests.Items {
		list = append(list, values)
	}
	return encode(obj{"embeddings": list})
}

// transcription is the same text for every sound, in the form that is asked for.
func transcription(r *Request) (contentType string, body []byte) {
	const text = "The quick brown fox."
	if r.Stream {
		return "text/event-stream", []byte("data: {\"type\":\"transcript.text.delta\",\"delta\":\"" + text + "\"}\n\n" +
			"data: {\"type\":\"transcript.text.done\",\"text\":\"" + text + "\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"output_tokens\":6,\"total_tokens\":20}}\n\n")
	}
	switch format := r.Fields["response_format"]; {
	case len(format) == 1 && format[0] == "text":
		return "text/plain; charset=utf-8", []byte(text + "\n")
	case strings.Contains(r.Model, "gpt-4o"):
		return "application/json", encode(obj{"text": text, "usage": obj{"type": "tokens", "input_tokens": 14, "output_tokens": 6, "total_tokens": 20}})
	}
	return "application/json", encode(obj{"text": text, "usage": obj{"type": "duration", "seconds": 90}})
}

// playMedia writes a scripted failure, a scripted body, or the usual answer.
func (s *Server) playMedia(w http.ResponseWriter, r *Request, d dialect, reply Reply) {
	for name, values := range reply.Header {
		w.Header()[name] = values
	}
	if reply.Status != 0 && reply.Status != http.StatusOK {
		a := d.failure(reply)
		if reply.Body != nil {
			a.body = reply.Body
		}
		s.plain(w, a)
		return
	}
	contentType, body := mediaAnswer(r)
	if reply.Body != nil {
		contentType, body = "application/json", reply.Body
	}
	if reply.ContentType != "" {
		contentType = reply.ContentType
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(body)
}
