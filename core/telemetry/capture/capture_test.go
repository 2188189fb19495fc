package capture

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const canary = "sk-canary-0123456789abcdefghijklmn"

func files(t *testing.T, dir string) map[string]string {
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			raw, err := os.ReadFile(p)
			require.NoError(t, err)
			out[filepath.Base(p)] = string(raw)
		}
		return nil
	}))
	return out
}

func record(s *Store, id string, mode Mode, failed, stream bool) {
	r := s.Begin(Meta{ID: id, Source: "openai", Model: "a/b:c"}, mode)
	headers := []Header{{"Authorization", "Bearer " + canary}, {"X-Api-Key", "short"}, {"Accept", "text/plain"}, {"x-goog-api-key", canary}, {"Cookie", canary}}
	body := []byte(`{"model":"m","api_key":"` + canary + `","messages":[{"role":"user","content":"hello"}]}`)
	r.Request(Client, "/v1/chat/completions?key="+canary, headers, body)
	r.Request(Source, "", nil, body)
	r.Request(Hub, "", nil, body)
	r.Translated("claude")
	r.Request(Target, "https://x/?key="+canary, headers, body)
	if stream {
		r.Chunk(Provider, []byte("data: 1\n\n"))
		r.Chunk(Provider, []byte("data: 2 Bearer "+canary+"\n\n"))
		r.Chunk(Answer, []byte("data: 3\n\n"))
	} else {
		r.Response(Provider, 200, headers, body)
		r.Response(Answer, 200, nil, []byte("not json"))
	}
	if failed {
		r.Fail("went wrong with "+canary, body)
	}
	r.End(failed)
}

func TestStages(t *testing.T) {
	dir := t.TempDir()
	s := Open(dir, Options{Warn: func(err error) { t.Error(err) }})
	record(s, "0190-aaaa", All, true, true)
	s.Close()
	s.Close()
	got := files(t, dir)
	require.Len(t, got, 7)
	for name, text := range got {
		require.NotContains(t, text, canary, name)
		require.NotContains(t, text, `"short"`, name)
	}
	require.Equal(t, "data: 1\n\ndata: 2 Bearer [redacted]\n\n", got["5_res_provider.txt"])
	require.Contains(t, got["1_req_client.json"], `"content": "hello"`)
	require.Contains(t, got["1_req_client.json"], `"authorization": "***klmn"`)
	require.Contains(t, got["1_req_client.json"], `"accept": "text/plain"`)
	folders, err := s.Folders()
	require.NoError(t, err)
	require.Regexp(t, `^openai_claude_a-b-c_\d{8}_\d{6}_0190aaaa$`, folders[0])

	dir = t.TempDir()
	s = Open(dir, Options{})
	record(s, "b", All, false, false)
	s.Close()
	got = files(t, dir)
	require.Len(t, got, 6)
	require.Contains(t, got["7_res_client.json"], `"body": "not json"`)
	require.Contains(t, got["5_res_provider.json"], `"status": 200`)
}

func TestModes(t *testing.T) {
	dir := t.TempDir()
	s := Open(dir, Options{})
	require.Nil(t, s.Begin(Meta{}, None))
	require.Nil(t, (*Store)(nil).Begin(Meta{}, All))
	record(s, "good", None, true, true)
	record(s, "good", Errors, false, true)
	record(s, "bad", Errors, true, true)
	s.Close()
	folders, err := s.Folders()
	require.NoError(t, err)
	require.Len(t, folders, 1)
	require.True(t, strings.HasSuffix(folders[0], "_bad"))
	record(s, "late", All, true, true) // after Close: nothing
}

// Files, folders and their number are bounded.
func TestBounds(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	s := Open(dir, Options{MaxFile: 100, MaxBytes: 5000, Now: func() time.Time { return now }})
	r := s.Begin(Meta{ID: "x"}, All)
	for range 50 {
		r.Chunk(Provider, []byte("0123456789"))
	}
	r.Request(Client, "", nil, []byte(`{"long":"`+strings.Repeat("x", 500)+`"}`))
	r.End(true)
	s.Close()
	got := files(t, dir)
	require.Len(t, got["5_res_provider.txt"], 100+len(truncated))
	require.Contains(t, got["1_req_client.json"], truncated)

	s = Open(dir, Options{MaxFile: 1000, MaxBytes: 5000, Now: func() time.Time { return now }})
	for i := range 30 {
		r := s.Begin(Meta{ID: "r" + strconv.Itoa(i)}, All)
		r.Chunk(Provider, make([]byte, 900))
		r.End(true)
	}
	s.Close()
	require.NoError(t, s.Tidy())
	folders, err := s.Folders()
	require.NoError(t, err)
	require.LessOrEqual(t, len(folders), 5)
	now = now.Add(4 * 24 * time.Hour)
	require.NoError(t, s.Tidy())
	require.Empty(t, files(t, dir))
}
