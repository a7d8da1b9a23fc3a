//! Erlang's loss formula, and the sizing question it answers.
//!
//! Any rule that never refuses a call while a slot is free anywhere loses exactly `B(a, k)` of a Poisson stream of `a`
//! Erlangs on `k` slots in all, whatever the distribution of call times (Erlang 1917; insensitivity: Sevastyanov 1957).
//! No rule that always serves when it can loses more, and none loses fewer without knowing the future.

use serde::Serialize;

/// The share of calls lost when `erlangs` are offered to `slots` in one group, 0 to 1.
///
/// By the recursion `B(k) = a B(k-1) / (k + a B(k-1))`, which is stable and exact to rounding.
pub fn erlang_b(erlangs: f64, slots: u32) -> f64 {
    (1..=slots).fold(1.0, |loss, k| {
        let offered = erlangs * loss;
        offered / (f64::from(k) + offered)
    })
}

/// The most Erlangs that `slots` in one group carry at a loss of at most `loss` (0 < loss < 1), to nine digits.
pub fn erlangs_at(slots: u32, loss: f64) -> f64 {
    let (mut low, mut high) = (0.0, f64::from(slots) / (1.0 - loss) + 10.0);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if erlang_b(middle, slots) <= loss {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The fewest slots in one group that lose at most `loss` (0 < loss < 1) of `erlangs`.
pub fn slots_for(erlangs: f64, loss: f64) -> u32 {
    let (mut blocked, mut slots) = (1.0, 0_u32);
    while blocked > loss {
        slots += 1;
        let offered = erlangs * blocked;
        blocked = offered / (f64::from(slots) + offered);
    }
    slots
}

/// How many nodes a pool needs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Plan {
    /// Offered load, in Erlangs (calls a second times mean seconds a call lasts).
    pub erlangs: f64,
    /// The loss asked for, 0 to 1.
    pub loss: f64,
    /// Calls that one node carries.
    pub node_capacity: u32,
    /// Slots that the load needs in one pool.
    pub slots: u32,
    /// Nodes that hold these slots, with none to spare.
    pub nodes: u32,
    /// The loss with `nodes`.
    pub loss_with_nodes: f64,
    /// Nodes to run so that any one may fail or drain: one more.
    pub nodes_with_spare: u32,
    /// The loss with the spare node in service.
    pub loss_with_spare: f64,
    /// Mean utilisation with all of `nodes_with_spare` in service, 0 to 1.
    pub utilisation: f64,
    /// Nodes needed at the same loss by three special-purpose groups that share the load 5 : 3 : 2, none to spare.
    pub nodes_partitioned: u32,
}

impl Plan {
    /// Answers for a pool of equal nodes.
    pub fn new(erlangs: f64, loss: f64, node_capacity: u32) -> Self {
        let slots = slots_for(erlangs, loss);
        let nodes = slots.div_ceil(node_capacity);
        let with = |nodes: u32| erlang_b(erlangs, nodes * node_capacity);
        let group = |share: f64| slots_for(erlangs * share, loss).div_ceil(node_capacity);
        let loss_with_spare = with(nodes + 1);
        Self {
            erlangs,
            loss,
            node_capacity,
            slots,
            nodes,
            loss_with_nodes: with(nodes),
            nodes_with_spare: nodes + 1,
            loss_with_spare,
            utilisation: erlangs * (1.0 - loss_with_spare) / f64::from((nodes + 1) * node_capacity),
            nodes_partitioned: group(0.5) + group(0.3) + group(0.2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Plan, erlang_b, erlangs_at, slots_for};

    /// Published tables of Erlang B (Angus, "An introduction to Erlang B and Erlang C", 2001; ITU-T E.520 supplement):
    /// the load in Erlangs that N circuits carry at a given loss.
    #[test]
    fn agrees_with_the_published_tables() {
        let table = [
            (1, 0.01, 0.0101),
            (2, 0.01, 0.153),
            (5, 0.01, 1.36),
            (10, 0.01, 4.46),
            (10, 0.001, 3.09),
            (20, 0.01, 12.0),
            (30, 0.02, 21.9),
            (50, 0.01, 37.9),
            (100, 0.01, 84.1),
            (100, 0.05, 95.2),
        ];
        for (slots, loss, erlangs) in table {
            let found = erlangs_at(slots, loss);
            assert!((found - erlangs).abs() <= 0.006 * erlangs, "{slots} at {loss}: {found}, table {erlangs}");
        }
    }

    #[test]
    fn agrees_with_the_closed_form() {
        // B(a, k) = (a^k / k!) / sum(a^i / i!)
        for (a, k) in [(0.5, 1), (3.0, 4), (10.0, 12)] {
            let term = |i: u32| (1..=i).fold(1.0, |product, j| product * a / f64::from(j));
            let closed = term(k) / (0..=k).map(term).sum::<f64>();
            assert!((erlang_b(a, k) - closed).abs() < 1e-12);
        }
    }

    #[test]
    fn the_pool_of_ten_hundreds_carries_971() {
        assert!((erlangs_at(1_000, 0.01) - 971.0).abs() < 0.5);
        assert!((10.0 * erlangs_at(100, 0.01) - 841.0).abs() < 0.5);
    }

    #[test]
    fn a_plan_holds_its_loss_and_one_node_less_does_not() {
        let plan = Plan::new(900.0, 0.01, 100);
        assert_eq!((plan.nodes, plan.nodes_with_spare), (10, 11));
        assert!(plan.loss_with_nodes <= 0.01 && erlang_b(900.0, 900) > 0.01);
        assert!(erlang_b(900.0, slots_for(900.0, 0.01) - 1) > 0.01);
        assert!(plan.nodes_partitioned > plan.nodes);
    }
}
