//! Cuts, loss, names, and servers that refuse.

use crate::clients::Crowd;
use crate::gates::Gate;
use crate::scenario::{Cast, FOUR, Scenario, THREE, WITH_WITNESS};
use crate::story::Story;
use crate::support::hosts::POSTGRES;
use crate::support::user;

/// Nodes know each other by name.
const NAMED: Cast = Cast { names: true, ..THREE };

/// The lost primary's WAL still arrives: without a stop of the receivers one standby may have more than the winner.
const STILL_FED: Cast = Cast {
    settings: "standby_disconnect_on_failover=true\n",
    ..THREE
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "primary-cut-off",
        cast: FOUR,
        fault: "the primary's host is cut off from all others and goes on; healed after the failover",
        expected: "a standby is promoted, the others follow; afterwards the daemon of the old primary raises the alarm, \
                   and nobody turns back",
        short: false,
        story: primary_cut_off,
    },
    Scenario {
        name: "primary-cut-off-for-a-moment",
        cast: THREE,
        fault: "the primary's host is cut off, and healed after the first failed attempt",
        expected: "nobody is promoted, all stream",
        short: false,
        story: primary_cut_off_for_a_moment,
    },
    Scenario {
        name: "primary-cut-from-one-standby",
        cast: THREE,
        fault: "the best standby and the primary are cut off from each other; the other one sees both",
        expected: "nobody is promoted: the other standby still receives WAL; healed, all stream",
        short: false,
        story: primary_cut_from_one_standby,
    },
    Scenario {
        name: "primary-cut-from-the-witness",
        cast: FOUR,
        fault: "primary and witness are cut off from each other",
        expected: "nobody is promoted, writes go on; healed, the witness watches again",
        short: false,
        story: primary_cut_from_the_witness,
    },
    Scenario {
        name: "primary-cut-from-all-nodes",
        cast: FOUR,
        fault: "the primary is cut off from all other nodes, not from its client",
        expected: "a standby is promoted (two take writes: nothing fences the old one), the others follow; healed, the \
                   alarm is raised and nobody turns back",
        short: false,
        story: primary_cut_from_all_nodes,
    },
    Scenario {
        name: "standby-cut-off",
        cast: FOUR,
        fault: "a standby's host is cut off from all others and goes on",
        expected: "it sees no majority and is not promoted; healed, it streams again",
        short: false,
        story: standby_cut_off,
    },
    Scenario {
        name: "witness-cut-off",
        cast: FOUR,
        fault: "the witness's host is cut off from all others",
        expected: "nobody is promoted, writes go on; healed, the witness watches again",
        short: false,
        story: witness_cut_off,
    },
    Scenario {
        name: "standby-alone-without-its-witness",
        cast: WITH_WITNESS,
        fault: "the standby's host is cut off from primary and witness",
        expected: "without a majority it is not promoted; healed, it streams again",
        short: false,
        story: standby_alone,
    },
    Scenario {
        name: "standbys-cut-from-each-other",
        cast: THREE,
        fault: "the standbys are cut off from each other",
        expected: "nobody is promoted, writes go on",
        short: false,
        story: standbys_cut,
    },
    Scenario {
        name: "standbys-cut-and-the-primary-killed",
        cast: THREE,
        fault: "the standbys are cut off from each other, then the primary's server is killed; the cut is healed",
        expected: "without a majority nobody is promoted; healed, one is, and the other one follows",
        short: false,
        story: standbys_cut_and_the_primary_killed,
    },
    Scenario {
        name: "standby-cut-from-the-witness-and-the-primary-killed",
        cast: FOUR,
        fault: "the best standby and the witness are cut off from each other, then the primary's server is killed",
        expected: "two of three see each other: that standby is promoted, the other one follows; healed, the witness, too",
        short: false,
        story: standby_cut_from_the_witness,
    },
    Scenario {
        name: "successor-cut-from-its-sibling",
        cast: FOUR,
        fault: "the primary's host loses power, and the winner is cut off from its sibling before it can tell it",
        expected: "the winner stays the only one promoted; healed, the sibling follows",
        short: false,
        story: successor_cut_from_its_sibling,
    },
    Scenario {
        name: "one-way-from-the-primary",
        cast: THREE,
        fault: "the primary's packets to all others are lost, theirs arrive",
        expected: "a standby is promoted, the other one follows",
        short: false,
        story: one_way_from_the_primary,
    },
    Scenario {
        name: "one-way-to-the-primary",
        cast: STILL_FED,
        fault: "packets of all others to the primary are lost, its own arrive; `standby_disconnect_on_failover`",
        expected: "a standby is promoted, the other one follows",
        short: false,
        story: one_way_to_the_primary,
    },
    Scenario {
        name: "one-way-to-one-standby",
        cast: THREE,
        fault: "the primary's packets to the best standby are lost, all others arrive",
        expected: "nobody is promoted: the other standby still receives WAL; healed, all stream",
        short: false,
        story: one_way_to_one_standby,
    },
    Scenario {
        name: "port-silent",
        cast: STILL_FED,
        fault: "packets to the port of the primary's PostgreSQL are lost; its host answers otherwise; \
                `standby_disconnect_on_failover`",
        expected: "a standby is promoted, the other one follows",
        short: false,
        story: port_silent,
    },
    Scenario {
        name: "port-refused",
        cast: THREE,
        fault: "the port of the primary's PostgreSQL refuses (TCP reset), also packets of open connections",
        expected: "a standby is promoted, the other one follows",
        short: false,
        story: port_refused,
    },
    Scenario {
        name: "new-connections-refused",
        cast: THREE,
        fault: "the port of the primary refuses new connections; open ones stay",
        expected: "nobody is promoted while WAL arrives; healed, all watch",
        short: false,
        story: new_connections_refused,
    },
    Scenario {
        name: "packets-lost",
        cast: THREE,
        fault: "one packet in ten to and from the primary is lost",
        expected: "nobody is promoted",
        short: false,
        story: packets_lost,
    },
    Scenario {
        name: "packets-lost-and-the-primary-killed",
        cast: FOUR,
        fault: "one packet in ten to every host is lost, and the primary's server is killed",
        expected: "one standby is promoted, the others follow",
        short: false,
        story: packets_lost_and_primary_killed,
    },
    Scenario {
        name: "packets-late",
        cast: THREE,
        fault: "the primary's packets leave it over a line of 64 kbit/s: late by up to half a second, and lost beyond \
                that",
        expected: "nobody is promoted",
        short: false,
        story: packets_late,
    },
    Scenario {
        name: "packets-late-and-the-primary-killed",
        cast: FOUR,
        fault: "the packets of all hosts leave them over such a line, and the primary's server is killed",
        expected: "one standby is promoted, the others follow",
        short: false,
        story: packets_late_and_primary_killed,
    },
    Scenario {
        name: "names-gone",
        cast: NAMED,
        fault: "no name of a node can be resolved any more; servers and network are well",
        expected: "nobody is promoted; when there are names again, all watch",
        short: false,
        story: names_gone,
    },
    Scenario {
        name: "names-gone-and-the-primary-killed",
        cast: NAMED,
        fault: "no name can be resolved, and the primary's server is killed; later there are names again",
        expected: "nobody is promoted while nothing is known; then one is, and the other one follows",
        short: false,
        story: names_gone_and_primary_killed,
    },
    Scenario {
        name: "connections-exhausted",
        cast: Cast {
            server_settings: "max_connections = 20\nsuperuser_reserved_connections = 0",
            ..THREE
        },
        fault: "all connections of the primary are taken, and the daemons lose theirs",
        expected: "nobody is promoted; when some are free, all watch",
        short: false,
        story: connections_exhausted,
    },
    Scenario {
        name: "logins-rejected",
        cast: THREE,
        fault: "the primary rejects the login of all nodes (pg_hba.conf), and the daemons lose their connections",
        expected: "nobody is promoted; when they are let in, all watch",
        short: false,
        story: logins_rejected,
    },
];

fn primary_cut_off(story: &mut Story) {
    story.hit();
    story.isolate(1);
    story.fails_over_to_one_of(&[2, 3], &[4]);
    story.heal();
    story.raises_the_alarm(1);
    story.nobody_is_promoted();
    story.streams(3, 2);
    story.watches(3, 2);
    story.watches(4, 2);
}

fn primary_cut_off_for_a_moment(story: &mut Story) {
    let before = story.logged(2, "rule \"upstream-lost\"");
    story.hit();
    story.isolate(1);
    story.wait_logged(2, "rule \"upstream-lost\"", before);
    story.heal();
    story.nobody_is_promoted();
    story.all_well(1, &[2, 3]);
}

fn primary_cut_from_one_standby(story: &mut Story) {
    story.hit();
    story.cut(1, 2);
    story.nobody_is_promoted();
    story.heal();
    story.all_well(1, &[2, 3]);
}

fn primary_cut_from_the_witness(story: &mut Story) {
    let witness = story.witness();
    story.hit();
    story.cut(1, witness);
    story.nobody_is_promoted();
    story.heal();
    story.all_well(1, &[2, 3, witness]);
}

fn primary_cut_from_all_nodes(story: &mut Story) {
    story.hit();
    // The one that has WAL last is the one that is to win.
    for other in [4, 3, 2] {
        story.cut(1, other);
    }
    story.fails_over_to(2, &[3, 4]);
    story.heal();
    story.raises_the_alarm(1);
    story.nobody_is_promoted();
    story.streams(3, 2);
    story.watches(3, 2);
    story.watches(4, 2);
}

fn standby_cut_off(story: &mut Story) {
    story.hit();
    story.isolate(2);
    story.nobody_is_promoted();
    story.heal();
    story.all_well(1, &[2, 3, 4]);
}

fn witness_cut_off(story: &mut Story) {
    let witness = story.witness();
    story.hit();
    story.isolate(witness);
    story.nobody_is_promoted();
    story.heal();
    story.all_well(1, &[2, 3, witness]);
}

fn standby_alone(story: &mut Story) {
    story.hit();
    story.isolate(2);
    story.nobody_is_promoted();
    story.heal();
    story.all_well(1, &[2, 3]);
}

fn standbys_cut(story: &mut Story) {
    story.hit();
    story.cut(2, 3);
    story.nobody_is_promoted();
    story.heal();
    story.all_well(1, &[2, 3]);
}

fn standbys_cut_and_the_primary_killed(story: &mut Story) {
    story.cut(2, 3);
    story.hit();
    story.node(1).server.kill();
    story.nobody_is_promoted();
    story.heal();
    story.fails_over_to(2, &[3]);
}

fn standby_cut_from_the_witness(story: &mut Story) {
    story.cut(2, 4);
    story.hit();
    story.node(1).server.kill();
    story.fails_over_to(2, &[3]);
    story.heal();
    story.all_well(2, &[3, 4]);
}

fn successor_cut_from_its_sibling(story: &mut Story) {
    story.close(2, Gate::BeforePromotion);
    story.hit();
    story.lose_host(1);
    story.reached(2, Gate::BeforePromotion);
    // Without an exclusive vote, a sibling that still has to vote and does not see the winner wins, too.
    story.wait_logged(3, "election-lost", 0);
    story.cut(2, 3);
    story.open(2, Gate::BeforePromotion);
    story.fails_over_to(2, &[4]);
    story.nobody_is_promoted();
    story.heal();
    // Which the host without power does not notice: nothing runs there.
    story.all_well(2, &[3, 4]);
}

fn one_way_from_the_primary(story: &mut Story) {
    story.hit();
    for other in [story.client(), 3, 2] {
        story.cut_one_way(1, other);
    }
    story.fails_over_to(2, &[3]);
}

fn one_way_to_the_primary(story: &mut Story) {
    story.hit();
    for other in [story.client(), 3, 2] {
        story.cut_one_way(other, 1);
    }
    story.fails_over_to(2, &[3]);
}

fn one_way_to_one_standby(story: &mut Story) {
    story.hit();
    story.cut_one_way(1, 2);
    story.nobody_is_promoted();
    story.heal();
    story.all_well(1, &[2, 3]);
}

fn port_silent(story: &mut Story) {
    story.hit();
    story.drop_port(1, POSTGRES);
    story.fails_over_to_one_of(&[2, 3], &[]);
}

fn port_refused(story: &mut Story) {
    story.hit();
    story.refuse_port(1, POSTGRES, false);
    story.fails_over_to_one_of(&[2, 3], &[]);
}

fn new_connections_refused(story: &mut Story) {
    story.hit();
    story.refuse_port(1, POSTGRES, true);
    story.nobody_is_promoted();
    story.heal();
    story.all_well(1, &[2, 3]);
}

fn packets_lost(story: &mut Story) {
    story.hit();
    story.lose(1, 10);
    for other in [2, 3] {
        story.lose_from(1, other, 10);
    }
    story.nobody_is_promoted();
    story.nobody_is_promoted();
    story.heal();
    story.all_well(1, &[2, 3]);
}

fn packets_lost_and_primary_killed(story: &mut Story) {
    for host in 1..=4 {
        story.lose(host, 10);
    }
    story.hit();
    story.node(1).server.kill();
    story.fails_over_to_one_of(&[2, 3], &[4]);
}

fn packets_late(story: &mut Story) {
    story.hit();
    story.slow_line(1, 64, 500);
    story.nobody_is_promoted();
    story.nobody_is_promoted();
    story.heal();
    story.all_well(1, &[2, 3]);
}

fn packets_late_and_primary_killed(story: &mut Story) {
    for host in 1..=4 {
        story.slow_line(host, 64, 500);
    }
    story.hit();
    story.node(1).server.kill();
    story.fails_over_to_one_of(&[2, 3], &[4]);
}

fn names_gone(story: &mut Story) {
    story.hit();
    story.forget_names();
    story.disconnect_daemons(1);
    story.nobody_is_promoted();
    story.remember_names();
    story.all_well(1, &[2, 3]);
}

fn names_gone_and_primary_killed(story: &mut Story) {
    story.hit();
    story.forget_names();
    story.node(1).server.kill();
    story.nobody_is_promoted();
    story.remember_names();
    story.fails_over_to(2, &[3]);
}

fn connections_exhausted(story: &mut Story) {
    story.hit();
    let crowd = Crowd::at(story.node(1).server.folder.clone());
    story.wait("the server has no connection left", |story| {
        story.node(1).server.log().contains("too many clients").then_some(())
    });
    story.nobody_is_promoted();
    drop(crowd);
    story.all_well(1, &[2, 3]);
}

fn logins_rejected(story: &mut Story) {
    let file = story.node(1).server.data.join("pg_hba.conf");
    let before = std::fs::read_to_string(&file).expect("pg_hba.conf");
    let own = "local all all trust\nlocal replication all trust\nhost all postgres samenet trust\n";
    story.hit();
    user::write(&file, &format!("{own}host replication all samenet trust\n"));
    assert_eq!(story.node(1).server.query("SELECT pg_reload_conf()"), "t");
    story.disconnect_daemons(1);
    story.nobody_is_promoted();
    user::write(&file, &before);
    assert_eq!(story.node(1).server.query("SELECT pg_reload_conf()"), "t");
    story.all_well(1, &[2, 3]);
}
