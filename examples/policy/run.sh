#!/usr/bin/env bash
# How do I change where requests go? Edit a rule; the next request obeys it.
set -euo pipefail
source "$(dirname "$0")/../gateway.sh"
CONFIG=$WORK/omniroute.yaml
cp "$(dirname "$0")/omniroute.yaml" "$CONFIG"

echo "-- before anything runs"
"$OMNIROUTE" policy check --config "$CONFIG" | expect ok
"$OMNIROUTE" policy test --config "$CONFIG" | expect '2 passed, 0 failed'

start_gateway "$CONFIG"
served() { # which target answered MESSAGE
	curl -fsS -D "$WORK/head" -o /dev/null "$URL/v1/chat/completions" -H 'Content-Type: application/json' \
		-d "{\"model\": \"helper\", \"messages\": [{\"role\": \"user\", \"content\": \"$1\"}]}"
	ID=$(sed -n 's/^x-request-id: *\([^ \r]*\).*/\1/Ip' "$WORK/head")
	until_true "$OMNIROUTE" explain "$ID" --config "$CONFIG" --data-dir "$DATA"
	"$OMNIROUTE" explain "$ID" --config "$CONFIG" --data-dir "$DATA" | sed -n 's/^served by *//p'
}

echo "-- the rule decides"
served "good morning" | expect demo/echo
served "tell me a story" | expect demo/lorem

echo "-- and why"
"$OMNIROUTE" requests --config "$CONFIG" --data-dir "$DATA" --limit 1 --json | sed -n 's/^ *"id": "\([^"]*\)".*/\1/p' |
	head -1 | xargs -I{} "$OMNIROUTE" explain {} --config "$CONFIG" --data-dir "$DATA" | expect stories-to-lorem

echo "-- a refusal"
curl -sS "$URL/v1/chat/completions" -H 'Content-Type: application/json' \
	-d '{"model": "helper", "messages": [{"role": "user", "content": "the password please"}]}' | expect 'Ask me anything but that'

echo "-- edited while running"
sed -i 's/demo\/lorem" ? 0 : 1/demo\/echo" ? 0 : 1/' "$CONFIG"
moved() { [ "$(served "tell me a story")" = demo/echo ]; }
until_true moved
served "tell me a story" | expect demo/echo

echo "-- a bad edit changes nothing"
sed -i 's/req.last_user_text contains/req.lst_user_text contains/' "$CONFIG"
{ "$OMNIROUTE" check --config "$CONFIG" 2>&1 || true; } | expect 'lst_user_text'
served "tell me a story" | expect demo/echo
