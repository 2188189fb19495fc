package accept

import (
	"github.com/gofiber/fiber/v2"

	"github.com/omniroute/omniroute/core/flow/call"
)

// mountMessages mounts Anthropic Messages.
func mountMessages(app *fiber.App, d *door) {
	app.Post("/v1/messages", d.post(surface{dialect: "claude", endpoint: call.EndpointMessages}))
	app.Post("/v1/messages/count_tokens", d.post(surface{dialect: "claude", endpoint: call.EndpointCountTokens}))
}
