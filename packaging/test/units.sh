#!/bin/bash
# The units under a systemd that runs, on the cluster that docs/start.md ends with: node1 to node3 on the ports 5501 to
# 5503, each with its repmgrd@NAME. /mnt/2 has the packages of a higher version.
#
#   units.sh MAJOR
set -euo pipefail
major=$1
. "$(dirname "$0")/common.sh"

property() { systemctl show -P "$2" "$1"; }
main_pid() { property "$1" MainPID; }
is_another() { [ "$(main_pid "$1")" != "$2" ] && [ "$(property "$1" ActiveState)" = active ]; }
is_normal() { property "$1" StatusText | grep -qE '^(primary: )?normal'; }
says_why_not() { { systemctl status repmgrd || true; } | grep 'REPMGRD_ENABLED is not'; }
postmaster() { head -n 1 "/var/lib/postgresql/$major/node$1/postmaster.pid"; }
is_another_server() { [ "$(postmaster "$1")" != "$2" ] && streams "$1"; }
streams() { [ "$(local_sql "550$1" 'SELECT count(*) FROM pg_stat_wal_receiver')" = 1 ]; }
local_sql() { as_postgres psql -X -A -t -q -p "$1" -d repmgr -c "$2"; }
cluster_state() {
    for n in 1 2 3; do local_sql 550$n 'SELECT pg_is_in_recovery(), timeline_id FROM pg_control_checkpoint()'; done
    local_sql 5501 "SELECT count(*) FROM repmgr.events WHERE event !~ '^repmgrd_(start|shutdown)|^repmgrd_local'"
    local_sql 5501 'SELECT * FROM repmgr.nodes ORDER BY node_id'
    for n in 1 2 3; do postmaster $n; done
}
# A hook that the daemon of node 2 runs as it starts.
with_hook() {
    sed -i '/^event_notification/d' /etc/repmgr/node2.conf
    [ -z "$1" ] || printf "event_notifications='repmgrd_start'\nevent_notification_command='%s'\n" "$1" >>/etc/repmgr/node2.conf
}

step "systemd takes the units as they are"
verified=$(systemd-analyze verify repmgrd.service repmgrd@node1.service 2>&1 | grep repmgrd || true)
[ -z "$verified" ] || fail "$verified"
for n in 1 2 3; do
    [ "$(property repmgrd@node$n ActiveState)" = active ] || fail "$(systemctl status repmgrd@node$n)"
    [ "$(property repmgrd@node$n WatchdogUSec)" = 1min ] || fail "no watchdog"
    eventually is_normal repmgrd@node$n
done

step "what hangs is restarted by the watchdog, and what dies too"
mkdir -p /run/systemd/system/repmgrd@node2.service.d
printf '[Service]\nWatchdogSec=3\n' >/run/systemd/system/repmgrd@node2.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart repmgrd@node2
old=$(main_pid repmgrd@node2)
kill -STOP "$old"
eventually is_another repmgrd@node2 "$old"
[ "$(property repmgrd@node2 NRestarts)" = 1 ] || fail "restarted $(property repmgrd@node2 NRestarts) times"
rm -r /run/systemd/system/repmgrd@node2.service.d
systemctl daemon-reload
old=$(main_pid repmgrd@node3)
kill -KILL "$old"
eventually is_another repmgrd@node3 "$old"

step "the daemon is restricted"
daemon=$(main_pid repmgrd@node2)
! nsenter -t "$daemon" --mount --root --wd touch /usr/written 2>/dev/null || fail "the daemon could write to /usr"
capabilities=$(sed -n 's/^CapBnd:\t//p' "/proc/$daemon/status")
[ "$((0x$capabilities & 1 << 16))" = 0 ] || fail "the daemon could load kernel modules: $capabilities"

step "its commands restart the server with sudo"
server=$(postmaster 2)
with_hook "sudo -n pg_ctlcluster $major node2 restart -m fast"
systemctl restart repmgrd@node2
eventually is_another_server 2 "$server"

step "a server that it restarted itself outlives it"
# Not one of systemd's, whose unit would end it as soon as it was stopped.
eventually systemctl is-active "postgresql@$major-node2"
pg_ctlcluster "$major" node2 stop -m fast
as_postgres pg_ctlcluster --skip-systemctl-redirect "$major" node2 start
server=$(postmaster 2)
with_hook "$bin/pg_ctl -D /var/lib/postgresql/$major/node2 -l /var/log/postgresql/postgresql-$major-node2.log -m fast restart"
systemctl restart repmgrd@node2
eventually is_another_server 2 "$server"
server=$(postmaster 2)
grep -q 'repmgrd@node2' "/proc/$server/cgroup" || fail "the server is not in the daemon's unit: $(cat "/proc/$server/cgroup")"
with_hook ""
systemctl stop repmgrd@node2
streams 2 && [ "$(postmaster 2)" = "$server" ] || fail "the server ended with the daemon"
systemctl start repmgrd@node2
pg_ctlcluster --skip-systemctl-redirect "$major" node2 stop -m fast
pg_ctlcluster "$major" node2 start
eventually streams 2

step "the service: nothing without being enabled; reloaded, it is the same process"
systemctl disable --now repmgrd@node1 2>/dev/null
systemctl start repmgrd
[ "$(property repmgrd ActiveState)" = inactive ] || fail "repmgrd is $(property repmgrd ActiveState)"
eventually says_why_not
printf 'REPMGRD_ENABLED=yes\nREPMGRD_CONF=/etc/repmgr/node1.conf\n' >/etc/default/repmgrd
systemctl start repmgrd
old=$(main_pid repmgrd)
[ "$(stat -c %U "/proc/$old")" = postgres ] || fail "it runs as $(stat -c %U "/proc/$old")"
systemctl reload repmgrd
eventually is_normal repmgrd
[ "$(main_pid repmgrd)" = "$old" ] || fail "a reload restarted it"

step "an upgrade restarts what runs, and changes nothing else"
systemctl stop repmgrd@node3
one=$(main_pid repmgrd)
two=$(main_pid repmgrd@node2)
state=$(cluster_state)
apt install /mnt/2/*.deb
eventually is_another repmgrd "$one"
eventually is_another repmgrd@node2 "$two"
[ "$(property repmgrd@node3 ActiveState)" = inactive ] || fail "the upgrade started repmgrd@node3"
same "cluster" "$state" "$(cluster_state)"

step "removed and purged: no unit is left, and the servers run on"
server="$(for n in 1 2 3; do postmaster $n; done)"
apt remove repmgr-oxide "postgresql-$major-repmgr-oxide"
[ -z "$(pgrep -x repmgrd)" ] || fail "a daemon still runs"
apt purge repmgr-oxide "postgresql-$major-repmgr-oxide"
left=$(find /etc/systemd /run/systemd /usr/lib/systemd /var/lib/systemd /etc/rc?.d /etc/init.d /etc/default -name '*repmgr*')
[ -z "$left" ] || fail "left: $left"
same "servers" "$server" "$(for n in 1 2 3; do postmaster $n; done)"
