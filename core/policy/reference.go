package policy

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
)

// HookDoc is a hook with everything its expressions can use.
type HookDoc struct {
	HookInfo
	Fields    []FieldDoc    `json:"fields"`
	Variables []VariableDoc `json:"variables"`
	Functions []FunctionDoc `json:"functions"`
	// OwnBlocks lists what may carry its own rules of the hook: account, combo,
	// provider.
	OwnBlocks []string `json:"own_blocks,omitempty"`
}

// FieldDoc is a payload field of a rule.
type FieldDoc struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Doc    string   `json:"doc"`
	Values []string `json:"values,omitempty"`
}

// VariableDoc is a variable, or a field of one.
type VariableDoc struct {
	Name   string        `json:"name"`
	Type   string        `json:"type"`
	Doc    string        `json:"doc,omitempty"`
	Fields []VariableDoc `json:"fields,omitempty"`
}

// FunctionDoc is a function of the language beside expr's built-ins.
type FunctionDoc struct {
	Name      string `json:"name"`
	Signature string `json:"signature"`
	Doc       string `json:"doc"`
}

// EnvDoc describes the hooks named, or all, for completion and documentation.
func EnvDoc(hooks ...string) ([]HookDoc, error) {
	var out []HookDoc
	for _, name := range hooks {
		if hookNamed(name) == nil {
			var names []string
			for _, h := range Hooks() {
				names = append(names, h.Name)
			}
			return nil, fmt.Errorf("unknown hook %q%s; there are %s", name, didYouMean(name, names), strings.Join(names, ", "))
		}
	}
	for _, h := range Hooks() {
		if len(hooks) > 0 && !hasTag(hooks, h.Name) {
			continue
		}
		d := HookDoc{HookInfo: h, OwnBlocks: h.scopes}
		for _, f := range append(common(), h.fields...) {
			d.Fields = append(d.Fields, FieldDoc{f.name, f.kind.String(), f.doc, f.values})
		}
		for _, v := range variables(h.env) {
			d.Variables = append(d.Variables, describeVariable(v.name, v.doc, v.typ))
		}
		for _, f := range functions() {
			if f.visible == "" || hasVariable(h.env, f.visible) {
				d.Functions = append(d.Functions, FunctionDoc{f.name, f.signature, f.doc})
			}
		}
		out = append(out, d)
	}
	return out, nil
}

func describeVariable(name, doc string, t reflect.Type) VariableDoc {
	d := VariableDoc{Name: name, Type: friendly(t), Doc: doc}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return d
	}
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		if tag := f.Tag.Get("expr"); tag != "" && tag != "-" {
			d.Fields = append(d.Fields, describeVariable(tag, f.Tag.Get("doc"), f.Type))
		}
	}
	return d
}

// friendly names a type the way rule authors think of it.
func friendly(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[string]():
		return "text"
	case reflect.TypeFor[float64]():
		return "float"
	case reflect.TypeFor[*float64]():
		return "float or nil"
	case reflect.TypeFor[[]string]():
		return "list of texts"
	case reflect.TypeFor[map[string]string]():
		return "map of texts"
	case reflect.TypeFor[map[string]any]():
		return "map of anything"
	}
	switch t.Kind() {
	case reflect.Slice:
		return "list of " + friendly(t.Elem())
	case reflect.Pointer:
		return friendly(t.Elem())
	case reflect.Struct:
		return strings.ToLower(t.Name()[:1]) + t.Name()[1:]
	}
	return t.String()
}

// Reference writes the language reference in Markdown, from the Go types.
func Reference() []byte {
	var b strings.Builder
	b.WriteString(`# Policy reference

Generated from the Go types by ` + "`go generate ./core/policy`" + `; do not edit.

A rule is ` + "`{id, enabled: true, shadow: false, when: true, <fields of its hook>}`" + `. Conditions and values are
[expr](https://expr-lang.org) expressions. An unknown number is -1, an unknown text is empty; times are distances or
ages in milliseconds; money is USD. Besides the functions below all built-ins of expr are available except ` + "`now`" + `.
` + "`vars.x` and `lists.x`" + ` are the constants of the file and visible everywhere.

## Hooks

`)
	docs, _ := EnvDoc()
	b.WriteString("| hook | asked when | combination | if no rule matches | if evaluation fails | own blocks |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, h := range docs {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s | %s | %s |\n", code(h.Name), h.Name, h.When, h.Combination, cell(h.Default), cell(h.OnFailure), strings.Join(h.OwnBlocks, ", "))
	}
	for _, h := range docs {
		writeHook(&b, h)
	}
	writeVariables(&b, docs)
	b.WriteString("\n## Functions\n\n| function | gives | visible in |\n| --- | --- | --- |\n")
	for _, f := range functions() {
		var in []string
		for _, h := range docs {
			if f.visible != "" && hasVariable(h.env, f.visible) {
				in = append(in, h.Name)
			}
		}
		where := "all hooks"
		if f.visible != "" {
			where = strings.Join(in, ", ")
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", code(f.signature), cell(f.doc), where)
	}
	return []byte(b.String())
}

func code(s string) string { return "`" + strings.ReplaceAll(s, "|", "\\|") + "`" }

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

func writeHook(b *strings.Builder, h HookDoc) {
	fmt.Fprintf(b, "\n### %s\n\nPhase %s. ", h.Name, h.Phase)
	var names []string
	for _, v := range h.Variables {
		names = append(names, code(v.Name))
	}
	fmt.Fprintf(b, "Variables: %s.\n\n| field | type | meaning |\n| --- | --- | --- |\n", strings.Join(names, " "))
	for _, f := range h.Fields {
		if f.Name == "id" || f.Name == "enabled" || f.Name == "shadow" || f.Name == "when" {
			continue
		}
		typ := f.Type
		if len(f.Values) > 0 {
			typ = strings.Join(f.Values, ", ")
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", code(f.Name), typ, cell(f.Doc))
	}
}

func writeVariables(b *strings.Builder, docs []HookDoc) {
	b.WriteString("\n## Variables\n")
	seen := map[string]VariableDoc{}
	in := map[string][]string{}
	var order []string
	for _, h := range docs {
		for _, v := range h.Variables {
			if _, ok := seen[v.Name]; !ok {
				order = append(order, v.Name)
			}
			seen[v.Name] = v
			in[v.Name] = append(in[v.Name], h.Name)
		}
	}
	sort.SliceStable(order, func(i, j int) bool { return len(in[order[i]]) > len(in[order[j]]) })
	for _, name := range order {
		v := seen[name]
		where := strings.Join(in[name], ", ")
		if len(in[name]) == len(docs) {
			where = "all hooks"
		}
		fmt.Fprintf(b, "\n### %s\n\n%s. Visible in %s.\n", name, v.Doc, where)
		if len(v.Fields) == 0 {
			fmt.Fprintf(b, "Type: %s.\n", v.Type)
			continue
		}
		b.WriteString("\n| field | type | meaning |\n| --- | --- | --- |\n")
		writeFields(b, "", v.Fields)
	}
}

func writeFields(b *strings.Builder, at string, fields []VariableDoc) {
	for _, f := range fields {
		if len(f.Fields) > 0 {
			writeFields(b, at+f.Name+".", f.Fields)
			continue
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", code(at+f.Name), f.Type, cell(f.Doc))
	}
}
