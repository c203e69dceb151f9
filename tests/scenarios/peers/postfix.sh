# Runs Postfix for as long as its test lives. The test holds the writing end of our standard input; when it ends,
# however it ends, the kernel closes the pipe.
#
# usage: postfix.sh POSTFIX FOLDER
postfix=$1 folder=$2
"$postfix" -c "$folder" start </dev/null >"$folder/start" 2>&1 || exit
echo started
cat >/dev/null
"$postfix" -c "$folder" stop </dev/null >"$folder/stop" 2>&1
