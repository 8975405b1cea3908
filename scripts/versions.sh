#!/bin/bash
# The cluster tests with each PostgreSQL major, each in a Debian or Ubuntu release that carries it, with the original of
# that release. Needs root, debootstrap and a mirror; nothing of the running system is changed. `make versions`.
#
#   scripts/versions.sh [MAJOR…]        default: 13 15 17 18; it knows 14 and 16, too
#
#   VERSIONS_FOLDER   where the releases are kept for the next time (default /var/tmp/repmgr-oxide-versions)
#   VERSIONS_FRESH    1: what passed with the same state of the source is run again
#   VERSIONS_TESTS    names of test programs, instead of all
#   VERSIONS_CLEAN    1: a release that passed is deleted
#
# A test program that passed is skipped until the source changes, so an interrupted run goes on where it was; a test that
# failed among the others is run once more by itself (together.sh). Each release takes a quarter of an hour on two
# processors that have nothing else to do, the first time ten minutes more.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/together.sh"
folder=${VERSIONS_FOLDER:-/var/tmp/repmgr-oxide-versions}
cargo_home=${CARGO_HOME:-$HOME/.cargo}
toolchain=$(rustc --print sysroot)

[ "$(id -u)" = 0 ] || { echo "versions.sh: only root can make and enter another release" >&2; exit 1; }
command -v debootstrap >/dev/null || apt-get install -y -qq debootstrap >/dev/null

# Tests on servers whose outcome may depend on the version of PostgreSQL. The others are about hosts, networks and SSH.
on_servers="switchover conformance rejoin mixed without_library unreachable connections node_service daemon_service
    extension enforcement guarded returning synchronous events instance"

suite_of() {
    case $1 in
    13) echo bullseye ;;
    14) echo jammy ;;
    15) echo bookworm ;;
    16) echo noble ;;
    17) echo trixie ;;
    18) echo forky ;;
    *) echo "versions.sh: no release that it knows has PostgreSQL $1" >&2; return 1 ;;
    esac
}

# Runs a step of versions-inside.sh in a release, with processes and mounts of its own, which vanish with it. The source
# lies where it lies here, below a layer that takes what is written into it. The network is the host's, or none ("own").
in_root() {
    local root=$1 network=$2 options=(--mount --pid --fork --kill-child --uts --ipc)
    shift 2
    [ "$network" != own ] || options+=(--net)
    unshare "${options[@]}" bash -euc '
        root=$1 network=$2 top=$3 cargo_home=$4 toolchain=$5
        shift 5
        # A mount point, as namespaces within it need.
        mount --rbind "$root" "$root"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
        mkdir -p "$root/cargo" "$root/toolchain" "$root$top"
        mount --bind "$cargo_home" "$root/cargo"
        mount --bind "$toolchain" "$root/toolchain"
        mount -t tmpfs -o mode=755 tmpfs "$root/mnt"
        mkdir "$root/mnt/upper" "$root/mnt/work"
        mount -t overlay -o "lowerdir=$top,upperdir=$root/mnt/upper,workdir=$root/mnt/work" overlay "$root$top"
        [ "$network" != own ] || ip link set lo up
        hostname versions
        exec chroot "$root" env -i PATH=/toolchain/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
            TERM=dumb DEBIAN_FRONTEND=noninteractive CARGO_HOME=/cargo CARGO_NET_OFFLINE=true CARGO_BUILD_JOBS="${CARGO_BUILD_JOBS:-$(nproc)}" \
            "$top/scripts/versions-inside.sh" "$@"
    ' - "$root" "$network" "$top" "$cargo_home" "$toolchain" "$@" </dev/null
}

# A release as debootstrap makes it.
make_bare() {
    local suite=$1 root=$2 script=$1 options=(--variant=minbase) mirror=${DEBIAN_MIRROR:-}
    case $suite in
    jammy | noble)
        script=jammy
        mirror=${UBUNTU_MIRROR:-http://archive.ubuntu.com/ubuntu}
        [ -e /usr/share/keyrings/ubuntu-archive-keyring.gpg ] || apt-get install -y -qq ubuntu-keyring
        options+=(--components=main,universe --keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg)
        ;;
    esac
    [ -e "/usr/share/debootstrap/scripts/$script" ] || script=sid
    rm -rf --one-file-system "$root"
    mkdir -p "$root"
    debootstrap "${options[@]}" "$suite" "$root" "$mirror" "$script"
    touch "$root/.bare"
}

# With the server, its headers, and what building and the tests need.
add_packages() {
    local root=$1 major=$2
    local packages="postgresql-$major postgresql-server-dev-$major gcc libc6-dev libclang-dev clang make pkg-config \
libssl-dev openssl binutils procps ca-certificates iproute2 nftables openssh-client openssh-server e2fsprogs libfaketime"
    [ "$(cat "$root/.complete" 2>/dev/null)" != "$packages" ] || return 0
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    # No cluster is to be made or started by the package.
    mkdir -p "$root/etc/postgresql-common"
    echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    in_root "$root" host packages $packages
    echo "$packages" >"$root/.complete"
}

# The installation of the major version before this one, for pg_upgrade, with the libraries that only its release has.
add_older() {
    local root=$1 major=$2 before found library
    rm -rf --one-file-system "$root/older"
    for ((before = major - 1; before >= 13; before--)); do
        found=$(cd "$folder" && ls -d "$before"-*/var/tmp/repmgr-oxide-0/*-"$before" 2>/dev/null | head -n 1 || true)
        [ -n "$found" ] && [ -e "$folder/${found%%/*}/.staged" ] || continue
        mkdir -p "$root/older/lib"
        cp -a "$folder/$found" "$root/older/stage"
        for library in $(in_root "$folder/${found%%/*}" host libraries "/${found#*/}/usr/lib/postgresql/$before"); do
            [ -e "$root$library" ] || cp -L "$folder/${found%%/*}$library" "$root/older/lib"
        done
        echo /older/lib >"$root/etc/ld.so.conf.d/older.conf"
        chroot "$root" ldconfig
        return
    done
}

# All that precedes the tests. What was built here runs there, unless its libraries are older.
prepare() {
    local major=$1 suite=$2 root=$3
    [ -e "$root/.bare" ] || make_bare "$suite" "$root"
    add_packages "$root" "$major"
    in_root "$root" host stage "$major"
    touch "$root/.staged"
    add_older "$root" "$major"
    if in_root "$root" host programs; then
        cp "$folder/programs" "$root/programs"
    else
        in_root "$root" host build "${tests[@]}"
    fi
    rm -rf --one-file-system "$root"/tmp/repmgr-oxide-*
    mkdir -p "$root/results"
}

held() {
    [ "$(cat "$1/results/$2" 2>/dev/null)" = "$state" ]
}

test_major() {
    local major=$1 suite root start=$SECONDS name result open=() failed=() original unsteady
    suite=$(suite_of "$major")
    root=$folder/$major-$suite
    unsteady=$root/results/unsteady
    for name in "${tests[@]}"; do
        [ -z "${VERSIONS_FRESH:-}" ] && held "$root" "$name" || open+=("$name")
    done
    if [ ${#open[@]} -gt 0 ]; then
        # A function that is part of a condition would go on after a failure.
        set +e
        (set -e; prepare "$major" "$suite" "$root") >>"$folder/$major.log" 2>&1
        result=$?
        set -e
        if [ $result != 0 ]; then
            tail -n 20 "$folder/$major.log"
            summary+=("PostgreSQL $major in $suite: FAILED before its tests; see $folder/$major.log")
            return
        fi
        for name in "${open[@]}"; do rm -f "$root/results/$name"; done
        in_root "$root" own run "$major" "$state" "${open[@]}" || true
    fi
    for name in "${tests[@]}"; do
        held "$root" "$name" || failed+=("$name")
    done
    name_unsteady || failed+=("more than three tests are unsteady")
    original=$(cd "$root" && ls var/tmp/repmgr-oxide-0/*-original/usr/lib/postgresql/"$major"/bin/repmgr 2>/dev/null || true)
    [ -z "$original" ] || original=$(chroot "$root" "/${original%%$'\n'*}" --version | sed 's/^repmgr //')
    summary+=("PostgreSQL $major in $suite, original ${original:-none}: ${#tests[@]} test programs, $((SECONDS - start)) s\
, ${#failed[@]} failed${failed[*]:+: ${failed[*]}}$([ ! -e "$unsteady" ] || printf ', unsteady: %s' "$(paste -sd , "$unsteady")")")
    [ ${#failed[@]} = 0 ] || return 0
    good+=("$major")
    [ -z "${VERSIONS_CLEAN:-}" ] || rm -rf --one-file-system "$root"
}

# All of it is read before any of it runs, so that an edit does no harm to a run.
main() {
    majors=("$@")
    [ $# -gt 0 ] || majors=(13 15 17 18)
    mkdir -p "$folder"
    cd "$top"
    cargo fetch --locked --quiet
    # The state of what these tests are made of.
    state=$(git ls-files -z --cached --others --exclude-standard src extension tests scripts/stage*.sh Cargo.toml Cargo.lock |
        xargs -0 sha256sum 2>/dev/null | sha256sum | cut -c 1-16)
    read -r -a tests <<<"${VERSIONS_TESTS:-$(scripts/test.sh --list) $(echo $on_servers)}"
    cargo test --no-run ${tests[@]/#/--test } 2>&1 | tee /dev/stderr | programs_of_cargo >"$folder/programs"
    summary=() good=()
    for major in "${majors[@]}"; do
        echo "== PostgreSQL $major in $(suite_of "$major")"
        test_major "$major"
    done
    printf '\n'
    printf '%s\n' "${summary[@]}"
    [ ${#good[@]} = ${#majors[@]} ]
}

main "$@"; exit
