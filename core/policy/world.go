package policy

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
)

// testNow and testRequestID fix what inline tests and benchmarks would
// otherwise take from their surroundings.
const testRequestID = "seed"

func testNow() time.Time { return time.Date(2026, 2, 18, 21, 30, 0, 0, time.UTC) }

// world is a complete set of facts: those of an ordinary request unless changed
// by path. It also answers the look-ups from given tables.
type world struct {
	req      *Req
	clock    *Clock
	sys      *Sys
	cfg      *Cfg
	key      *Key
	guard    *Guard
	lock     *Lock
	event    *Event
	budget   *Budget
	combo    *Combo
	target   *Target
	attempt  *Attempt
	profile  *Profile
	account  *Account
	hdr      *RateHeaders
	breaker  *BreakerState
	err      *Err
	usage    *Usage
	targets  []*Target
	accounts []*Account

	spend, requests, tokens map[string]float64
	banned                  []string
	location                *time.Location
}

func newWorld(s *Set) *world {
	w := &world{
		req: NewReq(), clock: s.Clock(testNow()), sys: &Sys{}, cfg: NewCfg(), key: NewKey(), guard: &Guard{},
		lock: &Lock{}, event: &Event{}, budget: &Budget{WarnAt: 0.8}, combo: &Combo{Size: 1}, target: NewTarget(),
		attempt: &Attempt{N: 1}, profile: NewProfile("apikey"), account: NewAccount(), hdr: NewRateHeaders(200),
		breaker: &BreakerState{State: "closed"}, err: NewErr(0), usage: &Usage{}, location: s.location,
	}
	w.req.ID, w.req.Endpoint, w.req.Format, w.req.LastRole, w.req.Messages = testRequestID, "chat", "openai", "user", 1
	w.key.ID, w.key.Known = "k1", true
	return w
}

// facts returns a variable by its name in expressions.
func (w *world) facts(name string) any {
	switch name {
	case "req":
		return w.req
	case "clock":
		return w.clock
	case "sys":
		return w.sys
	case "cfg":
		return w.cfg
	case "key":
		return w.key
	case "guard":
		return w.guard
	case "lock":
		return w.lock
	case "event":
		return w.event
	case "budget":
		return w.budget
	case "combo":
		return w.combo
	case "target":
		return w.target
	case "attempt":
		return w.attempt
	case "profile":
		return w.profile
	case "account":
		return w.account
	case "hdr":
		return w.hdr
	case "breaker":
		return w.breaker
	case "err":
		return w.err
	case "usage":
		return w.usage
	}
	return nil
}

// set changes a fact by its path, or one of the look-up tables.
func (w *world) set(path string, v any) error {
	switch path {
	case "spend", "requests", "tokens":
		return w.setTable(path, v)
	case "banned":
		list, err := texts(v)
		w.banned = list
		return err
	case "now":
		at, err := asTime(v)
		if err != nil {
			return err
		}
		*w.clock = *(&Set{location: w.location}).Clock(at)
		return nil
	}
	head, rest, nested := strings.Cut(path, ".")
	facts := w.facts(head)
	if facts == nil {
		return fmt.Errorf("unknown variable %s%s", head, didYouMean(head, append(slotNames(), "spend", "requests", "tokens", "banned", "now")))
	}
	if !nested {
		m, ok := v.(map[string]any)
		if !ok {
			return fmt.Errorf("%s has fields: write %s.<field>, or a mapping", head, head)
		}
		for _, k := range sortedKeys(m) {
			if err := setPath(reflect.ValueOf(facts).Elem(), k, m[k]); err != nil {
				return fmt.Errorf("%s: %w", head, err)
			}
		}
		return nil
	}
	return setPath(reflect.ValueOf(facts).Elem(), rest, v)
}

func asTime(v any) (time.Time, error) {
	switch x := v.(type) {
	case time.Time:
		return x, nil
	case string:
		return time.Parse(time.RFC3339, x)
	}
	return time.Time{}, fmt.Errorf("%v is not a time like 2026-02-18T09:00:00Z", v)
}

func (w *world) setTable(name string, v any) error {
	m, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%s must map \"scope/window\" to a number", name)
	}
	table := map[string]float64{}
	for k, x := range m {
		n, err := number(x)
		if err != nil {
			return fmt.Errorf("%s of %s: %w", name, k, err)
		}
		table[k] = n
	}
	switch name {
	case "spend":
		w.spend = table
	case "requests":
		w.requests = table
	case "tokens":
		w.tokens = table
	}
	return nil
}

// Spend, Requests, Tokens and Banned implement Facts from the given tables.
func (w *world) Spend(scope, window string) float64 { return w.spend[scope+"/"+window] }
func (w *world) Requests(scope, window string) int  { return int(w.requests[scope+"/"+window]) }
func (w *world) Tokens(scope, window string) int    { return int(w.tokens[scope+"/"+window]) }
func (w *world) Banned(ip string) bool              { return hasTag(w.banned, ip) }

func (w *world) ipEnv() IPEnv {
	return IPEnv{Req: w.req, Clock: w.clock, Sys: w.sys, Cfg: w.cfg, Facts: w}
}

func (w *world) gateEnv() GateEnv { return GateEnv{IPEnv: w.ipEnv(), Key: w.key, Guard: w.guard} }

func (w *world) targetEnv() TargetEnv {
	return TargetEnv{GateEnv: w.gateEnv(), Combo: w.combo, Target: w.target, Targets: w.targets, Attempt: w.attempt, Profile: w.profile}
}

func (w *world) accountEnv() AccountEnv {
	return AccountEnv{TargetEnv: w.targetEnv(), Account: w.account, Accounts: w.accounts}
}

func (w *world) errorEnv() ErrorEnv {
	return ErrorEnv{AccountEnv: w.accountEnv(), Breaker: w.breaker, Err: w.err}
}

// setPath assigns a value to a field by its path in expressions. v is a struct
// or map.
func setPath(v reflect.Value, path string, val any) error {
	head, rest, nested := strings.Cut(path, ".")
	if v.Kind() == reflect.Map {
		return setInMap(v, path, val)
	}
	for i := 0; i < v.NumField(); i++ {
		if v.Type().Field(i).Tag.Get("expr") != head {
			continue
		}
		f := v.Field(i)
		if !nested {
			return assign(f, val)
		}
		switch f.Kind() {
		case reflect.Struct:
			return setPath(f, rest, val)
		case reflect.Map:
			if f.IsNil() {
				f.Set(reflect.MakeMap(f.Type()))
			}
			return setInMap(f, rest, val)
		}
		return fmt.Errorf("%s has no fields", head)
	}
	return fmt.Errorf("no field %s%s", head, didYouMean(head, fieldNames(v.Type())))
}

// setInMap sets an entry; in maps of any the path creates inner maps.
func setInMap(m reflect.Value, path string, val any) error {
	head, rest, nested := strings.Cut(path, ".")
	if m.Type().Elem().Kind() != reflect.Interface {
		m.SetMapIndex(reflect.ValueOf(path), reflect.ValueOf(fmt.Sprint(val)))
		return nil
	}
	if !nested {
		m.SetMapIndex(reflect.ValueOf(head), reflect.ValueOf(&val).Elem())
		return nil
	}
	inner := map[string]any{}
	if old := m.MapIndex(reflect.ValueOf(head)); old.IsValid() {
		if existing, ok := old.Interface().(map[string]any); ok {
			inner = existing
		}
	}
	m.SetMapIndex(reflect.ValueOf(head), reflect.ValueOf(inner))
	return setInMap(reflect.ValueOf(inner), rest, val)
}

func assign(f reflect.Value, val any) error {
	wrong := fmt.Errorf("cannot put %v (%T) into a field of type %s", val, val, f.Type())
	switch f.Kind() {
	case reflect.Bool:
		b, ok := val.(bool)
		if !ok {
			return wrong
		}
		f.SetBool(b)
	case reflect.Int:
		n, err := number(val)
		if err != nil || n != math.Trunc(n) {
			return wrong
		}
		f.SetInt(int64(n))
	case reflect.Float64:
		n, err := number(val)
		if err != nil {
			return wrong
		}
		f.SetFloat(n)
	case reflect.String:
		if _, isMap := val.(map[string]any); isMap || val == nil {
			return wrong
		}
		f.SetString(fmt.Sprint(val))
	case reflect.Pointer:
		if val == nil {
			f.SetZero()
			return nil
		}
		n, err := number(val)
		if err != nil {
			return wrong
		}
		f.Set(reflect.ValueOf(&n))
	case reflect.Slice:
		list, ok := val.([]any)
		if !ok {
			return wrong
		}
		out := make([]string, len(list))
		for i, x := range list {
			out[i] = fmt.Sprint(x)
		}
		f.Set(reflect.ValueOf(out))
	case reflect.Map, reflect.Struct:
		m, ok := val.(map[string]any)
		if !ok {
			return wrong
		}
		if f.Kind() == reflect.Map {
			f.Set(reflect.MakeMap(f.Type()))
		}
		for _, k := range sortedKeys(m) {
			if err := setEntry(f, k, m[k]); err != nil {
				return err
			}
		}
	default:
		return wrong
	}
	return nil
}

// setEntry sets a key of a map as it is, also with dots in it, or a field.
func setEntry(f reflect.Value, key string, val any) error {
	if f.Kind() == reflect.Struct {
		return setPath(f, key, val)
	}
	if f.Type().Elem().Kind() == reflect.Interface {
		f.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(&val).Elem())
		return nil
	}
	f.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(fmt.Sprint(val)))
	return nil
}
