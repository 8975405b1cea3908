#!/bin/bash
# Hosts without machines, on which the examples of a page are run: each has the system of this host under files, processes
# and addresses of its own, and is reached as the page says (node1 is 192.0.2.1). Everything vanishes with this program,
# which ends when its input does. Run as root in network, process and mount namespaces of its own.
#
#   world.sh FOLDER LAYERS SERVICES HOST…     FOLDER   where the files of the hosts are, also those of an earlier world
#                                             LAYERS   folders over this host's /usr and /etc, separated by colons
#                                             SERVICES folder with "systemctl", "journalctl", "apt", "mail",
#                                                      "repmgrd-service", and what "apt" installs
#
# Says "ready", and then waits. FOLDER/enter HOST USER COMMAND… runs something on a host.
set -euo pipefail
folder=$1 layers=$2 services=$3
shift 3

mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir /run/netns /run/world
ip link set lo up
ip link add switch up type bridge

# The folders of all layers that have this one, topmost first.
lower() {
    local result='' layer
    for layer in ${layers//:/ } ''; do
        [ ! -d "$layer/$1" ] || result+=:$layer/$1
    done
    echo "${result#:}"
}

# A folder over this host's, which keeps what is written to it under FOLDER/HOST.
overlay() {
    mkdir -p "$home/$1/upper" "$home/$1/work" "$root/$1"
    mount -t overlay overlay -o "lowerdir=$(lower "$1"),upperdir=$home/$1/upper,workdir=$home/$1/work" "$root/$1"
}

# A folder of the host's own.
own() {
    mkdir -p "$home/own/$1" "$root/$1"
    mount --bind "$home/own/$1" "$root/$1"
}

files_of() {
    local name=$1 known programs home=$folder/$1 root=$folder/roots/$1 new=
    [ -d "$home" ] || new=yes
    mkdir -p "$root"
    for link in bin lib lib64 sbin; do
        [ ! -L "/$link" ] || ln -sfn "usr/$link" "$root/$link"
    done
    overlay usr
    overlay etc
    overlay var/lib
    for known in etc/postgresql var/lib/postgresql var/log var/mail root home; do own "$known"; done
    mkdir -p "$root"/{proc,sys,dev,run,tmp,var/tmp,var/cache,var/spool}
    ln -sfn /run "$root/var/run"
    for programs in ours original; do
        [ ! -d "$services/$programs" ] || { mkdir -p "$root/opt/played/$programs"; mount --bind "$services/$programs" "$root/opt/played/$programs"; }
    done
    mount --rbind /proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/run"
    mount -t tmpfs tmpfs "$root/tmp"
    chmod 1777 "$root/tmp" "$root/var/tmp" "$root/run"
    install -d -o postgres -g postgres -m 2775 "$root/run/postgresql"
    mkdir -p "$root/run/sshd" "$root/run/haproxy"
    [ -n "$new" ] || return 0

    chmod 700 "$root/root"
    chown postgres: "$root/var/lib/postgresql" "$root/etc/postgresql"
    install -d -o root -g postgres -m 1775 "$root/var/log/postgresql"
    install -d -o postgres -g postgres "$root/var/log/repmgr"
    rm -rf "$root"/etc/repmgr* "$root/etc/default/repmgrd"
    # A page begins with packages that are installed.
    mkdir -p "$root/usr/lib/repmgr-oxide" "$root/usr/local/sbin"
    install -m 755 "$services/repmgrd-service" "$root/usr/lib/repmgr-oxide/repmgrd-service"
    install -m 755 "$services/systemctl" "$services/journalctl" "$services/apt" "$root/usr/local/sbin"
    install -m 755 "$services/mail" "$root/usr/local/bin"
    chmod 1777 "$root/var/mail"
    # As the packages do when they are installed.
    echo 'nagios:x:198:65534::/var/lib/nagios:/bin/sh' >>"$root/etc/passwd"
    mkdir -p "$root/var/lib/nagios"
    printf '%s:*:19000::::::\n' nagios haproxy >>"$root/etc/shadow"
    echo 'haproxy:x:199:65534::/var/lib/haproxy:/usr/sbin/nologin' >>"$root/etc/passwd"
    for known in "$root"/usr/lib/postgresql/*/bin; do ln -sf /usr/bin/repmgr /usr/bin/repmgrd "$known/"; done
    # What is written need not survive this host.
    mkdir -p "$root/etc/postgresql-common"
    cat >"$root/etc/postgresql-common/createcluster.conf" <<END
create_main_cluster = false
fsync = off
shared_buffers = 16MB
initdb_options = '--no-sync'
END
    echo "$name" >"$root/etc/hostname"
    # Who administers may log in everywhere as root, and everybody's host key is known.
    mkdir -p "$root/root/.ssh"
    cp "$folder/keys/admin.pub" "$root/root/.ssh/authorized_keys"
    [ "$name" != admin ] || cp "$folder/keys/admin" "$root/root/.ssh/id_ed25519"
    chmod -R go= "$root/root/.ssh"
    rm -f "$root"/etc/ssh/ssh_host_*
    cp "$folder/keys/host" "$root/etc/ssh/ssh_host_ed25519_key"
    cp "$folder/keys/host.pub" "$root/etc/ssh/ssh_host_ed25519_key.pub"
    echo "* $(cat "$folder/keys/host.pub")" >"$root/etc/ssh/ssh_known_hosts"
    printf '%s\n' 'HostKey /etc/ssh/ssh_host_ed25519_key' 'UsePAM no' 'UseDNS no' 'PasswordAuthentication no' \
        'MaxStartups 100' 'PermitRootLogin prohibit-password' >"$root/etc/ssh/sshd_config"
    # An account without a password is not a locked one.
    sed -i 's/^\(postgres\|root\):[^:]*:/\1:*:/' "$root/etc/shadow"
}

start_host() {
    local name=$1 address=$2 root=$folder/roots/$1
    ip netns add "$name"
    ip link add "port-$name" up type veth peer name eth0 netns "$name"
    ip link set "port-$name" master switch
    ip -n "$name" link set lo up
    ip -n "$name" address add "$address/24" dev eth0
    ip -n "$name" link set eth0 up
    printf '127.0.0.1 localhost\n%s' "$names" >"$root/etc/hosts"
    nsenter --net="/run/netns/$name" unshare --mount --uts bash -c '
        hostname "$1"
        exec chroot "$0" sleep infinity
    ' "$root" "$name" </dev/null >/dev/null &
    echo $! >"/run/world/$name"
}

mkdir -p "$folder/keys"
for key in admin host; do
    [ -e "$folder/keys/$key" ] || ssh-keygen -q -t ed25519 -N '' -C "root@admin" -f "$folder/keys/$key"
done
cat >"$folder/enter" <<'END'
#!/bin/bash
set -euo pipefail
name=$1
shift
exec nsenter -t "$(cat "/run/world/$name")" --mount --net --uts --root --wd -- bash -c '
    set -euo pipefail
    user=$1
    shift
    home=$(getent passwd "$user" | cut -d : -f 6)
    exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- \
        env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TERM=dumb \
        HOME="$home" USER="$user" LOGNAME="$user" bash -c "cd && exec \"\$@\"" - "$@"
' - "$@"
END
chmod 755 "$folder" "$folder/enter"

names='' number=0
address_of() {
    case $1 in
    node*) echo "192.0.2.${1#node}" ;;
    witness) echo 192.0.2.9 ;;
    admin) echo 192.0.2.20 ;;
    *) echo "world.sh: no address for $1" >&2; return 1 ;;
    esac
}
for host in "$@"; do names+="$(address_of "$host") $host"$'\n'; done
for host in "$@"; do
    files_of "$host"
    start_host "$host" "$(address_of "$host")"
done
for host in "$@"; do
    until [ "$(readlink "/proc/$(cat "/run/world/$host")/exe" 2>/dev/null)" != "" ] &&
        [ "$(cat "/proc/$(cat "/run/world/$host")/comm")" = sleep ]; do sleep 0.02; done
    "$folder/enter" "$host" root /usr/sbin/sshd
done
echo ready
while read -r _; do :; done
