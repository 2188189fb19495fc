// Package fake plays the model providers on loopback: OpenAI (chat completions
// and Responses), Anthropic Messages, Gemini and Ollama, close enough that the
// official SDKs and a gateway cannot tell the difference.
//
//	up := fake.Start(fake.Options{})
//	defer up.Close()
//	up.Push(fake.Reply{Text: "hello"})                      // the next answer
//	up.Push(fake.RateLimited("retry-after", 2*time.Second)) // then a refusal
//	...
//	req := up.Requests()[0]                                 // what was sent
//
// One server speaks every dialect; the path selects it. An answer is a [Reply]:
// neutral content (text, thinking with signatures, parallel calls, usage) that
// is rendered in the dialect and mode of the request, or raw bytes and events,
// plus a [Fault] that spoils the transport: silence, resets, cuts, gzip, garbage.
//
// Requests are checked as strictly as the real services check them, unknown
// fields, pairing of calls and results, signatures and schemas included. A
// request that breaks a rule is answered with the service's own 400 and the
// violation is kept in [Request].Violations; with [Options].Lenient it is only
// kept.
//
// Signatures are a function of the thinking text ([Sign]), so that a text that
// was changed on its way back is noticed.
package fake
