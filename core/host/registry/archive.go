package registry

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"
)

// Save writes a plugin with its signatures as an archive of an OCI layout.
func Save(ctx context.Context, archive, tag string, a *Artifact) error {
	from, _, err := a.store(ctx, tag)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "omniroute-oci-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	layout, err := oci.NewWithContext(ctx, dir)
	if err != nil {
		return err
	}
	if _, err := oras.ExtendedCopy(ctx, from, tag, layout, tag, oras.DefaultExtendedCopyOptions); err != nil {
		return err
	}
	return tarFolder(archive, dir)
}

// tarFolder writes a folder as an archive; equal folders are equal archives.
func tarFolder(archive, dir string) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(archive), ".oci-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	w := tar.NewWriter(tmp)
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		h := &tar.Header{Name: filepath.ToSlash(rel), Mode: 0o644, Size: int64(len(data)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	if err = errors.Join(err, w.Close(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Chmod(tmp.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), archive)
}

// Load reads a plugin from an archive of an OCI layout, or from such a folder.
// An archive with one plugin needs no tag.
func Load(ctx context.Context, archive, tag string) (*Artifact, error) {
	info, err := os.Stat(archive)
	if err != nil {
		return nil, err
	}
	var store *oci.ReadOnlyStore
	if info.IsDir() {
		store, err = oci.NewFromFS(ctx, os.DirFS(archive))
	} else {
		store, err = oci.NewFromTar(ctx, archive)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not an OCI layout: %w", archive, err)
	}
	if tag == "" {
		var tags []string
		if err := store.Tags(ctx, "", func(list []string) error { tags = append(tags, list...); return nil }); err != nil {
			return nil, err
		}
		tags = slices.DeleteFunc(tags, func(t string) bool { return strings.Contains(t, ":") })
		if len(tags) != 1 {
			return nil, fmt.Errorf("%s holds %d versions (%s); name one", archive, len(tags), strings.Join(tags, ", "))
		}
		tag = tags[0]
	}
	a, err := read(ctx, store, tag)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", archive, err)
	}
	return a, nil
}

// maxDownload bounds what is fetched by a URL, in bytes.
const maxDownload = 64 << 20

// ErrMissing is wrapped by the error of Fetch for what is not there.
var ErrMissing = errors.New("it is not there")

// Fetch reads what a URL or a path leads to: https://, http:// on this machine
// only, file:// or a plain path.
func Fetch(ctx context.Context, from string) ([]byte, error) {
	u, err := url.Parse(from)
	switch {
	case err == nil && (u.Scheme == "https" || u.Scheme == "http" && loopback(u.Host)):
		return download(ctx, from)
	case err == nil && u.Scheme == "http":
		return nil, fmt.Errorf("%s is not fetched without TLS", from)
	case err == nil && u.Scheme == "file":
		from = filepath.FromSlash(u.Path)
	}
	data, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", from, ErrMissing)
	}
	return data, err
}

// encrypted refuses redirects that leave TLS.
func encrypted(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 || req.URL.Scheme != "https" && !loopback(req.URL.Host) {
		return errors.New("it redirects too often, or to where there is no TLS")
	}
	return nil
}

func download(ctx context.Context, from string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "omniroute")
	client := http.Client{Timeout: 5 * time.Minute, CheckRedirect: encrypted}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%s: %w", from, ErrMissing)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %s", from, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxDownload+1))
	if err == nil && len(data) > maxDownload {
		err = fmt.Errorf("%s is larger than %d bytes", from, maxDownload)
	}
	return data, err
}
