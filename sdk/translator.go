package sdk

import "github.com/omniroute/omniroute/sdk/abi"

// Translator serves the translation operations of a module. Package translator
// makes them; it is apart from this one so that a provider plugin does not
// carry the translation machinery.
type Translator interface {
	// Provides lists its entries in the manifest's "provides", as JSON.
	Provides() [][]byte
	// Serves tells whether it translates from one format to another.
	Serves(from, to string) bool
	// Translate serves TR_REQUEST, TR_RESPONSE and TR_ERROR; the last names only
	// the format to write, as both.
	Translate(c *Translation) error
	// Open starts a stream. The input is valid only during the call.
	Open(c *Translation) (StreamState, error)
}

// Translation is one call of a [Translator].
type Translation struct {
	Op  abi.Op
	In  []byte      // input record; valid only during the call
	Env Env         // stays valid: it always is the current call's
	Out *abi.Writer // stays valid: it always is the current call's
}

// StreamState is the state behind the handle of an open stream.
type StreamState interface {
	// Frame takes one frame.
	Frame(f abi.Frame) error
	// End is called exactly once.
	End(reason abi.EndReason) error
	// Settle writes what a call changed beside frames.
	Settle()
}

// NewTranslator makes a part of a translator.
func NewTranslator(t Translator) Part { return translatorPart{t} }

type translatorPart struct{ Translator }

func (p translatorPart) register(m *Module) { m.translators = append(m.translators, p.Translator) }

func (m *Module) translate(op abi.Op, handle uint32, in []byte) error {
	from, to, err := formats(in)
	switch {
	case err != nil:
		return err
	case to == "" || from == "" && op != abi.OpTrError:
		return pluginError(op.String() + " needs the formats to translate between")
	case from == "":
		from = to
	}
	t := m.translator(from, to)
	if t == nil {
		return pluginError("no translator from " + from + " to " + to)
	}
	c := &Translation{Op: op, In: in, Env: currentEnv{m}, Out: &m.out}
	if op != abi.OpTrOpen {
		return t.Translate(c)
	}
	s, err := t.Open(c)
	if err != nil {
		return err
	}
	m.streams[handle] = s
	return nil
}

func (m *Module) translator(from, to string) Translator {
	for _, t := range m.translators {
		if t.Serves(from, to) {
			return t
		}
	}
	return nil
}

func formats(in []byte) (from, to string, err error) {
	r := abi.Read(in)
	for r.Next() {
		switch f := r.Field(); f.Tag {
		case abi.TagFrom:
			from = f.Text()
		case abi.TagTo:
			to = f.Text()
		}
	}
	return from, to, r.Err()
}

// currentEnv is the Env of whatever call is running: streams outlive the call
// that opened them.
type currentEnv struct{ m *Module }

// NowMS implements [Env].
func (e currentEnv) NowMS() int64 { return e.m.env.NowMS() }

// Rand implements [Env].
func (e currentEnv) Rand() uint64 { return e.m.env.Rand() }

// Len implements [Env].
func (e currentEnv) Len(id int) int { return e.m.env.Len(id) }

// Read implements [Env].
func (e currentEnv) Read(id, off int, dst []byte) int { return e.m.env.Read(id, off, dst) }

// LogOn implements [Env].
func (e currentEnv) LogOn(level int) bool { return e.m.env.LogOn(level) }

// Log implements [Env].
func (e currentEnv) Log(level int, line string) { e.m.env.Log(level, line) }

func (m *Module) streamData(handle uint32, in []byte) error {
	st, ok := m.streams[handle]
	if !ok {
		return pluginError("no open stream under this handle")
	}
	r := abi.Read(in)
	for r.Next() {
		f := r.Field()
		if f.Tag != abi.TagFrame {
			r.Unknown()
			continue
		}
		fr, err := f.Frame()
		if err != nil {
			return err
		}
		if err := st.Frame(fr); err != nil {
			return err
		}
	}
	if err := r.Err(); err != nil {
		return err
	}
	st.Settle()
	return nil
}

func (m *Module) streamEnd(handle uint32, in []byte) error {
	st, ok := m.streams[handle]
	if !ok {
		return pluginError("no open stream under this handle")
	}
	delete(m.streams, handle)
	var reason abi.EndReason
	if f, ok := abi.Find(in, abi.TagReason); ok {
		reason = abi.EndReason(f.Uint())
	}
	if err := st.End(reason); err != nil {
		return err
	}
	st.Settle()
	return nil
}
