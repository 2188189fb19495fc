// Package plugindev is the workbench of plugin authors: it makes new plugins
// ([New]), compiles them in any of the languages ([Build]), runs their cases,
// the conformance kit and benchmarks in WebAssembly ([Bench]), and keeps
// recordings of what a gateway asked a plugin ([Trace]). The commands
// `omniroute plugin …` and `omniroute dev plugin` are made of it. Nothing here
// runs in a gateway that serves.
package plugindev
