package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
)

// zeros is an endless body that never looks wrong until its limit.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	const listed = "    passthrough_models: false\n"
	g := serve(t, providers(node{id: "lab", dialect: "openai", url: up.OpenAIBase(), extra: listed}, node{id: "claudelab", dialect: "claude", url: up.URL, extra: listed})+freely)
	deep := strings.Repeat("[", 100_000)
	tests := []struct {
		name, body string
		status     int
	}{
		{"empty", ``, 400},
		{"blank", "  \n", 400},
		{"no JSON", `hello`, 400},
		{"cut", `{"model":"lab/m","max_tokens":5,"messages":[{"role":"user","content":"hi`, 400},
		{"array", `[1,2]`, 400},
		{"string", `"hi"`, 400},
		{"null", `null`, 400},
		{"twice", `{"model":"lab/m"}{"model":"lab/m"}`, 400},
		{"deep", `{"model":"lab/m","max_tokens":5,"messages":` + deep, 400},
		{"deep and closed", `{"model":"lab/m","max_tokens":5,"messages":[{"role":"user","content":"hi"}],"x":` + deep + strings.Repeat("]", 100_000) + `}`, 400},
		{"bad UTF-8", "{\"model\":\"lab/m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"\xff\xfe\"}]}", 400},
		{"lone surrogate", `{"model":"lab/m","max_tokens":5,"messages":[{"role":"user","content":"\ud800"}]}`, 400},
		{"control character", "{\"model\":\"lab/m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"\x01\"}]}", 400},
		{"bad escape", `{"model":"lab/m","max_tokens":5,"messages":[{"role":"user","content":"\x"}]}`, 400},
		{"repeated key", `{"model":"lab/m","model":"claudelab/m","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`, 400},
		{"no model", `{"max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`, 400},
		{"model is a number", `{"model":5,"max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`, 400},
		{"no messages", `{"model":"lab/m","max_tokens":5}`, 400},
		{"messages is a string", `{"model":"lab/m","max_tokens":5,"messages":"hi"}`, 400},
		{"messages of numbers", `{"model":"lab/m","max_tokens":5,"messages":[1,2]}`, 400},
		{"unknown model", `{"model":"lab/nosuch-model","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`, 404},
		{"unknown provider", `{"model":"nosuch/m","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`, 404},
		{"bare unknown model", `{"model":"no-such-model-anywhere","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`, 404},
	}
	paths := map[string]string{"openai": "/v1/chat/completions", "claude": "/v1/messages"}
	for client, path := range paths {
		for _, tt := range tests {
			for _, stream := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s, stream %v", client, tt.name, stream), func(t *testing.T) {
					body := tt.body
					if stream {
						body = strings.Replace(body, `"max_tokens":5`, `"stream":true,"max_tokens":5`, 1)
					}
					for _, target := range []string{"lab/", "claudelab/"} {
						a := g.post(path, strings.Replace(body, "lab/", target, 1), "anthropic-version", "2023-06-01")
						require.Equal(t, tt.status, a.Status, "%s: %s", target, tail(a.Body, 500))
						require.Contains(t, a.Header.Get("Content-Type"), "application/json")
						kind := errorBody(t, client, a)
						if client == "claude" && tt.status == 404 {
							require.Equal(t, "not_found_error", kind)
						} else {
							require.Equal(t, "invalid_request_error", kind)
						}
						require.NotEmpty(t, a.Header.Get("X-Request-Id"))
					}
				})
			}
		}
		t.Run(client+" 100 MB", func(t *testing.T) {
			head := `{"model":"lab/m","max_tokens":5,"messages":[{"role":"user","content":"`
			for _, known := range []bool{true, false} {
				const size = 100 << 20
				body := io.MultiReader(strings.NewReader(head), io.LimitReader(zeros{}, size-int64(len(head))-4), strings.NewReader(`"}]}`))
				req, err := http.NewRequest(http.MethodPost, g.URL+path, io.NopCloser(body))
				require.NoError(t, err)
				if known {
					req.ContentLength = size
				}
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Expect", "100-continue")
				resp, err := http.DefaultClient.Do(req)
				if err != nil { // the answer may be lost when the server closes on a client that goes on writing
					require.Regexp(t, `broken pipe|connection reset|EOF|use of closed`, err.Error())
					continue
				}
				text, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode, tail(string(text), 300))
				errorBody(t, client, answer{resp.StatusCode, resp.Header, string(text)})
			}
		})
		t.Run(client+" cut body", func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
			require.NoError(t, err)
			_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"model\":", path)
			require.NoError(t, err)
			require.NoError(t, conn.Close())
		})
	}
	t.Run("paths and methods", func(t *testing.T) {
		require.Equal(t, http.StatusNotFound, g.get("/v1/nothing").Status)
		require.Equal(t, http.StatusMethodNotAllowed, g.get("/v1/chat/completions").Status)
		a, err := g.send(context.Background(), http.MethodDelete, "/v1/messages", nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusMethodNotAllowed, a.Status)
	})
	require.Empty(t, up.Requests(), "no bad request may reach a provider")
	require.Equal(t, http.StatusOK, g.get("/healthz").Status)
	require.Equal(t, http.StatusOK, g.chat("demo/echo").Status)
	require.NotContains(t, g.out.String(), "panic")
}

// A large but allowed body passes whole.
func TestLargeBody(t *testing.T) {
	t.Parallel()
	up := fake.Start(fake.Options{})
	t.Cleanup(up.Close)
	g := serve(t, providers(node{id: "lab", dialect: "openai", url: up.OpenAIBase()}, node{id: "claudelab", dialect: "claude", url: up.URL})+freely)
	big := strings.Repeat("All work and no play. \\n\\u00e4 ", 600_000)
	for _, target := range []string{"lab", "claudelab"} {
		up.Reset()
		a := g.post("/v1/chat/completions", `{"model":"`+target+`/m","messages":[{"role":"user","content":"`+big+`"}]}`)
		require.Equal(t, http.StatusOK, a.Status, tail(a.Body, 300))
		require.True(t, bytes.Contains(up.Last().Body, []byte(big)), "the text arrives byte for byte")
	}
}
