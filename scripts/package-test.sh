#!/bin/bash
# Installs the packages over a working cluster of the original's, upgrades, removes and purges them: in a clean Debian of
# each release, once without an init system and once under systemd; then does what docs/start.md says. Needs root,
# debootstrap and a Debian mirror; nothing of the running system is changed. `make package-test`.
#
#   scripts/package-test.sh [SUITE…]        default: bookworm trixie
#
#   PACKAGE_TEST_FOLDER   where the releases and the packages are kept for the next time (default
#                         /var/tmp/repmgr-oxide-package-test); what is complete there is not made again
#   PACKAGE_TEST_PREVIOUS a commit of this repository, or a folder with a folder of packages for each suite, from which is
#                         upgraded; without it, from packages of this very source with a lower version
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

# Runs bash in a Debian, with a network, processes and mounts of its own, which vanish with it, and with this script. What is written lands
# in a layer over the release, unless the layer is "-". More arguments are mounted at /mnt/1, /mnt/2…
in_root() {
    local root=$1 layer=$2 network=$3 command=$4
    shift 4
    local options=(--mount --pid --fork --kill-child --uts --ipc)
    [ "$network" = own ] && options+=(--net)
    setpriv --pdeathsig KILL unshare "${options[@]}" bash -euc '
        root=$1 layer=$2 network=$3 command=$4
        shift 4
        '"$mount_layer"'
        mount --rbind /dev "$root/dev"
        '"$mount_more"'
        [ "$network" != own ] || ip link set lo up
        exec chroot "$root" env -i "${environment[@]}" bash -euc "$command"
    ' - "$root" "$layer" "$network" "$command" "$@" </dev/null
}
# Parts of the programs that make a Debian.
environment="environment=(PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TERM=dumb
    DEBIAN_FRONTEND=noninteractive PACKAGE_PROFILE='$PACKAGE_PROFILE')"
mount_layer='
    if [ "$layer" != - ]; then
        mkdir -p "$layer/upper" "$layer/work" "$layer/root"
        mount -t overlay overlay -o "lowerdir=$root,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
        root=$layer/root
    fi
    mount -t proc proc "$root/proc"
'
mount_more="$environment"'
    number=0
    for mounted in "$@"; do
        number=$((number + 1))
        mkdir -p "$root/mnt/$number"
        mount --bind "$mounted" "$root/mnt/$number"
    done
    hostname package-test
'

# The same in a Debian that systemd has started, which must be installed there. Its network is its own.
in_booted_root() {
    local root=$1 layer=$2 command=$3 group launcher init result=0
    shift 3
    group=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)/package-test-$$
    mkdir "$group"
    # It sees nothing but its part of the control groups.
    (
        echo "$BASHPID" >"$group/cgroup.procs"
        exec setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --uts --ipc --net --cgroup bash -euc '
            root=$1 layer=$2
            shift 2
            '"$mount_layer"'
            mount -t sysfs sysfs "$root/sys"
            mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
            mount -t tmpfs -o mode=755 tmpfs "$root/dev"
            mkdir "$root/dev/pts" "$root/dev/shm"
            for device in null zero full random urandom tty; do
                touch "$root/dev/$device"
                mount --bind "/dev/$device" "$root/dev/$device"
            done
            mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
            ln -s pts/ptmx "$root/dev/ptmx"
            ln -s /proc/self/fd "$root/dev/fd"
            mount -t tmpfs tmpfs "$root/dev/shm"
            mount -t tmpfs -o mode=755 tmpfs "$root/run"
            mount -t tmpfs tmpfs "$root/tmp"
            '"$mount_more"'
            ip link set lo up
            exec chroot "$root" env -i container=package-test "${environment[@]}" /lib/systemd/systemd --show-status=0
        ' - "$root" "$layer" "$@" </dev/null >"$layer.boot.log" 2>&1
    ) &
    launcher=$!
    for _ in $(seq 100); do
        init=$(pgrep -P "$launcher" -x systemd || true)
        [ -z "$init" ] || break
        sleep 0.1
    done
    if [ -n "$init" ]; then
        eval "$environment"
        local inside=(nsenter -t "$init" --all --root --wd env -i "${environment[@]}")
        for _ in $(seq 100); do
            [ ! -S "/proc/$init/root/run/dbus/system_bus_socket" ] || break
            sleep 0.1
        done
        "${inside[@]}" systemctl is-system-running --wait >/dev/null 2>&1 || true
        "${inside[@]}" bash -euc "$command" </dev/null || result=$?
        kill -KILL "$init" || true
    else
        echo "package-test.sh: systemd did not start: $(tail -n 3 "$layer.boot.log")" >&2
        result=1
    fi
    wait "$launcher" 2>/dev/null || true
    find "$group" -depth -type d -exec rmdir {} +
    rm -f "$layer.boot.log"
    return "$result"
}
can_boot() { findmnt -n -t cgroup2 >/dev/null; }

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
    [ "$(cat "$root/.complete" 2>/dev/null)" != "$packages $downloaded" ] || return 0
    if [ ! -e "$root/.bare" ]; then
        forget "$root"
        mkdir -p "$root"
        debootstrap --variant=minbase "$suite" "$root" ${mirror:+"$mirror"} >"$root.log" 2>&1 || { tail -n 5 "$root.log" >&2; return 1; }
        touch "$root/.bare"
    fi
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    mkdir -p "$root/etc/postgresql-common"
    echo "127.0.0.1 localhost package-test" >"$root/etc/hosts"
    echo package-test >"$root/etc/hostname"
    # No cluster is made by the server's package.
    echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
    in_root "$root" - host "
        rm -f /etc/dpkg/dpkg.cfg.d/* /etc/apt/apt.conf.d/docker*
        echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/package-test
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends $packages
        [ -z '$downloaded' ] || apt-get install -y -qq --no-install-recommends --download-only $downloaded
        rm /usr/sbin/policy-rc.d
    " >>"$root.log" 2>&1 || { tail -n 5 "$root.log" >&2; return 1; }
    echo "$packages $downloaded" >"$root/.complete"
}

# A source's packages, built in a Debian of the release: the source in $folder/source/NAME, the packages in NAME-SUITE. What
# is shipped is looked through by lintian.
packages() {
    local suite=$1 name=$2 source=$folder/source/$2 result=$folder/$2-$1 root=$folder/$1-build major lintian
    major=$(major_of "$suite")
    lintian="lintian --fail-on error,warning --allow-root --suppress-tags $not_for_us"
    [ "$name" = this ] || lintian=true
    mkdir -p "$result" "$folder/target-$suite"
    # The release of this host: built here, where most of it may be built already.
    if [ "$suite" = "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" ]; then
        [ "$name" != this ] || source=$top
        (cd "$source" && CARGO_TARGET_DIR=$top/target/package/cargo nice scripts/package.sh "$result" >/dev/null)
        if command -v lintian >/dev/null; then
            $lintian "$result"/*.changes
        else
            echo "lintian is not installed: the packages are not looked through"
        fi
    else
        make_root "$suite" "$root" "postgresql-server-dev-$major build-essential libclang-dev clang pkg-config libssl-dev \
            debhelper git ca-certificates lintian" ""
        in_root "$root" - host "
            export PATH=/mnt/2/bin:\$PATH CARGO_HOME=/mnt/1 CARGO_NET_OFFLINE=true CARGO_TARGET_DIR=/mnt/4 ${CARGO_BUILD_JOBS:+CARGO_BUILD_JOBS=$CARGO_BUILD_JOBS}
            cd /mnt/3/$name
            git config --global --add safe.directory '*'
            nice scripts/package.sh /mnt/5 >/dev/null
            $lintian /mnt/5/*.changes
        " "$cargo_home" "$toolchain" "$folder/source" "$folder/target-$suite" "$result"
    fi
}

# Takes a source from standard input, as tar has it. Each has a path of its own, by which cargo tells them apart.
take_source() {
    local source=$folder/source/$1
    mkdir -p "$source"
    find "$source" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
    tar -x -C "$source"
    git init -q "$source" 2>/dev/null
}

# The packages of this source in this-SUITE, in next-SUITE the same with a higher version, and those of an earlier commit in
# previous-SUITE.
build() {
    local suite=$1 next=$folder/next-$1 package
    if [ -n "$earlier" ] && [ "$(cat "$folder/previous-$suite/.complete" 2>/dev/null)" != "$PACKAGE_PROFILE $earlier" ]; then
        git archive "$earlier" | take_source previous
        packages "$suite" previous
        echo "$PACKAGE_PROFILE $earlier" >"$folder/previous-$suite/.complete"
    fi
    [ "$(cat "$next/.complete" 2>/dev/null)" != "$state" ] || return 0
    rm -rf "$next"
    mkdir -p "$next"
    git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -T - -c | take_source this
    packages "$suite" this
    for package in "$folder/this-$suite"/*.deb; do
        dpkg-deb --raw-extract "$package" "$next/content"
        sed -i "s/^Version: .*/&+next/; s/(= $version)/(= $version+next)/" "$next/content/DEBIAN/control"
        dpkg-deb -Zgzip -z1 --build "$next/content" "$next/$(basename "$package")" >/dev/null
        rm -rf "$next/content"
    done
    echo "$state" >"$next/.complete"
}

test_suite() {
    local suite=$1 major root=$folder/$1 layer=$folder/layer-$1
    major=$(major_of "$suite")
    make_root "$suite" "$root" "postgresql-$major procps man-db perl" \
        "sudo repmgr repmgr-common postgresql-$major-repmgr systemd systemd-sysv dbus"
    local this=$folder/this-$suite
    local more=("$folder/next-$suite" "$folder/steps" "$folder/docs")
    local previous=${PACKAGE_TEST_PREVIOUS:+$PACKAGE_TEST_PREVIOUS/$suite}
    [ -z "$earlier" ] || previous=$folder/previous-$suite
    [ -z "$previous" ] || more+=("$previous")
    forget "$layer"
    echo "== the init script"
    in_root "$root" "$layer" own "bash /mnt/3/steps.sh $major" "$this" "${more[@]}"
    forget "$layer"
    if ! can_boot; then
        echo "== skipped: the units under systemd, which needs control groups (version 2)"
        in_root "$root" "$layer" own "bash /mnt/3/docs.sh /mnt/4/start.md" "$this" "${more[@]}"
        forget "$layer"
        return
    fi
    under_systemd "steps.sh $major"
    under_systemd "docs.sh /mnt/4/start.md" "bash /mnt/3/units.sh $major"
}
# In test_suite: these steps in a fresh layer.
under_systemd() {
    echo "== under systemd: ${1%% *}"
    in_root "$root" "$layer" own "apt-get install -y -qq --no-install-recommends systemd systemd-sysv dbus" >/dev/null 2>&1
    in_booted_root "$root" "$layer" "bash /mnt/3/$1; ${2:-}" "$this" "${more[@]}"
    forget "$layer"
}

# Nothing of the Debians runs or is mounted any more.
nothing_left() {
    local process
    if grep -q " $folder" /proc/self/mountinfo; then
        echo "package-test.sh: still mounted: $(grep -o " $folder[^ ]*" /proc/self/mountinfo)" >&2
        return 1
    fi
    for process in /proc/[0-9]*; do
        case $(readlink "$process/root" 2>/dev/null) in
        "$folder"/*)
            echo "package-test.sh: still running: ${process#/proc/} $(tr '\0' ' ' <"$process/cmdline")" >&2
            return 1
            ;;
        esac
    done
}

mkdir -p "$folder"
cd "$top"
# As they are now, whatever is edited meanwhile.
rm -rf "$folder/steps" "$folder/docs"
cp -r packaging/test "$folder/steps"
cp -r docs "$folder/docs"
cargo fetch --locked --quiet
# What the packages are made of; another state is built anew.
state="$PACKAGE_PROFILE $(git ls-files -z --cached --others --exclude-standard | xargs -0 sha256sum 2>/dev/null |
    grep -v ' \(tests\|benches\|examples\|packaging/test\)/\| scripts/package-test.sh' | sha256sum)"
version=$(sed -n '1s/.*(\(.*\)).*/\1/p' packaging/debian/changelog)
# An earlier commit, if one is named.
earlier=
if [ -n "${PACKAGE_TEST_PREVIOUS:-}" ] && [ ! -d "$PACKAGE_TEST_PREVIOUS" ]; then
    earlier=$(git rev-parse --verify --quiet "$PACKAGE_TEST_PREVIOUS^{commit}") ||
        { echo "package-test.sh: PACKAGE_TEST_PREVIOUS is neither a folder nor a commit" >&2; exit 1; }
fi
suites=("$@")
[ $# -gt 0 ] || suites=(bookworm trixie)
failed=()
for suite in "${suites[@]}"; do
    build "$suite"
done
for suite in "${suites[@]}"; do
    echo "== Debian $suite, PostgreSQL $(major_of "$suite")"
    set +e
    (set -e; test_suite "$suite")
    [ $? = 0 ] || failed+=("$suite")
    set -e
done
nothing_left || failed+=("something is left")
[ "${PACKAGE_TEST_CLEAN:-}" != yes ] || forget "$folder"
if [ ${#failed[@]} -gt 0 ]; then
    echo "FAILED: ${failed[*]}"
    exit 1
fi
echo "passed in $SECONDS s"
