package host

import (
	"bytes"
	"context"
	"log/slog"

	"github.com/omniroute/omniroute/sdk/abi"
)

// Lab runs one plugin outside of a gateway, call by call: for tests of the
// plugin, its benchmarks and replays. It holds the plugin to the limits of a
// gateway with default settings.
type Lab struct {
	host *Host
	mod  *module
}

// LabOptions configure a [Lab].
type LabOptions struct {
	CacheDir string       // folder of compiled code; "" = compile anew
	Config   []byte       // the plugin's own settings, JSON; nil = its defaults
	Log      *slog.Logger // what the plugin writes; nil = nowhere
}

// OpenLab loads a module, with or without a manifest section. Errors are
// sentences about the file.
func OpenLab(ctx context.Context, wasm []byte, opt LabOptions) (*Lab, error) {
	log := opt.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	e, err := newEngine(ctx, opt.CacheDir)
	if err != nil {
		return nil, err
	}
	h := &Host{opt: Options{Trust: Trust{Mode: TrustDev}}, engine: e, metered: &meteredStore{}, log: log, sick: make(chan struct{}, 1)}
	h.opt.fill()
	h.opt.Limits.Instances = 1
	m, err := h.loadOwn(ctx, "lab", wasm)
	if err != nil {
		_ = e.close(ctx)
		return nil, err
	}
	m.config = opt.Config
	return &Lab{host: h, mod: m}, nil
}

// Close ends the plugin.
func (l *Lab) Close(ctx context.Context) error {
	l.mod.close(ctx)
	return l.host.engine.close(ctx)
}

// LabPlugin is what a plugin says of itself.
type LabPlugin struct {
	Name, Version, ABI string
	Hosts, Secrets     []string // that it asks for
	Parts              []Part
}

// Plugin describes the plugin.
func (l *Lab) Plugin() LabPlugin {
	m := l.mod.manifest
	p := LabPlugin{
		Name: m.Name, Version: m.Version, ABI: m.ABI,
		Hosts: m.Capabilities.HTTP.Hosts, Secrets: m.Capabilities.Secrets.Use,
	}
	for k := range m.Provides {
		p.Parts = append(p.Parts, partOf(&m.Provides[k], m, ""))
	}
	return p
}

// Describe asks the plugin for its manifest.
func (l *Lab) Describe(ctx context.Context) ([]byte, error) {
	r, err := l.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.inst.describe()
}

// FuelLimit is what a call of the operation may burn.
func (l *Lab) FuelLimit(op abi.Op, input int) uint64 {
	return uint64(max(0, l.mod.limits.fuel(op, input)))
}

// Start makes a fresh instance.
func (l *Lab) Start(ctx context.Context) (*LabRun, error) {
	i, err := newInstance(ctx, l.mod)
	if err != nil {
		return nil, err
	}
	store := &memoryKV{now: l.host.now, have: map[string]memoryValue{}}
	return &LabRun{i, &kvSpace{kv: store}}, nil
}

// LabRun is one instance of the plugin, with a store of its own. Calls are not
// concurrent.
type LabRun struct {
	inst   *instance
	values *kvSpace
}

// Store puts a value into the plugin's store, as if it had done so itself.
func (r *LabRun) Store(ctx context.Context, key, value string) error {
	return r.values.kv.Put(ctx, key, []byte(value), 0)
}

// LabEnv is what a call may ask the host for.
type LabEnv struct {
	NowMS int64
	Seed  uint64
	Blobs map[int][]byte // content of body tokens, escaped

	Secrets map[string]string // of the account; what the manifest asks for is granted

	Replay  bool         // imports that need a capability give Answers, in order
	Answers []HostAnswer // of a recorded call
}

// Call runs an operation. The output is the caller's. An error means that the
// plugin could not be called or broke off; the instance is gone then.
func (r *LabRun) Call(op abi.Op, handle uint32, in []byte, env LabEnv) (out []byte, isError bool, err error) {
	call := callEnv{now: env.NowMS, seed: env.Seed, blobs: labBlobs(env.Blobs), values: r.values}
	call.secrets = func(name string) (string, bool) {
		secret, ok := env.Secrets[name]
		return secret, ok
	}
	if env.Replay {
		call.tape = &tape{answers: env.Answers, replay: true}
	}
	out, isError, err = r.inst.call(op, handle, in, call)
	return bytes.Clone(out), isError, err
}

// Fuel is what the last call burnt.
func (r *LabRun) Fuel() uint64 { return r.inst.fuelUsed() }

// Memory is the size of the instance's memory, in bytes.
func (r *LabRun) Memory() int {
	if r.inst.dead != nil {
		return 0
	}
	return int(r.inst.mem.Size())
}

// Trim asks the plugin to give memory back, as a gateway does when it is idle.
func (r *LabRun) Trim() { r.inst.trim() }

// Close ends the instance.
func (r *LabRun) Close() { r.inst.kill(errRetired) }

type labBlobs map[int][]byte

// Nonce implements Blobs. The tokens of a recorded call carry their own.
func (b labBlobs) Nonce() string { return "" }

// Blob implements Blobs.
func (b labBlobs) Blob(id int) ([]byte, bool) {
	blob, ok := b[id]
	return blob, ok
}
