package sdk

import (
	"runtime"
	"strconv"

	"github.com/omniroute/omniroute/sdk/abi"
)

// Module is everything one wasm file serves. It is used by one goroutine at a
// time, like the instance it stands for.
type Module struct {
	name, version string
	parts         []Part
	handles       int

	translators []Translator
	executors   map[string]Executor
	schema      configSchema
	config      configuration

	streams map[uint32]StreamState
	out     abi.Writer
	env     Env
}

// Source is something that can be served: a [Module], or a [ProviderPart] by
// itself.
type Source interface {
	// Module returns the module to serve.
	Module() *Module
}

// Part is something a module provides. Make one with [Provider],
// [NewExecutor] or package translator.
type Part interface {
	// Provides lists the part's entries in the manifest's "provides", as JSON.
	Provides() [][]byte
	register(m *Module)
}

// Bundle makes a module of several parts. The name is "owner/name", the
// version a semantic version.
func Bundle(name, version string, parts ...Part) *Module {
	m := &Module{
		name: name, version: version, parts: parts,
		executors: map[string]Executor{},
		streams:   map[uint32]StreamState{},
	}
	for _, p := range parts {
		p.register(m)
	}
	m.config = m.schema.defaults()
	return m
}

// Module implements [Source].
func (m *Module) Module() *Module { return m }

// Handles asks for that many open streams per instance, for a module whose
// streams need little memory. The gateway's default is 256.
func (m *Module) Handles(n int) *Module {
	m.handles = n
	return m
}

// NewExecutor makes a part of an executor. manifest is its entry in the
// manifest's "provides", as JSON with at least "id"; "kind" is added.
func NewExecutor(manifest []byte, ex Executor) Part { return executorPart{manifest, ex} }

type executorPart struct {
	manifest []byte
	ex       Executor
}

// Provides implements [Part].
func (p executorPart) Provides() [][]byte { return [][]byte{p.manifest} }

func (p executorPart) register(m *Module) { m.executors[JSON(p.manifest).Get("id").Text()] = p.ex }

// Call runs one operation, natively or in wasm. The input is read in place and
// the output stays valid until the next call. isError marks an error record.
// A panic of the plugin becomes an error record; its stack goes to the log.
func (m *Module) Call(env Env, op abi.Op, handle uint32, in []byte) (out []byte, isError bool) {
	m.env = env
	m.out.Reset()
	err := m.guard(op, handle, in)
	if err == nil {
		return m.out.Buf, false
	}
	m.out.Reset()
	if need, ok := err.(*Need); ok {
		m.writeNeed(op, need)
		return m.out.Buf, false
	}
	record(err).AppendTo(&m.out)
	return m.out.Buf, true
}

// Trim gives memory back; the host calls it when the instance is idle.
func (m *Module) Trim() {
	m.out.Buf = nil
	runtime.GC()
}

func (m *Module) guard(op abi.Op, handle uint32, in []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			m.logPanic(op, p)
			err = &abi.ErrorRecord{Message: "plugin panic: " + panicText(p), Class: "plugin", Scope: "plugin", Status: 502}
		}
	}()
	return m.dispatch(op, handle, in)
}

func (m *Module) dispatch(op abi.Op, handle uint32, in []byte) error {
	switch op {
	case abi.OpDescribe:
		m.out.Bytes(abi.TagJSON, m.Manifest())
		return nil
	case abi.OpSelfTest:
		return nil
	case abi.OpTrRequest, abi.OpTrResponse, abi.OpTrOpen, abi.OpTrError:
		return m.translate(op, handle, in)
	case abi.OpTrData, abi.OpExData:
		return m.streamData(handle, in)
	case abi.OpTrEnd, abi.OpExEnd:
		return m.streamEnd(handle, in)
	}
	c, err := m.readCall(in)
	if err != nil {
		return err
	}
	if op == abi.OpResume {
		op = c.resume
	}
	switch op {
	case abi.OpConfigure:
		return m.configure(c)
	case abi.OpExPlan:
		return m.plan(c)
	case abi.OpExResult:
		return m.result(c)
	case abi.OpExOpen:
		return m.openExecutor(handle, c)
	case abi.OpExSign:
		return m.sign(c)
	case abi.OpAuthRefresh:
		return m.renew(c)
	case abi.OpQuota:
		return m.quota(c)
	}
	return unsupported(op)
}

// unsupported is the answer to an operation that a part does not have.
func unsupported(op abi.Op) error {
	return &abi.ErrorRecord{Message: op.String() + " is not supported by this plugin", Class: "plugin", Scope: "plugin", Status: 501}
}

// Manifest is the module's manifest, as it stands in the custom section
// omniroute.manifest and as DESCRIBE returns it.
func (m *Module) Manifest() []byte {
	b := append([]byte(nil), `{"schema":1,"name":`...)
	b = append(b, Quote(m.name)...)
	b = append(append(b, `,"version":`...), Quote(m.version)...)
	b = append(b, `,"abi":"`...)
	b = append(b, byte('0'+abi.Major), '.', byte('0'+abi.Minor))
	b = append(b, `","features":["skeleton"],"provides":[`...)
	var caps capabilities
	for _, p := range m.parts {
		for _, entry := range p.Provides() {
			if b[len(b)-1] != '[' {
				b = append(b, ',')
			}
			b = append(b, entry...)
		}
		if pp, ok := p.(*ProviderPart); ok {
			caps.add(pp)
		}
	}
	b = append(b, ']')
	b = caps.append(b)
	if m.handles > 0 {
		b = strconv.AppendInt(append(b, `,"limits":{"handles":`...), int64(m.handles), 10)
		b = append(b, '}')
	}
	b = append(b, `,"isolation":"shared","recovery":"replay"`...)
	b = m.schema.append(b)
	return append(b, '}')
}

func (m *Module) executor(id string) (Executor, error) {
	if ex, ok := m.executors[id]; ok {
		return ex, nil
	}
	if id == "" && len(m.executors) == 1 {
		for _, ex := range m.executors {
			return ex, nil
		}
	}
	return nil, pluginError("no executor " + id)
}

func (m *Module) logPanic(op abi.Op, p any) {
	if !m.env.LogOn(abi.LogError) {
		return
	}
	stack := make([]byte, 4096)
	stack = stack[:runtime.Stack(stack, false)]
	m.env.Log(abi.LogError, "panic in "+op.String()+": "+panicText(p)+"\n"+string(stack))
}

func panicText(p any) string {
	switch v := p.(type) {
	case error:
		return v.Error()
	case string:
		return v
	case interface{ String() string }:
		return v.String()
	}
	return "unprintable value"
}

func pluginError(message string) *abi.ErrorRecord {
	return &abi.ErrorRecord{Message: message, Class: "plugin", Scope: "plugin", Status: 502}
}

// record turns any error into its wire form.
func record(err error) *abi.ErrorRecord {
	if e, ok := err.(*abi.ErrorRecord); ok {
		return e
	}
	return pluginError(err.Error())
}
