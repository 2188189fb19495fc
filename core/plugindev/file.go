package plugindev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/host/pack"
	"github.com/omniroute/omniroute/sdk/fixture"
)

// Cases is the folder of a plugin's recorded cases, below its own.
const Cases = "testdata"

// Pack makes the file of a plugin out of its folder: the compiled module with
// its manifest, its cases and its README inside.
func Pack(ctx context.Context, dir string) ([]byte, error) {
	wasm, err := Build(ctx, dir)
	if err != nil {
		return nil, err
	}
	if wasm, err = host.Pack(ctx, wasm); err != nil {
		return nil, err
	}
	var parts pack.Parts
	if parts.Fixtures, err = fixture.Archive(filepath.Join(dir, Cases)); err != nil {
		return nil, err
	}
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	parts.Readme = string(readme)
	return pack.Build(wasm, parts)
}

// Subject is a plugin to test: its module and its cases.
type Subject struct {
	Dir   string // "" for a file
	Wasm  []byte
	Cases []fixture.Case
}

// Open reads a plugin file, or compiles the plugin in a folder. cases is the
// folder of its cases; "" is the plugin's own, or what the file carries.
func Open(ctx context.Context, path, cases string) (*Subject, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	s := &Subject{}
	if info.IsDir() {
		s.Dir = path
		if s.Wasm, err = Pack(ctx, path); err != nil {
			return nil, err
		}
		if cases == "" {
			cases = filepath.Join(path, Cases)
		}
	} else if s.Wasm, err = os.ReadFile(path); err != nil {
		return nil, err
	}
	if cases != "" {
		s.Cases, err = fixture.Load(cases)
		return s, err
	}
	f, err := pack.Open(filepath.Base(path), s.Wasm, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(f.Fixtures) > 0 {
		s.Cases, err = fixture.Unarchive(f.Fixtures)
	}
	return s, err
}

// FileName is what the file of a plugin in a folder is called.
func FileName(dir string) (string, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return strings.ToLower(filepath.Base(full)) + pack.ModuleSuffix, nil
}
