// Package openai is the dialect of OpenAI chat completions and of the many providers
// that speak it.
package openai
