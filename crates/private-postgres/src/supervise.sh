# Runs Postgres for as long as its owner lives.
#
# The owner holds the writing end of our standard input. It writes `stop` for a clean shutdown; when
# it goes without a word, even by kill -9, the kernel closes the pipe, and Postgres ends at once
# (which loses nothing that was committed).
#
# usage: supervise.sh FOLDER LITTER PORT COMMAND…; prints the process id of COMMAND
# LITTER is a folder to remove when the owner has gone, or empty.
umask 077
folder=$1 litter=$2 port=$3
shift 3
cd -- "$folder" || exit
echo "$port" >port
exec 3<&0 </dev/null 2>>log

"$@" 3<&- >&2 &
postgres=$!
echo "$postgres"
exec >&-

(
    read -r order <&3
    trap '' TERM
    case $order in
    stop) kill -INT "$postgres" ;;
    *)
        kill -QUIT "$postgres"
        exit 1
        ;;
    esac
) &
watch=$!

wait "$postgres"
status=$?
# Postgres may have ended by itself; a watch that has had its order is past being killed.
kill "$watch" 2>/dev/null
wait "$watch"
if [ $? -eq 1 ] && [ -n "$litter" ]; then
    cd /
    rm -rf -- "$litter"
fi
exit "$status"
