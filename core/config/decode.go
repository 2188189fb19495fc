package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// later names sections of other releases, so that they are refused with better
// words than "unknown".
var later = []string{"cli", "cloud", "evals"}

var (
	typeDuration = reflect.TypeFor[time.Duration]()
	typeTime     = reflect.TypeFor[time.Time]()
	typeSize     = reflect.TypeFor[Size]()
	typeRequire  = reflect.TypeFor[RequireKeys]()
	typePos      = reflect.TypeFor[Pos]()
	typeAlias    = reflect.TypeFor[Alias]()
	typeMember   = reflect.TypeFor[ComboMember]()
	typeLink     = reflect.TypeFor[ChainLink]()
)

// decode fills dst from the merged tree; every mismatch becomes a diagnostic at
// the place of the value.
func (r *reader) decode(path string, v any, dst reflect.Value) {
	if v == nil {
		return
	}
	switch dst.Type() {
	case typeDuration:
		r.text(path, v, "a duration such as 30s", func(s string) error {
			d, err := ParseDuration(s)
			dst.SetInt(int64(d))
			return err
		})
		return
	case typeSize:
		if n, ok := v.(int64); ok && n >= 0 {
			dst.SetInt(n)
			return
		}
		r.text(path, v, "a size such as 64MiB", func(s string) error {
			n, err := ParseSize(s)
			dst.SetInt(int64(n))
			return err
		})
		return
	case typeTime:
		r.text(path, v, "a date such as 2026-12-31", func(s string) error {
			t, err := parseTime(s)
			dst.Set(reflect.ValueOf(t))
			return err
		})
		return
	case typeRequire:
		if b, ok := v.(bool); ok {
			v = strconv.FormatBool(b)
		}
	case typeAlias, typeMember:
		if s, ok := v.(string); ok { // the short form is the first field alone
			dst.Field(0).Set(reflect.ValueOf(r.entity(path)))
			dst.Field(1).SetString(s)
			return
		}
	case typeLink:
		if s, ok := v.(string); ok {
			link := ChainLink{Pos: r.entity(path), Provider: s, Enabled: true}
			if strings.Contains(s, "/") {
				link.Provider, link.Model = "", s
			}
			dst.Set(reflect.ValueOf(link))
			return
		}
	}
	switch dst.Kind() {
	case reflect.Pointer:
		dst.Set(reflect.New(dst.Type().Elem()))
		r.decode(path, v, dst.Elem())
	case reflect.Struct:
		r.structure(path, v, dst)
	case reflect.Map:
		r.dictionary(path, v, dst)
	case reflect.Slice:
		r.list(path, v, dst)
	case reflect.Interface:
		dst.Set(reflect.ValueOf(v))
	default:
		r.basic(path, v, dst)
	}
}

func (r *reader) text(path string, v any, want string, set func(string) error) {
	s, ok := v.(string)
	if !ok {
		r.mismatch(path, want, v)
		return
	}
	if err := set(s); err != nil {
		r.failAt(path, "%s: %v", shown(path), err)
	}
}

func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date such as 2026-12-31 or 2026-12-31T18:00:00Z", s)
}

func (r *reader) mismatch(path, want string, v any) {
	r.failAt(path, "%s: want %s, got %s", shown(path), want, described(v))
}

func described(v any) string {
	switch v := v.(type) {
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	case string:
		return "text"
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return "the number " + strconv.FormatInt(v, 10)
	case float64:
		return "the number " + strconv.FormatFloat(v, 'g', -1, 64)
	default:
		return "nothing"
	}
}

// entity is the place of a named thing: of its name if it has one.
func (r *reader) entity(path string) Pos {
	if p, ok := r.pos[path+keyMark]; ok {
		return p
	}
	return r.pos[path]
}

// inline is the tag of a map that takes the keys of a struct that have no field.
const inline = ",inline"

// inlined is the index of such a map, -1 if there is none.
func inlined(t reflect.Type) int {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("yaml") == inline {
			return i
		}
	}
	return -1
}

// fields lists the keys of a struct in order.
func fields(t reflect.Type) (names []string, index map[string]int) {
	index = map[string]int{}
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" && name != "-" && name != inline {
			names = append(names, name)
			index[name] = i
		}
	}
	return names, index
}

func (r *reader) structure(path string, v any, dst reflect.Value) {
	t := dst.Type()
	for i := range t.NumField() {
		if t.Field(i).Type == typePos {
			dst.Field(i).Set(reflect.ValueOf(r.entity(path)))
		}
		if t.Field(i).Tag.Get("default") == "true" {
			dst.Field(i).SetBool(true)
		}
	}
	m, ok := v.(map[string]any)
	if !ok {
		r.mismatch(path, "a mapping", v)
		return
	}
	names, index := fields(t)
	hooks := ownHooks(path)
	names = append(names, hooks...)
	for _, k := range sortedKeys(m) {
		i, known := index[k]
		if !known && slices.Contains(hooks, k) {
			if rules, ok := r.own(join(path, k), m[k]); ok {
				own := dst.FieldByName("Own")
				if own.IsNil() {
					own.Set(reflect.ValueOf(map[string]Rules{}))
				}
				own.SetMapIndex(reflect.ValueOf(k), reflect.ValueOf(rules))
			}
			continue
		}
		if rest := inlined(t); !known && rest >= 0 {
			r.entry(path, k, m[k], dst.Field(rest))
			continue
		}
		if !known {
			r.unknown(path, k, names)
			continue
		}
		r.decode(join(path, k), m[k], dst.Field(i))
	}
}

func (r *reader) unknown(path, key string, names []string) {
	child := join(path, key)
	r.broken[child] = true
	where, ok := r.pos[child+keyMark]
	if !ok {
		where = r.pos[child]
	}
	switch near := nearest(key, names); {
	case path == "" && slices.Contains(later, key):
		r.fail(where, "section %q is not supported by this version", key)
	case near != "":
		r.fail(where, "unknown key %q, did you mean %q?", shown(child), near)
	default:
		r.fail(where, "unknown key %q (known here: %s)", shown(child), strings.Join(names, ", "))
	}
}

func (r *reader) dictionary(path string, v any, dst reflect.Value) {
	m, ok := v.(map[string]any)
	if !ok {
		r.mismatch(path, "a mapping", v)
		return
	}
	dst.Set(reflect.MakeMapWithSize(dst.Type(), len(m)))
	for _, k := range sortedKeys(m) {
		r.entry(path, k, m[k], dst)
	}
}

// entry decodes one entry of a map.
func (r *reader) entry(path, k string, v any, dst reflect.Value) {
	if k == "" {
		r.failAt(join(path, k), "%s: a name must not be empty", shown(path))
		return
	}
	if dst.IsNil() {
		dst.Set(reflect.MakeMap(dst.Type()))
	}
	item := reflect.New(dst.Type().Elem()).Elem()
	r.decode(join(path, k), v, item)
	dst.SetMapIndex(reflect.ValueOf(k), item)
}

func (r *reader) list(path string, v any, dst reflect.Value) {
	items, ok := v.([]any)
	if s, isText := v.(string); isText && r.fromEnv[path] {
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part != "" {
				items = append(items, part)
			}
		}
		ok = true
	}
	if !ok {
		r.mismatch(path, "a list", v)
		return
	}
	dst.Set(reflect.MakeSlice(dst.Type(), len(items), len(items)))
	for i, item := range items {
		child := join(path, strconv.Itoa(i))
		if r.fromEnv[path] {
			r.pos[child] = r.pos[path]
		}
		if item == nil {
			r.failAt(child, "%s: the entry is empty", shown(child))
			continue
		}
		r.decode(child, item, dst.Index(i))
	}
}

func (r *reader) basic(path string, v any, dst reflect.Value) {
	s, isText := v.(string)
	env := isText && r.fromEnv[path]
	switch dst.Kind() {
	case reflect.String:
		if !isText {
			r.failAt(path, "%s: want text, got %s (quote it)", shown(path), described(v))
			return
		}
		dst.SetString(s)
	case reflect.Bool:
		b, ok := v.(bool)
		if env {
			b, ok = parseBool(s)
		}
		if !ok {
			r.mismatch(path, "true or false", v)
			return
		}
		dst.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, ok := v.(int64)
		if f, isFloat := v.(float64); isFloat && f == float64(int64(f)) {
			n, ok = int64(f), true
		}
		if env {
			var err error
			n, err = strconv.ParseInt(s, 10, 64)
			ok = err == nil
		}
		if !ok || dst.OverflowInt(n) {
			r.mismatch(path, "a whole number", v)
			return
		}
		dst.SetInt(n)
	case reflect.Float64:
		f, ok := v.(float64)
		if n, isInt := v.(int64); isInt {
			f, ok = float64(n), true
		}
		if env {
			var err error
			f, err = strconv.ParseFloat(s, 64)
			ok = err == nil
		}
		if !ok || f != f {
			r.mismatch(path, "a number", v)
			return
		}
		dst.SetFloat(f)
	}
}

func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "1", "true", "yes", "on":
		return true, true
	case "0", "false", "no", "off", "":
		return false, true
	}
	return false, false
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
