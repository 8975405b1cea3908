#!/bin/bash
# Runs every layer of the tests and says what was skipped.
#
# REPMGR_TEST_LAYERS names the layers that must run. A layer is one of those
# below, or one that single tests name when they cannot run here (barman,
# book, conformance, faults, root); a skip of a named layer fails.
#
# A test on servers that does not hold among all the others is run once more,
# by itself. If it holds then it is unsteady: named at the end, for somebody to
# mend the test or what it tests; more than three unsteady ones fail.
#
# With --list: names the tests that work on a cluster.
set -uo pipefail
cd "$(dirname "$0")/.."

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
    connections remote spellings node_service daemon_service extension enforcement events instance configuration)

everything=$(for test in tests/*.rs tests/*/main.rs; do
    name=${test#tests/}
    name=${name%/main.rs}
    echo "${name%.rs}"
done)
special=" ${on_a_cluster[*]} ${on_servers[*]} simulation "
without_servers=$(for name in $everything; do [[ $special == *" $name "* ]] || echo "$name"; done)

cargo test -q --no-run || exit 1
programs=$(cargo test --no-run 2>&1 | sed -n 's/^ *Executable \(.*\) (\(.*\))$/\1 \2/p')

# Runs one test program; what it says comes in one piece, when it has ended.
program() {
    local file
    file=$(awk -v name="$1" '$1 == "tests/" name ".rs" || $1 == "tests/" name "/main.rs" { print $2 }' <<<"$programs")
    local start=$SECONDS said result=0
    said=$("$file" -q --test-threads="$threads" "${@:2}" 2>&1) || result=1
    printf '\n-- %s: %s s\n%s\n' "$*" "$((SECONDS - start))" "$said"
    # The names are between the last "failures:" and the result; a program that was killed names none.
    [ "$result" = 0 ] || awk -v program="$1" '
        $0 == "failures:" { delete names; n = 0 }
        /^    [^ ]+$/ { names[++n] = $1 }
        END { if (!n) print program, "-"; for (i = 1; i <= n; i++) print program, names[i] }' <<<"$said" >>"$again"
    return $result
}
export -f program
export programs threads again

# Tests that work on servers mostly wait, so more of them than there are processors run at the same time.
together() {
    rm -f "$again"
    printf '%s\n' "$@" | xargs -P "$at_once" -I '{}' bash -c 'program {}' && return
    local failures name test result=0
    mapfile -t failures <"$again"
    for failure in "${failures[@]}"; do
        read -r name test <<<"$failure"
        if [ "$test" != - ] && program "$name" --exact "$test"; then
            echo "${REPMGR_TEST_FLAVOR:+$REPMGR_TEST_FLAVOR }$name $test" >>"$unsteady"
        else
            result=1
        fi
    done
    return $result
}

layer unit cargo test -q --lib --bins $(printf -- '--test %s ' $without_servers)
layer simulation cargo test -q --test simulation
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
if [ -e "$unsteady" ]; then
    printf 'unsteady: held only when run again by itself: %s\n' "$(wc -l <"$unsteady")"
    cat "$unsteady"
    [ "$(wc -l <"$unsteady")" -le 3 ] || failed+=("more than three tests are unsteady")
fi
if [ "${#failed[@]}" -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
fi
