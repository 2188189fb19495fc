package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/omniroute/omniroute/core/host/meter"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/tetratelabs/wazero/api"
)

// instance is one running copy of a module. Everything below mu is used under
// it; a call holds it from the input's copying in to the output's copying out.
type instance struct {
	mod  *module
	open atomic.Int32 // streams, for choosing an instance without its lock

	mu        turn
	guest     api.Module
	mem       api.Memory
	fnBuf     api.Function
	fnCall    api.Function
	fnTrim    api.Function // nil when the guest has none
	fnBack    api.Function // omni_buf, called from within a call
	ctx       context.Context
	stack     [4]uint64
	env       callEnv
	stderr    bytes.Buffer // of the current call; what a dying Go guest says
	profiles  map[string]configured
	calls     uint64
	streams   int
	handle    uint32
	dead      error // why the instance is no more, nil while it lives
	retired   bool  // no new work; closes with its last stream
	exclusive bool  // belongs to one stream
	used      time.Time

	gauge  gauge
	memory *linearMemory
	moment *moment // to which it is set back after each call; nil = it is not
	input  []byte  // of the call under way
	op     abi.Op  // likewise
	bulky  bool    // a buffer of the guest grew beyond what it should keep
}

// callEnv is what imports answer from during one call.
type callEnv struct {
	tape    *tape // what imports answer, recorded or played back; nil = neither
	now     int64 // Unix milliseconds
	seed    uint64
	blobs   Blobs
	ctx     context.Context // of whoever waits for the call; nil = nobody can leave
	asked   bool            // the guest asked for time, random bits, blobs, values or secrets
	secrets Secrets         // of the account the call is for; nil = none
	values  *kvSpace        // in place of the plugin's store; nil = that
	basis   int             // further input, which widens the limit of the output: blobs read, a stream's past
}

// trapError says that the guest broke off a call; its instance is gone.
type trapError struct {
	plugin string
	op     abi.Op
	cause  error
	why    string // a clause about the plugin, free of the guest's own words
	said   string
}

func (e *trapError) Error() string {
	s := fmt.Sprintf("plugin %s crashed in %s", e.plugin, e.op)
	if e.said != "" {
		return s + ": it " + e.why + ": " + e.said
	}
	return s + ": it " + e.why + ": " + firstLine(e.cause.Error())
}

func (e *trapError) Unwrap() error { return e.cause }

// errTooLarge and friends are refusals without a trap.
var (
	errInputTooLarge  = errors.New("the input is larger than the plugin may take")
	errOutputTooLarge = errors.New("the plugin's output is larger than it may be")
	errBadPointer     = errors.New("the plugin's output lies outside its memory")
	errBufRefused     = errors.New("the plugin has no room for the input")
)

type instanceKey struct{}

// newInstance instantiates the module and starts the guest.
func newInstance(ctx context.Context, m *module) (*instance, error) {
	i := &instance{mod: m, mu: newTurn(), profiles: map[string]configured{}, used: m.host.now()}
	i.env = callEnv{now: m.host.now().UnixMilli(), seed: startSeed}
	i.memory = &linearMemory{mod: m, most: uint64(m.limits.MemoryPages) << 16}
	i.gauge.slow = m.engine.slow
	i.ctx = context.WithValue(context.WithoutCancel(ctx), instanceKey{}, i)
	i.enter(context.Background(), 0, 0)
	guest, err := m.engine.instantiate(i.ctx, m.compiled, i.memory)
	if err != nil {
		return nil, i.startFailed(err)
	}
	i.gauge.end()
	if g := guest.ExportedGlobal(meter.Fuel); g != nil {
		i.gauge.global, _ = g.(api.MutableGlobal)
	}
	i.guest, i.mem = guest, guest.Memory()
	i.fnBuf = guest.ExportedFunction("omni_buf")
	i.fnCall = guest.ExportedFunction("omni_call")
	i.fnTrim = guest.ExportedFunction("omni_trim")
	i.fnBack = guest.ExportedFunction("omni_buf")
	if err := i.configurePlugin(); err != nil {
		i.kill(err)
		return nil, err
	}
	if m.isolation == isolationCall {
		i.moment = i.remember()
	}
	m.stats.instances.Add(1)
	return i, nil
}

// startFailed says why a guest did not come up.
func (i *instance) startFailed(err error) error {
	i.memory.Free()
	if why := i.why(err); why != "" {
		err = errors.New("it " + why)
	}
	if said := i.said(); said != "" {
		return fmt.Errorf("start: %w: %s", err, said)
	}
	return fmt.Errorf("start: %w", err)
}

// startSeed seeds the guest's own runtime: the same for each instance, so that
// replay meets the same world.
const startSeed = 0x6f6d6e69726f7574

func (i *instance) configurePlugin() error {
	if len(i.mod.config) == 0 {
		return nil
	}
	var w abi.Writer
	w.Bytes(abi.TagConfig, i.mod.config)
	out, isErr, err := i.call(abi.OpConfigure, 0, w.Buf, i.freshEnv(nil, 0))
	if err != nil {
		return err
	}
	if isErr {
		rec, _ := abi.ReadError(out)
		return fmt.Errorf("configuration was refused: %s", rec.Message)
	}
	return nil
}

func (i *instance) freshEnv(blobs Blobs, seed uint64) callEnv {
	if seed == 0 {
		seed = rand.Uint64() | 1
	}
	return callEnv{now: i.mod.host.now().UnixMilli(), seed: seed, blobs: blobs}
}

// call runs one operation. The output is a view of guest memory, valid as long
// as mu is held and the guest is not entered again. An error means that the
// guest could not be called or broke off; in the latter case the instance is
// dead and the error a *trapError.
func (i *instance) call(op abi.Op, handle uint32, in []byte, env callEnv) (out []byte, isErr bool, err error) {
	if t := i.mod.host.tap.Load(); t != nil {
		return i.recorded(t, op, handle, in, env)
	}
	return i.run(op, handle, in, env)
}

// run is call without a recording.
func (i *instance) run(op abi.Op, handle uint32, in []byte, env callEnv) (out []byte, isErr bool, err error) {
	if i.dead != nil {
		return nil, false, i.dead
	}
	lim := &i.mod.limits
	if len(in) > lim.Input {
		return nil, false, errInputTooLarge
	}
	i.calls++
	i.mod.stats.calls.Add(1)
	i.env, i.op, i.input = env, op, in
	i.bulky = i.bulky || len(in) > bulk
	i.stderr.Reset()
	i.memory.refused = false
	i.enter(env.ctx, op, len(in))
	defer i.leave()

	i.stack[0], i.stack[1] = abi.SlotInput, uint64(uint32(len(in)))
	if err := i.fnBuf.CallWithStack(i.ctx, i.stack[:]); err != nil {
		return nil, false, i.trapped(op, err)
	}
	addr := uint32(i.stack[0])
	if addr == 0 {
		return nil, false, errBufRefused
	}
	if !i.mem.Write(addr, in) {
		return nil, false, i.trapped(op, errBadPointer)
	}
	i.stack[0], i.stack[1], i.stack[2] = uint64(op), uint64(handle), uint64(uint32(len(in)))
	if err := i.fnCall.CallWithStack(i.ctx, i.stack[:]); err != nil {
		return nil, false, i.trapped(op, err)
	}
	addr, length, isErr := abi.Unpack(i.stack[0])
	if i.stack[0] == 0 {
		return nil, false, nil
	}
	most := lim.Output
	if setup(op) {
		most = max(most, setupOutput)
	}
	if limit := outputLimit(most, len(in)+i.env.basis); int64(length) > limit {
		return nil, false, errOutputTooLarge
	}
	out, ok := i.mem.Read(addr, length)
	if !ok {
		return nil, false, i.trapped(op, errBadPointer)
	}
	return out, isErr, nil
}

// bulk is the size of a buffer from which on the guest is asked to give its
// memory back after the call.
const bulk = 4 << 20

// leave ends the counting of a call.
func (i *instance) leave() {
	i.mod.stats.fuel.add(i.gauge.end())
	i.input, i.env.ctx = nil, nil
}

// outputLimit is 16 times the input plus 1 MiB, at most the plugin's limit.
func outputLimit(most, in int) int64 {
	return min(int64(most), 16*int64(in)+1<<20)
}

// trapped makes the instance's death known.
func (i *instance) trapped(op abi.Op, cause error) error {
	err := &trapError{plugin: i.mod.manifest.Name, op: op, cause: cause, why: i.why(cause), said: i.said()}
	if err.why == "" {
		err.why = "crashed"
	}
	i.gauge.end()
	left := err.callerLeft()
	if !left {
		i.mod.stats.traps.Add(1)
		i.mod.log.Error("plugin crashed", "op", op.String(), "why", err.why, "error", firstLine(cause.Error()), "said", err.said,
			"fuel", i.gauge.used, "streams", i.streams)
	}
	i.kill(err)
	if !left {
		i.mod.crashed(err, i.gauge.used, i.input)
	}
	return err
}

// callerLeft tells that the guest was stopped through no fault of its own.
func (e *trapError) callerLeft() bool {
	var stop *stopError
	return errors.As(e.cause, &stop) && stop.cause != nil
}

// stopped tells that the guest ran into a limit, as it would again elsewhere.
func (e *trapError) stopped() bool {
	var stop *stopError
	return errors.As(e.cause, &stop)
}

// traps are the ways of WebAssembly to end, by what the engine says of them.
var traps = []struct{ says, why string }{
	{"stack overflow", "recursed too deeply"},
	{"out of bounds memory access", "used an address outside its memory"},
	{"unreachable", "gave up (unreachable)"},
	{"integer divide by zero", "divided by zero"},
	{"integer overflow", "computed a number that is too large"},
	{"invalid conversion to integer", "computed a number that is none"},
	{"invalid table access", "called a function that does not exist"},
	{"indirect call type mismatch", "called a function with the wrong arguments"},
}

// why explains a trap; "" where there is nothing to say.
func (i *instance) why(cause error) string {
	var stop *stopError
	var exit exitError
	switch {
	case errors.As(cause, &stop):
		return stop.why
	case i.memory.refused:
		return fmt.Sprintf("needs more than its %d pages of memory", i.memory.most>>16)
	case errors.Is(cause, errBadPointer):
		return "used an address outside its memory"
	case errors.As(cause, &exit):
		return fmt.Sprintf("exited with code %d", uint32(exit))
	}
	text := firstLine(cause.Error())
	for _, t := range traps {
		if strings.Contains(text, t.says) {
			return t.why
		}
	}
	return ""
}

// said returns the first meaningful line a dying guest wrote.
func (i *instance) said() string {
	for line := range bytes.Lines(i.stderr.Bytes()) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return string(line)
		}
	}
	return ""
}

func (i *instance) kill(why error) {
	if i.dead != nil {
		return
	}
	i.dead = why
	_ = i.guest.Close(i.ctx)
	i.mod.stats.instances.Add(-1)
}

// worn reports whether the instance should be replaced.
func (i *instance) worn() bool {
	lim := &i.mod.limits
	return i.retired || i.calls >= lim.RecycleCalls || int(i.mem.Size()) >= lim.RecycleBytes
}

// settle is called under mu after each piece of work: it retires a worn
// instance, and closes a retired one that nobody needs any more.
func (i *instance) settle() {
	i.used = i.mod.host.now()
	if i.dead != nil {
		return
	}
	if !i.exclusive && i.worn() {
		i.retired = true
	}
	switch {
	case i.retired && i.streams == 0:
		i.kill(errRetired)
	case i.bulky:
		i.bulky = false
		i.trim()
	}
}

var errRetired = errors.New("the instance was retired")

// trim asks the guest to give memory back.
func (i *instance) trim() {
	if i.dead == nil && i.fnTrim != nil {
		i.env = i.freshEnv(nil, startSeed)
		i.enter(context.Background(), 0, 0)
		if err := i.fnTrim.CallWithStack(i.ctx, i.stack[:]); err != nil {
			_ = i.trapped(0, err)
		}
		i.gauge.end()
	}
}

func firstLine(s string) string {
	if j := bytes.IndexByte([]byte(s), '\n'); j >= 0 {
		return s[:j]
	}
	return s
}
