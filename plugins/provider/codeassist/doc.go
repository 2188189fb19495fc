// Package codeassist is what the executors of Google's code assistant back ends
// have in common: Gemini CLI and Antigravity wrap Gemini requests into the same
// envelope, work in a project that a user may have to be given first, and say in
// the same words how long to wait.
package codeassist
