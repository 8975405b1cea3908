#!/bin/bash
# Does in a clean Debian what a page of the documentation says, line by line: all its blocks marked "sh", in one shell.
# /mnt/1 has the packages. Under systemd the cluster is left running.
#
#   docs.sh PAGE
set -euo pipefail
page=$1

# What systemd would do, if it does not run here.
booted=
[ ! -d /run/systemd/system ] || booted=yes
[ -n "$booted" ] || {
cat >/usr/local/bin/systemctl <<'END'
#!/bin/bash
set -euo pipefail
[ "$1 $2" = "enable --now" ] || { echo "systemctl: not played here: $*" >&2; exit 1; }
shift 2
for unit in "$@"; do
    instance=${unit#repmgrd@}
    instance=${instance%.service}
    command=$(sed -n "s/^ExecStart=//p" /usr/lib/systemd/system/repmgrd@.service | sed "s/%i/$instance/g")
    # shellcheck disable=SC2086
    REPMGRD_OPTS='' start-stop-daemon --start --background --make-pidfile --pidfile "/run/played-$instance.pid" --chuid postgres --startas /bin/sh -- -c "exec $command"
    # Type=notify: it watches when this returns.
    port=$(sed -n "s/^conninfo=.*port=\([0-9]*\).*/\1/p" "/etc/repmgr/$instance.conf")
    for _ in $(seq 240); do
        running=$(runuser -u postgres -- psql -X -A -t -p "$port" -d repmgr -c "SELECT repmgr.repmgrd_is_running()")
        [ "$running" != t ] || break
        sleep 0.25
    done
done
END
chmod 755 /usr/local/bin/systemctl
export PATH=/usr/local/bin:$PATH
}

mkdir /tmp/packages
cp /mnt/1/*.deb /tmp/packages
cd /tmp/packages
{
    echo 'set -euo pipefail'
    awk '/^```sh$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$page"
} >/tmp/page.sh
[ "$(wc -l </tmp/page.sh)" -gt 5 ] || { echo "nothing to run in $page" >&2; exit 1; }
bash /tmp/page.sh >/tmp/page.log 2>&1 </dev/null || {
    echo "FAILED: $page" >&2
    tail -n 60 /tmp/page.log >&2
    exit 1
}
# What the page promised, as the servers see it.
version=$(ls /usr/lib/postgresql | sort -n | tail -n 1)
states=$(for n in 1 2 3; do
    runuser -u postgres -- psql -X -A -t -p 550$n -c "SELECT $n, pg_is_in_recovery(), (SELECT count(*) FROM pg_stat_replication)"
done)
[ "$states" = $'1|f|2\n2|t|0\n3|t|0' ] || { echo "FAILED: not the cluster that $page ends with: $states" >&2; tail -n 60 /tmp/page.log >&2; exit 1; }
[ -n "$booted" ] || for n in 1 2 3; do pg_ctlcluster "$version" node$n stop -m fast; done
