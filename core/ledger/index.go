package ledger

import (
	"context"
	"errors"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/omniroute/omniroute/core/state"
)

// Every row has an entry per field that lists are filtered by: field, value, row
// id, in this order, so that the rows of a value are a range of keys, newest
// last. The values that occur are kept as words, because filters name parts of
// them.
const (
	kindIndex = "ux"
	kindWord  = "uw"
)

// field is what rows are indexed by.
type field uint8

const (
	byStatus field = iota
	byModel
	byProvider
	byAccount
	byKey
	byCombo
	indexFields
)

var fieldName = [indexFields]string{"status", "model", "provider", "account", "key", "combo"}

// indexed is one value of one field.
type indexed struct {
	field field
	value string
}

// indexesOf lists what a row is found by.
func indexesOf(e *Entry) []indexed {
	out := make([]indexed, 0, indexFields+1)
	add := func(f field, parts ...string) {
		if v := strings.TrimSpace(strings.Join(parts, " ")); v != "" {
			out = append(out, indexed{f, scopeName(v)})
		}
	}
	add(byStatus, strconv.Itoa(e.Status))
	add(byModel, e.Model)
	if e.Target != e.Model {
		add(byModel, e.Target)
	}
	add(byProvider, e.Provider)
	add(byAccount, e.Account, e.AccountName)
	add(byKey, e.KeyID, e.KeyName)
	add(byCombo, e.Combo)
	return out
}

func indexKey(x indexed, id string) string {
	return state.Key(kindIndex, fieldName[x.field], x.value, id)
}

func wordKey(x indexed) string { return state.Key(kindWord, fieldName[x.field], x.value) }

// maxWords bounds the values of one field; rows with others are found under the
// value other.
const maxWords = 10_000

// words are the values that occur in each field.
type words struct {
	mu    sync.RWMutex
	known [indexFields]map[string]struct{}
}

// admit returns x, or the value for what has no room.
func (w *words) admit(x indexed) indexed {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if _, ok := w.known[x.field][x.value]; !ok && len(w.known[x.field]) >= maxWords {
		x.value = other
	}
	return x
}

// learn adds a value; false if it was known.
func (w *words) learn(x indexed) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.known[x.field][x.value]; ok {
		return false
	}
	if w.known[x.field] == nil {
		w.known[x.field] = map[string]struct{}{}
	}
	w.known[x.field][x.value] = struct{}{}
	return true
}

func (w *words) forget(x indexed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.known[x.field], x.value)
}

// load reads the stored words.
func (w *words) load(ctx context.Context, s state.Store) error {
	prefix := state.Prefix(kindWord)
	return s.Scan(ctx, state.Query{Prefix: prefix, KeysOnly: true}, func(e state.Entry) error {
		segments, ok := state.Segments(prefix, e.Key)
		if !ok || len(segments) != 2 {
			return nil
		}
		if f := slices.Index(fieldName[:], segments[0]); f >= 0 {
			w.learn(indexed{field(f), segments[1]})
		}
		return nil
	})
}

// matching lists the values of a field that a filter may mean.
func (w *words) matching(f field, match func(string) bool) (out []string) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for v := range w.known[f] {
		if v == other || match(v) {
			out = append(out, v)
		}
	}
	return out
}

// maxUnion is how many values a filter may match and still be answered from the
// index; one that means nearly everything is answered from the rows.
const maxUnion = 128

// candidates returns the row ids a filter may mean, newest first, and false if
// the filter names no indexed field.
func (m *matcher) candidates(ctx context.Context, l *Ledger) (*meet, bool) {
	all := meet{budget: &budget{left: l.seeks}}
	add := func(f field, wanted bool, match func(string) bool) {
		if !wanted {
			return
		}
		values := l.words.matching(f, match)
		if len(values) > maxUnion {
			return
		}
		u := union{}
		for _, v := range values {
			prefix := indexKey(indexed{f, v}, "")
			u = append(u, &column{ctx: ctx, store: l.store, prefix: prefix, budget: all.budget})
		}
		all.parts = append(all.parts, u)
	}
	part := func(p string) func(string) bool {
		return func(v string) bool { return strings.Contains(strings.ToLower(v), p) }
	}
	add(byStatus, m.f.Status != "", m.status)
	add(byModel, m.model != "", part(m.model))
	add(byProvider, m.provider != "", part(m.provider))
	add(byAccount, m.account != "", part(m.account))
	add(byKey, m.key != "", part(m.key))
	add(byCombo, m.f.Combo, func(string) bool { return true })
	return &all, len(all.parts) > 0
}

// budget bounds what one page reads of the indexes.
type budget struct {
	left int
	at   string // rows above it have been looked at
}

// maxSeek is how many index entries one page reads.
const maxSeek = 50_000

// status reports whether a stored status is one the filter means.
func (m *matcher) status(v string) bool {
	code, _ := strconv.Atoi(v)
	switch m.f.Status {
	case "error":
		return code >= 400
	case "ok":
		return code < 400
	}
	return code == m.code
}

// column is the rows of one value, read in pieces.
type column struct {
	ctx    context.Context
	store  state.Store
	prefix string
	budget *budget

	piece []string // descending
	size  int
	end   bool // nothing is left below piece
}

const (
	firstPiece = 32
	lastPiece  = 2048
)

// seek returns the greatest id that is not above max; "" if there is none.
func (c *column) seek(max string) (string, error) {
	for {
		i := sort.Search(len(c.piece), func(i int) bool { return c.piece[i] <= max })
		if i < len(c.piece) {
			return c.piece[i], nil
		}
		if c.end {
			return "", nil
		}
		if c.budget.left <= 0 {
			return "", errEnough
		}
		if err := c.read(max); err != nil {
			return "", err
		}
	}
}

// read fetches the next piece, which begins at or below max.
func (c *column) read(max string) error {
	if c.size = min(c.size*2, lastPiece); c.size == 0 {
		c.size = firstPiece
	}
	c.piece = c.piece[:0]
	q := state.Query{Prefix: c.prefix, After: c.prefix + max + "\x00", Reverse: true, Limit: c.size, KeysOnly: true}
	err := c.store.Scan(c.ctx, q, func(e state.Entry) error {
		c.piece = append(c.piece, e.Key[len(c.prefix):])
		return nil
	})
	c.budget.left -= len(c.piece) + 1
	c.end = len(c.piece) < c.size
	return err
}

// union yields what any of its columns has.
type union []*column

func (u union) seek(max string) (best string, err error) {
	for _, c := range u {
		id, err := c.seek(max)
		if err != nil {
			return "", err
		}
		if id > best {
			best = id
		}
	}
	return best, nil
}

// meet yields what all of its parts have, by leaping to the lowest candidate.
type meet struct {
	parts  []union
	budget *budget
}

func (m *meet) seek(max string) (string, error) {
	for agreed, i := 0, 0; ; i = (i + 1) % len(m.parts) {
		m.budget.at = max
		id, err := m.parts[i].seek(max)
		if err != nil || id == "" {
			return "", err
		}
		if id == max {
			agreed++
		} else {
			agreed, max = 1, id
		}
		if agreed >= len(m.parts) {
			return id, nil
		}
	}
}

// errEnough ends a scan that has looked at enough rows for one page.
var errEnough = errors.New("ledger: enough rows")
