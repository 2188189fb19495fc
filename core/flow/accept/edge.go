package accept

import (
	"net/netip"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// ClientIP tells who asked, past the trusted proxies; named are the fields in which
// those may say so themselves.
func ClientIP(c *fiber.Ctx, trusted []netip.Prefix, named ...string) netip.Addr {
	return clientIP(c.Context().RemoteAddr(), headers(&c.Request().Header), trusted, named)
}

// Secure tells whether the client speaks HTTPS: to us, or, as it says, to a trusted proxy.
func Secure(c *fiber.Ctx, trusted []netip.Prefix) bool {
	if c.Context().IsTLS() {
		return true
	}
	proto, _, _ := strings.Cut(c.Get(fiber.HeaderXForwardedProto), ",")
	return strings.EqualFold(strings.TrimSpace(proto), "https") && contains(trusted, addrOf(c.Context().RemoteAddr()))
}
