// Package kiro is the executor of Kiro, which serves Claude models behind the
// streaming API of Amazon Q.
//
// Requests are in the dialect kiro already. The executor completes them (profile,
// time, limits), keeps to what the service takes, and goes from the endpoint of the
// editor to that of the command line when the former refuses or is busy: that one
// has a quota of its own, and wants another target and origin. Answers are frames
// of an event stream that the gateway decodes; the executor splits thinking off,
// counts what the service does not count, and finds the errors among them.
package kiro
