#!/bin/sh
# Fetches what the examples of the book need beside PostgreSQL, into a folder that the hosts on which they are run lay
# over their own /usr and /etc. Nothing is installed here.
#
# usage: stage-book.sh     writes target/stage-book-path
set -eu
cd "$(dirname "$0")/.."

packages="sudo haproxy pgbouncer iputils-arping"
stage=${REPMGR_STAGE:-/var/tmp/repmgr-oxide-$(id -u)}/book
if [ ! -e "$stage/.complete" ]; then
    new=$stage.new-$$
    trap 'rm -rf "$new"' EXIT
    mkdir -p "$new/archives/partial" "$new/tree"
    chmod 755 "$(dirname "$stage")" "$new" "$new/tree"
    fetch() {
        apt-get install -y -qq --no-install-recommends --download-only --reinstall \
            -o Debug::NoLocking=1 -o "Dir::Cache::archives=$new/archives" $packages >/dev/null 2>&1
    }
    fetch || {
        [ "$(id -u)" -eq 0 ] && apt-get update -qq && fetch
    } || {
        echo "ERROR: Debian's packages $packages could not be fetched" >&2
        exit 1
    }
    for package in "$new"/archives/*.deb; do
        dpkg-deb -x "$package" "$new/tree"
    done
    # Packages may still name /lib and /sbin, which are in /usr by now.
    for folder in bin lib sbin; do
        [ ! -d "$new/tree/$folder" ] || cp -a "$new/tree/$folder" "$new/tree/usr/"
        rm -rf "${new:?}/tree/$folder"
    done
    # As the package itself does when it is installed.
    chmod 440 "$new/tree/etc/sudoers"
    rm -rf "$new/archives"
    touch "$new/.complete"
    rm -rf "$stage"
    mv "$new" "$stage"
fi
mkdir -p target
echo "$stage/tree" >target/stage-book-path
echo "$stage/tree"
