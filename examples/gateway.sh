# Sourced by the examples: starts a gateway of its own on a free port with an empty data directory, sets
# $URL to its base URL and stops it at the end.
#
#   source "$(dirname "$0")/../gateway.sh"
#   start_gateway [CONFIG]

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
OMNIROUTE=${OMNIROUTE:-$ROOT/bin/omniroute}
WORK=$(mktemp -d)
GATEWAY=

stop_gateway() {
	if [ -n "$GATEWAY" ]; then
		kill "$GATEWAY" 2>/dev/null && wait "$GATEWAY" || true
	fi
	rm -rf "$WORK"
}
trap stop_gateway EXIT

start_gateway() {
	# The compile cache is shared between runs; everything else starts empty.
	OMNIROUTE_SERVER__LISTEN=127.0.0.1:0 "$OMNIROUTE" serve --config "${1:-$ROOT/omniroute.yaml}" --data-dir "$WORK/data" >"$WORK/out" 2>"$WORK/log" &
	GATEWAY=$!
	for _ in $(seq 300); do
		URL=$(sed -n 's/^ *Base URL: *\(http[^ ]*\)\/v1$/\1/p' "$WORK/out")
		if [ -n "$URL" ] && curl -fsS -o /dev/null "$URL/readyz" 2>/dev/null; then
			return 0
		fi
		if ! kill -0 "$GATEWAY" 2>/dev/null; then
			break
		fi
		sleep 0.1
	done
	echo "the gateway did not start:" >&2
	cat "$WORK/log" >&2
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
