#!/bin/bash
# Runs every layer of the tests and says what was skipped.
# REPMGR_TEST_LAYERS names the layers that must run; a skip of one of them fails.
set -uo pipefail
cd "$(dirname "$0")/.."

export REPMGR_TEST_SKIPS=$PWD/target/skips
rm -f "$REPMGR_TEST_SKIPS"
failed=()

run() {
    local title=$1
    shift
    local start=$SECONDS
    printf '\n== %s\n' "$title"
    if "$@"; then
        printf '== %s: passed in %s s\n' "$title" "$((SECONDS - start))"
    else
        printf '== %s: FAILED after %s s\n' "$title" "$((SECONDS - start))"
        failed+=("$title")
    fi
}

# Tests that work on a cluster; they run once for each way of reaching one.
flavoured=(cluster registration clone promote_follow daemon show)
arguments=()
for name in "${flavoured[@]}"; do
    [ -e "tests/$name.rs" ] && arguments+=(--test "$name")
done

run "everything, plain" cargo test -q
run "role without superuser" env REPMGR_TEST_FLAVOR=unprivileged cargo test -q "${arguments[@]}"
run "IPv6" env REPMGR_TEST_FLAVOR=ipv6 cargo test -q "${arguments[@]}"
run "SCRAM over verify-full TLS" env REPMGR_TEST_FLAVOR=tls cargo test -q "${arguments[@]}"

skips=0
[ -e "$REPMGR_TEST_SKIPS" ] && skips=$(wc -l <"$REPMGR_TEST_SKIPS")
printf '\nskipped: %s\n' "$skips"
[ "$skips" -gt 0 ] && cat "$REPMGR_TEST_SKIPS"
if [ "${#failed[@]}" -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
fi
