#!/usr/bin/env bash
# How do I send a first request? In either dialect, streaming or not, offline through the demo provider.
set -euo pipefail
source "$(dirname "$0")/../gateway.sh"
start_gateway

echo "-- OpenAI dialect"
curl -fsS "$URL/v1/chat/completions" -H 'Content-Type: application/json' \
	-d '{"model": "demo/echo", "messages": [{"role": "user", "content": "Hello"}]}' | expect '"content":"Hello"'

echo "-- OpenAI dialect, streaming"
curl -fsSN "$URL/v1/chat/completions" -H 'Content-Type: application/json' \
	-d '{"model": "demo/echo", "stream": true, "messages": [{"role": "user", "content": "Hello"}]}' | expect 'data: [DONE]'

echo "-- Anthropic dialect"
curl -fsS "$URL/v1/messages" -H 'Content-Type: application/json' \
	-d '{"model": "demo/echo", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}' | expect '"text":"Hello"'

echo "-- Anthropic dialect, streaming"
curl -fsSN "$URL/v1/messages" -H 'Content-Type: application/json' \
	-d '{"model": "demo/echo", "max_tokens": 100, "stream": true, "messages": [{"role": "user", "content": "Hello"}]}' | expect 'event: message_stop'

echo "-- what there is"
curl -fsS "$URL/v1/models" | expect '"demo/echo"'
