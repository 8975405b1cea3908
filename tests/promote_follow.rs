//! `standby promote` and `standby follow` on real servers.

mod support;

use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use support::cluster::{Cluster, Node};
use support::flavor::Flavor;
use support::sshd::Sshd;
use support::{eventually, user};

/// Node 1 registered as primary; the others streaming from it and registered, with these settings.
fn cluster(name: &str, count: u32, settings: &str) -> Cluster {
    let cluster = Cluster::new(name, count);
    for node in &cluster.nodes {
        node.write_config(settings);
    }
    cluster.primary_up("");
    for id in 2..=count {
        let node = cluster.node(id);
        node.base_backup_from(cluster.node(1));
        cluster.wait_streaming(1, id);
        node.repmgr_ok(&["standby", "register", "--wait-sync=60"]);
    }
    // Every node shall know every other one.
    for holder in 2..=count {
        cluster.wait_record(holder, count);
    }
    cluster
}

fn last_event(node: &Node, event: &str) -> String {
    node.server.query(&format!(
        "SELECT concat_ws(' ', node_id, event, successful) FROM repmgr.events WHERE event = '{event}' \
         ORDER BY event_timestamp DESC LIMIT 1"
    ))
}

fn details(node: &Node, event: &str) -> String {
    node.server.query(&format!(
        "SELECT details FROM repmgr.events WHERE event = '{event}' ORDER BY event_timestamp DESC LIMIT 1"
    ))
}

fn slots(node: &Node) -> String {
    node.server.query(
        "SELECT coalesce(string_agg(slot_name || ' ' || active, ', ' ORDER BY slot_name), '') FROM pg_replication_slots",
    )
}

fn replication_configuration(node: &Node) -> String {
    std::fs::read_to_string(node.server.data.join("postgresql.auto.conf")).expect("postgresql.auto.conf")
}

#[test]
fn a_standby_is_promoted_and_its_sibling_follows_it() {
    let cluster = cluster("promote", 3, "");
    let (first, second, third) = (cluster.node(1), cluster.node(2), cluster.node(3));
    second.repmgr_fails(8, &["standby", "promote"]);
    second.repmgr_fails(8, &["standby", "promote", "--dry-run"]);
    first.repmgr_fails(8, &["standby", "promote"]);
    assert_eq!(cluster.primaries(), [1], "beside a primary nobody is promoted");

    first.server.kill();
    second.repmgr_ok(&["standby", "promote", "--dry-run"]);
    assert_eq!(cluster.primaries(), [] as [u32; 0], "a dry run changes nothing");
    second.repmgr_ok(&["standby", "promote"]);
    assert_eq!(cluster.primaries(), [2]);
    let records = "SELECT string_agg(concat_ws(' ', node_id, type, active, coalesce(upstream_node_id, 0)), ', ' \
                   ORDER BY node_id) FROM repmgr.nodes";
    assert_eq!(
        second.server.query(records),
        "1 primary f 0, 2 primary t 0, 3 standby t 1"
    );
    assert_eq!(last_event(second, "standby_promote"), "2 standby_promote t");
    assert_eq!(
        details(second, "standby_promote"),
        "server \"node2\" (ID: 2) was successfully promoted to primary"
    );

    let before = replication_configuration(third);
    third.repmgr_ok(&["standby", "follow", "--dry-run"]);
    assert_eq!(replication_configuration(third), before, "a dry run changes nothing");
    assert_eq!(third.record_on(&second.server, "upstream_node_id"), "1");
    third.repmgr_ok(&["standby", "follow"]);
    cluster.wait_streaming(2, 3);
    assert_eq!(
        third.record_on(&second.server, "concat_ws(' ', upstream_node_id, type, active)"),
        "2 standby t"
    );
    assert_eq!(last_event(second, "standby_follow"), "3 standby_follow t");
    second
        .server
        .query("CREATE TABLE after_promotion AS SELECT 42 AS answer");
    eventually("the follower has what was written after the promotion", || {
        (third.server.try_query("SELECT answer FROM after_promotion").as_deref() == Ok("42")).then_some(())
    });
}

#[test]
fn siblings_on_this_host_follow_on_request() {
    let cluster = cluster("siblings", 4, "");
    cluster.node(1).server.kill();
    let second = cluster.node(2);
    second.repmgr_ok(&["standby", "promote", "--siblings-follow", "--dry-run"]);
    assert_eq!(cluster.primaries(), [] as [u32; 0], "a dry run changes nothing");
    second.repmgr_ok(&["standby", "promote", "--siblings-follow"]);
    assert_eq!(cluster.primaries(), [2]);
    for id in [3, 4] {
        cluster.wait_streaming(2, id);
        assert_eq!(cluster.node(id).record_on(&second.server, "upstream_node_id"), "2");
    }
}

#[test]
fn siblings_elsewhere_are_told_over_ssh_and_their_exit_status_counts() {
    let cluster = cluster("ssh-siblings", 4, "");
    let (first, second) = (cluster.node(1), cluster.node(2));
    let noted = cluster.folder.join("ssh.log");
    let sshd = Sshd::start(&format!(
        "ForceCommand echo \"$SSH_ORIGINAL_COMMAND\" >>{}; eval \"$SSH_ORIGINAL_COMMAND\"",
        noted.display()
    ));
    let (_, _, user) = support::user::ordinary();
    let options = sshd
        .config(&format!("-p {} -o HostName=127.0.0.1", sshd.port))
        .ssh_options;
    let options = format!(
        "{options} -i {} -o UserKnownHostsFile={}",
        sshd.path("id").display(),
        sshd.path("known_hosts").display()
    );
    let programs = second.programs.display();
    second.write_config(&format!("repmgr_bindir='{programs}'\nssh_options='{options}'"));
    // The host is only a name for ssh; the server is reached by its address.
    let address = first.server.flavor.host().replace("localhost", "127.0.0.1");
    first.server.query(&format!(
        "UPDATE repmgr.nodes SET conninfo = replace(conninfo, 'host={}', 'host=elsewhere.invalid hostaddr={address}'), \
         config_file = CASE node_id WHEN 4 THEN '/no/such.conf' ELSE config_file END WHERE node_id IN (3, 4)",
        first.server.flavor.host()
    ));
    eventually("the records have arrived", || {
        let sql = "SELECT count(*) FROM repmgr.nodes WHERE conninfo LIKE '%elsewhere%'";
        (second.server.try_query(sql).as_deref() == Ok("2")).then_some(())
    });
    first.server.kill();
    let promote = second
        .program("repmgr")
        .args(["standby", "promote", "--siblings-follow", "-R", &user])
        .output()
        .expect("repmgr");
    let said = String::from_utf8_lossy(&promote.stderr);
    assert_eq!(promote.status.code(), Some(0), "{said}");
    assert_eq!(cluster.primaries(), [2]);
    cluster.wait_streaming(2, 3);
    assert!(said.contains("WARNING") && said.contains("node4"), "{said}");
    assert_eq!(cluster.node(4).record_on(&second.server, "upstream_node_id"), "1");
    let commands = std::fs::read_to_string(noted).expect("ssh.log");
    let expected = format!(
        "{programs}/repmgr -f {} standby follow",
        cluster.node(3).config_file.display()
    );
    assert!(commands.lines().any(|line| line == expected), "{commands}");
}

#[test]
fn siblings_need_walsenders() {
    let cluster = cluster("walsenders", 2, "");
    let (first, second) = (cluster.node(1), cluster.node(2));
    first.server.query(&format!(
        "INSERT INTO repmgr.nodes (node_id, upstream_node_id, node_name, type, conninfo, repluser, config_file) \
         SELECT n, 1, 'node' || n, 'standby', 'host={} port=1', 'repmgr', '/no/such.conf' \
         FROM generate_series(11, 21) n",
        first.server.flavor.host()
    ));
    cluster.wait_record(2, 21);
    first.server.kill();
    let said = second.repmgr_fails(1, &["standby", "promote", "--siblings-follow"]);
    assert!(said.contains("max_wal_senders"), "{said}");
    second.repmgr_fails(1, &["standby", "promote", "--siblings-follow", "--dry-run"]);
    assert_eq!(cluster.primaries(), [] as [u32; 0]);
    second.repmgr_ok(&["standby", "promote", "--siblings-follow", "--force"]);
    assert_eq!(cluster.primaries(), [2]);
}

#[test]
fn a_frozen_primary_holds_nobody_up() {
    let cluster = cluster("frozen", 3, "");
    cluster.node(1).server.freeze();
    // What was on its way arrives before the two are compared.
    let received = |id: u32| {
        let server = &cluster.node(id).server;
        let ended = "SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()";
        eventually("all that was received is replayed", || {
            (server.query(ended) == "t").then_some(())
        });
        server
            .query("SELECT pg_last_wal_receive_lsn() - '0/0'")
            .parse::<u64>()
            .expect("a position")
    };
    let (best, other) = if received(2) >= received(3) { (2, 3) } else { (3, 2) };
    cluster.node(best).repmgr_ok(&["standby", "promote"]);
    cluster.node(other).repmgr_ok(&["standby", "follow"]);
    cluster.wait_streaming(best, other);
    cluster.node(1).server.kill();
}

#[test]
fn a_sibling_that_cannot_be_reached_is_left_behind_only_by_force() {
    let cluster = cluster("unreachable-sibling", 2, "ssh_options='-q -o ConnectTimeout=1'");
    let (first, second) = (cluster.node(1), cluster.node(2));
    first.server.query(
        "INSERT INTO repmgr.nodes (node_id, upstream_node_id, node_name, type, conninfo, repluser, config_file) \
         VALUES (9, 1, 'node9', 'standby', 'host=192.0.2.9 connect_timeout=1', 'repmgr', '/etc/repmgr.conf')",
    );
    cluster.wait_record(2, 9);
    first.server.kill();
    let said = second.repmgr_fails(1, &["standby", "promote", "--siblings-follow"]);
    assert!(said.contains("node9"), "{said}");
    assert_eq!(cluster.primaries(), [] as [u32; 0]);
    second.repmgr_ok(&["standby", "promote", "--siblings-follow", "--force"]);
    assert_eq!(cluster.primaries(), [2]);
}

#[test]
fn a_promotion_that_does_not_come_about_is_an_error() {
    let cluster = cluster("no-promotion", 2, "");
    let second = cluster.node(2);
    cluster.node(1).server.kill();
    second.write_config("service_promote_command='/bin/true'\npromote_check_timeout=2");
    second.repmgr_fails(8, &["standby", "promote"]);
    second.write_config("service_promote_command='/bin/false'");
    second.repmgr_fails(8, &["standby", "promote"]);
    second.write_config("service_promote_command='repmgr -f /etc/repmgr.conf standby promote'");
    let said = second.repmgr_fails(8, &["standby", "promote"]);
    assert!(said.contains("promote_command"), "{said}");
    assert_eq!(cluster.primaries(), [] as [u32; 0]);
    assert_eq!(second.record_on(&second.server, "type"), "standby");

    let marker = second.server.folder.join("promoted-by-command");
    let pg_ctl = second.server.stage.bindir.join("pg_ctl");
    second.write_config(&format!(
        "service_promote_command='touch {} && {} -D {} promote'",
        marker.display(),
        pg_ctl.display(),
        second.server.data.display()
    ));
    second.repmgr_ok(&["standby", "promote"]);
    assert_eq!(cluster.primaries(), [2]);
    assert!(marker.exists(), "the configured command was used");
}

#[test]
fn another_server_that_answers_in_place_of_the_promoted_one_is_not_taken_for_it() {
    let cluster = cluster("promote-swapped", 2, "");
    let second = cluster.node(2);
    let other = Cluster::new("promote-other", 1);
    other.primary_up("");
    let stranger = &other.node(1).server;
    // A record of its own under the promoted node's id, so that only its identity tells it from ours.
    stranger.query(
        "INSERT INTO repmgr.nodes (node_id, upstream_node_id, node_name, type, conninfo, repluser, config_file) \
         VALUES (2, 1, 'theirs', 'standby', 'host=198.51.100.1', 'repmgr', '/etc/repmgr.conf')",
    );
    stranger.stop("fast");
    let pg_ctl = stranger.stage.bindir.join("pg_ctl").display().to_string();
    second.write_config(&format!(
        "promote_check_timeout=3\nservice_promote_command='{pg_ctl} -m immediate -D {} stop && \
         {pg_ctl} -w -D {} -l {} -o \"-p {}\" start >/dev/null 2>&1'",
        second.server.data.display(),
        stranger.data.display(),
        stranger.log_file().display(),
        second.server.port
    ));
    cluster.node(1).server.kill();
    let said = second.repmgr_fails(6, &["standby", "promote"]);
    stranger.stop("fast");
    stranger.start();
    if stranger.flavor == Flavor::Plain {
        assert!(said.contains("another server answers"), "{said}");
    }
    let types = "SELECT string_agg(node_id || ' ' || type || ' ' || active, ', ' ORDER BY node_id) FROM repmgr.nodes";
    assert_eq!(stranger.query(types), "1 primary true, 2 standby true");
    let promoted = "SELECT count(*) FROM repmgr.events WHERE event = 'standby_promote'";
    assert_eq!(stranger.query(promoted), "0");
}

#[test]
fn slots_move_with_the_standby() {
    let cluster = cluster("follow-slots", 3, "use_replication_slots=yes");
    let (first, second, third) = (cluster.node(1), cluster.node(2), cluster.node(3));
    third.repmgr_ok(&["standby", "follow"]);
    cluster.wait_streaming(1, 3);
    assert_eq!(slots(first), "repmgr_slot_3 true");
    third.repmgr_ok(&["standby", "follow"]);
    assert_eq!(slots(first), "repmgr_slot_3 true", "its own active slot is no obstacle");

    third.repmgr_ok(&["standby", "follow", "--upstream-node-id=2", "--dry-run"]);
    assert_eq!(
        (slots(first), slots(second)),
        ("repmgr_slot_3 true".into(), String::new())
    );
    third.repmgr_ok(&["standby", "follow", "--upstream-node-id=2"]);
    cluster.wait_streaming(2, 3);
    assert_eq!(slots(second), "repmgr_slot_3 true");
    assert_eq!(slots(first), "", "the slot on the upstream that was left is gone");
    assert_eq!(third.record_on(&first.server, "upstream_node_id"), "2");
    assert_eq!(last_event(first, "standby_follow"), "3 standby_follow t");

    // A loop of two standbys would get no WAL from anybody.
    second.repmgr_fails(23, &["standby", "follow", "--upstream-node-id=3"]);
    second.repmgr_fails(23, &["standby", "follow", "--upstream-node-id=2"]);
    second.repmgr_fails(23, &["standby", "follow", "--upstream-node-id=9"]);
    assert_eq!(second.record_on(&first.server, "upstream_node_id"), "1");
}

#[test]
fn a_standby_that_does_not_attach_is_a_failure() {
    let cluster = cluster("no-attachment", 3, "");
    let (first, third) = (cluster.node(1), cluster.node(3));
    third.write_config("service_reload_command='/bin/true'\nstandby_follow_timeout=2");
    third.repmgr_fails(23, &["standby", "follow", "--upstream-node-id=2"]);
    assert_eq!(last_event(first, "standby_follow"), "3 standby_follow f");

    third.write_config("");
    third.repmgr_ok(&["standby", "follow", "--upstream-node-id=2"]);
    cluster.wait_streaming(2, 3);
}

#[test]
fn a_restart_is_used_where_it_is_wanted() {
    let cluster = cluster("follow-restart", 3, "standby_follow_restart=yes");
    let third = cluster.node(3);
    let started = third.server.query("SELECT pg_postmaster_start_time()");
    third.repmgr_ok(&["standby", "follow", "--upstream-node-id=2"]);
    cluster.wait_streaming(2, 3);
    assert_ne!(third.server.query("SELECT pg_postmaster_start_time()"), started);

    third.write_config("service_reload_command='/bin/false'\nservice_stop_command='/bin/false'");
    third.repmgr_fails(4, &["standby", "follow"]);
    assert_eq!(last_event(cluster.node(1), "standby_follow"), "3 standby_follow f");
}

#[test]
fn a_standby_that_is_ahead_of_the_fork_is_left_as_it_is() {
    let cluster = cluster("diverged", 3, "");
    let (first, second, third) = (cluster.node(1), cluster.node(2), cluster.node(3));
    // Two primaries: the promotion happened behind the first one's back.
    second.server.query("SELECT pg_promote()");
    cluster.wait_primary(2);
    first
        .server
        .query("CREATE TABLE only_here AS SELECT generate_series(1, 1000)");
    let lsn = first.server.query("SELECT pg_current_wal_flush_lsn()");
    eventually("the third node has what only the first one wrote", || {
        let sql = format!("SELECT pg_last_wal_receive_lsn() >= '{lsn}'::pg_lsn");
        (third.server.try_query(&sql).as_deref() == Ok("t")).then_some(())
    });
    let before = replication_configuration(third);
    let said = third.repmgr_fails(23, &["standby", "follow", "--upstream-node-id=2"]);
    assert!(said.contains("timeline"), "{said}");
    let dry_run = third.repmgr(&["standby", "follow", "--dry-run"]);
    let said = String::from_utf8_lossy(&dry_run.stderr);
    assert!(said.contains("2 nodes of this cluster accept writes"), "{said}");
    assert_eq!(replication_configuration(third), before);
    assert_eq!(third.record_on(&first.server, "upstream_node_id"), "1");
    cluster.wait_streaming(1, 3);
}

#[test]
fn what_cannot_be_recorded_is_a_failure() {
    let cluster = cluster("not-recorded", 3, "");
    let (first, second, third) = (cluster.node(1), cluster.node(2), cluster.node(3));
    first.server.query(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$; \
         CREATE TRIGGER refuse BEFORE UPDATE ON repmgr.nodes FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    let said = third.repmgr_fails(23, &["standby", "follow", "--upstream-node-id=2"]);
    assert!(said.contains("not today"), "{said}");
    assert_eq!(last_event(first, "standby_follow"), "3 standby_follow f");

    let trigger = "SELECT count(*) FROM pg_trigger WHERE tgname = 'refuse'";
    eventually("the trigger has arrived", || {
        (second.server.try_query(trigger).as_deref() == Ok("1")).then_some(())
    });
    first.server.kill();
    let said = second.repmgr_fails(7, &["standby", "promote"]);
    assert!(said.contains("not today"), "{said}");
    assert_eq!(cluster.primaries(), [2], "the promotion itself is done");
}

#[test]
fn the_data_directory_of_another_server_is_left_alone() {
    let cluster = cluster("foreign-directory", 3, "");
    let (second, third) = (cluster.node(2), cluster.node(3));
    let before = replication_configuration(second);
    third.write_config(&format!("data_directory='{}'", second.server.data.display()));
    let said = third.repmgr_fails(23, &["standby", "follow"]);
    assert!(said.contains("data_directory"), "{said}");
    assert_eq!(replication_configuration(second), before);
}

#[test]
fn follow_waits_for_a_primary_on_request() {
    let cluster = cluster("follow-wait", 3, "primary_follow_timeout=60");
    cluster.node(1).server.kill();
    let third = cluster.node(3);
    let said = third.repmgr_fails(23, &["standby", "follow"]);
    assert!(
        said.contains("node \"node1\" (ID: 1): "),
        "each candidate with its reason: {said}"
    );
    let mut waiting = third
        .program("repmgr")
        .args(["standby", "follow", "--wait"])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("repmgr");
    cluster.node(2).repmgr_ok(&["standby", "promote"]);
    let status = eventually("standby follow --wait ended", || {
        waiting.try_wait().expect("its status")
    });
    assert!(status.success(), "{status}");
    cluster.wait_streaming(2, 3);
}

#[test]
fn a_standby_that_goes_on_receiving_after_the_check_is_told_that_it_has_diverged() {
    // What it asks for depends on rights, not on addresses.
    if !matches!(Flavor::current(), Flavor::Plain | Flavor::Unprivileged) {
        return;
    }
    let cluster = cluster("follow-race", 3, "standby_follow_timeout=60");
    let (first, second, third) = (cluster.node(1), cluster.node(2), cluster.node(3));
    // It would write of its own accord now and then.
    let writer = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'background writer'";
    let writer = Pid::from_raw(first.server.query(writer).parse().expect("a process id"));
    kill(writer, Signal::SIGSTOP).expect("the background writer");
    let end = first.server.query("SELECT pg_current_wal_lsn()");
    for node in [second, third] {
        eventually("both standbys have all", || {
            let sql = format!("SELECT pg_last_wal_replay_lsn() >= '{end}'");
            (node.server.query(&sql) == "t").then_some(())
        });
    }
    // Both halves of a split: node 2 is promoted beside node 1, and node 3 still receives from node 1.
    second.server.query("SELECT pg_promote()");
    let psql = third.server.stage.bindir.join("psql");
    let ask = |node: &Node| {
        format!(
            "{} -XAtq -h {} -p {} -U postgres -d repmgr",
            psql.display(),
            node.server.folder.display(),
            node.server.port
        )
    };
    let reload = cluster.folder.join("reload");
    let script = format!(
        "#!/bin/sh\n{} -c 'CREATE TABLE meanwhile AS SELECT 1 AS one'\n\
         until {} -c 'SELECT one FROM meanwhile'; do sleep 0.1; done\nexec {} reload -D {}\n",
        ask(first),
        ask(third),
        third.server.stage.bindir.join("pg_ctl").display(),
        third.server.data.display()
    );
    user::write(&reload, &script);
    std::fs::set_permissions(&reload, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    third.write_config(&format!(
        "standby_follow_timeout=60\nservice_reload_command='{}'",
        reload.display()
    ));
    let begin = std::time::Instant::now();
    let said = third.repmgr_fails(23, &["standby", "follow", "--upstream-node-id=2"]);
    assert!(
        said.contains("the target left timeline 1 at") && said.contains("node rejoin --force-rewind"),
        "{said}"
    );
    assert!(said.contains("received more from its old upstream"), "{said}");
    assert!(
        begin.elapsed() < std::time::Duration::from_secs(55),
        "it does not wait for what cannot come"
    );
    assert_eq!(last_event(second, "standby_follow"), "3 standby_follow f");
    assert!(details(second, "standby_follow").contains("the target left timeline 1 at"));
    kill(writer, Signal::SIGCONT).expect("the background writer");

    // The way that it names.
    first.server.kill();
    second.repmgr_ok(&["primary", "register", "--force"]);
    third.write_config("");
    third.server.stop("fast");
    let target = second.server.conninfo();
    let rewind = "--force-rewind";
    let files = "--config-files=postgresql.conf,pg_hba.conf";
    let superuser = Flavor::current().superuser_option();
    third.repmgr_ok(&[&["-d", &target, "node", "rejoin", rewind, files], superuser].concat());
    cluster.wait_streaming(2, 3);
}
