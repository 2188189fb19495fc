package accept

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow"
	"github.com/omniroute/omniroute/core/flow/call"
)

// mediaSurfaces are the endpoints of OpenAI's API beside chat: path behind /v1, word
// of policies, kind of model, and the executor's name for the endpoint.
var mediaSurfaces = [...]struct{ path, endpoint, kind, name string }{
	{"/embeddings", call.EndpointEmbeddings, catalog.KindEmbedding, "embeddings"},
	{"/images/generations", call.EndpointImages, catalog.KindImage, "images"},
	{"/audio/speech", call.EndpointAudio, catalog.KindSpeech, "speech"},
	{"/audio/transcriptions", call.EndpointAudio, catalog.KindTranscription, "transcriptions"},
	{"/audio/translations", call.EndpointAudio, catalog.KindTranscription, "translations"},
	{"/rerank", call.EndpointRerank, catalog.KindRerank, "rerank"},
	{"/moderations", call.EndpointModerations, catalog.KindModeration, "moderations"},
}

// mountMedia mounts them, for all providers and for one, and the lists of the models
// that they take.
func mountMedia(app *fiber.App, d *door) {
	for _, m := range mediaSurfaces {
		media := call.Media{Kind: m.kind, Endpoint: m.name, Spoken: m.kind == catalog.KindSpeech}
		s := surface{dialect: "openai", endpoint: m.endpoint, media: &media}
		app.Post("/v1"+m.path, d.post(s))
		app.Get("/v1"+m.path, d.mediaModels(m.kind))
		s.read = readProvider
		app.Post("/v1/providers/:provider"+m.path, d.post(s))
	}
}

// embed is the surface of a Gemini method that embeds.
func embed(name string) surface {
	return surface{dialect: "gemini", endpoint: call.EndpointEmbeddings, read: readGemini,
		media: &call.Media{Kind: catalog.KindEmbedding, Endpoint: name}}
}

// mediaModels lists the models of a kind.
func (d *door) mediaModels(kind string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		rows, cl, err := d.list(c, "openai")
		switch {
		case err != nil:
			return err
		case cl.Err != nil:
			return send(c, &cl.Sent)
		}
		body, first := []byte(`{"object":"list","data":[`), true
		for i := range rows {
			if rows[i].Type != kind {
				continue
			}
			if !first {
				body = append(body, ',')
			}
			body, first = openaiModel(body, &rows[i], cl.Began), false
		}
		return sendJSON(c, cl, append(body, "]}"...))
	}
}

// readMedia reads the body of a call that is not chat: JSON, or a form whose files
// are kept outside of memory.
func readMedia(c *fiber.Ctx, cl *flow.Call, limit int) *fault.Error {
	form := strings.HasPrefix(strings.ToLower(c.Get(fiber.HeaderContentType)), "multipart/form-data")
	if wants := cl.Media.Kind == catalog.KindTranscription; wants != form {
		e := fault.New(fault.InvalidBody, "This endpoint takes application/json")
		if wants {
			e = fault.New(fault.InvalidBody, "This endpoint takes multipart/form-data")
		}
		e.Status = fiber.StatusUnsupportedMediaType
		return e
	}
	var bad *fault.Error
	if form {
		cl.Body, cl.Media.Upload, bad = readForm(c.Context(), limit)
	} else {
		cl.Body, bad = readBody(c.Context(), limit)
	}
	return bad
}
