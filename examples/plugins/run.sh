#!/usr/bin/env bash
# How do I write a plugin, from nothing? Follows docs/plugins.md: every `sh` block up to its reference is run as it stands,
# in an empty folder, with nothing but the port changed.
set -euo pipefail
source "$(dirname "$0")/../gateway.sh"

cd "$WORK"
export DATA_DIR=$WORK/data OMNIROUTE_STORAGE_KEY=${OMNIROUTE_STORAGE_KEY:-}
[ -n "$OMNIROUTE_STORAGE_KEY" ] || unset OMNIROUTE_STORAGE_KEY
PORT=$((20200 + RANDOM % 20000))
PATH=$(dirname "$OMNIROUTE"):$PATH # a function in the background is a shell of its own, whose end leaves the gateway running

awk '/^## Reference/ {exit} /^```sh$/ {on = 1; next} /^```$/ {on = 0} on' "$ROOT/docs/plugins.md" |
	sed "s/20128/$PORT/g" >tutorial.sh
[ "$(wc -l <tutorial.sh)" -gt 20 ]

finish() {
	jobs -p | xargs -r kill 2>/dev/null || true
	wait 2>/dev/null || true
	stop_gateways
}
trap finish EXIT

export OMNIROUTE_SERVER__LISTEN=127.0.0.1:$PORT
begin=$SECONDS
set -x
source tutorial.sh >out 2>&1 || { set +x; cat out; exit 1; }
set +x
cat out | expect 'Hello, plugin' >/dev/null
cat out | expect 'Remember this' >/dev/null
cat out | expect ' 0 failed' >/dev/null
cat out | expect '0.2.0 -> 0.1.0' >/dev/null
grep -v '^+' out | tail -30
echo "from nothing to a plugin that is tested, recorded, measured, signed and installed in $((SECONDS - begin)) s"
