package policy

import (
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/goccy/go-json"
	"github.com/omniroute/omniroute/core/doc"
)

// A record is written for every request, so its JSON is appended from plans
// made once for each type of fact: which fields there are, their quoted names
// and the value that need not be written.

// plan is how one type of fact is written.
type plan []planned

type planned struct {
	index int
	name  string
	key   []byte // "name":
	kind  reflect.Kind
	usual reflect.Value
	inner plan
}

func planOf[T any](usual *T) plan { return planFor(reflect.ValueOf(usual).Elem()) }

func planFor(usual reflect.Value) plan {
	var p plan
	for i := range usual.NumField() {
		f := usual.Type().Field(i)
		tag := f.Tag.Get("expr")
		if tag == "" || tag == "-" {
			continue
		}
		x := planned{index: i, name: tag, key: append(doc.Quote(nil, tag), ':'), kind: f.Type.Kind(), usual: usual.Field(i)}
		if x.kind == reflect.Struct {
			x.inner = planFor(x.usual)
		}
		p = append(p, x)
	}
	return p
}

// The plans are never written to. Profiles have one for each kind.
var plans = struct {
	req, key, sys, cfg, guard, combo, target, account, attempt, err, breaker, usage, lock plan
	profiles                                                                              map[string]plan
}{
	req: planOf(NewReq()), key: planOf(NewKey()), sys: planOf(&Sys{}), cfg: planOf(NewCfg()), guard: planOf(&Guard{}),
	combo: planOf(&Combo{Size: 1}), target: planOf(NewTarget()), account: planOf(NewAccount()), attempt: planOf(&Attempt{N: 1}),
	err: planOf(NewErr(0)), breaker: planOf(&BreakerState{State: "closed"}), usage: planOf(&Usage{}), lock: planOf(&Lock{}),
	profiles: map[string]plan{"apikey": planOf(NewProfile("apikey")), "oauth": planOf(NewProfile("oauth")), "local": planOf(NewProfile("local"))},
}

// encoder appends JSON; comma tells whether the next member needs one.
type encoder struct {
	dst   []byte
	texts bool
	comma bool
}

func (e *encoder) member(key string) {
	if e.comma {
		e.dst = append(e.dst, ',')
	}
	e.comma = true
	e.dst = append(append(append(e.dst, '"'), key...), '"', ':')
}

// fact appends a member holding what differs from the usual, if anything does.
func fact[T any](e *encoder, key string, p plan, v *T, always bool) {
	if v == nil {
		return
	}
	start, comma := len(e.dst), e.comma
	e.member(key)
	if !e.fields(p, reflect.ValueOf(v).Elem()) && !always {
		e.dst, e.comma = e.dst[:start], comma
	}
}

// fields appends an object and tells whether it has members.
func (e *encoder) fields(p plan, v reflect.Value) bool {
	e.dst = append(e.dst, '{')
	some := false
	for i := range p {
		x := &p[i]
		f := v.Field(x.index)
		if e.usual(x, f) {
			continue
		}
		start := len(e.dst)
		if some {
			e.dst = append(e.dst, ',')
		}
		e.dst = append(e.dst, x.key...)
		if !e.value(x, f) {
			e.dst = e.dst[:start]
			continue
		}
		some = true
	}
	e.dst = append(e.dst, '}')
	return some
}

// usual tells whether a field need not, or may not, be written.
func (e *encoder) usual(x *planned, f reflect.Value) bool {
	switch x.kind {
	case reflect.Bool:
		return f.Bool() == x.usual.Bool()
	case reflect.Int:
		return f.Int() == x.usual.Int()
	case reflect.Float64:
		return f.Float() == x.usual.Float()
	case reflect.String:
		return f.String() == x.usual.String() || !e.texts && isContent(x.name)
	case reflect.Slice:
		return f.Len() == 0
	case reflect.Map:
		return f.Len() == 0 || !e.texts && isContent(x.name)
	case reflect.Pointer:
		return f.IsNil()
	}
	return false
}

// isContent names the fields that hold what was said.
func isContent(name string) bool {
	switch name {
	case "body", "first_text", "user_text", "last_text", "last_user_text":
		return true
	}
	return false
}

// value appends a field's value; false means that nothing is left of it.
func (e *encoder) value(x *planned, f reflect.Value) bool {
	switch x.kind {
	case reflect.Bool:
		e.dst = strconv.AppendBool(e.dst, f.Bool())
	case reflect.Int:
		e.dst = strconv.AppendInt(e.dst, f.Int(), 10)
	case reflect.Float64:
		e.float(f.Float())
	case reflect.String:
		e.dst = doc.Quote(e.dst, f.String())
	case reflect.Pointer:
		e.float(f.Elem().Float())
	case reflect.Struct:
		return e.fields(x.inner, f)
	case reflect.Slice:
		e.list(*f.Addr().Interface().(*[]string))
	case reflect.Map:
		return e.mapping(f, x.name)
	}
	return true
}

func (e *encoder) float(v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		v = math.Copysign(maxKey, v) // JSON has no word for these
	}
	e.dst = strconv.AppendFloat(e.dst, v, 'g', -1, 64)
}

func (e *encoder) list(items []string) {
	e.dst = append(e.dst, '[')
	for i, s := range items {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		e.dst = doc.Quote(e.dst, s)
	}
	e.dst = append(e.dst, ']')
}

func (e *encoder) mapping(f reflect.Value, name string) bool {
	m, ok := f.Addr().Interface().(*map[string]string)
	if !ok { // metadata of keys, or a body that is to be kept
		data, err := json.Marshal(f.Interface())
		e.dst = append(e.dst, data...)
		return err == nil
	}
	some := false
	e.dst = append(e.dst, '{')
	for _, k := range sortedKeys(*m) {
		if name == "headers" && isCredential(k) {
			continue
		}
		if some {
			e.dst = append(e.dst, ',')
		}
		some = true
		e.dst = append(doc.Quote(e.dst, k), ':')
		e.dst = doc.Quote(e.dst, (*m)[k])
	}
	e.dst = append(e.dst, '}')
	return some
}

// table appends a member with a mapping of names to numbers.
func (e *encoder) table(key string, m map[string]float64) {
	if len(m) == 0 {
		return
	}
	e.member(key)
	e.dst = append(e.dst, '{')
	for i, k := range sortedKeys(m) {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		e.dst = append(doc.Quote(e.dst, k), ':')
		e.float(m[k])
	}
	e.dst = append(e.dst, '}')
}

func (e *encoder) text(key, s string) {
	if s != "" {
		e.member(key)
		e.dst = doc.Quote(e.dst, s)
	}
}

// AppendJSON appends the record as JSON to dst.
func (r *Record) AppendJSON(dst []byte) []byte {
	e := &encoder{dst: append(dst, '{'), texts: r.KeepTexts}
	if !r.At.IsZero() {
		e.text("now", r.At.UTC().Format(time.RFC3339Nano))
	}
	fact(e, "req", plans.req, r.Req, false)
	fact(e, "key", plans.key, r.Key, false)
	fact(e, "sys", plans.sys, r.Sys, false)
	fact(e, "cfg", plans.cfg, r.Cfg, false)
	fact(e, "guard", plans.guard, r.Guard, false)
	fact(e, "combo", plans.combo, r.Combo, false)
	fact(e, "attempt", plans.attempt, r.Attempt, false)
	e.routes(r.Routes)
	if len(r.Targets) > 0 {
		e.member("targets")
		facts(e, plans.target, r.Targets)
	}
	e.byID(r)
	e.table("spend", r.Spend)
	e.table("requests", r.Requests)
	e.table("tokens", r.Tokens)
	if len(r.Banned) > 0 {
		e.member("banned")
		e.list(r.Banned)
	}
	e.failures(r.Failures)
	fact(e, "usage", plans.usage, r.Usage, true)
	e.text("served", r.Served)
	e.text("served_account", r.ServedAccount)
	if r.CostUSD != 0 {
		e.member("cost_usd")
		e.float(r.CostUSD)
	}
	return append(e.dst, '}')
}

// MarshalJSON writes what differs from an unknown fact.
func (r *Record) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }

// facts appends a list of facts.
func facts[T any](e *encoder, p plan, list []*T) {
	e.dst = append(e.dst, '[')
	for i, v := range list {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		e.fields(p, reflect.ValueOf(v).Elem())
	}
	e.dst = append(e.dst, ']')
}

// object appends a member with a mapping of names to what each writes.
func object[V any](e *encoder, key string, m map[string]V, each func(v V)) {
	if len(m) == 0 {
		return
	}
	e.member(key)
	e.dst = append(e.dst, '{')
	for i, k := range sortedKeys(m) {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		e.dst = append(doc.Quote(e.dst, k), ':')
		each(m[k])
	}
	e.dst, e.comma = append(e.dst, '}'), true
}

func (e *encoder) byID(r *Record) {
	object(e, "accounts", r.Accounts, func(list []*Account) { facts(e, plans.account, list) })
	object(e, "profiles", r.Profiles, func(p *Profile) {
		usual, known := plans.profiles[p.Kind]
		if !known {
			usual = plans.profiles["apikey"]
		}
		e.dst = append(e.dst, `{"kind":`...)
		e.dst = doc.Quote(e.dst, p.Kind)
		start := len(e.dst)
		e.dst = append(e.dst, ',')
		shown := *p
		shown.Kind = usual[0].usual.String()
		inner := len(e.dst)
		if e.fields(usual, reflect.ValueOf(&shown).Elem()) {
			e.dst = append(e.dst[:inner], e.dst[inner+1:]...) // the members without their brace
			return
		}
		e.dst = append(e.dst[:start], '}')
	})
	object(e, "budgets", r.Budgets, func(b BudgetState) {
		inner := &encoder{dst: append(e.dst, '{')}
		for _, x := range []struct {
			key string
			v   float64
		}{{"spent", b.Spent}, {"reserved", b.Reserved}, {"est", b.Est}, {"reset_ms", float64(b.ResetMS)}} {
			if x.v != 0 {
				inner.member(x.key)
				inner.number(x.v)
			}
		}
		e.dst = append(inner.dst, '}')
	})
	object(e, "locks", r.Locks, func(l Lock) { e.fields(plans.lock, reflect.ValueOf(&l).Elem()) })
}

// number writes whole numbers without an exponent, so that they read as such.
func (e *encoder) number(v float64) {
	if v == math.Trunc(v) && math.Abs(v) < maxMS {
		e.dst = strconv.AppendInt(e.dst, int64(v), 10)
		return
	}
	e.float(v)
}

func (e *encoder) routes(list []Route) {
	if len(list) == 0 {
		return
	}
	e.member("routes")
	e.dst = append(e.dst, '[')
	for i, r := range list {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		e.dst, e.comma = append(e.dst, '{'), false
		e.member("model")
		e.dst = doc.Quote(e.dst, r.Model)
		if len(r.Tags) > 0 {
			e.member("tags")
			e.list(r.Tags)
		}
		e.text("chain", r.Chain)
		if r.Missing {
			e.member("missing")
			e.dst = append(e.dst, "true"...)
		}
		e.dst = append(e.dst, '}')
	}
	e.dst, e.comma = append(e.dst, ']'), true
}

func (e *encoder) failures(list []Failure) {
	if len(list) == 0 {
		return
	}
	e.member("failures")
	e.dst = append(e.dst, '[')
	for i, f := range list {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		e.dst, e.comma = append(e.dst, '{'), false
		e.member("target")
		e.dst = doc.Quote(e.dst, f.Target)
		e.text("account", f.Account)
		fact(e, "err", plans.err, f.Err, true)
		fact(e, "breaker", plans.breaker, f.Breaker, false)
		fact(e, "attempt", plans.attempt, f.Attempt, false)
		e.dst = append(e.dst, '}')
	}
	e.dst, e.comma = append(e.dst, ']'), true
}
