// Package ollama translates the native chat API of Ollama (/api/chat, streamed as
// NDJSON). It is a provider format only: no client speaks it.
package ollama
