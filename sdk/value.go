package sdk

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/jsn"
)

// JSON is a raw JSON value. The zero value stands for an absent one; every
// method works on it.
type JSON []byte

// Get follows a dotted path of object members.
func (v JSON) Get(path string) JSON {
	if len(v) == 0 {
		return nil
	}
	raw := []byte(jsn.Trim(v))
	for path != "" && raw != nil {
		name, rest, _ := strings.Cut(path, ".")
		raw, path = jsn.Get(raw, name), rest
	}
	return raw
}

// Exists reports whether the value is there and not null.
func (v JSON) Exists() bool { return !jsn.IsNull(v) }

// Text returns the content of a string, the digits of a number, and "" for
// anything else.
func (v JSON) Text() string {
	switch jsn.KindOf(v) {
	case jsn.String:
		return jsn.StrOf(v).String()
	case jsn.Number:
		return string(v)
	}
	return ""
}

// Is reports whether the value is the given string.
func (v JSON) Is(s string) bool { return jsn.KindOf(v) == jsn.String && jsn.StrOf(v).Is(s) }

// Int returns an integer, 0 for anything else.
func (v JSON) Int() int64 {
	n, _ := jsn.Int(v)
	return n
}

// True reports whether the value is the literal true.
func (v JSON) True() bool { return jsn.IsTrue(v) }

// Each calls f for every element of an array.
func (v JSON) Each(f func(JSON)) {
	for it := jsn.Array(v); it.Next(); {
		f(it.Value())
	}
}

// Members calls f for every member of an object.
func (v JSON) Members(f func(name string, value JSON)) {
	for it := jsn.Object(v); it.Next(); {
		f(string(it.Key()), it.Value())
	}
}

// Quote returns s as a JSON string.
func Quote(s string) JSON { return jsn.AppendString(nil, s) }
