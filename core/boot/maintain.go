package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/account"
	"github.com/omniroute/omniroute/core/audit"
	"github.com/omniroute/omniroute/core/backup"
	"github.com/omniroute/omniroute/core/boot/control"
	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/state"
)

// Names below the data directory.
const (
	backupsDir  = "backups"
	restoredDir = "restored"
	badgerDir   = "badger"
)

// stamp names what is made now.
func stamp() string { return time.Now().UTC().Format("20060102-150405") }

// logKinds are the kinds of the request log and what is derived from it.
var logKinds = []string{"u", "ut", "ui", "ux", "uw", "um"}

// Backup implements control.Maintenance.
func (d *desk) Backup(ctx context.Context, want control.BackupRequest) (control.BackupReport, error) {
	out := control.BackupReport{Path: want.Path}
	if out.Path == "" {
		if err := os.MkdirAll(d.dir.Path(backupsDir), 0o700); err != nil {
			return out, err
		}
		out.Path = d.dir.Path(backupsDir, "omniroute-"+stamp()+".bak")
	}
	key, err := d.backupKey(want.Passphrase)
	if err != nil {
		return out, err
	}
	if err := errors.Join(d.writer.Flush(), d.ledger.Flush(ctx)); err != nil {
		return out, err
	}
	src := backup.Source{Store: d.store, Version: d.opt.Version}
	if want.NoLogs {
		src.Skip = isLog
	}
	if src.Files, err = d.backupFiles(); err != nil {
		return out, err
	}
	// A file that is not whole never bears the name of a backup.
	tmp, err := os.CreateTemp(filepath.Dir(out.Path), ".backup-*") // mode 0600
	if err != nil {
		return out, err
	}
	defer os.Remove(tmp.Name()) // gone already when the rename succeeded
	out.Manifest, err = backup.Write(ctx, tmp, src, key)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return out, err
	}
	if err := os.Rename(tmp.Name(), out.Path); err != nil {
		return out, err
	}
	if info, err := os.Stat(out.Path); err == nil {
		out.Bytes = info.Size()
	}
	d.audit.Write(ctx, audit.Record{Action: audit.BackupCreate, Actor: audit.CLI, Target: audit.Target{Type: "file", ID: out.Path}, Result: "ok"})
	return out, nil
}

func isLog(key string) bool {
	for _, kind := range logKinds {
		if strings.HasPrefix(key, state.Prefix(kind)) {
			return true
		}
	}
	return false
}

func (s *system) backupKey(passphrase string) (backup.Key, error) {
	if passphrase != "" {
		return backup.Passphrase(passphrase), nil
	}
	key, err := s.dir.StorageKey(s.config().File.Storage.EncryptionKey)
	return backup.StorageKey(key), err
}

// backupFiles are the files a gateway needs beside its store.
func (s *system) backupFiles() ([]backup.File, error) {
	secrets, err := s.dir.Secrets()
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(secrets)
	if err != nil {
		return nil, err
	}
	files := []backup.File{{Name: "secrets.json", Data: raw}}
	add := func(name, path string) error {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		files = append(files, backup.File{Name: name, Data: data})
		return err
	}
	conf := s.config()
	if err := add("machine-id", s.dir.Path("machine-id")); err != nil {
		return nil, err
	}
	if conf.Path != "" {
		if err := add("omniroute.yaml", conf.Path); err != nil {
			return nil, err
		}
	}
	if lock := conf.File.Plugins.Lock; lock != "" {
		if err := add("plugins/"+filepath.Base(lock), lock); err != nil {
			return nil, err
		}
	}
	entries, err := os.ReadDir(conf.File.Plugins.Dir)
	if err != nil {
		return files, nil // there is no folder of plugins
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := add("plugins/"+e.Name(), filepath.Join(conf.File.Plugins.Dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Compact implements control.Maintenance.
func (d *desk) Compact(ctx context.Context) (control.CompactReport, error) {
	m, ok := d.store.(state.Maintainer)
	if !ok {
		return control.CompactReport{}, nil
	}
	if _, err := d.ledger.Prune(ctx); err != nil {
		return control.CompactReport{}, err
	}
	out := control.CompactReport{Before: sizeOf(d.dir.Path(badgerDir))}
	err := m.Compact(ctx)
	out.After = sizeOf(d.dir.Path(badgerDir))
	return out, err
}

// sizeOf is what the files of a directory take on disk, about.
func sizeOf(dir string) (n int64) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
	}
	return n
}

// exportKinds are what is exported: kind, and the members without which an entry
// works but tells no secret.
var exportKinds = []struct {
	kind    string
	secrets []string
}{
	{"key", []string{"hash", "secret"}},
	{"acct", []string{"credential"}},
	{"cat/provider", nil}, {"cat/alias", nil}, {"cat/combo", nil}, {"cat/model", nil}, {"cat/price", nil}, {"cat/chain", nil},
}

// Export implements control.Maintenance.
func (d *desk) Export(ctx context.Context, secrets bool) (control.Export, error) {
	out := control.Export{Format: control.ExportFormat, Created: time.Now().UTC().Truncate(time.Second), Version: d.opt.Version,
		Secrets: secrets, Entries: []control.ExportEntry{}}
	for _, k := range exportKinds {
		prefix := state.Prefix(k.kind)
		err := d.store.Scan(ctx, state.Query{Prefix: prefix}, func(e state.Entry) error {
			id, ok := state.Segments(prefix, e.Key)
			if !ok || len(id) != 1 {
				return nil
			}
			data := e.Value
			if strings.HasPrefix(k.kind, "cat/") {
				data = doc.Quote(nil, string(e.Value))
			}
			if !secrets {
				for _, name := range k.secrets {
					data, _ = doc.Delete(nil, data, name)
				}
			}
			out.Entries = append(out.Entries, control.ExportEntry{Kind: k.kind, ID: id[0], Data: bytes.Clone(data)})
			return nil
		})
		if err != nil {
			return out, err
		}
	}
	d.audit.Write(ctx, audit.Record{Action: audit.ExportData, Actor: audit.CLI, Details: map[string]any{"entries": len(out.Entries), "with_secrets": secrets}, Result: "ok"})
	return out, nil
}

// Import implements control.Maintenance.
func (d *desk) Import(ctx context.Context, want control.ImportRequest) (control.ImportReport, error) {
	out := control.ImportReport{Create: []string{}, Update: []string{}, Same: []string{}, Conflicts: []string{}, Skipped: []string{}}
	if want.Export.Format != control.ExportFormat {
		return out, invalid("this is no export of a gateway: the format is %q, not %q", want.Export.Format, control.ExportFormat)
	}
	if d.gateway != nil && want.Apply {
		return out, readOnly("stop the gateway to import: it holds keys and accounts in memory")
	}
	b := state.Batch{Durable: true}
	trial := state.NewMemory(nil)
	defer trial.Close()
	for _, e := range want.Export.Entries {
		key, value, ok := imported(e)
		name := e.Kind + "/" + e.ID
		if !ok {
			out.Skipped = append(out.Skipped, name)
			continue
		}
		if err := trial.Put(ctx, key, value, 0); err != nil {
			return out, err
		}
		have, err := d.store.Get(ctx, key)
		switch {
		case errors.Is(err, state.ErrNotFound):
			out.Create = append(out.Create, name)
		case err != nil:
			return out, err
		case bytes.Equal(have, value):
			out.Same = append(out.Same, name)
			continue
		case !want.Overwrite:
			out.Conflicts = append(out.Conflicts, name)
			continue
		default:
			out.Update = append(out.Update, name)
		}
		b.Put(key, value, 0)
	}
	if err := readable(ctx, trial); err != nil {
		return out, invalid("the export cannot be used: %v", err)
	}
	if !want.Apply || b.Len() == 0 {
		return out, nil
	}
	if err := d.store.Apply(ctx, &b); err != nil {
		return out, err
	}
	out.Applied = true
	d.audit.Write(ctx, audit.Record{Action: audit.ImportData, Actor: audit.CLI,
		Details: map[string]any{"created": len(out.Create), "updated": len(out.Update)}, Result: "ok"})
	return out, nil
}

// imported is the stored form of an exported entry; false for one that lacks what
// makes it work.
func imported(e control.ExportEntry) (key string, value []byte, ok bool) {
	for _, k := range exportKinds {
		if k.kind != e.Kind {
			continue
		}
		key = state.Key(e.Kind, e.ID)
		if strings.HasPrefix(k.kind, "cat/") {
			var text string
			err := json.Unmarshal(e.Data, &text)
			return key, []byte(text), err == nil && e.ID != ""
		}
		if len(k.secrets) > 0 {
			if _, has := doc.Get(e.Data, k.secrets[0]); !has {
				return key, nil, false
			}
		}
		return key, e.Data, e.ID != ""
	}
	return "", nil, false
}

// readable reports whether all of what a store holds can be used.
func readable(ctx context.Context, s state.Store) error {
	if _, err := account.OpenKeys(ctx, s, account.KeysOptions{}); err != nil {
		return err
	}
	if _, err := account.OpenPool(ctx, s, account.PoolOptions{}); err != nil {
		return err
	}
	_, err := catalog.NewRepo(s).Load(ctx)
	return err
}

// RestoreRequest asks to put a backup in the place of the data.
type RestoreRequest struct {
	Path       string
	Passphrase string // "" = it was sealed with the storage key
	DryRun     bool   // check only
}

// Restore replaces the data with that of a backup. What was there is kept below
// backups/. Nothing changes unless the backup is whole and can be opened. No
// gateway may be running over the data directory.
func Restore(ctx context.Context, opt Options, want RestoreRequest) (out control.RestoreReport, err error) {
	snap, problems := opt.load()
	if snap == nil {
		return out, &ConfigError{problems}
	}
	dir, err := state.OpenDir(snap.File.Server.DataDir)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	storage, err := dir.NewStorageKey(snap.File.Storage.EncryptionKey)
	if err != nil {
		return out, err
	}
	key := backup.StorageKey(storage)
	if want.Passphrase != "" {
		key = backup.Passphrase(want.Passphrase)
	}
	r := restorer{dir: dir, storage: storage, key: key, path: want.Path, stamp: stamp(), out: &out}
	if out.Manifest, err = r.read(ctx, nil); err != nil {
		return out, err
	}
	if out.DryRun = want.DryRun; want.DryRun {
		return out, nil
	}
	return out, r.run(ctx)
}

type restorer struct {
	dir     *state.Dir
	storage []byte
	key     backup.Key
	path    string
	stamp   string
	out     *control.RestoreReport
	secrets map[string]string
}

func (r *restorer) read(ctx context.Context, sink backup.Sink) (backup.Manifest, error) {
	f, err := os.Open(r.path)
	if err != nil {
		return backup.Manifest{}, err
	}
	defer f.Close()
	return backup.Read(ctx, f, r.key, sink)
}

func (r *restorer) run(ctx context.Context) error {
	fresh := r.dir.Path(badgerDir + ".restore-" + r.stamp)
	defer os.RemoveAll(fresh) // in place already when all went well
	if err := r.fill(ctx, fresh); err != nil {
		return err
	}
	live, before := r.dir.Path(badgerDir), r.dir.Path(backupsDir, "before-restore-"+r.stamp)
	if err := os.MkdirAll(before, 0o700); err != nil {
		return err
	}
	if raw, err := os.ReadFile(r.dir.Path("secrets.json")); err == nil {
		if err := state.WriteFile(filepath.Join(before, "secrets.json"), raw); err != nil {
			return err
		}
	}
	had := true
	if err := os.Rename(live, filepath.Join(before, badgerDir)); errors.Is(err, fs.ErrNotExist) {
		had = false
	} else if err != nil {
		return err
	}
	err := os.Rename(fresh, live)
	if err == nil {
		err = r.prove(ctx, live)
	}
	if err == nil {
		err = r.dir.SetSecrets(r.secrets)
	}
	if err != nil {
		undo := os.RemoveAll(live)
		if had {
			undo = errors.Join(undo, os.Rename(filepath.Join(before, badgerDir), live))
		}
		return errors.Join(fmt.Errorf("the backup was not restored, the data is as it was: %w", err), undo)
	}
	if r.out.Before = before; !had {
		r.out.Before = ""
	}
	return nil
}

// fill makes a store of the backup in dir.
func (r *restorer) fill(ctx context.Context, dir string) error {
	store, err := state.OpenBadger(dir, r.storage, state.BadgerOptions{})
	if err != nil {
		return err
	}
	l := &backup.Loader{Ctx: ctx, Store: store, Files: r.file}
	if _, err = r.read(ctx, l); err == nil {
		err = l.Flush()
	}
	r.out.Entries = l.Entries
	return errors.Join(err, store.Close())
}

// file takes one file of the backup: secrets are kept for later, the others are
// laid out for whoever restores.
func (r *restorer) file(f backup.File) error {
	switch {
	case f.Name == "secrets.json":
		return json.Unmarshal(f.Data, &r.secrets)
	case !filepath.IsLocal(filepath.FromSlash(f.Name)):
		return fmt.Errorf("the backup holds a file with the name %q", f.Name)
	}
	r.out.FilesDir = r.dir.Path(restoredDir, r.stamp)
	path := filepath.Join(r.out.FilesDir, filepath.FromSlash(f.Name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	r.out.Files = append(r.out.Files, f.Name)
	return state.WriteFile(path, f.Data)
}

// prove opens what was restored, and writes into its audit log that it was.
func (r *restorer) prove(ctx context.Context, dir string) error {
	store, err := state.OpenBadger(dir, r.storage, state.BadgerOptions{})
	if err != nil {
		return err
	}
	if _, err := store.(state.Maintainer).Verify(ctx); err != nil {
		return errors.Join(err, store.Close())
	}
	if err := readable(ctx, store); err != nil {
		return errors.Join(err, store.Close())
	}
	log, err := audit.Open(ctx, store, audit.Options{})
	if err == nil {
		log.Write(ctx, audit.Record{Action: audit.BackupRestore, Actor: audit.CLI, Target: audit.Target{Type: "file", ID: r.path},
			Details: map[string]any{"entries": r.out.Entries, "created": r.out.Manifest.Created}, Result: "ok"})
	}
	return errors.Join(err, store.Close())
}
