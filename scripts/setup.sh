#!/bin/sh
# Installs the Debian packages that building and testing need and that are
# missing here. Does nothing, and needs no rights, once they are there.
set -eu

version=$(dpkg-query -W -f='${Version}\n' postgresql-common 2>/dev/null >/dev/null &&
    ls /usr/lib/postgresql 2>/dev/null | sort -n | tail -n 1 || true)
if [ -z "${version:-}" ] || [ ! -x "/usr/lib/postgresql/$version/bin/postgres" ]; then
    version=
fi

missing() {
    for package in "$@"; do
        dpkg-query -W -f='${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed$' || printf '%s ' "$package"
    done
}

wanted="build-essential pkg-config libssl-dev libclang-dev openssl procps iproute2 mount"
# The faults layer, as root: hosts in network namespaces, each with an sshd.
wanted="$wanted util-linux nftables openssh-client openssh-server e2fsprogs libfaketime"
# The barman layer: a real Barman, and what copies its backups.
wanted="$wanted barman rsync"
packages=$(missing $wanted)
if [ -z "$version" ]; then
    packages="$packages postgresql"
else
    packages="$packages$(missing "postgresql-$version" "postgresql-server-dev-$version")"
fi
[ -n "$(echo "$packages" | tr -d ' ')" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "ERROR: these Debian packages are missing: $packages" >&2
        echo "HINT: install them as root, or install sudo" >&2
        exit 1
    }
    as_root=sudo
fi
command -v apt-get >/dev/null || {
    echo "ERROR: apt-get is not here; this needs Debian or Ubuntu" >&2
    exit 1
}
echo "installing: $packages"
$as_root apt-get update -qq
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
install $packages
if [ -z "$version" ]; then
    version=$(ls /usr/lib/postgresql | sort -n | tail -n 1)
    install "postgresql-server-dev-$version"
fi
