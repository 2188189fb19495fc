package boot

import (
	"cmp"
	"context"
	"slices"

	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/core/telemetry"
)

// Check loads and compiles everything a gateway would, plugins included, without serving and without touching the
// store. It returns all problems of all layers at once, in the order of the text: what is wrong in one place does not
// hide what is wrong in another, and is not reported again where something refers to it. err is a failure of the
// check itself.
func Check(ctx context.Context, opt Options) (problems, warnings []fault.Diagnostic, err error) {
	conf, problems := config.Inspect(opt.source())
	if conf == nil {
		return problems, nil, nil
	}
	warnings = conf.Warnings
	set, found, softer := loadPolicy(conf, nil)
	problems, warnings = append(problems, found...), append(warnings, softer...)
	in := catalog.Inputs{Config: conf.File, Unsound: conf.Unsound, Classic: set != nil && isClassic(set)}
	h, release, err := loadPlugins(ctx, opt, conf, telemetry.Discard())
	switch {
	case err == errNoCore:
		warnings = append(warnings, fault.Diagnostic{Message: err.Error()})
		in.Unsound = append(in.Unsound, "*") // names of its providers would look wrong
	case err != nil:
		problems = append(problems, fault.Diagnostic{Message: "plugins: " + err.Error()})
		in.Unsound = append(in.Unsound, "*")
	default:
		in.Plugins = pluginProviders(h.Parts())
		for _, p := range h.Problems() {
			problems = append(problems, fault.Diagnostic{File: p.File, Message: p.Message})
		}
		if err := release(); err != nil {
			return nil, nil, err
		}
	}
	_, found = catalog.Build(in)
	return inOrder(append(problems, found...)), inOrder(warnings), nil
}

// inOrder sorts by place, each file in the order of its first problem.
func inOrder(list []fault.Diagnostic) []fault.Diagnostic {
	files := map[string]int{}
	for _, d := range list {
		if _, seen := files[d.File]; !seen {
			files[d.File] = len(files)
		}
	}
	slices.SortStableFunc(list, func(a, b fault.Diagnostic) int {
		return cmp.Or(cmp.Compare(files[a.File], files[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return list
}
