#!/bin/sh
# Makes room for the tests' servers: removes what runs before this one have left under /tmp and /var/tmp, and fails, with a
# sentence, where too little is left. A server that finds its disk full fails in ways that name anything but that.
#
# What belongs to a test that runs, or is younger than an hour (somebody may want to read it), stays.
set -eu
cd "$(dirname "$0")/.."

needed=4096
mkdir -p target

for folder in $(find /tmp -maxdepth 1 -name 'repmgr-oxide-*-[0-9]*-[0-9]*' -mmin +60 2>/dev/null); do
    pid=${folder%-*}
    pid=${pid##*-}
    kill -0 "$pid" 2>/dev/null && continue
    # A test may have mounted a small disk there.
    awk -v below="$folder/" 'index($2, below) == 1 { print $2 }' /proc/mounts | xargs -r umount -l 2>/dev/null || true
    rm -rf "$folder" 2>/dev/null || true
done

# Staged installations of checkouts that are gone.
stages=/var/tmp/repmgr-oxide-$(id -u)
for checkout in "$stages"/*/checkout; do
    [ -e "$checkout" ] && ! [ -d "$(cat "$checkout")" ] || continue
    rm -rf "${checkout%/checkout}"*
done

for place in /tmp /var/tmp target; do
    left=$(df -Pm "$place" | awk 'NR == 2 { print $4 }')
    if [ "$left" -lt "$needed" ]; then
        echo "ERROR: $left MB are left for $place, and the tests need $needed" >&2
        exit 1
    fi
done
