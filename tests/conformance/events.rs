//! Events: `cluster event` with its filters, `cluster cleanup`, the notification command.

use crate::script::{Script, compare};
use crate::support::user;

#[test]
fn events() {
    compare("conformance-events", 2, events_script);
}

fn events_script(script: &mut Script) {
    notified(script, "");
    script.cluster.primary_up("");
    script.standby_of(2, 1, 1);
    script.runs(2, &["standby register -F --wait-sync=30", "standby follow"]);
    script.runs(2, &["standby unregister", "standby register", "primary register"]);
    notifications(script, "all events");

    notified(script, "event_notifications='standby_register, standby_unregister'\n");
    script.runs(2, &["standby unregister", "standby register --wait-sync=30"]);
    script.runs(1, &["primary register -F"]);
    notifications(script, "two kinds of events");
    filters(script);
    cleanup(script);
    notifications(script, "cleanup");
}

/// Every node writes the events of which it is told into its own file, and fails in the end.
fn notified(script: &Script, more: &str) {
    for node in &script.cluster.nodes {
        let program = node.server.folder.join("notify");
        let text = format!(
            "#!/bin/sh\nfor word in \"$@\"; do printf '<%s>' \"$word\"; done >>{0}/events\necho >>{0}/events\nexit 3\n",
            node.server.folder.display()
        );
        user::write_program(&program, &text);
        node.write_config(&format!(
            "event_notification_command='{} %n %e %s \"%t\" \"%p\" \"%a\" \"%c\" 100%% %x'\n{more}",
            program.display()
        ));
    }
}

fn notifications(script: &mut Script, what: &str) {
    for id in [1, 2] {
        let path = script.cluster.node(id).server.folder.join("events");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The time stands between the fourth pair of brackets.
        let masked: Vec<String> = text
            .lines()
            .map(|line| {
                let words: Vec<&str> = line.split('>').collect();
                let (before, time, after) = (&words[..3], words[3], &words[4..]);
                assert!(time.starts_with("<20"), "{line}");
                format!("{}>TIME>{}", before.join(">"), after.join(">"))
            })
            .collect();
        script.fact(&format!("notifications of node{id}: {what}"), &masked.join("\n"));
    }
}

fn filters(script: &mut Script) {
    script.sql(1, "DELETE FROM repmgr.events");
    script.sql(
        1,
        "INSERT INTO repmgr.events SELECT n % 4, CASE WHEN n % 3 = 0 THEN 'standby_follow' ELSE 'repmgrd_start' END, \
         n % 5 <> 0, '2026-01-01 10:00:00'::timestamptz + n * interval '1 second', \
         CASE WHEN n % 2 = 0 THEN 'number ' || n ELSE NULL END FROM generate_series(1, 30) AS n",
    );
    script.sql(
        1,
        "INSERT INTO repmgr.events VALUES (2, 'two_lines', true, '2026-01-02 10:00:00', E'one\\ntwo')",
    );
    script.shows(
        1,
        &[
            "cluster event",
            "cluster events --compact",
            "cluster event --csv",
            "cluster event --csv --all",
            "cluster event --all --compact",
            "cluster event --all --limit=3 --csv",
            "cluster event --limit=1",
            "cluster event --csv --limit 25",
            "cluster event --csv --node-id=2",
            "cluster event --node-id=2 --all",
            "cluster event --csv --node-id=3",
            "cluster event --csv --node-name=node1",
            "cluster event --csv --node-name=node9",
            "cluster event --csv --event=standby_follow",
            "cluster event --csv --event=standby_follow --node-id=1 --limit=2",
            "cluster event --event=nothing",
            "cluster event --event=nothing --csv",
            "cluster event --event=two_lines",
            "--limit=2 cluster --csv event",
            "cluster event --limit=0",
            "cluster event --limit=x",
        ],
    );
    script.wait_replayed(1, 2);
    script.shows(
        2,
        &["cluster event --csv --limit=5", "cluster event --node-id=1 --compact"],
    );
}

fn cleanup(script: &mut Script) {
    let fill = "INSERT INTO repmgr.monitoring_history SELECT 1, 2 + n % 2, now() - n * interval '1 day', \
        now() - n * interval '1 day', '0/1', '0/1', 0, 0 FROM generate_series(0, 9) AS n";
    let left = "SELECT standby_node_id, count(*) FROM repmgr.monitoring_history GROUP BY 1 ORDER BY 1";
    let rows = "SELECT node_id, event, successful, details FROM repmgr.events WHERE event = 'cluster_cleanup' ORDER BY event_timestamp";
    for line in [
        "cluster cleanup -k 20",
        "cluster cleanup -k 5",
        "cluster cleanup --node-id=2",
        "cluster cleanup --keep-history=3 --node-id=2",
        "cluster cleanup --keep-history=1 --node-id=1",
        "cluster cleanup --node-id=7",
        "cluster cleanup -k -1",
        "cluster cleanup -k x",
        "cluster cleanup",
    ] {
        script.sql(1, "TRUNCATE repmgr.monitoring_history");
        script.sql(1, fill);
        script.runs(if line.len() % 2 == 0 { 1 } else { 2 }, &[line]);
        script.query(1, &format!("history left by {line}"), left);
    }
    script.query(1, "cleanup events", rows);
}
