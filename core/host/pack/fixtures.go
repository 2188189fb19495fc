package pack

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/flate"
)

// Limits of the fixtures of a plugin.
const (
	maxFixtures     = 8 << 20 // bytes, inflated
	maxFixtureFiles = 4096
)

// packFixtures writes files as a deflated tar archive; equal files are equal
// bytes.
func packFixtures(files map[string][]byte) ([]byte, error) {
	names := make([]string, 0, len(files))
	for name := range files {
		if !fs.ValidPath(name) {
			return nil, fmt.Errorf("fixture %q has an invalid path", name)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	var out bytes.Buffer
	z, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(z)
	total := 0
	for _, name := range names {
		total += len(files[name])
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(files[name]); err != nil {
			return nil, err
		}
	}
	if total > maxFixtures || len(names) > maxFixtureFiles {
		return nil, fmt.Errorf("the fixtures have %d bytes in %d files; they may have %d in %d", total, len(names), maxFixtures, maxFixtureFiles)
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// unpackFixtures reads what packFixtures wrote.
func unpackFixtures(section []byte) (map[string][]byte, error) {
	bad := errors.New("its fixtures cannot be read")
	z := flate.NewReader(bytes.NewReader(section))
	defer z.Close()
	r := tar.NewReader(io.LimitReader(z, maxFixtures+maxFixtureFiles*1024))
	files := map[string][]byte{}
	total := int64(0)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, bad
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		total += h.Size
		if !fs.ValidPath(h.Name) || total > maxFixtures || len(files) >= maxFixtureFiles {
			return nil, bad
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, bad
		}
		files[h.Name] = data
	}
}

// ReadFixtures reads the cases below a folder, "testdata", for [Parts]. Files
// that begin with a dot are left out.
func ReadFixtures(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != dir && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir() || !d.Type().IsRegular():
			return nil
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		files[filepath.ToSlash(rel)] = data
		return err
	})
	return files, err
}

// Cases are the names of the folders that fixtures stand in.
func Cases(files map[string][]byte) []string {
	var out []string
	for name := range files {
		if dir := path.Dir(name); dir != "." && !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	slices.Sort(out)
	return out
}
