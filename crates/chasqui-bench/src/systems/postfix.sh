# Runs Postfix for as long as its measurement lives, which holds the writing end of our standard input: when it ends,
# however it ends, the kernel closes the pipe, and Postfix is not left behind.
#
# usage: postfix.sh FOLDER
folder=$1
timeout 60 postfix -c "$folder/config" start </dev/null >"$folder/log/start" 2>&1 || exit
echo started
cat >/dev/null
timeout 60 postfix -c "$folder/config" stop </dev/null >"$folder/log/stop" 2>&1
