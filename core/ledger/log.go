package ledger

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/state"
)

// Filter narrows a list; zero fields match everything.
type Filter struct {
	Status   string // error | ok | a code such as 429
	Model    string // part of the requested model or the target, any case; so are the next ones
	Provider string
	Account  string
	Key      string
	Combo    bool // only combos
	Search   string
	Since    time.Time
	Until    time.Time
	Limit    int    // 0 = 50, at most 200
	Cursor   string // from Page.Next
}

// Page is one page of rows, newest first.
type Page struct {
	Entries []*Entry
	Next    string // "" at the end
}

// List reads the request log, newest first.
func (l *Ledger) List(ctx context.Context, f Filter) (Page, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, 200)
	prefix := state.Prefix(kindRow)
	q := state.Query{Prefix: prefix, Reverse: true}
	switch {
	case f.Cursor != "":
		if _, ok := state.IDTime(f.Cursor); !ok {
			return Page{}, fmt.Errorf("ledger: %q is not a cursor", f.Cursor)
		}
		q.After = prefix + f.Cursor
	case !f.Until.IsZero():
		q.After = prefix + state.IDFloor(f.Until)
	}
	m := f.matcher()
	var page Page
	last := ""
	err := l.store.Scan(ctx, q, func(e state.Entry) error {
		id := e.Key[len(prefix):]
		if at, ok := state.IDTime(id); ok && at.Before(f.Since) {
			return state.ErrStop
		}
		var entry Entry
		if err := json.Unmarshal(e.Value, &entry); err != nil {
			return nil // a damaged row hides no others
		}
		if !m.match(&entry) {
			return nil
		}
		if len(page.Entries) == limit {
			page.Next = last
			return state.ErrStop
		}
		page.Entries = append(page.Entries, &entry)
		last = id
		return nil
	})
	return page, err
}

// matcher is a filter with its texts folded.
type matcher struct {
	f                                     Filter
	code                                  int
	model, provider, account, key, search string
}

func (f Filter) matcher() matcher {
	m := matcher{f: f, model: strings.ToLower(f.Model), provider: strings.ToLower(f.Provider), account: strings.ToLower(f.Account),
		key: strings.ToLower(f.Key), search: strings.ToLower(f.Search)}
	m.code, _ = strconv.Atoi(f.Status)
	return m
}

func (m *matcher) match(e *Entry) bool {
	switch {
	case m.f.Status == "error" && e.Status < 400,
		m.f.Status == "ok" && e.Status >= 400,
		m.code > 0 && e.Status != m.code,
		m.f.Combo && e.Combo == "":
		return false
	}
	return contains(m.model, e.Model, e.Target) && contains(m.provider, e.Provider) && contains(m.account, e.Account, e.AccountName) &&
		contains(m.key, e.KeyID, e.KeyName) && contains(m.search, e.ID, e.Model, e.Target, e.KeyName, e.AccountName, e.Combo, e.Error, e.Client, e.Path)
}

// contains reports whether one of the texts holds a part, any case.
func contains(part string, texts ...string) bool {
	if part == "" {
		return true
	}
	for _, t := range texts {
		if strings.Contains(strings.ToLower(t), part) {
			return true
		}
	}
	return false
}

// find returns the id of a row.
func (l *Ledger) find(ctx context.Context, requestID string) (string, error) {
	id, err := l.store.Get(ctx, state.Key(kindIndex, requestID))
	return string(id), err
}

// Get finds a row by request id; state.ErrNotFound if there is none.
func (l *Ledger) Get(ctx context.Context, requestID string) (*Entry, error) {
	id, err := l.find(ctx, requestID)
	if err != nil {
		return nil, err
	}
	raw, err := l.store.Get(ctx, state.Key(kindRow, id))
	if err != nil {
		return nil, err
	}
	e := new(Entry)
	if err := json.Unmarshal(raw, e); err != nil {
		return nil, fmt.Errorf("ledger: row %s cannot be read: %w", requestID, err)
	}
	return e, nil
}

// Trace returns the stored trace of a request; state.ErrNotFound if there is
// none.
func (l *Ledger) Trace(ctx context.Context, requestID string) ([]byte, error) {
	id, err := l.find(ctx, requestID)
	if err != nil {
		return nil, err
	}
	return l.store.Get(ctx, state.Key(kindTrace, id))
}

// pruneBatch is how many keys one batch of pruning deletes.
const pruneBatch = 500

// Prune removes rows beyond the bounds, the oldest first, and returns how many.
// Age is bounded by the store's own expiry; here rows written under a longer
// retention go too. After pruning by size a tenth is free again.
func (l *Ledger) Prune(ctx context.Context) (int, error) {
	prefix := state.Prefix(kindRow)
	var floor string
	if keep := time.Duration(l.retain.Load()); keep > 0 {
		floor = state.IDFloor(l.opt.Now().Add(-keep))
	}
	limit := l.maxBytes.Load() / 10 * 9
	var b state.Batch
	var size int64
	removed := 0
	err := l.store.Scan(ctx, state.Query{Prefix: prefix, Reverse: true}, func(e state.Entry) error {
		id := e.Key[len(prefix):]
		var entry Entry
		_ = json.Unmarshal(e.Value, &entry) // a damaged row has no index to remove
		bytes := int64(len(e.Value) + len(id) + len(entry.ID))
		if trace, err := l.store.Get(ctx, state.Key(kindTrace, id)); err == nil {
			bytes += int64(len(trace))
		}
		if id >= floor && (limit == 0 || size+bytes <= limit) {
			size += bytes
			return nil
		}
		removed++
		b.Delete(e.Key)
		b.Delete(state.Key(kindTrace, id))
		if entry.ID != "" {
			b.Delete(state.Key(kindIndex, entry.ID))
		}
		if b.Len() < pruneBatch {
			return nil
		}
		defer b.Reset()
		return l.store.Apply(ctx, &b)
	})
	if err == nil && b.Len() > 0 {
		err = l.store.Apply(ctx, &b)
	}
	if err != nil {
		return removed, fmt.Errorf("ledger: prune: %w", err)
	}
	l.size.Store(size)
	return removed, l.store.Put(ctx, sizeKey(), strconv.AppendInt(nil, size, 10), 0)
}
