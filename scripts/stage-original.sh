#!/bin/sh
# Stages the original beside ours, for the conformance tests and benchmarks: a
# second copy of PostgreSQL with Debian's package of the original unpacked into
# it. The package is not installed; it is observed as a black box.
#
# usage: stage-original.sh     writes target/stage-original-path
set -eu
cd "$(dirname "$0")/.."

ours=$(cat target/stage-path)
major=$(ls "$ours/usr/lib/postgresql" | sort -n | tail -n 1)
stage=$ours-original

if [ ! -x "$stage/usr/lib/postgresql/$major/bin/repmgr" ]; then
    packages=$(mktemp -d)
    trap 'rm -rf "$packages"' EXIT
    chmod 755 "$packages"
    fetch() { (cd "$packages" && apt-get download -qq "postgresql-$major-repmgr" repmgr-common 2>/dev/null); }
    fetch || {
        [ "$(id -u)" -eq 0 ] && apt-get update -qq && fetch
    } || {
        echo "ERROR: Debian's package postgresql-$major-repmgr could not be fetched" >&2
        exit 1
    }
    REPMGR_STAGE=$stage scripts/stage.sh >/dev/null
    echo "$ours" >target/stage-path
    rm -f "$stage/usr/share/postgresql/$major/extension"/repmgr* "$stage/usr/lib/postgresql/$major/lib/repmgr.so"
    for package in "$packages"/*.deb; do
        dpkg-deb -x "$package" "$stage"
    done
fi
echo "$stage" >target/stage-original-path
echo "$stage"
