package host

import "context"

// Interpreted are the options of a host that compiles nothing.
func (o Options) Interpreted() Options {
	o.compiler = func(ctx context.Context, _ string) (*engine, error) { return newInterpreter(ctx) }
	return o
}

// Core is the module of the built-in plugins, CacheDir the folder its code is
// kept in.
var Core, CacheDir = core, cacheDir
