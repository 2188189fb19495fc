// Package antigravity is the executor of Antigravity, a code assistant whose back
// end serves Gemini and Claude models behind the same envelope.
//
// Requests are in the dialect antigravity already. The executor fills in the
// envelope (project, request and session ids, limits per model), repairs what the
// service refuses, and goes through several hosts: it waits for short limits on
// one, leaves it for the next on long ones, and starts again when all of them lack
// capacity.
package antigravity
