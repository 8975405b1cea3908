#!/bin/bash
# Runs every layer of the tests and says what was skipped.
#
# REPMGR_TEST_LAYERS names the layers that must run. A layer is one of those
# below, or one that single tests name when they cannot run here (barman,
# conformance, faults, root); a skip of a named layer fails.
set -uo pipefail
cd "$(dirname "$0")/.."

export REPMGR_TEST_SKIPS=$PWD/target/skips
rm -f "$REPMGR_TEST_SKIPS"
failed=()
ran=" barman conformance faults root "

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

# Tests that work on a cluster: once for each way of reaching one. They mostly
# wait, so more of them than there are processors run at the same time.
on_a_cluster=(cluster registration clone promote_follow show daemon daemon_settings bad_days check witness)
# Tests that work on servers, whatever the way of reaching them.
on_servers=(connections switchover extension events instance unreachable mixed conformance configuration hosts matrix)
on_servers+=(node_service barman)
on_servers+=(rejoin daemon_service transports)

# Servers that hang, daemons that are disturbed or watched.
on_servers+=(weaknesses systemd)

arguments() {
    for name in "$@"; do
        if [ -e "tests/$name.rs" ] || [ -e "tests/$name/main.rs" ]; then
            printf -- '--test %s ' "$name"
        fi
    done
}

everything=$(for test in tests/*.rs tests/*/main.rs; do
    name=${test#tests/}
    name=${name%/main.rs}
    echo "${name%.rs}"
done)
special=" ${on_a_cluster[*]} ${on_servers[*]} simulation "
without_servers=$(for name in $everything; do [[ $special == *" $name "* ]] || echo "$name"; done)

cluster="cargo test -q $(arguments "${on_a_cluster[@]}") -- --test-threads=4"
cargo test -q --no-run || exit 1

layer unit cargo test -q --lib --bins $(arguments $without_servers)
layer simulation cargo test -q --test simulation
layer servers cargo test -q $(arguments "${on_servers[@]}")
layer cluster $cluster
layer unprivileged env REPMGR_TEST_FLAVOR=unprivileged $cluster
layer ipv6 env REPMGR_TEST_FLAVOR=ipv6 $cluster
layer tls env REPMGR_TEST_FLAVOR=tls $cluster

for name in ${REPMGR_TEST_LAYERS:-}; do
    [[ $ran == *" $name "* ]] || failed+=("$name (did not run)")
done
skips=0
[ -e "$REPMGR_TEST_SKIPS" ] && skips=$(wc -l <"$REPMGR_TEST_SKIPS")
printf '\nskipped: %s\n' "$skips"
[ "$skips" -gt 0 ] && sort "$REPMGR_TEST_SKIPS" | uniq -c
if [ "${#failed[@]}" -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
fi
