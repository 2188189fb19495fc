package e2e

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/fake"
)

// chaosRules are short clocks, and penalties that pass while a test waits.
const chaosRules = `policies:
  timeouts:
    - {id: quick, connect: 1s, headers: 1s, first_event: 1s, idle: 1s, total: 3s}
  on_error:
    - {id: told-when, when: 'err.retry_after_ms > 0 and err.status == 429', do: 'coolReset(err.retry_after_ms, err.reason, profile.quota_scope)'}
    - {id: passing, when: 'err.status in [429, 500, 502, 503, 504, 529] or err.timeout or err.network', do: 'coolUp(backoff("200ms", account.backoff, "1s"), 5, err.reason)'}
  breaker:
    - {id: default, count: 'err.status in [408, 500, 502, 503, 504] or err.timeout', trip: breaker.failures >= 5, reset: 500ms}
  learn:
    - {id: hit-429, when: hdr.status == 429, reservoir: 0, refill: 60, every: 'hdr.retry_ms > 0 ? hdr.retry_ms : 1000'}
` + unthrottled

// chaosClock is the longest that one request may take: every account of a target
// once, by the longest clock, and what a machine under load adds.
const chaosClock = 12 * time.Second

// calamity is one way in which an upstream misbehaves.
type calamity struct {
	name  string
	reply fake.Reply
	// good: the answer is odd but whole, and the client gets it.
	good bool
	// url is where the provider is said to be, when not at the fake.
	url func(up *fake.Server, stub *httptest.Server) string
}

// of tells whether a provider suffers from it.
func (k calamity) of(id string) bool { return id == k.name+"-openai" || id == k.name+"-claude" }

func fault(kind fake.FaultKind) fake.Reply {
	return fake.Reply{Text: "one two three", Error: "upstream sick", Fault: fake.Fault{Kind: kind, After: 3}}
}

var calamities = []calamity{
	{name: "refuse", url: func(*fake.Server, *httptest.Server) string { return fake.RefusedURL() }},
	{name: "tls-to-plain", url: func(up *fake.Server, _ *httptest.Server) string {
		return strings.Replace(up.URL, "http://", "https://", 1)
	}},
	{name: "tls-untrusted", url: func(_ *fake.Server, stub *httptest.Server) string { return stub.URL }},
	{name: "reset", reply: fault(fake.FaultReset)},
	{name: "no-answer", reply: fault(fake.FaultNoAnswer)},
	{name: "stall-headers", reply: fault(fake.FaultStallHeaders)},
	{name: "stall-first", reply: fault(fake.FaultStallFirst)},
	{name: "stall-mid", reply: fault(fake.FaultStallMid)},
	{name: "only-pings", reply: fault(fake.FaultOnlyPings)},
	{name: "slow-headers", reply: fault(fake.FaultSlowHeaders)},
	{name: "slow-body", reply: fault(fake.FaultSlowBody)},
	{name: "half-close", reply: fault(fake.FaultHalfClose)},
	{name: "cut", reply: fault(fake.FaultCut)},
	{name: "half-event", reply: fault(fake.FaultHalfEvent)},
	{name: "garbage", reply: fault(fake.FaultGarbage)},
	{name: "no-http", reply: fault(fake.FaultNoHTTP)},
	{name: "bad-chunk", reply: fault(fake.FaultBadChunk)},
	{name: "html", reply: fault(fake.FaultHTML)},
	{name: "empty", reply: fault(fake.FaultEmpty)},
	{name: "error-200", reply: fault(fake.FaultError200)},
	{name: "long-length", reply: fault(fake.FaultWrongLength)},
	{name: "short-length", reply: fault(fake.FaultShortLength)},
	{name: "gzip-cut", reply: fault(fake.FaultGzipCut)},
	{name: "storm-500", reply: fake.Reply{Status: 500, Error: "boom"}},
	{name: "storm-503", reply: fake.Reply{Status: 503, Error: "busy"}},
	{name: "storm-529", reply: fake.Reply{Status: 529, Error: "overloaded"}},
	{name: "storm-429", reply: fake.RateLimited("retry-after", time.Second)},
	{name: "storm-429ms", reply: fake.RateLimited("retry-after-ms", 700*time.Millisecond)},
	{name: "storm-429-bare", reply: fake.Reply{Status: 429, Error: "slow down"}},
	{name: "gzip", reply: fault(fake.FaultGzip), good: true},
	{name: "byte-chunks", reply: fault(fake.FaultByteChunks), good: true},
	{name: "crlf", reply: fault(fake.FaultCRLF), good: true},
}

// chaos is a gateway before an upstream that is healed by a switch.
type chaos struct {
	*gateway
	client *http.Client
	well   atomic.Bool
}

func (c *chaos) ask(ctx context.Context, path, model string, stream bool) (answer, time.Duration, error) {
	body := fmt.Sprintf(`{"model":"%s/m","stream":%v,"max_tokens":50,"messages":[{"role":"user","content":"hi"}]}`, model, stream)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+path, strings.NewReader(body))
	if err != nil {
		return answer{}, 0, err
	}
	req.Header.Set("content-type", "application/json")
	req.Header.Set("anthropic-version", "2023-06-01")
	began := time.Now()
	resp, err := c.client.Do(req)
	if err != nil {
		return answer{}, time.Since(began), err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, time.Since(began), err
}

// proper reports what is wrong with an answer; "" = it is one, or a proper error.
func proper(a answer, dialect string, stream, good bool) string {
	if good && (a.Status != 200 || !strings.Contains(a.Body, "three")) {
		return "a whole answer did not arrive"
	}
	if a.Status != 200 {
		v, err := cases.Parse([]byte(a.Body))
		if err != nil {
			return "an error that is no JSON"
		}
		e, ok := v.Get("error")
		if !ok || e.Str("message") == "" || a.Status < 400 {
			return "an error without a message"
		}
		return ""
	}
	if !stream {
		if _, err := cases.Parse([]byte(a.Body)); err != nil {
			return "an answer that is no JSON"
		}
		return ""
	}
	if bad := cases.CheckGrammar(dialect, withoutPings(cases.ParseWire(dialect, []byte(a.Body))), []byte(`{"stream":true}`)); len(bad) > 0 {
		return fmt.Sprint("a stream against the rules of its dialect: ", bad)
	}
	return ""
}

// Whatever an upstream does, the client gets an answer or a proper error in time,
// everything serves again by itself, and nothing is left behind.
func TestChaos(t *testing.T) {
	up := fake.Start(fake.Options{Lenient: true})
	t.Cleanup(up.Close)
	stub := httptest.NewUnstartedServer(http.NotFoundHandler())
	stub.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	stub.StartTLS()
	t.Cleanup(stub.Close)
	c := &chaos{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}}}
	replies := map[string]fake.Reply{}
	var nodes []node
	for _, k := range calamities {
		for _, dialect := range []string{"openai", "claude"} {
			id := k.name + "-" + dialect
			url := base(up, id, dialect)
			if k.url != nil {
				url = k.url(up, stub) + "/" + id + map[string]string{"openai": "/v1"}[dialect]
			}
			replies[id] = k.reply
			nodes = append(nodes, node{id: id, dialect: dialect, url: url, models: []string{"m"}, accounts: []string{"sk-1-" + id, "sk-2-" + id}})
		}
	}
	broken := byPrefix(replies)
	up.Otherwise(func(r *fake.Request) fake.Reply {
		if c.well.Load() {
			return fake.Reply{Text: "one two three"}
		}
		return broken(r)
	})
	c.gateway = serve(t, providers(nodes...)+chaosRules)
	goroutines, files := c.resources()
	c.well.Store(true)
	c.round(t, nodes, 4, func(id string) bool { return c.reachable(id) })

	c.well.Store(false)
	c.round(t, nodes, 4, nil)
	c.well.Store(true)
	t.Run("recovers", func(t *testing.T) {
		for _, n := range nodes {
			if !c.reachable(n.id) {
				continue
			}
			c.within(waitLimit, func() bool {
				a, _, err := c.ask(context.Background(), "/v1/chat/completions", n.id, false)
				return err == nil && a.Status == 200
			}, "%s does not serve again", n.id)
		}
	})
	t.Run("leaves nothing", func(t *testing.T) {
		var g, f int
		c.within(2*waitLimit, func() bool { // workers of the server rest for ten seconds first
			g, f = c.resources()
			// a provider that serves again keeps one connection at rest, for its next request
			return g <= goroutines+20 && f <= files+len(nodes)
		}, "%s", lazy(func() string {
			return fmt.Sprintf("goroutines %d, were %d; files %d, were %d", g, goroutines, f, files)
		}))
		t.Logf("goroutines %d, before %d; files %d, before %d", g, goroutines, f, files)
	})
	require.Contains(t, c.get("/healthz").Body, "ok")
}

// reachable reports whether a provider is there at all once the upstream is well.
func (c *chaos) reachable(id string) bool {
	for _, k := range calamities {
		if k.of(id) && k.url != nil {
			return false
		}
	}
	return true
}

// round asks every provider n times at once, plain and streamed, in its own
// dialect and in the other.
func (c *chaos) round(t *testing.T, nodes []node, n int, well func(id string) bool) {
	t.Helper()
	var wg sync.WaitGroup
	var longest atomic.Int64
	places := make(chan struct{}, 128)
	for _, node := range nodes {
		good := false
		for _, k := range calamities {
			good = good || k.of(node.id) && k.good
		}
		if well != nil {
			good = well(node.id)
		}
		for i := range n {
			path, dialect := "/v1/chat/completions", "openai"
			if i&1 == 1 {
				path, dialect = "/v1/messages", "claude"
			}
			stream := i&2 == 2
			places <- struct{}{}
			wg.Go(func() {
				defer func() { <-places }()
				ctx, cancel := context.WithTimeout(context.Background(), 2*chaosClock)
				defer cancel()
				a, took, err := c.ask(ctx, path, node.id, stream)
				longest.Store(max(longest.Load(), int64(took)))
				what := ""
				switch {
				case err != nil:
					what = "no answer: " + err.Error()
				case took > chaosClock:
					what = "an answer after " + took.String()
				default:
					what = proper(a, dialect, stream, good)
				}
				if what != "" {
					t.Errorf("%s, %s, stream %v: %s: %d %s", node.id, dialect, stream, what, a.Status, tail(a.Body, 400))
				}
			})
		}
	}
	wg.Wait()
	t.Logf("%d requests, the longest took %s", len(nodes)*n, time.Duration(longest.Load()).Round(time.Millisecond))
}

var (
	goroutinesLine = regexp.MustCompile(`(?m)^go_goroutines (\S+)$`)
	filesLine      = regexp.MustCompile(`(?m)^process_open_fds (\S+)$`)
)

// resources are the goroutines and open files of the gateway, its connections to
// this test apart.
func (c *chaos) resources() (goroutines, files int) {
	c.client.CloseIdleConnections()
	text := c.get("/metrics").Body
	read := func(re *regexp.Regexp) int {
		m := re.FindStringSubmatch(text)
		if m == nil {
			c.t.Fatalf("no %s in the metrics", re)
		}
		v, err := strconv.ParseFloat(m[1], 64)
		require.NoError(c.t, err)
		return int(v)
	}
	return read(goroutinesLine), read(filesLine)
}
