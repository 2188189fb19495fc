package library

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/omniroute/omniroute/core/host/lock"
	"github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/core/host/pack"
	"github.com/omniroute/omniroute/core/host/trust"
)

// Signature says what the signatures of a plugin are worth here.
type Signature string

// What signatures are worth.
const (
	SignatureValid     Signature = "valid"     // a listed key vouches for it
	SignatureUntrusted Signature = "untrusted" // it is signed, but by no listed key
	SignatureInvalid   Signature = "invalid"   // a listed key's signature does not hold
	SignatureNone      Signature = "unsigned"
)

// Info is one plugin of the library.
type Info struct {
	Name       string             `json:"name"`
	Version    string             `json:"version"`
	File       string             `json:"file"`  // in the plugin folder; "" = it is gone
	State      string             `json:"state"` // enabled, disabled, refused, missing
	Reason     string             `json:"reason,omitempty"`
	Signature  Signature          `json:"signature"`
	SignedBy   []string           `json:"signed_by,omitempty"` // names of listed keys, or ids of others
	Asks       manifest.Grants    `json:"asks"`
	Grants     manifest.Grants    `json:"grants"`
	Missing    manifest.Grants    `json:"missing,omitzero"` // asked for and not granted
	Entry      *lock.Entry        `json:"lock,omitempty"`
	Manifest   *manifest.Manifest `json:"manifest,omitempty"`
	Readme     string             `json:"readme,omitempty"`
	FileDigest string             `json:"file_digest,omitempty"`
	Content    string             `json:"content_digest,omitempty"`
	Size       int                `json:"size,omitempty"` // bytes
	Imports    []pack.Import      `json:"imports,omitempty"`
	Cases      []string           `json:"fixtures,omitempty"`
}

type found struct {
	name string // relative, with slashes
	file *pack.File
	err  error
}

// folder reads all plugin files: of the folder itself and of its subfolders.
func (l *Library) folder() []found {
	var out []found
	dirs := []string{""}
	entries, err := os.ReadDir(l.Dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			dirs = append(dirs, e.Name())
		}
	}
	for _, dir := range dirs {
		entries, err := os.ReadDir(filepath.Join(l.Dir, dir))
		if err != nil {
			continue
		}
		for _, e := range entries {
			if e.IsDir() || strings.HasPrefix(e.Name(), ".") || !pack.Is(e.Name()) {
				continue
			}
			c := found{name: filepath.ToSlash(filepath.Join(dir, e.Name()))}
			c.file, c.err = readFile(filepath.Join(l.Dir, dir, e.Name()))
			out = append(out, c)
		}
	}
	return out
}

// List describes every plugin of the folder and the lock file, by name.
func (l *Library) List() ([]Info, error) {
	locked, err := lock.Read(l.Lock)
	if err != nil {
		return nil, err
	}
	var out []Info
	there := map[string]bool{}
	for _, c := range l.folder() {
		i := Info{Name: c.name, File: c.name, State: "refused", Signature: SignatureNone}
		if c.err != nil {
			i.Reason = c.err.Error()
			out = append(out, i)
			continue
		}
		l.describe(&i, c.file, locked)
		there[i.Name] = true
		out = append(out, i)
	}
	for k := range locked.Plugins {
		if e := &locked.Plugins[k]; e.Pinned() && !there[e.Name] {
			out = append(out, Info{
				Name: e.Name, Version: e.Version, State: "missing", Reason: "the lock file names it, but it is not in the plugin folder",
				Signature: SignatureNone, Grants: e.Grants, Entry: e,
			})
		}
	}
	slices.SortStableFunc(out, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Find describes one plugin.
func (l *Library) Find(name string) (*Info, error) {
	list, err := l.List()
	if err != nil {
		return nil, err
	}
	for k := range list {
		if list[k].Name == name {
			return &list[k], nil
		}
	}
	return nil, unknown(name)
}

// Inspect describes a file that is not installed, against what is.
func (l *Library) Inspect(s Source) (*Info, error) {
	f, err := pack.Open(s.Name, s.Data, s.Signature)
	if err != nil {
		return nil, err
	}
	locked, err := lock.Read(l.Lock)
	if err != nil {
		return nil, err
	}
	if f.Manifest != nil { // as if it were to take the installed one's place
		if e := locked.Find(f.Manifest.Name); e != nil {
			e.ContentDigest = ""
		}
	}
	i := &Info{Name: s.Name, File: s.Name, Signature: SignatureNone}
	l.describe(i, f, locked)
	return i, nil
}

func (l *Library) describe(i *Info, f *pack.File, locked *lock.File) {
	i.FileDigest, i.Content, i.Size, i.Imports, i.Readme = f.FileDigest, f.ContentDigest, len(f.Data), f.Imports, f.Readme
	i.Cases, _ = f.Cases()
	if f.Manifest == nil {
		i.State, i.Reason = "refused", "it has no manifest; `omniroute plugin pack` puts one into it"
		return
	}
	i.Name, i.Version, i.Manifest, i.Asks = f.Manifest.Name, f.Manifest.Version, f.Manifest, f.Manifest.Asks()
	i.Entry = locked.Find(i.Name)
	item := l.Items[i.Name]
	i.Signature, i.SignedBy = l.signature(f)
	v, err := l.Trust.Judge(trust.Subject{File: f, Path: i.File, Paths: []string{filepath.Join(l.Dir, i.File)}, Item: item, Entry: i.Entry})
	if err == nil {
		err = f.Manifest.Supports(l.Version)
	}
	i.Grants = v.Grants
	i.Missing = v.Grants.Missing(i.Asks)
	switch {
	case err != nil:
		i.State, i.Reason = "refused", err.Error()
	case item.Disabled:
		i.State, i.Reason = "disabled", "switched off in plugins.items"
	case i.Entry != nil && i.Entry.Disabled:
		i.State = "disabled"
	default:
		i.State = "enabled"
	}
}

func (l *Library) signature(f *pack.File) (Signature, []string) {
	if f.Signatures() == 0 {
		return SignatureNone, nil
	}
	keys := make([]pack.Key, len(l.Trust.Keys))
	for k := range l.Trust.Keys {
		keys[k] = l.Trust.Keys[k].Key
	}
	valid, err := f.SignedBy(keys)
	var names []string
	switch {
	case err != nil:
		return SignatureInvalid, nil
	case len(valid) == 0:
		for _, s := range f.ListSignatures() {
			names = append(names, s.KeyID)
		}
		return SignatureUntrusted, names
	}
	for _, v := range valid {
		for _, k := range l.Trust.Keys {
			if k.Text == v.Text {
				names = append(names, k.Name)
			}
		}
	}
	return SignatureValid, names
}
