package cases

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Kinds of cases.
const (
	KindRequest  = "request"
	KindResponse = "response"
	KindStream   = "stream"
)

// Formats lists the wire formats that a case may name.
var formats = []string{
	"openai", "openai-responses", "claude", "gemini", "gemini-cli",
	"antigravity", "kiro", "cursor", "ollama",
}

// Case is one vector.
type Case struct {
	// ID is unique within its file.
	ID string
	// Kind is KindRequest, KindResponse or KindStream.
	Kind string
	// From and To are wire formats. A request goes from the client's format to
	// the target's; an answer comes from the provider's format to the client's.
	From, To string
	// Input is the body of a request or response case, byte for byte as in the
	// file; for an upstream body that is not JSON it is the text itself.
	// It is nil in stream cases.
	Input []byte
	// Events are the upstream events of a stream case.
	Events []Event
	// Ctx is what the translator knows beside the body.
	Ctx Ctx
	// Expect is what must hold.
	Expect Expect
	// Note explains the case to people.
	Note string
	// Line is the line in the file, counted from 1.
	Line int
}

// Ctx is the knowledge beside the body.
type Ctx struct {
	// Model is the target model; empty means the body's own.
	Model string
	// Provider is the provider id for provider-specific rules.
	Provider string
	// Project is the project id of the CLI envelopes.
	Project string
	// Status is the upstream HTTP status of a response case; 200 when absent.
	Status int
	// Request is the client's own request in the client's format, nil when unknown.
	Request []byte
	// Collect says that the upstream streams and the client wants one body.
	Collect bool
}

// Event is one event of a stream. Data is a JSON value; a JSON string stands
// for the bare text of the data line, so "[DONE]" (with quotes) is the end mark.
type Event struct {
	Name string
	Data []byte
}

// Done reports whether the event is the `[DONE]` mark.
func (e Event) Done() bool { return string(e.Data) == `"[DONE]"` }

// Expect holds the expectations of a case; all that are given must hold.
type Expect struct {
	Body    *Value
	Absent  []string
	Error   *Value
	Events  []Value
	First   *Value
	Last    *Value
	None    []Value
	Count   []Count
	Concat  []Concat
	Grammar string
}

// Count expects exactly N output events that match.
type Count struct {
	Match Value
	N     int
}

// Concat expects the joined strings under Path of all matching events to equal
// Equals, or, when JSON is set, to parse as JSON that matches it.
type Concat struct {
	Match  Value
	Path   string
	Equals *string
	JSON   *Value
}

// LoadFile reads a vector file.
func LoadFile(path string) ([]*Case, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := Load(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

// Load reads vectors, one JSON object per line; empty lines are skipped. All
// faults of the file are reported together, each with its line.
func Load(r io.Reader) ([]*Case, error) {
	var list []*Case
	var faults []error
	seen := map[string]int{}
	br := bufio.NewReaderSize(r, 64<<10)
	for line := 1; ; line++ {
		text, err := br.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if text = bytes.TrimSpace(text); len(text) > 0 {
			c, perr := ParseCase(text)
			switch {
			case perr != nil:
				faults = append(faults, fmt.Errorf("line %d: %w", line, perr))
			case seen[c.ID] > 0:
				faults = append(faults, fmt.Errorf("line %d: id %q is already used on line %d", line, c.ID, seen[c.ID]))
			default:
				seen[c.ID] = line
				c.Line = line
				list = append(list, c)
			}
		}
		if err != nil {
			return list, errors.Join(faults...)
		}
	}
}

// ParseCase reads one vector.
func ParseCase(line []byte) (*Case, error) {
	v, err := Parse(bytes.Clone(line))
	if err != nil {
		return nil, err
	}
	d := decoder{}
	c := &Case{}
	var input Value
	var hasInput, hasExpect bool
	d.object("case", v, func(key string, m Value) bool {
		switch key {
		case "id":
			c.ID = d.str(key, m)
		case "kind":
			c.Kind = d.str(key, m)
		case "from":
			c.From = d.str(key, m)
		case "to":
			c.To = d.str(key, m)
		case "note":
			c.Note = d.str(key, m)
		case "input":
			input, hasInput = m, true
		case "ctx":
			c.Ctx = d.ctx(m)
		case "expect":
			c.Expect, hasExpect = d.expect(m), true
		default:
			return false
		}
		return true
	})
	if d.err == nil {
		d.err = c.check(hasInput, hasExpect)
	}
	if d.err == nil {
		d.input(c, input)
	}
	if d.err != nil {
		if c.ID != "" {
			return nil, fmt.Errorf("case %q: %w", c.ID, d.err)
		}
		return nil, d.err
	}
	return c, nil
}

func (c *Case) check(hasInput, hasExpect bool) error {
	switch {
	case c.ID == "":
		return errors.New("id is missing")
	case c.Kind != KindRequest && c.Kind != KindResponse && c.Kind != KindStream:
		return fmt.Errorf("unknown kind %q", c.Kind)
	case !slices.Contains(formats, c.From):
		return fmt.Errorf("unknown format %q", c.From)
	case !slices.Contains(formats, c.To):
		return fmt.Errorf("unknown format %q", c.To)
	case !hasInput:
		return errors.New("input is missing")
	case !hasExpect:
		return errors.New("expect is missing")
	}
	return nil
}

// decoder turns values into the typed case and keeps the first fault.
type decoder struct{ err error }

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

func (d *decoder) object(what string, v Value, member func(string, Value) bool) {
	if v.Kind != Object {
		d.fail("%s is %s, want an object", what, v.Kind)
		return
	}
	for _, m := range v.Members {
		if !member(m.Key, m.Value) {
			d.fail("%s has an unknown key %q", what, m.Key)
		}
	}
}

func (d *decoder) str(what string, v Value) string {
	if v.Kind != String {
		d.fail("%s is %s, want a string", what, v.Kind)
	}
	return v.Text
}

func (d *decoder) int(what string, v Value) int {
	n, ok := v.Int()
	if !ok {
		d.fail("%s is not a small integer", what)
	}
	return n
}

func (d *decoder) list(what string, v Value) []Value {
	if v.Kind != Array {
		d.fail("%s is %s, want an array", what, v.Kind)
	}
	return v.Items
}

func (d *decoder) pattern(what string, v Value) *Value {
	if err := checkPattern(v); err != nil {
		d.fail("%s: %w", what, err)
	}
	return &v
}

func (d *decoder) patterns(what string, v Value) []Value {
	list := d.list(what, v)
	for _, p := range list {
		d.pattern(what, p)
	}
	return list
}

func (d *decoder) path(what, path string) string {
	if _, err := parsePath(path); err != nil {
		d.fail("%s: %w", what, err)
	}
	return path
}

func (d *decoder) ctx(v Value) Ctx {
	var c Ctx
	d.object("ctx", v, func(key string, m Value) bool {
		switch key {
		case "model":
			c.Model = d.str(key, m)
		case "provider":
			c.Provider = d.str(key, m)
		case "project":
			c.Project = d.str(key, m)
		case "status":
			c.Status = d.int(key, m)
		case "request":
			c.Request = m.Raw
		case "collect":
			if m.Kind != Bool {
				d.fail("collect is %s, want a boolean", m.Kind)
			}
			c.Collect = m.Bool
		default:
			return false
		}
		return true
	})
	return c
}

// ParseCtx reads the ctx object of a case on its own.
func ParseCtx(json []byte) (Ctx, error) {
	v, err := Parse(bytes.Clone(json))
	if err != nil {
		return Ctx{}, err
	}
	d := decoder{}
	c := d.ctx(v)
	return c, d.err
}

func (d *decoder) expect(v Value) Expect {
	var e Expect
	d.object("expect", v, func(key string, m Value) bool {
		switch key {
		case "body":
			e.Body = d.pattern(key, m)
		case "absent":
			for _, p := range d.list(key, m) {
				e.Absent = append(e.Absent, d.path(key, d.str("absent path", p)))
			}
		case "error":
			e.Error = d.errorPattern(m)
		case "events":
			e.Events = d.patterns(key, m)
		case "first":
			e.First = d.pattern(key, m)
		case "last":
			e.Last = d.pattern(key, m)
		case "none":
			e.None = d.patterns(key, m)
		case "count":
			for _, item := range d.list(key, m) {
				e.Count = append(e.Count, d.count(item))
			}
		case "concat":
			for _, item := range d.list(key, m) {
				e.Concat = append(e.Concat, d.concat(item))
			}
		case "grammar":
			if e.Grammar = d.str(key, m); !HasGrammar(e.Grammar) {
				d.fail("no grammar for format %q", e.Grammar)
			}
		default:
			return false
		}
		return true
	})
	return e
}

func (d *decoder) errorPattern(v Value) *Value {
	d.object("error", v, func(key string, m Value) bool {
		return key == "status" || key == "body" || key == "headers"
	})
	return d.pattern("error", v)
}

func (d *decoder) count(v Value) Count {
	var c Count
	d.object("count", v, func(key string, m Value) bool {
		switch key {
		case "match":
			c.Match = *d.pattern(key, m)
		case "n":
			c.N = d.int(key, m)
		default:
			return false
		}
		return true
	})
	return c
}

func (d *decoder) concat(v Value) Concat {
	var c Concat
	d.object("concat", v, func(key string, m Value) bool {
		switch key {
		case "match":
			c.Match = *d.pattern(key, m)
		case "path":
			c.Path = d.path(key, d.str(key, m))
		case "equals":
			s := d.str(key, m)
			c.Equals = &s
		case "json":
			c.JSON = d.pattern(key, m)
		default:
			return false
		}
		return true
	})
	if d.err == nil && (c.Equals == nil) == (c.JSON == nil) {
		d.fail("concat needs exactly one of equals and json")
	}
	return c
}

func (d *decoder) input(c *Case, v Value) {
	if c.Kind != KindStream {
		if c.Kind == KindResponse && v.Kind == String {
			c.Input = []byte(v.Text)
			return
		}
		c.Input = v.Raw
		return
	}
	c.Events = d.events(v)
	if c.Events == nil {
		c.Events = []Event{}
	}
}

func (d *decoder) events(v Value) []Event {
	var list []Event
	for _, item := range d.list("input", v) {
		var e Event
		d.object("event", item, func(key string, m Value) bool {
			switch key {
			case "event":
				e.Name = d.str(key, m)
			case "data":
				e.Data = m.Raw
			default:
				return false
			}
			return true
		})
		if e.Data == nil {
			d.fail("an event has no data")
		}
		list = append(list, e)
	}
	return list
}

// ParseEvents reads a stream input: an array of {"event": name?, "data": value}.
func ParseEvents(json []byte) ([]Event, error) {
	v, err := Parse(bytes.Clone(json))
	if err != nil {
		return nil, err
	}
	d := decoder{}
	list := d.events(v)
	return list, d.err
}
