package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Hooks whose rules an entity may have in its own block. The clocks and the
// accounts of a provider have the short form, so those hooks are not among its
// own.
var (
	comboHooks    = []string{"accounts", "breaker", "context", "filter", "learn", "limits", "meter", "on_error", "on_exhausted", "order", "system", "thinking", "timeouts"}
	providerHooks = []string{"breaker", "context", "learn", "limits", "meter", "on_error", "on_exhausted", "system", "thinking"}
	accountHooks  = []string{"learn", "limits", "meter", "on_error", "on_exhausted"}
)

// OwnHooks lists the hooks that the block of an entity may have rules for: of a
// combo, a provider or an account.
func OwnHooks(entity string) []string {
	switch entity {
	case "combo":
		return slices.Clone(comboHooks)
	case "provider":
		return slices.Clone(providerHooks)
	case "account":
		return slices.Clone(accountHooks)
	}
	return nil
}

// ownHooks are the hooks that the mapping at a path may have rules for.
func ownHooks(path string) []string {
	part := strings.Split(path, sep)
	switch {
	case len(part) == 2 && part[0] == "combos":
		return comboHooks
	case len(part) == 2 && part[0] == "providers":
		return providerHooks
	case len(part) == 4 && part[0] == "providers" && part[2] == "accounts":
		return accountHooks
	}
	return nil
}

// rulesAt stands for rules in the merged tree: the path of their node.
type rulesAt string

// written rules with the place they were written at.
type writtenRules struct {
	file string
	key  *yaml.Node
	list *yaml.Node
}

// keep remembers rules as they are written.
func (r *reader) keep(file, path string, key, list *yaml.Node) any {
	if list.Kind == yaml.ScalarNode && list.Tag == "!!null" {
		return nil
	}
	r.pos[path] = at(file, list)
	r.rules[path] = writtenRules{file, key, list}
	return rulesAt(path)
}

// own fills the rules of an entity's block.
func (r *reader) own(path string, v any) (Rules, bool) {
	at, ok := v.(rulesAt)
	if !ok {
		r.failAt(path, "%s: rules can only be written in the file", shown(path))
		return Rules{}, false
	}
	w := r.rules[string(at)]
	return Rules{Pos: r.pos[string(at)], Node: w.list}, true
}

// blocks are the rules of entities as policy layers, in the order of the text.
func (r *reader) blocks(f *File) []PolicySource {
	byEntity := map[string][]string{}
	for path := range r.rules {
		i := strings.LastIndex(path, sep)
		byEntity[path[:i]] = append(byEntity[path[:i]], path)
	}
	var out []PolicySource
	for entity, paths := range byEntity {
		slices.SortFunc(paths, func(a, b string) int {
			x, y := r.rules[a].key, r.rules[b].key
			return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
		})
		first := r.rules[paths[0]]
		src := PolicySource{File: first.file, Data: r.sources[first.file], Included: true,
			Node: &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: first.key.Line, Column: first.key.Column}}
		for _, p := range paths {
			w := r.rules[p]
			src.Node.Content = append(src.Node.Content, w.key, w.list)
		}
		part := strings.Split(entity, sep)
		switch {
		case part[0] == "combos":
			src.Combo = part[1]
		case len(part) == 2:
			src.Provider = part[1]
		default:
			src.Account = part[1] + "/" + part[3]
			if i, _ := strconv.Atoi(part[3]); i < len(f.Providers[part[1]].Accounts) { // else it could not be read
				src.Account = part[1] + "/" + f.Providers[part[1]].Accounts[i].Name
			}
		}
		out = append(out, src)
	}
	slices.SortFunc(out, func(a, b PolicySource) int {
		return cmp.Or(cmp.Compare(a.Node.Line, b.Node.Line), cmp.Compare(a.Node.Column, b.Node.Column))
	})
	return out
}
