#!/bin/sh
# Lets Dovecot look accounts up: a role that reads four columns and nothing else. Runs at each `up`, and gives the role a
# new password each time, which nobody but Dovecot ever sees.
set -eu

password="$(openssl rand -hex 32)"
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --set "password=$password" \
  "$(cat /run/secrets/database-url)" >/dev/null <<'SQL'
SELECT 'CREATE ROLE mailbox LOGIN CONNECTION LIMIT 20'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mailbox') \gexec
ALTER ROLE mailbox PASSWORD :'password';
GRANT USAGE ON SCHEMA directory TO mailbox;
GRANT SELECT (domain, local_part, password_hash, disabled) ON directory.account TO mailbox;
SQL

umask 077
echo "connect = host=postgres dbname=chasqui user=mailbox password=$password" >/run/mailbox/connect.conf
