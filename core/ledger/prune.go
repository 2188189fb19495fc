package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/state"
)

// kindStock holds how much the rows of an hour take. It expires with them, so
// that the size of the log is known without reading it.
const kindStock = "um"

// stock is a number of rows and their bytes.
type stock struct{ rows, bytes int64 }

func (s *stock) add(rows, bytes int64) {
	s.rows, s.bytes = max(s.rows+rows, 0), max(s.bytes+bytes, 0)
}

func (s *stock) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.rows))
	return binary.BigEndian.AppendUint64(dst, uint64(s.bytes))
}

func readStock(raw []byte) (s stock) {
	if len(raw) == 16 {
		s.rows, s.bytes = int64(binary.BigEndian.Uint64(raw)), int64(binary.BigEndian.Uint64(raw[8:]))
	}
	return s
}

func stockKey(hour int64) string { return state.Key(kindStock, indexText(hour)) }

// stock is that of an hour, read from the store the first time a batch needs it.
func (d *draft) stock(hour int64) *stock {
	if have := d.hours[hour]; have != nil {
		return have
	}
	raw, err := d.l.store.Get(context.Background(), stockKey(hour))
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		d.err = err
	}
	made := readStock(raw)
	d.hours[hour] = &made
	return &made
}

// weigh sums what the rows take.
func (l *Ledger) weigh(ctx context.Context) error {
	var sum stock
	err := l.store.Scan(ctx, state.Query{Prefix: state.Prefix(kindStock)}, func(e state.Entry) error {
		s := readStock(e.Value)
		sum.add(s.rows, s.bytes)
		return nil
	})
	if err == nil {
		l.size.Store(sum.bytes)
		l.rows.Store(sum.rows)
	}
	return err
}

// tooMuch reports a log beyond its bounds.
func (l *Ledger) tooMuch() bool {
	bytes, rows := l.maxBytes.Load(), l.maxRows.Load()
	return bytes > 0 && l.size.Load() > bytes || rows > 0 && l.rows.Load() > rows
}

// tidy ends leases, keeps the log within its bounds and looks at the clock.
func (l *Ledger) tidy(clock *clockWatch) {
	now := l.opt.Now()
	if leap := clock.look(now); leap != 0 {
		l.opt.OnError(fmt.Errorf("%w by %s; windows of budgets and the age of rows follow it", ErrClock, leap.Round(time.Second)))
	}
	l.expire(now)
	if n := l.shedding.Swap(0); n > 0 {
		l.opt.OnError(fmt.Errorf("ledger: %d rows of the request log were given up because the store failed for long; what they spent still counts", n))
	}
	if err := l.weigh(context.Background()); err != nil {
		l.opt.OnError(fmt.Errorf("ledger: %w", err))
		return
	}
	if l.tooMuch() {
		if _, err := l.Prune(context.Background()); err != nil {
			l.opt.OnError(err)
		}
	}
}

// ErrClock is told to Options.OnError when the wall clock leapt.
var ErrClock = errors.New("ledger: the clock leapt")

// clockWatch compares the wall clock with the one that only runs forward.
type clockWatch struct{ wall, run time.Time }

// leapAfter is how far the clocks may part between two looks.
const leapAfter = 2 * time.Minute

// look returns by how much the wall clock leapt since the last look, 0 if it did not.
func (c *clockWatch) look(wall time.Time) time.Duration {
	run := time.Now()
	leap := wall.Round(0).Sub(c.wall.Round(0)) - run.Sub(c.run)
	c.wall, c.run = wall, run
	if leap.Abs() < leapAfter {
		return 0
	}
	return leap
}

// Prune removes rows beyond the bounds, the oldest first, and returns how many.
// Age is bounded by the store's own expiry; here rows written under a longer
// retention go too. After pruning by size or number a tenth is free again.
func (l *Ledger) Prune(ctx context.Context) (int, error) {
	l.pruning.Lock()
	defer l.pruning.Unlock()
	if err := l.weigh(ctx); err != nil {
		return 0, fmt.Errorf("ledger: prune: %w", err)
	}
	p := pruner{l: l, hours: map[int64]*stock{}}
	if keep := l.rowTTL(); keep > 0 {
		p.floor = state.IDFloor(l.opt.Now().Add(-keep))
	}
	if limit := l.maxBytes.Load(); limit > 0 && l.size.Load() > limit {
		p.bytes = l.size.Load() - limit/10*9
	}
	if limit := l.maxRows.Load(); limit > 0 && l.rows.Load() > limit {
		p.rows = l.rows.Load() - limit/10*9
	}
	err := p.run(ctx)
	if err != nil {
		return p.removed, fmt.Errorf("ledger: prune: %w", err)
	}
	return p.removed, l.weigh(ctx)
}

// pruner removes the oldest rows: those below floor, and more until so many
// bytes and rows have gone.
type pruner struct {
	l           *Ledger
	floor       string
	bytes, rows int64
	batch       state.Batch
	hours       map[int64]*stock // what goes, by hour
	removed     int
}

func (p *pruner) run(ctx context.Context) error {
	prefix := state.Prefix(kindRow)
	err := p.l.store.Scan(ctx, state.Query{Prefix: prefix}, func(e state.Entry) error {
		id := e.Key[len(prefix):]
		if id >= p.floor && p.bytes <= 0 && p.rows <= 0 {
			return state.ErrStop
		}
		p.drop(ctx, id, e.Value)
		if !p.batch.Full() {
			return nil
		}
		return p.apply(ctx)
	})
	if err != nil {
		return err
	}
	return p.apply(ctx)
}

// drop removes a row with all that belongs to it.
func (p *pruner) drop(ctx context.Context, id string, raw []byte) {
	var e Entry
	damaged := json.Unmarshal(raw, &e) != nil
	p.removed++
	p.batch.Delete(state.Key(kindRow, id))
	p.batch.Delete(state.Key(kindTrace, id))
	if !damaged {
		p.batch.Delete(state.Key(kindID, e.ID))
		for _, x := range indexesOf(&e) {
			p.batch.Delete(indexKey(p.l.words.admit(x), id))
		}
	}
	trace, _ := p.l.store.Get(ctx, state.Key(kindTrace, id))
	size := rowBytes(id, &e, raw, len(trace))
	p.bytes, p.rows = p.bytes-size, p.rows-1
	if at, ok := state.IDTime(id); ok {
		h := hours.index(at)
		if p.hours[h] == nil {
			p.hours[h] = &stock{}
		}
		p.hours[h].add(1, size)
	}
}

// apply removes what was collected. The stocks are changed by the writer too, so
// it waits meanwhile.
func (p *pruner) apply(ctx context.Context) error {
	if p.batch.Len() == 0 {
		return nil
	}
	p.l.writing.Lock()
	defer p.l.writing.Unlock()
	for h, gone := range p.hours {
		raw, err := p.l.store.Get(ctx, stockKey(h))
		if errors.Is(err, state.ErrNotFound) {
			continue
		} else if err != nil {
			return err
		}
		left := readStock(raw)
		if left.add(-gone.rows, -gone.bytes); left.rows == 0 {
			p.batch.Delete(stockKey(h))
			continue
		}
		p.batch.Put(stockKey(h), left.append(nil), p.l.rowTTL())
	}
	err := p.l.store.Apply(ctx, &p.batch)
	p.batch.Reset()
	clear(p.hours)
	return err
}

// Stats describe the request log.
type Stats struct {
	Rows         int64 `json:"rows"`
	Bytes        int64 `json:"bytes"`
	Queued       int   `json:"queued"` // not yet in the store
	Reservations int   `json:"reservations"`
	Scopes       int64 `json:"scopes"` // counters in memory
}

// Stats returns the sizes of the ledger.
func (l *Ledger) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{Rows: l.rows.Load(), Bytes: l.size.Load(), Queued: len(l.queue), Reservations: len(l.reservations), Scopes: l.counters.size.Load()}
}
