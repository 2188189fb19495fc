package execute

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
)

// embeddings makes the answer of an embeddings request in the client's format.
func (a *attempt) embeddings(body []byte) ([]byte, *fault.Error) {
	switch {
	case a.t.Dialect == "gemini" && a.c.Dialect == "gemini":
		return body, nil
	case a.t.Dialect == "gemini":
		body = embeddingsOfGemini(body)
	}
	list, ok := doc.Get(body, "data")
	if !ok || !hasElement(list) {
		return nil, a.empty()
	}
	if a.c.Dialect == "gemini" {
		return a.geminiAnswer(list), nil
	}
	wanted, _ := doc.String(a.c.Source, "encoding_format")
	out := append([]byte(nil), `{"object":"list","data":[`...)
	at := 0
	doc.Each(list, func(_ int, item []byte) bool {
		if at > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"object":"embedding","index":`...)
		index, ok := doc.Int(item, "index")
		if !ok {
			index = int64(at)
		}
		out = strconv.AppendInt(out, index, 10)
		out = append(out, `,"embedding":`...)
		vector, _ := doc.Get(item, "embedding")
		out = append(encoded(out, vector, wanted == "base64"), '}')
		at++
		return true
	})
	out = doc.Quote(append(out, `],"model":`...), a.t.ID)
	out = strconv.AppendInt(append(out, `,"usage":{"prompt_tokens":`...), a.usage.Prompt, 10)
	out = strconv.AppendInt(append(out, `,"total_tokens":`...), max(a.usage.Total, a.usage.Prompt), 10)
	return append(out, "}}"...), nil
}

func hasElement(list []byte) bool {
	found := false
	doc.Each(list, func(int, []byte) bool { found = true; return false })
	return found
}

// encoded appends a vector in the form that the client wants: an array, or the
// base64 text of little-endian float32.
func encoded(dst, vector []byte, text bool) []byte {
	isText := len(vector) > 0 && vector[0] == '"'
	switch {
	case len(vector) == 0:
		return append(dst, "[]"...)
	case isText == text:
		return append(dst, vector...)
	case text:
		var raw []byte
		doc.Each(vector, func(_ int, n []byte) bool {
			f, _ := strconv.ParseFloat(string(n), 32)
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(f)))
			return true
		})
		dst = append(dst, '"')
		return append(base64.StdEncoding.AppendEncode(dst, raw), '"')
	}
	s, _ := doc.String(vector)
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(raw)%4 != 0 {
		return append(dst, vector...)
	}
	dst = append(dst, '[')
	for i := 0; i < len(raw); i += 4 {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendFloat(dst, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[i:]))), 'g', -1, 32)
	}
	return append(dst, ']')
}

// geminiEmbeddings is an OpenAI request as Gemini's batch: one request per text.
func geminiEmbeddings(_ *call.Call, t *call.Target, body []byte) ([]byte, *fault.Error) {
	input, _ := doc.Get(body, "input")
	size, sized := doc.Int(body, "dimensions")
	out := append([]byte(nil), `{"requests":[`...)
	n, bad := 0, false
	add := func(text []byte) {
		if n++; n > 1 {
			out = append(out, ',')
		}
		out = doc.Quote(append(out, `{"model":`...), "models/"+t.Upstream)
		out = append(append(append(out, `,"content":{"parts":[{"text":`...), text...), "}]}"...)
		if sized {
			out = strconv.AppendInt(append(out, `,"outputDimensionality":`...), size, 10)
		}
		out = append(out, '}')
	}
	switch {
	case len(input) > 0 && input[0] == '"':
		add(input)
	default:
		doc.Each(input, func(_ int, item []byte) bool {
			if bad = len(item) == 0 || item[0] != '"'; !bad {
				add(item)
			}
			return !bad
		})
	}
	if bad || n == 0 {
		e := fault.New(fault.InvalidBody, "input must be a string or an array of strings: this provider takes no tokens")
		e.Param = "input"
		return nil, e
	}
	return append(out, "]}"...), nil
}

// embeddingsOfGemini is the answer to a batch as OpenAI's list.
func embeddingsOfGemini(body []byte) []byte {
	list, _ := doc.Get(body, "embeddings")
	out := append([]byte(nil), `{"data":[`...)
	doc.Each(list, func(i int, item []byte) bool {
		if i > 0 {
			out = append(out, ',')
		}
		values, _ := doc.Get(item, "values")
		out = append(append(append(out, `{"embedding":`...), values...), '}')
		return true
	})
	return append(out, "]}"...)
}

// openaiEmbeddings is a Gemini request, single or batch, in OpenAI's words.
func openaiEmbeddings(_ *call.Call, t *call.Target, body []byte) ([]byte, *fault.Error) {
	out := doc.Quote(append([]byte(nil), `{"model":`...), t.Upstream)
	out = append(out, `,"input":[`...)
	n := 0
	var size []byte
	add := func(request []byte) {
		if n++; n > 1 {
			out = append(out, ',')
		}
		content, _ := doc.Get(request, "content")
		out = append(out, partsText(content)...)
		if raw, ok := doc.Get(request, "outputDimensionality"); ok {
			size = raw
		}
	}
	if list, ok := doc.Get(body, "requests"); ok {
		doc.Each(list, func(_ int, request []byte) bool { add(request); return true })
	} else {
		add(body)
	}
	if n == 0 {
		e := fault.New(fault.MissingField, "Missing required field: requests")
		e.Param = "requests"
		return nil, e
	}
	out = append(out, ']')
	if size != nil {
		out = append(append(out, `,"dimensions":`...), size...)
	}
	return append(out, '}'), nil
}

// partsText joins the texts of a content as one raw JSON string. Long texts are
// tokens of the document and stay so.
func partsText(content []byte) []byte {
	out := []byte{'"'}
	parts, _ := doc.Get(content, "parts")
	doc.Each(parts, func(_ int, part []byte) bool {
		if text, ok := doc.Get(part, "text"); ok && len(text) > 2 && text[0] == '"' {
			if len(out) > 1 {
				out = append(out, `\n`...)
			}
			out = append(out, text[1:len(text)-1]...)
		}
		return true
	})
	return append(out, '"')
}

// geminiAnswer is a list of vectors as Gemini's clients expect it.
func (a *attempt) geminiAnswer(list []byte) []byte {
	var out []byte
	doc.Each(list, func(i int, item []byte) bool {
		if i > 0 {
			out = append(out, ',')
		}
		vector, _ := doc.Get(item, "embedding")
		out = append(encoded(append(out, `{"values":`...), vector, false), '}')
		return true
	})
	if a.c.Media.Endpoint == "embed_content" {
		return append(append([]byte(`{"embedding":`), out...), '}')
	}
	return append(append([]byte(`{"embeddings":[`), out...), "]}"...)
}

// geminiModels writes the target's model where a Gemini request names it.
func geminiModels(_ *call.Call, t *call.Target, body []byte) []byte {
	name := doc.Quote(nil, "models/"+t.Upstream)
	if list, ok := doc.Get(body, "requests"); ok {
		out := []byte{'['}
		doc.Each(list, func(i int, request []byte) bool {
			if i > 0 {
				out = append(out, ',')
			}
			request, _ = doc.Set(nil, request, name, "model")
			out = append(out, request...)
			return true
		})
		body, _ = doc.Set(nil, body, append(out, ']'), "requests")
		return body
	}
	if _, ok := doc.Get(body, "model"); ok {
		body, _ = doc.Set(nil, body, name, "model")
	}
	return body
}
