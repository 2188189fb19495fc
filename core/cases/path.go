package cases

import (
	"fmt"
	"strconv"
	"strings"
)

// step is one part of a path: a member, an element, or all of either.
type step struct {
	key   string
	index int
	kind  byte // 'k', 'i' or '*'
}

// parsePath reads `a.b[0].c[*]`.
func parsePath(path string) ([]step, error) {
	if path == "" {
		return nil, fmt.Errorf("empty path")
	}
	var steps []step
	for i, part := range strings.Split(path, ".") {
		key, rest := part, ""
		if j := strings.IndexByte(part, '['); j >= 0 {
			key, rest = part[:j], part[j:]
		}
		switch {
		case key != "":
			steps = append(steps, step{kind: 'k', key: key})
		case i > 0 || rest == "":
			return nil, fmt.Errorf("path %q has an empty key", path)
		}
		for rest != "" {
			end := strings.IndexByte(rest, ']')
			if rest[0] != '[' || end < 0 {
				return nil, fmt.Errorf("path %q has a bad index", path)
			}
			inner := rest[1:end]
			rest = rest[end+1:]
			if inner == "*" {
				steps = append(steps, step{kind: '*'})
				continue
			}
			n, err := strconv.Atoi(inner)
			if err != nil || n < 0 {
				return nil, fmt.Errorf("path %q has a bad index", path)
			}
			steps = append(steps, step{kind: 'i', index: n})
		}
	}
	return steps, nil
}

// Select returns the values that a path names, in document order. `[*]` takes
// all elements of an array or all values of an object.
func Select(v Value, path string) ([]Value, error) {
	steps, err := parsePath(path)
	if err != nil {
		return nil, err
	}
	found := []Value{v}
	for _, s := range steps {
		var next []Value
		for _, x := range found {
			switch s.kind {
			case 'k':
				if m, ok := x.Get(s.key); ok {
					next = append(next, m)
				}
			case 'i':
				if s.index < len(x.Items) {
					next = append(next, x.Items[s.index])
				}
			default:
				next = append(next, x.Items...)
				for _, m := range x.Members {
					next = append(next, m.Value)
				}
			}
		}
		found = next
	}
	return found, nil
}
