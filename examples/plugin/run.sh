#!/usr/bin/env bash
# How do I add a provider with code? Thirty lines, compiled to WebAssembly, dropped into a folder.
set -euo pipefail
source "$(dirname "$0")/../gateway.sh"

start_gateway # it plays the provider: its models answer offline
PROVIDER=$URL

mkdir "$WORK/plugins"
CONFIG=$WORK/omniroute.yaml
echo "plugins: {dir: $WORK/plugins}" >"$CONFIG"
start_gateway "$CONFIG"
omniroute() { "$OMNIROUTE" "$@" --config "$CONFIG" --data-dir "$DATA"; }

echo "-- build and pack"
(cd "$ROOT" && GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 go build -buildmode=c-shared -trimpath -ldflags='-s -w' -o "$WORK/acme.wasm" ./examples/plugin)
omniroute plugin pack "$WORK/acme.wasm"

echo "-- drop it in: the running gateway has a new provider"
mv "$WORK/acme.wasm" "$WORK/plugins/acme.wasm"
listed() { curl -fsS "$URL/v1/models?full=1" | grep -q acme/acme-large; }
until_true listed
omniroute provider models acme | expect acme/acme-large
omniroute plugin list | expect acme.wasm

echo "-- an account, and where this provider is"
cat >>"$CONFIG" <<YAML
providers:
  acme:
    base_urls: [$PROVIDER/v1]
    allow_private: true
    models: [{id: acme-large, upstream_id: demo/echo}]
    accounts: [{name: main, api_key: sk-acme-0123456789}]
YAML
ask() {
	curl -fsS "$URL/v1/chat/completions" -H 'Content-Type: application/json' \
		-d '{"model": "acme/acme-large", "seed": 7, "messages": [{"role": "user", "content": "Hello, plugin"}]}'
}
until_true ask
ask | expect 'Hello, plugin'

echo "-- take it out: it is gone"
echo "plugins: {dir: $WORK/plugins}" >"$CONFIG"
rm "$WORK/plugins/acme.wasm"
gone() { ! listed; }
until_true gone
