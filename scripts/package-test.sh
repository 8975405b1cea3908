#!/bin/bash
# Installs the packages over a working cluster of the original's, upgrades, removes and purges them: in a clean Debian of
# each release. Needs root, debootstrap and a Debian mirror; nothing of the running system is changed. `make package-test`.
#
#   scripts/package-test.sh [SUITE…]        default: bookworm trixie
#
#   PACKAGE_TEST_FOLDER   where the releases and the packages are kept for the next time (default
#                         /var/tmp/repmgr-oxide-package-test); what is complete there is not made again
#   PACKAGE_TEST_CLEAN    yes: the folder is deleted at the end
#   PACKAGE_PROFILE       dev is built faster than release
#   DEBIAN_MIRROR         default: the one of debootstrap
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
folder=${PACKAGE_TEST_FOLDER:-/var/tmp/repmgr-oxide-package-test}
mirror=${DEBIAN_MIRROR:-}
cargo_home=${CARGO_HOME:-$HOME/.cargo}
toolchain=$(rustc --print sysroot)
export PACKAGE_PROFILE=${PACKAGE_PROFILE:-release}

[ "$(id -u)" = 0 ] || { echo "package-test.sh: only root can make and enter a clean Debian" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "package-test.sh: debootstrap is missing" >&2; exit 1; }

# These packages are in no archive.
not_for_us=bad-distribution-in-changes-file,initial-upload-closes-no-bugs

major_of() {
    case $1 in
    bullseye) echo 13 ;;
    bookworm) echo 15 ;;
    trixie) echo 17 ;;
    *) echo "package-test.sh: $1 is not a release it knows" >&2; return 1 ;;
    esac
}

# Runs bash in a Debian, with a network, processes and mounts of its own, which vanish with it. What is written lands
# in a layer over the release, unless the layer is "-". More arguments are mounted at /mnt/1, /mnt/2…
in_root() {
    local root=$1 layer=$2 network=$3 command=$4
    shift 4
    local options=(--mount --pid --fork --kill-child --uts --ipc)
    [ "$network" = own ] && options+=(--net)
    unshare "${options[@]}" bash -euc '
        root=$1 layer=$2 network=$3 command=$4
        shift 4
        if [ "$layer" != - ]; then
            mkdir -p "$layer/upper" "$layer/work" "$layer/root"
            mount -t overlay overlay -o "lowerdir=$root,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
            root=$layer/root
        fi
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        number=0
        for mounted in "$@"; do
            number=$((number + 1))
            mkdir -p "$root/mnt/$number"
            mount --bind "$mounted" "$root/mnt/$number"
        done
        [ "$network" != own ] || ip link set lo up
        hostname package-test
        exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TERM=dumb \
            DEBIAN_FRONTEND=noninteractive PACKAGE_PROFILE="$PACKAGE_PROFILE" bash -euc "$command"
    ' - "$root" "$layer" "$network" "$command" "$@" </dev/null
}

# Only what is not mounted any more is deleted.
forget() {
    if grep -q " $1" /proc/self/mountinfo; then
        echo "package-test.sh: $1 is still mounted; not deleted" >&2
        return 1
    fi
    rm -rf --one-file-system "$1"
}

# A Debian with these packages.
make_root() {
    local suite=$1 root=$2 packages=$3 downloaded=$4
    [ ! -e "$root/.complete" ] || return 0
    if [ ! -e "$root/.bare" ]; then
        forget "$root"
        mkdir -p "$root"
        debootstrap --variant=minbase "$suite" "$root" ${mirror:+"$mirror"} >"$root.log" 2>&1 || { tail -n 5 "$root.log" >&2; return 1; }
        touch "$root/.bare"
    fi
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    mkdir -p "$root/etc/postgresql-common"
    # No cluster is made by the server's package.
    echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
    in_root "$root" - host "
        rm -f /etc/dpkg/dpkg.cfg.d/* /etc/apt/apt.conf.d/docker*
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends $packages
        [ -z '$downloaded' ] || apt-get install -y -qq --no-install-recommends --download-only $downloaded
        rm /usr/sbin/policy-rc.d
    " >>"$root.log" 2>&1 || { tail -n 5 "$root.log" >&2; return 1; }
    touch "$root/.complete"
}

# The packages of one version, built in a Debian of that release.
build() {
    local suite=$1 version=$2 result=$folder/packages-$1-$2 source=$folder/source
    local root=$folder/$suite-build major
    major=$(major_of "$suite")
    if [ -e "$result/.complete" ] && [ "$(cat "$result/.complete")" = "$state" ]; then
        return 0
    fi
    # The release of this host: built here, where most of it may be built already.
    if [ "$suite" = "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" ]; then
        PACKAGE_VERSION=$version nice scripts/package.sh "$result" >/dev/null
        if command -v lintian >/dev/null; then
            lintian --fail-on error,warning --allow-root --suppress-tags "$not_for_us" "$result"/*.changes
        else
            echo "lintian is not installed: the packages are not looked through"
        fi
        echo "$state" >"$result/.complete"
        return 0
    fi
    make_root "$suite" "$root" "postgresql-server-dev-$major gcc libc6-dev libclang-dev clang make pkg-config libssl-dev \
        debhelper git ca-certificates lintian" ""
    mkdir -p "$result" "$folder/target-$suite" "$source"
    find "$source" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
    (cd "$top" && git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -T - -c) |
        tar -x -C "$source"
    in_root "$root" - host "
        export PATH=/mnt/2/bin:\$PATH CARGO_HOME=/mnt/1 CARGO_NET_OFFLINE=true CARGO_TARGET_DIR=/mnt/4 CARGO_BUILD_JOBS=1
        cd /mnt/3
        git init -q . 2>/dev/null
        git config --global --add safe.directory '*'
        PACKAGE_VERSION=$version nice scripts/package.sh /mnt/5
        lintian --fail-on error,warning --allow-root --suppress-tags $not_for_us /mnt/5/*.changes
    " "$cargo_home" "$toolchain" "$source" "$folder/target-$suite" "$result"
    echo "$state" >"$result/.complete"
}

test_suite() {
    local suite=$1 major root=$folder/$1 layer=$folder/layer-$1
    major=$(major_of "$suite")
    build "$suite" "$first"
    build "$suite" "$second"
    make_root "$suite" "$root" "postgresql-$major procps man-db perl" "sudo repmgr repmgr-common postgresql-$major-repmgr"
    forget "$layer"
    in_root "$root" "$layer" own "bash /mnt/3/steps.sh $major" \
        "$folder/packages-$suite-$first" "$folder/packages-$suite-$second" "$top/packaging/test"
    forget "$layer"
    echo "-- as docs/start.md says"
    in_root "$root" "$layer" own "bash /mnt/2/docs.sh /mnt/3/start.md" \
        "$folder/packages-$suite-$first" "$top/packaging/test" "$top/docs"
    forget "$layer"
}

mkdir -p "$folder"
cd "$top"
cargo fetch --locked --quiet
# What the packages are made of; another state is built anew.
state="$PACKAGE_PROFILE $(git ls-files -z --cached --others --exclude-standard | xargs -0 sha256sum 2>/dev/null |
    grep -v ' packaging/test/\| scripts/package-test.sh' | sha256sum)"
first=$(sed -n '1s/.*(\(.*\)).*/\1/p' packaging/debian/changelog)
second=$first+next
suites=("$@")
[ $# -gt 0 ] || suites=(bookworm trixie)
failed=()
for suite in "${suites[@]}"; do
    echo "== Debian $suite, PostgreSQL $(major_of "$suite")"
    set +e
    (set -e; test_suite "$suite")
    [ $? = 0 ] || failed+=("$suite")
    set -e
done
[ "${PACKAGE_TEST_CLEAN:-}" != yes ] || forget "$folder"
if [ ${#failed[@]} -gt 0 ]; then
    echo "FAILED: ${failed[*]}"
    exit 1
fi
echo "passed"
