#!/bin/sh
# Lets Dovecot look accounts up: a role that reads four columns and nothing else. Runs at each `up`; the password is made
# once, since a Dovecot that runs wouldn't notice another.
set -eu
umask 077

[ -s /run/mailbox/password ] || openssl rand -hex 32 >/run/mailbox/password
password="$(cat /run/mailbox/password)"
# No secret stands in a command line, which every user of the machine may read.
export PGHOST=postgres PGDATABASE=chasqui PGUSER=chasqui
PGPASSWORD="$(cat /run/secrets/database-password)"
export PGPASSWORD
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 >/dev/null <<SQL
\set password '$password'
SELECT 'CREATE ROLE mailbox LOGIN CONNECTION LIMIT 20'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mailbox') \gexec
ALTER ROLE mailbox PASSWORD :'password';
GRANT USAGE ON SCHEMA directory TO mailbox;
GRANT SELECT (domain, local_part, password_hash, disabled) ON directory.account TO mailbox;
SQL
echo "connect = host=postgres dbname=chasqui user=mailbox password=$password" >/run/mailbox/connect.conf
