//! What one decision costs, the reservation included, at 10, 200 and 1,000 nodes: median and 99th percentile, measured call by
//! call, with the clock's own cost in it.
//!
//! Two pools. *Uneven*: each node has a load of its own and keeps it. *Even*: calls were placed and ended for long, as in a busy
//! hour, so that nearly all nodes have the least stress or the next. Beside it, in turns, a plain search for the least utilised
//! node: one pass over an array of counts and one of capacities, without ranking, health or reservation.

mod rows;

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kamari::balance::{Balancer, LoadTable, Placement, Scores, Settings, Slot, Standing, place};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use rows::{Goal, Rows};

const NOW: Duration = Duration::from_secs(10);
/// Decisions of one measurement, and before it of a warm-up.
const DECISIONS: usize = 100_000;
const CAPACITY: u32 = 10_000;

/// The pool, and the load of each node for the plain search.
struct Pool {
    balancer: Balancer,
    scores: Scores,
    counts: Vec<AtomicU32>,
    per_call: Vec<f32>,
    rng: SmallRng,
}

impl Pool {
    fn new(nodes: usize) -> Self {
        let settings = Settings { stale_after_ms: 60_000, ..Settings::default() };
        let (mut balancer, mut rng) = (Balancer::new(settings), SmallRng::seed_from_u64(1));
        let counts: Vec<u32> = (0..nodes).map(|_| rng.random_range(500..900)).collect();
        for &calls in &counts {
            let slot = balancer.add(CAPACITY).expect("room for 1,000 nodes");
            let node = balancer.node_mut(slot).expect("just added");
            node.set_standing(Standing::Up, NOW);
            node.on_resync(calls, NOW);
        }
        let scores = balancer.scores(NOW);
        let counts = counts.into_iter().map(AtomicU32::new).collect();
        Self { balancer, scores, counts, per_call: vec![1.0 / CAPACITY as f32; nodes], rng }
    }

    /// One decision, and what it took. The call stays, and one on any node ends, or it ends itself at once.
    fn decide(&mut self, is_even: bool) -> Duration {
        let table = self.balancer.table();
        let began = Instant::now();
        let placement = black_box(place(&self.scores, &table, NOW, &mut self.rng));
        let taken = began.elapsed();
        let Placement::Routed(ranked) = placement else { panic!("there is room") };
        let chosen = ranked.first().expect("the best node");
        let node = self.balancer.node_mut(chosen).expect("chosen");
        node.on_confirmed(Duration::from_millis(20), NOW);
        let ends = if is_even { self.any_with_a_call(&table) } else { chosen };
        self.balancer.node_mut(ends).expect("there").on_call_ended(NOW);
        taken
    }

    fn any_with_a_call(&mut self, table: &LoadTable) -> Slot {
        loop {
            let any = Slot::new(self.rng.random_range(0..self.counts.len() as u32));
            if table.load(any).own > 0 {
                return any;
            }
        }
    }

    fn plain(&self) -> Duration {
        let began = Instant::now();
        let (mut best, mut least) = (0, f32::INFINITY);
        for (index, (count, per_call)) in self.counts.iter().zip(&self.per_call).enumerate() {
            let stress = count.load(Ordering::Relaxed) as f32 * per_call;
            if stress < least {
                (best, least) = (index, stress);
            }
        }
        black_box(best);
        began.elapsed()
    }
}

fn quantile(sorted: &[Duration], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6
}

fn main() -> std::io::Result<()> {
    let mut rows = Rows::new("choose");
    for is_even in [false, true] {
        let load = if is_even { "evenly" } else { "unevenly" };
        let mut medians = Vec::new();
        for nodes in [10, 200, 1_000] {
            let mut pool = Pool::new(nodes);
            for _ in 0..DECISIONS {
                pool.decide(is_even);
            }
            let (mut decided, mut plain) = (Vec::new(), Vec::new());
            for _ in 0..DECISIONS {
                decided.push(pool.decide(is_even));
                plain.push(pool.plain());
            }
            decided.sort_unstable();
            plain.sort_unstable();
            let (median, p99) = (quantile(&decided, 0.5), quantile(&decided, 0.99));
            let goal = if nodes == 1_000 { Goal::AtMost(5.0) } else { Goal::None };
            rows.add(&format!("a decision among {nodes} {load} loaded nodes, p99"), p99, "us", goal);
            rows.add("the same, median", median, "us", Goal::None);
            let ratio = median / quantile(&plain, 0.5);
            rows.add("the same, against a plain search for the least utilised node", ratio, "x", Goal::None);
            medians.push(median);
        }
        if let [few, .., many] = medians[..] {
            rows.add(&format!("1,000 {load} loaded nodes beyond 10, median"), many - few, "us", Goal::AtMost(0.5));
        }
    }
    rows.write()
}
