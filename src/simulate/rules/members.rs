//! What nearly every peer's rule keeps: which nodes there are, their configured capacity, and its own calls on each.

use crate::simulate::nodes::NodeSize;
use crate::simulate::rule::Routes;
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

/// One node as a rule knows it.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) capacity: f64,
    pub(super) present: bool,
    pub(super) own: u32,
    /// Put aside after failures until this second.
    pub(super) ejected_until: f64,
}

/// All nodes as a rule knows them.
#[derive(Debug, Clone)]
pub(super) struct Members(pub(super) Vec<Member>);

impl Members {
    pub(super) fn new(nodes: &[NodeSize]) -> Self {
        let member = |node: &NodeSize| Member {
            capacity: f64::from(node.configured),
            present: false,
            own: 0,
            ejected_until: 0.0,
        };
        Self(nodes.iter().map(member).collect())
    }

    /// The nodes to be considered now: present and not put aside; all that are present when every one is.
    pub(super) fn usable(&self, now: f64) -> Vec<usize> {
        let present = |&node: &usize| self.0[node].present;
        let usable: Vec<_> =
            (0..self.0.len()).filter(present).filter(|&node| self.0[node].ejected_until <= now).collect();
        if usable.is_empty() { (0..self.0.len()).filter(present).collect() } else { usable }
    }

    /// The usable nodes with the least cost, least first, ties at random.
    pub(super) fn least(&self, now: f64, rng: &mut Xoshiro256PlusPlus, cost: impl Fn(usize) -> f64) -> Routes {
        let mut ranked: Vec<_> =
            self.usable(now).into_iter().map(|node| (cost(node), rng.random::<u32>(), node)).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        ranked.into_iter().map(|(_, _, node)| node).collect()
    }

    pub(super) fn started(&mut self, node: usize) {
        self.0[node].own += 1;
    }

    pub(super) fn ended(&mut self, node: usize) {
        self.0[node].own = self.0[node].own.saturating_sub(1);
    }
}
