package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/omniroute/omniroute/core/audit"
	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/ledger"
	"github.com/omniroute/omniroute/core/state"
)

// Examine is the doctor: that of the running gateway, or one that looks at the data
// directory itself, also when nothing in it can be opened.
func Examine(ctx context.Context, opt Options, deep bool) (control.Diagnosis, error) {
	snap, problems := opt.load()
	if snap == nil {
		return control.Diagnosis{}, &ConfigError{problems}
	}
	client, err := control.Dial(ctx, filepath.Join(snap.File.Server.DataDir, control.Socket))
	if err == nil {
		defer client.Close()
		return client.Doctor(ctx, deep)
	}
	e := exam{d: control.Diagnosis{DataDir: snap.File.Server.DataDir, Findings: []control.Finding{}}}
	s, err := openSystem(ctx, opt, snap, false)
	if err != nil {
		e.closed(err)
		return e.d, nil
	}
	d := &desk{system: s}
	e.look(ctx, d, deep)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	return e.d, s.close(closing)
}

// Doctor implements control.Maintenance.
func (d *desk) Doctor(ctx context.Context, deep bool) (control.Diagnosis, error) {
	e := exam{d: control.Diagnosis{Running: d.gateway != nil, DataDir: d.dir.Path(), Findings: []control.Finding{}}}
	e.look(ctx, d, deep)
	return e.d, nil
}

// exam collects findings.
type exam struct{ d control.Diagnosis }

func (e *exam) note(level, check, format string, args ...any) {
	e.d.Findings = append(e.d.Findings, control.Finding{Check: check, Level: level, Text: fmt.Sprintf(format, args...)})
}

// closed explains data that cannot be opened.
func (e *exam) closed(err error) {
	var locked *state.LockedError
	var version *state.VersionError
	help := "see docs/operations.md"
	switch {
	case errors.As(err, &locked):
		help = "stop that process, or look there"
	case errors.As(err, &version):
		help = "use the newer release, or restore a backup made before it"
	case errors.Is(err, state.ErrWrongKey):
		help = "nothing is lost: bring back the key or secrets.json; without them only a backup made with a passphrase helps"
	case errors.Is(err, state.ErrReadOnly):
		help = "give the data directory to the user the gateway runs as"
	case errors.Is(err, state.ErrDiskFull):
		help = "free some space on that disk; nothing that was acknowledged is lost"
	case errors.Is(err, state.ErrDamaged):
		help = "restore a backup (`omniroute restore`), or salvage what is left (`omniroute doctor repair`)"
	}
	e.note(control.LevelFail, "data", "%v; %s", err, help)
}

func (e *exam) look(ctx context.Context, d *desk, deep bool) {
	e.files(d)
	e.clock(ctx, d)
	e.store(ctx, d, deep)
	e.books(ctx, d, deep)
	if n, err := audit.Verify(ctx, d.store); err != nil {
		e.note(control.LevelFail, "audit", "%v", err)
	} else {
		e.note(control.LevelOK, "audit", "%d records, the chain is whole", n)
	}
	if err := readable(ctx, d.store); err != nil {
		e.note(control.LevelFail, "entries", "%v", err)
	} else {
		e.note(control.LevelOK, "entries", "%d client keys, %d accounts", d.keys.Count(), len(d.pool.List("")))
	}
	e.backups(d)
}

func (e *exam) files(d *desk) {
	for name, most := range map[string]os.FileMode{"": 0o700, "secrets.json": 0o600} {
		path := d.dir.Path(name)
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			e.note(control.LevelFail, "files", "%v", err)
		case info.Mode().Perm()&^most != 0:
			e.note(control.LevelWarn, "files", "%s has mode %#o and should have %#o: others can read it", path, info.Mode().Perm(), most)
		default:
			e.note(control.LevelOK, "files", "%s has mode %#o", path, info.Mode().Perm())
		}
	}
	if d.config().File.Storage.EncryptionKey != "" {
		e.note(control.LevelOK, "key", "the storage key comes from the configuration")
	} else {
		e.note(control.LevelOK, "key", "the storage key is kept in secrets.json; a copy elsewhere saves the data when that file is lost")
	}
}

// clock compares now with what the data knows.
func (e *exam) clock(ctx context.Context, d *desk) {
	page, err := d.ledger.List(ctx, ledger.Filter{Limit: 1})
	switch {
	case err != nil:
		e.note(control.LevelFail, "clock", "%v", err)
	case len(page.Entries) == 1 && time.Until(page.Entries[0].Time) > 10*time.Minute:
		e.note(control.LevelWarn, "clock", "the newest request is of %s, which is still to come: the clock is wrong, or was", page.Entries[0].Time.Format(time.RFC3339))
	default:
		e.note(control.LevelOK, "clock", "%s", time.Now().Format(time.RFC3339))
	}
}

func (e *exam) store(ctx context.Context, d *desk, deep bool) {
	m, ok := d.store.(state.Maintainer)
	if !ok {
		return
	}
	st := m.Stats()
	e.d.Store = &st
	switch {
	case st.Refused > 0:
		e.note(control.LevelFail, "disk", "nearly full: %d MiB are left, %d writes were refused", st.Free>>20, st.Refused)
	case st.Free < 1<<30:
		e.note(control.LevelWarn, "disk", "%d MiB are left", st.Free>>20)
	default:
		e.note(control.LevelOK, "disk", "%d MiB are left", min(st.Free, 1<<60)>>20)
	}
	if !deep {
		return
	}
	v, err := m.Verify(ctx)
	if err != nil {
		e.note(control.LevelFail, "store", "%v", err)
		return
	}
	e.note(control.LevelOK, "store", "%d entries of %d MiB are sound", v.Entries, v.Bytes>>20)
}

func (e *exam) books(ctx context.Context, d *desk, deep bool) {
	st := d.ledger.Stats()
	e.d.Ledger = &st
	if st.Queued > 1000 {
		e.note(control.LevelWarn, "ledger", "%d requests wait to be written", st.Queued)
	}
	if !deep {
		return
	}
	if err := d.ledger.Flush(ctx); err != nil {
		e.note(control.LevelFail, "ledger", "%v", err)
		return
	}
	r, err := ledger.Check(ctx, d.store)
	e.d.Log = &r
	switch {
	case err != nil:
		e.note(control.LevelFail, "ledger", "%v", err)
	case r.Damaged+r.BadCount > 0:
		e.note(control.LevelFail, "ledger", "%d of %d rows and %d of %d counters cannot be read; `omniroute doctor repair` removes them", r.Damaged, r.Rows, r.BadCount, r.Counters)
	case !r.Sound() && !e.d.Running:
		e.note(control.LevelWarn, "ledger", "the indexes of the request log do not fit it (%d too many, %d missing); `omniroute doctor repair` makes them anew", r.Orphans, r.Missing)
	default:
		e.note(control.LevelOK, "ledger", "%d rows, %d counters", r.Rows, r.Counters)
	}
}

func (e *exam) backups(d *desk) {
	files, _ := filepath.Glob(d.dir.Path(backupsDir, "*.bak"))
	var newest time.Time
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	if newest.IsZero() {
		e.note(control.LevelWarn, "backups", "there is none in %s; `omniroute backup` makes one", d.dir.Path(backupsDir))
		return
	}
	e.note(control.LevelOK, "backups", "%d, the newest of %s", len(files), newest.Format(time.RFC3339))
}

// Repair makes damaged data usable again, as far as that is possible without a
// backup. No gateway may be running over the data directory.
func Repair(ctx context.Context, opt Options) (out control.RepairReport, err error) {
	snap, problems := opt.load()
	if snap == nil {
		return out, &ConfigError{problems}
	}
	dir, err := state.OpenDir(snap.File.Server.DataDir)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	key, err := dir.StorageKey(snap.File.Storage.EncryptionKey)
	if err != nil {
		return out, err
	}
	if out.Salvaged, err = state.Salvage(ctx, dir.Path(badgerDir), key, dir.Path("damaged", stamp())); err != nil {
		return out, err
	}
	store, err := state.OpenBadger(dir.Path(badgerDir), key, state.BadgerOptions{})
	if err != nil {
		return out, err
	}
	out.Log, err = ledger.Rebuild(ctx, store, false)
	return out, errors.Join(err, store.Close())
}
