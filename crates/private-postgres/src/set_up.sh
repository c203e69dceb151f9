# Makes the cluster `data` in a folder, whole or not at all: only the last step gives it its name.
#
# usage: set_up.sh FOLDER INITDB POSTGRES USER DATABASE [INITDB-OPTION…]
# Standard input has the password. Standard error comes as the lock on FOLDER, which we keep until we
# end: should our owner be killed, the next one must not begin before.
set -eu
umask 077
folder=$1 initdb=$2 postgres=$3 user=$4 database=$5
shift 5
cd -- "$folder"
exec 3>&2 >>log 2>&1
rm -rf data.new
cat >password
"$initdb" -D data.new --username="$user" --pwfile=password --auth=scram-sha-256 \
    --no-locale --encoding=UTF8 --no-instructions "$@"
# Run with nobody else there, so that no client program is needed.
echo "CREATE DATABASE $database" | "$postgres" --single -D data.new -c exit_on_error=on postgres
mv data.new data
