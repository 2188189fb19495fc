package sdk

import (
	"strconv"

	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// Setting is one declared setting of a plugin. Make one with [Enum], [Text],
// [Number] or [Switch]; the admin UI makes a form of them.
type Setting struct {
	name, kind, fallback, title string
	values                      []string
}

// Enum is a setting with a fixed set of values.
func Enum(name string, values ...string) Setting {
	return Setting{name: name, kind: "string", values: values}
}

// Text is a free text setting.
func Text(name string) Setting { return Setting{name: name, kind: "string"} }

// Number is a numeric setting.
func Number(name string) Setting { return Setting{name: name, kind: "number"} }

// Switch is an on/off setting; its values are "true" and "false".
func Switch(name string) Setting { return Setting{name: name, kind: "boolean"} }

// Default sets the value used when the operator sets none.
func (s Setting) Default(v string) Setting { s.fallback = v; return s }

// Title sets the label of the form field.
func (s Setting) Title(t string) Setting { s.title = t; return s }

// configSchema is the set of a module's settings.
type configSchema []Setting

// configuration holds the settings' values.
type configuration map[string]string

func (c configuration) get(name string) string { return c[name] }

func (s configSchema) defaults() configuration {
	c := configuration{}
	for _, f := range s {
		if f.fallback != "" {
			c[f.name] = f.fallback
		}
	}
	return c
}

// parse reads a JSON object of settings.
func (s configSchema) parse(raw []byte) (configuration, error) {
	c := s.defaults()
	var err error
	JSON(raw).Get("").Members(func(name string, v JSON) {
		for _, f := range s {
			if f.name == name {
				if bad := f.check(v); bad != "" && err == nil {
					err = &abi.ErrorRecord{Message: "setting " + name + ": " + bad, Class: "client", Scope: "plugin", Status: 400, Param: name}
				}
				c[name] = settingText(v)
				return
			}
		}
		if err == nil {
			err = &abi.ErrorRecord{Message: "unknown setting " + name, Class: "client", Scope: "plugin", Status: 400, Param: name}
		}
	})
	return c, err
}

func (s Setting) check(v JSON) string {
	switch kind := jsn.KindOf(v); {
	case s.kind == "string" && kind != jsn.String:
		return "must be text"
	case s.kind == "number" && kind != jsn.Number:
		return "must be a number"
	case s.kind == "boolean" && !jsn.IsTrue(v) && !jsn.IsFalse(v):
		return "must be true or false"
	}
	if len(s.values) == 0 {
		return ""
	}
	for _, x := range s.values {
		if v.Is(x) {
			return ""
		}
	}
	return "is not one of the allowed values"
}

func settingText(v JSON) string {
	if jsn.IsTrue(v) || jsn.IsFalse(v) {
		return string(v)
	}
	return v.Text()
}

// append writes the member config_schema of a manifest.
func (s configSchema) append(b []byte) []byte {
	if len(s) == 0 {
		return b
	}
	b = append(b, `,"config_schema":{"type":"object","additionalProperties":false,"properties":{`...)
	for i, f := range s {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, Quote(f.name)...), `:{"type":`...)
		b = append(b, Quote(f.kind)...)
		if f.title != "" {
			b = append(append(b, `,"title":`...), Quote(f.title)...)
		}
		if len(f.values) > 0 {
			b = append(appendStrings(append(b, `,"enum":[`...), f.values), ']')
		}
		if f.fallback != "" {
			b = append(b, `,"default":`...)
			b = append(b, f.literal(f.fallback)...)
		}
		b = append(b, '}')
	}
	return append(b, `}}`...)
}

func (s Setting) literal(v string) []byte {
	if s.kind == "string" {
		return Quote(v)
	}
	if _, err := strconv.ParseFloat(v, 64); err == nil || v == "true" || v == "false" {
		return []byte(v)
	}
	return Quote(v)
}

func appendStrings(b []byte, list []string) []byte {
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, Quote(s)...)
	}
	return b
}
