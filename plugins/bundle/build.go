//go:build ignore

// Build compiles the built-in plugins to WebAssembly, packs their manifest into
// the module and compresses it for the binary that embeds it:
//
//	go run ./plugins/bundle/build.go
//
// The result is reproducible: equal sources and an equal Go version give equal
// bytes.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/omniroute/omniroute/plugins/bundle/parts"
	"github.com/omniroute/omniroute/sdk/abi"
)

func main() {
	if err := build("plugins/bundle/dist/core.wasm.zst"); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func build(out string) error {
	raw := out + ".tmp"
	defer os.Remove(raw)
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=",
		"-o", raw, "./plugins/bundle/core")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	wasm, err := os.ReadFile(raw)
	if err != nil {
		return err
	}
	if wasm, err = abi.JoinData(wasm); err != nil {
		return err
	}
	wasm = abi.AppendSection(wasm, abi.SectionManifest, parts.Module().Manifest())
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	defer enc.Close()
	next := filepath.Join(filepath.Dir(out), ".core.wasm.next")
	if err := os.WriteFile(next, enc.EncodeAll(wasm, nil), 0o644); err != nil {
		return err
	}
	return os.Rename(next, out) // never a half-written module
}
