package conform

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/fixture"
)

// watch looks at every output: whatever the input was, it must be a proper
// record.
type watch struct {
	fixture.Runner
	kit *kit
}

// Call implements [fixture.Runner].
func (w *watch) Call(op abi.Op, handle uint32, in []byte, h fixture.Host) ([]byte, bool, error) {
	out, isError, err := w.Runner.Call(op, handle, in, h)
	if err != nil {
		return nil, false, fmt.Errorf("%s broke off instead of answering: %w", op, err)
	}
	problem := checkRecord(out)
	if isError && problem == nil {
		problem = checkError(out)
	}
	if problem != nil && len(w.kit.noted) < 3 {
		w.kit.noted = append(w.kit.noted, fmt.Errorf("%s: %w", op, problem))
	}
	return out, isError, nil
}

// Fuel implements [fixture.Meter]; 0 when the runner does not count.
func (w *watch) Fuel() uint64 {
	if m, ok := w.Runner.(fixture.Meter); ok {
		return m.Fuel()
	}
	return 0
}

func checkRecord(out []byte) error {
	r := abi.Read(out)
	for r.Next() {
	}
	if err := r.Err(); err != nil {
		return fmt.Errorf("its output is no record: %w", err)
	}
	return nil
}

// Vocabulary of error records; "" leaves the choice to the gateway.
var (
	classes = []string{"", "client", "auth", "quota", "rate", "overloaded", "not_found", "content_filter", "timeout", "transport", "upstream", "plugin"}
	scopes  = []string{"", "request", "credential", "model", "provider", "plugin"}
)

func checkError(out []byte) error {
	e, err := abi.ReadError(out)
	switch {
	case err != nil:
		return fmt.Errorf("its error is no record: %w", err)
	case e.Message == "" && !e.Upstream:
		return fmt.Errorf("its error says nothing")
	case !utf8.ValidString(e.Message):
		return fmt.Errorf("its error is no UTF-8 text")
	case !slices.Contains(classes, e.Class):
		return fmt.Errorf("its error has the class %q, which there is not", e.Class)
	case !slices.Contains(scopes, e.Scope):
		return fmt.Errorf("its error has the scope %q, which there is not", e.Scope)
	case e.Status != 0 && (e.Status < 400 || e.Status > 599):
		return fmt.Errorf("its error has the status %d", e.Status)
	}
	return nil
}
