package account

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/state"
)

// Errors of the tables of keys and accounts.
var (
	ErrNotFound  = errors.New("account: no such entry")
	ErrFromFile  = errors.New("account: the entry is declared in the configuration file; change it there")
	ErrNameTaken = errors.New("account: the name is taken")
	ErrNotKept   = errors.New("account: the key itself was not kept, only its hash")
)

// KeysOptions configure Keys.
type KeysOptions struct {
	// Secret signs the check part of a key.
	Secret string
	// MachineID is the raw machine id; MachineSalt is hashed with it.
	MachineID, MachineSalt string
	// AcceptLegacy admits two-part keys ("sk-xxxxxxxx").
	AcceptLegacy bool
	// Reveal keeps the key itself (the store encrypts it), so that it can be
	// shown again; false keeps only its hash.
	Reveal bool
	// Writer takes the times of last use; nil keeps them in memory only.
	Writer *state.Writer
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// touchEvery is how often the time of last use of one key is written.
const touchEvery = time.Minute

// kindUse holds the time of last use of a key, apart from the key itself so
// that noting it never touches the key.
const kindUse = "keyuse"

// Keys is the table of client keys. Verify reads an immutable index without a
// lock; changes replace it.
type Keys struct {
	store   state.Store
	opt     KeysOptions
	machine string
	index   atomic.Pointer[keyIndex]

	mu sync.Mutex // serialises changes
}

type keyIndex struct {
	byHash map[[32]byte]*keyEntry
	byID   map[string]*keyEntry
}

// keyEntry is one key with what stays in this package.
type keyEntry struct {
	key     *Key
	hash    [32]byte
	former  *former       // nil when there is none
	used    *atomic.Int64 // unix ms of the last use
	written *atomic.Int64 // … as in the store
}

// former is the secret that a rotation replaced, good for a while yet.
type former struct {
	hash  [32]byte
	until time.Time
}

// keyRecord is the stored form.
type keyRecord struct {
	Key
	Former      string    `json:"former,omitempty"` // hash of the secret before
	FormerUntil time.Time `json:"former_until,omitzero"`

	Hash   string `json:"hash"`
	Secret string `json:"secret,omitempty"`
}

// OpenKeys loads the keys of the store.
func OpenKeys(ctx context.Context, s state.Store, opt KeysOptions) (*Keys, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	k := &Keys{store: s, opt: opt, machine: machinePart(opt.MachineID, opt.MachineSalt)}
	x := &keyIndex{byHash: map[[32]byte]*keyEntry{}, byID: map[string]*keyEntry{}}
	prefix := state.Prefix("key")
	err := s.Scan(ctx, state.Query{Prefix: prefix}, func(e state.Entry) error {
		var r keyRecord
		if err := json.Unmarshal(e.Value, &r); err != nil {
			return fmt.Errorf("account: the stored key %s cannot be read: %w", strings.TrimPrefix(e.Key, prefix), err)
		}
		hash, err := hex.DecodeString(r.Hash)
		if err != nil || len(hash) != 32 {
			return fmt.Errorf("account: the stored key %q has no hash", r.ID)
		}
		entry := newEntry(r.Key, [32]byte(hash))
		if old, err := hex.DecodeString(r.Former); err == nil && len(old) == 32 && opt.Now().Before(r.FormerUntil) {
			entry.former = &former{[32]byte(old), r.FormerUntil}
		}
		x.add(entry)
		return nil
	})
	if err != nil {
		return nil, err
	}
	uses := state.Prefix(kindUse)
	err = s.Scan(ctx, state.Query{Prefix: uses}, func(e state.Entry) error {
		ms, err := strconv.ParseInt(string(e.Value), 10, 64)
		if entry := x.byID[strings.TrimPrefix(e.Key, uses)]; entry != nil && err == nil {
			entry.used.Store(ms)
			entry.written.Store(ms)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	k.index.Store(x)
	return k, nil
}

func newEntry(key Key, hash [32]byte) *keyEntry {
	return &keyEntry{key: &key, hash: hash, used: new(atomic.Int64), written: new(atomic.Int64)}
}

func (x *keyIndex) add(e *keyEntry) {
	x.byHash[e.hash], x.byID[e.key.ID] = e, e
	if e.former != nil {
		x.byHash[e.former.hash] = e
	}
}

func (x *keyIndex) clone() *keyIndex {
	return &keyIndex{byHash: maps.Clone(x.byHash), byID: maps.Clone(x.byID)}
}

func (x *keyIndex) drop(e *keyEntry) {
	delete(x.byHash, e.hash)
	delete(x.byID, e.key.ID)
	if e.former != nil {
		delete(x.byHash, e.former.hash)
	}
}

// find looks an entry up by id, then by name.
func (x *keyIndex) find(idOrName string) *keyEntry {
	if e := x.byID[idOrName]; e != nil {
		return e
	}
	for _, e := range x.byID {
		if e.key.Name == idOrName {
			return e
		}
	}
	return nil
}

// SetFile replaces the keys declared in omniroute.yaml. A name or a key that is
// taken is a diagnostic, and then nothing changes.
func (k *Keys) SetFile(keys []config.Key) []fault.Diagnostic {
	k.mu.Lock()
	defer k.mu.Unlock()
	x := k.index.Load().clone()
	old := map[string]*keyEntry{}
	for id, e := range x.byID {
		if e.key.FromFile {
			old[id] = e
			x.drop(e)
		}
	}
	var diags []fault.Diagnostic
	for i := range keys {
		c := &keys[i]
		if c.Key == "" && c.Hash == "" {
			continue // an unset variable: the loader has warned
		}
		e := fileKey(c, k.opt.Now())
		if was := old[e.key.ID]; was != nil && was.hash == e.hash {
			e.used, e.key.CreatedAt = was.used, was.key.CreatedAt
		}
		switch other := x.byHash[e.hash]; {
		case other != nil:
			diags = append(diags, at(c.Pos, "key %q is the same as key %q", c.Name, other.key.Name))
		case x.find(c.Name) != nil:
			diags = append(diags, at(c.Pos, "key %q is declared here and in the data directory; revoke that one or rename this", c.Name))
		default:
			x.add(e)
		}
	}
	if len(diags) == 0 {
		k.index.Store(x)
	}
	return diags
}

func at(p config.Pos, format string, args ...any) fault.Diagnostic {
	return fault.Diagnostic{File: p.File, Line: p.Line, Column: p.Column, Message: fmt.Sprintf(format, args...)}
}

func fileKey(c *config.Key, now time.Time) *keyEntry {
	hash := sha256.Sum256([]byte(c.Key))
	shown := preview(c.Key)
	if c.Hash != "" {
		raw, _ := hex.DecodeString(strings.TrimPrefix(c.Hash, "sha256:")) // checked by the loader
		copy(hash[:], raw)
		shown = "sha256:" + hex.EncodeToString(hash[:4]) + "…"
	}
	return newEntry(Key{
		ID: "file:" + c.Name, Name: c.Name, Preview: shown, Scopes: c.Scopes, Team: c.Team, Tags: c.Tags, Meta: c.Meta,
		Models: c.Models, Providers: c.Providers, Limits: limitsOf(c.Limits), Enabled: c.Enabled, NoLog: c.NoLog,
		Verbatim:  c.Sanitize != nil && !*c.Sanitize,
		CreatedAt: now, ExpiresAt: c.Expires, FromFile: true,
	}, hash)
}

func limitsOf(c config.KeyLimits) Limits {
	l := Unlimited()
	for dst, v := range map[*float64]*float64{&l.DailyUSD: c.DailyUSD, &l.WeeklyUSD: c.WeeklyUSD, &l.MonthlyUSD: c.MonthlyUSD, &l.TotalUSD: c.TotalUSD, &l.WarnAt: c.WarnAt} {
		if v != nil {
			*dst = *v
		}
	}
	for dst, v := range map[*int64]*int64{&l.RPM: c.RPM, &l.TPM: c.TPM, &l.RPD: c.RPD, &l.Concurrency: c.Concurrency} {
		if v != nil {
			*dst = *v
		}
	}
	return l
}

// Create issues a key from the fields of want (ID, Preview, CreatedAt and Rev
// are set here) and returns its text, once. The name must be free.
func (k *Keys) Create(ctx context.Context, want Key) (secret string, key *Key, err error) {
	want.Name = strings.TrimSpace(want.Name)
	if want.Name == "" || len(want.Name) > 200 {
		return "", nil, errors.New("account: a key needs a name of 1 to 200 characters")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	x := k.index.Load().clone()
	if x.find(want.Name) != nil {
		return "", nil, fmt.Errorf("%w: %q", ErrNameTaken, want.Name)
	}
	secret = newKeyText(k.opt.Secret, k.machine)
	want.ID, want.Preview, want.CreatedAt = "key_"+randomID(10), preview(secret), k.opt.Now().UTC()
	want.Rev, want.FromFile, want.Enabled, want.LastUsed = 1, false, true, time.Time{}
	e := newEntry(want, sha256.Sum256([]byte(secret)))
	kept := ""
	if k.opt.Reveal {
		kept = secret
	}
	if err := k.save(ctx, e, kept); err != nil {
		return "", nil, err
	}
	x.add(e)
	k.index.Store(x)
	return secret, e.key, nil
}

func (k *Keys) save(ctx context.Context, e *keyEntry, secret string) error {
	r := keyRecord{Key: *e.key, Hash: hex.EncodeToString(e.hash[:]), Secret: secret}
	if e.former != nil {
		r.Former, r.FormerUntil = hex.EncodeToString(e.former.hash[:]), e.former.until
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("account: key: %w", err)
	}
	b := state.Batch{Durable: true}
	b.Put(state.Key("key", e.key.ID), raw, 0)
	return k.store.Apply(ctx, &b)
}

// Verify finds the key a client presented: AUTH_002 for one that is unknown,
// revoked or disabled, AUTH_003 for one that has expired. It costs one hash and
// one look-up in memory and never waits for the store.
func (k *Keys) Verify(presented string) (*Key, error) {
	hash := sha256.Sum256([]byte(presented))
	e := k.index.Load().byHash[hash]
	if e == nil || subtle.ConstantTimeCompare(e.hash[:], hash[:]) != 1 && !e.wasFormer(hash, k.opt.Now()) {
		if mistyped(presented, k.opt.Secret, k.machine) {
			return nil, fault.New(fault.InvalidKey, "Invalid API key: its check digits do not fit, it may have been cut or mistyped")
		}
		return nil, fault.New(fault.InvalidKey)
	}
	if !e.key.Enabled || !k.opt.AcceptLegacy && legacy(presented) {
		return nil, fault.New(fault.InvalidKey)
	}
	if !e.key.ExpiresAt.IsZero() && !k.opt.Now().Before(e.key.ExpiresAt) {
		return nil, fault.New(fault.KeyExpired)
	}
	return e.key, nil
}

// wasFormer tells whether hash is that of the secret before, and may still be used.
func (e *keyEntry) wasFormer(hash [32]byte, now time.Time) bool {
	f := e.former
	return f != nil && subtle.ConstantTimeCompare(f.hash[:], hash[:]) == 1 && now.Before(f.until)
}

// Rotate gives a stored key another secret and returns it, once. The one before stays good for grace.
func (k *Keys) Rotate(ctx context.Context, id string, grace time.Duration) (secret string, key *Key, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	x := k.index.Load().clone()
	e, err := x.stored(id)
	if err != nil {
		return "", nil, err
	}
	secret = newKeyText(k.opt.Secret, k.machine)
	changed := *e.key
	changed.Preview, changed.Rev = preview(secret), e.key.Rev+1
	next := &keyEntry{key: &changed, hash: sha256.Sum256([]byte(secret)), used: e.used, written: e.written}
	if grace > 0 {
		next.former = &former{e.hash, k.opt.Now().Add(grace)}
	}
	kept := ""
	if k.opt.Reveal {
		kept = secret
	}
	if err := k.save(ctx, next, kept); err != nil {
		return "", nil, err
	}
	x.drop(e)
	x.add(next)
	k.index.Store(x)
	return secret, &changed, nil
}

// Touch notes a use of a key.
func (k *Keys) Touch(id string) {
	e := k.index.Load().byID[id]
	if e == nil {
		return
	}
	now := k.opt.Now().UnixMilli()
	e.used.Store(now)
	last := e.written.Load()
	if k.opt.Writer == nil || e.key.FromFile || now-last < touchEvery.Milliseconds() || !e.written.CompareAndSwap(last, now) {
		return
	}
	k.opt.Writer.Put(state.Key(kindUse, id), strconv.AppendInt(nil, now, 10), 0)
}

// Get returns a key by id or name.
func (k *Keys) Get(id string) (*Key, bool) {
	e := k.index.Load().find(id)
	if e == nil {
		return nil, false
	}
	return e.shown(), true
}

// shown is the key with its time of last use.
func (e *keyEntry) shown() *Key {
	key := *e.key
	if ms := e.used.Load(); ms > 0 {
		key.LastUsed = time.UnixMilli(ms).UTC()
	}
	return &key
}

// List returns all keys by creation time.
func (k *Keys) List() []*Key {
	var out []*Key
	for _, e := range k.index.Load().byID {
		out = append(out, e.shown())
	}
	slices.SortFunc(out, func(a, b *Key) int { return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID)) })
	return out
}

// Machine is the part of every key issued here that follows "sk-".
func (k *Keys) Machine() string { return k.machine }

// Count is the number of keys that are enabled.
func (k *Keys) Count() int {
	n := 0
	for _, e := range k.index.Load().byID {
		if e.key.Enabled {
			n++
		}
	}
	return n
}

// Update changes a stored key through edit, which gets a copy; identity, hash
// and times stay as they are.
func (k *Keys) Update(ctx context.Context, id string, edit func(*Key) error) (*Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	x := k.index.Load().clone()
	e, err := x.stored(id)
	if err != nil {
		return nil, err
	}
	key := *e.key
	if err := edit(&key); err != nil {
		return nil, err
	}
	if other := x.find(key.Name); other != nil && other != e {
		return nil, fmt.Errorf("%w: %q", ErrNameTaken, key.Name)
	}
	key.ID, key.Preview, key.CreatedAt, key.FromFile, key.Rev = e.key.ID, e.key.Preview, e.key.CreatedAt, false, e.key.Rev+1
	next := &keyEntry{key: &key, hash: e.hash, former: e.former, used: e.used, written: e.written}
	secret, err := k.secret(ctx, e.key.ID)
	if err != nil {
		return nil, err
	}
	if err := k.save(ctx, next, secret); err != nil {
		return nil, err
	}
	x.add(next)
	k.index.Store(x)
	return &key, nil
}

// stored finds a key that may be changed.
func (x *keyIndex) stored(id string) (*keyEntry, error) {
	e := x.find(id)
	if e == nil {
		return nil, fmt.Errorf("%w: key %q", ErrNotFound, id)
	}
	if e.key.FromFile {
		return nil, fmt.Errorf("%w: key %q", ErrFromFile, e.key.Name)
	}
	return e, nil
}

func (k *Keys) secret(ctx context.Context, id string) (string, error) {
	raw, err := k.store.Get(ctx, state.Key("key", id))
	if err != nil {
		return "", err
	}
	var r keyRecord
	if err := json.Unmarshal(raw, &r); err != nil {
		return "", fmt.Errorf("account: the stored key %q cannot be read: %w", id, err)
	}
	return r.Secret, nil
}

// Revoke removes a stored key by id or name, at once and on disk.
func (k *Keys) Revoke(ctx context.Context, id string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	x := k.index.Load().clone()
	e, err := x.stored(id)
	if err != nil {
		return err
	}
	b := state.Batch{Durable: true}
	b.Delete(state.Key("key", e.key.ID))
	if k.opt.Writer != nil {
		k.opt.Writer.Delete(state.Key(kindUse, e.key.ID))
	}
	if err := k.store.Apply(ctx, &b); err != nil {
		return err
	}
	x.drop(e)
	k.index.Store(x)
	return nil
}

// Reveal returns the key itself; ErrNotKept if only its hash was stored.
func (k *Keys) Reveal(ctx context.Context, id string) (string, error) {
	e, err := k.index.Load().stored(id)
	if err != nil {
		return "", err
	}
	secret, err := k.secret(ctx, e.key.ID)
	if err == nil && secret == "" {
		err = ErrNotKept
	}
	return secret, err
}
