package config

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// Keys lists every key that a file may hold, in order, outside "policies". "*"
// stands for a name the operator chooses and for the entries of a list.
func Keys() []string {
	return slices.Sorted(slices.Values(keys(reflect.TypeFor[File](), "")))
}

func keys(t reflect.Type, path string) []string {
	switch t.Kind() {
	case reflect.Pointer:
		return keys(t.Elem(), path)
	case reflect.Map, reflect.Slice:
		if e := t.Elem(); e.Kind() == reflect.Struct || e.Kind() == reflect.Map || e.Kind() == reflect.Slice {
			return keys(e, path+".*")
		}
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			break
		}
		names, at := fields(t)
		var out []string
		for _, name := range names {
			out = append(out, keys(t.Field(at[name]).Type, strings.TrimPrefix(path+"."+name, "."))...)
		}
		if rest := inlined(t); rest >= 0 {
			out = append(out, keys(t.Field(rest).Type, path)...)
		}
		for _, hook := range ownHooks(strings.ReplaceAll(path, ".", sep)) {
			out = append(out, path+"."+hook)
		}
		return out
	}
	return []string{path}
}
