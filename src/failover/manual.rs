//! The manual's chapter on failover: what is decided, and the table of rules.

use std::fmt::Write;

use super::rules::Rule;
use super::state::Cause;

const OPENING: &str = "# Failover

<!-- Generated from src/failover; UPDATE_GENERATED=1 cargo test --test generated -->

Every turn the daemon gathers what it can see, decides by one rule, and logs the rule's name and its reason
with the numbers. The daemons have no leader: each one evaluates the same rules on what it sees itself.

## When a primary counts as lost

A probe of the upstream ends in one of these:

| Probe | Counts as |
|---|---|
| answered | up |
| refused, silent, unreachable, starting up or shutting down | down |
| login refused, no free connection, another error of the server | there, but refuses this node: never a reason for a failover |
| the name has no address, the connection string cannot be used | unknown: never a reason for a failover |

A probe is started every `monitor_interval_secs`. The first one that fails, or has not answered when the next one is
due, is the first of `reconnect_attempts`; the others are started `reconnect_interval` (at least 100 ms) apart by
the clock, whether the one before has ended or not. Each has a limit of its own: the `connect_timeout` of the node's
`conninfo` (2 seconds without one) for each host in it; with `connection_check_type=query` also
`async_query_timeout`. The TCP connection must be there half a second sooner, if `connect_timeout` is 2 seconds or
more: a server that needs longer for it would not complete the login in time. An attempt that succeeds, whichever,
means that the upstream is there.

An election begins as soon as all attempts have found the upstream down, without one between them that was let in or
told that it is refused, and the last of them was started so long after the first as the attempts take on the clock. So
the time from the loss to that decision is at most

    monitor_interval_secs + (reconnect_attempts - 1) * reconnect_interval + what one attempt takes to fail

which is nothing if connections are refused, `connect_timeout` less half a second if packets are dropped, and
`connect_timeout` if the server accepts and does not answer; `failover_delay` and the time to stop WAL receivers
(`standby_disconnect_on_failover`) are added. A connection that drops is a reason to probe at once. The daemon prints
this time when it begins to watch a primary. It holds while the own server and the other nodes answer; a sibling that
is silent, too, costs its own `connect_timeout`.

The siblings are asked after the last attempt has failed, so that their WAL positions are final. The primary is probed
once more at the same time, and not waited for if its last answer is not older than two seconds. A standby whose
WAL receiver had a message from the primary after its loss takes it for alive. A primary that lives on unseen may still
feed one standby when the other has been elected; then the first is ahead of the new timeline, cannot follow, and says
so. With `standby_disconnect_on_failover` no WAL receiver runs while the votes are compared. A daemon that has not seen the upstream
alive since it started waits for it and does not vote.

`promote_command` finds the id of the lost primary in the environment variable `REPMGRD_LOST_PRIMARY`: `repmgr standby
promote` asks that node once more whether it is a primary, and waits a quarter of a second for the answer where
it waits for `connect_timeout` otherwise.

## The election

1. Without a readable voting term, or with `failover=manual`, the node is no candidate; with priority 0 it loses.
2. The siblings are the active nodes that are recorded at the same upstream. Without any, the node wins if it is in
   the primary's location.
3. Every sibling that can be connected to is visible. If one is a primary that can be followed, it is followed.
4. A node of the primary's location must be visible; with `primary_visibility_consensus` no visible node may have
   seen the primary within twice `monitor_interval_secs`; no visible node may watch another node in its place that
   is out of this one's sight, as that may have been promoted; and more than half of the siblings and this node must
   be visible.
5. The best candidate is the one with the most WAL received, then the highest priority, then the lowest id. Nodes
   without a running daemon, paused ones, and those with priority 0 are no candidates, nor is one that was elected and
   has not acted for longer than a promotion may take. A standby that applies WAL with a delay
   (`recovery_min_apply_delay`), or whose replay is paused, ranks by what it has received like any other, as a
   promotion replays the rest at once; the reason names it. `priority=0` keeps it from being promoted.
6. The best candidate promotes itself, after `failover_validation_command` if there is one. It holds back for five
   seconds and looks again if its own server or daemon is just back and not every sibling saw the primary after that,
   or if it takes the place of better nodes that seem unable to act, which are told so; but not originals, which do not
   hold back when they are told.
7. The others wait for its word. If none comes within `primary_notification_timeout`, they vote again every
   `election_rerun_interval`.

A promotion is judged by the server: it has left recovery, or it has not, however the command ended. A node whose
promotion failed stands aside and has the others vote again. A standby that knows of a successor of its lost upstream
and could not follow it goes on trying to follow, and is never promoted in its place.

## Degraded

A degraded daemon looks every turn for its upstream, for a primary that it can follow, and for a notification.
The reasons:

";

const WITHOUT_LIBRARY: &str = "
## Without the server library

A daemon whose server has no repmgr library that answers (it is not installed, or it is the original's and not in
`shared_preload_libraries`) says so at its start and works with what PostgreSQL offers itself, also beside daemons of
this program that have the library:

- it is present on its server by an advisory lock of its session, whose `application_name` says its process and when it
  saw which upstream;
- who tells it whom to follow, or to vote again, holds an advisory lock there until it was heard, for two minutes at
  most; the daemon ends that session when it has acted (it must be the same role);
- `service pause` sets `repmgr.paused` with ALTER SYSTEM, which takes a superuser, or from PostgreSQL 15 on the right to
  set it. The setting stays in `postgresql.auto.conf` with the node's id, so it holds over restarts and does not pause a
  clone;
- the time of the last update in `repmgr.replication_status` is not there.

A daemon of the original can neither ask nor tell such a node: it passes the node over in an election, and counts it
for the majority. So a daemon without the library does not start where it finds a running daemon of the original on
another node. Where one is started later, no daemon of this program votes for a node without the library as long as it
sees the original among the voters, and the node itself follows whoever is promoted.
";

const ALARMS: &str = "
## Alarms

What no daemon can mend it writes to its log as an ERROR, once, and repeats in the status line
(`log_status_interval`) for as long as it lasts: another primary beside the own one or the one that is watched (a
primary's daemon looks for one every 30 seconds), a server out of recovery whose record says standby, and a voting
term that is missing.
";

/// Written by hand; `tests/generated.rs` holds that each test that it names is there.
const WEAKNESSES: &str = include_str!("weaknesses.md");

/// Written by `make faults` with `FAULTS_RECORD=1`.
const FAULTS: &str = include_str!("faults.md");

/// `docs/failover.md`.
pub fn manual() -> String {
    let mut text = String::from(OPENING);
    for cause in Cause::ALL {
        let _ = writeln!(text, "- {}", cause.sentence());
    }
    text.push_str(WITHOUT_LIBRARY);
    text.push_str(ALARMS);
    text.push_str("\n## Rules\n\n| Rule | In state | Leads to | Meaning |\n|---|---|---|---|\n");
    for rule in Rule::ALL {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            rule.name(),
            rule.from(),
            rule.to(),
            rule.sentence()
        );
    }
    text.push_str(FAULTS);
    text.push_str(WEAKNESSES);
    text
}
