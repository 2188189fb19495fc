package caps

// Effort levels, weakest first.
const (
	None    = "none"
	Minimal = "minimal"
	Low     = "low"
	Medium  = "medium"
	High    = "high"
	XHigh   = "xhigh"
	Max     = "max"
)

type step struct {
	level  string
	budget int64 // tokens the level stands for
	upTo   int64 // largest budget that reads as this level
}

// ladder is the table of levels and budgets (H-2). No budget reads as max.
func ladder() [7]step {
	return [7]step{{None, 0, 0}, {Minimal, 512, 512}, {Low, 1024, 1024}, {Medium, 8192, 8192},
		{High, 24576, 24576}, {XHigh, 32768, 1 << 62}, {Max, 128000, 1 << 62}}
}

// rank returns the place on the ladder; none counts as minimal. -1 = not a level.
func rank(level string) int {
	for i, s := range ladder() {
		if s.level == level {
			return max(i, 1)
		}
	}
	return -1
}

// Known tells whether level is one of the ladder's.
func Known(level string) bool { return rank(level) > 0 }

// AtLeast tells whether level stands at or above floor on the ladder.
func AtLeast(level, floor string) bool { return rank(level) >= rank(floor) }

// Budget returns the tokens a level stands for; a name that is no level counts as
// medium.
func Budget(level string) int64 {
	for _, s := range ladder() {
		if s.level == level {
			return s.budget
		}
	}
	return 8192
}

// Level returns the level a budget reads as.
func Level(budget int64) string {
	for _, s := range ladder() {
		if budget <= s.upTo {
			return s.level
		}
	}
	return XHigh
}

// Nearest moves level to the closest of levels (ascending), the lower one on a
// tie. A name that is no level, or an empty list, leaves it as it is.
func Nearest(level string, levels []string) string {
	at := rank(level)
	if at < 0 || len(levels) == 0 {
		return level
	}
	best, dist := level, 1<<30
	for _, l := range levels {
		if l == level {
			return l
		}
		d := rank(l) - at
		if d < 0 {
			d = -d
		}
		if d < dist {
			best, dist = l, d
		}
	}
	return best
}
