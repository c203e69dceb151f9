#!/usr/bin/env bash
# Replaces the containers of services by new ones, of the image and the settings that compose has now, and refuses nobody:
# the new ones start beside the old, and when they are healthy one old container after the other drains and goes.
#
#   deploy/compose/roll.sh [SERVICE...]      delivery, relay and submission, unless said
set -euo pipefail
cd "$(dirname "$0")/../.."

# As long as a container may take to become healthy, and to drain (stop_grace_period): in seconds.
readonly START=120 DRAIN=75

compose() {
  if docker compose version >/dev/null 2>&1; then docker compose "$@"; else docker-compose "$@"; fi
}

wait_until_healthy() {
  local id="$1" deadline=$((SECONDS + START))
  until [ "$(docker inspect --format '{{.State.Health.Status}}' "$id")" = healthy ]; do
    [ "$SECONDS" -lt "$deadline" ] || { echo "roll: $id isn't healthy; the old containers were left: docker logs $id" >&2; exit 1; }
    sleep 0.5
  done
}

roll() {
  local service="$1" old count id
  old="$(compose ps -q "$service")"
  count="$(wc -w <<<"$old")"
  [ "$count" -gt 0 ] || { echo "roll: $service isn't up: docker compose up --detach" >&2; exit 1; }
  compose up --detach --no-deps --no-recreate --scale "$service=$((2 * count))" "$service"
  for id in $(compose ps -q "$service"); do wait_until_healthy "$id"; done
  for id in $old; do
    docker stop --time "$DRAIN" "$id" >/dev/null
    docker rm "$id" >/dev/null
  done
  echo "roll: $service has $count new containers"
}

# What they call is replaced before those who call.
[ $# -gt 0 ] || set -- delivery relay submission
for service in "$@"; do roll "$service"; done
