package dialect_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// seeds returns the inputs of all vectors of a kind.
func seeds(f *testing.F, kind string) []*cases.Case { return allCases(f, kind) }

// models exercise the branches of the capability table.
func models() []string {
	return []string{"", "claude-sonnet-4-5", "claude-opus-4-7", "claude-3-haiku", "gpt-4o", "gpt-5.1", "other", "gemini-3-pro"}
}

func providers() []string { return []string{"", "openai", "deepseek", "kimi", "glm"} }

// Whatever a client sends, a translation fails with a client error or gives JSON
// without x_omni.
func FuzzRequest(f *testing.F) {
	for i, c := range seeds(f, cases.KindRequest) {
		f.Add([]byte(c.Input), uint8(i))
	}
	f.Fuzz(func(t *testing.T, body []byte, pick uint8) {
		for _, from := range clients() {
			for _, to := range all() {
				c := &hub.Ctx{Model: models()[int(pick)%len(models())], Provider: providers()[int(pick/8)%len(providers())], Count: pick > 250}
				out, err := hub.TranslateRequest(from, to, c, nil, body)
				if err != nil {
					var e *hub.Error
					require.ErrorAs(t, err, &e)
					require.GreaterOrEqual(t, e.Status, 400)
					require.Less(t, e.Status, 500)
					require.NoError(t, jsn.Valid(from.AppendError(c, nil, e)))
					continue
				}
				require.NoError(t, jsn.Valid(out), "%s -> %s: %s", from.Name(), to.Name(), out)
				require.Nil(t, jsn.Get(out, "x_omni"))
			}
		}
	})
}

// Whatever upstream answers, a client gets JSON.
func FuzzResponse(f *testing.F) {
	for _, c := range seeds(f, cases.KindResponse) {
		f.Add([]byte(c.Input), c.Ctx.Status)
	}
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		for _, from := range all() {
			for _, to := range clients() {
				if from.Name() == to.Name() {
					continue
				}
				c := &hub.Ctx{Status: status}
				out, _, err := hub.TranslateResponse(from, to, c, nil, body)
				if err != nil {
					var e *hub.Error
					require.ErrorAs(t, err, &e)
					require.GreaterOrEqual(t, e.Status, 400)
					out = to.AppendError(c, nil, e)
				}
				require.NoError(t, jsn.Valid(out), "%s -> %s: %s", from.Name(), to.Name(), out)
			}
		}
	})
}

// Whatever events upstream sends, what the client gets obeys its format's grammar.
func FuzzStream(f *testing.F) {
	for _, c := range seeds(f, cases.KindStream) {
		var lines []byte
		for _, ev := range c.Events {
			if ev.Name != "" {
				lines = append(append(lines, ev.Name...), '\t')
			}
			lines = append(append(lines, ev.Data...), '\n')
		}
		f.Add(lines)
	}
	f.Fuzz(func(t *testing.T, lines []byte) {
		for _, from := range all() {
			for _, to := range clients() {
				if from.Name() == to.Name() {
					continue
				}
				s := hub.NewStream(from, to, &hub.Ctx{})
				var out []cases.Event
				emit := func(ev hub.Event) {
					if string(ev.Data) == "[DONE]" {
						ev.Data = []byte(`"[DONE]"`)
					}
					require.NoError(t, jsn.Valid(ev.Data), "%s", ev.Data)
					out = append(out, cases.Event{Name: ev.Name, Data: bytes.Clone(ev.Data)})
				}
				var err error
				for _, line := range bytes.Split(lines, []byte{'\n'}) {
					ev := hub.Event{Data: line}
					if name, data, ok := bytes.Cut(line, []byte{'\t'}); ok && len(name) < 64 {
						ev = hub.Event{Name: string(name), Data: data}
					}
					if err = s.Feed(ev, emit); err != nil {
						break
					}
				}
				if err == nil {
					err = s.End(emit)
				}
				if err != nil {
					require.Empty(t, out)
					continue
				}
				require.Empty(t, cases.CheckGrammar(to.Name(), out, nil), "%s -> %s", from.Name(), to.Name())
			}
		}
	})
}
