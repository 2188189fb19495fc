package accept

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/omniroute/omniroute/core/flow"
	"github.com/omniroute/omniroute/core/flow/call"
)

// mountProviders mounts the surfaces once more, bound to one provider:
// /v1/providers/{provider}/… takes the provider's own model names.
func mountProviders(app *fiber.App, d *door) {
	g := app.Group("/v1/providers/:provider")
	g.Post("/chat/completions", d.post(surface{dialect: "openai", endpoint: call.EndpointChat, read: readProvider}))
	g.Post("/messages", d.post(surface{dialect: "claude", endpoint: call.EndpointMessages, read: readProvider}))
	g.Post("/responses", d.post(surface{dialect: "openai-responses", endpoint: call.EndpointResponses, read: readProvider}))
}

func readProvider(c *fiber.Ctx, to *flow.Call) { to.Provider = strings.Clone(c.Params("provider")) }
