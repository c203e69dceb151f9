#!/bin/sh
# Sets a new database up as the variables say, then becomes the server:
#   POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE   of the superuser; must be given
#   POSTGRES_USER                                 its name, default postgres
#   POSTGRES_DB                                   default that name
#   POSTGRES_INITDB_ARGS                          further arguments of initdb
set -eu

# Other programs are run as they are, and `postgres` never by root.
[ "${1:-postgres}" = postgres ] || exec "$@"
if [ "$(id -u)" = 0 ]; then
  if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
    POSTGRES_PASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")"
    export POSTGRES_PASSWORD
  fi
  install -d -o postgres -g postgres -m 0700 "$PGDATA"
  install -d -o postgres -g postgres -m 0775 /var/run/postgresql
  exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  : "${POSTGRES_PASSWORD:?is not given}"
  user="${POSTGRES_USER:-postgres}"
  password="$(mktemp)"
  printf '%s\n' "$POSTGRES_PASSWORD" >"$password"
  # shellcheck disable=SC2086 # these are several arguments
  initdb --username "$user" --pwfile "$password" --auth-local trust --auth-host scram-sha-256 ${POSTGRES_INITDB_ARGS:-}
  rm "$password"
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  # Nobody from outside meets the server before it has the database.
  pg_ctl start --wait --options "-c listen_addresses=''"
  if [ "${POSTGRES_DB:-$user}" != postgres ]; then
    createdb --username "$user" --maintenance-db postgres "${POSTGRES_DB:-$user}"
  fi
  pg_ctl stop --wait --mode fast
fi
unset POSTGRES_PASSWORD
exec "$@" -c listen_addresses='*'
