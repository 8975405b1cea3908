#!/bin/bash
# What scripts/package-test.sh does in a clean Debian: the original is set up and replaced, upgraded, removed and purged.
# /mnt/1 has the packages, /mnt/2 those of a higher version.
#
#   steps.sh MAJOR
set -euo pipefail
major=$1
bin=/usr/lib/postgresql/$major/bin

step() { printf -- '-- %s\n' "$*"; }
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    for log in /tmp/apt.log /var/log/postgresql/*.log; do
        [ ! -s "$log" ] || { printf '== %s\n' "$log"; tail -n 15 "$log"; } >&2
    done
    exit 1
}
# Waits for a command to succeed, 60 seconds at most.
eventually() {
    for _ in $(seq 240); do
        ! "$@" >/dev/null 2>&1 || return 0
        sleep 0.25
    done
    fail "not in time: $*"
}
same() { [ "$2" = "$3" ] || fail "$1: $(diff <(echo "$2") <(echo "$3"))"; }
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/var/lib/postgresql "$@"; }
sql() { as_postgres psql -X -A -t -q -h /var/run/postgresql -p "$1" -U repmgr -d repmgr -c "$2"; }
# dpkg must not need to ask: nobody answers.
apt() { apt-get -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@" </dev/null >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; fail "apt-get $*"; }; }

daemons() { pgrep -x repmgrd || true; }
runs() { [ -n "$(daemons)" ]; }
runs_not() { [ -z "$(daemons)" ]; }
of_ours() { [ "$(readlink "/proc/$(daemons | head -n 1)/exe")" = /usr/lib/repmgr-oxide/repmgr ]; }
# Named in the metadata, so it came through its start.
registered() { [ "$(sql 5501 'SELECT repmgr.repmgrd_is_running()')" = t ]; }
watches() { runs && registered; }

# Everything but what lives and changes by itself.
everything() {
    find / -xdev \( -path /proc -o -path /dev -o -path /sys -o -path /tmp -o -path '/mnt' -o -path /run -o -path /var/cache \
        -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/log -o -path /var/lib/postgresql \) -prune -o -print |
        grep -v '/\.pwd\.lock$\|^/var/lib/systemd/deb-systemd-helper-enabled$\|^/etc/repmgr\|^/etc/postgresql/\|^/etc/mailcap' | sort
}
postmasters() { head -qn 1 /var/lib/postgresql/"$major"/*/postmaster.pid; }
# Roles, timelines, and what happened but for starts of daemons.
cluster_state() {
    sql 5501 'SELECT * FROM repmgr.nodes ORDER BY node_id'
    sql 5501 'SELECT timeline_id FROM pg_control_checkpoint()'
    sql 5501 'SELECT pg_is_in_recovery()'
    sql 5502 'SELECT pg_is_in_recovery()'
    sql 5501 "SELECT node_id, event, successful, details FROM repmgr.events WHERE event !~ '^repmgrd_(start|shutdown)|^repmgrd_local' ORDER BY event_timestamp, event"
    sql 5501 'SELECT extversion FROM pg_extension'
    postmasters
}
settings() { cat /etc/repmgr.conf /etc/default/repmgrd; stat -c '%a %U %n' /etc/repmgr.conf /etc/default/repmgrd; }

# There is no init system: only the service that this is about is started.
printf '#!/bin/sh\n[ "$1" = repmgrd ] || exit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
before=$(everything)

step "a cluster of two nodes by the original"
# A package that depends on the original's, and must not be lost.
mkdir -p /tmp/dependent/DEBIAN
cat >/tmp/dependent/DEBIAN/control <<END
Package: dependent
Version: 1
Architecture: all
Maintainer: nobody <nobody@example.org>
Depends: repmgr-common (>= 5.3), postgresql-$major-repmgr (>= 5.3), repmgr
Description: depends on the original
END
dpkg-deb -b /tmp/dependent /tmp/dependent.deb >/dev/null
apt install repmgr repmgr-common "postgresql-$major-repmgr" /tmp/dependent.deb
for node in 1 2; do
    pg_createcluster -p 550$node "$major" node$node >/dev/null
    cat >/etc/repmgr$node.conf <<END
node_id=$node
node_name='node$node'
conninfo='host=/var/run/postgresql port=550$node user=repmgr dbname=repmgr connect_timeout=5'
data_directory='/var/lib/postgresql/$major/node$node'
pg_bindir='$bin'
failover='automatic'
promote_command='repmgr standby promote -f /etc/repmgr$node.conf --log-to-file'
follow_command='repmgr standby follow -f /etc/repmgr$node.conf --log-to-file --upstream-node-id=%n'
monitor_interval_secs=1
log_file='/var/log/postgresql/repmgrd.log'
END
done
mv /etc/repmgr1.conf /etc/repmgr.conf
sed -i 's/repmgr1\.conf/repmgr.conf/' /etc/repmgr.conf
echo "shared_preload_libraries = 'repmgr'" >>"/etc/postgresql/$major/node1/postgresql.conf"
sed -i 's/\(scram-sha-256\|md5\|peer\)$/trust/' "/etc/postgresql/$major"/node*/pg_hba.conf
pg_ctlcluster "$major" node1 start
as_postgres createuser -h /var/run/postgresql -p 5501 -s repmgr
as_postgres createdb -h /var/run/postgresql -p 5501 -O repmgr repmgr
as_postgres repmgr -f /etc/repmgr.conf primary register >/dev/null 2>&1
rm -rf "/var/lib/postgresql/$major/node2"
as_postgres repmgr -f /etc/repmgr2.conf -h /var/run/postgresql -p 5501 -U repmgr -d repmgr standby clone -c >/dev/null 2>&1
echo "shared_preload_libraries = 'repmgr'" >>"/etc/postgresql/$major/node2/postgresql.conf"
pg_ctlcluster "$major" node2 start
as_postgres repmgr -f /etc/repmgr2.conf standby register >/dev/null 2>&1

# As people write it, not as it is shipped.
cat >/etc/default/repmgrd <<'END'
# changed by the administrator
REPMGRD_ENABLED=yes
REPMGRD_CONF="/etc/repmgr.conf"
REPMGRD_OPTS="--daemonize=false"
END
chmod 640 /etc/default/repmgrd
invoke-rc.d repmgrd start
eventually watches
! of_ours || fail "the original's daemon is ours"
old=$(daemons)
state=$(cluster_state)
kept=$(settings)

step "installed over it: settings, metadata, servers and service are kept"
apt install /mnt/1/*.deb
same "settings" "$kept" "$(settings)"
eventually watches
[ "$old" != "$(daemons)" ] && of_ours || fail "the original's daemon still runs"
same "cluster" "$state" "$(cluster_state)"
[ "$(dpkg-query -W -f '${db:Status-Abbrev}' dependent)" = "ii " ] || fail "what depends on the original is gone"
[ -z "$(dpkg --audit)" ] || fail "$(dpkg --audit)"
apt-get check -qq
as_postgres repmgr -f /etc/repmgr.conf cluster show >/tmp/show || fail "cluster show"
as_postgres "$bin/repmgr" -f /etc/repmgr2.conf node check >/dev/null || fail "node check of the standby"
as_postgres repmgr -f /etc/repmgr.conf --version --verbose | grep -q oxide || fail "/usr/bin/repmgr is not ours"
for page in repmgr repmgrd repmgr.conf; do
    man -w "$page" >/dev/null || fail "no manual page $page"
done

step "what is left of the original is purged: nothing of ours goes with it"
apt purge repmgr repmgr-common "postgresql-$major-repmgr"
same "settings" "$kept" "$(settings)"
# The original's postrm takes the links of System V away, whoever has the script; systemd's are others.
update-rc.d repmgrd defaults
ls /etc/rc2.d/S??repmgrd >/dev/null || fail "the service does not start with the system any more"
[ -x /etc/init.d/repmgrd ] || fail "no init script"
eventually watches

step "upgraded: the daemon is another, the cluster the same"
old=$(daemons)
apt install /mnt/2/*.deb
eventually watches
[ "$old" != "$(daemons)" ] || fail "the daemon was not restarted"
same "settings" "$kept" "$(settings)"
same "cluster" "$state" "$(cluster_state)"

step "the init script"
invoke-rc.d repmgrd status >/dev/null || fail "status of a running service"
invoke-rc.d repmgrd start
[ "$(daemons | wc -l)" = 1 ] || fail "started twice"
old=$(daemons)
invoke-rc.d repmgrd restart
eventually watches
[ "$old" != "$(daemons)" ] || fail "restart"
invoke-rc.d repmgrd stop
eventually runs_not
! invoke-rc.d repmgrd status >/dev/null || fail "status of a stopped service"
invoke-rc.d repmgrd try-restart
runs_not || fail "try-restart started it"

step "a service that was stopped is not started by an upgrade"
apt install --reinstall --allow-downgrades /mnt/1/*.deb
apt install /mnt/2/*.deb
sleep 1
runs_not || fail "started"

step "nothing is started without being enabled, or without a configuration"
for line in REPMGRD_ENABLED=no REPMGRD_CONF= REPMGRD_CONF=/etc/missing.conf; do
    cp -p /etc/default/repmgrd /tmp/default
    echo "$line" >>/etc/default/repmgrd
    invoke-rc.d repmgrd start || fail "start is not refused quietly: $line"
    /usr/lib/repmgr-oxide/repmgrd-service check 2>/tmp/reason && fail "to be started: $line"
    grep -q "not started: .*${line%%=*}" /tmp/reason || fail "no reason: $(cat /tmp/reason)"
    cp -p /tmp/default /etc/default/repmgrd
done
sleep 1
runs_not || fail "started"

step "options that put the daemon into the background do not hide it"
sed -i 's/^REPMGRD_OPTS=.*/REPMGRD_OPTS="-d --daemonize -v"/' /etc/default/repmgrd
invoke-rc.d repmgrd start
eventually watches
invoke-rc.d repmgrd status >/dev/null || fail "lost sight of it"
invoke-rc.d repmgrd stop
eventually runs_not
sed -i 's/^REPMGRD_OPTS=.*/REPMGRD_OPTS="--daemonize=false"/' /etc/default/repmgrd

step "back to the original, and again over it"
invoke-rc.d repmgrd start
eventually watches
apt -o Dpkg::Options::=--force-confold install repmgr repmgr-common "postgresql-$major-repmgr"
same "settings" "$kept" "$(settings)"
eventually watches
! of_ours || fail "ours still runs"
# The original's service loses sight of a daemon that puts itself into the background.
invoke-rc.d repmgrd stop
eventually runs_not
sed -i '/^REPMGRD_OPTS/d' /etc/default/repmgrd
kept=$(settings)
invoke-rc.d repmgrd start
eventually watches
apt install /mnt/2/*.deb
eventually of_ours
eventually watches
[ "$(daemons | wc -l)" = 1 ] || fail "two daemons: $(daemons)"
same "settings" "$kept" "$(settings)"
same "cluster" "$state" "$(cluster_state)"

step "removed: the settings stay, the servers run on"
apt remove dependent
apt remove repmgr-oxide "postgresql-$major-repmgr-oxide"
eventually runs_not
[ ! -e /usr/bin/repmgr ] && [ ! -e "$bin/repmgr" ] || fail "programs are left"
same "settings" "$kept" "$(settings)"
same "servers" "$(tail -n 2 <<<"$state")" "$(postmasters)"

step "purged: nothing is left but the data"
apt purge repmgr-oxide "postgresql-$major-repmgr-oxide" repmgr repmgr-common "postgresql-$major-repmgr"
same "files" "$before" "$(everything)"
! ls /run/*repmgr* /run/systemd/generator*/*repmgr* 2>/dev/null || fail "left in /run"
! dpkg-query -W '*repmgr*' 2>/dev/null | grep -q . || fail "dpkg: $(dpkg-query -W '*repmgr*')"
same "servers" "$(tail -n 2 <<<"$state")" "$(postmasters)"
[ "$(sql 5501 'SELECT count(*) FROM repmgr.nodes')" = 2 ] || fail "the metadata is gone"

step "installed where nothing was: no daemon, until it is set up"
apt install /mnt/1/*.deb
sleep 1
runs_not || fail "started"
printf 'REPMGRD_ENABLED=yes\nREPMGRD_CONF=/etc/repmgr.conf\n' >/etc/default/repmgrd
service repmgrd start
eventually watches
eventually of_ours
pg_ctlcluster "$major" node2 stop -m fast
pg_ctlcluster "$major" node1 stop -m fast
