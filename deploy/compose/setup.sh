#!/bin/sh
# Makes what wasn't given: passwords in /run/secrets, and a certificate in /run/tls. Each file is made once, and
# readable for its user alone: ours is 10001, Grafana's 472.
set -eu

random() { openssl rand -hex 32; }
database_url() { echo "postgres://chasqui:$(cat /run/secrets/database-password)@postgres/chasqui"; }

# secret NAME OWNER COMMAND: keeps what the command says under this name, unless there is something already. A file
# appears whole or not at all: Postgres would never again have another password than the first.
secret() {
  [ ! -s "/run/secrets/$1" ] || return 0
  "$3" >"/run/secrets/.$1"
  chmod 0400 "/run/secrets/.$1"
  chown "$2" "/run/secrets/.$1"
  mv "/run/secrets/.$1" "/run/secrets/$1"
  echo "setup: made the secret $1"
}

secret database-password 0 random
secret database-url 10001 database_url
secret grpc-token 10001 random
secret grafana-password 472 random

cd /run/tls
if [ ! -e certificate.pem ] && [ ! -e key.pem ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$HOST_NAME" \
    -addext "subjectAltName=DNS:$HOST_NAME" -keyout key.pem -out certificate.pem 2>/dev/null
  chown 10001:10001 key.pem
  chmod 0400 key.pem
  echo "setup: made a self-signed certificate for $HOST_NAME"
fi
for file in certificate.pem key.pem; do
  setpriv --reuid 10001 --regid 10001 --clear-groups test -r "$file" ||
    { echo "setup: $file must be there, and readable for user or group 10001: chgrp 10001, chmod 640" >&2; exit 1; }
done
