package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func load(t *testing.T, path string, env ...string) *config.Snapshot {
	t.Helper()
	snap, diags := config.Load(config.Options{Path: path, Env: append([]string{"HOME=/home/u"}, env...)})
	require.Empty(t, diags)
	return snap
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "omniroute.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestFullFile(t *testing.T) {
	snap := load(t, "testdata/good/full.yaml", "CI_KEY=sk-ci-000000", "OPENAI_API_KEY=sk-1")
	f := snap.File
	require.Equal(t, "/home/u/.omniroute", f.Server.DataDir)
	require.Equal(t, config.Size(64<<20), f.Server.BodyLimit)
	require.Equal(t, "https://gw.example", f.Server.BaseURL)
	require.Equal(t, 20*time.Second, f.Server.ShutdownTimeout)
	require.Equal(t, config.RequireAuto, f.Auth.RequireKeys)
	require.Equal(t, "hash", f.Auth.StoreKeys)
	ci := f.Auth.Keys[0]
	require.Equal(t, "sk-ci-000000", ci.Key)
	require.Equal(t, 5.0, *ci.Limits.DailyUSD)
	require.Nil(t, ci.Limits.MonthlyUSD)
	require.True(t, ci.Enabled)
	require.Equal(t, time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC), f.Auth.Keys[1].Expires)
	require.False(t, f.Auth.Keys[2].Enabled, "an empty key is left out")
	require.Equal(t, []string{"https://api.openai.com/v1"}, f.Providers["openai"].BaseURLs)
	acc := f.Providers["openai"].Accounts
	require.Equal(t, "sk-1", acc[0].APIKey)
	require.Equal(t, "sk-spare", acc[1].APIKey)
	require.False(t, acc[2].Enabled)
	require.Equal(t, 24, acc[0].Pos.Line)
	lab := f.Providers["lab"]
	require.True(t, *lab.AllowPrivate)
	require.Nil(t, lab.Enabled)
	require.Equal(t, 5*time.Minute, lab.Timeouts.FirstEvent)
	require.Equal(t, "", lab.Headers["User-Agent"])
	require.Equal(t, int64(131072), *lab.Models[0].Context)
	require.Equal(t, 0.0, *lab.Models[0].Price.Input)
	require.Nil(t, lab.Models[0].Images)
	require.Equal(t, "openai/gpt-4o-mini", f.Aliases["fast"].Target)
	require.Equal(t, map[string]any{"temperature": int64(0), "stop": []any{"a", "b"}}, f.Aliases["cold"].Set)
	daily := f.Combos["daily"]
	require.True(t, daily.Enabled)
	require.Len(t, daily.Models, 3)
	require.Equal(t, 1.0, daily.Models[2].Weight)
	require.Equal(t, 90*time.Second, *daily.Config.Timeout)
	require.Equal(t, 7*24*time.Hour, f.Logging.Requests.Retention)
	require.Equal(t, config.Size(100_000_000), f.Logging.Requests.MaxSize)
	require.Equal(t, 4.0, *f.Pricing.Override["openai"]["gpt-4o"].Long.Input)
	require.EqualValues(t, 2000, f.Usage.BufferTokens)
	require.Equal(t, 5, f.Plugins.Items["acme/llm"].Priority)
	require.True(t, f.Plugins.Items["acme/llm"].Enabled)
	require.True(t, filepath.IsAbs(f.Plugins.Dir))
	require.Equal(t, "plugins", filepath.Base(f.Plugins.Dir))
	require.Equal(t, "/home/u/.omniroute/wasm-cache", f.Plugins.Cache.Dir)

	require.Len(t, snap.Policies, 3)
	require.Equal(t, "testdata/good/full.yaml", snap.Policies[0].File)
	require.False(t, snap.Policies[0].Included)
	require.Contains(t, string(snap.Policies[0].Data), "${req.model} stays as it is")
	require.Equal(t, "testdata/good/policies/one.yaml", snap.Policies[1].File)
	require.NotNil(t, snap.Policies[1].Node)
	require.Nil(t, snap.Policies[2].Node)

	var warnings []string
	for _, w := range snap.Warnings {
		warnings = append(warnings, w.String())
	}
	require.Equal(t, []string{
		"testdata/good/full.yaml:16:7: auth.keys.2: the key is empty and is left out",
		"testdata/good/full.yaml:26:9: providers.openai.accounts.2: the credential is empty, the account is left out",
	}, warnings)
}

func TestDefaults(t *testing.T) {
	for _, path := range []string{"testdata/good/empty.yaml", write(t, "server:\nauth:\n"), write(t, "# nothing\n")} {
		f := load(t, path).File
		require.Equal(t, "127.0.0.1:20128", f.Server.Listen)
		require.Equal(t, "warn", f.Plugins.Trust.Mode)
		require.Equal(t, "fill-first", f.Routing.Strategy)
		require.True(t, f.Telemetry.Prometheus.Enabled)
		require.True(t, f.Upstream.SOCKS5)
	}
}

func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			snap, diags := config.Load(config.Options{Path: file, Env: []string{"HOME=/home/u"}})
			require.Nil(t, snap)
			var b strings.Builder
			for _, d := range diags {
				b.WriteString(d.Text())
				b.WriteByte('\n')
			}
			require.NotContains(t, b.String(), "hunter2", "excerpts hide secrets")
			require.NotContains(t, b.String(), "abcdefgh")
			golden := strings.TrimSuffix(file, ".yaml") + ".want"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), b.String())
		})
	}
}

func TestEnvironment(t *testing.T) {
	path := write(t, `
server: {listen: 127.0.0.1:5, data_dir: /from/file, instance_name: "n-${X:-d}"}
providers: {gemini-cli: {enabled: true}}
usage:
  buffer_tokens: ${TOKENS}
`)
	env := []string{
		"TOKENS=12", "DATA_DIR=/from/env", "PORT=99", "HOSTNAME=my-laptop", "REQUIRE_API_KEY=yes", "LOG_LEVEL=DEBUG",
		"LOG_RETENTION_DAYS=3", "FETCH_TIMEOUT_MS=1500", "NO_PROXY=a, b", "HTTP_PROXY=http://p:1", "HTTPS_PROXY=http://q:2",
		"OMNIROUTE_PROVIDERS__GEMINI_CLI__ENABLED=off", "OMNIROUTE_CACHE__MAX_BYTES=1MiB", "OMNIROUTE_SERVER__TRUSTED_PROXIES=10.0.0.0/8,::1",
		"OMNIROUTE_LOGGING__REQUESTS__BODIES=all", "OMNIROUTE_SERVER_LISTEN=x", "OMNIROUTE_STORAGE_KEY=" + strings.Repeat("ab", 32),
	}
	snap := load(t, path, env...)
	f := snap.File
	require.Equal(t, "127.0.0.1:99", f.Server.Listen, "a host name is no address")
	require.Equal(t, "/from/env", f.Server.DataDir)
	require.Equal(t, "n-d", f.Server.InstanceName)
	require.EqualValues(t, 12, f.Usage.BufferTokens)
	require.Equal(t, config.RequireTrue, f.Auth.RequireKeys)
	require.Equal(t, "debug", f.Logging.Level)
	require.Equal(t, 72*time.Hour, f.Logging.Requests.Retention)
	require.Equal(t, 1500*time.Millisecond, f.Upstream.Timeouts.Headers)
	require.Equal(t, []string{"a", "b"}, f.Upstream.NoProxy)
	require.Equal(t, "http://q:2", f.Upstream.Proxy)
	require.False(t, *f.Providers["gemini-cli"].Enabled)
	require.Equal(t, config.Size(1<<20), f.Cache.MaxBytes)
	require.Equal(t, []string{"10.0.0.0/8", "::1"}, f.Server.TrustedProxies)
	require.Equal(t, "all", f.Logging.Requests.Bodies)
	require.Equal(t, strings.Repeat("ab", 32), f.Storage.EncryptionKey)
	require.Len(t, snap.Warnings, 1)
	require.Equal(t, "OMNIROUTE_SERVER_LISTEN: has no effect; did you mean OMNIROUTE_SERVER__LISTEN?", snap.Warnings[0].String())

	f = load(t, path, "TOKENS=1", "PORT=99", "HOSTNAME=0.0.0.0", "OMNIROUTE_SERVER__LISTEN=:7").File
	require.Equal(t, ":7", f.Server.Listen, "the path of a key wins over names of their own")
	snap2, diags := config.Load(config.Options{Path: path, Env: []string{"TOKENS=1"}, DataDir: "/from/flag"})
	require.Empty(t, diags)
	require.Equal(t, "/from/flag", snap2.File.Server.DataDir)

	secret := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(secret, []byte(strings.Repeat("cd", 32)+"\n"), 0o600))
	f = load(t, path, "TOKENS=1", "STORAGE_ENCRYPTION_KEY_FILE="+secret).File
	require.Equal(t, strings.Repeat("cd", 32), f.Storage.EncryptionKey)

	for _, c := range []struct{ env, want string }{
		{"OMNIROUTE_USAGE__BUFFER_TOKENS=many", "OMNIROUTE_USAGE__BUFFER_TOKENS: usage.buffer_tokens: want a whole number, got text"},
		{"OMNIROUTE_SERVER__LISTN=x", `OMNIROUTE_SERVER__LISTN: unknown key "server.listn", did you mean "listen"?`},
		{"OMNIROUTE_LOGGING__LEVEL=loud", `OMNIROUTE_LOGGING__LEVEL: logging.level: unknown value "loud" (want debug, info, warn, error)`},
		{"STORAGE_ENCRYPTION_KEY_FILE=/no/such", "STORAGE_ENCRYPTION_KEY_FILE: cannot read the file: open /no/such: no such file or directory"},
		{"REQUIRE_API_KEY=sometimes", `REQUIRE_API_KEY: auth.require_keys: unknown value "sometimes" (want auto, true, false)`},
	} {
		_, diags := config.Load(config.Options{Path: path, Env: []string{"TOKENS=1", "HOME=/h", c.env}})
		require.Len(t, diags, 1, c.env)
		require.Equal(t, c.want, diags[0].String())
	}
}

func TestHash(t *testing.T) {
	path := write(t, `server: {instance_name: "${NAME:-x}"}`)
	a := load(t, path, "NAME=1", "OTHER=1").Hash
	require.Equal(t, a, load(t, path, "NAME=1", "OTHER=2").Hash, "variables nobody reads do not count")
	require.NotEqual(t, a, load(t, path, "NAME=2").Hash)
	require.NotEqual(t, a, load(t, path, "NAME=1", "PORT=1").Hash)
	require.NoError(t, os.WriteFile(path, []byte(`server: {instance_name: "${NAME:-x}" }`), 0o600))
	require.NotEqual(t, a, load(t, path, "NAME=1").Hash)
}

func TestFind(t *testing.T) {
	t.Chdir(t.TempDir())
	xdg := t.TempDir()
	env := []string{"XDG_CONFIG_HOME=" + xdg, "HOME=" + t.TempDir()}
	require.Equal(t, "given.yaml", config.Find("given.yaml", env))
	require.Equal(t, "", config.Find("", env))
	require.NoError(t, os.MkdirAll(filepath.Join(xdg, "omniroute"), 0o700))
	file := filepath.Join(xdg, "omniroute", "omniroute.yaml")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.Equal(t, file, config.Find("", env))
	require.NoError(t, os.WriteFile("omniroute.yaml", nil, 0o600))
	require.Equal(t, "omniroute.yaml", config.Find("", env))

	snap, diags := config.Load(config.Options{Path: "missing.yaml"})
	require.Nil(t, snap)
	require.Equal(t, []fault.Diagnostic{{File: "missing.yaml", Message: "no such file"}}, diags)
}

func TestSizesAndDurations(t *testing.T) {
	for in, want := range map[string]config.Size{"0": 0, "1024": 1024, "1k": 1024, "1kB": 1000, "64MiB": 64 << 20, "1.5 GiB": 3 << 29, "2t": 2 << 40} {
		got, err := config.ParseSize(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, in := range []string{"", "MiB", "-1", "1XB", "1e30", "99999999999t"} {
		_, err := config.ParseSize(in)
		require.Error(t, err, in)
	}
	require.Equal(t, "64MiB", config.Size(64<<20).String())
	require.Equal(t, "1025", config.Size(1025).String())
	for in, want := range map[string]time.Duration{"30s": 30 * time.Second, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "2w": 336 * time.Hour, "1h30m": 90 * time.Minute, "0s": 0} {
		got, err := config.ParseDuration(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, in := range []string{"", "30", "d", "-1d", "-5s", "1x", "1d-2h"} {
		_, err := config.ParseDuration(in)
		require.Error(t, err, in)
	}
}

func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(data)
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "omniroute.yaml")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		snap, diags := config.Load(config.Options{Path: path, Env: []string{"HOME=/h", "CI_KEY=12345678", "OPENAI_API_KEY=x"}})
		require.Equal(t, snap == nil, len(diags) > 0)
		for _, d := range diags {
			require.NotEmpty(t, d.Message)
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, d := config.Load(config.Options{Path: "testdata/good/full.yaml", Env: []string{"HOME=/h", "CI_KEY=12345678", "OPENAI_API_KEY=x"}}); d != nil {
			b.Fatal(d)
		}
	}
}
