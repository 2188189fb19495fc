package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
)

func TestFakeOnThisMachineOnly(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", "192.0.2.1:80", "nonsense", "[::]:0"} {
		require.Error(t, onLoopback(addr), addr)
	}
	for _, addr := range []string{"127.0.0.1:0", "localhost:0"} {
		require.NoError(t, onLoopback(addr), addr)
	}
}

// The verb says where the fake is, and then what it is asked.
func TestFakeTellsRequests(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	in, out := io.Pipe()
	a := &app{out: out, err: io.Discard}
	done := make(chan error, 1)
	go func() {
		err := a.serveFake(ctx, fake.Options{Addr: "127.0.0.1:0"}, true)
		out.Close()
		done <- err
	}()
	var said bytes.Buffer
	until := func(mark string) {
		buf := make([]byte, 512)
		for !strings.Contains(said.String(), mark) {
			n, err := in.Read(buf)
			require.NoError(t, err, said.String())
			said.Write(buf[:n])
		}
	}
	until("<provider>\n")
	_, rest, _ := strings.Cut(said.String(), "Fake provider at ")
	base, _, _ := strings.Cut(rest, "\n")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/embeddings", strings.NewReader(`{"model":"m"}`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	until("refused: missing required parameter: 'input'\n")
	require.Contains(t, said.String(), "POST /v1/embeddings  openai embeddings m\n")
	stop()
	_, _ = io.Copy(io.Discard, in)
	require.NoError(t, <-done)
}
