package cases

import (
	"fmt"
	"net/textproto"
	"strings"
)

// Check compares an outcome with the expectations of a case and returns what
// differs, one sentence each.
func Check(c *Case, out Outcome) []string {
	k := checker{c: c}
	switch e := c.Expect; {
	case out.Failure != nil && e.Error == nil:
		k.say("ended in an error: %v", out.Failure)
	case out.Failure != nil:
		k.failure(*e.Error, out.Failure)
	case e.Error != nil:
		k.say("ended without the expected error; got %s", clip(describe(out)))
	case c.Kind == KindStream && !c.Ctx.Collect:
		k.stream(out.Events)
	default:
		k.body(out.Body)
	}
	return k.problems
}

func describe(out Outcome) string {
	if out.Body != nil {
		return string(out.Body)
	}
	var b strings.Builder
	for _, e := range out.Events {
		b.Write(e.Data)
		b.WriteByte(' ')
	}
	return b.String()
}

type checker struct {
	c        *Case
	caps     Captures
	problems []string
}

func (k *checker) say(format string, args ...any) {
	k.problems = append(k.problems, fmt.Sprintf(format, args...))
}

func (k *checker) body(body []byte) {
	v, err := Parse(body)
	if err != nil {
		k.say("the body is no good JSON: %v: %s", err, clip(string(body)))
		return
	}
	e := k.c.Expect
	if e.Body != nil {
		if bad := Match(*e.Body, v, &k.caps); bad != nil {
			k.say("body: %v", bad)
		}
	}
	for _, path := range e.Absent {
		if found, _ := Select(v, path); len(found) > 0 {
			k.say("%s must be absent, is %s", path, show(found[0]))
		}
	}
	if len(e.Events) > 0 || e.First != nil || e.Last != nil || e.Grammar != "" {
		k.say("the result is a body where events were expected")
	}
}

func (k *checker) failure(p Value, f *Failure) {
	for _, m := range p.Members {
		switch m.Key {
		case "status":
			got := Value{Kind: Number, Text: fmt.Sprint(f.Status)}
			got.Raw = []byte(got.Text)
			k.expect("error.status", m.Value, got)
		case "body":
			v, err := Parse(f.Body)
			if err != nil {
				k.say("the error body is no good JSON: %v: %s", err, clip(string(f.Body)))
				continue
			}
			k.expect("error.body", m.Value, v)
		case "headers":
			k.headers(m.Value, f.Headers)
		}
	}
}

func (k *checker) expect(what string, p, v Value) {
	m := matcher{caps: &k.caps}
	if bad := m.try(p, &v, what); bad != nil {
		k.say("%v", bad)
	}
}

// headers matches with header names in any case.
func (k *checker) headers(p Value, headers map[string]string) {
	m := matcher{caps: &k.caps}
	for _, want := range p.Members {
		var got *Value
		for name, text := range headers {
			if textproto.CanonicalMIMEHeaderKey(name) == textproto.CanonicalMIMEHeaderKey(want.Key) {
				v := Value{Kind: String, Text: text, Raw: fmt.Appendf(nil, "%q", text)}
				got = &v
			}
		}
		if bad := m.try(want.Value, got, "error.headers."+want.Key); bad != nil {
			k.say("%v", bad)
		}
	}
}

func (k *checker) stream(events []Event) {
	e := k.c.Expect
	values := make([]Value, 0, len(events))
	kept := make([]Event, 0, len(events))
	for i, ev := range events {
		v, err := eventValue(ev)
		if err != nil {
			k.say("event %d is no good JSON: %v: %s", i, err, clip(string(ev.Data)))
			return
		}
		if isPing(k.c.To, ev) {
			continue
		}
		values, kept = append(values, v), append(kept, ev)
	}
	if e.First != nil {
		k.edge("first", *e.First, values, 0)
	}
	k.sequence(e.Events, values)
	if e.Last != nil {
		k.edge("last", *e.Last, values, len(values)-1)
	}
	for _, p := range e.None {
		for i, v := range values {
			if k.loose(p, v) {
				k.say("event %d matches %s, which none may: %s", i, show(p), clip(string(kept[i].Data)))
			}
		}
	}
	for _, c := range e.Count {
		n := 0
		for _, v := range values {
			if k.loose(c.Match, v) {
				n++
			}
		}
		if n != c.N {
			k.say("%d events match %s, want %d", n, show(c.Match), c.N)
		}
	}
	for _, c := range e.Concat {
		k.concat(c, values)
	}
	if e.Grammar != "" {
		for _, p := range CheckGrammar(e.Grammar, kept, k.c.Ctx.Request) {
			k.say("grammar: %s", p)
		}
	}
	if e.Body != nil || len(e.Absent) > 0 {
		k.say("the result is a stream where a body was expected")
	}
}

func (k *checker) edge(what string, p Value, values []Value, i int) {
	if i < 0 || i >= len(values) {
		k.say("%s: there is no event", what)
		return
	}
	k.expect(what, p, values[i])
}

// sequence finds the patterns in order; each takes the earliest event that
// matches after the one before.
func (k *checker) sequence(patterns, values []Value) {
	next := 0
	for i, p := range patterns {
		var closest *Mismatch
		found := false
		for ; next < len(values) && !found; next++ {
			bad := Match(p, values[next], &k.caps)
			if found = bad == nil; !found && (closest == nil || len(bad.Path) > len(closest.Path)) {
				closest = bad
			}
		}
		if !found {
			k.say("no event matches pattern %d: %s; closest: %v", i, show(p), closest)
			return
		}
	}
}

// loose matches where captures are not stored.
func (k *checker) loose(p, v Value) bool {
	mark := len(k.caps.names)
	bad := Match(p, v, &k.caps)
	k.caps.rollback(mark)
	return bad == nil
}

func (k *checker) concat(c Concat, values []Value) {
	var b strings.Builder
	for _, v := range values {
		if !k.loose(c.Match, v) {
			continue
		}
		found, _ := Select(v, c.Path)
		for _, f := range found {
			if f.Kind == String {
				b.WriteString(f.Text)
			}
		}
	}
	text := b.String()
	if c.Equals != nil {
		if text != *c.Equals {
			k.say("%s joins to %q, want %q", c.Path, clip(text), clip(*c.Equals))
		}
		return
	}
	v, err := Parse([]byte(text))
	if err != nil {
		k.say("%s joins to %q: %v", c.Path, clip(text), err)
		return
	}
	k.expect(c.Path, *c.JSON, v)
}

// eventValue is the event as patterns see it: {event?, data}.
func eventValue(e Event) (Value, error) {
	data, err := Parse(e.Data)
	if err != nil {
		return Value{}, err
	}
	v := Value{Kind: Object}
	if e.Name != "" {
		v.Members = append(v.Members, Member{"event", Value{Kind: String, Text: e.Name, Raw: fmt.Appendf(nil, "%q", e.Name)}})
	}
	v.Members = append(v.Members, Member{"data", data})
	v.Raw = e.Data
	return v, nil
}

// isPing reports a keep-alive of the claude format, which may stand anywhere.
func isPing(format string, e Event) bool { return format == "claude" && e.Name == "ping" }
