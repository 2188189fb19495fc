package plugindev

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// Language is what a plugin is written in.
type Language string

// Languages with an SDK.
const (
	Go             Language = "go"
	Rust           Language = "rust"
	AssemblyScript Language = "as"
	C              Language = "c"
)

// Languages lists them.
func Languages() []Language { return []Language{Go, Rust, AssemblyScript, C} }

// MissingError says that a language cannot be compiled on this machine.
type MissingError struct {
	Language Language
	Install  string // what would help
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("there is no compiler for %s here: %s", e.Language, e.Install)
}

// LanguageOf tells what the plugin in a folder is written in.
func LanguageOf(dir string) (Language, error) {
	for _, sign := range []struct {
		pattern string
		lang    Language
	}{
		{"*.go", Go}, {"src/lib.rs", Rust}, {"assembly/index.ts", AssemblyScript}, {"*.c", C},
	} {
		found, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(sign.pattern)))
		if err != nil {
			return "", err
		}
		if len(found) > 0 {
			return sign.lang, nil
		}
	}
	return "", fmt.Errorf("%s holds no plugin: there is neither a Go or C file nor src/lib.rs nor assembly/index.ts", dir)
}

// Build compiles the plugin in a folder and returns the module. It reads the
// files that the language's own tools read: go.mod, Cargo.toml, asconfig.json,
// compile_flags.txt. What compilers say is part of the error.
func Build(ctx context.Context, dir string) ([]byte, error) {
	lang, err := LanguageOf(dir)
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "omniroute-plugin-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	b := build{ctx: ctx, dir: dir, tmp: tmp, out: filepath.Join(tmp, "plugin.wasm")}
	switch lang {
	case Go:
		err = b.golang()
	case Rust:
		err = b.rust()
	case AssemblyScript:
		err = b.assemblyScript()
	default:
		err = b.c()
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(b.out)
}

// Missing is the *MissingError of a language on this machine, nil if there is
// a compiler. AssemblyScript is looked for in the plugin's own folder.
func Missing(ctx context.Context, lang Language, dir string) error {
	b := build{ctx: ctx, dir: dir}
	var err error
	switch lang {
	case Go:
		_, err = b.look(lang, "go")
	case Rust:
		_, err = b.rustc()
	case AssemblyScript:
		_, err = b.asc()
	default:
		_, err = b.clang()
	}
	return err
}

type build struct {
	ctx           context.Context
	dir, tmp, out string
}

func (b *build) run(name string, env []string, args ...string) error {
	cmd := exec.CommandContext(b.ctx, name, args...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), env...)
	said, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return fmt.Errorf("%s failed:\n%s", filepath.Base(name), bytes.TrimSpace(said))
	}
	return err
}

// install says how to get the compilers.
var install = map[Language]string{
	Go:             "install Go 1.26 or newer",
	Rust:           "install rustc 1.63 or newer with the target wasm32-unknown-unknown (Debian: rustc libstd-rust-dev-wasm32; rustup: rustup target add wasm32-unknown-unknown)",
	AssemblyScript: "install Node.js 20 or newer, then run `npm ci` in the plugin's folder",
	C:              "install clang and lld",
}

func (b *build) look(lang Language, name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", &MissingError{lang, install[lang]}
	}
	return path, nil
}

func (b *build) golang() error {
	if _, err := b.look(Go, "go"); err != nil {
		return err
	}
	return b.run("go", []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0"},
		"build", "-buildvcs=false", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", b.out, ".")
}

const rustTarget = "wasm32-unknown-unknown"

// rustc finds a compiler that has the target's standard library; the first one
// in PATH may not.
func (b *build) rustc() (string, error) {
	for _, name := range []string{os.Getenv("RUSTC"), "rustc", "/usr/bin/rustc"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		lib, err := exec.CommandContext(b.ctx, path, "--print", "target-libdir", "--target", rustTarget).Output()
		if err != nil {
			continue
		}
		if found, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(lib)), "libstd-*")); err == nil && len(found) > 0 {
			return path, nil
		}
	}
	return "", &MissingError{Rust, install[Rust]}
}

// sdkPath is where a Cargo.toml says that the library is.
var sdkPath = regexp.MustCompile(`(?m)^omniroute-plugin\s*=.*\bpath\s*=\s*"([^"]+)"`)

// rust compiles with plain rustc: the library has no dependencies, so that
// cargo and its network are not needed.
func (b *build) rust() error {
	rustc, err := b.rustc()
	if err != nil {
		return err
	}
	cargo, err := os.ReadFile(filepath.Join(b.dir, "Cargo.toml"))
	if err != nil {
		return err
	}
	found := sdkPath.FindSubmatch(cargo)
	if found == nil {
		return errors.New("there is no path to omniroute-plugin in Cargo.toml: it needs a line like `omniroute-plugin = { path = \"omniroute-plugin\" }`")
	}
	common := []string{"--edition", "2021", "--target", rustTarget, "-C", "opt-level=s", "-C", "panic=abort", "--out-dir", b.tmp}
	lib := filepath.Join(filepath.FromSlash(string(found[1])), "src", "lib.rs")
	if err := b.run(rustc, nil, append(common, "-C", "embed-bitcode=yes", "--crate-type", "rlib", "--crate-name", "omniroute_plugin", lib)...); err != nil {
		return err
	}
	return b.run(rustc, nil, append(common, "-C", "lto=fat", "-C", "strip=debuginfo", "--crate-type", "cdylib", "--crate-name", "plugin",
		"--extern", "omniroute_plugin="+filepath.Join(b.tmp, "libomniroute_plugin.rlib"), filepath.Join("src", "lib.rs"))...)
}

func (b *build) asc() (string, error) {
	node, err := b.look(AssemblyScript, "node")
	if err != nil {
		return "", err
	}
	version, err := exec.CommandContext(b.ctx, node, "--version").Output()
	if err != nil || !newEnough(string(version)) {
		return "", &MissingError{AssemblyScript, install[AssemblyScript]}
	}
	if _, err := os.Stat(filepath.Join(b.dir, filepath.FromSlash(ascScript))); err != nil {
		return "", &MissingError{AssemblyScript, install[AssemblyScript]}
	}
	return node, nil
}

// newEnough tells whether a version of Node.js, "v20.1.0", can run the compiler.
func newEnough(version string) bool {
	const least = 20
	major, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(version), "v"), ".")
	n, err := strconv.Atoi(major)
	return err == nil && n >= least
}

const ascScript = "node_modules/assemblyscript/bin/asc.js"

func (b *build) assemblyScript() error {
	node, err := b.asc()
	if err != nil {
		return err
	}
	return b.run(node, nil, filepath.FromSlash(ascScript), "assembly/index.ts", "--outFile", b.out)
}

func (b *build) clang() (string, error) {
	if _, err := exec.LookPath("wasm-ld"); err != nil && runtime.GOOS != "darwin" {
		return "", &MissingError{C, install[C]}
	}
	return b.look(C, "clang")
}

func (b *build) c() error {
	clang, err := b.clang()
	if err != nil {
		return err
	}
	flags, err := os.ReadFile(filepath.Join(b.dir, "compile_flags.txt"))
	if err != nil {
		return err
	}
	sources, err := filepath.Glob(filepath.Join(b.dir, "*.c"))
	if err != nil {
		return err
	}
	args := append(strings.Fields(string(flags)), "-fuse-ld=lld", "-Wl,--no-entry", "-o", b.out)
	for _, s := range sources {
		args = append(args, filepath.Base(s))
	}
	return b.run(clang, nil, args...)
}

// TestNatively runs the tests that the plugin in a folder has in its own
// language: go test. Other languages' plugins are tested in WebAssembly.
func TestNatively(ctx context.Context, dir string) error {
	lang, err := LanguageOf(dir)
	if err != nil || lang != Go {
		return err
	}
	b := build{ctx: ctx, dir: dir}
	if _, err := b.look(Go, "go"); err != nil {
		return err
	}
	return b.run("go", nil, "test", ".")
}
