package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/state"
)

// Filter narrows a list; zero fields match everything.
type Filter struct {
	Status   string // error | ok | a code such as 429
	Model    string // part of the requested model or the target, any case; so are the next ones
	Provider string
	Account  string // of id or name
	Key      string // of id or name
	Combo    bool   // only combos
	Search   string // a request id, or part of any text of the row
	Since    time.Time
	Until    time.Time
	Limit    int    // 0 = 50, at most 200
	Cursor   string // from Page.Next
}

// Page is one page of rows, newest first.
type Page struct {
	Entries []*Entry
	// Next is the cursor of the next page, "" at the end. A search that has to
	// read many rows may stop early: then a page is short, or empty, and still
	// has a Next.
	Next string
}

// maxRead bounds the rows that one page reads.
const maxRead = 10_000

// top is above every row id.
const top = "~"

// List reads the request log, newest first. Filters by status, model, provider,
// account, key and combo are answered from indexes.
func (l *Ledger) List(ctx context.Context, f Filter) (Page, error) {
	if f.Cursor != "" {
		if _, ok := state.IDTime(f.Cursor); !ok {
			return Page{}, fault.New(fault.InvalidBody, "The cursor is not one of this list")
		}
	}
	if f.Limit <= 0 {
		f.Limit = 50
	}
	r := reader{l: l, m: f.matcher(), limit: min(f.Limit, 200), before: top}
	if f.Search != "" {
		if e, err := l.Get(ctx, f.Search); err == nil && r.m.match(e) {
			return Page{Entries: []*Entry{e}}, nil
		}
	}
	switch {
	case f.Cursor != "":
		r.before = f.Cursor
	case !f.Until.IsZero():
		r.before = state.IDFloor(f.Until)
	}
	var err error
	if found, ok := r.m.candidates(ctx, l); ok {
		err = r.leap(ctx, found)
	} else {
		err = r.scan(ctx)
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	return r.page, err
}

// reader fills one page.
type reader struct {
	l      *Ledger
	m      matcher
	limit  int
	before string // ids of the page are below it
	read   int
	last   string // id of the last row that was looked at
	page   Page
}

// take looks at one row; errEnough ends the page.
func (r *reader) take(id string, raw []byte) error {
	if r.read >= maxRead {
		r.page.Next = r.last
		return errEnough
	}
	var entry Entry
	r.read++
	if json.Unmarshal(raw, &entry) == nil && r.m.match(&entry) { // a damaged row hides no others
		if len(r.page.Entries) == r.limit {
			r.page.Next = r.last
			return errEnough
		}
		r.page.Entries = append(r.page.Entries, &entry)
	}
	r.last = id
	return nil
}

// old reports a row before the span the filter asks for.
func (r *reader) old(id string) bool {
	at, ok := state.IDTime(id)
	return ok && at.Before(r.m.f.Since)
}

// scan reads all rows.
func (r *reader) scan(ctx context.Context) error {
	prefix := state.Prefix(kindRow)
	return r.l.store.Scan(ctx, state.Query{Prefix: prefix, After: prefix + r.before, Reverse: true}, func(e state.Entry) error {
		id := e.Key[len(prefix):]
		if r.old(id) {
			return state.ErrStop
		}
		return r.take(id, e.Value)
	})
}

// leap reads the rows that the indexes name.
func (r *reader) leap(ctx context.Context, from *meet) error {
	for max := r.before; ; {
		id, err := from.seek(max)
		if errors.Is(err, errEnough) && len(from.budget.at) == idLength {
			r.page.Next = following(from.budget.at)
		}
		if err != nil || id == "" || r.old(id) {
			return err
		}
		if id == r.before { // a cursor is the last row of the page before
			max = preceding(id)
			continue
		}
		raw, err := r.l.store.Get(ctx, state.Key(kindRow, id))
		switch {
		case errors.Is(err, state.ErrNotFound): // its row expired a moment before its index
		case err != nil:
			return err
		default:
			if err := r.take(id, raw); err != nil {
				return err
			}
		}
		max = preceding(id)
	}
}

// preceding and following are texts next to an id, below and above it.
func preceding(id string) string { return id[:len(id)-1] + string(rune(id[len(id)-1]-1)) }
func following(id string) string { return id[:len(id)-1] + string(rune(id[len(id)-1]+1)) }

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
	if m.f.Status != "" && !m.status(strconv.Itoa(e.Status)) || m.f.Combo && e.Combo == "" {
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
	if requestID == "" || len(requestID) > maxScope {
		return "", state.ErrNotFound
	}
	id, err := l.store.Get(ctx, state.Key(kindID, requestID))
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
