#!/bin/bash
# Builds the server library against each PostgreSQL major that a Debian release has, and runs tests/extension there: each in a
# minimal Debian of that release, in a scratch folder of its own. Needs root, debootstrap and a Debian mirror; nothing of
# the running system is changed.
#
#   extension/test-versions.sh [MAJOR…]        default: 13 15 17 18
#
#   VERSIONS_FOLDER   where the releases are kept for the next time (default /var/tmp/repmgr-oxide-versions)
#   DEBIAN_MIRROR     default: the one of debootstrap
#
# No Debian release has 14 or 16: for those the source is checked against the bindings that pgrx brings along.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
folder=${VERSIONS_FOLDER:-/var/tmp/repmgr-oxide-versions}
mirror=${DEBIAN_MIRROR:-}
cargo_home=${CARGO_HOME:-$HOME/.cargo}
toolchain=$(rustc --print sysroot)

[ "$(id -u)" = 0 ] || { echo "test-versions.sh: only root can make and enter a Debian of another release" >&2; exit 1; }

suite_of() {
    case $1 in
    13) echo bullseye ;;
    15) echo bookworm ;;
    17) echo trixie ;;
    18) echo forky ;;
    *) echo "test-versions.sh: no Debian release has PostgreSQL $1" >&2; return 1 ;;
    esac
}

# A minimal Debian with the server, its headers and what building needs.
make_root() {
    local major=$1 root=$2 suite=$3
    [ ! -e "$root/.complete" ] || return 0
    rm -rf "$root"
    mkdir -p "$root"
    local script=$suite
    [ -e "/usr/share/debootstrap/scripts/$suite" ] || script=sid
    debootstrap --variant=minbase "$suite" "$root" "$mirror" "$script" >"$folder/$major.log" 2>&1
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    # No cluster is to be made or started by the package.
    mkdir -p "$root/etc/postgresql-common"
    echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    in_root "$root" "
        export DEBIAN_FRONTEND=noninteractive
        apt-get -o Acquire::Check-Valid-Until=false update -qq
        apt-get install -y -qq --no-install-recommends postgresql-$major postgresql-server-dev-$major \
            gcc libc6-dev libclang-dev clang make pkg-config libssl-dev openssl binutils procps ca-certificates
    " >>"$folder/$major.log" 2>&1
    touch "$root/.complete"
}

# Runs a command in a release; its mounts vanish with it.
in_root() {
    local root=$1
    shift
    unshare --mount --pid --fork bash -euc '
        root=$1
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mkdir -p "$root/cargo" "$root/toolchain"
        mount --bind "$2" "$root/cargo"
        mount --bind "$3" "$root/toolchain"
        exec chroot "$root" env -i PATH=/toolchain/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
            CARGO_HOME=/cargo CARGO_NET_OFFLINE=true bash -euc "$4"
    ' - "$root" "$cargo_home" "$toolchain" "$1"
}

# The source as it is now, without what was built from it.
copy_source() {
    mkdir -p "$1"
    find "$1" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
    (cd "$top" && git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -T - -c) |
        tar -x -C "$1"
}

test_major() {
    local major=$1 suite root
    suite=$(suite_of "$major")
    root=$folder/$major-$suite
    make_root "$major" "$root" "$suite" || { tail -n 20 "$folder/$major.log"; return 1; }
    copy_source "$root/src"
    in_root "$root" "
        cd /src
        export PG_CONFIG=/usr/lib/postgresql/$major/bin/pg_config
        \$PG_CONFIG --version
        scripts/stage.sh >/dev/null
        make --no-print-directory -s -C extension install DESTDIR=\$(cat target/stage-path) PROFILE=dev >/dev/null
        cargo test -q --test extension
    "
}

# pgrx-pg-sys carries bindings for its own documentation; a copy of it is made to use them instead of the server's headers.
check_major() {
    local major=$1 copy=$folder/check pgrx
    pgrx=$(cargo metadata --format-version 1 --locked --manifest-path "$top/extension/Cargo.toml" --features "pg$major" |
        grep -o '"manifest_path":"[^"]*/pgrx-pg-sys-[^"]*/Cargo.toml"' | cut -d '"' -f 4 | head -n 1)
    copy_source "$copy"
    cp -r "$(dirname "$pgrx")" "$copy/pgrx-pg-sys"
    sed -i 's/not(docsrs)/any()/; s/docsrs/all()/' "$copy/pgrx-pg-sys/src/include.rs"
    printf '\n[patch.crates-io]\npgrx-pg-sys = { path = "pgrx-pg-sys" }\n' >>"$copy/Cargo.toml"
    (cd "$copy" && DOCS_RS=1 RUSTFLAGS="--cap-lints allow" cargo check -q --manifest-path extension/Cargo.toml --features "pg$major")
}

mkdir -p "$folder"
cd "$top"
cargo fetch --locked --quiet
failed=()
majors=("$@")
[ $# -gt 0 ] || majors=(13 15 17 18)
for major in "${majors[@]}"; do
    echo "== PostgreSQL $major in Debian $(suite_of "$major")"
    test_major "$major" || failed+=("$major")
done
if [ $# -eq 0 ]; then
    for major in 14 16; do
        echo "== PostgreSQL $major, checked against pgrx's bindings only"
        check_major "$major" || failed+=("$major")
    done
fi
if [ ${#failed[@]} -gt 0 ]; then
    echo "FAILED: ${failed[*]}"
    exit 1
fi
echo "passed"
