// Package guard looks into the texts of requests and answers: for attempts to
// talk a model out of its instructions, and for personal data.
//
//	f := guard.Inspect(body, guard.Injection|guard.PII)   // names of what was found, and how bad it is
//	body, found := guard.Redact(nil, body, guard.Requests) // personal data replaced by [EMAIL_REDACTED] …
//
// It reads any JSON body of the client dialects: what people and models said and
// what tools were given and returned, but neither the declarations of tools nor
// media. It finds patterns, not intentions: whoever talks with a coding agent
// about prompts will be noticed. So nothing here decides; policy rules do.
package guard
