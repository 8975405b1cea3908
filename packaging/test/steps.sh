#!/bin/bash
# What scripts/package-test.sh does in a clean Debian: the original is set up and replaced, upgraded, removed and purged.
# /mnt/1 has the packages, /mnt/2 those of a higher version, /mnt/5 perhaps those of an earlier source.
#
#   steps.sh MAJOR
set -euo pipefail
major=$1
. "$(dirname "$0")/common.sh"

# No runlevel is no problem.
service() { invoke-rc.d repmgrd "$@" 2> >(grep -v 'current runlevel' >&2); }
# Under systemd, the original's unit counts as started if the script that it runs refused to start anything.
start_originals() {
    if [ -d /run/systemd/system ]; then systemctl restart repmgrd; else service start; fi
}
# The service watches node 1; the daemon of node 2 is started by hand.
daemons() { daemons_of /etc/repmgr.conf; }
other() { daemons_of /etc/repmgr2.conf; }
other_ended() { [ -z "$(other)" ]; }
other_watches() { [ "$(sql 5502 'SELECT repmgr.repmgrd_is_running()')" = t ]; }
start_other() {
    as_postgres repmgrd -f /etc/repmgr2.conf --no-pid-file --daemonize >/dev/null 2>&1
    eventually other_watches
}
runs() { [ -n "$(daemons)" ]; }
runs_not() { [ -z "$(daemons)" ]; }
# In the unit, /usr is a file system of its own.
of_ours() { readlink "/proc/$(daemons | head -n 1)/exe" | grep -q '/lib/repmgr-oxide/repmgr$'; }
# Named in the metadata, so it came through its start.
registered() { [ "$(sql 5501 'SELECT repmgr.repmgrd_is_running()')" = t ]; }
watches() { runs && registered; }

# Everything but what lives and changes by itself, and what packages have: the original needs some, which stay.
everything() {
    find / -xdev \( -path /proc -o -path /dev -o -path /sys -o -path /tmp -o -path '/mnt' -o -path /run -o -path /var/cache \
        -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/log -o -path /var/lib/postgresql \) -prune -o -print |
        grep -v '/\.pwd\.lock$\|^/var/lib/systemd/deb-systemd-helper-enabled$\|^/etc/repmgr\|^/etc/postgresql/\|^/etc/mailcap' |
        sort | comm -23 - <(sort -u /var/lib/dpkg/info/*.list)
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

# Without an init system, only the service that this is about is started.
if [ ! -d /run/systemd/system ]; then
    printf '#!/bin/sh\n[ "$1" = repmgrd ] || exit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
fi
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
reconnect_attempts=2
reconnect_interval=1
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
start_originals
eventually watches
! of_ours || fail "the original's daemon is ours"
start_other
old=$(daemons)
by_hand=$(other)
state=$(cluster_state)
kept=$(settings)

step "installed over it: settings, metadata, servers and service are kept"
apt install /mnt/1/*.deb
same "settings" "$kept" "$(settings)"
eventually watches
[ "$old" != "$(daemons)" ] && of_ours || fail "the original's daemon still runs"
same "cluster" "$state" "$(cluster_state)"
[ "$(other)" = "$by_hand" ] || fail "the daemon that was started by hand is gone"
grep -q "still runs: $by_hand;" /tmp/apt.log || fail "not a word of the daemon that was started by hand"
[ "$(dpkg-query -W -f '${db:Status-Abbrev}' dependent)" = "ii " ] || fail "what depends on the original is gone"
[ -z "$(dpkg --audit)" ] || fail "$(dpkg --audit)"
apt-get check -qq
as_postgres repmgr -f /etc/repmgr.conf cluster show >/tmp/show || fail "cluster show"
as_postgres "$bin/repmgr" -f /etc/repmgr2.conf node check >/dev/null || fail "node check of the standby"
as_postgres repmgr -f /etc/repmgr.conf --version --verbose | grep -q oxide || fail "/usr/bin/repmgr is not ours"
for page in repmgr repmgrd repmgr.conf repmgr-standby-switchover; do
    man -w "$page" >/dev/null || fail "no manual page $page"
done
warnings=$(dpkg -L repmgr-oxide | grep '/man[1-8]/.*gz$' | MANWIDTH=80 xargs man --warnings -l 2>&1 >/dev/null)
[ -z "$warnings" ] || fail "manual pages: $warnings"

step "what is left of the original is purged: nothing of ours goes with it"
apt purge repmgr repmgr-common "postgresql-$major-repmgr"
same "settings" "$kept" "$(settings)"
# The original's postrm takes the links of System V away, whoever has the script; systemd's are others.
update-rc.d repmgrd defaults
ls /etc/rc2.d/S??repmgrd >/dev/null || fail "the service does not start with the system any more"
[ -x /etc/init.d/repmgrd ] || fail "no init script"
eventually watches

step "upgraded: the daemon is another, the cluster the same"
if compgen -G '/mnt/5/*.deb' >/dev/null; then
    apt install --allow-downgrades --reinstall /mnt/5/*.deb
    eventually watches
fi
# The daemon of the standby, which would promote it.
kill "$(other)"
eventually other_ended
start_other
old=$(daemons)
by_hand=$(other)
apt install /mnt/2/*.deb
eventually watches
[ "$old" != "$(daemons)" ] || fail "the daemon was not restarted"
[ "$(other)" = "$by_hand" ] || fail "the daemon that was started by hand is gone"
same "settings" "$kept" "$(settings)"
same "cluster" "$state" "$(cluster_state)"
kill "$by_hand"
eventually other_ended

step "the init script"
service status >/dev/null || fail "status of a running service"
service start
[ "$(daemons | wc -l)" = 1 ] || fail "started twice"
old=$(daemons)
service restart
eventually watches
[ "$old" != "$(daemons)" ] || fail "restart"
service stop
eventually runs_not
! service status >/dev/null || fail "status of a stopped service"
service try-restart
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
    service start || fail "start is not refused quietly: $line"
    /usr/lib/repmgr-oxide/repmgrd-service check 2>/tmp/reason && fail "to be started: $line"
    grep -q "not started: .*${line%%=*}" /tmp/reason || fail "no reason: $(cat /tmp/reason)"
    cp -p /tmp/default /etc/default/repmgrd
done
sleep 1
runs_not || fail "started"

step "options that put the daemon into the background do not hide it"
sed -i 's/^REPMGRD_OPTS=.*/REPMGRD_OPTS="-d --daemonize -v"/' /etc/default/repmgrd
service start
eventually watches
service status >/dev/null || fail "lost sight of it"
service stop
eventually runs_not
sed -i 's/^REPMGRD_OPTS=.*/REPMGRD_OPTS="--daemonize=false"/' /etc/default/repmgrd

step "back to the original, and again over it"
service start
eventually watches
apt -o Dpkg::Options::=--force-confold install repmgr repmgr-common "postgresql-$major-repmgr"
same "settings" "$kept" "$(settings)"
eventually watches
! of_ours || fail "ours still runs"
# The original's service loses sight of a daemon that puts itself into the background.
service stop
eventually runs_not
sed -i '/^REPMGRD_OPTS/d' /etc/default/repmgrd
kept=$(settings)
start_originals
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
left=$(find /run -name '*repmgr*')
[ -z "$left" ] || fail "left in /run: $left"
! dpkg-query -W '*repmgr*' 2>/dev/null | grep -q . || fail "dpkg: $(dpkg-query -W '*repmgr*')"
same "servers" "$(tail -n 2 <<<"$state")" "$(postmasters)"
[ "$(sql 5501 'SELECT count(*) FROM repmgr.nodes')" = 2 ] || fail "the metadata is gone"

step "installed where nothing was: no daemon, until it is set up"
apt install /mnt/1/*.deb
sleep 1
runs_not || fail "started"
printf 'REPMGRD_ENABLED=yes\nREPMGRD_CONF=/etc/repmgr.conf\n' >/etc/default/repmgrd
/usr/sbin/service repmgrd start
eventually watches
eventually of_ours
pg_ctlcluster "$major" node2 stop -m fast
pg_ctlcluster "$major" node1 stop -m fast
