package library

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/omniroute/omniroute/core/host/lock"
	"github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/core/host/pack"
	"github.com/omniroute/omniroute/core/host/trust"
)

// Enable switches a plugin on or off. One that was only dropped into the folder
// gets an entry in the lock file by that.
func (l *Library) Enable(name string, on bool) error {
	return lock.Update(l.Lock, func(f *lock.File) error {
		e := f.Find(name)
		if e == nil {
			p, err := l.droppedIn(name)
			if err != nil {
				return err
			}
			own, _ := trust.Special(p.Manifest.Asks())
			f.Put(lock.Entry{Name: name, ABI: p.Manifest.ABI, Source: lock.SourceDropped, Grants: own})
			e = f.Find(name)
		}
		e.Disabled = !on
		return nil
	})
}

func (l *Library) droppedIn(name string) (*pack.File, error) {
	for _, c := range l.folder() {
		if c.file != nil && c.file.Manifest != nil && c.file.Manifest.Name == name {
			return c.file, nil
		}
	}
	return nil, unknown(name)
}

// Remove takes a plugin out of the folder and the lock file, with all versions
// that were kept.
func (l *Library) Remove(name string) error {
	return lock.Update(l.Lock, func(f *lock.File) error {
		files := l.filesOf(name)
		if e := f.Find(name); e != nil && e.File != "" && !slices.Contains(files, e.File) {
			files = append(files, e.File)
		}
		if !f.Remove(name) && len(files) == 0 {
			return unknown(name)
		}
		for _, file := range files {
			path := filepath.Join(l.Dir, filepath.FromSlash(file))
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			_ = os.Remove(path + pack.SidecarSuffix)
		}
		kept, _ := filepath.Glob(filepath.Join(l.Dir, versionsDir, strings.ReplaceAll(name, "/", "--")+"@*"))
		for _, path := range kept {
			_ = os.Remove(path)
		}
		return nil
	})
}

// Rollback brings back the version that served before; the one in service can be
// returned to the same way.
func (l *Library) Rollback(name string) (*Outcome, error) {
	return l.turn(name, func(e *lock.Entry) (*lock.Version, error) {
		if e.Previous == nil {
			return nil, fmt.Errorf("%s has no earlier version to return to", name)
		}
		return e.Previous, nil
	}, func(_ *lock.Entry, v *lock.Version) (manifest.Grants, error) { return v.Grants, nil })
}

// Approve agrees to what a plugin asks for: a version that waits comes into
// service, a dropped-in file may do more. accept names what takes being named:
// reading secrets, and private hosts. The error is a *Consent without it.
func (l *Library) Approve(name string, accept manifest.Grants) (*Outcome, error) {
	file, err := lock.Read(l.Lock)
	if err != nil {
		return nil, err
	}
	if e := file.Find(name); e != nil && e.Pending != nil {
		return l.turn(name, func(e *lock.Entry) (*lock.Version, error) {
			if e.Pending == nil {
				return nil, fmt.Errorf("%s has nothing that waits for approval", name)
			}
			return e.Pending, nil
		}, func(e *lock.Entry, v *lock.Version) (manifest.Grants, error) {
			return v.Grants, l.agreed(name, e.Grants, v.Grants, accept)
		})
	}
	return l.approveDropIn(name, accept)
}

func (l *Library) approveDropIn(name string, accept manifest.Grants) (out *Outcome, err error) {
	p, err := l.droppedIn(name)
	if err != nil {
		return nil, err
	}
	err = lock.Update(l.Lock, func(f *lock.File) error {
		e := f.Find(name)
		if e == nil {
			e = &lock.Entry{Name: name, ABI: p.Manifest.ABI, Source: lock.SourceDropped}
		}
		if e.Pinned() && e.ContentDigest != p.ContentDigest {
			return fmt.Errorf("the file of %s is not the installed one; install it with `omniroute plugin install`", name)
		}
		asks := p.Manifest.Asks()
		out = &Outcome{Added: e.Grants.Missing(asks)}
		if out.Added.Empty() {
			return fmt.Errorf("%s has nothing that waits for approval", name)
		}
		if err := l.agreed(name, e.Grants, asks, accept); err != nil {
			return err
		}
		changed := *e
		changed.Grants = e.Grants.And(asks)
		f.Put(changed)
		out.Entry = changed
		return nil
	})
	return out, err
}

// agreed checks that what takes being named was named.
func (l *Library) agreed(name string, had, asks, accept manifest.Grants) error {
	_, special := trust.Special(had.And(l.Items[name].Grants).And(accept).Missing(asks))
	if special.Empty() {
		return nil
	}
	return &Consent{Manifest: &manifest.Manifest{Name: name}, Missing: special, Special: special}
}

// turn makes another kept version the current one.
func (l *Library) turn(name string, choose func(*lock.Entry) (*lock.Version, error), grants func(*lock.Entry, *lock.Version) (manifest.Grants, error)) (out *Outcome, err error) {
	err = lock.Update(l.Lock, func(file *lock.File) error {
		old := file.Find(name)
		if old == nil {
			return unknown(name)
		}
		v, err := choose(old)
		if err != nil {
			return err
		}
		f, err := l.kept(name, v)
		if err != nil {
			return err
		}
		_, verdict, err := l.Open(Source{Name: f.Name, Data: f.Data, Signature: f.SidecarText()})
		if err != nil {
			return fmt.Errorf("%s %s: %w", name, v.Version, err)
		}
		entry := *old
		entry.Version, entry.ABI, entry.Source, entry.ManifestDigest = v.Version, f.Manifest.ABI, v.Source, v.ManifestDigest
		entry.FileDigest, entry.ContentDigest, entry.SignedBy = f.FileDigest, f.ContentDigest, verdict.Keys
		entry.File, entry.Fixtures, entry.Pending = pack.FileName(name, f.IsPack()), nil, nil
		if entry.Grants, err = grants(old, v); err != nil {
			return err
		}
		entry.Previous = versionOf(old)
		out = &Outcome{Replaced: old.Version, Added: old.Grants.Missing(entry.Grants), Dropped: entry.Grants.Missing(old.Grants)}
		if err := l.place(old, &entry, f); err != nil {
			return err
		}
		file.Put(entry)
		out.Entry = entry
		return nil
	})
	return out, err
}
