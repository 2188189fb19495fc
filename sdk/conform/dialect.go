package conform

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/fixture"
)

// hubForm is the JSON form in which the halves of a translation travel: chat
// completions.
const hubForm = "hub"

func dialectChecks() []check {
	return []check{
		{"dialect-requests", "requests of every kind go into its formats and come back whole", (*kit).requests},
		{"dialect-answers", "answers of every kind go into its formats and come back whole", (*kit).answers},
		{"dialect-streams", "a stream gives the same answer as its body", (*kit).streamsAreAnswers},
	}
}

// document is a request or answer in the hub form, with what must be left of
// it after it went into a format and back.
type document struct {
	name, body string
	keep       []string
}

var requestDocuments = []document{
	{"chat", `{"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"canary-chat"}],"max_tokens":100}`,
		[]string{"canary-chat"}},
	{"tools", `{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"canary-tools"}],"tools":[{"type":"function","function":{"name":"get_weather","description":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]}`,
		[]string{"canary-tools", "get_weather"}},
	{"parallel tools", `{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"both"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_a","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Rome\"}"}},{"id":"call_b","type":"function","function":{"name":"get_time","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_a","content":"sunny"},{"role":"tool","tool_call_id":"call_b","content":"noon"}],"tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}},{"type":"function","function":{"name":"get_time","parameters":{"type":"object","properties":{}}}}]}`,
		[]string{"get_weather", "get_time", "sunny", "noon", "Rome"}},
	{"images", `{"model":"m","max_tokens":100,"messages":[{"role":"user","content":[{"type":"text","text":"canary-image"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}]}`,
		[]string{"canary-image"}},
	{"JSON schema", `{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"canary-schema"}],"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object","properties":{"a":{"type":"string"}}}}}}`,
		[]string{"canary-schema"}},
	{"reasoning", `{"model":"m","max_tokens":9000,"reasoning_effort":"high","messages":[{"role":"user","content":"canary-reasoning"}]}`,
		[]string{"canary-reasoning"}},
	{"stream", `{"model":"m","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"canary-stream"}]}`,
		[]string{"canary-stream"}},
}

var answerDocuments = []document{
	{"text", `{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"canary-answer"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}}`,
		[]string{"canary-answer", "stop"}},
	{"tool call", `{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_a","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Rome\"}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}}`,
		[]string{"get_weather", "Rome"}},
	{"cut short", `{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"canary-cut"},"finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}}`,
		[]string{"canary-cut", "length"}},
}

// dialects are the formats that the plugin translates to and from the hub.
func (k *kit) dialects() (names []string) {
	for _, p := range k.manifest.Provides {
		if p.Kind == "translator" && p.Dialect != "" {
			names = append(names, p.Dialect)
		}
	}
	return names
}

// eachDialect runs f over every format in a fresh instance.
func (k *kit) eachDialect(f func(r fixture.Runner, dialect string) error) error {
	names := k.dialects()
	if len(names) == 0 {
		return errSkip
	}
	for _, name := range names {
		r, err := k.start()
		if err != nil {
			return err
		}
		if err := f(r, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		k.close()
	}
	return nil
}

// translate calls a translation. one is nil without an error where the plugin
// says that it does not do this one.
func translate(r fixture.Runner, op abi.Op, from, to string, body []byte) (out []byte, degraded bool, err error) {
	var w abi.Writer
	w.String(abi.TagFrom, from)
	w.String(abi.TagTo, to)
	w.U32(abi.TagStatus, 200)
	w.Bytes(abi.TagBody, body)
	record, isError, err := r.Call(op, 0, w.Buf, world)
	if err != nil {
		return nil, false, err
	}
	if isError {
		e, err := abi.ReadError(record)
		if err != nil || e.Class != "plugin" {
			return nil, true, err // it says that the format cannot carry this
		}
		return nil, false, fmt.Errorf("%s from %s to %s: %s", op, from, to, e.Message)
	}
	_, degraded = abi.Find(record, abi.TagDegraded)
	f, ok := abi.Find(record, abi.TagBody)
	if !ok {
		return nil, false, fmt.Errorf("%s gives no body", op)
	}
	if !json.Valid(f.Value) {
		return nil, false, fmt.Errorf("%s gives a body that is not JSON", op)
	}
	return f.Value, degraded, nil
}

func (k *kit) roundTrip(op abi.Op, list []document) error {
	return k.eachDialect(func(r fixture.Runner, dialect string) error {
		for _, d := range list {
			there, lost, err := translate(r, op, hubForm, dialect, []byte(d.body))
			if err != nil {
				return fmt.Errorf("%s: %w", d.name, err)
			}
			if there == nil || lost {
				continue
			}
			for _, word := range d.keep {
				if op == abi.OpTrRequest && !strings.Contains(string(there), word) {
					return fmt.Errorf("%s: %q is lost on the way", d.name, word)
				}
			}
			back, _, err := translate(r, op, dialect, hubForm, there)
			if err != nil || back == nil {
				continue // a format that only providers speak is read in one direction
			}
			for _, word := range d.keep {
				if !strings.Contains(string(back), word) {
					return fmt.Errorf("%s: %q is lost on the way back", d.name, word)
				}
			}
		}
		return nil
	})
}

func (k *kit) requests() error { return k.roundTrip(abi.OpTrRequest, requestDocuments) }

func (k *kit) answers() error { return k.roundTrip(abi.OpTrResponse, answerDocuments) }

// chunks is the stream of an answer in the hub form.
var chunks = []string{
	`{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`,
	`{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"canary-"},"finish_reason":null}]}`,
	`{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"piece"},"finish_reason":null}]}`,
	`{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Rome\"}"}}]},"finish_reason":null}]}`,
	`{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}}`,
}

// streamsAreAnswers sends a hub stream into the format, reads the events back
// as an upstream's, collects them, and looks for all of it.
func (k *kit) streamsAreAnswers() error {
	return k.eachDialect(func(r fixture.Runner, dialect string) error {
		var frames []abi.Frame
		for _, c := range chunks {
			frames = append(frames, abi.Frame{Payload: []byte(c)})
		}
		frames = append(frames, abi.Frame{Payload: []byte("[DONE]")})
		there, err := k.through(r, hubForm, dialect, frames, false)
		if err != nil || there == nil {
			return err
		}
		var events []abi.Frame
		fields := abi.Read(there)
		for fields.Next() {
			if fields.Field().Tag == abi.TagFrame {
				f, err := fields.Field().Frame()
				if err != nil {
					return err
				}
				events = append(events, f)
			}
		}
		if len(events) == 0 {
			return errors.New("a whole stream gives no event")
		}
		back, err := k.through(r, dialect, hubForm, events, true)
		if err != nil || back == nil {
			return err
		}
		body, ok := abi.Find(back, abi.TagBody)
		if !ok {
			return errors.New("a collected stream gives no body")
		}
		for _, word := range []string{"canary-piece", "get_weather", "Rome"} {
			if !strings.Contains(string(body.Value), word) {
				return fmt.Errorf("%q of a stream is missing in its body: %s", word, body.Value)
			}
		}
		return nil
	})
}

// through runs a stream and returns the records of all its calls; nil where
// the plugin does not do this translation.
func (k *kit) through(r fixture.Runner, from, to string, frames []abi.Frame, collect bool) ([]byte, error) {
	var w abi.Writer
	w.String(abi.TagFrom, from)
	w.String(abi.TagTo, to)
	w.Flag(abi.TagStream, !collect)
	w.Flag(abi.TagCollect, collect)
	s := &stream{r: r, c: &fixture.Case{Op: abi.OpTrOpen, In: w.Buf, Host: world}, handle: 9}
	if isError, err := s.call(abi.OpTrOpen, w.Buf); err != nil || isError {
		return nil, err
	}
	for _, f := range frames {
		if isError, err := s.data([]abi.Frame{f}); err != nil || isError {
			_, _ = s.end(abi.EndClientGone)
			return nil, err
		}
	}
	if isError, err := s.end(abi.EndEOF); err != nil || isError {
		return nil, err
	}
	return s.out, nil
}
