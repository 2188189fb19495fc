// Package config reads omniroute.yaml.
//
// Loading is strict and reports every problem at once, each with file, line,
// column and an excerpt: unknown keys (with the nearest known name), wrong
// types, duplicate keys and ids, bad durations, sizes and references. The
// result is an immutable [Snapshot]; requests keep the one they started with.
//
//	snap, diags := config.Load(config.Options{Path: "omniroute.yaml", Env: os.Environ()})
//	if len(diags) > 0 { ... print and keep the old snapshot ... }
//
// Values are layered: built-in defaults, then the file, then environment
// variables. Any key can be set as OMNIROUTE_<PATH> with two underscores
// between levels (OMNIROUTE_SERVER__LISTEN); some older names such as DATA_DIR
// and PORT are honoured too, see [EnvNames]. In the file, ${NAME} and
// ${NAME:-default} are replaced in scalar values, never inside "policies",
// where the same spelling is a hole of a text template.
//
// The "policies" section is not decoded here: [Snapshot.Policies] carries it as
// positioned sources, the file's own first, then the included files in order.
package config
