#!/usr/bin/env bash
# How do I use the gateway from Go? With the official clients and another base URL.
set -euo pipefail
source "$(dirname "$0")/../gateway.sh"
start_gateway

(cd "$ROOT" && go run ./examples/sdk-go "$URL") | expect 'Hello from the Anthropic client'
