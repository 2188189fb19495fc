package host

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"github.com/omniroute/omniroute/core/host/meter"
)

// meteredStore keeps metered modules beside the code they were compiled to, so
// that a start need not make them again.
type meteredStore struct {
	dir string // "" = keeps nothing
	log *slog.Logger
}

// meteredDir is the folder of metered modules within the compile cache.
const meteredDir = "metered"

func newMeteredStore(cacheDir string, log *slog.Logger) (*meteredStore, error) {
	s := &meteredStore{log: log}
	if cacheDir != "" {
		s.dir = filepath.Join(cacheDir, meteredDir)
		return s, privateDir(s.dir)
	}
	return s, nil
}

// file is named for everything the content follows from.
func (s *meteredStore) file(sum digest) string {
	return filepath.Join(s.dir, fmt.Sprintf("%s.v%d.wasm", hex.EncodeToString(sum[:]), meter.Version))
}

// rewrite returns the metered module. What is kept of earlier runs starts with
// its own checksum: a file that was cut short is made anew.
func (s *meteredStore) rewrite(wasm []byte, sum digest) ([]byte, error) {
	if s.dir == "" {
		return meter.Rewrite(wasm)
	}
	file := s.file(sum)
	kept, err := os.ReadFile(file)
	if err == nil && len(kept) > sha256.Size {
		if check := sha256.Sum256(kept[sha256.Size:]); bytes.Equal(check[:], kept[:sha256.Size]) {
			return kept[sha256.Size:], nil
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("a metered module cannot be read from the cache", "error", err)
	}
	out, err := meter.Rewrite(wasm)
	if err != nil {
		return nil, err
	}
	if err := s.keep(file, out); err != nil { // it serves all the same
		s.log.Warn("a metered module cannot be kept in the cache", "error", err)
	}
	return out, nil
}

func (s *meteredStore) keep(file string, out []byte) error {
	f, err := os.CreateTemp(s.dir, ".new-*")
	if err != nil {
		return err
	}
	check := sha256.Sum256(out)
	_, err = f.Write(append(check[:], out...))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// mark is a file that says that a metered module was compiled on this kind of
// machine, so that its code is probably in the cache.
func (s *meteredStore) mark(sum digest) string {
	return s.file(sum) + "." + runtime.GOOS + "-" + runtime.GOARCH
}

func (s *meteredStore) compiled(sum digest) {
	if s.dir == "" || s.wasCompiled(sum) {
		return
	}
	if err := os.WriteFile(s.mark(sum), nil, 0o600); err != nil {
		s.log.Warn("the cache of compiled plugins cannot be written", "error", err)
	}
}

func (s *meteredStore) wasCompiled(sum digest) bool {
	if s.dir == "" {
		return false
	}
	_, err := os.Stat(s.mark(sum))
	return err == nil
}
