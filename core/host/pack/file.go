package pack

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/sdk/abi"
)

// File endings of plugins and of their signatures.
const (
	ModuleSuffix  = ".wasm"
	PackSuffix    = manifest.PackSuffix
	SidecarSuffix = ".minisig"
)

// File is a plugin file that was read. It shares the bytes it was read from.
type File struct {
	Name     string // of the file, without folders
	Data     []byte
	Manifest *manifest.Manifest // nil for a module without one
	Provider *manifest.Pack     // of a provider pack; nil for a module
	Readme   string
	Fixtures []byte // zip archive of the test cases a module carries; nil = none

	FileDigest    string // sha256:…, of the file as it is
	ContentDigest string // sha256:…, of the file without its signatures

	Sections []Section // of a module
	Imports  []Import
	Exports  []string

	content    []byte
	signatures []signature
	sidecar    []byte
	manifest   []byte
}

// Open reads a plugin file without running it. sidecar is the content of the
// .minisig file beside it, nil if there is none. A module without a manifest is
// no error here; see File.Manifest.
func Open(name string, data, sidecar []byte) (*File, error) {
	f := &File{Name: name, Data: data, FileDigest: Digest(data)}
	var err error
	if strings.HasSuffix(name, PackSuffix) {
		err = f.readPack()
	} else {
		err = f.readModule()
	}
	if err != nil {
		return nil, err
	}
	if len(sidecar) > 0 {
		more, err := parseSignatures(sidecar)
		if err != nil {
			return nil, fmt.Errorf("its side-car signature: %w", err)
		}
		f.signatures, f.sidecar = append(f.signatures, more...), sidecar
	}
	return f, nil
}

func (f *File) readPack() (err error) {
	if f.Provider, err = manifest.ParsePack(f.Name, f.Data); err != nil {
		return err
	}
	f.Manifest = f.Provider.Manifest()
	f.content, f.ContentDigest = f.Data, f.FileDigest
	return nil
}

func (f *File) readModule() (err error) {
	if f.Sections, err = sections(f.Data); err != nil {
		return err
	}
	for k, s := range f.Sections {
		if s.ID == 0 && s.Name == abi.SectionSig && k != len(f.Sections)-1 {
			return errors.New("something was added behind its signature")
		}
	}
	f.Imports, f.Exports = imports(f.Sections), exports(f.Sections)
	f.content = without(f.Data, f.Sections, abi.SectionSig)
	if f.ContentDigest = f.FileDigest; len(f.content) != len(f.Data) {
		f.ContentDigest = Digest(f.content)
	}
	if readme, ok := find(f.Sections, abi.SectionReadme); ok {
		f.Readme = string(readme[:min(len(readme), maxReadme)])
	}
	f.Fixtures, _ = find(f.Sections, abi.SectionFixtures)
	if text, ok := find(f.Sections, abi.SectionSig); ok {
		if f.signatures, err = parseSignatures(text); err != nil {
			return fmt.Errorf("its signature: %w", err)
		}
	}
	raw, ok := find(f.Sections, abi.SectionManifest)
	if !ok {
		return nil
	}
	f.manifest = raw
	f.Manifest, err = manifest.Parse(raw)
	return err
}

// RawManifest is the manifest as it stands in a module, nil for none.
func (f *File) RawManifest() []byte { return f.manifest }

// Cases names the test cases of the fixtures: the folders of the archive.
func (f *File) Cases() ([]string, error) {
	if len(f.Fixtures) == 0 {
		return nil, nil
	}
	z, err := zip.NewReader(bytes.NewReader(f.Fixtures), int64(len(f.Fixtures)))
	if err != nil {
		return nil, errors.New("its fixtures cannot be read")
	}
	var out []string
	for _, e := range z.File {
		if dir := path.Dir(e.Name); dir != "." && !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	slices.Sort(out)
	return out, nil
}

// IsPack reports whether the file is a provider pack.
func (f *File) IsPack() bool { return f.Provider != nil }

// Digest is the sha256 of data, in the form sha256:<hex>.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// FileName is the name under which a plugin is installed: owner--name with the
// ending of its kind.
func FileName(plugin string, isPack bool) string {
	base := strings.ReplaceAll(plugin, "/", "--")
	if isPack {
		return base + PackSuffix
	}
	return base + ModuleSuffix
}

// Is reports whether a file name has the ending of a plugin.
func Is(name string) bool {
	return strings.HasSuffix(name, ModuleSuffix) || strings.HasSuffix(name, PackSuffix)
}
