# Runs Postfix for as long as its test lives. The test holds the writing end of our standard input; when it ends,
# however it ends, the kernel closes the pipe, and neither Postfix nor its folder is left behind.
#
# usage: postfix.sh POSTFIX FOLDER
postfix=$1 folder=$2
timeout 60 "$postfix" -c "$folder/config" start </dev/null >"$folder/log/start" 2>&1 || exit
echo started
cat >/dev/null
timeout 60 "$postfix" -c "$folder/config" stop </dev/null >"$folder/log/stop" 2>&1
rm -rf -- "$folder"
