// Package demo is a provider that needs no network and no key. It answers in
// the OpenAI dialect, so every client dialect can be tried on it:
//
//	echo          the last user text
//	lorem         so many words at a pace: "200 words 20ms" or "200 words 50/s"
//	tools         calls the first offered tool once, then sums up its result
//	think         reasons, then answers
//	fail-<status> fails that way, with Retry-After where it fits
package demo
