package library

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/omniroute/omniroute/core/host/lock"
	"github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/core/host/pack"
	"github.com/omniroute/omniroute/core/host/trust"
)

// Library is the plugins of one gateway on disk.
type Library struct {
	Dir     string // plugin folder
	Lock    string // lock file
	Trust   trust.Policy
	Items   map[string]trust.Item // the operator's settings, by plugin name
	Version string                // of the gateway
	MaxSize int                   // of a plugin file, in bytes; 0 = 16 MiB

	// Fixtures runs a plugin's own test cases; nil = they are not run.
	Fixtures func(ctx context.Context, f *pack.File) (*lock.Fixtures, error)
}

// Source is a plugin file on its way in.
type Source struct {
	Name           string // of the file; its ending tells the kind
	Data           []byte
	Signature      []byte // side-car, nil = none
	From           string // for the lock file: a path, a URL, a reference
	ManifestDigest string // of the OCI manifest it came with
}

// Options say how to install.
type Options struct {
	Accept         manifest.Grants // what the operator agreed to
	Constraint     string          // versions that updates may choose, for the lock file
	AllowDowngrade bool
	SkipFixtures   bool
	Stage          bool // an installed plugin that asks for more waits for approval; else that is an error
}

// Outcome is what an installation came to.
type Outcome struct {
	Entry    lock.Entry      `json:"entry"`
	Replaced string          `json:"replaced,omitempty"` // version that served before
	Pending  bool            `json:"pending,omitempty"`  // the new version waits for approval
	Added    manifest.Grants `json:"added,omitzero"`     // what it asks for beyond what it had
	Dropped  manifest.Grants `json:"dropped,omitzero"`   // what it does not ask for any more
	Same     bool            `json:"same,omitempty"`     // this very content was installed already
}

// Consent is the error about a plugin that nobody agreed to yet.
type Consent struct {
	Manifest *manifest.Manifest
	Missing  manifest.Grants
	Special  manifest.Grants // the part of Missing that takes being named
	Signers  []string        // names of the listed keys that signed it
}

func (e *Consent) Error() string {
	return e.Manifest.Name + " asks for " + e.Missing.String() + ", which was not agreed to"
}

// ErrDowngrade is wrapped by the refusal of an older version.
var ErrDowngrade = errors.New("it is older than the installed version")

// ErrUnknown is wrapped by errors about a plugin that is not there.
var ErrUnknown = errors.New("no such plugin")

func unknown(name string) error { return fmt.Errorf("%w: %s", ErrUnknown, name) }

// maxSize bounds a plugin file where nothing else is set.
const maxSize = 16 << 20

// Open reads a file and checks all that needs no decision about what it may do:
// form, size, gateway version, signatures under the policy, and what is denied.
func (l *Library) Open(s Source) (*pack.File, trust.Verdict, error) {
	limit := l.MaxSize
	if limit == 0 {
		limit = maxSize
	}
	if len(s.Data) > limit {
		return nil, trust.Verdict{}, fmt.Errorf("the file has %d bytes; plugins may have %d", len(s.Data), limit)
	}
	f, err := pack.Open(s.Name, s.Data, s.Signature)
	if err != nil {
		return nil, trust.Verdict{}, err
	}
	if f.Manifest == nil {
		return f, trust.Verdict{}, errors.New("it has no manifest; `omniroute plugin pack` puts one into it")
	}
	if err := f.Manifest.Supports(l.Version); err != nil {
		return f, trust.Verdict{}, err
	}
	name := pack.FileName(f.Manifest.Name, f.IsPack())
	v, err := l.Trust.Judge(trust.Subject{
		File: f, Path: name, Paths: []string{filepath.Join(l.Dir, name)}, Item: l.Items[f.Manifest.Name],
		Entry: &lock.Entry{Name: f.Manifest.Name, Grants: f.Manifest.Asks()},
	})
	return f, v, err
}

// Install takes a plugin into the folder.
func (l *Library) Install(ctx context.Context, s Source, opt Options) (*Outcome, error) {
	f, verdict, err := l.Open(s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	var fixtures *lock.Fixtures
	if l.Fixtures != nil && len(f.Fixtures) > 0 && !opt.SkipFixtures {
		if fixtures, err = l.Fixtures(ctx, f); err != nil {
			return nil, fmt.Errorf("%s does not pass its own test cases: %w", f.Manifest.Name, err)
		}
	}
	var out *Outcome
	err = lock.Update(l.Lock, func(file *lock.File) error {
		out, err = l.install(file, f, s, &verdict, fixtures, opt)
		return err
	})
	return out, err
}

func (l *Library) install(file *lock.File, f *pack.File, s Source, v *trust.Verdict, fixtures *lock.Fixtures, opt Options) (*Outcome, error) {
	m := f.Manifest
	old := file.Find(m.Name)
	entry := lock.Entry{
		Name: m.Name, Version: m.Version, ABI: m.ABI, File: pack.FileName(m.Name, f.IsPack()), Source: s.From,
		ManifestDigest: s.ManifestDigest, FileDigest: f.FileDigest, ContentDigest: f.ContentDigest, SignedBy: v.Keys,
		Fixtures: fixtures, Constraint: opt.Constraint,
	}
	asks := m.Asks()
	out := &Outcome{}
	had := l.Items[m.Name].Grants
	if old != nil {
		had = had.And(old.Grants)
		out.Added, out.Dropped = old.Grants.Missing(asks), asks.Missing(old.Grants)
		if old.Pinned() {
			if out.Same = old.ContentDigest == f.ContentDigest; !out.Same && !opt.AllowDowngrade && older(m.Version, old.Version) {
				return nil, fmt.Errorf("%w: %s is %s, this is %s; --allow-downgrade takes it all the same", ErrDowngrade, m.Name, old.Version, m.Version)
			}
			out.Replaced = old.Version
		}
		entry.Disabled = old.Disabled
		if opt.Constraint == "" {
			entry.Constraint = old.Constraint
		}
	} else {
		out.Added = asks
	}
	if missing := had.And(opt.Accept).Missing(asks); !missing.Empty() {
		_, special := trust.Special(missing)
		if old == nil || !old.Pinned() || !opt.Stage {
			return nil, &Consent{Manifest: m, Missing: missing, Special: special, Signers: []string{v.Signer}}
		}
		if err := l.keep(m.Name, f); err != nil {
			return nil, err
		}
		old.Pending = &lock.Version{
			Version: m.Version, Source: s.From, ManifestDigest: s.ManifestDigest, ContentDigest: f.ContentDigest, Grants: asks,
		}
		out.Entry, out.Pending = *old, true
		return out, nil
	}
	entry.Grants = asks
	if old != nil && old.Pinned() && !out.Same {
		entry.Previous = versionOf(old)
	} else if old != nil {
		entry.Previous = old.Previous
	}
	if err := l.place(old, &entry, f); err != nil {
		return nil, err
	}
	file.Put(entry)
	out.Entry = entry
	return out, nil
}

func versionOf(e *lock.Entry) *lock.Version {
	return &lock.Version{
		Version: e.Version, Source: e.Source, ManifestDigest: e.ManifestDigest, ContentDigest: e.ContentDigest, Grants: e.Grants,
	}
}

// older compares versions; those that are none are neither older nor newer.
func older(a, b string) bool {
	x, err1 := semver.NewVersion(a)
	y, err2 := semver.NewVersion(b)
	return err1 == nil && err2 == nil && x.LessThan(y)
}

// place puts a file into the folder, in the place of whatever file the plugin
// had, and keeps both versions for later.
func (l *Library) place(old, entry *lock.Entry, f *pack.File) error {
	if err := os.MkdirAll(l.Dir, 0o755); err != nil {
		return err
	}
	if old != nil && old.Pinned() {
		if g, err := l.current(old); err == nil && g.ContentDigest == old.ContentDigest {
			if err := l.keep(old.Name, g); err != nil {
				return err
			}
		}
	}
	if err := l.keep(entry.Name, f); err != nil {
		return err
	}
	if err := write(filepath.Join(l.Dir, entry.File), f); err != nil {
		return err
	}
	for _, other := range l.filesOf(entry.Name) { // dropped in before, under another name
		if other != entry.File {
			_ = os.Remove(filepath.Join(l.Dir, filepath.FromSlash(other)))
			_ = os.Remove(filepath.Join(l.Dir, filepath.FromSlash(other)) + pack.SidecarSuffix)
		}
	}
	return nil
}

// write puts a plugin file and, where it does not carry them, its signatures.
// The signatures come first: a file must not be seen without them.
func write(path string, f *pack.File) error {
	text := f.SidecarText()
	if len(text) > 0 {
		if err := lock.Replace(path+pack.SidecarSuffix, text, 0o644); err != nil {
			return err
		}
	}
	if err := lock.Replace(path, f.Data, 0o644); err != nil {
		return err
	}
	if len(text) == 0 {
		if err := os.Remove(path + pack.SidecarSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// versionsDir is within the plugin folder, where no gateway looks for plugins.
const versionsDir = ".versions"

func (l *Library) versionPath(name, digest string, isPack bool) string {
	_, hex, _ := strings.Cut(digest, ":")
	base := strings.ReplaceAll(name, "/", "--") + "@" + hex
	if isPack {
		return filepath.Join(l.Dir, versionsDir, base+pack.PackSuffix)
	}
	return filepath.Join(l.Dir, versionsDir, base+pack.ModuleSuffix)
}

// keep stores a version by the digest of its content.
func (l *Library) keep(name string, f *pack.File) error {
	path := l.versionPath(name, f.ContentDigest, f.IsPack())
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return write(path, f)
}

// kept reads a version that was stored.
func (l *Library) kept(name string, v *lock.Version) (*pack.File, error) {
	for _, isPack := range []bool{false, true} {
		f, err := readFile(l.versionPath(name, v.ContentDigest, isPack))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && f.ContentDigest != v.ContentDigest {
			err = errors.New("its content changed")
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s as it was kept: %w", name, v.Version, err)
		}
		return f, nil
	}
	return nil, fmt.Errorf("%s %s was not kept in %s", name, v.Version, filepath.Join(l.Dir, versionsDir))
}

// current reads the file of an installed plugin.
func (l *Library) current(e *lock.Entry) (*pack.File, error) {
	return readFile(filepath.Join(l.Dir, filepath.FromSlash(e.File)))
}

// ReadSource reads a plugin file and the side-car signature beside it.
func ReadSource(path string) (Source, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Source{}, err
	}
	s := Source{Name: filepath.Base(path), Data: data, From: path}
	if text, err := os.ReadFile(path + pack.SidecarSuffix); err == nil {
		s.Signature = text
	}
	return s, nil
}

func readFile(path string) (*pack.File, error) {
	s, err := ReadSource(path)
	if err != nil {
		return nil, err
	}
	return pack.Open(s.Name, s.Data, s.Signature)
}

// filesOf lists the files in the folder that hold a plugin of that name.
func (l *Library) filesOf(name string) []string {
	var out []string
	for _, c := range l.folder() {
		if c.file != nil && c.file.Manifest != nil && c.file.Manifest.Name == name {
			out = append(out, c.name)
		}
	}
	return out
}
