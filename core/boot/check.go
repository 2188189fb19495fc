package boot

import (
	"context"

	"github.com/omniroute/omniroute/core/catalog"
	"github.com/omniroute/omniroute/core/fault"
)

// Check loads and compiles everything a gateway would, plugins included, without serving and without touching the
// store. It returns all problems at once; err is a failure of the check itself.
func Check(ctx context.Context, opt Options) (problems, warnings []fault.Diagnostic, err error) {
	conf, problems := opt.load()
	if conf == nil {
		return problems, nil, nil
	}
	warnings = append(warnings, conf.Warnings...)
	set, found, softer := loadPolicy(conf, nil)
	problems, warnings = append(problems, found...), append(warnings, softer...)
	in := catalog.Inputs{Config: conf.File, Classic: set != nil && isClassic(set)}
	h, release, err := OpenPlugins(ctx, opt)
	switch {
	case err == errNoCore:
		warnings = append(warnings, fault.Diagnostic{Message: err.Error()})
	case err != nil:
		problems = append(problems, fault.Diagnostic{Message: "plugins: " + err.Error()})
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
	return append(problems, found...), warnings, nil
}
