#!/bin/bash
# Makes the Debian packages of packaging/debian for this host's release: repmgr-oxide, and one with the library for each
# PostgreSQL whose headers are installed. Only the packages that building needs are installed; `make package`.
#
#   scripts/package.sh [FOLDER]        where the packages go (default: target/packages)
#
#   PACKAGE_VERSION   instead of the version in packaging/debian/changelog
#   PACKAGE_PROFILE   dev is built faster than release, for trying the packages out
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD
result=${1:-$top/target/packages}
work=$top/target/package

cargo_home=${CARGO_HOME:-$HOME/.cargo}
rustup_home=${RUSTUP_HOME:-$HOME/.rustup}
compatible=$(sed -n 's/.*COMPATIBLE_VERSION: &str = "\(.*\)".*/\1/p' src/lib.rs)

majors=()
for pg_config in /usr/lib/postgresql/*/bin/pg_config; do
    [ -e "$("$pg_config" --includedir-server)/postgres.h" ] || continue
    major=$(basename "$(dirname "$(dirname "$pg_config")")")
    case $major in
    13 | 14 | 15 | 16 | 17 | 18) majors+=("$major") ;;
    esac
done
[ "${#majors[@]}" -gt 0 ] || {
    echo "package.sh: no PostgreSQL headers; install postgresql-server-dev-NN" >&2
    exit 1
}

# The source, as it is now; times stay, so that what is built already is not built again.
mkdir -p "$work/source" "$result"
find "$work/source" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -T - -c | tar -x -C "$work/source"
cp -r packaging/debian "$work/source/debian"
cd "$work/source"

joined() {
    local separator=$1 format=$2 lines=() major
    for major in "${majors[@]}"; do
        # shellcheck disable=SC2059
        lines+=("$(printf "$format" "$major")")
    done
    printf '%s' "${lines[0]}"
    [ "${#lines[@]}" -lt 2 ] || printf "$separator%s" "${lines[@]:1}"
}
{
    sed -e "s/@SERVER_DEV@/$(joined ',\\n' ' postgresql-server-dev-%s'),/" \
        -e "s/@LIBRARIES@/$(joined ' |\\n' ' postgresql-%s-repmgr-oxide'),/" debian/control.in
    for major in "${majors[@]}"; do
        sed "s/@MAJOR@/$major/g" debian/control.major.in
    done
} | sed "s/@COMPATIBLE@/$compatible/" >debian/control
rm debian/control.in debian/control.major.in
version=$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
if [ "${PACKAGE_VERSION:-$version}" != "$version" ]; then
    {
        sed -e "1,/^ --/ s/^repmgr-oxide (.*)/repmgr-oxide ($PACKAGE_VERSION)/" \
            -e "1,/^ --/ s/^\( -- .*>  \).*/\1$(date -R)/" -e '/^ --/q' debian/changelog
        echo
        cat debian/changelog
    } >debian/changelog.new
    mv debian/changelog.new debian/changelog
fi

# What cargo needs of the user's home, which debhelper hides. Debian's flags for C make another build of it than without.
CARGO_HOME=$cargo_home RUSTUP_HOME=$rustup_home CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$work/cargo} \
    dpkg-buildpackage --build=binary --no-sign --jobs=1 >"$work/build.log" 2>&1 || {
    tail -n 40 "$work/build.log" >&2
    echo "package.sh: failed; all of it is in $work/build.log" >&2
    exit 1
}
rm -f "$result"/*.deb "$result"/*.changes "$result"/*.buildinfo
mv "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo "$result/"
ls "$result"/*.deb
