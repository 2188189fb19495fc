#!/usr/bin/env bash
# How do I add a provider with code? Thirty lines, compiled to WebAssembly, dropped into a folder.
set -euo pipefail
source "$(dirname "$0")/../gateway.sh"

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
until_true omniroute provider add acme --key sk-acme-0123456789
omniroute provider models acme | expect acme/acme-large
curl -fsS "$URL/v1/models" | expect '"acme/acme-large"' >/dev/null
omniroute plugin list | expect acme.wasm

echo "-- take it out: it is gone"
rm "$WORK/plugins/acme.wasm"
gone() { ! curl -fsS "$URL/v1/models" | grep -q acme/acme-large; }
until_true gone
