package policy

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The functions below are what the command line and the editor call. Their
// results are plain data, ready to be written as JSON.

// Checked is the result of checking rule files.
type Checked struct {
	Files       int          `json:"files"`
	Rules       int          `json:"rules"`
	Expressions int          `json:"expressions"`
	Diagnostics []Diagnostic `json:"diagnostics,omitempty"`
}

// OK tells whether there is no error.
func (c Checked) OK() bool {
	return !slices.ContainsFunc(c.Diagnostics, func(d Diagnostic) bool { return d.Severity == Error })
}

// Tested is the result of running the inline tests of rule files.
type Tested struct {
	Files       int          `json:"files"`
	Passed      int          `json:"passed"`
	Failed      int          `json:"failed"`
	Results     []TestResult `json:"results,omitempty"`
	Diagnostics []Diagnostic `json:"diagnostics,omitempty"`
}

// OK tells whether everything loaded and no test failed.
func (t Tested) OK() bool {
	return t.Failed == 0 && !slices.ContainsFunc(t.Diagnostics, func(d Diagnostic) bool { return d.Severity == Error })
}

// Files expands folders into the rule files in and below them. Test files
// (x_test.yaml) are left out: they are read with the file they belong to.
func Files(paths ...string) ([]string, error) {
	var out []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			out = append(out, p)
			continue
		}
		err = filepath.WalkDir(p, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			ext := filepath.Ext(path)
			if !d.IsDir() && (ext == ".yaml" || ext == ".yml") && !isTestFile(path) {
				out = append(out, path)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func isTestFile(path string) bool {
	return strings.HasSuffix(strings.TrimSuffix(path, filepath.Ext(path)), "_test")
}

// maxFile bounds a rule file.
const maxFile = 4 << 20

// Layers reads a rule file and the test file beside it. A file that names no
// preset stands alone.
func Layers(path string) ([]Layer, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	layers := []Layer{{File: path, Data: data}}
	ext := filepath.Ext(path)
	beside := strings.TrimSuffix(path, ext) + "_test" + ext
	if isTestFile(path) {
		return layers, nil
	}
	if data, err := readFile(beside); err == nil {
		layers = append(layers, Layer{File: beside, Data: data})
	}
	return layers, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s: a rule file may have %d MiB at most", path, maxFile>>20)
	}
	return os.ReadFile(path)
}

// Check loads each file on its own, without running its tests, and adds
// warnings about rules that cannot work as written.
func Check(paths ...string) (Checked, error) {
	files, err := Files(paths...)
	if err != nil {
		return Checked{}, err
	}
	var out Checked
	for _, file := range files {
		layers, err := Layers(file)
		if err != nil {
			return out, err
		}
		one := CheckLayers(layers...)
		out.Files++
		out.Rules += one.Rules
		out.Expressions += one.Expressions
		out.Diagnostics = append(out.Diagnostics, one.Diagnostics...)
	}
	return out, nil
}

// files counts the layers that somebody wrote: what settings mean is no file.
func files(layers []Layer) (n int) {
	for _, layer := range layers {
		if layer.Level != LevelPreset {
			n++
		}
	}
	return n
}

// CheckLayers is Check for layers that belong together.
func CheckLayers(layers ...Layer) Checked {
	l := &loader{noTests: true}
	set, diags := l.load(layers)
	out := Checked{Files: files(layers), Diagnostics: diags}
	if set == nil {
		return out
	}
	set.each(func(r *rule) {
		if r.origin.Level == LevelPreset {
			return
		}
		out.Rules++
		r.programs(func(string, *program) { out.Expressions++ })
	})
	for _, d := range l.layers {
		if d.src.layer.Level != LevelPreset {
			d.lint(set)
		}
	}
	out.Diagnostics = l.diags
	return out
}

// Test loads each file on its own and runs its inline tests.
func Test(paths ...string) (Tested, error) {
	files, err := Files(paths...)
	if err != nil {
		return Tested{}, err
	}
	var out Tested
	for _, file := range files {
		layers, err := Layers(file)
		if err != nil {
			return out, err
		}
		one := TestLayers(layers...)
		out.Files++
		out.Passed += one.Passed
		out.Failed += one.Failed
		out.Results = append(out.Results, one.Results...)
		out.Diagnostics = append(out.Diagnostics, one.Diagnostics...)
	}
	return out, nil
}

// TestLayers is Test for layers that belong together.
func TestLayers(layers ...Layer) Tested {
	l := &loader{noTests: true}
	set, diags := l.load(layers)
	out := Tested{Files: files(layers), Diagnostics: diags}
	if set == nil {
		return out
	}
	for _, d := range l.layers {
		for _, n := range d.tests {
			r := runTest(set, d.src.layer.File, resolve(n))
			if r.OK {
				out.Passed++
			} else {
				out.Failed++
			}
			out.Results = append(out.Results, r)
		}
	}
	return out
}

// lint warns of rules that load but cannot work as meant.
func (d *document) lint(s *Set) {
	firstMatch := []string{"on_error", "on_exhausted", "thinking", "context", "cache", "log", "bypass", "breaker", "learn"}
	for _, hook := range sortedKeys(d.rules) {
		if !slices.Contains(firstMatch, hook) {
			continue
		}
		last := ""
		for _, r := range d.rules[hook] {
			w := where{hook: hook, rule: r.id}
			if last != "" {
				d.src.report(r.node, Warning, w, "never asked: the rule %s before it always applies", last)
			}
			if r.enabled && r.unconditional() {
				last = r.id
			}
		}
	}
	s.each(func(r *rule) {
		if r.origin.File != d.src.layer.File || r.node == nil {
			return
		}
		r.programs(func(field string, p *program) {
			if reIndex.MatchString(p.src) {
				d.src.report(r.node, Warning, where{r.hook, r.id, field}, "an index beyond the end of a list is an error at run time: get(list, i) ?? default is safe")
			}
		})
	})
}

// unconditional tells whether a rule as written applies to every request.
func (r *rawRule) unconditional() bool {
	for _, p := range r.fields {
		switch p.key.Value {
		case "when":
			return strings.TrimSpace(p.value.Value) == "true"
		case "shadow":
			if p.value.Value == "true" {
				return false
			}
		}
	}
	return true
}

// Benched is the time a hook takes.
type Benched struct {
	Hook string  `json:"hook"`
	NS   float64 `json:"ns_per_call"`
}

// Bench measures every hook of a set on an ordinary request with the given
// numbers of targets and accounts, for about the given time in all. The last
// line, called all, is the sum.
func Bench(s *Set, targets, accounts int, total time.Duration) []Benched {
	w := newWorld(s)
	for i := range max(targets, 1) {
		t := NewTarget()
		t.ID, t.Provider, t.Position = fmt.Sprintf("p%d/m", i), fmt.Sprintf("p%d", i), i
		t.EstCost, t.Stats.P95MS = 0.01*float64(i+1), float64(800+i)
		w.targets = append(w.targets, t)
	}
	for i := range max(accounts, 1) {
		a := NewAccount()
		a.ID, a.Priority = fmt.Sprintf("a%d", i), i+1
		w.accounts = append(w.accounts, a)
	}
	w.combo.Name, w.combo.Strategy, w.combo.Size = "bench", "priority", len(w.targets)
	w.target, w.account = w.targets[0], w.accounts[0]
	hooks := Hooks()
	each := total / time.Duration(len(hooks))
	out := make([]Benched, 0, len(hooks)+1)
	sum := 0.0
	for _, h := range hooks {
		n, start := 0, time.Now()
		for time.Since(start) < each || n == 0 {
			for range 16 {
				benchHook(s, h.Name, w)
				n++
			}
		}
		b := Benched{Hook: h.Name, NS: float64(time.Since(start).Nanoseconds()) / float64(n)}
		sum += b.NS
		out = append(out, b)
	}
	return append(out, Benched{Hook: "all", NS: sum})
}

func benchHook(s *Set, hook string, w *world) {
	switch hook {
	case "filter":
		env := w.targetEnv()
		s.Filter(&env, w.targets, nil)
	case "order":
		env := w.targetEnv()
		s.Order(&env, w.targets, nil)
	case "accounts":
		env := w.accountEnv()
		s.Accounts(&env, w.accounts, nil)
	default:
		askHook(s, hook, w, nil)
	}
}

// reIndex finds an index into a list that may be too short.
var reIndex = regexp.MustCompile(`\b(req\.(tags|tool_names)|key\.(tags|models)|guard\.hits)\[\d+\]`)
