package fake

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/omniroute/omniroute/core/cases"
)

// Options of a [Server].
type Options struct {
	// Addr is the listen address; empty means a free port of 127.0.0.1.
	Addr string
	// Keys are the accepted API keys; empty accepts any.
	Keys []string
	// Lenient records violations without refusing the request.
	Lenient bool
	// Models is the model list; empty means one model, "fake-model".
	Models []string
}

// Server is a running fake provider.
type Server struct {
	// URL is the base without a path, such as http://127.0.0.1:1234.
	URL string

	opt    Options
	http   *service
	closed chan struct{}
	once   sync.Once

	mu       sync.Mutex
	queue    []Reply
	fallback func(*Request) Reply
	requests []*Request
	changed  chan struct{}
}

// Start serves on a free loopback port, or on opt.Addr. It panics when the
// address cannot be listened on, as a test has no way to go on without it.
func Start(opt Options) *Server {
	s := &Server{
		opt: opt, closed: make(chan struct{}), changed: make(chan struct{}),
		fallback: func(*Request) Reply { return Reply{Text: "Hello from the fake."} },
	}
	s.http = serve(opt.Addr, s)
	s.URL = s.http.URL
	return s
}

// OpenAIBase is the base URL as OpenAI clients take it.
func (s *Server) OpenAIBase() string { return s.URL + "/v1" }

// GeminiBase is the base URL under which Gemini models lie.
func (s *Server) GeminiBase() string { return s.URL + "/v1beta/models" }

// Close ends all stalled requests and stops the server.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.closed)
		s.http.Close()
	})
}

// Push queues replies; each request for a completion takes one.
func (s *Server) Push(replies ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, replies...)
}

// Otherwise sets what answers when the queue is empty.
func (s *Server) Otherwise(script func(*Request) Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fallback = script
}

// Reset forgets queued replies and recorded requests.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue, s.requests = nil, nil
}

// Requests returns what was received so far, completions and everything else.
func (s *Server) Requests() []*Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Last returns the newest request, nil when there was none.
func (s *Server) Last() *Request {
	all := s.Requests()
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// Wait returns request n (from 0) as soon as it arrived, nil after the timeout.
func (s *Server) Wait(n int, timeout time.Duration) *Request {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		s.mu.Lock()
		changed := s.changed
		if n < len(s.requests) {
			defer s.mu.Unlock()
			return s.requests[n]
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-timer.C:
			return nil
		}
	}
}

// Violations returns all recorded violations as "METHOD path: what".
func (s *Server) Violations() []string {
	var out []string
	for _, r := range s.Requests() {
		for _, v := range r.Violations {
			out = append(out, r.Method+" "+r.Path+": "+v)
		}
	}
	return out
}

// Request is one received request.
type Request struct {
	Method, Path, Query string
	Header              http.Header
	Body                []byte
	// JSON is the parsed body; Null when it is none.
	JSON cases.Value
	// Dialect is the wire format that the path selects, "" for an unknown path.
	Dialect string
	// Kind is "chat", "count", "models", "embeddings", "images", "speech",
	// "transcriptions", "rerank", "moderations" or "".
	Kind   string
	Model  string
	Stream bool
	// Fields and Files are those of a multipart request.
	Fields map[string][]string
	Files  []File
	// Violations lists the rules of the service that the request breaks.
	Violations []string
	Received   time.Time

	earlier int // requests to this path before
	gone    chan struct{}
	goneAt  time.Time
}

// Gone is closed when the client hangs up before the answer was complete.
func (r *Request) Gone() <-chan struct{} { return r.gone }

// GoneAt is when the client hung up; valid once Gone is closed.
func (r *Request) GoneAt() time.Time { return r.goneAt }

// Key is the credential that the request carries, in whatever place.
func (r *Request) Key() string {
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return bearer
	}
	for _, name := range []string{"x-api-key", "x-goog-api-key"} {
		if v := r.Header.Get(name); v != "" {
			return v
		}
	}
	for part := range strings.SplitSeq(r.Query, "&") {
		if key, ok := strings.CutPrefix(part, "key="); ok {
			return key
		}
	}
	return ""
}

func (r *Request) violate(format string, args ...any) {
	r.Violations = append(r.Violations, fmt.Sprintf(format, args...))
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	r := &Request{
		Method: hr.Method, Path: hr.URL.Path, Query: hr.URL.RawQuery, Header: hr.Header.Clone(),
		Received: time.Now(), gone: make(chan struct{}),
	}
	r.Body, _ = io.ReadAll(hr.Body)
	if hr.Header.Get("Content-Encoding") == "gzip" {
		if zr, err := gzip.NewReader(bytes.NewReader(r.Body)); err == nil {
			r.Body, _ = io.ReadAll(zr)
		}
	}
	route(r)
	s.check(r)
	reply, wanted := s.record(r)
	d := dialects[r.Dialect]
	switch {
	case strings.HasSuffix(r.Path, copilotToken):
		s.exchange(w, hr, r)
	case d == nil:
		http.Error(w, `{"error":{"message":"no such route","type":"invalid_request_error"}}`, http.StatusNotFound)
	case !s.authorized(r):
		s.plain(w, d.failure(Reply{Status: http.StatusUnauthorized, Error: "invalid api key"}))
	case len(r.Violations) > 0 && !s.opt.Lenient:
		s.plain(w, d.failure(Reply{Status: http.StatusBadRequest, Error: r.Violations[0]}))
	case wanted && r.media():
		s.playMedia(w, r, d, reply)
	case wanted:
		s.play(w, hr, r, d, reply)
	default:
		s.plain(w, d.extra(r, s.models()))
	}
}

func (s *Server) models() []string {
	if len(s.opt.Models) > 0 {
		return s.opt.Models
	}
	return []string{"fake-model"}
}

// record keeps the request and takes its reply from the queue.
func (s *Server) record(r *Request) (reply Reply, wanted bool) {
	wanted = (r.Kind == "chat" || r.media()) && (s.opt.Lenient || len(r.Violations) == 0) && s.authorized(r)
	s.mu.Lock()
	for _, old := range s.requests {
		if old.Path == r.Path {
			r.earlier++
		}
	}
	s.requests = append(s.requests, r)
	close(s.changed)
	s.changed = make(chan struct{})
	script := s.fallback
	if wanted && len(s.queue) > 0 {
		reply, s.queue, script = s.queue[0], s.queue[1:], nil
	}
	s.mu.Unlock()
	if wanted && script != nil {
		reply = script(r)
	}
	return reply, wanted
}

func (s *Server) authorized(r *Request) bool {
	if r.Dialect == "ollama" && len(s.opt.Keys) == 0 {
		return true
	}
	key := r.Key()
	return key != "" && (len(s.opt.Keys) == 0 || slices.Contains(s.opt.Keys, key))
}

func (s *Server) plain(w http.ResponseWriter, body answer) {
	for name, values := range body.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(body.status)
	_, _ = w.Write(body.body)
}

// answer is a complete plain answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// route finds dialect and kind of a request.
func route(r *Request) {
	p := r.Path
	switch {
	case strings.Contains(p, codeAssistPath):
		routeCodeAssist(r)
	case strings.HasSuffix(p, "/StreamUnifiedChatWithTools"):
		r.Dialect, r.Kind, r.Stream = "cursor", "chat", true
	case strings.HasSuffix(p, "/AvailableModels"):
		r.Dialect, r.Kind = "cursor", "models"
	case strings.HasSuffix(p, "/generateAssistantResponse"), strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".SendMessage"):
		r.Dialect, r.Kind, r.Stream = "kiro", "chat", true
	case r.Header.Get("X-Amz-Target") != "":
		r.Dialect, r.Kind = "kiro", "models"
	case strings.HasSuffix(p, "/chat/completions"):
		r.Dialect, r.Kind = "openai", "chat"
	case strings.HasSuffix(p, "/responses"):
		r.Dialect, r.Kind = "openai-responses", "chat"
	case routeMedia(r):
	case strings.HasSuffix(p, "/messages/count_tokens"):
		r.Dialect, r.Kind = "claude", "count"
	case strings.HasSuffix(p, "/messages"):
		r.Dialect, r.Kind = "claude", "chat"
	case strings.HasSuffix(p, "/api/chat"):
		r.Dialect, r.Kind = "ollama", "chat"
	case strings.HasSuffix(p, "/api/tags"):
		r.Dialect, r.Kind = "ollama", "models"
	case strings.Contains(p, "/models/") && strings.Contains(p, ":"):
		routeGemini(r)
	case strings.HasSuffix(p, "/models") && strings.Contains(p, "v1beta"):
		r.Dialect, r.Kind = "gemini", "models"
	case strings.HasSuffix(p, "/models") && r.Header.Get("anthropic-version") != "":
		r.Dialect, r.Kind = "claude", "models"
	case strings.HasSuffix(p, "/models"):
		r.Dialect, r.Kind = "openai", "models"
	}
}

func routeGemini(r *Request) {
	_, tail, _ := strings.Cut(r.Path, "/models/")
	model, verb, _ := strings.Cut(tail, ":")
	r.Dialect, r.Model = "gemini", model
	switch verb {
	case "generateContent":
		r.Kind = "chat"
	case "streamGenerateContent":
		r.Kind, r.Stream = "chat", true
	case "embedContent", "batchEmbedContents":
		r.Kind = "embeddings"
	case "countTokens":
		r.Kind = "count"
	default:
		r.Dialect = ""
	}
}

// check validates the request by the rules of its dialect.
func (s *Server) check(r *Request) {
	if strings.HasSuffix(r.Path, copilotToken) {
		checkExchange(r)
		return
	}
	if d := dialects[r.Dialect]; d == nil || r.Kind == "models" || r.Kind == "project" {
		return
	}
	if r.Method != http.MethodPost {
		r.violate("method %s, want POST", r.Method)
		return
	}
	if b, ok := dialects[r.Dialect].(binary); ok && b.parse(r) {
		dialects[r.Dialect].check(r)
		return
	}
	if r.Kind == "transcriptions" {
		r.readForm()
		return
	}
	if ct, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(ct) != "application/json" {
		r.violate("content type %q, want application/json", ct)
	}
	v, err := cases.Parse(r.Body)
	if err != nil {
		r.violate("%v", err)
		return
	}
	r.JSON = v
	if v.Kind != cases.Object {
		r.violate("the body is no object")
		return
	}
	switch r.Dialect {
	case "gemini", "kiro":
	case "gemini-cli", "antigravity":
		r.Model = v.Str("model")
	default:
		r.Model = v.Str("model")
		stream, has := v.Get("stream")
		r.Stream = stream.Bool || r.Dialect == "ollama" && !has
	}
	if bytes.Contains(r.Body, []byte(`"x_omni"`)) {
		r.violate("the gateway's own x_omni member left the house")
	}
	if r.media() {
		checkMedia(r)
		return
	}
	dialects[r.Dialect].check(r)
}

// Sign is the signature that the fakes give to a thinking text and expect back.
func Sign(text string) string {
	sum := sha256.Sum256([]byte("fake:" + text))
	return "fakesign" + base64.StdEncoding.EncodeToString(sum[:18])
}

// RefusedURL is a base URL where nothing listens.
func RefusedURL() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}
