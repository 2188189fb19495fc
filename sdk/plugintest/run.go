package plugintest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
)

// Host is what a case lends to the plugin.
type Host struct {
	NowMS  int64    `json:"now_ms"`
	Seed   uint64   `json:"seed"`
	Tokens []string `json:"blobs"` // content of body token i, escaped
}

// Runner calls one plugin. Calls are not concurrent.
type Runner interface {
	// Call runs an operation. The output is the caller's. An error means that
	// the plugin broke off.
	Call(op abi.Op, handle uint32, in []byte, h Host) (out []byte, isError bool, err error)
}

// Native runs a plugin in the test's own process.
func Native(s sdk.Source) Runner { return &native{module: s.Module()} }

type native struct{ module *sdk.Module }

// Call implements Runner.
func (n *native) Call(op abi.Op, handle uint32, in []byte, h Host) ([]byte, bool, error) {
	env := &env{Host: h, rand: sdk.Splitmix(h.Seed)}
	out, isError := n.module.Call(env, op, handle, bytes.Clone(in))
	return bytes.Clone(out), isError, nil
}

// env is the Env of native calls.
type env struct {
	Host
	rand func() uint64
}

// NowMS implements sdk.Env.
func (e *env) NowMS() int64 { return e.Host.NowMS }

// Rand implements sdk.Env.
func (e *env) Rand() uint64 { return e.rand() }

// Len implements sdk.Env.
func (e *env) Len(id int) int {
	if id < 0 || id >= len(e.Tokens) {
		return abi.NotFound
	}
	return len(e.Tokens[id])
}

// Read implements sdk.Env.
func (e *env) Read(id, off int, dst []byte) int {
	if id < 0 || id >= len(e.Tokens) || off < 0 || off > len(e.Tokens[id]) {
		return 0
	}
	return copy(dst, e.Tokens[id][off:])
}

// LogOn implements sdk.Env.
func (e *env) LogOn(int) bool { return false }

// Log implements sdk.Env.
func (e *env) Log(int, string) {}

// Case is one recorded call or stream.
type Case struct {
	Name    string // folder, relative to the testdata folder
	Dir     string
	Op      abi.Op
	In      []byte // record
	Config  []byte // record of the CONFIGURE before, nil = none
	Batches [][]abi.Frame
	Host    Host
}

// Load reads every case below dir.
func Load(dir string) ([]Case, error) {
	var out []Case
	names, err := filepath.Glob(filepath.Join(dir, "*", "op"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		c, err := load(filepath.Dir(name))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Dir(name), err)
		}
		out = append(out, c)
	}
	return out, nil
}

func load(dir string) (Case, error) {
	c := Case{Name: filepath.Base(dir), Dir: dir, Host: Host{NowMS: 1_700_000_000_000, Seed: 1}}
	name, err := os.ReadFile(filepath.Join(dir, "op"))
	if err != nil {
		return c, err
	}
	var ok bool
	if c.Op, ok = ops[strings.TrimSpace(string(name))]; !ok {
		return c, fmt.Errorf("there is no operation %q", name)
	}
	in, err := os.ReadFile(filepath.Join(dir, "in.json"))
	if err != nil {
		return c, err
	}
	if c.In, err = Encode(in); err != nil {
		return c, fmt.Errorf("in.json: %w", err)
	}
	if h, err := os.ReadFile(filepath.Join(dir, "host.json")); err == nil {
		if err := json.Unmarshal(h, &c.Host); err != nil {
			return c, fmt.Errorf("host.json: %w", err)
		}
	}
	if profile, err := os.ReadFile(filepath.Join(dir, "config.json")); err == nil {
		c.Config = configure(c.In, profile)
	}
	if events, err := os.ReadFile(filepath.Join(dir, "in.sse")); err == nil {
		c.Batches = parseEvents(events)
	}
	return c, nil
}

// configure makes the CONFIGURE record that goes before a call: its part and
// provider, and the profile.
func configure(in, profile []byte) []byte {
	var w abi.Writer
	for _, t := range []abi.Tag{abi.TagPart, abi.TagProvider} {
		if f, ok := abi.Find(in, t); ok {
			w.Bytes(t, f.Value)
		}
	}
	w.Bytes(abi.TagConfig, bytes.TrimSpace(profile))
	return w.Buf
}

// Run runs every case below dir natively and compares with its want files.
func Run(t *testing.T, s sdk.Source, dir string) {
	t.Helper()
	cases, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatalf("there are no cases in %s", dir)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			got, err := c.Play(Native(s), c.Batches)
			if err != nil {
				t.Fatal(err)
			}
			got.compare(t, c)
			for how, batches := range c.regrouped() {
				again, err := c.Play(Native(s), batches)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(again.Events, got.Events) {
					t.Errorf("with %s the stream gives other events:\n%s\ninstead of\n%s", how, again.Events, got.Events)
				}
			}
		})
	}
}

// regrouped is the stream's input in one batch, and in a batch per event.
func (c *Case) regrouped() map[string][][]abi.Frame {
	if c.Batches == nil {
		return nil
	}
	var all []abi.Frame
	var single [][]abi.Frame
	for _, b := range c.Batches {
		all = append(all, b...)
		for _, f := range b {
			single = append(single, []abi.Frame{f})
		}
	}
	return map[string][][]abi.Frame{"one batch": {all}, "a batch per event": single}
}

// Outcome is what a case gave.
type Outcome struct {
	Records [][]byte // output of each call, in order
	Record  []byte   // JSON form of the output, without frames
	Events  []byte   // frames that came out, as SSE
}

// Play runs a case.
func (c *Case) Play(r Runner, batches [][]abi.Frame) (*Outcome, error) {
	o := &Outcome{}
	if c.Config != nil {
		if _, failed, err := o.call(r, abi.OpConfigure, c.Config, c.Host); err != nil || failed {
			return o, err
		}
	}
	out, failed, err := o.call(r, c.Op, c.In, c.Host)
	if err != nil || failed || c.Batches == nil {
		return o, err
	}
	rest := o.frames(out)
	var w abi.Writer
	for _, b := range batches {
		w.Reset()
		for _, f := range b {
			w.Frame(f)
		}
		if out, failed, err = o.call(r, c.Op+1, w.Buf, c.Host); err != nil || failed {
			return o, err
		}
		rest = append(rest, o.frames(out)...)
	}
	w.Reset()
	w.U8(abi.TagReason, uint8(abi.EndEOF))
	if out, failed, err = o.call(r, c.Op+2, w.Buf, c.Host); err != nil || failed {
		return o, err
	}
	rest = append(rest, o.frames(out)...)
	o.Record, err = Record(rest)
	return o, err
}

const streamHandle = 7

func (o *Outcome) call(r Runner, op abi.Op, in []byte, h Host) (out []byte, failed bool, err error) {
	out, failed, err = r.Call(op, streamHandle, in, h)
	if err != nil {
		return nil, false, err
	}
	o.Records = append(o.Records, out)
	o.Record, err = Record(out)
	if failed && err == nil {
		o.Record = append([]byte("{\n  \"isError\": true,\n"), bytes.TrimPrefix(o.Record, []byte("{\n"))...)
	}
	return out, failed, err
}

// frames moves the frames of a record to the events and returns the rest.
func (o *Outcome) frames(record []byte) []byte {
	var rest abi.Writer
	r := abi.Read(record)
	for r.Next() {
		f := r.Field()
		if f.Tag != abi.TagFrame {
			rest.Bytes(f.Tag, f.Value)
			continue
		}
		if fr, err := f.Frame(); err == nil {
			o.Events = appendEvent(o.Events, fr)
		}
	}
	return rest.Buf
}

func (o *Outcome) compare(t *testing.T, c Case) {
	t.Helper()
	for _, f := range []struct {
		name string
		got  []byte
	}{{"want.json", o.Record}, {"want.sse", o.Events}} {
		path := filepath.Join(c.Dir, f.name)
		if f.got == nil {
			continue
		}
		if os.Getenv("UPDATE_FIXTURES") != "" {
			if err := os.WriteFile(path, f.got, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, f.got) {
			t.Errorf("%s differs; got\n%s", f.name, f.got)
		}
	}
}
