#!/bin/bash
# Runs every layer of the tests and says what was skipped.
#
# REPMGR_TEST_LAYERS names the layers that must run. A layer is one of those
# below, or one that single tests name when they cannot run here (barman,
# book, conformance, faults, root); a skip of a named layer fails.
#
# A test on servers that does not hold among all the others is run once more
# (together.sh); more than three unsteady ones fail.
#
# With --list: names the tests that work on a cluster.
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/together.sh

export REPMGR_TEST_SKIPS=$PWD/target/skips
again=$PWD/target/again
unsteady=$PWD/target/unsteady
rm -f "$REPMGR_TEST_SKIPS" "$unsteady"
failed=()
# Test programs at the same time, and tests of each.
at_once=3
threads=4
ran=" barman book conformance faults root "

layer() {
    local name=$1
    shift
    local start=$SECONDS
    printf '\n== %s\n' "$name"
    ran+="$name "
    if "$@"; then
        printf '== %s: passed in %s s\n' "$name" "$((SECONDS - start))"
    else
        printf '== %s: FAILED after %s s\n' "$name" "$((SECONDS - start))"
        failed+=("$name")
    fi
}

# Tests that work on a cluster: once for each way of reaching one.
on_a_cluster=(daemon daemon_settings bad_days clone check promote_follow one_host witness registration cluster show)
if [ "${1:-}" = --list ]; then
    echo "${on_a_cluster[*]}"
    exit
fi
# Tests that work on servers, whatever the way of reaching them.
# The longest first.
on_servers=(switchover conformance faults rejoin barman wild book matrix transports hosts weaknesses systemd mixed without_library unreachable detection
    guarded synchronous returning etcd connections remote spellings node_service daemon_service extension enforcement events instance configuration)

everything=$(for test in tests/*.rs tests/*/main.rs; do
    name=${test#tests/}
    name=${name%/main.rs}
    echo "${name%.rs}"
done)
special=" ${on_a_cluster[*]} ${on_servers[*]} simulation write_right "
without_servers=$(for name in $everything; do [[ $special == *" $name "* ]] || echo "$name"; done)

scripts/room.sh || exit 1
cargo test -q --no-run || exit 1
programs=$(cargo test --no-run 2>&1 | programs_of_cargo)
passed() { :; }
export -f program passed
export programs threads again

layer unit cargo test -q --lib --bins $(printf -- '--test %s ' $without_servers)
layer simulation cargo test -q --test simulation --test write_right
layer servers together "${on_servers[@]}"
layer cluster together "${on_a_cluster[@]}"
for flavor in unprivileged ipv6 tls; do
    REPMGR_TEST_FLAVOR=$flavor layer "$flavor" together "${on_a_cluster[@]}"
done

for name in ${REPMGR_TEST_LAYERS:-}; do
    [[ $ran == *" $name "* ]] || failed+=("$name (did not run)")
done
skips=0
[ -e "$REPMGR_TEST_SKIPS" ] && skips=$(wc -l <"$REPMGR_TEST_SKIPS")
printf '\nskipped: %s\n' "$skips"
[ "$skips" -gt 0 ] && sort "$REPMGR_TEST_SKIPS" | uniq -c
name_unsteady || failed+=("more than three tests are unsteady")
if [ "${#failed[@]}" -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
fi
