package boot_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestResilienceRoutes(t *testing.T) {
	d := openDashboard(t, behindProxy).login()
	lock := func() {
		for range 5 {
			d.status("POST", "/api/auth/login", `{"password":"wrong"}`, "X-Forwarded-For", "203.0.113.9", "Cookie", "")
		}
	}
	lock()
	t.Run("health", func(t *testing.T) {
		require.Equal(t, "ok", d.json("GET", "/api/health", "", 200)["status"])
		require.Equal(t, "ok", d.json("GET", "/api/health/ready", "", 200)["status"])
		mine := d.json("GET", "/api/monitoring/health", "", 200)
		require.Equal(t, true, mine["setupComplete"])
		require.NotEmpty(t, mine["lockouts"])
		require.NotContains(t, d.json("GET", "/api/monitoring/health", "", 200, "Cookie", ""), "lockouts", "nothing about others for somebody unknown")
	})
	t.Run("lockouts", func(t *testing.T) {
		rows := d.json("GET", "/api/lockouts", "", 200)["data"].([]any)
		require.Len(t, rows, 1)
		require.Equal(t, "ip:203.0.113.9", rows[0].(map[string]any)["identifier"])
		seed := d.json("GET", "/api/policies", "", 200)
		require.Len(t, seed["lockedIdentifiers"], 1)
		d.json("POST", "/api/policies", `{"action":"lock","identifier":"ip:203.0.113.9"}`, 400)
		require.Equal(t, "unlocked", d.json("POST", "/api/policies", `{"action":"unlock","identifier":"ip:203.0.113.9"}`, 200)["action"])
		d.json("POST", "/api/lockouts/unlock", `{"identifier":"ip:203.0.113.9"}`, 404)
		lock()
		require.Equal(t, 1.0, d.json("POST", "/api/resilience/reset?scope=lockouts", "{}", 200)["resetCount"])
		d.json("POST", "/api/resilience/reset?scope=nosuch", "{}", 400)
	})
	t.Run("bans", func(t *testing.T) {
		d.json("POST", "/api/ip-filter/bans", `{"ip":"nosuch"}`, 400)
		d.json("POST", "/api/ip-filter/bans", `{"ip":"127.0.0.1"}`, 409)
		require.Equal(t, "203.0.113.50", d.json("POST", "/api/ip-filter/bans", `{"ip":"::ffff:203.0.113.50","durationMs":60000}`, 201)["ip"])
		require.Len(t, d.json("GET", "/api/ip-filter/bans", "", 200)["data"], 1)
		d.json("DELETE", "/api/ip-filter/bans/203.0.113.50", "{}", 204)
		d.json("DELETE", "/api/ip-filter/bans/203.0.113.50", "{}", 404)
	})
	t.Run("the rest", func(t *testing.T) {
		require.Empty(t, d.json("GET", "/api/breakers", "", 200)["data"])
		d.json("POST", "/api/breakers/reset", `{"name":"nosuch"}`, 404)
		require.Equal(t, 0.0, d.json("DELETE", "/api/monitoring/health", "{}", 200)["resetCount"])
		require.Empty(t, d.json("GET", "/api/cooldowns", "", 200)["data"])
		require.NotNil(t, d.json("GET", "/api/rate-limits", "", 200)["limiters"])
		require.Equal(t, 0.0, d.json("GET", "/api/cache/stats", "", 200)["hitRate"])
		require.Equal(t, true, d.json("DELETE", "/api/cache", "{}", 200)["ok"])
	})
}
