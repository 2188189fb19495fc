package plugindev

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/omniroute/omniroute"
)

//go:embed templates
var templates embed.FS

// Kind is what a new plugin is.
type Kind string

// Kinds of new plugins.
const (
	Executor   Kind = "executor"   // a provider
	Translator Kind = "translator" // a wire format
)

// Kinds lists them.
func Kinds() []Kind { return []Kind{Executor, Translator} }

// Scaffold says what to make.
type Scaffold struct {
	Name     string // owner/name
	Language Language
	Kind     Kind
	Dir      string // where to; it must not exist, or be empty
}

var pluginName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9-]*$`)

// New makes a plugin that compiles and passes its own tests, with the SDK
// beside it. It returns the files that the author is to edit.
func New(s Scaffold) ([]string, error) {
	if !pluginName.MatchString(s.Name) {
		return nil, fmt.Errorf("the name %q is not of the form owner/name, in small letters", s.Name)
	}
	if !slices.Contains(Languages(), s.Language) {
		return nil, fmt.Errorf("there is no SDK for %q: take go, rust, as or c", s.Language)
	}
	if !slices.Contains(Kinds(), s.Kind) {
		return nil, fmt.Errorf("there is no kind %q: take executor or translator", s.Kind)
	}
	if err := emptyDir(s.Dir); err != nil {
		return nil, err
	}
	own, err := s.render()
	if err != nil {
		return nil, err
	}
	sdk, err := s.sdk()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, files := range []map[string][]byte{sdk, own} {
		for name, content := range files {
			full := filepath.Join(s.Dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
				return nil, err
			}
			if err := os.WriteFile(full, content, 0o644); err != nil {
				return nil, err
			}
		}
	}
	for name := range own {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s exists and is not empty", dir)
	}
	return nil
}

// render makes the plugin's own files.
func (s *Scaffold) render() (map[string][]byte, error) {
	_, short, _ := strings.Cut(s.Name, "/")
	values := struct{ Name, Short, ID string }{s.Name, short, strings.TrimSuffix(short, "-llm")}
	out := map[string][]byte{".gitignore": []byte("build/\nnode_modules/\n")}
	for root, to := range map[string]string{string(s.Language) + "-" + string(s.Kind): "", "cases-" + string(s.Kind): "testdata"} {
		base := path.Join("templates", root)
		err := fs.WalkDir(templates, base, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := templates.ReadFile(name)
			if err != nil {
				return err
			}
			t, err := template.New(name).Delims("{{", "}}").Parse(string(text))
			if err != nil {
				return err
			}
			var b bytes.Buffer
			if err := t.Execute(&b, values); err != nil {
				return err
			}
			out[path.Join(to, target(strings.TrimPrefix(name, base+"/")))] = b.Bytes()
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// target is where a template goes: "src_lib.rs.tmpl" to "src/lib.rs".
func target(name string) string {
	name = strings.TrimSuffix(name, ".tmpl")
	for _, dir := range []string{"src_", "assembly_"} {
		if rest, ok := strings.CutPrefix(name, dir); ok {
			return strings.TrimSuffix(dir, "_") + "/" + rest
		}
	}
	if name == "npmrc" {
		return ".npmrc"
	}
	return name
}

// sdk is the SDK as it stands beside the plugin.
func (s *Scaffold) sdk() (map[string][]byte, error) {
	from := map[Language][]string{
		Go:             {"sdk"},
		Rust:           {"sdk/rust"},
		AssemblyScript: {"sdk/assemblyscript"},
		C:              {"sdk/c"},
	}[s.Language]
	to := "omniroute"
	if s.Language == AssemblyScript {
		to = "assembly/omniroute"
	}
	out := map[string][]byte{}
	if s.Language == Go {
		out[to+"/go.mod"] = []byte("module github.com/omniroute/omniroute\n\ngo 1.26\n")
	}
	license, err := omniroute.SDK.ReadFile("LICENSE")
	if err != nil {
		return nil, err
	}
	out[to+"/LICENSE"] = license
	for _, root := range from {
		err := fs.WalkDir(omniroute.SDK, root, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir():
				if s.Language == Go && slices.Contains([]string{"sdk/rust", "sdk/assemblyscript", "sdk/c"}, name) || d.Name() == "testdata" {
					return fs.SkipDir
				}
				return nil
			case strings.HasSuffix(name, "_test.go"):
				return nil
			}
			content, err := omniroute.SDK.ReadFile(name)
			rel := name
			if s.Language != Go {
				rel = strings.TrimPrefix(name, root+"/")
			}
			out[path.Join(to, rel)] = content
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
