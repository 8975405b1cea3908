//! Which node can connect to which: the pure part of `cluster matrix` and
//! `cluster crosscheck`. It knows nothing of how the answers came here.

use std::collections::BTreeSet;

use crate::metadata::NodeRecord;
use crate::remote::answers;
use crate::types::NodeId;

/// Whether one node can connect to the server of another. The better news is the greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// Nobody told.
    Unknown,
    /// It cannot.
    Failed,
    /// It can.
    Works,
}

impl Link {
    /// From a number that another repmgr sent; of those that are not defined nothing is known.
    pub fn from_code(code: i32) -> Link {
        match code {
            0 => Link::Works,
            -1 => Link::Failed,
            _ => Link::Unknown,
        }
    }

    /// The number for other programs.
    pub fn code(self) -> i32 {
        match self {
            Link::Works => 0,
            Link::Failed => -1,
            Link::Unknown => -2,
        }
    }

    /// The mark for people.
    pub fn mark(self) -> &'static str {
        match self {
            Link::Works => "*",
            Link::Failed => "x",
            Link::Unknown => "?",
        }
    }
}

/// Why the view of a node is missing or incomplete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Its repmgr said nothing, or could not be asked.
    NoAnswer {
        /// Why, as far as it is known.
        reason: String,
    },
    /// It said something else than what it can connect to.
    Unreadable {
        /// The nodes that it said nothing of.
        missing: Vec<NodeId>,
    },
}

/// All nodes against all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    nodes: Vec<(NodeId, String)>,
    /// In the order of the nodes: from, then to.
    cells: Vec<Vec<Link>>,
}

impl Links {
    /// Of which nothing is known yet.
    pub fn new(records: &[NodeRecord]) -> Links {
        let nodes: Vec<(NodeId, String)> = records
            .iter()
            .map(|node| (node.node_id, node.node_name.clone()))
            .collect();
        Links {
            cells: vec![vec![Link::Unknown; nodes.len()]; nodes.len()],
            nodes,
        }
    }

    /// Id, name and row of each node.
    pub fn rows(&self) -> impl Iterator<Item = (NodeId, &str, &[Link])> {
        let nodes = self.nodes.iter().zip(&self.cells);
        nodes.map(|((id, name), row)| (*id, name.as_str(), row.as_slice()))
    }

    /// The ids of all nodes, in order.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.iter().map(|(id, _)| *id)
    }

    /// From each node to each.
    pub fn pairs(&self) -> impl Iterator<Item = (NodeId, NodeId, Link)> {
        self.rows()
            .flat_map(|(from, _, row)| self.ids().zip(row).map(move |(to, link)| (from, to, *link)))
    }

    /// Whether there is such a link.
    pub fn any(&self, link: Link) -> bool {
        self.cells.iter().flatten().any(|cell| *cell == link)
    }

    /// Whether one node can connect to another; of unregistered nodes nothing is known.
    pub fn get(&self, from: NodeId, to: NodeId) -> Link {
        match (self.position(from), self.position(to)) {
            (Some(from), Some(to)) => self.cells[from][to],
            _ => Link::Unknown,
        }
    }

    /// Learns of a link. Of several views the best counts: who says that it connected did. Nodes that are not
    /// registered here are left out.
    pub fn learn(&mut self, from: NodeId, to: NodeId, link: Link) {
        if let (Some(from), Some(to)) = (self.position(from), self.position(to)) {
            let cell = &mut self.cells[from][to];
            *cell = link.max(*cell);
        }
    }

    /// Learns from what `cluster show --csv` said on a node.
    pub fn learn_row(&mut self, from: NodeId, stdout: &str) -> Option<Problem> {
        let rows = answers::numbers::<2>(stdout);
        // Anything but "no" is a yes, as originals read it.
        let link = |code| if code == -1 { Link::Failed } else { Link::Works };
        for [to, code] in &rows {
            self.learn(from, NodeId(*to), link(*code));
        }
        self.complete(stdout, rows.iter().map(|[to, _]| NodeId(*to)))
    }

    /// Learns from what `cluster matrix --csv` said on a node.
    pub fn learn_all(&mut self, stdout: &str) -> Option<Problem> {
        let rows = answers::numbers::<3>(stdout);
        for [from, to, code] in &rows {
            self.learn(NodeId(*from), NodeId(*to), Link::from_code(*code));
        }
        self.complete(stdout, rows.iter().map(|[from, ..]| NodeId(*from)))
    }

    fn complete(&self, stdout: &str, mentioned: impl Iterator<Item = NodeId>) -> Option<Problem> {
        if stdout.trim().is_empty() {
            return Some(Problem::NoAnswer {
                reason: "its repmgr printed nothing".to_owned(),
            });
        }
        let mentioned: BTreeSet<NodeId> = mentioned.collect();
        let missing: Vec<NodeId> = self.ids().filter(|id| !mentioned.contains(id)).collect();
        (!missing.is_empty()).then_some(Problem::Unreadable { missing })
    }

    /// Those of the nodes that answered that can tell of the silent ones: they can connect to one of them.
    pub fn able_to_tell(&self, silent: &[NodeId], answered: &[NodeId]) -> Vec<NodeId> {
        let sees = |from: &&NodeId| silent.iter().any(|to| self.get(**from, *to) == Link::Works);
        answered.iter().filter(sees).copied().collect()
    }

    fn position(&self, id: NodeId) -> Option<usize> {
        self.nodes.iter().position(|(other, _)| *other == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::NodeType;

    fn records(count: i32) -> Vec<NodeRecord> {
        let record = |id| NodeRecord {
            node_id: NodeId(id),
            upstream_node_id: None,
            active: true,
            node_name: format!("node{id}"),
            node_type: NodeType::Standby,
            location: "default".to_owned(),
            priority: 100,
            conninfo: format!("host=node{id}"),
            repluser: "repmgr".to_owned(),
            slot_name: None,
            config_file: "/etc/repmgr.conf".to_owned(),
        };
        (1..=count).map(record).collect()
    }

    fn marks(links: &Links) -> String {
        let row = |(_, _, row): (NodeId, &str, &[Link])| row.iter().map(|link| link.mark()).collect::<String>();
        links.rows().map(row).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_row_comes_from_cluster_show() {
        let mut links = Links::new(&records(3));
        assert_eq!(links.learn_row(NodeId(2), "Welcome\n1,0,0\n2,0,1\n3,-1,-1\n"), None);
        assert_eq!(marks(&links), "??? **x ???");
        let missing = vec![NodeId(2)];
        assert_eq!(
            links.learn_row(NodeId(1), "1,0,0\n3,0,1\n9,0,1\n"),
            Some(Problem::Unreadable { missing })
        );
        assert_eq!(marks(&links), "*?* **x ???");
        for empty in ["", "\n"] {
            let problem = links.learn_row(NodeId(3), empty);
            assert!(matches!(problem, Some(Problem::NoAnswer { .. })), "{problem:?}");
        }
        let problem = links.learn_row(NodeId(3), "sh: repmgr: not found");
        assert!(
            matches!(&problem, Some(Problem::Unreadable { missing }) if missing.len() == 3),
            "{problem:?}"
        );
    }

    #[test]
    fn of_several_views_the_best_counts() {
        let mut links = Links::new(&records(2));
        assert_eq!(links.learn_all("1,1,0\n1,2,-1\n2,1,-2\n2,2,-2\n"), None);
        assert_eq!(marks(&links), "*x ??");
        assert_eq!(links.learn_all("1,1,-2\n1,2,-2\n2,1,-1\n2,2,0\n"), None);
        assert_eq!(marks(&links), "*x x*");
        links.learn(NodeId(1), NodeId(2), Link::Works);
        assert_eq!(marks(&links), "** x*");
        links.learn(NodeId(7), NodeId(2), Link::Works);
        assert_eq!(marks(&links), "** x*");
        assert!(links.any(Link::Failed) && !links.any(Link::Unknown));
        let pairs: Vec<i32> = links.pairs().map(|(_, _, link)| link.code()).collect();
        assert_eq!(pairs, [0, 0, -1, 0]);
    }

    #[test]
    fn who_can_reach_a_silent_node_can_ask_it() {
        let mut links = Links::new(&records(4));
        links.learn(NodeId(1), NodeId(3), Link::Failed);
        links.learn(NodeId(2), NodeId(3), Link::Works);
        links.learn(NodeId(4), NodeId(1), Link::Works);
        let answered = [NodeId(1), NodeId(2), NodeId(4)];
        assert_eq!(links.able_to_tell(&[NodeId(3)], &answered), [NodeId(2)]);
        assert_eq!(links.able_to_tell(&[NodeId(3)], &[NodeId(1)]), []);
        assert_eq!(links.able_to_tell(&[], &answered), []);
    }

    #[test]
    fn codes_and_marks_are_the_originals() {
        for (code, link, mark) in [(0, Link::Works, "*"), (-1, Link::Failed, "x"), (-2, Link::Unknown, "?")] {
            assert_eq!((Link::from_code(code), link.code(), link.mark()), (link, code, mark));
        }
        assert_eq!(Link::from_code(7), Link::Unknown);
    }
}
