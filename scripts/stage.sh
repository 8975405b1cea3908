#!/bin/sh
# Makes a PostgreSQL installation of its own for demo and tests: a copy of the
# system's, with this project's library and extension added, in a folder that
# an ordinary user can reach. PostgreSQL finds its files relative to its
# programs, so the copy is complete in itself and the system's stays untouched.
#
# usage: stage.sh      prints the folder, which is also written to target/stage-path
set -eu
cd "$(dirname "$0")/.."

pg_config=${PG_CONFIG:-}
if [ -z "$pg_config" ]; then
    major=$(ls /usr/lib/postgresql | sort -n | tail -n 1)
    pg_config=/usr/lib/postgresql/$major/bin/pg_config
fi
bindir=$("$pg_config" --bindir)
major=$(basename "$(dirname "$bindir")")
sharedir=$("$pg_config" --sharedir)
sum=$(pwd | cksum | cut -d ' ' -f 1)
stage=${REPMGR_STAGE:-/var/tmp/repmgr-oxide-$(id -u)/$sum-$major}

if [ ! -x "$stage$bindir/postgres" ]; then
    mkdir -p "$stage$(dirname "$bindir")" "$stage$(dirname "$sharedir")" "$stage/usr/bin"
    chmod 755 "$(dirname "$stage")" "$stage"
    cp -a "$(dirname "$bindir")" "$stage$(dirname "$(dirname "$bindir")")/"
    cp -a "$sharedir" "$stage$(dirname "$sharedir")/"
fi
# By this it is known when nobody needs it any more (room.sh).
pwd >"$stage/checkout"
mkdir -p target
echo "$stage" >target/stage-path
echo "$stage"
