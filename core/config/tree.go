package config

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/omniroute/omniroute/core/fault"
)

// sep joins the levels of a path. YAML text cannot hold it, while keys may well
// hold dots ("gpt-4.1").
const sep = "\x00"

// keyMark after a path gives the place of the key rather than of the value.
const keyMark = sep + sep

// maxNodes bounds a document, anchors expanded.
const maxNodes = 200_000

// maxDepth bounds the nesting of a document.
const maxDepth = 64

// reader turns documents into plain values and remembers where each came from.
type reader struct {
	env     map[string]string
	sources map[string][]byte   // masked, for excerpts
	sums    map[string][32]byte // hashes of the real content
	pos     map[string]Pos
	fromEnv map[string]bool         // paths set by the environment
	used    map[string]bool         // variables that were looked at
	broken  map[string]bool         // paths whose value could not be read
	refused map[string]bool         // paths whose value was read but may not be
	rules   map[string]writtenRules // own rules of entities, by path
	diags   []fault.Diagnostic
	nodes   int

	warnings []fault.Diagnostic
}

func newReader(env map[string]string) *reader {
	return &reader{env: env, sources: map[string][]byte{}, sums: map[string][32]byte{}, pos: map[string]Pos{}, fromEnv: map[string]bool{}, used: map[string]bool{}, broken: map[string]bool{}, refused: map[string]bool{}, rules: map[string]writtenRules{}}
}

// failAt reports a problem with the value at path. Checks that come later say
// nothing about what is broken already.
func (r *reader) failAt(path, format string, args ...any) {
	r.broken[path] = true
	r.fail(r.pos[path], format, args...)
}

// unsound names the providers, aliases and combos with problems of their own,
// "*" for all when a whole section could not be read. Problems of a provider's
// accounts do not change what it offers.
func (r *reader) unsound() []string {
	var names []string
	for _, paths := range []map[string]bool{r.broken, r.refused} {
		for path := range paths {
			part := strings.Split(path, sep)
			switch {
			case !slices.Contains([]string{"providers", "aliases", "combos"}, part[0]):
			case len(part) == 1:
				names = append(names, "*")
			case len(part) == 2 || part[2] != "accounts":
				names = append(names, part[1])
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (r *reader) fail(p Pos, format string, args ...any) {
	r.diags = append(r.diags, fault.At(p.File, r.sources[p.File], p.Line, p.Column, fmt.Sprintf(format, args...)))
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// parse reads one document. The result is nil for an empty or a bad one.
func (r *reader) parse(file string, data []byte) *yaml.Node {
	r.sources[file], r.sums[file] = masked(data), sha256.Sum256(data)
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		line, text := 1, err.Error()
		if m := yamlLine.FindStringSubmatch(text); m != nil {
			line, _ = strconv.Atoi(m[1])
			text = m[2]
		}
		r.fail(Pos{File: file, Line: max(line, 1)}, "%s", text)
		return nil
	}
	var second yaml.Node
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		r.fail(Pos{File: file, Line: max(second.Line, 1), Column: second.Column}, "only one document is allowed")
		return nil
	}
	if len(doc.Content) == 0 {
		return nil
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil
	}
	if root.Kind != yaml.MappingNode {
		r.fail(at(file, root), "want a mapping of sections, got %s", kindOf(root))
		return nil
	}
	return root
}

func at(file string, n *yaml.Node) Pos { return Pos{File: file, Line: n.Line, Column: n.Column} }

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return "a single value"
	}
}

// value converts a node below path. Nulls give nil and are left out of
// mappings, so that an empty section keeps its defaults.
func (r *reader) value(file, path string, n *yaml.Node, depth int) any {
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		if r.nodes == maxNodes+1 || depth == maxDepth+1 {
			r.fail(at(file, n), "the document is too large or nested too deeply")
		}
		return nil
	}
	r.pos[path] = at(file, n)
	switch n.Kind {
	case yaml.AliasNode:
		return r.value(file, path, n.Alias, depth+1)
	case yaml.MappingNode:
		return r.mapping(file, path, n, depth)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			list = append(list, r.value(file, join(path, strconv.Itoa(i)), item, depth+1))
		}
		return list
	default:
		return r.scalar(file, path, n)
	}
}

func (r *reader) mapping(file, path string, n *yaml.Node, depth int) map[string]any {
	m := make(map[string]any, len(n.Content)/2)
	lines := make(map[string]int, len(n.Content)/2)
	hooks := ownHooks(path)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" {
			r.refused[path] = true // what it would have said is missing
		}
		switch {
		case k.Kind != yaml.ScalarNode:
			r.fail(at(file, k), "a key must be a single value, got %s", kindOf(k))
			continue
		case k.Tag == "!!merge":
			r.fail(at(file, k), "merge keys (<<) are not supported")
			continue
		case strings.Contains(k.Value, sep):
			r.fail(at(file, k), "a key must not hold a zero byte")
			continue
		}
		if first, dup := lines[k.Value]; dup {
			r.fail(at(file, k), "duplicate key %q, first given in line %d", k.Value, first)
			continue
		}
		lines[k.Value] = k.Line
		child := join(path, k.Value)
		var value any
		if slices.Contains(hooks, k.Value) {
			value = r.keep(file, child, k, v)
		} else {
			value = r.value(file, child, v, depth+1)
		}
		r.pos[child+keyMark] = at(file, k)
		if value != nil {
			m[k.Value] = value
		}
	}
	return m
}

// scalar resolves a scalar by the rules of YAML 1.2, after variables are filled
// in. Times stay text.
func (r *reader) scalar(file, path string, n *yaml.Node) any {
	text, changed := r.expand(path, n.Value)
	tag := n.Tag
	if changed && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		plain := yaml.Node{Kind: yaml.ScalarNode, Value: text}
		tag = plain.ShortTag()
		if text == "" {
			tag = "!!str" // ${NAME:-} is an empty text, not "nothing given"
		}
	}
	switch tag {
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if (&yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}).Decode(&b) == nil {
			return b
		}
	case "!!int":
		if i, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 0, 64); err == nil {
			return i
		}
	case "!!float":
		var f float64
		if (&yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}).Decode(&f) == nil {
			return f
		}
	}
	return text
}

var variable = regexp.MustCompile(`\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}`)

// expand fills in ${NAME} and ${NAME:-default}; "$${" gives a literal "${". A
// variable that is set but empty counts as set without a default, as unset
// with one.
func (r *reader) expand(path, text string) (string, bool) {
	if !strings.Contains(text, "${") {
		return text, false
	}
	out := variable.ReplaceAllStringFunc(text, func(m string) string {
		if m == "$${" {
			return "${"
		}
		part := variable.FindStringSubmatch(m)
		r.used[part[1]] = true
		value, set := r.env[part[1]]
		hasDefault := part[2] != ""
		switch {
		case set && (value != "" || !hasDefault):
			return value
		case hasDefault:
			return part[3]
		default:
			r.failAt(path, "environment variable %s is not set (write ${%s:-} to allow that)", part[1], part[1])
			return ""
		}
	})
	return out, true
}

var secretText = regexp.MustCompile(`(?i)(?:key|token|secret|password)["']?\s*:\s*("[^"\n]*"|'[^'\n]*'|[^\s,{}\[\]"'][^\s,}\]]*)|://([^\s/@"']+)@`)

// masked copies a document for excerpts, with secrets as stars of the same
// length so that columns stay. References to variables are no secrets.
func masked(data []byte) []byte {
	out := bytes.Clone(data)
	for _, m := range secretText.FindAllSubmatchIndex(data, -1) {
		lo, hi := m[2], m[3]
		if lo < 0 {
			lo, hi = m[4], m[5]
		}
		if bytes.Contains(data[lo:hi], []byte("${")) {
			continue
		}
		for i := lo; i < hi; i++ {
			if c := out[i]; c != '"' && c != '\'' {
				out[i] = '*'
			}
		}
	}
	return out
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + sep + key
}

// shown is a path as people write it.
func shown(path string) string { return strings.ReplaceAll(path, sep, ".") }
