#!/bin/sh
# Fills a template of this folder: deploy/nginx/render.sh TEMPLATE NAME=VALUE... >FILE
# Defaults: UPSTREAM=127.0.0.1:8080 EXEMPT=127.0.0.1 LISTEN=127.0.0.1:8081 NAME=localhost
set -eu
dir=$(cd "$(dirname "$0")" && pwd)
template=$1
shift
UPSTREAM=127.0.0.1:8080 EXEMPT=127.0.0.1 LISTEN=127.0.0.1:8081 NAME=localhost CERT='' KEY='' DIR='' USER=''
for pair in "$@"; do
    case $pair in
    UPSTREAM=* | EXEMPT=* | LISTEN=* | NAME=* | CERT=* | KEY=* | DIR=*) eval "${pair%%=*}=\${pair#*=}" ;;
    *) echo "render.sh: what is '$pair'?" >&2 && exit 2 ;;
    esac
done
[ "$(id -u)" != 0 ] || USER='user root;'
awk -v dir="$dir" '
    /^@HTTP@$/ { while ((getline line <(dir "/http.inc")) > 0) print line; next }
    /^@SERVER@$/ { while ((getline line <(dir "/server.inc")) > 0) print line; next }
    { print }' "$dir/$template" |
    sed -e "s|@UPSTREAM@|$UPSTREAM|g" -e "s|@EXEMPT@|$EXEMPT|g" -e "s|@LISTEN@|$LISTEN|g" -e "s|@NAME@|$NAME|g" \
        -e "s|@CERT@|$CERT|g" -e "s|@KEY@|$KEY|g" -e "s|@DIR@|$DIR|g" -e "s|@USER@|$USER|g"
