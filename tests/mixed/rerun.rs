//! `failover_validation_command` of one side refuses: both vote again until it agrees.

use crate::mix::{Make, ORIGINAL, OURS, answers, cluster, daemons_up, failed_over, primary_up, standby_up};
use crate::support::{PATIENCE, user, within};

/// Node 2 would win and is refused at first; node 3 is told to vote again.
fn refused_at_first(name: &str, candidate: Make, other: Make) {
    let Some(mut cluster) = cluster(name, &[ORIGINAL, candidate.preferred(), other], "") else {
        return;
    };
    let (permission, asked) = (cluster.folder.join("permission"), cluster.folder.join("asked"));
    for (node, make) in cluster.nodes.iter().zip([ORIGINAL, candidate.preferred(), other]) {
        let settings = format!(
            "{}priority={}\nelection_rerun_interval=1\n\
             failover_validation_command='echo %n %v %u %t >> {}; test -e {}'\n",
            node.automatic_failover(),
            make.priority,
            asked.display(),
            permission.display()
        );
        node.write_config(&settings);
    }
    primary_up(&cluster);
    standby_up(&cluster, 2, 1);
    standby_up(&cluster, 3, 1);
    daemons_up(&mut cluster);
    cluster.node(1).server.kill();
    answers(&cluster, 3, "SELECT repmgr.get_new_primary()", "-2");
    // It was asked again, with the same view, and nobody was promoted meanwhile.
    within(PATIENCE * 2, "the candidate was refused twice", || {
        let asked = std::fs::read_to_string(&asked).unwrap_or_default();
        (asked.lines().filter(|line| *line == "2 2 2 3").count() >= 2).then_some(())
    });
    assert!(cluster.primaries().is_empty());
    user::write(&permission, "");
    failed_over(&mut cluster, 1, 2, &[3]);
    assert_eq!(cluster.primaries(), [2]);
}

#[test]
#[ignore = "make mixed"]
fn ours_is_refused_and_the_original_votes_again() {
    refused_at_first("ours-refused", OURS, ORIGINAL);
}

#[test]
#[ignore = "make mixed"]
fn the_original_is_refused_and_we_vote_again() {
    refused_at_first("original-refused", ORIGINAL, OURS);
}
