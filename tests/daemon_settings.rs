//! Settings of `repmgrd` that decide how it looks, when it gives up, and whom it asks before it acts.

mod support;

use std::path::PathBuf;

use nix::sys::signal::Signal;
use support::cluster::{Cluster, Node};
use support::{eventually, user};

/// Nodes with quick automatic failover, the standbys attached; no daemon runs yet.
fn cluster(name: &str, count: u32, more: impl Fn(&Node) -> String) -> Cluster {
    let cluster = Cluster::new(name, count);
    for node in &cluster.nodes {
        node.write_config(&format!("{}{}", node.automatic_failover(), more(node)));
    }
    cluster.primary_up("");
    for id in 2..=count {
        cluster.standby_up(id);
        cluster.wait_record(id, id);
    }
    cluster
}

/// Starts the daemon of a node and waits until it has begun to watch.
fn watch(cluster: &mut Cluster, id: u32) {
    cluster.node_mut(id).start_daemon();
    let sql = format!("SELECT count(*) > 0 FROM repmgr.events WHERE node_id = {id} AND event = 'repmgrd_start'");
    eventually(&format!("the daemon of node{id} watches"), || {
        (cluster.node(1).server.query(&sql) == "t").then_some(())
    });
}

/// Waits until a daemon's log says something after the first `from` bytes.
fn logged(cluster: &Cluster, id: u32, from: usize, text: &str) {
    eventually(&format!("node{id} logs: {text}"), || {
        cluster.node(id).daemon_log()[from..].contains(text).then_some(())
    });
}

fn no_loss(cluster: &Cluster, id: u32, from: usize) {
    let log = &cluster.node(id).daemon_log()[from..];
    assert!(!log.contains("rule \"upstream-lost\""), "{log}");
}

/// Writes other lines after those of automatic failover, and waits until the daemon uses them.
fn reload(cluster: &Cluster, id: u32, more: &str, sign: &str) {
    let node = cluster.node(id);
    let from = node.daemon_log().len();
    node.write_config(&format!("{}{more}", node.automatic_failover()));
    node.signal_daemon(Signal::SIGHUP);
    logged(cluster, id, from, sign);
}

/// Waits until node 2 has replaced node 1 and its daemon has recorded that, so that no command is left running.
fn promoted(cluster: &Cluster) {
    cluster.wait_primary(2);
    let sql =
        "SELECT count(*) FROM repmgr.events WHERE node_id = 2 AND event = 'repmgrd_failover_promote' AND successful";
    eventually("the promotion is recorded", || {
        (cluster.node(2).server.query(sql) == "1").then_some(())
    });
}

/// A file beside a node's server that commands of the test write to.
fn notes(node: &Node, name: &str) -> PathBuf {
    node.server.folder.join(name)
}

fn lines(path: &PathBuf) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A program of the test's own: `repmgr.conf` keeps quotes of a shell command out of sight.
fn script(node: &Node, name: &str, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = node.server.folder.join(name);
    user::write(&path, &format!("#!/bin/sh\n{text}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("the script's mode");
    path.display().to_string()
}

#[test]
fn each_way_to_look_at_the_primary_sees_its_loss() {
    let query = "connection_check_type=query\nasync_query_timeout=8\n\
                 connection_check_query='INSERT INTO public.checks SELECT pg_backend_pid(), pg_sleep(seconds)::text FROM public.slow'\n";
    let mut cluster = cluster("settings-checks", 3, |node| match node.id {
        3 => query.to_owned(),
        _ => "connection_check_type=connection\n".to_owned(),
    });
    let primary = &cluster.node(1).server;
    primary.query("CREATE TABLE public.slow (seconds double precision)");
    primary.query("INSERT INTO public.slow VALUES (6)");
    primary.query("CREATE TABLE public.checks (pid int, nothing text, at timestamptz DEFAULT now())");
    primary.query("GRANT ALL ON public.slow, public.checks TO repmgr");
    for id in 2..=3 {
        watch(&mut cluster, id);
    }
    let primary = &cluster.node(1).server;

    // A query that takes longer than others may is waited for as long as the setting says, on the kept connection.
    eventually("two checks were completed", || {
        (primary.query("SELECT count(*) >= 2 FROM public.checks") == "t").then_some(())
    });
    assert_eq!(primary.query("SELECT count(DISTINCT pid) FROM public.checks"), "1");
    // Beyond that the primary is lost for this node, until it answers again.
    no_loss(&cluster, 3, 0);
    let from = cluster.node(3).daemon_log().len();
    primary.query("UPDATE public.slow SET seconds = 60");
    reload(
        &cluster,
        3,
        &query.replace("async_query_timeout=8", "async_query_timeout=1"),
        "\"async_query_timeout\" is now",
    );
    logged(&cluster, 3, from, "rule \"upstream-lost\"");
    primary.query("DELETE FROM public.slow");
    logged(&cluster, 3, from, "rule \"upstream-back\"");
    // Nobody waits for those that slept for too long, but they hold the table.
    let abandoned = "FROM pg_stat_activity WHERE query LIKE 'INSERT INTO public.checks%' AND state = 'active' \
                     AND wait_event = 'PgSleep'";
    eventually("the checks that nobody waits for are ended", || {
        primary.query(&format!("SELECT count(pg_terminate_backend(pid)) {abandoned}"));
        (primary.query(&format!("SELECT count(*) {abandoned}")) == "0").then_some(())
    });
    assert_eq!(cluster.primaries(), [1]);
    // A statement that fails is an answer.
    let from = cluster.node(3).daemon_log().len();
    cluster.node(1).server.query("DROP TABLE public.checks");
    let errors = || {
        cluster
            .node(1)
            .server
            .log()
            .matches("\"public.checks\" does not exist")
            .count()
    };
    eventually("the check fails twice", || (errors() >= 2).then_some(()));
    no_loss(&cluster, 3, from);

    // Each look with `connection` is a login of its own; one that is refused shows that a server is there.
    let from = cluster.node(2).daemon_log().len();
    cluster.node(1).server.query("ALTER ROLE repmgr NOLOGIN");
    logged(&cluster, 2, from, "not permitted to log in");
    logged(&cluster, 2, from, "rule \"upstream-refuses\"");
    assert_eq!(cluster.primaries(), [1]);
    cluster.node(1).server.query("ALTER ROLE repmgr LOGIN");
    logged(&cluster, 2, from, "rule \"upstream-back\"");
    for id in 2..=3 {
        assert!(!cluster.node(id).daemon_log().contains("running promote_command"));
    }

    cluster.node(1).server.kill();
    promoted(&cluster);
    cluster.wait_streaming(2, 3);
    assert_eq!(cluster.primaries(), [2]);
}

#[test]
fn a_promotion_waits_for_the_word_of_the_validation_command() {
    let mut cluster = cluster("settings-validation", 2, |node| {
        let (asked, yes) = (notes(node, "asked"), notes(node, "yes"));
        let text = format!("echo \"$*\" >> {}\ntest -e {}", asked.display(), yes.display());
        let program = script(node, "validate", &text);
        format!("failover_validation_command='{program} %n \"%a\" %v %u %t %% %x'\nelection_rerun_interval=1\n")
    });
    watch(&mut cluster, 2);
    cluster.node(1).server.kill();
    let node = cluster.node(2);
    eventually("the command has refused twice", || {
        (lines(&notes(node, "asked")).len() >= 2).then_some(())
    });
    assert!(!node.server.is_primary());
    assert!(!node.daemon_log().contains("running promote_command"));
    user::write(&notes(node, "yes"), "");
    promoted(&cluster);
    for line in lines(&notes(node, "asked")) {
        assert_eq!(line, "2 node2 1 1 2 % %x");
    }
}

#[test]
fn a_primary_without_children_runs_its_command_and_a_degraded_daemon_ends_in_time() {
    let mut cluster = cluster("settings-children", 2, |node| {
        let (gone, ended) = (notes(node, "gone"), notes(node, "ended"));
        let command = script(node, "fence", &format!("echo \"$*\" >> {}", gone.display()));
        let event = script(node, "event", &format!("echo \"$*\" >> {}", ended.display()));
        format!(
            "child_nodes_disconnect_command='{command} %p %%'\nchild_nodes_check_interval=1\n\
             child_nodes_disconnect_timeout=2\nfailover=manual\ndegraded_monitoring_timeout=2\n\
             event_notification_command='{event} %n %e %s'\nevent_notifications='repmgrd_shutdown'\n"
        )
    });
    watch(&mut cluster, 1);
    let gone = notes(cluster.node(1), "gone");
    let events = |event: &str| {
        let sql =
            format!("SELECT count(*), bool_and(successful) FROM repmgr.events WHERE node_id = 1 AND event = '{event}'");
        cluster.node(1).server.query(&sql)
    };
    // A paused daemon does not run it.
    logged(&cluster, 1, 0, "monitoring cluster primary");
    cluster.node(1).server.query("SELECT repmgr.repmgrd_pause(true)");
    cluster.node(2).server.stop("fast");
    eventually("the child is missed", || {
        (events("child_node_disconnect") == "1|t").then_some(())
    });
    eventually("the child has been away for longer than the limit", || {
        let sql = "SELECT now() - event_timestamp > interval '4 seconds' FROM repmgr.events WHERE event = 'child_node_disconnect'";
        (cluster.node(1).server.query(sql) == "t").then_some(())
    });
    assert!(lines(&gone).is_empty());
    cluster.node(1).server.query("SELECT repmgr.repmgrd_pause(false)");
    eventually("the command was run", || (!lines(&gone).is_empty()).then_some(()));
    eventually("that is recorded", || {
        (events("child_nodes_disconnect_command") == "1|t").then_some(())
    });
    logged(&cluster, 1, 0, "child_nodes_disconnect_command was run already");
    assert_eq!(lines(&gone), ["1 %"]);
    // Once for each time that too few are left.
    cluster.node(2).server.start();
    eventually("the child is back", || {
        (events("child_node_reconnect") == "1|t").then_some(())
    });
    cluster.node(2).server.stop("fast");
    eventually("the command was run again", || {
        (lines(&gone) == ["1 %", "1 %"]).then_some(())
    });

    cluster.node(2).server.start();
    cluster.wait_streaming(1, 2);
    watch(&mut cluster, 2);
    cluster.node(1).server.stop("immediate");
    for id in [1, 2] {
        assert_eq!(cluster.node_mut(id).wait_daemon(), Some(9), "node{id}");
        let log = cluster.node(id).daemon_log();
        assert!(log.contains("rule \"degraded-too-long\""), "{log}");
        assert_eq!(
            lines(&notes(cluster.node(id), "ended")),
            [format!("{id} repmgrd_shutdown 1")]
        );
    }
    // The server that is still there knows that its daemon is gone.
    assert_eq!(cluster.node(2).server.query("SELECT repmgr.get_repmgrd_pid()"), "-1");
}

#[test]
fn a_node_that_lets_us_in_and_then_says_nothing_is_visible() {
    let mut cluster = Cluster::new("settings-mute", 3);
    for node in &cluster.nodes {
        node.write_config(&node.automatic_failover());
    }
    cluster.primary_up("");
    cluster.standby_up(2);
    let witness = cluster.node(3);
    witness.server.initialise("");
    witness.server.start();
    witness.create_role();
    witness.server.query("CREATE EXTENSION repmgr");
    witness.server.query("GRANT USAGE ON SCHEMA repmgr TO repmgr");
    witness
        .server
        .query("GRANT ALL ON ALL TABLES IN SCHEMA repmgr TO repmgr");
    let record = format!(
        "INSERT INTO repmgr.nodes VALUES (3, 1, true, 'node3', 'witness', 'default', 0, '{}', 'repmgr', NULL, '{}')",
        witness.server.conninfo(),
        witness.config_file.display()
    );
    cluster.node(1).server.query(&record);
    cluster.wait_record(2, 3);
    // Logins go on, the question what its daemon does meets its deadline.
    let mute = "CREATE OR REPLACE FUNCTION repmgr.get_repmgrd_pid() RETURNS int LANGUAGE sql STRICT \
                AS 'SELECT pg_sleep(60); SELECT 1'";
    witness.server.query(mute);
    watch(&mut cluster, 2);
    cluster.node(1).server.kill();
    promoted(&cluster);
    let log = cluster.node(2).daemon_log();
    assert!(
        log.contains("2 of 2 nodes visible; left out: 3 (status unreadable)"),
        "{log}"
    );
}

/// Monitoring at a pace of ten minutes would find out far too late for this test.
#[test]
fn a_dropped_connection_is_noticed_when_it_drops_and_intervals_may_have_fractions() {
    let mut cluster = cluster("settings-dropped", 2, |_| {
        "monitor_interval_secs=10min\nreconnect_attempts=3\nreconnect_interval=500ms\n".to_owned()
    });
    watch(&mut cluster, 2);
    logged(&cluster, 2, 0, "601.0 s if its host refuses connections");
    let standby = &cluster.node(2).server;
    standby.query("ALTER SYSTEM SET recovery_min_apply_delay = '90min'");
    standby.query("SELECT pg_reload_conf()");
    cluster.node(1).server.kill();
    promoted(&cluster);
    let log = cluster.node(2).daemon_log();
    assert!(log.contains("WAL replay: 2 (delayed by 5400 s)"), "{log}");
}
