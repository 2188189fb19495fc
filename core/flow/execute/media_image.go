package execute

import (
	"strconv"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
)

// geminiImage asks a Gemini model for an image.
func geminiImage(_ *call.Call, body []byte) ([]byte, *fault.Error) {
	prompt, ok := doc.Get(body, "prompt")
	if !ok || prompt[0] != '"' {
		e := fault.New(fault.InvalidBody, "prompt must be a string")
		e.Param = "prompt"
		return nil, e
	}
	out := append([]byte(`{"contents":[{"role":"user","parts":[{"text":`), prompt...)
	return append(out, `}]}],"generationConfig":{"responseModalities":["TEXT","IMAGE"]}}`...), nil
}

// imagesOfGemini takes the images out of a Gemini answer. What the model says beside
// them stands as the prompt it worked by, else the client's own.
func imagesOfGemini(c *call.Call, body []byte) []byte {
	var images [][]byte
	said := []byte{'"'}
	candidates, _ := doc.Get(body, "candidates")
	doc.Each(candidates, func(_ int, candidate []byte) bool {
		parts, _ := doc.Get(candidate, "content", "parts")
		doc.Each(parts, func(_ int, part []byte) bool {
			if text, ok := doc.Get(part, "text"); ok && len(text) > 2 {
				said = append(said, text[1:len(text)-1]...)
			}
			if data, ok := doc.Get(part, "inlineData", "data"); ok {
				images = append(images, data)
			}
			return true
		})
		return true
	})
	if said = append(said, '"'); len(said) == 2 {
		prompt, _ := doc.Get(c.Source, "prompt")
		if full, err := c.Doc.Inflate(nil, prompt, 0); err == nil {
			said = full
		}
	}
	out := strconv.AppendInt([]byte(`{"created":`), c.Began.Unix(), 10)
	out = append(out, `,"data":[`...)
	for i, data := range images {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, `{"b64_json":`...), data...)
		out = append(append(append(out, `,"revised_prompt":`...), said...), '}')
	}
	return append(out, "]}"...)
}
