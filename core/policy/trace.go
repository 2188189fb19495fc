package policy

// Trace collects what rules said about a request. A nil *Trace records nothing
// and costs nothing. A Trace belongs to one request and is not safe for
// concurrent use.
type Trace struct {
	// Detail also records the value of every sub-expression that decided and the
	// time each rule took. It evaluates expressions a second time: meant for
	// explain, debug keys and sampled requests.
	Detail bool

	Entries []Entry

	capture bool // also keep the fields of rules that apply, for inline tests
}

// Entry is one rule asked about the request, or about one candidate.
type Entry struct {
	Hook string `json:"hook"`
	Rule string `json:"rule"`
	// Candidate is the target or account the rule was asked about, if any.
	Candidate string `json:"candidate,omitempty"`
	Matched   bool   `json:"matched"`
	Shadow    bool   `json:"shadow,omitempty"`
	// Value is what the rule answered: a verdict struct, a map of its fields, or
	// the reason a candidate was dropped.
	Value any `json:"value,omitempty"`
	// Dropped tells that the rule removed the candidate.
	Dropped bool `json:"dropped,omitempty"`
	// Keys are the ranking keys of the candidate; +Inf is written as 1e308.
	Keys []float64 `json:"keys,omitempty"`
	// Rank is the place of the candidate after ordering, from 1.
	Rank  int     `json:"rank,omitempty"`
	Error string  `json:"error,omitempty"`
	US    float64 `json:"us,omitempty"`
	// Parts are the sub-expressions that decided, with Detail.
	Parts []Part `json:"parts,omitempty"`

	fields map[string]any
	asked  bool // the answer itself decided, matched or not
}

// Part is a sub-expression and its value.
type Part struct {
	Field string `json:"field"`
	Expr  string `json:"expr"`
	Value any    `json:"value"`
	Error string `json:"error,omitempty"`
}
