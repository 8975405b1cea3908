#!/bin/sh
# Licences, sources and known weaknesses of the crates, with cargo-deny and deny.toml. What cannot be checked here is
# said and skipped; it is no failure.
#
#   ADVISORY_DB   a copy of https://github.com/rustsec/advisory-db, for hosts without a network; its folder's name is
#                 what cargo-deny would give it
set -eu
cd "$(dirname "$0")/.."

command -v cargo-deny >/dev/null || {
    echo "licences only, because cargo-deny is not installed (cargo install cargo-deny); skipped: sources, known weaknesses"
    scripts/sbom.pl | scripts/licences.pl
    exit
}
deny() { cargo deny --offline --locked check --hide-inclusion-graph "$@"; }

deny licenses bans sources
if [ -n "${ADVISORY_DB:-}" ]; then
    config=$(mktemp)
    trap 'rm -f "$config"' EXIT
    sed "s|^\[advisories\]|&\ndb-path = \"$(dirname "$ADVISORY_DB")\"|" deny.toml >"$config"
    deny --config "$config" --disable-fetch advisories
elif cargo deny --locked fetch db 2>/dev/null; then
    cargo deny --locked check --hide-inclusion-graph --disable-fetch advisories
else
    echo "skipped: known weaknesses; there is no network, and ADVISORY_DB names no copy of the database"
fi
