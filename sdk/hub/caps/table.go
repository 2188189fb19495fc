package caps

import (
	_ "embed"
	"errors"
	"strings"
	"sync"

	"github.com/omniroute/omniroute/sdk/jsn"
)

// Kinds of thinking control.
const (
	ThinkNone     = "none"     // the model does not think
	ThinkBudget   = "budget"   // a number of tokens
	ThinkAdaptive = "adaptive" // the model decides, an effort steers it
	ThinkLevel    = "level"    // named levels
	ThinkUnknown  = "unknown"  // nothing is known about the model
)

// Model is what is known about one model.
type Model struct {
	Family   string   // claude, gemini, openai or other
	Ceiling  int64    // most output tokens; 0 = unknown
	Thinking string   // one of the Think constants
	Levels   []string // effort levels, ascending

	BudgetMin, BudgetMax int64 // range of thinking budgets
	Zero                 bool  // budget 0 switches thinking off

	AdaptiveOnly    bool // knows no thinking but the adaptive one
	Prefill         bool // a conversation may end with the assistant
	Exclusive       bool // refuses temperature and top_p together
	NoSampling      bool // takes no sampling parameters
	Structured      bool // native structured output
	ReasoningModel  bool // OpenAI reasoning model: no sampling, max_completion_tokens
	CallSignatures  bool // Gemini 3: function calls carry signatures
	NoJSONWithTools bool // no JSON mode beside tools
}

type row struct {
	prefix, in, has string
	scan            bool // the version may stand anywhere behind the match
	versioned       bool
	from, to        version
	model           Model
}

type version struct{ major, minor int }

func (v version) less(w version) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

// Table is an ordered list of models. It is immutable.
type Table struct{ rows []row }

//go:embed table.json
var defaultJSON []byte

var defaultTable = sync.OnceValues(func() (*Table, error) { return Parse(defaultJSON) })

// Default returns the table that comes with the gateway.
func Default() *Table {
	t, err := defaultTable()
	if err != nil {
		panic(err) // the embedded table is broken: a build defect
	}
	return t
}

// Parse reads a table: {"models":[row, …]}. A row matches by "prefix", by "in"
// (found anywhere), by "has" (contained as well) and by a version range "from",
// "to"; what it says about the model are the other members.
func Parse(data []byte) (*Table, error) {
	if err := jsn.Valid(data); err != nil {
		return nil, err
	}
	t := &Table{}
	for it := jsn.Array(jsn.Get(data, "models")); it.Next(); {
		r, err := parseRow(it.Value())
		if err != nil {
			return nil, err
		}
		t.rows = append(t.rows, r)
	}
	if len(t.rows) == 0 {
		return nil, errors.New("caps: no models in the table")
	}
	return t, nil
}

func parseRow(raw []byte) (row, error) {
	r := row{to: version{1 << 20, 0}}
	m := &r.model
	for it := jsn.Object(raw); it.Next(); {
		v := it.Value()
		s := jsn.StrOf(v).String()
		n, _ := jsn.Int(v)
		on := jsn.IsTrue(v)
		switch key := string(it.Key()); key {
		case "prefix":
			r.prefix = s
		case "in":
			r.in = s
		case "has":
			r.has = s
		case "scan":
			r.scan = on
		case "from", "to":
			at, ok := parseVersion(s, false)
			if !ok {
				return r, errors.New("caps: bad version " + s)
			}
			r.versioned = true
			if key == "from" {
				r.from = at
			} else {
				r.to = at
			}
		case "family":
			m.Family = s
		case "ceiling":
			m.Ceiling = n
		case "thinking":
			m.Thinking = s
		case "levels":
			m.Levels = strings.Fields(s)
		case "budget_min":
			m.BudgetMin = n
		case "budget_max":
			m.BudgetMax = n
		case "zero":
			m.Zero = on
		case "adaptive_only":
			m.AdaptiveOnly = on
		case "prefill":
			m.Prefill = on
		case "exclusive":
			m.Exclusive = on
		case "no_sampling":
			m.NoSampling = on
		case "structured":
			m.Structured = on
		case "reasoning_model":
			m.ReasoningModel = on
		case "call_signatures":
			m.CallSignatures = on
		case "no_json_with_tools":
			m.NoJSONWithTools = on
		default:
			return r, errors.New("caps: unknown member " + key)
		}
	}
	return r, nil
}

// Lookup returns what is known about a model name.
func (t *Table) Lookup(model string) Model {
	name := strings.ToLower(model[strings.LastIndexByte(model, '/')+1:])
	for i := range t.rows {
		if t.rows[i].match(name) {
			return t.rows[i].model
		}
	}
	return Model{Family: "other", Thinking: ThinkUnknown, Prefill: true}
}

func (r *row) match(name string) bool {
	rest := name
	switch {
	case r.in != "":
		at := strings.Index(name, r.in)
		if at < 0 {
			return false
		}
		rest = name[at+len(r.in):]
	case !strings.HasPrefix(name, r.prefix):
		return false
	default:
		rest = name[len(r.prefix):]
	}
	if r.has != "" && !strings.Contains(rest, r.has) {
		return false
	}
	if !r.versioned {
		return true
	}
	v, ok := parseVersion(rest, r.scan)
	return ok && !v.less(r.from) && !r.to.less(v)
}

// parseVersion reads <major>[.<minor>] at the start of s, or with scan in the first
// dash-separated segment that is a number of at most two digits. Longer numbers are
// dates.
func parseVersion(s string, scan bool) (version, bool) {
	for len(s) > 0 {
		major, rest, ok := shortNumber(s)
		if ok {
			v := version{major: major}
			if len(rest) > 1 && (rest[0] == '.' || rest[0] == '-') {
				if minor, after, ok := shortNumber(rest[1:]); ok && (after == "" || !isLetter(after[0])) {
					v.minor = minor
				}
			}
			return v, true
		}
		if !scan {
			return version{}, false
		}
		next := strings.IndexAny(s, "-.:@")
		if next < 0 {
			break
		}
		s = s[next+1:]
	}
	return version{}, false
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' }

func shortNumber(s string) (n int, rest string, ok bool) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		n = n*10 + int(s[i]-'0')
		if i++; i > 2 {
			return 0, s, false
		}
	}
	return n, s[i:], i > 0
}
