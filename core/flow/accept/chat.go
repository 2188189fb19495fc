package accept

import (
	"github.com/gofiber/fiber/v2"

	"github.com/omniroute/omniroute/core/flow/call"
)

// mountChat mounts OpenAI chat completions.
func mountChat(app *fiber.App, d *door) {
	app.Post("/v1/chat/completions", d.post(surface{dialect: "openai", endpoint: call.EndpointChat}))
}
