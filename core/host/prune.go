package host

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// defaultCache is how large the folder of compiled code may become, in bytes.
const defaultCache = 512 << 20

type cached struct {
	path string
	size int64
	at   time.Time
}

// pruneCache removes what was written longest ago until the folder is within
// its bound; what was written since then stays. Which plugins a file of the
// compiler belongs to cannot be told, so with the first of them all marks go:
// what is compiled again serves from the interpreter meanwhile.
func pruneCache(dir string, most int64, since time.Time) (removed int, err error) {
	var files []cached
	total := int64(0)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return nil // gone since the listing
		}
		files = append(files, cached{path, info.Size(), info.ModTime()})
		total += info.Size()
		return nil
	})
	if err != nil || total <= most {
		return 0, err
	}
	slices.SortFunc(files, func(a, b cached) int {
		return cmp.Or(a.at.Compare(b.at), strings.Compare(a.path, b.path))
	})
	for _, f := range files {
		if total <= most || !f.at.Before(since) {
			break
		}
		if err := os.Remove(f.path); err != nil {
			return removed, err
		}
		total -= f.size
		removed++
	}
	if removed > 0 {
		marks, err := filepath.Glob(filepath.Join(dir, meteredDir, "*.wasm.*"))
		if err != nil {
			return removed, err
		}
		for _, mark := range marks {
			if err := os.Remove(mark); err != nil {
				return removed, err
			}
		}
	}
	return removed, nil
}

// prune keeps the compile cache within its bound.
func (h *Host) prune(since time.Time) {
	if h.opt.CacheDir == "" {
		return
	}
	n, err := pruneCache(h.opt.CacheDir, h.opt.CacheMax, since)
	if err != nil {
		h.log.Warn("the cache of compiled plugins cannot be pruned", "error", err)
	}
	if n > 0 {
		h.log.Info("the cache of compiled plugins was pruned", "files", n, "limit", h.opt.CacheMax)
	}
}
