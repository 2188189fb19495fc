package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/state"
)

// layout is the version of what is derived from rows: indexes, words, stocks and
// roll-ups. Data of another one is derived anew when it is opened.
const layout = "1"

func layoutKey() string { return state.Key("meta", "ledger") }

// Report tells what a rebuild or a check found.
type Report struct {
	Rows     int `json:"rows"`
	Damaged  int `json:"damaged"`  // rows that cannot be read
	Orphans  int `json:"orphans"`  // traces and index entries without a row
	Missing  int `json:"missing"`  // index entries that rows should have
	Counters int `json:"counters"` // stored counters
	BadCount int `json:"bad_counters"`
}

// Sound reports that nothing was wrong.
func (r Report) Sound() bool { return r.Damaged+r.Orphans+r.Missing+r.BadCount == 0 }

// upgrade derives anew what data of another layout lacks.
func upgrade(ctx context.Context, s state.Store) error {
	have, err := s.Get(ctx, layoutKey())
	switch {
	case err == nil && string(have) == layout:
		return nil
	case err != nil && !errors.Is(err, state.ErrNotFound):
		return err
	}
	if _, err := Rebuild(ctx, s, true); err != nil {
		return fmt.Errorf("ledger: bringing the request log up to date: %w", err)
	}
	return nil
}

// Rebuild derives the indexes of the request log anew from its rows, and removes
// rows that cannot be read and what belongs to no row. With rolls the roll-ups
// are derived too; those of rows that are gone are lost then. No ledger may be
// open over the store.
func Rebuild(ctx context.Context, s state.Store, rolls bool) (Report, error) {
	var r Report
	kinds := []string{kindIndex, kindWord, kindStock, kindID}
	if rolls {
		kinds = append(kinds, kindRoll)
	}
	for _, kind := range kinds {
		if err := clearKind(ctx, s, kind); err != nil {
			return r, err
		}
	}
	l := &Ledger{store: s, opt: Options{OnError: func(error) {}}}
	d := &draft{l: l, rolls: map[string]*roll{}, hours: map[int64]*stock{}}
	prefix := state.Prefix(kindRow)
	live := map[string]bool{}
	err := s.Scan(ctx, state.Query{Prefix: prefix}, func(row state.Entry) error {
		id := row.Key[len(prefix):]
		var e Entry
		if json.Unmarshal(row.Value, &e) != nil {
			r.Damaged++
			d.batch.Delete(row.Key)
			return nil
		}
		r.Rows++
		trace, err := s.Get(ctx, state.Key(kindTrace, id))
		if err == nil {
			live[id] = true
		} else if !errors.Is(err, state.ErrNotFound) {
			return err
		}
		d.derive(id, &e, row, len(trace), rolls)
		if d.err != nil || !d.full() {
			return d.err
		}
		return d.flush(ctx)
	})
	if err != nil {
		return r, err
	}
	prefix = state.Prefix(kindTrace)
	err = s.Scan(ctx, state.Query{Prefix: prefix, KeysOnly: true}, func(e state.Entry) error {
		if live[e.Key[len(prefix):]] {
			return nil
		}
		r.Orphans++
		d.batch.Delete(e.Key)
		if d.full() {
			return d.flush(ctx)
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	d.batch.Put(layoutKey(), []byte(layout), 0)
	return r, d.flush(ctx)
}

// derive writes what belongs to a row that is there.
func (d *draft) derive(id string, e *Entry, row state.Entry, trace int, rolls bool) {
	at, ok := state.IDTime(id)
	if !ok {
		return
	}
	ttl := remaining(row.Expires)
	d.batch.Put(state.Key(kindID, e.ID), []byte(id), ttl)
	for _, x := range indexesOf(e) {
		x = d.l.words.admit(x)
		d.batch.Put(indexKey(x, id), nil, ttl)
		if d.l.words.learn(x) {
			d.batch.Put(wordKey(x), nil, 0)
		}
	}
	d.stock(hours.index(at)).add(1, rowBytes(id, e, row.Value, trace))
	d.ttl = max(d.ttl, ttl)
	if rolls {
		d.roll(item{id: id, at: at, entry: e})
	}
}

// flush applies what a rebuild has collected.
func (d *draft) flush(ctx context.Context) error {
	for key, r := range d.rolls {
		d.batch.Put(key, r.append(nil), r.ttl)
	}
	for h, s := range d.hours {
		d.batch.Put(stockKey(h), s.append(nil), d.ttl)
	}
	clear(d.rolls)
	clear(d.hours)
	err := d.l.store.Apply(ctx, &d.batch)
	d.batch.Reset()
	return err
}

// remaining is the ttl that is left to an entry, 0 for one that stays.
func remaining(expires time.Time) time.Duration {
	if expires.IsZero() {
		return 0
	}
	return max(time.Until(expires), time.Second)
}

// clearKind deletes all entries of a kind.
func clearKind(ctx context.Context, s state.Store, kind string) error {
	var b state.Batch
	err := s.Scan(ctx, state.Query{Prefix: state.Prefix(kind), KeysOnly: true}, func(e state.Entry) error {
		b.Delete(e.Key)
		if !b.Full() {
			return nil
		}
		defer b.Reset()
		return s.Apply(ctx, &b)
	})
	if err != nil || b.Len() == 0 {
		return err
	}
	return s.Apply(ctx, &b)
}

// Check reads the request log and its indexes and tells what is wrong with them.
// It may run beside an open ledger; rows that come and go meanwhile can count as
// orphans then.
func Check(ctx context.Context, s state.Store) (Report, error) {
	var r Report
	rows := map[string]bool{}
	prefix := state.Prefix(kindRow)
	err := s.Scan(ctx, state.Query{Prefix: prefix}, func(row state.Entry) error {
		id := row.Key[len(prefix):]
		var e Entry
		if json.Unmarshal(row.Value, &e) != nil {
			r.Damaged++
			return nil
		}
		r.Rows++
		rows[id] = true
		for _, x := range indexesOf(&e) {
			if _, err := s.Get(ctx, indexKey(x, id)); errors.Is(err, state.ErrNotFound) {
				if _, err := s.Get(ctx, indexKey(indexed{x.field, other}, id)); errors.Is(err, state.ErrNotFound) {
					r.Missing++
				}
			}
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	for _, kind := range []string{kindTrace, kindIndex} {
		err := s.Scan(ctx, state.Query{Prefix: state.Prefix(kind), KeysOnly: true}, func(e state.Entry) error {
			if len(e.Key) >= idLength && !rows[e.Key[len(e.Key)-idLength:]] {
				r.Orphans++
			}
			return nil
		})
		if err != nil {
			return r, err
		}
	}
	prefix = state.Prefix(kindCounter)
	err = s.Scan(ctx, state.Query{Prefix: prefix}, func(e state.Entry) error {
		segments, ok := state.Segments(prefix, e.Key)
		r.Counters++
		if !ok || len(segments) != 3 || len(e.Value) != 24 && !(segments[1] == "c" && len(e.Value) == 32) {
			r.BadCount++
		}
		return nil
	})
	return r, err
}

// idLength is how long row ids are.
const idLength = 20
