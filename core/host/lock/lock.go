package lock

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/omniroute/omniroute/core/host/manifest"
)

// schema is the version of the file this package reads and writes.
const schema = 1

// File is the content of a lock file.
type File struct {
	Schema  int     `yaml:"schema"`
	Plugins []Entry `yaml:"plugins"`
	Indexes []Index `yaml:"indexes,omitempty"`
}

// Index is what was last seen of an index of plugins.
type Index struct {
	Name   string   `yaml:"name"`
	Serial int64    `yaml:"serial"`              // may not go down
	Keys   []string `yaml:"keys,omitempty,flow"` // public keys it announced itself, signed by one known before
}

// Index returns what is known of an index, nil if nothing.
func (f *File) Index(name string) *Index {
	for k := range f.Indexes {
		if f.Indexes[k].Name == name {
			return &f.Indexes[k]
		}
	}
	return nil
}

// PutIndex notes what was seen of an index.
func (f *File) PutIndex(x Index) {
	if have := f.Index(x.Name); have != nil {
		*have = x
		return
	}
	f.Indexes = append(f.Indexes, x)
}

// Entry is what was agreed on for one plugin.
type Entry struct {
	Name           string          `yaml:"name" json:"name"`
	Version        string          `yaml:"version,omitempty" json:"version,omitempty"`
	ABI            string          `yaml:"abi,omitempty" json:"abi,omitempty"`
	File           string          `yaml:"file,omitempty" json:"file,omitempty"`                       // name in the plugin folder
	Source         string          `yaml:"source,omitempty" json:"source,omitempty"`                   // where it came from: a path, https://…, oci://…, index name
	ManifestDigest string          `yaml:"manifest_digest,omitempty" json:"manifest_digest,omitempty"` // of the OCI manifest
	FileDigest     string          `yaml:"file_digest,omitempty" json:"file_digest,omitempty"`         // what sha256sum shows
	ContentDigest  string          `yaml:"content_digest,omitempty" json:"content_digest,omitempty"`   // without signatures; pins the plugin
	SignedBy       []string        `yaml:"signed_by,omitempty,flow" json:"signed_by,omitempty"`        // minisign public keys
	Grants         manifest.Grants `yaml:"grants" json:"grants"`
	Fixtures       *Fixtures       `yaml:"fixtures,omitempty" json:"fixtures,omitempty"`
	Disabled       bool            `yaml:"disabled,omitempty" json:"disabled,omitempty"`
	Constraint     string          `yaml:"constraint,omitempty" json:"constraint,omitempty"` // versions that update may choose
	Previous       *Version        `yaml:"previous,omitempty" json:"previous,omitempty"`     // what rollback returns to
	Pending        *Version        `yaml:"pending,omitempty" json:"pending,omitempty"`       // what waits for approval
}

// Version is another version of an installed plugin, kept beside it.
type Version struct {
	Version        string          `yaml:"version" json:"version"`
	Source         string          `yaml:"source,omitempty" json:"source,omitempty"`
	ManifestDigest string          `yaml:"manifest_digest,omitempty" json:"manifest_digest,omitempty"`
	ContentDigest  string          `yaml:"content_digest" json:"content_digest"`
	Grants         manifest.Grants `yaml:"grants" json:"grants"` // had, or asked for
}

// Fixtures are the result of a plugin's own test cases on this machine.
type Fixtures struct {
	Passed  int   `yaml:"passed" json:"passed"`
	FuelMax int64 `yaml:"fuel_max,omitempty" json:"fuel_max,omitempty"`
}

// SourceDropped is the source of a file that someone put into the plugin folder.
const SourceDropped = "dropped"

// Pinned reports whether the entry holds the plugin to one content.
func (e *Entry) Pinned() bool { return e.ContentDigest != "" }

const head = `# Installed plugins, their content and what each may do. Written by "omniroute plugin";
# keep it under version control.
`

// Read reads a lock file. An absent one is empty.
func Read(path string) (*File, error) {
	f := &File{Schema: schema}
	if path == "" {
		return f, nil
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	if err := Parse(raw, f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Parse reads the content of a lock file into f.
func Parse(raw []byte, f *File) error {
	f.Schema, f.Plugins, f.Indexes = schema, nil, nil
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	if err := dec.Decode(f); err != nil && len(bytes.TrimSpace(raw)) > 0 {
		return errors.New(strings.Join(strings.Fields(err.Error()), " "))
	}
	if f.Schema != schema {
		return fmt.Errorf("it has schema %d; this gateway reads schema %d", f.Schema, schema)
	}
	seen := map[string]bool{}
	for k := range f.Plugins {
		e := &f.Plugins[k]
		switch {
		case !manifest.ValidName(e.Name):
			return fmt.Errorf("plugins[%d]: the name %q is not of the form owner/name", k, e.Name)
		case seen[e.Name]:
			return fmt.Errorf("plugins[%d]: %s is there twice", k, e.Name)
		case e.File != "" && (strings.Contains(e.File, "..") || filepath.IsAbs(e.File) || strings.Contains(e.File, `\`)):
			return fmt.Errorf("plugins[%d]: the file %q is not in the plugin folder", k, e.File)
		}
		for _, d := range []string{e.FileDigest, e.ContentDigest, e.ManifestDigest} {
			if d != "" && !validDigest(d) {
				return fmt.Errorf("plugins[%d]: %q is not a sha256 digest", k, d)
			}
		}
		for _, v := range []*Version{e.Previous, e.Pending} {
			if v != nil && !validDigest(v.ContentDigest) {
				return fmt.Errorf("plugins[%d]: %q is not a sha256 digest", k, v.ContentDigest)
			}
		}
		if err := e.Grants.Check(); err != nil {
			return fmt.Errorf("plugins[%d]: grants: %w", k, err)
		}
		seen[e.Name] = true
	}
	return nil
}

func validDigest(d string) bool {
	hex, ok := strings.CutPrefix(d, "sha256:")
	return ok && len(hex) == 64 && strings.Trim(hex, "0123456789abcdef") == ""
}

// Find returns a plugin's entry, nil if there is none.
func (f *File) Find(name string) *Entry {
	for k := range f.Plugins {
		if f.Plugins[k].Name == name {
			return &f.Plugins[k]
		}
	}
	return nil
}

// Put adds an entry or replaces the plugin's.
func (f *File) Put(e Entry) {
	if have := f.Find(e.Name); have != nil {
		*have = e
		return
	}
	f.Plugins = append(f.Plugins, e)
	slices.SortFunc(f.Plugins, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
}

// Remove takes a plugin's entry out and reports whether there was one.
func (f *File) Remove(name string) bool {
	n := len(f.Plugins)
	f.Plugins = slices.DeleteFunc(f.Plugins, func(e Entry) bool { return e.Name == name })
	return len(f.Plugins) < n
}

// Format is the file's text.
func (f *File) Format() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(head)
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	err := enc.Encode(f)
	return b.Bytes(), errors.Join(err, enc.Close())
}

// Update changes the file at path as one step: other processes that update it
// wait, and readers see the old or the new text. An error of change leaves it
// as it is; a file that did not change is not written.
func Update(path string, change func(*File) error) error {
	if path == "" {
		return errors.New("plugins.lock names no file")
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	unlock, err := exclusive(dir)
	if err != nil {
		return err
	}
	defer unlock()
	f, err := Read(path)
	if err != nil {
		return err
	}
	before, err := f.Format()
	if err != nil {
		return err
	}
	if err := change(f); err != nil {
		return err
	}
	after, err := f.Format()
	if err != nil || bytes.Equal(before, after) {
		return err
	}
	return Replace(path, after, 0o644)
}

// Replace writes a file so that nobody ever reads half of it.
func Replace(path string, data []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Chmod(tmp.Name(), mode)
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	return err
}
