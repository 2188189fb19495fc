package host

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/tetratelabs/wazero/api"
)

// Trace is one recorded call of a plugin: what went in, what the host answered
// meanwhile, what came out. The same module gives the same output again.
type Trace struct {
	Plugin   string         `json:"plugin"`
	Version  string         `json:"version"`
	Digest   string         `json:"digest"` // of the module, sha256 in hex
	Instance uint64         `json:"instance"`
	Op       abi.Op         `json:"op"`
	Name     string         `json:"name"` // of the operation
	Handle   uint32         `json:"handle,omitempty"`
	In       []byte         `json:"in"`
	NowMS    int64          `json:"now_ms"`
	Seed     uint64         `json:"seed"`
	Blobs    map[int][]byte `json:"blobs,omitempty"`   // that the plugin looked at
	Answers  []HostAnswer   `json:"answers,omitempty"` // of imports that need a capability, in order
	Out      []byte         `json:"out"`
	IsError  bool           `json:"is_error,omitempty"`
	Failed   string         `json:"failed,omitempty"` // why the plugin broke off
	Fuel     uint64         `json:"fuel"`
	NS       int64          `json:"ns"`
}

// HostAnswer is what an import gave. The value of a secret is never recorded.
type HostAnswer struct {
	Import string `json:"import"`
	Code   int64  `json:"code"`
	Bytes  []byte `json:"bytes,omitempty"` // in place of Code
	Hidden bool   `json:"hidden,omitempty"`
}

// ErrRecording says that somebody records already.
var ErrRecording = errors.New("somebody records plugin calls already")

// Record hands every call of a plugin ("" = of all) to take until ctx ends.
// take is called from whoever runs the call and must not wait. Streams that are
// open already are left out. A recorded call costs more; others do not.
func (h *Host) Record(ctx context.Context, plugin string, take func(*Trace)) error {
	t := &tap{plugin: plugin, take: take, known: map[*instance]*tapped{}}
	if !h.tap.CompareAndSwap(nil, t) {
		return ErrRecording
	}
	defer h.tap.Store(nil)
	select {
	case <-ctx.Done():
	case <-h.done:
	}
	return nil
}

// tap is a running recording.
type tap struct {
	plugin string
	take   func(*Trace)

	mu    sync.Mutex
	known map[*instance]*tapped
}

// tapped is an instance of which calls are recorded.
type tapped struct {
	number uint64
	open   map[uint32]bool // streams whose opening was recorded
}

// of returns what is known of an instance; fresh tells that its settings have
// to be recorded first.
func (t *tap) of(i *instance) (known *tapped, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known = t.known[i]
	if known == nil {
		known, fresh = &tapped{number: uint64(len(t.known) + 1), open: map[uint32]bool{}}, true
		t.known[i] = known
	}
	return known, fresh
}

// tape is what imports of one call gave, or are to give again.
type tape struct {
	answers []HostAnswer
	replay  bool
	given   []byte // what giveBack wrote last
}

// recorded runs a call and records it.
func (i *instance) recorded(t *tap, op abi.Op, handle uint32, in []byte, env callEnv) ([]byte, bool, error) {
	if t.plugin != "" && t.plugin != i.mod.manifest.Name {
		return i.run(op, handle, in, env)
	}
	known, fresh := t.of(i)
	if fresh {
		i.recordSettings(t, known)
	}
	switch op {
	case abi.OpTrOpen, abi.OpExOpen:
		known.open[handle] = true
	case abi.OpTrData, abi.OpExData, abi.OpTrEnd, abi.OpExEnd:
		if !known.open[handle] {
			return i.run(op, handle, in, env)
		}
	}
	if op == abi.OpTrEnd || op == abi.OpExEnd {
		delete(known.open, handle)
	}
	rec := i.trace(known, op, handle, in)
	rec.NowMS, rec.Seed = env.now, env.seed
	peek := &peeked{Blobs: env.blobs}
	if env.blobs != nil {
		env.blobs = peek
	}
	env.tape = &tape{}
	begin := time.Now()
	out, isErr, err := i.run(op, handle, in, env)
	rec.NS = time.Since(begin).Nanoseconds()
	rec.Out, rec.IsError, rec.Fuel = bytes.Clone(out), isErr, i.fuelUsed()
	rec.Blobs, rec.Answers = peek.seen, env.tape.answers
	if err != nil {
		rec.Failed = err.Error()
	}
	t.take(rec)
	return out, isErr, err
}

func (i *instance) trace(known *tapped, op abi.Op, handle uint32, in []byte) *Trace {
	m := i.mod.manifest
	return &Trace{
		Plugin: m.Name, Version: m.Version, Digest: hex.EncodeToString(i.mod.digest[:]),
		Instance: known.number, Op: op, Name: op.String(), Handle: handle, In: bytes.Clone(in),
	}
}

// recordSettings writes what an instance was told before the recording began.
func (i *instance) recordSettings(t *tap, known *tapped) {
	configure := func(w *abi.Writer) {
		rec := i.trace(known, abi.OpConfigure, 0, w.Buf)
		rec.Seed = startSeed
		t.take(rec)
	}
	if len(i.mod.config) > 0 {
		var w abi.Writer
		w.Bytes(abi.TagConfig, i.mod.config)
		configure(&w)
	}
	for _, key := range slices.Sorted(maps.Keys(i.profiles)) {
		part, id, _ := strings.Cut(key, "\x00")
		var w abi.Writer
		w.String(abi.TagPart, part)
		w.String(abi.TagProvider, id)
		w.Bytes(abi.TagConfig, i.profiles[key].profile.JSON)
		configure(&w)
	}
}

// peeked keeps the blobs that a plugin looked at.
type peeked struct {
	Blobs
	seen map[int][]byte
}

// Blob implements Blobs.
func (p *peeked) Blob(id int) ([]byte, bool) {
	b, ok := p.Blobs.Blob(id)
	if ok {
		if p.seen == nil {
			p.seen = map[int][]byte{}
		}
		p.seen[id] = bytes.Clone(b)
	}
	return b, ok
}

// taped runs an import that needs a capability, or gives what it gave when the
// call was recorded.
func (f *imported) taped(i *instance, mem api.Memory, stack []uint64) {
	t := i.env.tape
	if t == nil {
		f.call(i, mem, stack)
		return
	}
	if t.replay {
		t.play(i, f.name, stack)
		return
	}
	t.given = nil
	f.call(i, mem, stack)
	a := HostAnswer{Import: f.name, Code: int64(stack[0])}
	if t.given != nil {
		a.Code, a.Bytes = 0, t.given
		if f.name == "secret_read" {
			a.Bytes, a.Hidden = nil, true
		}
	}
	t.answers = append(t.answers, a)
}

// play gives the next recorded answer; a call that asks for something else
// than it did then gets nothing.
func (t *tape) play(i *instance, name string, stack []uint64) {
	if len(t.answers) == 0 || t.answers[0].Import != name || t.answers[0].Hidden {
		returnCode(stack, abi.NotFound)
		return
	}
	a := t.answers[0]
	t.answers = t.answers[1:]
	if a.Bytes != nil {
		i.giveBack(stack, a.Bytes)
		return
	}
	stack[0] = uint64(a.Code)
}
