package call

import "time"

// ResetAfter says at the end of a message when to come back, in whole seconds;
// "" where nobody knows.
func ResetAfter(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return " (reset after " + (d + time.Second - time.Nanosecond).Truncate(time.Second).String() + ")"
}
