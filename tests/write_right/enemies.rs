//! What goes wrong.

use repmgr::write_right::{Change, Settings};
use repmgr_write_right::{Ballot, NodeId, Request, VoterList};

use crate::host::Role;
use crate::world::{Event, MS, SECOND, World};

macro_rules! enemies {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Enemy { $($variant,)+ }
        impl Enemy {
            pub const ALL: &[Enemy] = &[$(Enemy::$variant,)+];
            pub fn name(self) -> &'static str { match self { $(Enemy::$variant => $name,)+ } }
        }
    };
}

enemies! {
    Loss = "messages lost",
    Doubled = "messages doubled",
    Late = "messages late by up to 40 s",
    AcceptancesLost = "most questions for acceptance lost",
    OneWay = "one way cut",
    Isolated = "a node cut off",
    Partition = "the nodes in two parts",
    DaemonFrozen = "a daemon frozen",
    DaemonStumbles = "a daemon frozen between decision and action",
    DaemonKilled = "a daemon killed",
    ServerFrozen = "a server frozen",
    ServerCrashes = "a server crashed",
    ServerLeavesBackends = "a server crashed, its backends live on",
    ServerRestarted = "a server restarted",
    HostFrozen = "a host frozen",
    HostRebooted = "a host rebooted",
    HostOff = "a host off for a while",
    AllButOneRebooted = "all hosts but one rebooted",
    AllOff = "all hosts off and on",
    RecordLost = "a record lost",
    RecordDamaged = "a record damaged",
    RecordCopied = "a record copied from another node",
    RecordRestored = "an earlier record restored",
    VolatileLost = "the volatile part lost",
    RestlessCandidate = "a candidate without a cause",
    RestlessCandidates = "every standby a candidate without a cause",
    NotEnforcing = "a server without its library",
    Switchover = "the right given back for another node",
    LocalHangs = "the local connection hangs",
    SlowDisk = "a voter's disk is slow",
    Registered = "a node registered",
    Unregistered = "a node unregistered",
    RestlessVoters = "nodes registered and unregistered all the time",
    Forced = "nodes given up by force",
    UsedUpRounds = "a damaged round",
    Payload = "the synchronous standbys change",
    RestlessPayload = "the synchronous standbys change all the time",
    Reloaded = "another length of lease",
    MadLength = "a lease longer than allowed asked for",
    WallClock = "the wall clock jumps",
    // What others lead to; not struck by themselves.
    GivenUp = "the order to give nodes up",
    GivenUpAgain = "the same order to another node",
    Return = "those who were given up switched on again",
    Calm = "the network calm again",
    ChangeAgain = "another change of the voters",
    PayloadAgain = "another change of the synchronous standbys",
}

impl Enemy {
    pub fn struck(self) -> bool {
        !matches!(
            self,
            Enemy::GivenUp
                | Enemy::GivenUpAgain
                | Enemy::Return
                | Enemy::Calm
                | Enemy::ChangeAgain
                | Enemy::PayloadAgain
        )
    }
}

/// When the enemies rest.
pub const HEALING: u64 = 80;

/// Plans 20 to 30 of them, most of a few kinds.
pub fn plan(world: &mut World) {
    let all: Vec<Enemy> = Enemy::ALL.iter().copied().filter(|enemy| enemy.struck()).collect();
    let mut favourites = Vec::new();
    for _ in 0..world.random.between(2, 6) {
        favourites.push(all[world.random.index(all.len())]);
    }
    for _ in 0..world.random.between(20, 30) {
        let enemy = match world.random.chance(60) {
            true => favourites[world.random.index(favourites.len())],
            false => all[world.random.index(all.len())],
        };
        let at = world.random.between(2_000, (HEALING - 4) * 1_000) * MS;
        world.plan(at, Event::Enemy(enemy));
    }
    world.plan(HEALING * SECOND, Event::Heal);
}

fn a_while(world: &mut World) -> u64 {
    let most = if world.random.chance(70) { 8_000 } else { 35_000 };
    world.random.between(50, most) * MS
}

fn holder(world: &World) -> Option<usize> {
    world.hosts.iter().position(|host| host.on && host.holds(world.now))
}

/// Often the holder, as that is where it hurts.
fn victim(world: &mut World) -> usize {
    let any = world.random.index(world.hosts.len());
    if world.random.chance(40) {
        holder(world).unwrap_or(any)
    } else {
        any
    }
}

/// Whether so many of the others still have their records that this one can be lost.
fn may_lose(world: &World, node: usize) -> bool {
    world.newest_list.everybody().len() > 2
        && world.hosts.iter().enumerate().all(|(index, host)| {
            let votes = world.newest_list.votes(host.id);
            index == node || !votes || (!host.lost && !host.given_up)
        })
}

fn restart_with(world: &mut World, node: usize, change: impl FnOnce(&mut World, usize)) {
    world.hosts[node].server = None;
    world.hosts[node].orphans = None;
    change(world, node);
    world.wake(node);
    world.start_server(node);
}

pub fn strike(world: &mut World, enemy: Enemy) {
    let quiet = world.quiet_until > world.now || world.healed;
    if quiet
        && !matches!(
            enemy,
            Enemy::GivenUp | Enemy::GivenUpAgain | Enemy::Return | Enemy::Calm
        )
    {
        return;
    }
    if inflict(world, enemy) {
        *world.inflicted.entry(enemy.name()).or_default() += 1;
        world.say(|| format!("-- {}", enemy.name()));
    }
}

/// Says whether it happened.
fn inflict(world: &mut World, enemy: Enemy) -> bool {
    let (now, count) = (world.now, world.hosts.len());
    let node = victim(world);
    let other = (node + 1 + world.random.index(count - 1)) % count;
    let length = a_while(world);
    let until = now + length;
    if !world.hosts[node].on
        && !matches!(
            enemy,
            Enemy::AllOff
                | Enemy::AllButOneRebooted
                | Enemy::GivenUp
                | Enemy::GivenUpAgain
                | Enemy::Return
                | Enemy::Calm
        )
    {
        return false;
    }
    match enemy {
        Enemy::Loss => {
            world.loss = world.random.between(5, 60);
            world.plan(length, Event::Enemy(Enemy::Calm));
        }
        Enemy::Doubled => {
            world.doubled = world.random.between(5, 60);
            world.plan(length, Event::Enemy(Enemy::Calm));
        }
        Enemy::Late => {
            world.late = world.random.between(5, 40);
            world.plan(length, Event::Enemy(Enemy::Calm));
        }
        Enemy::AcceptancesLost => {
            world.acceptances_lost = world.random.between(40, 90);
            // What one of them says does not get to half of the others, for longer.
            let longer = until + world.random.between(0, 15_000) * MS;
            for peer in 0..count {
                if peer != node && world.random.chance(50) {
                    world.cut[node][peer] = longer;
                }
            }
            world.plan(length, Event::Enemy(Enemy::Calm));
        }
        Enemy::Calm => quieten(world),
        Enemy::OneWay => {
            let (from, to) = if world.random.chance(50) {
                (node, other)
            } else {
                (other, node)
            };
            world.cut[from][to] = until;
        }
        Enemy::Isolated => {
            for peer in 0..count {
                world.cut[node][peer] = until;
                world.cut[peer][node] = until;
            }
        }
        Enemy::Partition => {
            let side = world.random.next();
            for from in 0..count {
                for to in 0..count {
                    if (side >> from) & 1 != (side >> to) & 1 {
                        world.cut[from][to] = until;
                    }
                }
            }
        }
        Enemy::DaemonFrozen => world.hosts[node].daemon_frozen = until,
        Enemy::DaemonStumbles => world.hosts[node].stumble = Some(length),
        Enemy::DaemonKilled => world.hosts[node].daemon = None,
        Enemy::ServerFrozen => world.hosts[node].server_frozen = until,
        Enemy::ServerCrashes => {
            world.hosts[node].server = None;
            world.wake(node);
        }
        Enemy::ServerLeavesBackends => {
            let Some(server) = world.hosts[node].server.take() else {
                return false;
            };
            let lives = now + world.random.between(200, 12_000) * MS;
            world.hosts[node].orphans = Some((server.memory, lives));
            world.wake(node);
        }
        Enemy::ServerRestarted => restart_with(world, node, |_, _| {}),
        Enemy::HostFrozen => {
            let host = &mut world.hosts[node];
            host.server_frozen = until;
            host.daemon_frozen = until;
        }
        Enemy::HostRebooted => {
            world.power_off(node);
            world.power_on(node);
        }
        Enemy::HostOff => world.power_off(node),
        Enemy::AllButOneRebooted => {
            for rebooted in (0..count).filter(|index| *index != node) {
                if !world.hosts[rebooted].given_up {
                    world.power_off(rebooted);
                    world.power_on(rebooted);
                }
            }
        }
        Enemy::AllOff => {
            for off in 0..count {
                world.power_off(off);
            }
            for on in 0..count {
                if !world.hosts[on].given_up && !world.random.chance(20) {
                    world.power_on(on);
                }
            }
        }
        Enemy::RecordLost | Enemy::RecordDamaged | Enemy::VolatileLost => {
            if enemy != Enemy::VolatileLost && !may_lose(world, node) {
                return false;
            }
            let both = world.random.chance(30);
            if enemy == Enemy::RecordLost && world.random.chance(50) {
                // Only one of the others can be asked what was lost.
                for peer in (0..count).filter(|peer| *peer != other && *peer != node) {
                    world.cut[node][peer] = now + 45 * SECOND;
                }
            }
            restart_with(world, node, |world, node| {
                let host = &mut world.hosts[node];
                match enemy {
                    Enemy::RecordLost => host.durable = None,
                    Enemy::VolatileLost => host.volatile = None,
                    _ => host.durable = host.durable.as_ref().map(|text| text.replacen("=1", "=2", 1)),
                }
                if both && enemy == Enemy::RecordLost {
                    host.volatile = None;
                }
                host.durable_on_disk.clone_from(&host.durable);
            });
        }
        Enemy::RecordCopied => {
            let text = world.hosts[other].durable.clone();
            if !may_lose(world, node) || text.is_none() {
                return false;
            }
            restart_with(world, node, |world, node| {
                let host = &mut world.hosts[node];
                host.durable = text;
                host.durable_on_disk.clone_from(&host.durable);
            });
        }
        Enemy::RecordRestored => {
            let text = world.hosts[node].backup.clone();
            if !may_lose(world, node) || text.is_none() {
                return false;
            }
            // The record alone while the host runs, or the whole data directory, which is another one then.
            let all = world.random.chance(50);
            restart_with(world, node, |world, node| {
                let host = &mut world.hosts[node];
                host.durable = text;
                host.durable_on_disk.clone_from(&host.durable);
                host.inode += u64::from(all);
            });
        }
        Enemy::RestlessCandidate => world.hosts[node].restless = true,
        Enemy::RestlessCandidates => {
            for host in &mut world.hosts {
                host.restless = true;
            }
        }
        Enemy::NotEnforcing => {
            world.hosts[node].enforcing = false;
        }
        Enemy::Switchover => {
            let Some(node) = holder(world) else { return false };
            if world.random.chance(40) {
                // What is told to the server before may come when another one runs.
                let hangs = world.random.between(500, 5_000) * MS;
                world.hosts[node].local_hangs = now + hangs;
                let after = world.random.between(0, hangs / 2);
                world.plan(after, Event::Enemy(Enemy::Switchover));
                return true;
            }
            let host = &mut world.hosts[node];
            let (Some(daemon), Some(_)) = (&mut host.daemon, &host.server) else {
                return false;
            };
            daemon.releasing = true;
            world.releases_late |= world.random.chance(40);
            if world.random.chance(60) {
                let next = world.random.between(2_000, 9_000) * MS;
                world.plan(next, Event::Enemy(Enemy::Switchover));
            }
            let host = &mut world.hosts[node];
            let Some(server) = &host.server else { return false };
            let start = server.memory.start;
            let after = world.random.between(50, 2_500) * MS;
            world.plan(after, Event::Stop(node, start));
            world.wake(node);
        }
        Enemy::LocalHangs => world.hosts[node].local_hangs = until,
        Enemy::SlowDisk => world.hosts[node].slow_disk = until,
        Enemy::Registered | Enemy::Unregistered | Enemy::ChangeAgain => {
            let voters = world.chosen_list.voters.clone();
            let outside: Vec<NodeId> = world
                .hosts
                .iter()
                .map(|host| host.id)
                .filter(|id| !voters.contains(id))
                .collect();
            let grow = match enemy {
                Enemy::Registered => true,
                Enemy::Unregistered => false,
                _ => world.random.chance(30),
            };
            let change = match grow {
                true if !outside.is_empty() => Change::Add(outside[world.random.index(outside.len())]),
                false if voters.len() > 1 => Change::Remove(voters[world.random.index(voters.len())]),
                _ => return false,
            };
            world.change = Some(change);
            if enemy == Enemy::ChangeAgain {
                let next = world.random.between(50, 2_000) * MS;
                world.plan(next, Event::Enemy(Enemy::ChangeAgain));
            }
        }
        Enemy::RestlessVoters => {
            world.plan(MS, Event::Enemy(Enemy::ChangeAgain));
        }
        Enemy::Forced => {
            let voters = world.newest_list.everybody();
            if voters.len() < 2 || world.hosts.iter().any(|host| host.given_up) {
                return false;
            }
            // So many that no majority is left.
            let least = voters.len().div_ceil(2);
            let how_many = world.random.between(least as u64, voters.len() as u64 - 1) as usize;
            for step in 0..how_many {
                let given_up = voters[(node + step) % voters.len()] as usize - 1;
                world.power_off(given_up);
                world.hosts[given_up].given_up = true;
            }
            world.change = None;
            let after = world.random.between(1_000, 8_000) * MS;
            world.plan(after, Event::Enemy(Enemy::GivenUp));
        }
        Enemy::GivenUp => {
            let given_up: Vec<NodeId> = world
                .hosts
                .iter()
                .filter(|host| host.given_up)
                .map(|host| host.id)
                .collect();
            let left: Vec<usize> = (0..count)
                .filter(|index| !world.hosts[*index].given_up && world.newest_list.votes(world.hosts[*index].id))
                .collect();
            if left.is_empty() || given_up.is_empty() {
                return false;
            }
            let first = world.force.is_none();
            // A person tries it on another node if the first one does not manage.
            world.force = Some((left[world.random.index(left.len())], given_up));
            world.plan(15 * SECOND, Event::Enemy(Enemy::GivenUpAgain));
            if first {
                world.plan(20 * SECOND, Event::Enemy(Enemy::Return));
            }
        }
        Enemy::GivenUpAgain => {
            if world.force.is_none() {
                return false;
            }
            world.plan(MS, Event::Enemy(Enemy::GivenUp));
        }
        Enemy::Return => {
            // They are switched on only when the others are well, and the network is: they have to be told.
            let told = world
                .hosts
                .iter()
                .filter(|host| host.given_up)
                .all(|host| world.force.is_none() && world.chosen_list.given_up.contains(&host.id));
            if !told || holder(world).is_none() {
                if !world.healed {
                    world.plan(SECOND, Event::Enemy(Enemy::Return));
                }
                return false;
            }
            calm(world);
            world.quiet_until = now + 45 * SECOND;
            for index in 0..count {
                if world.hosts[index].given_up {
                    world.hosts[index].given_up = false;
                    world.power_on(index);
                }
            }
        }
        Enemy::UsedUpRounds => {
            let list: VoterList = world.chosen_list.clone();
            let highest = list.voters.iter().copied().max().unwrap_or(1);
            let ballot = Ballot {
                round: u64::MAX,
                node: highest,
                incarnation: u64::MAX,
            };
            for to in 0..count {
                let request = Box::new(Request::Prepare {
                    ballot,
                    list: list.clone(),
                });
                world.plan(
                    MS,
                    Event::Ask {
                        from: node,
                        incarnation: 0,
                        attempt: 0,
                        to,
                        request,
                    },
                );
            }
        }
        Enemy::RestlessPayload => world.plan(MS, Event::Enemy(Enemy::PayloadAgain)),
        Enemy::Payload | Enemy::PayloadAgain => {
            let standbys: Vec<NodeId> = world
                .hosts
                .iter()
                .map(|host| host.id)
                .filter(|id| (now >> (id % 13)) & 1 == 1)
                .collect();
            let most = standbys.len().min(2) as u64;
            world.payload = Some((world.random.between(0, most) as u32, standbys));
            if enemy == Enemy::PayloadAgain {
                let next = world.random.between(100, 2_500) * MS;
                world.plan(next, Event::Enemy(Enemy::PayloadAgain));
            }
        }
        Enemy::Reloaded => world.settings = Settings::new(world.random.between(2, 30) * 1_000),
        Enemy::MadLength => {
            world.hosts[node].mad_length = true;
        }
        Enemy::WallClock => world.hosts[node].wall = world.random.between(1, 1 << 40),
    }
    true
}

fn quieten(world: &mut World) {
    (world.loss, world.doubled, world.late, world.acceptances_lost) = (0, 0, 0, 0);
    world.releases_late = false;
}

/// Nothing is cut, frozen or slow any more.
fn calm(world: &mut World) {
    let now = world.now;
    quieten(world);
    for from in &mut world.cut {
        from.fill(0);
    }
    for host in &mut world.hosts {
        host.server_frozen = host.server_frozen.min(now);
        host.daemon_frozen = host.daemon_frozen.min(now);
        host.local_hangs = 0;
        host.slow_disk = 0;
        host.stumble = None;
        host.restless = false;
        host.enforcing = true;
        host.mad_length = false;
    }
}

pub fn heal(world: &mut World) {
    world.say(|| "-- everything is mended".to_owned());
    calm(world);
    world.healed = true;
    world.change = None;
    let votes = |host: &crate::host::Host| world.newest_list.everybody().contains(&host.id);
    if !world.hosts.iter().any(|host| votes(host) && !host.given_up) {
        // Nobody is left who could give the others up: they come back themselves.
        world.force = None;
        for host in &mut world.hosts {
            host.given_up = false;
        }
    }
    if world.hosts.iter().any(|host| host.given_up) && world.force.is_none() {
        let told = world
            .hosts
            .iter()
            .filter(|host| host.given_up)
            .all(|host| world.chosen_list.given_up.contains(&host.id));
        if !told {
            inflict(world, Enemy::GivenUp);
        }
    }
    // Where only witnesses are left nobody can hold the right.
    let list = world.newest_list.clone();
    let serves =
        |host: &&crate::host::Host| host.role != Role::Witness && !host.given_up && list.voters.contains(&host.id);
    if world.hosts.iter().find(serves).is_none() {
        for host in &mut world.hosts {
            host.role = Role::Standby;
        }
    }
    for node in 0..world.hosts.len() {
        if !world.hosts[node].given_up {
            world.power_on(node);
        }
        world.wake(node);
    }
}
