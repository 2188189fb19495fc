package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// String is the size in the largest binary unit that divides it.
func (s Size) String() string {
	n := int64(s)
	for _, u := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n != 0 && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

var sizeUnits = map[string]float64{
	"": 1, "b": 1,
	"k": 1 << 10, "kb": 1000, "kib": 1 << 10,
	"m": 1 << 20, "mb": 1000_000, "mib": 1 << 20,
	"g": 1 << 30, "gb": 1000_000_000, "gib": 1 << 30,
	"t": 1 << 40, "tb": 1000_000_000_000, "tib": 1 << 40,
}

// ParseSize reads 64MiB, 10MB, 512k or a plain number of bytes.
func ParseSize(s string) (Size, error) {
	s = strings.TrimSpace(s)
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.') {
		i++
	}
	n, err := strconv.ParseFloat(s[:i], 64)
	unit, ok := sizeUnits[strings.ToLower(strings.TrimSpace(s[i:]))]
	if err != nil || !ok || n*unit > math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is not a size such as 64MiB", s)
	}
	return Size(n * unit), nil
}

// ParseDuration reads Go durations and, in front of them, days and weeks: 30s,
// 1h30m, 7d, 2w.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a duration such as 30s, 5m or 7d", s)
	rest := strings.TrimSpace(s)
	var total time.Duration
	for _, u := range []struct {
		name string
		size time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		head, tail, found := strings.Cut(rest, u.name)
		if !found {
			continue
		}
		n, err := strconv.ParseFloat(head, 64)
		if err != nil || n < 0 || n > 1e5 {
			return 0, bad
		}
		total += time.Duration(n * float64(u.size))
		rest = tail
	}
	if rest == "" && total > 0 {
		return total, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, bad
	}
	return total + d, nil
}

// nearest finds the name that was probably meant, "" if none is close.
func nearest(name string, known []string) string {
	best, score := "", max(1, min(3, len(name)/3))+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), k); d < score {
			best, score = k, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b (optimal string alignment).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
