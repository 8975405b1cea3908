#!/bin/sh
# Fetches Debian's etcd-server for the tests of `write_right=etcd`, and unpacks it: nothing is installed.
#
# usage: stage-etcd.sh     writes target/stage-etcd-path
set -eu
cd "$(dirname "$0")/.."

stage=/var/tmp/repmgr-oxide-$(id -u)/etcd
if [ ! -x "$stage/usr/bin/etcd" ]; then
    packages=$(mktemp -d)
    trap 'rm -rf "$packages"' EXIT
    chmod 755 "$packages"
    fetch() { (cd "$packages" && apt-get download -qq etcd-server 2>/dev/null); }
    fetch || {
        [ "$(id -u)" -eq 0 ] && apt-get update -qq && fetch
    } || {
        echo "ERROR: Debian's package etcd-server could not be fetched" >&2
        exit 1
    }
    mkdir -p "$stage"
    chmod 755 "$(dirname "$stage")" "$stage"
    for package in "$packages"/*.deb; do
        dpkg-deb -x "$package" "$stage"
    done
fi
mkdir -p target
echo "$stage" >target/stage-etcd-path
echo "$stage"
