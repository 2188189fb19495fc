package accept

import (
	"github.com/gofiber/fiber/v2"

	"github.com/omniroute/omniroute/core/flow/call"
)

// mountResponses mounts OpenAI Responses. A WebSocket upgrade is refused, upon
// which clients go on over HTTP.
func mountResponses(app *fiber.App, d *door) {
	app.Post("/v1/responses", d.post(surface{dialect: "openai-responses", endpoint: call.EndpointResponses}))
	app.Post("/v1/responses/input_tokens", d.post(surface{dialect: "openai-responses", endpoint: call.EndpointCountTokens}))
	app.Get("/v1/responses", func(c *fiber.Ctx) error {
		if c.Get(fiber.HeaderUpgrade) != "" {
			return fiber.NewError(fiber.StatusUpgradeRequired, "WebSocket is not offered here, use HTTP")
		}
		return fiber.ErrMethodNotAllowed
	})
}
