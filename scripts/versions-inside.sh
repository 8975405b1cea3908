#!/bin/bash
# The steps that versions.sh takes inside of a release, where the source lies at the same place.
#
#   versions-inside.sh packages PACKAGE…          installs them
#   versions-inside.sh stage MAJOR                builds the server library; stages it, and the original if there is one
#   versions-inside.sh libraries FOLDER           prints the libraries that a PostgreSQL loads
#   versions-inside.sh programs                   whether what was built outside runs here
#   versions-inside.sh build TEST…                builds test programs here; their names and files in /programs
#   versions-inside.sh run MAJOR STATE TEST…      runs test programs; /results/TEST has the state when it passed, and
#                                                 /results/unsteady what held only by itself
set -euo pipefail
cd "$(dirname "$0")/.."

. scripts/together.sh

passed() { echo "$state" >"/results/$1"; }

main() {
    local step=$1
    shift
    case $step in
    packages)
        apt-get -o Acquire::Check-Valid-Until=false update -qq
        apt-get install -y -qq --no-install-recommends "$@"
        ;;
    stage)
        export PG_CONFIG=/usr/lib/postgresql/$1/bin/pg_config CARGO_TARGET_DIR=/target
        make --no-print-directory -s -C extension install DESTDIR="$(scripts/stage.sh)" PROFILE=dev
        if scripts/stage-original.sh; then
            # What it needs; itself it stays unpacked beside.
            apt-get install -y -qq --no-install-recommends $(apt-cache depends "postgresql-$1-repmgr" |
                awk '$1 == "Depends:" && $2 !~ /repmgr|</ { print $2 }')
        fi
        ;;
    libraries)
        ldd "$1"/bin/* "$1"/lib/*.so 2>/dev/null | awk '$2 == "=>" && $3 ~ "^/" { print $3 }' | sort -u
        ;;
    programs)
        target/debug/repmgr --version
        ;;
    build)
        export CARGO_TARGET_DIR=/target
        cargo test --no-run ${@/#/--test } 2>&1 | tee /dev/stderr | programs_of_cargo >/programs
        ;;
    run)
        export PG_CONFIG=/usr/lib/postgresql/$1/bin/pg_config state=$2
        export REPMGR_TEST_SKIPS=/results/skips REPMGR_TEST_LAYERS='faults root'
        rm -f "$REPMGR_TEST_SKIPS"
        shift 2
        [ ! -e /older/stage ] || export REPMGR_OLDER_STAGE=/older/stage
        stage=$(scripts/stage.sh)
        # Not the one of outside.
        rm -f target/stage-original-path
        [ ! -e "$stage-original" ] || scripts/stage-original.sh >/dev/null
        export programs at_once=3 threads=4 again=/results/again unsteady=/results/unsteady
        programs=$(cat /programs)
        export -f program passed
        rm -f "$unsteady"
        together "$@"
        ;;
    esac
}

main "$@"; exit
