// Package gemini translates the Gemini API (generateContent and
// streamGenerateContent) to and from the hub.
//
//	d := gemini.New()
//	out, err := hub.TranslateRequest(claude.New(), d, &ctx, nil, body)
//
// Model and stream flag of this format live in the URL: a parsed request has no
// model of its own, and [hub.Ctx.Stream] tells whether the client asked for a
// stream.
//
// [AppendSchema] cleans JSON Schema down to the dialect of OpenAPI schemas that the
// API accepts. The envelope formats of the same family (gemini-cli, antigravity)
// wrap this package.
package gemini
