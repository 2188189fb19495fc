package config

import (
	"fmt"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"
)

// Prefix of variables that set a key of the file.
const Prefix = "OMNIROUTE_"

// seed is a variable with a name of its own that sets a key.
type seed struct {
	name, path string
	// convert rewrites the value; ok false ignores the variable.
	convert func(string) (value string, ok bool)
}

// seeds in rising precedence: of two that set the same key the later wins.
// OMNIROUTE_<PATH> wins over all of them.
var seeds = append(oauthSeeds(), []seed{
	{name: "DATA_DIR", path: "server.data_dir"},
	{name: "NEXT_PUBLIC_BASE_URL", path: "server.base_url"},
	{name: "BASE_URL", path: "server.base_url"},
	{name: "MAX_BODY_SIZE_BYTES", path: "server.body_limit"},
	{name: "CORS_ORIGIN", path: "server.cors_origins"},
	{name: "CORS_ORIGINS", path: "server.cors_origins"},
	{name: "SHUTDOWN_TIMEOUT_MS", path: "server.shutdown_timeout", convert: millis},
	{name: "INSTANCE_NAME", path: "server.instance_name"},
	{name: "REQUIRE_API_KEY", path: "auth.require_keys", convert: boolWord},
	{name: "API_KEY_SECRET", path: "auth.api_key_secret"},
	{name: "JWT_SECRET", path: "auth.jwt_secret"},
	{name: "INITIAL_PASSWORD", path: "auth.initial_password"},
	{name: "AUTH_COOKIE_SECURE", path: "auth.cookie_secure", convert: boolWord},
	{name: "MACHINE_ID_SALT", path: "auth.machine_id_salt"},
	{name: "STORAGE_ENCRYPTION_KEY", path: "storage.encryption_key"},
	{name: Prefix + "STORAGE_KEY", path: "storage.encryption_key"},
	{name: "LOG_LEVEL", path: "logging.level", convert: lower},
	{name: "LOG_FORMAT", path: "logging.format", convert: lower},
	{name: "LOG_FILE_PATH", path: "logging.requests.file"},
	{name: "ENABLE_REQUEST_LOGS", path: "logging.requests.stages", convert: choice("none", "all")},
	{name: "LOG_RETENTION_DAYS", path: "logging.requests.retention", convert: suffix("d")},
	{name: "INPUT_SANITIZER_ENABLED", path: "guard.mode", convert: choice("off", "warn")},
	{name: "INPUT_SANITIZER_MODE", path: "guard.mode", convert: lower},
	{name: "INJECTION_GUARD_MODE", path: "guard.mode", convert: lower},
	{name: "PII_REDACTION_ENABLED", path: "guard.pii.requests", convert: choice("off", "redact")},
	{name: "TOOL_POLICY_MODE", path: "guard.tools.mode", convert: lower},
	{name: "FETCH_TIMEOUT_MS", path: "upstream.timeouts.headers", convert: millis},
	{name: "STREAM_IDLE_TIMEOUT_MS", path: "upstream.timeouts.idle", convert: millis},
	{name: "ENABLE_SOCKS5_PROXY", path: "upstream.socks5"},
	{name: "all_proxy", path: "upstream.proxy"},
	{name: "ALL_PROXY", path: "upstream.proxy"},
	{name: "http_proxy", path: "upstream.proxy"},
	{name: "HTTP_PROXY", path: "upstream.proxy"},
	{name: "https_proxy", path: "upstream.proxy"},
	{name: "HTTPS_PROXY", path: "upstream.proxy"},
	{name: "no_proxy", path: "upstream.no_proxy"},
	{name: "NO_PROXY", path: "upstream.no_proxy"},
	{name: "SEMANTIC_CACHE_MAX_SIZE", path: "cache.max_entries"},
	{name: "SEMANTIC_CACHE_TTL_MS", path: "cache.ttl", convert: millis},
}...)

// fileSecrets are keys whose variables may also name a file that holds the
// value: NAME_FILE.
var fileSecrets = []string{"auth.api_key_secret", "auth.jwt_secret", "auth.initial_password", "storage.encryption_key"}

// EnvNames maps the variables that have names of their own to the keys they
// set. PORT and HOSTNAME set the two halves of server.listen.
func EnvNames() map[string]string {
	names := map[string]string{"PORT": "server.listen", "HOSTNAME": "server.listen"}
	for _, s := range seeds {
		names[s.name] = s.path
	}
	return names
}

func millis(v string) (string, bool) { return v + "ms", v != "" }
func lower(v string) (string, bool)  { return strings.ToLower(v), v != "" }
func suffix(s string) func(string) (string, bool) {
	return func(v string) (string, bool) { return v + s, v != "" }
}

// choice turns a switch into the word for off or on.
func choice(off, on string) func(string) (string, bool) {
	return func(v string) (string, bool) {
		switch b, ok := parseBool(v); {
		case !ok:
			return v, true // refused by the decoder, with the name of the variable
		case b:
			return on, true
		}
		return off, true
	}
}

func boolWord(v string) (string, bool) {
	b, ok := parseBool(v)
	if !ok {
		return v, true // refused by the decoder, with the name of the variable
	}
	return fmt.Sprint(b), true
}

func envMap(environ []string) map[string]string {
	m := make(map[string]string, len(environ))
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok {
			m[k] = v
		}
	}
	return m
}

// overlay loads the environment over what k holds: first the variables with
// names of their own, then OMNIROUTE_<PATH>.
func (r *reader) overlay(k *koanf.Koanf) error {
	named := map[string]any{}
	for _, s := range seeds {
		value, ok := r.lookup(s.name, s.path)
		if !ok || value == "" {
			continue
		}
		if s.convert != nil {
			if value, ok = s.convert(value); !ok {
				continue
			}
		}
		path := strings.ReplaceAll(s.path, ".", sep)
		named[path] = value
		r.mark(path, s.name)
	}
	if listen, from := r.listen(k); listen != "" {
		path := join("server", "listen")
		named[path] = listen
		r.mark(path, from)
	}
	environ := make([]string, 0, len(named))
	for path, value := range named {
		environ = append(environ, path+"="+value.(string))
	}
	for name, value := range r.env {
		if strings.HasPrefix(name, Prefix) {
			environ = append(environ, name+"="+value)
		}
	}
	// Names of their own first: koanf applies a provider as one layer, so the
	// two groups are two layers.
	own := env.Provider(sep, env.Opt{
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			if strings.HasPrefix(name, Prefix) {
				return "", nil
			}
			return name, value
		},
	})
	if err := k.Load(own, nil); err != nil {
		return err
	}
	return k.Load(env.Provider(sep, env.Opt{
		Prefix:      Prefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			path, ok := r.path(name, k)
			if !ok {
				return "", nil
			}
			r.mark(path, name)
			return path, value
		},
	}), nil)
}

func (r *reader) mark(path, name string) {
	r.pos[path] = Pos{File: name}
	r.fromEnv[path] = true
	r.used[name] = true
}

// lookup reads a variable, or the file that NAME_FILE names.
func (r *reader) lookup(name, path string) (string, bool) {
	if v, ok := r.env[name]; ok {
		return v, true
	}
	file, ok := r.env[name+"_FILE"]
	if !ok || file == "" || !slices.Contains(fileSecrets, path) {
		return "", false
	}
	r.used[name+"_FILE"] = true
	raw, err := os.ReadFile(file)
	if err != nil {
		r.fail(Pos{File: name + "_FILE"}, "cannot read the file: %v", err)
		return "", false
	}
	return strings.TrimSpace(string(raw)), true
}

// listen puts PORT and HOSTNAME over the address so far. Shells and containers
// set HOSTNAME to the name of the machine, which nobody means as an address to
// listen on, so only addresses and "localhost" count.
func (r *reader) listen(k *koanf.Koanf) (addr, from string) {
	port, host := r.env["PORT"], r.env["HOSTNAME"]
	if net.ParseIP(host) == nil && host != "localhost" {
		host = ""
	}
	if port == "" && host == "" {
		return "", ""
	}
	oldHost, oldPort, err := net.SplitHostPort(k.String(join("server", "listen")))
	if err != nil {
		return "", ""
	}
	from = "PORT"
	if port == "" {
		port, from = oldPort, "HOSTNAME"
	}
	if host == "" {
		host = oldHost
	}
	r.used["PORT"], r.used["HOSTNAME"] = true, true
	return net.JoinHostPort(host, port), from
}

// path turns OMNIROUTE_PROVIDERS__GEMINI_CLI__ENABLED into a path. Names the
// operator chose (providers, combos, …) are found by their letters and digits.
// Variables without a double underscore are other things.
func (r *reader) path(name string, k *koanf.Koanf) (string, bool) {
	rest := strings.TrimPrefix(name, Prefix)
	if !strings.Contains(rest, "__") {
		return "", false
	}
	var path string
	for part := range strings.SplitSeq(rest, "__") {
		key := strings.ToLower(part)
		if m, ok := k.Get(path).(map[string]any); ok && path != "" {
			for _, have := range sortedKeys(m) {
				if envName(have) == envName(part) {
					key = have
				}
			}
		}
		path = join(path, key)
	}
	return path, true
}

func envName(key string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		if c >= 'A' && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return '_'
	}, key)
}

// forgotten finds variables that look like keys with a single underscore.
func forgotten(environ map[string]string) []string {
	sections, _ := fields(reflect.TypeFor[File]())
	var out []string
	for name := range environ {
		rest, ok := strings.CutPrefix(name, Prefix)
		if !ok || strings.Contains(rest, "__") || name == Prefix+"STORAGE_KEY" {
			continue
		}
		section, key, found := strings.Cut(strings.ToLower(rest), "_")
		if found && slices.Contains(sections, section) {
			out = append(out, fmt.Sprintf("%s has no effect; did you mean %s%s__%s?", name, Prefix, strings.ToUpper(section), strings.ToUpper(key)))
		}
	}
	slices.Sort(out)
	return out
}
