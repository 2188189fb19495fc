# Sourced by the examples: starts a gateway of its own on a free port with an empty data directory, sets
# $URL to its base URL and $DATA to that directory, and stops it at the end. A second call starts another one.
#
#   source "$(dirname "$0")/../gateway.sh"
#   start_gateway [CONFIG]

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
OMNIROUTE=${OMNIROUTE:-$ROOT/bin/omniroute}
WORK=$(mktemp -d)
GATEWAYS=()
# Compiled plugins are shared between runs; everything else starts empty.
export OMNIROUTE_PLUGINS__CACHE__DIR=${OMNIROUTE_PLUGINS__CACHE__DIR:-$ROOT/.cache/wasm}

stop_gateways() {
	if [ ${#GATEWAYS[@]} -gt 0 ]; then
		kill "${GATEWAYS[@]}" 2>/dev/null || true
		wait "${GATEWAYS[@]}" 2>/dev/null || true
	fi
	rm -rf "$WORK"
}
trap stop_gateways EXIT

start_gateway() {
	local n=${#GATEWAYS[@]} pid
	DATA=$WORK/data$n
	OMNIROUTE_SERVER__LISTEN=127.0.0.1:0 "$OMNIROUTE" serve --config "${1:-$ROOT/omniroute.yaml}" --data-dir "$DATA" >"$WORK/out$n" 2>"$WORK/log$n" &
	pid=$!
	GATEWAYS+=("$pid")
	for _ in $(seq 1800); do # a first start compiles the plugins
		URL=$(sed -n 's/^ *Base URL: *\(http[^ ]*\)\/v1$/\1/p' "$WORK/out$n")
		if [ -n "$URL" ]; then
			return 0
		fi
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	echo "the gateway did not start:" >&2
	cat "$WORK/log$n" >&2
	return 1
}

# until_true COMMAND...: repeats a command until it succeeds, for two minutes.
until_true() {
	for _ in $(seq 1200); do
		if "$@" >/dev/null 2>&1; then
			return 0
		fi
		sleep 0.1
	done
	echo "still failing: $*" >&2
	return 1
}

# expect TEXT: copies stdin to stdout and fails unless it contains TEXT.
expect() {
	local text
	text=$(cat)
	printf '%s\n' "$text"
	if [[ "$text" != *"$1"* ]]; then
		echo "expected to find: $1" >&2
		return 1
	fi
}
