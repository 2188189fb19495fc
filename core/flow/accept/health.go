package accept

import "github.com/gofiber/fiber/v2"

// mountHealth mounts the probes: alive at all, and ready for requests.
func mountHealth(app *fiber.App, d *door) {
	app.Get("/healthz", func(c *fiber.Ctx) error { return c.SendString("ok\n") })
	app.Get("/readyz", func(c *fiber.Ctx) error {
		if !d.flow.Ready() {
			return c.Status(fiber.StatusServiceUnavailable).SendString("not ready\n")
		}
		return c.SendString("ready\n")
	})
}
