package doc

import (
	"slices"
	"strconv"
)

// Set appends json to dst with the value at path replaced by raw. A missing
// object member is added at the end of its object, with the objects that lead
// to it; an array takes one element more at the index that is its length. All
// other bytes stay as they are. If the path cannot be followed, Set appends
// json unchanged and reports false.
func Set(dst, json, raw []byte, path ...string) ([]byte, bool) {
	i := skipSpace(json, 0)
	if len(path) == 0 {
		return append(dst, raw...), true
	}
	for n, step := range path {
		m, ok := child(json, i, step)
		if !ok {
			return insert(dst, json, raw, i, path[n:])
		}
		i = m.start
		if n == len(path)-1 {
			dst = slices.Grow(dst, len(json)+len(raw))
			dst = append(dst, json[:m.start]...)
			dst = append(dst, raw...)
			return append(dst, json[m.end:]...), true
		}
	}
	return append(dst, json...), false
}

// insert adds path[0], which is not there yet, to the container at i.
func insert(dst, json, raw []byte, i int, path []string) ([]byte, bool) {
	count, end := 0, i+1
	_, ok := walk(json, i, func(m member) bool {
		count++
		end = m.end
		return true
	})
	if !ok || json[i] == '[' && path[0] != strconv.Itoa(count) {
		return append(dst, json...), false
	}
	dst = slices.Grow(dst, len(json)+len(raw)+16*len(path))
	dst = append(dst, json[:end]...)
	if count > 0 {
		dst = append(dst, ',')
	}
	if json[i] == '{' {
		dst = append(Quote(dst, path[0]), ':')
	}
	for _, step := range path[1:] {
		dst = append(Quote(append(dst, '{'), step), ':')
	}
	dst = append(dst, raw...)
	for range path[1:] {
		dst = append(dst, '}')
	}
	return append(dst, json[end:]...), true
}

// Delete appends json to dst without the member or element at path, and
// reports whether there was one. All other bytes stay as they are.
func Delete(dst, json []byte, path ...string) ([]byte, bool) {
	var m member
	ok := len(path) > 0
	i := skipSpace(json, 0)
	for n := 0; ok && n < len(path); n++ {
		m, ok = child(json, i, path[n])
		i = m.start
	}
	if !ok {
		return append(dst, json...), false
	}
	from, to := m.start, m.end
	if m.keyEnd > 0 {
		from = m.keyStart - 1
	}
	if m.comma >= 0 {
		from = m.comma
	} else if next := skipSpace(json, m.end); next < len(json) && json[next] == ',' {
		to = skipSpace(json, next+1)
	}
	dst = append(dst, json[:from]...)
	return append(dst, json[to:]...), true
}
