package repair

import (
	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// FormatHint is the system text that asks for structured output in words, for models
// without a native way (J-3).
func FormatHint(t jsn.Tokens, f *hub.Format) jsn.Str {
	if f.Kind != hub.FormatSchema || jsn.IsNull(f.Schema) {
		return jsn.Lit("Respond only with a valid JSON object.")
	}
	hint := []byte(`Respond only with a JSON object that conforms to this JSON Schema:\n`)
	return t.AppendQuoted(hint, jsn.AppendCompact(nil, f.Schema))
}
