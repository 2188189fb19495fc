package canonicalize

import (
	"context"
	"errors"
	"strings"

	json "github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/flow/call"
	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/policy"
)

// Stage makes documents and facts of client requests.
type Stage struct{}

// New returns the stage.
func New() *Stage { return &Stage{} }

// Begin fills Req with the facts that stand outside the body.
func (s *Stage) Begin(c *call.Call) { c.Req = newReq(c) }

// Run fills Doc and Hub of a call, and Req with what the body says. A body that
// cannot be read ends the call.
func (s *Stage) Run(c *call.Call) {
	d, err := doc.Elide(c.Body, doc.Options{MaxSize: int(c.Snapshot.Config.File.Server.BodyLimit)})
	if err != nil {
		c.Fail(invalid(err))
		return
	}
	c.Doc = d
	if s.inspect(c); c.Err != nil {
		return
	}
	d = c.Doc
	read := envelope
	if c.Media != nil {
		read = mediaEnvelope
	}
	if bad := read(c); bad != nil {
		c.Fail(bad)
		return
	}
	want := Want{Texts: c.Snapshot.Wants.Texts || strings.Contains(c.Req.UserAgent, "claude-cli"),
		Tools: c.Snapshot.Wants.ToolNames, Meta: c.Snapshot.Wants.Meta}
	if bad := ReadFacts(c.Dialect, d, want, c.Req); bad != nil {
		c.Fail(bad)
		return
	}
	if c.Snapshot.Wants.Session {
		c.Req.Session = session(c)
	}
	if c.Snapshot.Wants.Body {
		c.Req.Body = view(c.Body)
	}
	c.Hub = lazyHub(c)
}

// newReq fills the facts that stand outside the body.
func newReq(c *call.Call) *policy.Req {
	req := policy.NewReq()
	req.ID, req.Endpoint, req.Path, req.Format = c.ID, c.Endpoint, c.Path, c.Dialect
	req.IP = c.IP.String()
	req.UserAgent = c.Header.Get("user-agent")
	req.Client = clientName(req.UserAgent, c.Header)
	if c.Snapshot.Wants.Headers {
		req.Headers = c.Header.Map()
	}
	if tags := c.Header.Get("x-omniroute-tags"); tags != "" {
		for tag := range strings.SplitSeq(tags, ",") {
			if tag = strings.TrimSpace(tag); tag != "" {
				req.Tags = append(req.Tags, tag)
			}
		}
	}
	return req
}

// envelope reads what the gateway itself needs of a body: the model and whether
// a stream is wanted. Dialects that put them into the URL have set them already.
func envelope(c *call.Call) *fault.Error {
	r := reader{d: c.Doc, req: c.Req, mark: []byte("~b" + c.Doc.Nonce() + ".")}
	inURL := c.Dialect == "gemini"
	present := false
	object := doc.Scan(c.Doc.Skeleton(), func(key, raw []byte) bool {
		switch string(key) {
		case "model":
			if !inURL && !isNull(raw) {
				present = true
				r.short("model", raw, &c.Model)
			}
		case "stream":
			if !inURL && !isNull(raw) {
				r.bool("stream", raw, &c.Stream)
			}
		case "messages", "input", "contents", "prompt":
			c.HasInput = true
		case "generateContentRequest", "generate_content_request":
			_, ok := doc.Get(raw, "contents")
			c.HasInput = c.HasInput || ok && c.Endpoint == call.EndpointCountTokens
		}
		return r.bad == nil
	})
	switch {
	case r.bad != nil:
		return r.bad
	case !object:
		return fault.New(fault.InvalidBody, "The request body must be a JSON object")
	case !inURL && !present && c.Model == "":
		return missing("model")
	case strings.TrimSpace(c.Model) == "":
		return missing("model")
	case !c.HasInput:
		return missing(inputName(c.Dialect))
	}
	switch {
	case c.Stream && c.Client == nil:
		return fault.New(fault.InvalidBody, "The member stream must not be written with escapes")
	case !c.Stream && c.Client != nil:
		c.Client.Whole()
		c.Client = nil
	}
	c.Req.Model, c.Req.Stream, c.Route = c.Model, c.Stream, c.Model
	return nil
}

// inputName is the member that carries the conversation.
func inputName(dialect string) string {
	switch dialect {
	case "openai-responses":
		return "input"
	case "gemini":
		return "contents"
	}
	return "messages"
}

func missing(field string) *fault.Error {
	e := fault.Newf(fault.MissingField, "Missing required field: %s", field)
	e.Param = field
	return e
}

// invalid turns an error of core/doc into the client's.
func invalid(err error) *fault.Error {
	var syntax *doc.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fault.Wrap(fault.InvalidBody, err, "The request body is not valid JSON: "+syntax.Error())
	case errors.Is(err, doc.ErrTooLarge):
		return fault.Wrap(fault.BodyTooLarge, err)
	}
	return fault.Wrap(fault.InvalidBody, err)
}

// view decodes the body for rules that look into it. Numbers become float64.
func view(body []byte) map[string]any {
	var m map[string]any
	if json.Unmarshal(body, &m) != nil {
		return nil
	}
	return m
}

// lazyHub returns the function that makes the hub document at its first call.
func lazyHub(c *call.Call) func(context.Context) (*call.Hub, error) {
	var made *call.Hub
	var failed error
	return func(ctx context.Context) (*call.Hub, error) {
		if made != nil || failed != nil {
			return made, failed
		}
		out, err := c.Plugins.Request(ctx, host.Translation{From: c.Dialect, To: "hub",
			Body: c.Source, Blobs: c.Doc, Stream: c.Stream, Count: c.Endpoint == call.EndpointCountTokens})
		if err != nil {
			failed = err
			return nil, err
		}
		made = &call.Hub{Body: out.Body, Names: out.Names, Degraded: out.Degraded}
		return made, nil
	}
}
