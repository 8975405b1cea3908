#!/bin/bash
# The steps that versions.sh takes inside of a release, where the source lies at the same place.
#
#   versions-inside.sh packages PACKAGE…          installs them
#   versions-inside.sh stage MAJOR                builds the server library; stages it, and the original if there is one
#   versions-inside.sh libraries FOLDER           prints the libraries that a PostgreSQL loads
#   versions-inside.sh programs                   whether what was built outside runs here
#   versions-inside.sh build TEST…                builds test programs here; their names and files in /programs
#   versions-inside.sh run MAJOR STATE TEST…      runs test programs; /results/TEST has the state when it passed
set -euo pipefail
cd "$(dirname "$0")/.."
step=$1
shift

program() {
    local file start=$SECONDS said
    file=$(awk -v name="$1" '$1 == name { print $2 }' /programs)
    if said=$("$file" -q --test-threads=4 2>&1); then
        echo "$state" >"/results/$1"
        said=$(grep -h '^test result\|^SKIPPED' <<<"$said")
    fi
    printf -- '-- %s: %s s\n%s\n' "$1" "$((SECONDS - start))" "$said"
}

case $step in
packages)
    apt-get -o Acquire::Check-Valid-Until=false update -qq
    apt-get install -y -qq --no-install-recommends "$@"
    ;;
stage)
    export PG_CONFIG=/usr/lib/postgresql/$1/bin/pg_config CARGO_TARGET_DIR=/target
    make --no-print-directory -s -C extension install DESTDIR="$(scripts/stage.sh)" PROFILE=dev
    scripts/stage-original.sh || true
    ;;
libraries)
    ldd "$1"/bin/* "$1"/lib/*.so 2>/dev/null | awk '$2 == "=>" && $3 ~ "^/" { print $3 }' | sort -u
    ;;
programs)
    target/debug/repmgr --version
    ;;
build)
    export CARGO_TARGET_DIR=/target
    cargo test -q --no-run ${@/#/--test }
    cargo test --no-run ${@/#/--test } 2>&1 | scripts/versions.sh --programs >/programs
    ;;
run)
    export PG_CONFIG=/usr/lib/postgresql/$1/bin/pg_config REPMGR_TEST_SKIPS=/results/skips state=$2
    shift 2
    [ ! -e /older/stage ] || export REPMGR_OLDER_STAGE=/older/stage
    stage=$(scripts/stage.sh)
    [ ! -e "$stage-original" ] || scripts/stage-original.sh
    export -f program
    printf '%s\n' "$@" | xargs -P 3 -I '{}' bash -c 'program {}'
    ;;
esac
