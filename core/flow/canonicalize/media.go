package canonicalize

import (
	"strings"
	"unicode/utf8"

	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
)

// moderationModel stands for a moderation request that names no model.
const moderationModel = "omni-moderation-latest"

// mediaFields are the members without which a request of a kind makes no sense.
var mediaFields = map[string][]string{
	catalog.KindEmbedding:  {"input"},
	catalog.KindImage:      {"prompt"},
	catalog.KindSpeech:     {"input"},
	catalog.KindRerank:     {"query", "documents"},
	catalog.KindModeration: {"input"},
}

// mediaEnvelope is [envelope] for requests that are not chat.
func mediaEnvelope(c *call.Call) *fault.Error {
	r := reader{d: c.Doc, req: c.Req, mark: []byte("~b" + c.Doc.Nonce() + ".")}
	have := make(map[string]bool)
	object := doc.Scan(c.Doc.Skeleton(), func(key, raw []byte) bool {
		if isNull(raw) {
			return true
		}
		switch name := string(key); {
		case name == "model" && c.Dialect != "gemini":
			r.short("model", raw, &c.Model)
		case name == "stream" && c.Dialect != "gemini":
			r.bool("stream", raw, &c.Stream)
		case name == "input" && c.Media.Kind == catalog.KindSpeech:
			if have[name] = kind(raw) == 's'; !have[name] {
				r.wrong(name, "a string")
				return false
			}
			c.Media.Made.Characters = r.spoken(raw)
		default:
			have[name] = !empty(raw)
		}
		return r.bad == nil
	})
	switch {
	case r.bad != nil:
		return r.bad
	case !object:
		return fault.New(fault.InvalidBody, "The request body must be a JSON object")
	}
	if c.Model == "" && c.Media.Kind == catalog.KindModeration {
		c.Model = moderationModel
	}
	if strings.TrimSpace(c.Model) == "" {
		return missing("model")
	}
	if bad := mediaInput(c, have); bad != nil {
		return bad
	}
	c.HasInput = true
	c.Req.Model, c.Req.Stream, c.Route = c.Model, c.Stream, c.Model
	return mediaClient(c)
}

// mediaInput checks that there is something to work on.
func mediaInput(c *call.Call, have map[string]bool) *fault.Error {
	fields := mediaFields[c.Media.Kind]
	if c.Dialect == "gemini" {
		fields = []string{"content"}
		if c.Media.Endpoint != "embed_content" {
			fields = []string{"requests"}
		}
	}
	for _, f := range fields {
		if !have[f] {
			return missing(f)
		}
	}
	if c.Media.Kind == catalog.KindTranscription && (c.Media.Upload == nil || len(c.Media.Upload.Parts) == 0) {
		return missing("file")
	}
	return nil
}

// mediaClient settles in which form the answer goes back.
func mediaClient(c *call.Call) *fault.Error {
	if c.Media.Kind == catalog.KindTranscription {
		c.Media.Spoken = c.Stream && c.Client != nil
	} else if c.Stream {
		e := fault.New(fault.InvalidBody, "Streaming is not offered here")
		e.Param = "stream"
		return e
	}
	if c.Client != nil && !c.Media.Spoken {
		c.Client.Whole()
		c.Client = nil
	}
	return nil
}

// empty reports "", [] and {}.
func empty(raw []byte) bool {
	switch kind(raw) {
	case 's', 'a', 'o':
		return len(raw) == 2
	}
	return false
}

// spoken counts the characters of a text exactly.
func (r *reader) spoken(raw []byte) int64 {
	full, err := r.d.Inflate(nil, raw, 0)
	if err != nil {
		return 0
	}
	text, _ := doc.String(full)
	return int64(utf8.RuneCountInString(text))
}
