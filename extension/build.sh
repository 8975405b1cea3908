#!/bin/sh
# Runs cargo on the server library for one PostgreSQL major.
#
#   [PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config] extension/build.sh [build|check|clippy|…] [cargo's options]
#
# PG_CONFIG decides for which PostgreSQL (default: the pg_config in $PATH). Needs the server's headers
# (postgresql-server-dev-NN) and libclang. Each major has a target folder of its own, because the library's file name is
# the same for all: target/extension-pgNN/{debug,release}/librepmgr_extension.so
set -eu

here=$(cd "$(dirname "$0")" && pwd)
pg_config=$(command -v "${PG_CONFIG:-pg_config}") || {
    echo "build.sh: no pg_config: set PG_CONFIG to the path of your PostgreSQL's" >&2
    exit 1
}
version=$("$pg_config" --version) # "PostgreSQL 15.4 (Debian …)", "PostgreSQL 18beta1"
major=$(printf '%s\n' "$version" | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
case $major in
13 | 14 | 15 | 16 | 17 | 18) ;;
*)
    echo "build.sh: $version is not supported: the library is for PostgreSQL 13 to 18" >&2
    exit 1
    ;;
esac

command=${1:-build}
[ $# -eq 0 ] || shift

export PGRX_PG_CONFIG_PATH="$pg_config"
unset PGRX_PG_CONFIG_AS_ENV
exec cargo "$command" --manifest-path "$here/Cargo.toml" --features "pg$major" \
    --target-dir "${CARGO_TARGET_DIR:-$here/../target}/extension-pg$major" "$@"
