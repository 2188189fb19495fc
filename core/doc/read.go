package doc

import (
	"bytes"
	"strconv"
)

// The readers take JSON that Elide or Valid accepted, or a part of it. On
// other bytes they find what they find, and never panic.

func skipSpace(json []byte, i int) int {
	for i < len(json) && (json[i] == ' ' || json[i] == '\n' || json[i] == '\r' || json[i] == '\t') {
		i++
	}
	return i
}

// skipValue returns the offset behind the value at i, -1 if there is none.
func skipValue(json []byte, i int) int {
	if i >= len(json) {
		return -1
	}
	switch json[i] {
	case '"':
		end := skipString(json, i+1)
		if end < 0 {
			return -1
		}
		return end + 1
	case '{', '[':
		return skipContainer(json, i)
	}
	start := i
	for i < len(json) {
		switch json[i] {
		case ',', ']', '}', ':', '"', '{', '[', ' ', '\n', '\r', '\t':
			if i == start {
				return -1
			}
			return i
		}
		i++
	}
	return i
}

func skipContainer(json []byte, i int) int {
	depth := 0
	for i < len(json) {
		switch json[i] {
		case '"':
			if i = skipString(json, i+1); i < 0 {
				return -1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return -1
}

// member is one element of an object or array with its place in the JSON.
type member struct {
	keyStart, keyEnd int // raw key without quotes; 0, 0 in an array
	start, end       int // value
	comma            int // the comma before it, -1 for the first
}

// walk calls yield for each element of the object or array at i until yield
// returns false. It returns the offset of the closing bracket and whether all
// went well; after a stop by yield the offset means nothing.
func walk(json []byte, i int, yield func(m member) bool) (closing int, ok bool) {
	if i >= len(json) || json[i] != '{' && json[i] != '[' {
		return 0, false
	}
	object, close := json[i] == '{', json[i]+2 // ASCII: {} and [] are two apart
	comma := -1
	i = skipSpace(json, i+1)
	if i < len(json) && json[i] == close {
		return i, true
	}
	for {
		m := member{comma: comma}
		if object {
			if i >= len(json) || json[i] != '"' {
				return 0, false
			}
			m.keyStart = i + 1
			if m.keyEnd = skipString(json, i+1); m.keyEnd < 0 {
				return 0, false
			}
			i = skipSpace(json, m.keyEnd+1)
			if i >= len(json) || json[i] != ':' {
				return 0, false
			}
			i = skipSpace(json, i+1)
		}
		m.start = i
		if m.end = skipValue(json, i); m.end < 0 {
			return 0, false
		}
		if !yield(m) {
			return 0, true
		}
		i = skipSpace(json, m.end)
		switch {
		case i < len(json) && json[i] == close:
			return i, true
		case i < len(json) && json[i] == ',':
			comma = i
			i = skipSpace(json, i+1)
		default:
			return 0, false
		}
	}
}

// child finds the element of the container at i that step names.
func child(json []byte, i int, step string) (found member, ok bool) {
	if i >= len(json) {
		return found, false
	}
	n, index := -1, 0
	if json[i] == '[' {
		var err error
		if n, err = strconv.Atoi(step); err != nil || n < 0 {
			return found, false
		}
	}
	walk(json, i, func(m member) bool {
		if n >= 0 {
			ok = index == n
			index++
		} else {
			ok = keyIs(json[m.keyStart:m.keyEnd], step)
		}
		if ok {
			found = m
		}
		return !ok
	})
	return found, ok
}

// keyIs compares a raw key with a name.
func keyIs(raw []byte, name string) bool {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw) == name
	}
	return string(unescape(nil, raw)) == name
}

// Get returns the raw JSON value at path. Steps are keys of objects and
// decimal indexes into arrays; no steps give the whole value.
func Get(json []byte, path ...string) (raw []byte, ok bool) {
	i := skipSpace(json, 0)
	if len(path) == 0 {
		end := skipValue(json, i)
		if end < 0 {
			return nil, false
		}
		return json[i:end], true
	}
	var m member
	for _, step := range path {
		if m, ok = child(json, i, step); !ok {
			return nil, false
		}
		i = m.start
	}
	return json[m.start:m.end], true
}

// String returns the string at path, unescaped.
func String(json []byte, path ...string) (string, bool) {
	raw, ok := Get(json, path...)
	if !ok || len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	raw = raw[1 : len(raw)-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw), true
	}
	return string(unescape(nil, raw)), true
}

// Int returns the number at path if it is written as an integer that fits, or
// as a float with an integral value below 2^53.
func Int(json []byte, path ...string) (int64, bool) {
	raw, ok := Get(json, path...)
	if !ok {
		return 0, false
	}
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return n, true
	}
	f, ok := number(raw)
	if !ok || f != float64(int64(f)) || f > 1<<53 || f < -1<<53 {
		return 0, false
	}
	return int64(f), true
}

// Float returns the number at path.
func Float(json []byte, path ...string) (float64, bool) {
	raw, ok := Get(json, path...)
	if !ok {
		return 0, false
	}
	return number(raw)
}

func number(raw []byte) (float64, bool) {
	if len(raw) == 0 || raw[0] != '-' && raw[0]-'0' > 9 {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	return f, err == nil
}

// Bool returns the boolean at path.
func Bool(json []byte, path ...string) (value, ok bool) {
	raw, ok := Get(json, path...)
	if !ok {
		return false, false
	}
	switch string(raw) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// Scan calls yield for each member of the object json, with the unescaped key
// and the raw value, until yield returns false. It reports whether json is an
// object and was well-formed as far as it was read. The key is valid only
// during the call.
func Scan(json []byte, yield func(key, raw []byte) bool) bool {
	i := skipSpace(json, 0)
	if i >= len(json) || json[i] != '{' {
		return false
	}
	_, ok := walk(json, i, func(m member) bool {
		key := json[m.keyStart:m.keyEnd]
		if bytes.IndexByte(key, '\\') >= 0 {
			key = unescape(nil, key)
		}
		return yield(key, json[m.start:m.end])
	})
	return ok
}

// Each calls yield for each element of the array json until yield returns
// false. It reports whether json is an array and was well-formed as far as it
// was read.
func Each(json []byte, yield func(i int, raw []byte) bool) bool {
	i := skipSpace(json, 0)
	if i >= len(json) || json[i] != '[' {
		return false
	}
	n := -1
	_, ok := walk(json, i, func(m member) bool {
		n++
		return yield(n, json[m.start:m.end])
	})
	return ok
}
