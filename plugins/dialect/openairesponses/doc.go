// Package openairesponses translates the OpenAI Responses API (POST /v1/responses) to
// and from the hub, including the profile that the Codex back end wants.
//
// State that the vendor keeps cannot be rebuilt elsewhere: requests that refer to it
// are refused for every other target (RS-1).
package openairesponses
