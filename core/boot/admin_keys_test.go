package boot_test

import (
	"testing"

	"github.com/goccy/go-json"
	"github.com/stretchr/testify/require"
)

// obj is a decoded answer.
type obj map[string]any

func (d *dashboard) json(method, path, body string, want int, header ...string) obj {
	d.t.Helper()
	res, text := d.do(method, path, body, header...)
	require.Equal(d.t, want, res.StatusCode, "%s %s: %s", method, path, text)
	out := obj{}
	if text != "" {
		require.NoError(d.t, json.Unmarshal([]byte(text), &out), text)
	}
	return out
}

func (d *dashboard) login() *dashboard {
	d.t.Helper()
	require.Equal(d.t, 200, d.status("POST", "/api/auth/login", `{"password":"correct horse battery"}`))
	return d
}

func TestKeyRoutes(t *testing.T) {
	d := openDashboard(t, `auth:
  initial_password: correct horse battery
  require_keys: "true"
  keys: [{name: declared, key: sk-declared-00000000}]
`).login()
	made := d.json("POST", "/api/keys", `{"name":"ci"}`, 201)
	secret, id := made["key"].(string), made["id"].(string)
	require.Regexp(t, `^sk-[0-9a-f]{16}-[a-z2-7]{26}-[0-9a-f]{8}$`, secret)
	require.Equal(t, secret[3:19], made["machineId"])

	list := d.json("GET", "/api/keys", "", 200)
	require.Len(t, list["keys"], 2)
	require.Equal(t, list["keys"], list["data"])
	_, text := d.do("GET", "/api/keys", "")
	require.NotContains(t, text, secret)

	bearer := []string{"Cookie", "", "Authorization", "Bearer " + secret}
	require.Equal(t, 200, d.status("GET", "/v1/models", "", bearer...))
	me := d.json("GET", "/api/me", "", 200, bearer...)
	require.Equal(t, "ci", me["name"])
	require.Equal(t, 403, d.status("GET", "/api/keys", "", bearer...), "a client key is no admin key")

	t.Run("patch", func(t *testing.T) {
		require.Equal(t, 1.0, d.json("GET", "/api/keys/"+id, "", 200)["rev"])
		k := d.json("PATCH", "/api/keys/"+id, `{"limits":{"rpm":5,"daily":{"usd":1.5}},"tags":["x"]}`, 200, "If-Match", `"1"`)
		require.Equal(t, 5.0, k["limits"].(map[string]any)["rpm"])
		require.Equal(t, 2.0, k["rev"])
		d.json("PATCH", "/api/keys/"+id, `{"name":"y"}`, 409, "If-Match", `"1"`)
		d.json("PATCH", "/api/keys/"+id, `{"nosuch":1}`, 400)
		d.json("PATCH", "/api/keys/"+id, `{"scopes":["root"]}`, 400)
		d.json("PATCH", "/api/keys/"+id, `{"allow":{"ips":["10.0.0.*"]}}`, 400)
		d.json("PATCH", "/api/keys/"+id, `{"schedule":{"enabled":true,"from":"8","until":"9"}}`, 400)
		d.json("PATCH", "/api/keys/"+id, `{"limits":{"weekly":{"requests":1}}}`, 400)
		d.json("PATCH", "/api/keys/nosuch", `{"name":"y"}`, 404)
		d.json("PATCH", "/api/keys/file:declared", `{"name":"y"}`, 409)
		d.json("POST", "/api/keys", `{"name":"ci"}`, 409)
		d.json("POST", "/api/keys", `{}`, 400)
	})
	t.Run("enforced", func(t *testing.T) {
		d.json("PATCH", "/api/keys/"+id, `{"allow":{"ips":["203.0.113.0/24"]}}`, 200)
		require.Equal(t, 403, d.status("GET", "/v1/models", "", bearer...))
		d.json("PATCH", "/api/keys/"+id, `{"allow":{},"isActive":false}`, 200)
		require.Equal(t, 401, d.status("GET", "/v1/models", "", bearer...))
		d.json("PATCH", "/api/keys/"+id, `{"isActive":true}`, 200)
		require.Equal(t, 200, d.status("GET", "/v1/models", "", bearer...))
	})
	t.Run("reveal and rotate", func(t *testing.T) {
		d.json("POST", "/api/keys/"+id+"/reveal", `{"password":"wrong"}`, 401)
		require.Equal(t, secret, d.json("POST", "/api/keys/"+id+"/reveal", `{"password":"correct horse battery"}`, 200)["key"])
		next := d.json("POST", "/api/keys/"+id+"/rotate", `{"graceSeconds":60}`, 200)["key"].(string)
		require.NotEqual(t, secret, next)
		require.Equal(t, 200, d.status("GET", "/v1/models", "", bearer...), "within the grace")
		require.Equal(t, 200, d.status("GET", "/v1/models", "", "Cookie", "", "Authorization", "Bearer "+next))
	})
	require.Equal(t, "Key deleted successfully", d.json("DELETE", "/api/keys/"+id, "{}", 200)["message"])
	require.Equal(t, 401, d.status("GET", "/v1/models", "", bearer...))
	d.json("GET", "/api/keys/"+id, "", 404)
	d.json("GET", "/api/keys/"+id+"/usage", "", 404)
}
