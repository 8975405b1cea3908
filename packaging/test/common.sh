# What the steps of the package tests have in common; needs the variable major.

bin=/usr/lib/postgresql/$major/bin

step() { printf -- '-- %s\n' "$*"; }
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    for log in /tmp/apt.log /var/log/postgresql/*.log; do
        [ ! -s "$log" ] || { printf '== %s\n' "$log"; tail -n 15 "$log"; } >&2
    done
    [ ! -d /run/systemd/system ] || journalctl -q --no-pager -n 40 -u 'repmgrd*' >&2
    exit 1
}
# Waits for a command to succeed, three minutes at most: the machine may be busy.
eventually() {
    for _ in $(seq 720); do
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

# The daemons with this configuration file.
daemons_of() {
    for pid in $(pgrep -x repmgrd); do
        ! grep -qzx -e "$1" -e "--config-file=$1" "/proc/$pid/cmdline" || echo "$pid"
    done
}
