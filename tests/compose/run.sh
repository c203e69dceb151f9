#!/usr/bin/env bash
# Runs docker-compose.yml for real: builds the images, starts a fleet of several containers a service, sends mail through
# the published ports, and takes parts of the fleet away under load. Whatever was acknowledged must be in a mailbox at
# the end, and the ledger balanced.
#
# For root on Debian, with docker.io, docker-compose and python3; starts dockerd if none runs. Without an image registry,
# base images are made by base-images.sh, which needs debootstrap and cargo.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Ours alone: an .env that is here must not change what is tested.
export COMPOSE_PROJECT_NAME=chasqui-test COMPOSE_PROFILES=mailbox CHASQUI_VERSION="${CHASQUI_VERSION:-test}"
export PROFILE="${PROFILE:-release}" HOST_NAME=mx.chasqui.test EDGE_NETWORK=172.31.125.0/24 OTLP='' SECRETS=secrets TLS=tls
export SMTP_PORT=127.0.0.1:12525 SUBMISSION_PORT=127.0.0.1:12587 SUBMISSIONS_PORT=127.0.0.1:12465 IMAPS_PORT=127.0.0.1:12993
export PROMETHEUS_PORT=127.0.0.1:19090 SUBMISSIONS=1 RELAYS=1 DELIVERIES=1 SAMPLE=''
export DOMAIN=chasqui.test MAILBOXES='alice bob carol dave' PASSWORD='a password for tests'
# A relay that can't reach the database is pronounced dead 10 seconds after its last heartbeat, found within 15.
readonly PAST_ITS_LEASE=20

work="$(mktemp -d)"
export CERTIFICATE="$work/certificate.pem"
engine='' load='' passed=''

say() { printf '\n== %s (%s)\n' "$*" "$(date -u +%H:%M:%S)"; }
told() { echo "  $*"; }
fail() { echo "compose: $*" >&2; exit 1; }

# quietly COMMAND…: says something only if it fails.
quietly() { "$@" >"$work/said" 2>&1 || { tail -n 60 "$work/said"; fail "failed: $*"; }; }

# within SECONDS WHAT COMMAND…: tries the command until it succeeds.
within() {
  local seconds="$1" what="$2" start=$SECONDS
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $((SECONDS - start)) -lt "$seconds" ] || fail "not within $seconds s: $what"
    sleep 0.5
  done
  told "$what: after $((SECONDS - start)) s"
}

#-- the engine

start_engine() {
  if docker info >/dev/null 2>&1; then return; fi
  dockerd >"$work/dockerd.log" 2>&1 &
  engine=$!
  within 30 "dockerd answers" docker info
}

compose() {
  if docker compose version >/dev/null 2>&1; then docker compose "$@"; else docker-compose "$@"; fi
}

# The images that others make: from their registry, else made here.
get_base_images() {
  local image lacking=''
  for image in $(base_images); do
    docker image inspect "$image" >/dev/null 2>&1 || timeout 120 docker pull --quiet "$image" 2>/dev/null || lacking=1
  done
  # Stand-ins that are there may be for another Cargo.lock.
  if [ -n "$lacking" ] || docker image inspect chasqui-stand-in-rust >/dev/null 2>&1; then
    told "stand-ins for images of others"
    tests/compose/base-images.sh
  fi
}

base_images() {
  grep -ohE '(^FROM|image:) (rust|debian|postgres|haproxy|dovecot/dovecot|prom/prometheus):[^ ]+' Dockerfile docker-compose.yml |
    sed 's/.*image: //; s/^FROM //' | sort -u
}

#-- the fleet

ids() { compose ps -q "$1"; }
nth() { ids "$1" | sed -n "$2p"; }
is_healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ]; }
sql() { docker exec "$(ids postgres)" psql -U chasqui -d chasqui --no-psqlrc -qtAX -c "$1"; }
chasqui() { compose run --rm -T chasqui "$@"; }

# A relay's name in the queue is its container's host name.
node_of() { docker inspect --format '{{.Config.Hostname}}' "$1"; }
restarted() { [ "$(docker inspect --format '{{.RestartCount}}' "$1")" -gt 0 ]; }
fenced() { sql "SELECT count(*) FROM queue.incarnation WHERE node = '$(node_of "$1")' AND fenced_at IS NOT NULL"; }
is_pronounced_dead() { [ "$(fenced "$1")" = 1 ]; }
is_alive() { [ "$(sql "SELECT count(*) FROM queue.live_incarnation WHERE node = '$(node_of "$1")'")" = 1 ]; }

expect_containers() {
  [ "$(ids "$1" | wc -l)" = "$2" ] || fail "$1 has $(ids "$1" | wc -l) containers, not $2"
}

expect_as_many() {
  expect_containers relay "$RELAYS"
  expect_containers submission "$SUBMISSIONS"
  expect_containers delivery "$DELIVERIES"
}

expect_healthy() {
  local service id
  for service in postgres relay submission delivery; do
    for id in $(ids "$service"); do within 90 "$service ${id:0:12} is healthy" is_healthy "$id"; done
  done
}

# Nothing was gained by being root, and nothing could be written but mailboxes.
expect_confined() {
  local service id
  for service in relay submission delivery; do
    id="$(nth "$service" 1)"
    [ "$(docker exec "$id" id -u):$(docker exec "$id" id -g)" = 10001:10001 ] || fail "$service doesn't run as 10001"
    if docker exec "$id" touch /tmp/file 2>/dev/null; then fail "the root file system of $service can be written"; fi
    [ "$(docker exec "$id" sed -n 's/^CapEff:\t//p' /proc/1/status)" = 0000000000000000 ] || fail "$service has capabilities"
  done
  told "services run as 10001:10001, with a read-only root file system and without a capability"
}

# What is missing is said in one line.
expect_complaint() {
  local said
  if said="$(HOST_NAME='' compose config 2>&1)"; then fail "HOST_NAME isn't asked for"; fi
  [[ "$said" == *'set HOST_NAME in .env'* && "$said" != *$'\n'* ]] || fail "HOST_NAME is asked for by: $said"
  told "$said"
}

#-- mail

mail() { python3 tests/compose/mail.py "$@"; }
in_volume() {
  docker run --rm --network none --volume "${COMPOSE_PROJECT_NAME}_$1:/volume:ro" --entrypoint /bin/sh \
    "$(image_of postgres)" -c "cd /volume && $2"
}
takes_mail() { python3 -c 'import smtplib, os; h, p = os.environ["SMTP_PORT"].split(":"); smtplib.SMTP(h, int(p), timeout=2).quit()'; }
acknowledged() { wc -l <"$work/acknowledged"; }
acknowledges_more_than() { [ "$(acknowledged)" -gt "$1" ]; }
settled() { [ "$(sql 'SELECT coalesce(sum(queued), 0) || $$ $$ || coalesce(sum(abs(difference)), 0) FROM queue.balance')" = '0 0' ]; }

add_accounts() {
  local name
  quietly chasqui domain add "$DOMAIN"
  for name in $MAILBOXES; do quietly chasqui account add "$name@$DOMAIN" <<<"$PASSWORD"; done
  told "$DOMAIN has the accounts $MAILBOXES"
}

# HAProxy tells the services whose connection it passes on: our side of the network, not itself.
expect_real_address() {
  local address
  address="$(sed 's/0\/24$/1/' <<<"$EDGE_NETWORK")"
  tr -d '\n\r' <"$work/read" | grep -q "\[$address\]" || { cat "$work/read"; fail "Received says another client than $address"; }
  told "Received names the client, $address"
}

first_mail() {
  local tag
  mail first
  within 30 "both are delivered" settled
  mail read "bob@$DOMAIN" 2 >"$work/read"
  for tag in submitted received; do
    grep -q "X-Tag: $tag" "$work/read" || fail "bob's mailbox lacks the message that was $tag"
  done
  told "one submitted with TLS and AUTH, one received: both read back by IMAP"
  expect_real_address
  expect_story
}

# Anybody can ask what became of a message, also when it is gone from the queue.
expect_story() {
  chasqui trace "bob@$DOMAIN" --json >"$work/stories"
  python3 - "$work/stories" <<'PYTHON' || fail "the journal doesn't tell how two messages were delivered"
import json, sys
stories = json.load(open(sys.argv[1]))
ends = [[event["event"] for event in story["events"]][-1] for story in stories]
print("  chasqui trace: two messages,", " and ".join(ends))
sys.exit(ends != ["delivered", "delivered"])
PYTHON
}

# The doctor sees every container, and finds no fault with them or with Postgres. (It does find our domain unpublished.)
expect_no_ailment() {
  chasqui doctor --json >"$work/findings" 2>/dev/null || true
  python3 - "$work/findings" $((RELAYS + SUBMISSIONS + DELIVERIES)) <<'PYTHON' || fail "chasqui doctor finds a fault, or misses a container"
import json, sys
findings = [each for each in json.load(open(sys.argv[1])) if each["check"] in ("postgres", "clock", "schema", "fleet")]
faults = [each for each in findings if each["verdict"] == "problem"]
containers = [each for each in findings if "(telemetry)" in each["subject"] and each["verdict"] == "ok"]
print(f"  chasqui doctor: {len(findings)} findings, {len(faults)} problems, {len(containers)} containers are ready")
sys.exit(str(faults) if faults else len(containers) != int(sys.argv[2]))
PYTHON
}

begin_load() {
  # Not by way of our function: it is Python that must get the signal.
  python3 tests/compose/mail.py load "$work/acknowledged" >"$work/load" 2>&1 &
  load=$!
  within 30 "mail is acknowledged" test -s "$work/acknowledged"
}

end_load() {
  kill -TERM "$load"
  wait "$load" || { cat "$work/load"; fail "clients were refused for good"; }
  load=''
  cat "$work/load"
}

#-- faults

# under_load WHAT COMMAND…: a fault; how much was acknowledged meanwhile, and that it goes on afterwards.
under_load() {
  local what="$1" before
  shift
  say "$what"
  before="$(acknowledged)"
  "$@"
  told "acknowledged meanwhile: $(($(acknowledged) - before))"
  within 30 "mail is acknowledged" acknowledges_more_than "$(acknowledged)"
}

kill_relay() {
  local id
  id="$(nth relay 1)"
  docker kill "$id" >/dev/null
  told "killed ${id:0:12}"
  within "$PAST_ITS_LEASE" "the others pronounce it dead" is_pronounced_dead "$id"
  docker start "$id" >/dev/null
  within 90 "it is healthy again" is_healthy "$id"
}

# From Postgres and gRPC. Its clients stay: they must be refused for now, or their mail kept safe.
cut_relay_off() {
  local id network="${COMPOSE_PROJECT_NAME}_fleet"
  id="$(nth relay 2)"
  docker network disconnect "$network" "$id"
  told "cut ${id:0:12} off"
  sleep "$PAST_ITS_LEASE"
  within 1 "the others pronounce it dead" is_pronounced_dead "$id"
  docker network connect --alias relay --alias relay.fleet "$network" "$id"
  within 60 "it works under a new incarnation" is_alive "$id"
  within 90 "it is healthy" is_healthy "$id"
}

# A process that ends by itself, as one does that crashes, is started again by its policy.
crash_delivery() {
  local id
  id="$(nth delivery 1)"
  kill -KILL "$(docker inspect --format '{{.State.Pid}}' "$id")"
  within 30 "Docker has started it again" restarted "$id"
  within 90 "it is healthy again" is_healthy "$id"
}

restart_postgres() {
  docker restart --time 60 "$(ids postgres)" >/dev/null
  within 60 "it is healthy again" is_healthy "$(ids postgres)"
}

restart_all() {
  local service id
  for service in delivery relay submission; do
    for id in $(ids "$service"); do
      docker restart --time 75 "$id" >/dev/null
      within 90 "$service ${id:0:12} is healthy again" is_healthy "$id"
    done
  done
  docker restart --time 30 "$(ids haproxy)" >/dev/null
  within 30 "HAProxy passes clients on again" takes_mail
}

roll_out() {
  local service id before
  before="$(for service in delivery relay submission; do ids "$service"; done)"
  quietly deploy/compose/roll.sh
  for service in delivery relay submission; do
    for id in $(ids "$service"); do
      if grep -q "$id" <<<"$before"; then fail "$service ${id:0:12} was not replaced"; fi
    done
  done
  expect_as_many
}

expect_all_relays() {
  local id
  for id in $(ids relay); do within 30 "relay ${id:0:12} sends" is_alive "$id"; done
}

#-- the verdict

expect_nothing_lost() {
  within 120 "the queue is empty, and the ledger balanced" settled
  told "ledger: $(sql "SELECT format('accepted %s, delivered %s, queued %s, difference %s',
    sum(accepted), sum(delivered), sum(queued), sum(difference)) FROM queue.balance")"
  [ "$(sql 'SELECT sum(failed + expired + cancelled + discarded) FROM queue.balance')" = 0 ] || fail "not all was delivered"
  in_volume mail 'find . -type f "(" -path "*/new/*" -o -path "*/cur/*" ")" -exec grep -H "^X-Tag: " {} +' >"$work/mailboxes"
  mail compare "$work/acknowledged" <"$work/mailboxes"
  # Whoever has read by now shows that Dovecot, too, outlived Postgres and the `up` that scaled.
  mail read "bob@$DOMAIN" "$(grep -c " bob@" "$work/acknowledged")" >/dev/null
  told "bob reads his by IMAP"
}

expect_no_panic() {
  if compose logs --no-color 2>&1 | grep -F 'panicked at'; then fail "a service panicked"; fi
}

#-- what is told

image_of() { base_images | grep "^$1:"; }

# Prometheus' own check of its configuration and our rules.
expect_rules() {
  docker run --rm --network none --volume "$PWD/deploy/compose/observe/prometheus.yml:/etc/prometheus/prometheus.yml:ro" \
    --volume "$PWD/deploy/prometheus:/etc/prometheus/rules:ro" --entrypoint promtool "$(image_of prom/prometheus)" \
    check config /etc/prometheus/prometheus.yml | sed 's/^/  /'
}

# asked PATH EXPRESSION: what Prometheus answers, through a Python expression over `data`.
asked() {
  python3 - "http://$PROMETHEUS_PORT/api/v1/$1" "$2" <<'PYTHON'
import json, sys, urllib.request
data = json.load(urllib.request.urlopen(sys.argv[1], timeout=5))["data"]
print(eval(sys.argv[2]))
PYTHON
}
targets_up() { asked targets '" ".join(sorted(t["labels"]["job"] for t in data["activeTargets"] if t["health"] == "up"))'; }
all_targets_are_up() { [ "$(targets_up)" = 'delivery delivery haproxy relay relay relay submission submission' ]; }

rules() { asked rules 'sum(len(group["rules"]) for group in data["groups"])'; }
no_rule_fails() { [ "$(asked rules 'all(rule["health"] == "ok" for group in data["groups"] for rule in group["rules"])')" = True ]; }

# The profile `observe` as far as its images can be had: Prometheus finds every container, and can work all rules out.
expect_observed() {
  quietly compose up --detach prometheus
  within 60 "Prometheus hears every container" all_targets_are_up
  within 60 "it has worked out all $(rules) rules" no_rule_fails
}

#-- from first to last

clean_up() {
  local status=$?
  trap - EXIT INT TERM
  set +e
  [ -z "$load" ] || kill "$load" 2>/dev/null
  if [ -z "$passed" ] && docker info >/dev/null 2>&1; then
    say "what the services said last"
    compose logs --no-color --tail 40 2>&1
    compose ps
    [ ! -s "$work/load" ] || cat "$work/load"
  fi
  if [ -z "$passed" ] && [ -n "$engine" ]; then tail -n 5 "$work/dockerd.log"; fi
  say "down"
  compose down --volumes --remove-orphans >"$work/down" 2>&1 || cat "$work/down"
  if [ -n "$engine" ]; then kill "$engine"; wait "$engine"; fi
  rm -rf "$work"
  [ -n "$passed" ] && echo "compose: passed" || echo "compose: FAILED" >&2
  exit "$status"
}

main() {
  [ "$(id -u)" = 0 ] || fail "run it as root"
  trap clean_up EXIT INT TERM

  say "engine and base images"
  start_engine
  get_base_images

  say "settings and configurations"
  compose config --quiet
  COMPOSE_PROFILES=mailbox,observe compose config --quiet
  expect_complaint
  expect_rules

  say "build (profile $PROFILE)"
  quietly compose build
  docker image ls --format '  {{.Repository}}:{{.Tag}} {{.Size}}' | grep "chasqui-.*:$CHASQUI_VERSION "

  say "up"
  quietly compose up --detach
  expect_healthy
  within 30 "HAProxy passes clients on" takes_mail
  expect_confined
  in_volume tls 'cat certificate.pem' >"$CERTIFICATE"

  say "a domain, accounts and first mail"
  add_accounts
  first_mail

  # Once as an operator does it for now, and once for good.
  say "scale: three relays, two submission, two delivery"
  quietly compose up --detach --scale relay=3 --scale submission=2
  RELAYS=3 SUBMISSIONS=2 DELIVERIES=2
  quietly compose up --detach
  expect_as_many
  expect_healthy

  say "what the doctor finds"
  expect_no_ailment

  say "what Prometheus hears"
  expect_observed

  say "load"
  begin_load
  under_load "a relay is killed" kill_relay
  under_load "a relay is cut off its network past its lease" cut_relay_off
  under_load "a delivery service crashes" crash_delivery
  under_load "Postgres restarts" restart_postgres
  under_load "every service restarts, one container after the other" restart_all
  under_load "a new version is rolled out" roll_out
  expect_all_relays

  say "nothing acknowledged is lost"
  end_load
  expect_nothing_lost
  expect_no_panic
  passed=1
}

main "$@"
