package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"go.yaml.in/yaml/v3"

	"github.com/omniroute/omniroute/core/fault"
)

// DefaultInstance is the name of a gateway that was given none.
const DefaultInstance = "omniroute"

// FileName is what the file is called.
const FileName = "omniroute.yaml"

// Options says what to load.
type Options struct {
	// Path of the file; "" = search, see Find. A missing file that was not
	// named explicitly gives the defaults.
	Path string
	// Env is the environment, as os.Environ gives it; nil = empty.
	Env []string
	// DataDir overrides server.data_dir and DATA_DIR (the --data-dir flag).
	DataDir string
}

// Snapshot is one loaded configuration. It never changes.
type Snapshot struct {
	File *File
	// Path is the absolute path of the file; "" when there is none.
	Path string
	// Hash identifies the content: files and the variables that were used.
	Hash string
	// Policies are the policy layers: the file's own section, then includes, then
	// the rules that accounts, combos and providers have of their own.
	Policies []PolicySource
	// Warnings do not prevent the use of the snapshot.
	Warnings []fault.Diagnostic
	// Unsound are the names of providers, aliases and combos that have problems
	// of their own, "*" for all; empty unless [Inspect] found some.
	Unsound []string
	// Files that were read, and patterns of includes: Watch looks at their
	// directories.
	Files []string
}

// Find gives the path of the file to use: explicit, else ./omniroute.yaml, else
// $XDG_CONFIG_HOME/omniroute/omniroute.yaml (~/.config without the variable).
// "" if none exists.
func Find(explicit string, environ []string) string {
	if explicit != "" {
		return explicit
	}
	env := envMap(environ)
	candidates := []string{FileName}
	if base := env["XDG_CONFIG_HOME"]; base != "" {
		candidates = append(candidates, filepath.Join(base, "omniroute", FileName))
	} else if home := env["HOME"]; home != "" {
		candidates = append(candidates, filepath.Join(home, ".config", "omniroute", FileName))
	}
	for _, c := range candidates {
		if info, err := os.Stat(c); err == nil && !info.IsDir() {
			return c
		}
	}
	return ""
}

// Load reads, checks and layers everything. The snapshot is nil if and only if
// there are diagnostics, which come in the order of the text.
func Load(opt Options) (*Snapshot, []fault.Diagnostic) {
	snap, diags := Inspect(opt)
	if len(diags) > 0 {
		return nil, diags
	}
	return snap, nil
}

// Inspect is Load for tools that show every problem at once: beside diagnostics
// it gives a snapshot of what could be read, with defaults in place of the rest
// and the names of what is not whole in Unsound. It is not fit to serve. The
// snapshot is nil only if the file cannot be read as YAML at all.
func Inspect(opt Options) (*Snapshot, []fault.Diagnostic) {
	env := envMap(opt.Env)
	r := newReader(env)
	snap := &Snapshot{File: &File{}}
	var root *yaml.Node
	var data []byte
	dir := "."
	path := Find(opt.Path, opt.Env)
	if path != "" {
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return nil, []fault.Diagnostic{{File: path, Message: readError(err)}}
		}
		if snap.Path, err = filepath.Abs(path); err != nil {
			return nil, []fault.Diagnostic{{File: path, Message: err.Error()}}
		}
		snap.Files = []string{snap.Path}
		dir = filepath.Dir(snap.Path)
		if root = r.parse(path, data); len(r.diags) > 0 {
			return nil, r.diags
		}
	}
	tree := map[string]any{}
	if root != nil {
		policies := cut(root, "policies")
		if m := r.mapping(path, "", root, 0); m != nil {
			tree = m
		}
		snap.Policies = r.policies(path, data, policies)
		snap.Policies = append(snap.Policies, r.includes(snap, path, dir, policies)...)
	}
	k, err := r.layers(tree)
	if err != nil {
		r.fail(Pos{File: path}, "%v", err)
	} else {
		r.decode("", k.Raw(), reflect.ValueOf(snap.File).Elem())
	}
	(&checker{reader: r, file: snap.File, dir: dir, opt: opt}).run()
	for _, text := range forgotten(env) {
		name, message, _ := strings.Cut(text, " ")
		r.warnings = append(r.warnings, fault.Diagnostic{File: name, Message: message})
	}
	sortDiagnostics(r.diags)
	snap.Policies = append(snap.Policies, r.blocks(snap.File)...)
	snap.File.sources, snap.File.pos = r.sources, r.pos
	snap.Warnings = r.warnings
	snap.Unsound = r.unsound()
	snap.Hash = r.hash(opt)
	return snap, r.diags
}

func readError(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "no such file"
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return "cannot be read: " + err.Error()
}

// layers puts the environment over the file over the defaults.
func (r *reader) layers(tree map[string]any) (*koanf.Koanf, error) {
	k := koanf.New(sep)
	if err := k.Load(confmap.Provider(defaults(), ""), nil); err != nil {
		return nil, err
	}
	if err := k.Load(confmap.Provider(tree, ""), nil); err != nil {
		return nil, err
	}
	return k, r.overlay(k)
}

// defaults is the bottom layer.
func defaults() map[string]any {
	return map[string]any{
		"server": map[string]any{
			"listen": "127.0.0.1:20128", "data_dir": "", "body_limit": "64MiB",
			"shutdown_timeout": "30s", "instance_name": DefaultInstance,
		},
		"auth": map[string]any{
			"require_keys": "auto", "machine_id_salt": "endpoint-proxy-salt",
			"accept_legacy_keys": true, "store_keys": "encrypted",
		},
		"routing":         map[string]any{"strategy": "fill-first", "sticky_limit": int64(3), "max_retries": int64(1), "retry_delay": "2s"},
		"thinking_budget": map[string]any{"mode": "passthrough", "custom_budget": int64(10240), "effort_level": "medium"},
		"system_prompt":   map[string]any{"position": "append"},
		"ip_filter":       map[string]any{"mode": "blacklist"},
		"guard": map[string]any{
			"mode": "off", "pii": map[string]any{"requests": "off"}, "tools": map[string]any{"mode": "disabled"},
		},
		"plugins": map[string]any{
			"dir": "./plugins", "lock": "./omniroute.plugins.lock", "trust": map[string]any{"mode": "warn"},
		},
		"upstream": map[string]any{"socks5": true},
		"logging": map[string]any{
			"level": "info", "format": "text",
			"requests": map[string]any{"bodies": "errors", "retention": "7d", "max_size": "1GiB", "stages": "none",
				"stages_retention": "3d", "stages_max_size": "1GiB", "file_max_size": "10MiB"},
			"audit": map[string]any{"retention": "180d"},
		},
		"telemetry": map[string]any{"prometheus": map[string]any{"enabled": true}},
		"pricing":   map[string]any{"table": "list", "reasoning_mode": "once"},
		"cache":     map[string]any{"max_bytes": "32MiB", "max_entries": int64(10_000), "max_entry": "1MiB", "ttl": "1h", "coalesce": "off"},
	}
}

// cut takes a key out of a mapping and returns its value.
func cut(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Kind == yaml.ScalarNode && m.Content[i].Value == key {
			v := m.Content[i+1]
			m.Content = slices.Delete(m.Content, i, i+2)
			return v
		}
	}
	return nil
}

// policies makes the layer of the file itself.
func (r *reader) policies(file string, data []byte, node *yaml.Node) []PolicySource {
	if node != nil && node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		node = nil
	}
	if node != nil && node.Kind != yaml.MappingNode {
		r.fail(at(file, node), "policies: want a mapping, got %s", kindOf(node))
		node = nil
	}
	return []PolicySource{{File: file, Data: data, Node: node}}
}

// includes reads the files of policies.include: paths and patterns below the
// directory of the file, tests left out.
func (r *reader) includes(snap *Snapshot, file, dir string, policies *yaml.Node) []PolicySource {
	if policies == nil || policies.Kind != yaml.MappingNode {
		return nil
	}
	var list *yaml.Node
	for i := 0; i+1 < len(policies.Content); i += 2 {
		if policies.Content[i].Value == "include" {
			list = policies.Content[i+1]
		}
	}
	if list == nil || list.Tag == "!!null" {
		return nil
	}
	if list.Kind != yaml.SequenceNode {
		r.fail(at(file, list), "policies.include: want a list of files, got %s", kindOf(list))
		return nil
	}
	var out []PolicySource
	seen := map[string]bool{}
	for _, item := range list.Content {
		if item.Kind != yaml.ScalarNode || item.Value == "" {
			r.fail(at(file, item), "policies.include: want a file or a pattern")
			continue
		}
		pattern := item.Value
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(dir, pattern)
		}
		snap.Files = append(snap.Files, pattern)
		names, err := filepath.Glob(pattern)
		if err != nil {
			r.fail(at(file, item), "policies.include: %q is not a pattern", item.Value)
			continue
		}
		if len(names) == 0 && !strings.ContainsAny(pattern, "*?[") {
			r.fail(at(file, item), "policies.include: no file %s", item.Value)
		}
		slices.Sort(names)
		for _, name := range names {
			if seen[name] || isTest(name) && name != pattern {
				continue
			}
			seen[name] = true
			if src, ok := r.include(display(file, dir, name), name); ok {
				snap.Files = append(snap.Files, name)
				out = append(out, src)
			}
		}
	}
	return out
}

func isTest(name string) bool {
	return strings.HasSuffix(name, "_test.yaml") || strings.HasSuffix(name, "_test.yml")
}

// display is the name of an included file as people write it: beside the name
// of the file that includes it.
func display(file, dir, name string) string {
	if rel, err := filepath.Rel(dir, name); err == nil && filepath.IsLocal(rel) {
		return filepath.Join(filepath.Dir(file), rel)
	}
	return name
}

func (r *reader) include(file, path string) (PolicySource, bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		r.diags = append(r.diags, fault.Diagnostic{File: file, Message: readError(err)})
		return PolicySource{}, false
	}
	src := PolicySource{File: file, Data: data, Included: true}
	root := r.parse(file, data)
	if root == nil {
		return src, true // empty, or already reported
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		k, v := root.Content[i], root.Content[i+1]
		switch {
		case k.Value != "policies":
			r.fail(at(file, k), "unknown key %q: an included file holds policies only", k.Value)
		case src.Node != nil:
			r.fail(at(file, k), "duplicate key %q, first given in line %d", k.Value, src.Node.Line)
		case v.Kind == yaml.MappingNode:
			src.Node = v
		case v.Tag != "!!null":
			r.fail(at(file, v), "policies: want a mapping, got %s", kindOf(v))
		}
	}
	if src.Node != nil {
		for i := 0; i+1 < len(src.Node.Content); i += 2 {
			if k := src.Node.Content[i]; k.Value == "include" {
				r.fail(at(file, k), "policies.include: an included file cannot include others")
			}
		}
	}
	return src, true
}

// hash covers every file and every variable that was read.
func (r *reader) hash(opt Options) string {
	h := sha256.New()
	files := make([]string, 0, len(r.sources))
	for f := range r.sums {
		files = append(files, f)
	}
	slices.Sort(files)
	for _, f := range files {
		fmt.Fprintf(h, "%q %x\n", f, r.sums[f])
	}
	vars := make([]string, 0, len(r.used))
	for v := range r.used {
		vars = append(vars, v)
	}
	slices.Sort(vars)
	for _, v := range vars {
		fmt.Fprintf(h, "%s=%q\n", v, r.env[v])
	}
	fmt.Fprintf(h, "%q\n", opt.DataDir)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func sortDiagnostics(d []fault.Diagnostic) {
	slices.SortStableFunc(d, func(a, b fault.Diagnostic) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}

// index writes a list index as part of a path.
func index(path string, i int) string { return join(path, strconv.Itoa(i)) }
