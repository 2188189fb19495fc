package openairesponses

import (
	"strings"

	"github.com/omniroute/omniroute/sdk/hub"
	"github.com/omniroute/omniroute/sdk/jsn"
)

// namespaceSep stands between the name of a namespace and that of its function.
const namespaceSep = "__"

// tools reads tool definitions (T-6 for free-form and namespaced ones).
func (p *requestParser) tools(v []byte) {
	for it := jsn.Array(v); it.Next(); {
		def := it.Value()
		switch typ := p.text(jsn.Get(def, "type")); typ {
		case "function":
			p.req.Tools = append(p.req.Tools, p.function(def, ""))
		case "custom":
			p.req.Tools = append(p.req.Tools, p.custom(def, ""))
		case "namespace":
			ns := p.text(jsn.Get(def, "name"))
			for fn := jsn.Array(jsn.Get(def, "tools")); fn.Next(); {
				if jsn.StrOf(jsn.Get(fn.Value(), "type")).Is("custom") {
					p.req.Tools = append(p.req.Tools, p.custom(fn.Value(), ns))
					continue
				}
				p.req.Tools = append(p.req.Tools, p.function(fn.Value(), ns))
			}
		default:
			if strings.HasPrefix(typ, "web_search") {
				typ = "web_search"
			}
			p.req.Tools = append(p.req.Tools, hub.ToolDef{Hosted: typ, Raw: def})
		}
	}
}

func (p *requestParser) function(def []byte, ns string) hub.ToolDef {
	t := hub.ToolDef{Raw: def, Namespace: ns}
	for it := jsn.Object(def); it.Next(); {
		switch string(it.Key()) {
		case "name":
			t.Name = qualified(ns, p.text(it.Value()))
		case "description":
			t.Description = jsn.StrOf(it.Value())
		case "parameters":
			t.Parameters = it.Value()
		case "strict":
			if !jsn.IsNull(it.Value()) {
				t.Strict = it.Value()
			}
		}
	}
	return t
}

func (p *requestParser) custom(def []byte, ns string) hub.ToolDef {
	return hub.ToolDef{Raw: def, Namespace: ns, Custom: true, Name: qualified(ns, p.text(jsn.Get(def, "name"))),
		Description: jsn.StrOf(jsn.Get(def, "description")), Parameters: hub.CustomSchema()}
}

func qualified(ns, fn string) string {
	if ns == "" || fn == "" {
		return fn
	}
	return ns + namespaceSep + fn
}

// choice reads tool_choice.
func (p *requestParser) choice(v []byte) {
	c := &p.req.Choice
	if s := jsn.StrOf(v); s != nil {
		switch mode := s.String(); mode {
		case hub.ChoiceAuto, hub.ChoiceNone, hub.ChoiceRequired:
			c.Mode = mode
		}
		return
	}
	switch p.text(jsn.Get(v, "type")) {
	case "function", "custom":
		if fn := p.text(jsn.Get(v, "name")); fn != "" {
			c.Mode, c.Names = hub.ChoiceNamed, []string{qualified(p.text(jsn.Get(v, "namespace")), fn)}
		}
	case "allowed_tools":
		c.Mode = hub.ChoiceAuto
		if jsn.StrOf(jsn.Get(v, "mode")).Is(hub.ChoiceRequired) {
			c.Mode = hub.ChoiceRequired
		}
		for it := jsn.Array(jsn.Get(v, "tools")); it.Next(); {
			if fn := p.text(jsn.Get(it.Value(), "name")); fn != "" {
				c.Names = append(c.Names, qualified(p.text(jsn.Get(it.Value(), "namespace")), fn))
			}
		}
	case "":
	default:
		p.ctx.Drop("tool_choice")
	}
}
