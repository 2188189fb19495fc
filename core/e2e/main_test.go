package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Set by TestMain.
var (
	binary   string // the built omniroute
	repoRoot string
	cacheDir string // compile cache of all gateways
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("end-to-end tests are skipped with -short")
		os.Exit(0)
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	var err error
	if repoRoot, err = filepath.Abs("../.."); err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "omniroute-e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	cacheDir = filepath.Join(repoRoot, ".cache", "e2e")
	if err := os.MkdirAll(cacheDir, 0o700); err != nil {
		return 0, err
	}
	if binary = os.Getenv("OMNIROUTE_E2E_BINARY"); binary == "" {
		binary = filepath.Join(dir, "omniroute")
		if err := build(); err != nil {
			return 0, err
		}
	}
	if err := warm(dir); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// warm compiles the built-in plugins once, so that gateways do not each do so in the background.
func warm(dir string) error {
	file := filepath.Join(dir, "empty.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	env := append(os.Environ(), "HOME="+dir, "OMNIROUTE_PLUGINS__CACHE__DIR="+cacheDir)
	return command(env, binary, "check", "--config", file)
}

// build compiles the plugins, unless they are newer than their sources, and the binary.
func build() error {
	if err := command(os.Environ(), "make", "plugins"); err != nil {
		return err
	}
	args := []string{"build", "-trimpath", "-ldflags=-s -w", "-o", binary}
	env := append(os.Environ(), "CGO_ENABLED=0")
	if os.Getenv("OMNIROUTE_E2E_RACE") != "" {
		args = append(args, "-race")
		env = append(env, "CGO_ENABLED=1")
	}
	return command(env, "go", append(args, "./core/cmd/omniroute")...)
}

func command(env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = repoRoot, env
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("%s %v: %w", name, args, err), errors.New(string(out)))
	}
	return nil
}
