// Package executor is the default executor: it serves every provider whose API
// is one of the common wire formats, from a provider profile alone.
//
// A profile is the provider's entry in the field names of providers.yaml: id,
// format, base_urls, paths, auth, headers, streaming, request_rules, models.
// What the profile leaves out follows from the format.
//
// Answers need no code: streams pass as they come, failures are judged by
// status and error body.
package executor
