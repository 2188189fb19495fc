package accept

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow"
	"github.com/omniroute/omniroute/core/flow/call"
)

// mountGemini mounts Gemini generateContent. Model and method are in the path,
// and the model may contain slashes: /v1beta/models/{model}:{method}.
func mountGemini(app *fiber.App, d *door) {
	generate := d.post(surface{dialect: "gemini", endpoint: call.EndpointGemini, read: readGemini})
	count := d.post(surface{dialect: "gemini", endpoint: call.EndpointCountTokens, read: readGemini})
	one, batch := d.post(embed("embed_content")), d.post(embed("embeddings"))
	app.Post("/v1beta/models/*", func(c *fiber.Ctx) error {
		switch _, method := geminiTarget(c); method {
		case "generateContent", "streamGenerateContent":
			return generate(c)
		case "countTokens":
			return count(c)
		case "embedContent":
			return one(c)
		case "batchEmbedContents":
			return batch(c)
		}
		return fault.New(fault.ModelNotFound, "No such method: use generateContent, streamGenerateContent, countTokens, embedContent or batchEmbedContents")
	})
}

// geminiTarget splits the path behind /v1beta/models/.
func geminiTarget(c *fiber.Ctx) (model, method string) {
	path := c.Params("*")
	i := strings.LastIndexByte(path, ':')
	if i < 0 {
		return path, ""
	}
	return path[:i], path[i+1:]
}

func readGemini(c *fiber.Ctx, to *flow.Call) {
	model, method := geminiTarget(c)
	to.Model = strings.Clone(model)
	if method == "streamGenerateContent" {
		to.Stream = true
		to.Array = c.Query("alt") != "sse"
	}
}
