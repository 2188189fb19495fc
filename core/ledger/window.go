package ledger

import (
	"fmt"
	"time"
)

// Unit is what a budget counts.
type Unit string

// The units.
const (
	USD      Unit = "usd" // nano-USD
	Tokens   Unit = "tokens"
	Requests Unit = "requests"
)

// Window is a span of time that ends now.
type Window struct {
	// Period is minute, hour, day, week, month, total (also "once"), or ""
	// for a rolling window.
	Period string
	// Rolling is the length of a rolling window.
	Rolling time.Duration
	// ResetHour and ResetMinute move the start of a day, week or month.
	ResetHour, ResetMinute int
	// Location of calendar windows; nil = that of the ledger.
	Location *time.Location
}

// longestRolling is how far back buckets reach.
const longestRolling = 400 * 24 * time.Hour

// ParseWindow reads the name of a period, or a length such as 30m, 5h or 7d.
func ParseWindow(s string) (Window, error) {
	switch s {
	case "minute", "hour", "day", "week", "month", "total":
		return Window{Period: s}, nil
	case "once", "":
		return Window{Period: "total"}, nil
	}
	if n := len(s) - 1; s[n] == 'd' {
		var days int
		if _, err := fmt.Sscanf(s[:n], "%d", &days); err == nil && days > 0 && days <= 400 && fmt.Sprint(days) == s[:n] {
			return Window{Rolling: time.Duration(days) * 24 * time.Hour}, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 || d > longestRolling {
		return Window{}, fmt.Errorf("ledger: %q is not a window: want minute, hour, day, week, month, total or a length such as 5h", s)
	}
	return Window{Rolling: d}, nil
}

// Start is when the window that holds now began; zero for "total".
func (w Window) Start(now time.Time) time.Time {
	if w.Period == "" {
		return now.Add(-w.Rolling)
	}
	loc := w.location()
	t := now.In(loc)
	switch w.Period {
	case "minute":
		return now.Truncate(time.Minute)
	case "hour":
		return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), 0, 0, 0, loc)
	case "total":
		return time.Time{}
	}
	s := w.at(t.Year(), t.Month(), w.firstDay(t))
	if s.After(t) { // before the reset of this day: the period before
		switch w.Period {
		case "week":
			s = w.at(s.Year(), s.Month(), s.Day()-7)
		case "month":
			s = w.at(t.Year(), t.Month()-1, 1)
		default:
			s = w.at(t.Year(), t.Month(), t.Day()-1)
		}
	}
	return s
}

// firstDay is the day of the month on which the period of t begins.
func (w Window) firstDay(t time.Time) int {
	switch w.Period {
	case "week":
		return t.Day() - (int(t.Weekday())+6)%7 // Monday
	case "month":
		return 1
	default:
		return t.Day()
	}
}

func (w Window) at(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, w.ResetHour, w.ResetMinute, 0, 0, w.location())
}

// End is when the present window ends; zero for "total" and rolling windows.
func (w Window) End(now time.Time) time.Time {
	s := w.Start(now)
	switch w.Period {
	case "minute":
		return s.Add(time.Minute)
	case "hour":
		return s.Add(time.Hour)
	case "day":
		return w.at(s.Year(), s.Month(), s.Day()+1)
	case "week":
		return w.at(s.Year(), s.Month(), s.Day()+7)
	case "month":
		return w.at(s.Year(), s.Month()+1, 1)
	}
	return time.Time{}
}

func (w Window) location() *time.Location {
	if w.Location == nil {
		return time.UTC
	}
	return w.Location
}

// plain reports a window that whole UTC buckets answer.
func (w Window) plain() bool {
	if w.Period == "" || w.Period == "minute" || w.Period == "total" {
		return true
	}
	loc := w.location()
	return (loc == time.UTC || loc.String() == "UTC") && (w.Period == "hour" || w.ResetHour == 0 && w.ResetMinute == 0)
}

// key names a window inside a scope.
func (w Window) key() string {
	if w.Period == "" {
		return w.Rolling.String()
	}
	if w.plain() {
		return w.Period
	}
	return fmt.Sprintf("%s %02d:%02d %s", w.Period, w.ResetHour, w.ResetMinute, w.location())
}
