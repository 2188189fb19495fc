package boot_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fake"
)

func serverSettings() []setting {
	return []setting{
		{key: "server.listen", to: "127.0.0.2:0", want: [2]string{"127.0.0.1", "127.0.0.2"}, see: again(func(_ *lab, gw *boot.Gateway, _ string) string {
			return strings.Split(strings.TrimPrefix(gw.URL(), "http://"), ":")[0]
		})},
		{key: "server.data_dir", to: "~/elsewhere", want: [2]string{"false", "true"}, see: again(func(l *lab, _ *boot.Gateway, _ string) string {
			return exists(l.dir, "elsewhere", "badger")
		})},
		{key: "server.base_url", to: "https://gw.example", want: [2]string{"false", "true"}, see: func(l *lab) string {
			return strconv.FormatBool(l.gw.Status().URL == "https://gw.example")
		}},
		{key: "server.base_path", to: "/gw", want: [2]string{"404", "200"}, see: again(func(l *lab, _ *boot.Gateway, _ string) string {
			code, _ := get(l.t, l.root()+"/gw/dashboard")
			return strconv.Itoa(code)
		})},
		{key: "server.body_limit", to: "2KiB", want: [2]string{"200", "413"}, see: func(l *lab) string {
			l.chat("oai/m", `,"user":"`+strings.Repeat("u", 4096)+`"`)
			return strconv.Itoa(l.last.StatusCode)
		}},
		{key: "server.trusted_proxies", to: "[127.0.0.0/8]", want: [2]string{"127.0.0.1", "203.0.113.9"}, see: keyFact("req.ip", "x-forwarded-for", "203.0.113.9")},
		{key: "server.real_ip_headers", to: "[cf-connecting-ip]", given: map[string]string{"server.trusted_proxies": "[127.0.0.0/8]"},
			want: [2]string{"127.0.0.1", "203.0.113.9"}, see: keyFact("req.ip", "cf-connecting-ip", "203.0.113.9")},
		{key: "server.cors_origins", to: "[https://app.example]", want: [2]string{"", "https://app.example"}, see: func(l *lab) string {
			l.send("GET", "/v1/models", "", "origin", "https://app.example")
			return l.last.Header.Get("access-control-allow-origin")
		}},
		{key: "server.shutdown_timeout", to: "3s", want: [2]string{"20s", "3s"}, see: func(l *lab) string { return l.gw.ShutdownTimeout().String() }},
		{key: "server.public_openapi", to: "true", given: map[string]string{"auth.initial_password": labPassword}, want: [2]string{"401", "200"}, see: again(func(l *lab, _ *boot.Gateway, _ string) string {
			code, _ := get(l.t, l.root()+"/api/openapi.json")
			return strconv.Itoa(code)
		})},
		{key: "server.instance_name", to: "edge-7", want: [2]string{"false", "true"}, see: again(func(l *lab, _ *boot.Gateway, out string) string {
			_, metrics := get(l.t, l.root()+"/metrics")
			return strconv.FormatBool(strings.Contains(out, "Instance:  edge-7\n") && strings.Contains(metrics, `instance="edge-7"`))
		})},
	}
}

func exists(parts ...string) string {
	_, err := os.Stat(filepath.Join(parts...))
	return strconv.FormatBool(err == nil)
}

func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

const labPassword = "correct horse battery"

// login logs in to the management API.
func (l *lab) login() *http.Cookie {
	l.send("POST", "/api/auth/login", `{"password":"`+labPassword+`"}`, "authorization", "")
	for _, c := range l.last.Cookies() {
		return c
	}
	return &http.Cookie{}
}

func keySettings() []setting {
	admin := map[string]string{"auth.initial_password": labPassword}
	none := map[string]string{"auth.require_keys": "true"}
	ask := func(key string) func(*lab) string {
		return func(l *lab) string {
			l.send("GET", "/v1/models", "", "authorization", "Bearer "+key)
			return strconv.Itoa(l.last.StatusCode)
		}
	}
	mine := ask("sk-key-00000000")
	rows := []setting{
		{key: "auth.require_keys", to: "true", want: [2]string{"200", "401"}, see: func(l *lab) string {
			l.send("GET", "/v1/models", "", "authorization", "")
			return strconv.Itoa(l.last.StatusCode)
		}},
		{key: "auth.api_key_secret", shown: "core/account TestKeysBelongToAnInstallation"},
		{key: "auth.machine_id_salt", shown: "core/account TestKeysBelongToAnInstallation"},
		{key: "auth.accept_legacy_keys", to: "false", want: [2]string{"200", "401"},
			given: map[string]string{"auth.require_keys": "true", "auth.keys.0": "{name: old, key: sk-12345678}"},
			see:   again(func(l *lab, _ *boot.Gateway, _ string) string { return ask("sk-12345678")(l) })},
		{key: "auth.jwt_secret", to: strings.Repeat("s", 40), given: admin, want: [2]string{"false", "true"}, see: again(func(l *lab, _ *boot.Gateway, _ string) string {
			_, err := jwt.Parse(l.login().Value, func(*jwt.Token) (any, error) { return []byte(strings.Repeat("s", 40)), nil })
			return strconv.FormatBool(err == nil)
		})},
		{key: "auth.initial_password", to: labPassword, want: [2]string{"403", "200"}, see: again(func(l *lab, _ *boot.Gateway, _ string) string {
			l.login()
			return strconv.Itoa(l.last.StatusCode)
		})},
		{key: "auth.cookie_secure", to: "true", given: admin, want: [2]string{"false", "true"}, see: again(func(l *lab, _ *boot.Gateway, _ string) string {
			return strconv.FormatBool(l.login().Secure)
		})},
		{key: "auth.allow_open_dashboard", to: "true", want: [2]string{"403", "200"},
			given: map[string]string{"auth.initial_password": labPassword, "server.listen": "0.0.0.0:0"},
			see: again(func(l *lab, _ *boot.Gateway, _ string) string {
				c := l.login()
				l.send("POST", "/api/settings/require-login", `{"requireLogin":false}`, "authorization", "", "cookie", c.Name+"="+c.Value, "sec-fetch-site", "same-origin")
				return strconv.Itoa(l.last.StatusCode)
			})},
		{key: "auth.store_keys", shown: "core/account TestKeysAreStoredAsHashes"},
		{key: "auth.keys.*.name", at: "auth.keys.0.name", to: "other", want: [2]string{"k", "other"}, see: keyFact("key.name")},
		{key: "auth.keys.*.key", at: "auth.keys.0.key", to: "sk-other-00000000", given: none, want: [2]string{"200", "401"}, see: mine},
		{key: "auth.keys.*.hash", at: "auth.keys.0", to: "{name: k, hash: \"sha256:" + hashOf("sk-key-00000000") + "\"}",
			given: map[string]string{"auth.require_keys": "true", "auth.keys.0.key": "sk-other-00000000"}, want: [2]string{"401", "200"}, see: mine},
		{key: "auth.keys.*.models", at: "auth.keys.0.models", to: `["ant/*"]`, want: [2]string{"200", "403"}, see: status("oai/m")},
		{key: "auth.keys.*.providers", at: "auth.keys.0.providers", to: "[ant]", want: [2]string{"200", "403"}, see: status("oai/m")},
		{key: "auth.keys.*.scopes", at: "auth.keys.0.scopes", to: "[admin]", want: [2]string{"200", "403"}, see: status("oai/m")},
		{key: "auth.keys.*.team", at: "auth.keys.0.team", to: "red", want: [2]string{"", "red"}, see: keyFact("key.team")},
		{key: "auth.keys.*.tags", at: "auth.keys.0.tags", to: "[x, y]", want: [2]string{"", "x,y"}, see: keyFact(`join(req.tags, ",")`)},
		{key: "auth.keys.*.meta", at: "auth.keys.0.meta", to: `{floor: "3"}`, want: [2]string{"-", "3"}, see: keyFact(`key.meta?.floor ?? "-"`)},
		{key: "auth.keys.*.limits.warn_at", at: "auth.keys.0.limits.warn_at", to: "0.001", given: map[string]string{"auth.keys.0.limits.daily_usd": "0.01", "auth.keys.0.name": "warned"},
			want: [2]string{"false", "true"}, see: func(l *lab) string {
				l.chat("oai/m", "")
				return strconv.FormatBool(l.last.Header.Get("x-omniroute-budget") != "")
			}},
		{key: "auth.keys.*.limits.concurrency", at: "auth.keys.0.limits.concurrency", to: "0", want: [2]string{"200", "429"}, see: status("oai/m")},
		{key: "auth.keys.*.expires", at: "auth.keys.0.expires", to: "2020-01-01", given: none, want: [2]string{"200", "401"}, see: mine},
		{key: "auth.keys.*.no_log", at: "auth.keys.0.no_log", to: "true", want: [2]string{"true", "false"}, see: entry("oai/m", func(r control.Request) string {
			return strconv.FormatBool(len(r.Trace) > 0)
		})},
		{key: "auth.keys.*.sanitize", at: "auth.keys.0.sanitize", to: "false", given: map[string]string{"providers.oai.sanitize": "true"}, want: [2]string{"yes", "<think>hm</think>yes"},
			see: replying(fake.Reply{Text: "<think>hm</think>yes"}, content)},
		{key: "auth.keys.*.enabled", at: "auth.keys.0.enabled", to: "false", given: none, want: [2]string{"200", "401"}, see: mine},
	}
	for _, period := range []string{"daily", "weekly", "monthly", "total"} {
		rows = append(rows, setting{key: "auth.keys.*.limits." + period + "_usd", at: "auth.keys.0.limits." + period + "_usd", to: "0.000001",
			want: [2]string{"200", "429"}, see: status("oai/m")})
	}
	for unit, limit := range map[string]string{"rpm": "1", "tpm": "1", "rpd": "1"} {
		rows = append(rows, setting{key: "auth.keys.*.limits." + unit, at: "auth.keys.0.limits." + unit, to: limit,
			given: map[string]string{"auth.keys.0.name": "limited-" + unit}, want: [2]string{"false", "true"}, see: func(l *lab) string {
				return strconv.FormatBool(strings.HasSuffix(twice("oai/m")(l), "429"))
			}})
	}
	return rows
}

func routingSettings() []setting {
	two := map[string]string{"providers.oai.accounts": "[{name: a, api_key: key-a}, {name: b, api_key: key-b}]"}
	robin := map[string]string{"routing.strategy": "round-robin", "providers.oai.accounts": "[{name: r1, api_key: key-a}, {name: r2, api_key: key-b}]"}
	keys := func(l *lab) string {
		for range 4 {
			l.chat("oai/m", "")
		}
		seen := map[string]bool{}
		for _, r := range l.oai.Requests() {
			seen[r.Key()] = true
		}
		return strconv.Itoa(len(seen))
	}
	return []setting{
		{key: "routing.default_provider", to: "oai", want: [2]string{"404", "200"}, see: status("whatever")},
		{key: "routing.ambiguous", to: "error", want: [2]string{"200", "400"}, see: status("m")},
		{key: "routing.strategy", to: "round-robin", given: map[string]string{"routing.sticky_limit": "1", "providers.oai.accounts": two["providers.oai.accounts"]},
			want: [2]string{"1", "2"}, see: keys},
		{key: "routing.sticky_limit", to: "100", given: map[string]string{"routing.strategy": "round-robin", "routing.sticky_limit": "1", "providers.oai.accounts": robin["providers.oai.accounts"]},
			want: [2]string{"2", "1"}, see: keys},
		{key: "routing.max_retries", to: "2", want: [2]string{"oai 1 ant 0", "oai 3 ant 0"}, see: failing(500, served("oai/m"))},
		{key: "routing.panic_mode", shown: "core/flow TestPanicMode"},
		{key: "routing.retry_delay", to: "7s", want: [2]string{"1", "7000"}, see: keyFact("cfg.retry_delay_ms")},
	}
}

// slow makes the OpenAI-like provider take its time.
func slow(see func(*lab) string) func(*lab) string {
	return func(l *lab) string {
		l.oai.Otherwise(func(*fake.Request) fake.Reply {
			<-time.After(200 * time.Millisecond)
			return fake.Reply{Text: "late", Header: http.Header{"Connection": {"close"}}}
		})
		return see(l)
	}
}

// clocks are the rows of a mapping of timeouts.
func clocks(at, name string) []setting {
	rows := []setting{
		{key: "connect", to: "1ns", given: map[string]string{"providers.oai.base_urls": `["http://localhost:OAIPORT/v1"]`},
			want: [2]string{"200", "504"}, see: replying(fake.Reply{Text: "x", Header: http.Header{"Connection": {"close"}}}, status("oai/m"))},
		{key: "headers", to: "20ms", want: [2]string{"200", "504"}, see: slow(status("oai/m"))},
		{key: "first_event", to: "20ms", want: [2]string{"true", "false"}, see: replying(fake.Reply{Text: "a b c", Pace: 100 * time.Millisecond}, stream(complete))},
		{key: "idle", to: "20ms", want: [2]string{"true", "false"}, see: replying(fake.Reply{Text: "a b c", Pace: 100 * time.Millisecond}, stream(complete))},
		{key: "total", to: "100ms", want: [2]string{"200", "504"}, see: slow(status("oai/m"))},
		{key: "heartbeat", to: "30ms", want: [2]string{"false", "true"}, see: replying(fake.Reply{Text: "a b c", Pace: 200 * time.Millisecond}, stream(func(text string) bool {
			return strings.Contains(text, "\n:") || strings.HasPrefix(text, ":")
		}))},
	}
	for i := range rows {
		clock := rows[i].key
		rows[i].key, rows[i].at = name+"."+clock, at+"."+clock
	}
	return rows
}

func providerSettings() []setting {
	rows := []setting{
		{key: "name", to: "My Lab", want: [2]string{"oai", "My Lab"}, see: func(l *lab) string {
			list, err := l.desk.Providers(l.t.Context(), false)
			if err != nil {
				return err.Error()
			}
			for _, p := range list {
				if p.ID == "oai" {
					return p.Name
				}
			}
			return "nothing"
		}},
		{key: "dialect", to: "claude", want: [2]string{"/v1/chat/completions", "/v1/messages"}, see: sent("oai/m", path)},
		{key: "prefix", to: "px", want: [2]string{"404", "200"}, see: status("px/m")},
		{key: "executor", to: "demo", want: [2]string{"oai 1 ant 0", "oai 0 ant 0"}, see: served("oai/m")},
		{key: "base_urls", to: "[ANT/v1]", want: [2]string{"oai 1 ant 0", "oai 0 ant 1"}, see: served("oai/m")},
		{key: "paths", to: "{chat: /elsewhere}", want: [2]string{"/v1/chat/completions", "/v1/elsewhere"}, see: sent("oai/m", path)},
		{key: "headers", to: `{X-Lab: "1"}`, want: [2]string{"", "1"}, see: sent("oai/m", func(r *fake.Request) string { return r.Header.Get("x-lab") })},
		{key: "enabled", to: "false", given: map[string]string{"combos": "", "aliases": ""}, want: [2]string{"200", "404"}, see: status("oai/m")},
		{key: "allow_private", to: "false", want: [2]string{"oai 1 ant 0", "oai 0 ant 0"}, see: served("oai/m")},
		{key: "proxy", to: "http://127.0.0.1:1", want: [2]string{"oai 1 ant 0", "oai 0 ant 0"}, see: served("oai/m")},
		{key: "billing", to: "subscription", want: [2]string{"20000", "0"}, see: entry("oai/m", billed)},
		{key: "tier", to: "free", want: [2]string{"paid", "free"}, see: fact("target.tier")},
		{key: "kind", to: "oauth", want: [2]string{"apikey", "oauth"}, see: fact("target.auth")},
		{key: "quota_scope", to: "account", want: [2]string{"model", "account"}, see: fact("profile.quota_scope")},
		{key: "region", to: "eu", want: [2]string{"", "eu"}, see: fact("target.region")},
		{key: "data_policy", to: "zdr", want: [2]string{"", "zdr"}, see: fact("target.data_policy")},
		{key: "developer_role", to: "keep", want: [2]string{"system", "developer"}, see: func(l *lab) string {
			l.send("POST", "/v1/chat/completions", `{"model":"oai/m","messages":[{"role":"developer","content":"be brief"},{"role":"user","content":"hi"}]}`)
			role, _ := doc.String(l.oai.Last().Body, "messages", "0", "role")
			return role
		}},
		{key: "sanitize", to: "true", want: [2]string{"<think>hm</think>yes", "yes"}, see: replying(fake.Reply{Text: "<think>hm</think>yes"}, content)},
		{key: "think_tags", to: "[thinking]", given: map[string]string{"providers.oai.sanitize": "true"}, want: [2]string{"<thinking>hm</thinking>yes", "yes"},
			see: replying(fake.Reply{Text: "<thinking>hm</thinking>yes"}, content)},
		{key: "think_prefilled", to: "true", given: map[string]string{"providers.oai.sanitize": "true"}, want: [2]string{"hm</think>yes", "yes"},
			see: replying(fake.Reply{Text: "hm</think>yes"}, content)},
		{key: "tags", to: "[x]", want: [2]string{"", "x"}, see: fact(`join(target.tags, ",")`)},
		{key: "meta", to: `{zone: "3"}`, want: [2]string{"-", "3"}, see: fact(`target.meta?.zone ?? "-"`)},
		{key: "passthrough_models", to: "false", want: [2]string{"200", "404"}, see: status("oai/other")},
		{key: "cooling", at: "providers.oai", to: "{dialect: openai, base_urls: [OAI/v1], allow_private: true, kind: apikey, cooling: false, accounts: [{name: hot2, api_key: k}]}", given: map[string]string{"providers.oai.accounts.0.name": "hot", "policies.on_error": ""}, want: [2]string{"oai 1 ant 0", "oai 2 ant 0"},
			see: failing(503, func(l *lab) string { l.chat("oai/m", ""); return served("oai/m")(l) })},
		{key: "models_list.url", to: "OAI/v1/catalogue", want: [2]string{"/v1/models", "/v1/catalogue"}, see: func(l *lab) string {
			if _, err := l.desk.TestAccount(l.t.Context(), "oai/a"); err != nil {
				return err.Error()
			}
			return l.oai.Requests()[0].Path
		}},
	}
	for i := range rows {
		rows[i].at = cmp.Or(rows[i].at, "providers.oai."+rows[i].key)
		rows[i].key = "providers.*." + rows[i].key
	}
	return append(rows, clocks("providers.oai.timeouts", "providers.*.timeouts")...)
}

func accountSettings() []setting {
	scope := func(expr string) map[string]string {
		return map[string]string{"policies.limits": "[{id: show, scope: '[${" + expr + "}]', rpm: 1}]"}
	}
	shown := func(l *lab) string {
		l.chat("oai/m", "")
		return between(l.chat("oai/m", ""), "limit set for [", "]")
	}
	two := map[string]string{"providers.oai.accounts": "[{name: a, api_key: key-a}, {name: b, api_key: key-b}]"}
	rows := []setting{
		{key: "name", to: "z", want: [2]string{"a", "z"}, see: entry("oai/m", func(r control.Request) string { return r.AccountName })},
		{key: "api_key", to: "key-z", want: [2]string{"key-a", "key-z"}, see: sent("oai/m", credential)},
		{key: "priority", to: "5", given: two, want: [2]string{"key-a", "key-b"}, see: sent("oai/m", credential)},
		{key: "proxy", to: "http://127.0.0.1:1", want: [2]string{"oai 1 ant 0", "oai 0 ant 0"}, see: served("oai/m")},
		{key: "enabled", to: "false", given: two, want: [2]string{"key-a", "key-b"}, see: sent("oai/m", credential)},
		{key: "models", to: `["x*"]`, given: two, want: [2]string{"key-a", "key-b"}, see: sent("oai/m", credential)},
		{key: "exclude_models", to: `["m"]`, given: two, want: [2]string{"key-a", "key-b"}, see: sent("oai/m", credential)},
		{key: "tags", to: "[tagged]", given: scope(`account.id + join(account.tags, ",")`), want: [2]string{"oai/a", "oai/atagged"}, see: shown},
		{key: "plan", to: "pro", given: scope(`account.id + "/" + account.plan`), want: [2]string{"oai/a/", "oai/a/pro"}, see: shown},
		{key: "billing", to: "free", want: [2]string{"20000", "0"}, see: entry("oai/m", billed)},
		{key: "cooling", at: "providers.oai.accounts.0", to: "{name: warm2, api_key: k, cooling: false}", given: map[string]string{"providers.oai.accounts.0.name": "warm", "policies.on_error": ""}, want: [2]string{"oai 1 ant 0", "oai 2 ant 0"},
			see: failing(503, func(l *lab) string { l.chat("oai/m", ""); return served("oai/m")(l) })},
		{key: "data", shown: "core/flow/execute TestAttributesReachExecutors"},
	}
	for i := range rows {
		rows[i].at = cmp.Or(rows[i].at, "providers.oai.accounts.0."+rows[i].key)
		rows[i].key = "providers.*.accounts.*." + rows[i].key
	}
	rows = append(rows, executorSettings()...)
	login := "{base_urls: [ANT/v1/messages], allow_private: true, accounts: [{name: t, access_token: token-0}]}"
	return append(rows, setting{key: "providers.*.accounts.*.access_token", at: "providers.claude.accounts.0.access_token", to: "token-1",
		given: map[string]string{"providers.claude": login}, want: [2]string{"token-0", "token-1"},
		see: func(l *lab) string {
			text := l.chat("claude/claude-sonnet-4-5-20250929", "")
			if r := l.ant.Last(); r != nil {
				return r.Key()
			}
			return text
		}})
}

func modelSettings() []setting {
	rows := []setting{
		{key: "id", to: "zz", want: [2]string{"false", "true"}, see: listing(`"oai/zz"`)},
		{key: "name", to: "Big One", want: [2]string{"false", "true"}, see: listing("Big One")},
		{key: "upstream_id", to: "m-2026", want: [2]string{"m", "m-2026"}, see: sent("oai/m", func(r *fake.Request) string { return r.Model })},
		{key: "context", to: "5000", want: [2]string{"1000", "5000"}, see: fact("target.context")},
		{key: "max_output", to: "77", want: [2]string{"0", "77"}, see: fact("target.max_output")},
		{key: "tools", to: "false", want: [2]string{"true", "false"}, see: fact("target.caps.tools")},
		{key: "images", to: "false", want: [2]string{"true", "false"}, see: fact("target.caps.vision")},
		{key: "json_schema", to: "false", want: [2]string{"true", "false"}, see: fact("target.caps.json_schema")},
		{key: "reasoning", to: "true", want: [2]string{"false", "true"}, see: fact("target.caps.thinking")},
		{key: "audio", to: "true", want: [2]string{"false", "true"}, see: fact("target.caps.audio")},
		{key: "files", to: "true", want: [2]string{"false", "true"}, see: fact("target.caps.files")},
		{key: "temperature", to: "false", want: [2]string{"0.5", ""}, see: sent("oai/m", func(r *fake.Request) string { return member(r, "temperature") })},
		{key: "format", to: "claude", want: [2]string{"false", "true"}, see: sent("oai/m", func(r *fake.Request) string {
			return strconv.FormatBool(member(r, "max_tokens") != "") // which that dialect cannot do without
		})},
		{key: "hidden", to: "true", want: [2]string{"true", "false"}, see: listing(`"oai/m"`)},
		{key: "tags", to: "[y]", want: [2]string{"", "y"}, see: fact(`join(target.tags, ",")`)},
		{key: "tier", to: "cheap", want: [2]string{"paid", "cheap"}, see: fact("target.tier")},
		{key: "quant", to: "fp8", want: [2]string{"", "fp8"}, see: fact("target.quant")},
		{key: "rpm", to: "9", want: [2]string{"-1", "9"}, see: fact("target.rpm")},
		{key: "tpm", to: "9", want: [2]string{"-1", "9"}, see: fact("target.tpm")},
	}
	for i := range rows {
		rows[i].at = "providers.oai.models.0." + rows[i].key
		rows[i].key = "providers.*.models.*." + rows[i].key
	}
	rows = append(rows, prices("providers.oai.models.0.price", "providers.*.models.*.price")...)
	return append(rows, prices("pricing.override.oai.m", "pricing.override.*.*")...)
}

func member(r *fake.Request, name string) string {
	_, rest, ok := strings.Cut(string(r.Body), `"`+name+`":`)
	if !ok {
		return ""
	}
	end := strings.IndexAny(rest, ",}")
	return rest[:end]
}

// prices are the rows of a price. The provider tells of 1000 tokens in, 400 of
// them read from and 100 written to its cache, and of 200 out, 50 of them
// reasoning; its base price is 1 USD in, 2 USD out.
func prices(at, name string) []setting {
	usage := fake.Usage{Prompt: 1000, Completion: 200, Cached: 400, Reasoning: 50}
	image := func(l *lab) string {
		l.send("POST", "/v1/chat/completions", `{"model":"oai/m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x.example/a.png"}}]}]}`)
		return l.row(cost)
	}
	seen := func(see func(*lab) string) func(*lab) string {
		return replying(fake.Reply{Text: "x", Usage: usage}, see)
	}
	list := entry("oai/m", cost)
	written := func(l *lab) string {
		l.ant.Otherwise(func(*fake.Request) fake.Reply {
			return fake.Reply{Text: "x", Usage: fake.Usage{Prompt: 1000, Completion: 200, CacheWrite: 100}}
		})
		return entry("ant/m", cost)(l)
	}
	long := at + ".long_context"
	rows := []setting{
		{key: "input", to: "3", want: [2]string{"1400000", "3400000"}, see: seen(list)},
		{key: "output", to: "4", want: [2]string{"1400000", "1800000"}, see: seen(list)},
		{key: "cached", to: "0.5", want: [2]string{"1400000", "1200000"}, see: seen(list)},
		{key: "cache_creation", at: strings.Replace(at, "oai", "ant", 1) + ".cache_creation", to: "10", want: [2]string{"6075000", "6700000"}, see: written},
		{key: "reasoning", to: "10", want: [2]string{"1400000", "1800000"}, see: seen(list)},
		{key: "request", to: "0.01", want: [2]string{"1400000", "11400000"}, see: seen(list)},
		{key: "image", to: "0.02", want: [2]string{"1400000", "21400000"}, see: seen(image)},
		{key: "long_context.above", at: long, to: "{above: 500, input: 9}", given: map[string]string{long: "{above: 5000, input: 9}"}, want: [2]string{"1400000", "9400000"}, see: seen(list)},
		{key: "long_context.input", given: map[string]string{long + ".above": "500"}, to: "9", want: [2]string{"1400000", "9400000"}, see: seen(list)},
		{key: "long_context.output", given: map[string]string{long + ".above": "500"}, to: "9", want: [2]string{"1400000", "2800000"}, see: seen(list)},
		{key: "long_context.cached", given: map[string]string{long + ".above": "500"}, to: "9", want: [2]string{"1400000", "4600000"}, see: seen(list)},
	}
	for i := range rows {
		if rows[i].at == "" {
			rows[i].at = at + "." + rows[i].key
		}
		rows[i].key = name + "." + rows[i].key
	}
	return rows
}

// stagesKept is how many files the stage log has of a request.
func stagesKept(l *lab) string {
	l.send("POST", "/v1/chat/completions", `{"model":"oai/m","messages":[{"role":"user","content":"stages"}]}`)
	count := func() int {
		files, _ := filepath.Glob(filepath.Join(l.dir, "data", "captures", "*", "*"))
		return len(files)
	}
	for range 100 { // they are written a moment after the answer, if at all
		if count() >= 5 {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	return strconv.Itoa(count())
}

// linesWritten is how many lines a request adds to the file that the setting names.
func linesWritten(l *lab) string {
	path := filepath.Join(os.TempDir(), "omniroute-lines-"+strconv.Itoa(os.Getpid())+".txt")
	defer os.Remove(path)
	l.chat("oai/m", "")
	n := 0
	require.Eventually(l.t, func() bool {
		raw, err := os.ReadFile(path)
		n = strings.Count(string(raw), "\n")
		return err != nil || n == 2
	}, 5*time.Second, 5*time.Millisecond)
	return strconv.Itoa(n)
}

// lasting is whether the row of a request outlives the next seconds.
func lasting(l *lab) string {
	if l.chat("oai/m", ""); l.row(func(control.Request) string { return "" }) != "" {
		return "gone"
	}
	id := l.last.Header.Get("x-request-id")
	for range 30 {
		if _, err := l.desk.Request(l.t.Context(), id); err != nil {
			return "gone"
		}
		<-time.After(100 * time.Millisecond)
	}
	return "kept"
}

// row waits for the row of the newest request.
func (l *lab) row(look func(control.Request) string) string {
	id := l.last.Header.Get("x-request-id")
	for range 200 {
		found, err := l.desk.Request(l.t.Context(), id)
		if err == nil {
			return look(found)
		}
		<-time.After(5 * time.Millisecond)
	}
	return "no row"
}

func comboSettings() []setting {
	one := map[string]string{"combos.one": "{models: [oai/m], config: {retry_delay: 1ms}}"}
	with := func(more map[string]string) map[string]string {
		for k, v := range one {
			more[k] = v
		}
		return more
	}
	places := map[string]string{"combos.one.config.queue_timeout": "50ms"}
	return []setting{
		{key: "aliases.*.target", at: "aliases.nick.target", to: "ant/m", want: [2]string{"oai 1 ant 0", "oai 0 ant 1"}, see: served("nick")},
		{key: "aliases.*.set", at: "aliases.nick.set", to: "{top_p: 0.25}", want: [2]string{"", "0.25"}, see: sent("nick", func(r *fake.Request) string { return member(r, "top_p") })},
		{key: "aliases.*.tags", at: "aliases.nick.tags", to: "[x]", want: [2]string{"", "x"}, see: factOf("nick", `join(req.tags, ",")`)},
		{key: "combos.*.strategy", at: "combos.both.strategy", to: "context-optimized", want: [2]string{"oai 1 ant 0", "oai 0 ant 1"}, see: served("both")},
		{key: "combos.*.models.*.model", at: "combos.both.models.0", to: "{model: ant/m}", want: [2]string{"oai 1 ant 0", "oai 0 ant 1"}, see: served("both")},
		{key: "combos.*.models.*.weight", at: "combos.both.models.0", to: "{model: oai/m, weight: 40}", given: map[string]string{"combos.both.models.1": "{model: ant/m, weight: 40}"},
			want: [2]string{"0, 40", "40"}, see: func(l *lab) string {
				l.replace(put(l.readTree(), []string{"policies", "filter"}, []any{map[string]any{"id": "show", "drop": "true", "reason": "${int(target.weight)}"}}))
				return between(l.chat("both", ""), "is available: ", `"`)
			}},
		{key: "combos.*.enabled", at: "combos.both.enabled", to: "false", want: [2]string{"200", "404"}, see: status("both")},
		{key: "combos.*.tags", at: "combos.both.tags", to: "[x]", want: [2]string{"", "x"}, see: factOf("both", `join(req.tags, ",")`)},
		{key: "combos.*.config.max_retries", at: "combos.one.config.max_retries", to: "1", given: one, want: [2]string{"oai 1 ant 0", "oai 2 ant 0"}, see: failing(500, served("one"))},
		{key: "combos.*.config.retry_delay", at: "combos.one.config.retry_delay", to: "5s", given: one, want: [2]string{"1", "5000"}, see: factOf("one", "cfg.retry_delay_ms")},
		{key: "combos.*.config.timeout", at: "combos.both.config.timeout", to: "1s", want: [2]string{"oai", "ant"}, see: func(l *lab) string {
			l.ant.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "from ant"} })
			l.oai.Otherwise(func(*fake.Request) fake.Reply {
				<-time.After(1300 * time.Millisecond)
				return fake.Reply{Text: "from oai"}
			})
			return answered("both")(l)
		}},
		{key: "combos.*.config.concurrency_per_model", at: "combos.one.config.concurrency_per_model", to: "1", given: with(places), want: [2]string{"200 at once", "429 at once"}, see: held},
		{key: "combos.*.config.queue_timeout", at: "combos.one.config.queue_timeout", to: "50ms", given: with(map[string]string{"combos.one.config.concurrency_per_model": "1"}),
			want: [2]string{"200 later", "429 at once"}, see: held},
	}
}

// ownRules are rules in the block of a combo, a provider or an account: they
// are asked before the global ones.
func ownRules() []setting {
	two := "[{name: o1, api_key: key-a}, {name: o2, api_key: key-b}]"
	fall := map[string]string{"policies.on_error": `[{id: on, do: 'next("global")'}]`}
	table := map[string]setting{
		"filter":   {to: `[{id: own, drop: target.provider == "oai"}]`, want: [2]string{"oai", "ant"}, see: naming(answered("both"))},
		"order":    {to: `[{id: own, by: [-target.position]}]`, want: [2]string{"oai", "ant"}, see: naming(answered("both"))},
		"accounts": {to: `[{id: own, eligible: account.name != "o1"}]`, given: map[string]string{"providers.oai.accounts": two}, want: [2]string{"key-a", "key-b"}, see: sent("both", credential)},
		"limits":   {to: `[{id: own, scope: SCOPE, rpm: 1}]`, given: map[string]string{"combos.both.models": "[oai/m]"}, want: [2]string{"200 200", "200 429"}, see: twice("both")},
		"learn":    {to: `[{id: own, reservoir: 0, every: 1h}]`, want: [2]string{"200 200", "200 429"}},
		"system":   {to: `[{id: own, text: OWN TEXT}]`, want: [2]string{"false", "true"}, see: sent("both", func(r *fake.Request) string { return strconv.FormatBool(strings.Contains(string(r.Body), "OWN TEXT")) })},
		"thinking": {to: `[{id: own, do: effort("high")}]`, want: [2]string{"", `"high"`}, see: sent("both", func(r *fake.Request) string { return member(r, "reasoning_effort") })},
		"context":  {to: `[{id: own, mode: strict}]`, given: map[string]string{"providers.oai.models.0.context": "2", "combos.both.models": "[oai/m]", "policies.filter": "[{id: fits, enabled: false}]"}, want: [2]string{"200", "400"}, see: status("both")},
		"timeouts": {to: `[{id: own, total: 50ms}]`, given: fall, want: [2]string{"oai", "ant"}, see: func(l *lab) string {
			l.ant.Otherwise(func(*fake.Request) fake.Reply { return fake.Reply{Text: "from ant"} })
			l.oai.Otherwise(func(*fake.Request) fake.Reply {
				<-time.After(200 * time.Millisecond)
				return fake.Reply{Text: "from oai"}
			})
			return answered("both")(l)
		}},
		"on_error":     {to: `[{id: own, do: stop("own")}]`, given: fall, want: [2]string{"ant", "500"}, see: failing(500, answered("both"))},
		"on_exhausted": {to: `[{id: own, do: stop("own")}]`, want: [2]string{"ant", "500"}, see: failing(500, answered("both"))},
		"breaker":      {to: `[{id: own, count: true, trip: true, reset: 1h}]`, want: [2]string{"2", "1"}},
		"meter":        {to: `[{id: own, cost: 7}]`, want: [2]string{"20000", "7000000000"}, see: entry("both", billed)},
	}
	var rows []setting
	for _, home := range []struct{ entity, key, at string }{
		{"combo", "combos.*.", "combos.both."}, {"provider", "providers.*.", "providers.oai."}, {"account", "providers.*.accounts.*.", "providers.oai.accounts.0."},
	} {
		for _, hook := range config.OwnHooks(home.entity) {
			s := table[hook]
			s.key, s.at = home.key+hook, home.at+hook
			s.to = strings.ReplaceAll(s.to, "SCOPE", "own-"+home.entity)
			switch hook {
			case "learn":
				s.given = map[string]string{"providers.oai.accounts.0.name": "taught-" + home.entity, "combos.both.models": "[oai/m]",
					"policies.limits": "[{id: own-account, scope: 'account:${account.id}', rpm: 1000}]"}
				s.see = replying(fake.Reply{Text: "x", Header: http.Header{"X-Ratelimit-Limit-Requests": {"50"}}}, twice("both"))
			case "breaker":
				brk := "brk-" + home.entity
				s.given = map[string]string{"providers." + brk: "{dialect: openai, base_urls: [OAI/v1], allow_private: true, accounts: [{name: a, api_key: x}]}",
					"combos.both.models": "[" + brk + "/m, ant/m]", "policies.on_error": fall["policies.on_error"]}
				if home.entity == "provider" {
					s.at = "providers." + brk + "." + hook
				}
				s.see = failing(500, func(l *lab) string {
					l.chat("both", "")
					l.chat("both", "")
					return strconv.Itoa(len(l.oai.Requests()))
				})
			}
			rows = append(rows, s)
		}
	}
	return rows
}

func outboundSettings() []setting {
	dead := map[string]string{"upstream.proxy": "http://127.0.0.1:1"}
	rows := []setting{
		{key: "upstream.proxy", to: "http://127.0.0.1:1", want: [2]string{"oai 1 ant 0", "oai 0 ant 0"}, see: served("oai/m")},
		{key: "upstream.no_proxy", to: "[127.0.0.1]", given: dead, want: [2]string{"oai 0 ant 0", "oai 1 ant 0"}, see: served("oai/m")},
		{key: "upstream.socks5", to: "false", given: map[string]string{"upstream.proxy": "socks5://127.0.0.1:1"}, want: [2]string{"accepted", "refused"}, see: refused},
	}
	return append(rows, clocks("upstream.timeouts", "upstream.timeouts")...)
}

func otherSettings() []setting {
	kept := func(model string) func(*lab) string {
		return entry(model, func(r control.Request) string { return strconv.FormatBool(len(r.Entry.Request) > 0) })
	}
	return []setting{
		{key: "plugins.dir", shown: "core/e2e TestPluginFolder"},
		{key: "plugins.lock", shown: "core/host TestLockFile"},
		{key: "plugins.cache.dir", shown: "core/boot TestPluginSettingsReachTheHost"},
		{key: "plugins.items.*.enabled", shown: "core/boot TestPluginSettingsReachTheHost"},
		{key: "plugins.items.*.priority", shown: "core/boot TestPluginSettingsReachTheHost"},
		{key: "plugins.items.*.config", shown: "core/boot TestPluginSettingsReachTheHost"},
		{key: "logging.level", to: "error", want: [2]string{"true", "false"}, see: func(l *lab) string {
			before := len(l.err.String())
			l.chat("oai/m", "")
			return strconv.FormatBool(strings.Contains(l.err.String()[before:], "request_id"))
		}},
		{key: "logging.format", to: "json", want: [2]string{"false", "true"}, see: again(func(l *lab, _ *boot.Gateway, out string) string {
			return strconv.FormatBool(strings.Contains(out, `"msg":`))
		})},
		{key: "logging.requests.bodies", to: "all", want: [2]string{"false", "true"}, see: kept("oai/m")},
		{key: "logging.requests.retention", to: "1ms", want: [2]string{"kept", "gone"}, see: lasting},
		{key: "logging.requests.max_size", shown: "core/ledger TestRetention"},
		{key: "logging.requests.max_rows", shown: "core/ledger TestMaxRows"},
		{key: "logging.requests.stages", to: "all", want: [2]string{"0", "5"}, see: stagesKept},
		{key: "logging.requests.stages_retention", shown: "core/telemetry/capture TestBounds"},
		{key: "logging.requests.stages_max_size", shown: "core/telemetry/capture TestBounds"},
		{key: "logging.requests.file", to: filepath.Join(os.TempDir(), "omniroute-lines-"+strconv.Itoa(os.Getpid())+".txt"), want: [2]string{"0", "2"}, see: linesWritten},
		{key: "logging.requests.file_max_size", shown: "core/telemetry TestLines"},
		{key: "logging.audit.retention", shown: "core/audit TestPrune"},
		{key: "telemetry.prometheus.enabled", to: "false", want: [2]string{"200", "404"}, see: func(l *lab) string {
			l.send("GET", "/metrics", "")
			return strconv.Itoa(l.last.StatusCode)
		}},
		{key: "telemetry.otlp.endpoint", to: "http://127.0.0.1:4318", want: [2]string{"accepted", "refused"}, see: refused},
		{key: "pricing.table", to: "seed", given: map[string]string{"providers.claude": "{accounts: [{name: a, access_token: t}]}"}, want: [2]string{"5", "15"},
			see: factOf("claude/claude-opus-4-5-20251101", "target.price.input")},
		{key: "pricing.reasoning_mode", to: "seed", want: [2]string{"1400000", "1500000"},
			see: replying(fake.Reply{Text: "x", Usage: fake.Usage{Prompt: 1000, Completion: 200, Reasoning: 50}}, entry("oai/m", cost))},
		{key: "usage.buffer_tokens", to: "500", want: [2]string{"10", "510"}, see: func(l *lab) string {
			return between(l.chat("oai/m", ""), `"prompt_tokens":`, ",")
		}},
		{key: "cache.max_bytes", to: "100", want: [2]string{"MISS HIT", "MISS MISS"}, see: cached("1", "1")},
		{key: "cache.max_entries", to: "1", want: [2]string{"MISS MISS HIT", "MISS MISS MISS"}, see: cached("2", "3", "2")},
		{key: "cache.max_entry", to: "100", want: [2]string{"MISS HIT", "MISS MISS"}, see: cached("4", "4")},
		{key: "cache.ttl", to: "1us", want: [2]string{"MISS HIT", "MISS MISS"}, see: cached("5", "5")},
		{key: "cache.coalesce", shown: "core/flow TestCoalescedRequestsShareOneCall"},
		{key: "cache.disk", shown: "core/boot TestCachedAnswersSurviveARestart"},
		{key: "oauth.*.client_id", shown: "core/boot TestCredentialIsRenewedBeforeUse"},
		{key: "oauth.*.client_secret", shown: "core/boot TestCredentialIsRenewedBeforeUse"},
		{key: "oauth.*.token_url", shown: "core/boot TestCredentialIsRenewedBeforeUse"},
		{key: "oauth.*.body", shown: "core/boot TestCredentialIsRenewedBeforeUse"},
		{key: "oauth.*.refresh_url", shown: "core/catalog TestOAuthOfProviders"},
		{key: "oauth.*.authorize_url", shown: "core/catalog TestOAuthOfProviders"},
		{key: "oauth.*.refresh_lead", shown: "core/boot TestLeadOfTheOperator"},
		{key: "oauth.local_import", shown: "core/boot TestImportOfLocalLogins"},
		{key: "oauth.*.device_url", shown: "core/boot TestLogins"},
		{key: "oauth.*.poll_url", shown: "core/boot TestLogins"},
		{key: "oauth.*.register_url", shown: "core/boot TestLogins"},
		{key: "oauth.*.userinfo_url", shown: "core/boot TestLogins"},
		{key: "oauth.*.profile_url", shown: "core/boot TestLogins"},
		{key: "oauth.*.onboard_url", shown: "core/boot TestLogins"},
		{key: "oauth.*.exchange_url", shown: "core/boot TestLogins"},
		{key: "oauth.*.social_login_url", shown: "core/boot TestLogins"},
		{key: "oauth.*.social_token_url", shown: "core/boot TestLogins"},
		{key: "oauth.*.social_refresh_url", shown: "core/boot TestImportOfLocalLogins"},
		{key: "oauth.*.redirect", shown: "core/boot TestLogins"},
		{key: "usage.*.url", shown: "core/boot TestQuotasOfLogins"},
		{key: "providers.*.accounts.*.quota_policy", shown: "core/flow TestQuotaPolicyOfTheFile"},
		{key: "storage.encryption_key", to: strings.Repeat("ab", 32), want: [2]string{"false", "true"}, see: again(func(l *lab, gw *boot.Gateway, _ string) string {
			dir := filepath.Join(gw.Status().DataDir, "secrets.json")
			raw, _ := os.ReadFile(dir)
			return strconv.FormatBool(!strings.Contains(string(raw), "storage"))
		})},
	}
}

// content is the text of a chat client's answer.
func content(l *lab) string {
	text, _ := doc.String([]byte(l.chat("oai/m", "")), "choices", "0", "message", "content")
	return text
}
