package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/state"
	"github.com/omniroute/omniroute/core/telemetry"
)

// Action says what happened; the part before the dot is its area.
type Action string

// The actions.
const (
	ServerStart   Action = "server.start"
	ServerStop    Action = "server.stop"
	ConfigReload  Action = "config.reload"
	KeyCreate     Action = "key.create"
	KeyRevoke     Action = "key.revoke"
	AccountAdd    Action = "account.add"
	AccountRemove Action = "account.remove"
	AccountLogin  Action = "account.login"
	BudgetWarn    Action = "budget.warn"
	BudgetDeny    Action = "budget.deny"
	LockoutLock   Action = "lockout.lock"
	ExportData    Action = "export.data"
	ImportData    Action = "import.data"
	BackupCreate  Action = "backup.create"
	BackupRestore Action = "backup.restore"
	AuditPrune    Action = "audit.prune"
)

// Actor is who did it.
type Actor struct {
	Type string `json:"type"` // system, cli, key, session, token, open
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// The actors without an identity.
var (
	System = Actor{Type: "system"}
	CLI    = Actor{Type: "cli"} // whoever can open the control socket or the data directory
)

// Target is what it was done to.
type Target struct {
	Type string `json:"type,omitempty"` // key, account, budget, config …
	ID   string `json:"id,omitempty"`
}

// Record is one entry. What looks like a credential in it is masked when it is
// written.
type Record struct {
	ID     string    `json:"id"` // a number that counts up without gaps
	Time   time.Time `json:"ts"`
	Action Action    `json:"action"`
	Actor  Actor     `json:"actor"` // the zero value is System
	Target Target    `json:"target,omitzero"`
	IP     string    `json:"ip,omitempty"`
	// Before and After are JSON of what was changed, Details whatever else is to
	// be said.
	Before  json.RawMessage `json:"before,omitempty"`
	After   json.RawMessage `json:"after,omitempty"`
	Details map[string]any  `json:"details,omitempty"`
	Result  string          `json:"result,omitempty"`    // "ok" or the code of the failure
	Request string          `json:"requestId,omitempty"` // the request behind it
	// Prev is the hash of the record before, Hash that of this one with Prev.
	Prev string `json:"prevHash"`
	Hash string `json:"hash,omitempty"`
}

// JSON is v for Before and After; nil for what has no JSON form.
func JSON(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return raw
}

// hashMember is where the hash stands: last in the record, so that what it covers
// is the text before it.
const hashMember = `,"hash":"`

// seal writes a record with its hash: the SHA-256 of its JSON without the hash.
func (r *Record) seal() ([]byte, error) {
	r.Hash = ""
	raw, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	r.Hash = sum(raw)
	return append(append(append(raw[:len(raw)-1:len(raw)-1], hashMember...), r.Hash...), `"}`...), nil
}

func sum(raw []byte) string {
	h := sha256.Sum256(raw)
	return hex.EncodeToString(h[:])
}

// intact reports whether a stored record is what its hash says.
func intact(raw []byte) bool {
	at := bytes.LastIndex(raw, []byte(hashMember))
	if at < 0 || !bytes.HasSuffix(raw, []byte(`"}`)) {
		return false
	}
	body := append(bytes.Clone(raw[:at]), '}')
	return sum(body) == string(raw[at+len(hashMember):len(raw)-2])
}

const kind = "a"

func tipKey() string    { return state.Key("meta", "audit") }
func anchorKey() string { return state.Key("meta", "audit-anchor") }

// Options configure a Log.
type Options struct {
	// Now is the clock; nil = time.Now.
	Now func() time.Time
	// OnError is told of records that could not be written; nil drops them.
	OnError func(error)
}

// Log is safe for concurrent use.
type Log struct {
	store state.Store
	opt   Options

	mu  sync.Mutex
	tip tip
}

// tip is the end of the chain: how many records were written, and the hash of the
// last.
type tip struct {
	N    int64  `json:"n"`
	Hash string `json:"hash"`
}

func readTip(ctx context.Context, s state.Store) (t tip, err error) {
	raw, err := s.Get(ctx, tipKey())
	switch {
	case errors.Is(err, state.ErrNotFound):
		return t, nil
	case err != nil:
		return t, err
	}
	if err := json.Unmarshal(raw, &t); err != nil {
		return t, fmt.Errorf("%w: its end cannot be read", ErrBroken)
	}
	return t, nil
}

// number is an id: wide enough that ids sort as they count.
func number(n int64) string { return fmt.Sprintf("%012d", n) }

// Open reads where the chain ends.
func Open(ctx context.Context, s state.Store, opt Options) (*Log, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.OnError == nil {
		opt.OnError = func(error) {}
	}
	end, err := readTip(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return &Log{store: s, opt: opt, tip: end}, nil
}

// Write appends a record; ID, Time, Prev and Hash are set here. It is on disk when
// Write returns.
func (l *Log) Write(ctx context.Context, r Record) {
	if err := l.write(context.WithoutCancel(ctx), r); err != nil {
		l.opt.OnError(fmt.Errorf("audit: %s of %q was not recorded: %w", r.Action, r.Target.ID, err))
	}
}

func (l *Log) write(ctx context.Context, r Record) error {
	if r.Actor == (Actor{}) {
		r.Actor = System
	}
	r.Before, r.After = masked(r.Before), masked(r.After)
	for k, v := range r.Details {
		if text, ok := v.(string); ok {
			r.Details[k] = telemetry.RedactField(k, text)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r.ID, r.Time, r.Prev = number(l.tip.N+1), l.opt.Now().UTC(), l.tip.Hash
	raw, err := r.seal()
	if err != nil {
		return err
	}
	end := tip{N: l.tip.N + 1, Hash: r.Hash}
	rawTip, err := json.Marshal(end)
	if err != nil {
		return err
	}
	b := state.Batch{Durable: true}
	b.Put(state.Key(kind, r.ID), raw, 0)
	b.Put(tipKey(), rawTip, 0)
	if err := l.store.Apply(ctx, &b); err != nil {
		return err
	}
	l.tip = end
	return nil
}

// masked is JSON without what looks like a credential; nil if that leaves none.
func masked(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return nil
	}
	clean := json.RawMessage(telemetry.Redact(string(raw)))
	if !json.Valid(clean) {
		return json.RawMessage(`"[redacted]"`)
	}
	return clean
}

// Filter narrows a list; zero fields match everything.
type Filter struct {
	Action Action // whole, or an area such as "budget"
	Actor  string // type, id or name
	Target string // type or id
	Since  time.Time
	Until  time.Time
	Limit  int    // 0 = 100, at most 1000
	Cursor string // from Page.Next
}

// Page is one page of records, newest first.
type Page struct {
	Records []Record `json:"records"`
	Next    string   `json:"next,omitempty"`
}

func (f *Filter) match(r *Record) bool {
	area, _, _ := strings.Cut(string(r.Action), ".")
	return (f.Action == "" || f.Action == r.Action || string(f.Action) == area) &&
		(f.Actor == "" || f.Actor == r.Actor.Type || f.Actor == r.Actor.ID || f.Actor == r.Actor.Name) &&
		(f.Target == "" || f.Target == r.Target.Type || f.Target == r.Target.ID) &&
		(f.Until.IsZero() || r.Time.Before(f.Until))
}

// List reads records, newest first.
func (l *Log) List(ctx context.Context, f Filter) (Page, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	f.Limit = min(f.Limit, 1000)
	prefix := state.Prefix(kind)
	q := state.Query{Prefix: prefix, Reverse: true}
	if f.Cursor != "" {
		if _, err := strconv.ParseInt(f.Cursor, 10, 64); err != nil {
			return Page{}, fmt.Errorf("audit: %q is not a cursor", f.Cursor)
		}
		q.After = prefix + f.Cursor
	}
	page := Page{Records: []Record{}}
	err := l.store.Scan(ctx, q, func(e state.Entry) error {
		var r Record
		if json.Unmarshal(e.Value, &r) != nil {
			return nil // Verify tells
		}
		if r.Time.Before(f.Since) {
			return state.ErrStop
		}
		if !f.match(&r) {
			return nil
		}
		if len(page.Records) == f.Limit {
			page.Next = page.Records[f.Limit-1].ID
			return state.ErrStop
		}
		page.Records = append(page.Records, r)
		return nil
	})
	return page, err
}

// ErrBroken says that the chain was tampered with or damaged.
var ErrBroken = errors.New("audit: the chain of records is broken")

// Verify follows the chain from its oldest record to the newest and returns how
// many there are; ErrBroken names the first that does not fit.
func Verify(ctx context.Context, s state.Store) (n int, err error) {
	anchor, err := s.Get(ctx, anchorKey())
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return 0, err
	}
	prev := string(anchor)
	prefix := state.Prefix(kind)
	err = s.Scan(ctx, state.Query{Prefix: prefix}, func(e state.Entry) error {
		var r Record
		if json.Unmarshal(e.Value, &r) != nil {
			return fmt.Errorf("%w: record %s cannot be read", ErrBroken, e.Key[len(prefix):])
		}
		if !intact(e.Value) || prefix+r.ID != e.Key {
			return fmt.Errorf("%w: record %s was changed", ErrBroken, e.Key[len(prefix):])
		}
		if r.Prev != prev {
			return fmt.Errorf("%w: what came before record %s is missing", ErrBroken, r.ID)
		}
		prev = r.Hash
		n++
		return nil
	})
	if err != nil {
		return n, err
	}
	end, err := readTip(ctx, s)
	if err != nil {
		return n, err
	}
	if end.Hash != prev {
		return n, fmt.Errorf("%w: the newest record is missing", ErrBroken)
	}
	return n, nil
}

// Prune removes records older than keep, and records that it did.
func (l *Log) Prune(ctx context.Context, keep time.Duration) (int, error) {
	floor := l.opt.Now().Add(-keep)
	prefix := state.Prefix(kind)
	removed := 0
	anchor := ""
	l.mu.Lock()
	b := state.Batch{Durable: true}
	flush := func() error {
		if b.Len() == 0 {
			return nil
		}
		b.Put(anchorKey(), []byte(anchor), 0)
		err := l.store.Apply(ctx, &b)
		b.Reset()
		b.Durable = true
		return err
	}
	err := l.store.Scan(ctx, state.Query{Prefix: prefix}, func(e state.Entry) error {
		var r Record
		if err := json.Unmarshal(e.Value, &r); err != nil {
			return fmt.Errorf("%w: record %s cannot be read", ErrBroken, e.Key[len(prefix):])
		}
		if !r.Time.Before(floor) {
			return state.ErrStop
		}
		b.Delete(e.Key)
		removed, anchor = removed+1, r.Hash
		if b.Full() {
			return flush()
		}
		return nil
	})
	err = errors.Join(err, flush())
	l.mu.Unlock()
	if err != nil {
		return removed, fmt.Errorf("audit: prune: %w", err)
	}
	if removed > 0 {
		l.Write(ctx, Record{Action: AuditPrune, Details: map[string]any{"removed": removed}})
	}
	return removed, nil
}
