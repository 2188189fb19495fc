package ledger

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/omniroute/omniroute/core/state"
)

// Step is the width of the points of a series.
type Step string

// The steps. A whole span is one point.
const (
	StepMinute Step = "minute"
	StepHour   Step = "hour"
	StepDay    Step = "day"
	StepMonth  Step = "month"
	StepAll    Step = ""
)

// UsageQuery asks for usage between two moments, broken down by dimensions.
type UsageQuery struct {
	From, To time.Time // To zero = now; both are widened to whole steps
	Step     Step
	By       []Dimension
	// Where keeps only tuples with these values.
	Where map[Dimension]string
}

// Point is the usage of one step and one combination of the asked dimensions.
type Point struct {
	Start time.Time `json:"start"`
	By    []string  `json:"by,omitempty"` // in the order of the query
	Totals
}

// maxPoints bounds the answer of one query.
const maxPoints = 100_000

// Usage reads the roll-ups: its cost is that of the buckets in the span, however
// many requests there were. Points come in order of time, then of values.
//
// Minutes are kept for 3 hours, hours for 35 days, days for 400 days and months
// for five years; a whole span is widened to the finest of them that reach back
// to its ends. Buckets follow UTC.
func (l *Ledger) Usage(ctx context.Context, q UsageQuery) ([]Point, error) {
	now := l.opt.Now()
	if q.To.IsZero() {
		q.To = now.Add(time.Second)
	}
	spans, err := q.spans(now)
	if err != nil {
		return nil, err
	}
	u := usageReader{q: q, points: map[string]*Point{}}
	for _, sp := range spans {
		if err := u.read(ctx, l.store, sp); err != nil {
			return nil, err
		}
	}
	return u.sorted(), nil
}

// span is a run of buckets: [from, to).
type span struct {
	tier     tier
	from, to int64
}

// spans chooses the buckets that answer the query.
func (q *UsageQuery) spans(now time.Time) ([]span, error) {
	whole := func(r tier) []span {
		return []span{{r, r.index(q.From), r.index(q.To.Add(-time.Nanosecond)) + 1}}
	}
	switch q.Step {
	case StepMinute:
		return whole(minutes), nil
	case StepHour:
		return whole(hours), nil
	case StepDay:
		return whole(days), nil
	case StepMonth:
		return whole(months), nil
	case StepAll:
	default:
		return nil, fmt.Errorf("ledger: %q is not a step: want minute, hour, day or month", q.Step)
	}
	if now.Sub(q.From) <= rollTTL[minutes] {
		return whole(minutes), nil
	}
	// Whole months and days from their own buckets, the ends from finer ones as
	// far back as there are any.
	var out []span
	at, end := q.From, q.To
	add := func(r tier, to time.Time) {
		if to.After(end) {
			to = end
		}
		if sp := (span{r, r.index(at), r.index(to.Add(-time.Nanosecond)) + 1}); at.Before(to) && sp.from < sp.to {
			out = append(out, sp)
			at = r.start(sp.to)
		}
	}
	if now.Sub(at) <= rollTTL[hours] {
		add(hours, days.start(days.index(at.Add(24*time.Hour-time.Nanosecond))))
	}
	if now.Sub(at) <= rollTTL[days] {
		next := months.start(months.index(at) + 1)
		if lastMonth := months.start(months.index(end)); next.Before(lastMonth) {
			add(days, next)
			add(months, lastMonth)
		}
		add(days, days.start(days.index(end)))
		add(hours, end)
		return out, nil
	}
	add(months, end)
	return out, nil
}

// start is when a bucket begins.
func (r tier) start(index int64) time.Time {
	switch r {
	case minutes:
		return time.Unix(index*60, 0).UTC()
	case hours:
		return time.Unix(index*3600, 0).UTC()
	case days:
		return time.Unix(index*86400, 0).UTC()
	default:
		return time.Date(int(index/12), time.Month(index%12+1), 1, 0, 0, 0, 0, time.UTC)
	}
}

type usageReader struct {
	q      UsageQuery
	points map[string]*Point
	key    []byte
}

// read adds a span.
func (u *usageReader) read(ctx context.Context, s state.Store, sp span) error {
	prefix := state.Prefix(kindRoll, tierName[sp.tier])
	return s.Scan(ctx, state.Query{Prefix: prefix, After: prefix + indexText(max(sp.from, 0))}, func(e state.Entry) error {
		segments, ok := state.Segments(prefix, e.Key)
		if !ok || len(segments) != 1+int(dimensions) {
			return nil
		}
		index, ok := parseIndex(segments[0])
		if !ok || index >= sp.to {
			return state.ErrStop
		}
		return u.add(sp.tier.start(index), segments[1:], e.Value)
	})
}

func (u *usageReader) add(start time.Time, values []string, raw []byte) error {
	for d, want := range u.q.Where {
		if values[d] != want {
			return nil
		}
	}
	var t Totals
	if !t.addStored(raw) {
		return nil // damaged: the others still say something
	}
	u.key = u.key[:0]
	if u.q.Step != StepAll {
		u.key = binary.BigEndian.AppendUint64(u.key, uint64(start.Unix()))
	}
	for _, d := range u.q.By {
		u.key = append(append(u.key, 0), values[d]...)
	}
	p := u.points[string(u.key)]
	if p == nil {
		if len(u.points) >= maxPoints {
			return fmt.Errorf("ledger: more than %d points; ask for a shorter span, a wider step or fewer dimensions", maxPoints)
		}
		p = &Point{Start: u.q.From}
		if u.q.Step != StepAll {
			p.Start = start
		}
		for _, d := range u.q.By {
			p.By = append(p.By, strings.Clone(values[d]))
		}
		u.points[string(u.key)] = p
	}
	p.Add(&t)
	return nil
}

func (u *usageReader) sorted() []Point {
	out := make([]Point, 0, len(u.points))
	for _, p := range u.points {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b Point) int {
		return cmp.Or(a.Start.Compare(b.Start), slices.Compare(a.By, b.By))
	})
	return out
}
