//! What one decision costs: ranking, and ranking with the reservation, at 10, 200 and 1,000 nodes.
//!
//! `cargo bench --bench choose`. The goal is 5 us at the 99th percentile for 1,000 nodes; it is printed at the end,
//! measured call by call, since a mean hides it.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use kamari::balance::{Balancer, Scores, Settings, Standing, choose, place};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

const NOW: Duration = Duration::from_secs(10);

/// A pool in which every node has some calls, as in a busy hour.
fn pool(nodes: u32) -> (Balancer, Scores) {
    let mut balancer = Balancer::new(Settings::default());
    let mut rng = SmallRng::seed_from_u64(1);
    for _ in 0..nodes {
        let Some(slot) = balancer.add(1_000_000) else { continue };
        if let Some(node) = balancer.node_mut(slot) {
            node.set_standing(Standing::Up, NOW);
            node.on_resync(rng.random_range(500..900), NOW);
        }
    }
    let scores = balancer.scores(NOW);
    (balancer, scores)
}

/// Nanoseconds of the decision at the given quantile, with the clock's own cost in it.
fn quantile(nodes: u32, quantile: f64) -> u128 {
    let (balancer, scores) = pool(nodes);
    let (table, mut rng) = (balancer.table(), SmallRng::seed_from_u64(2));
    let mut taken: Vec<u128> = (0..200_000)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(place(&scores, &table, NOW, &mut rng));
            start.elapsed().as_nanos()
        })
        .collect();
    taken.sort_unstable();
    taken[(taken.len() as f64 * quantile) as usize]
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("balance");
    for nodes in [10, 200, 1_000] {
        let (balancer, scores) = pool(nodes);
        let table = balancer.table();
        group.bench_function(BenchmarkId::new("choose", nodes), |bencher| {
            let mut rng = SmallRng::seed_from_u64(2);
            bencher.iter(|| choose(&scores, &table, NOW, &mut rng));
        });
        group.bench_function(BenchmarkId::new("place", nodes), |bencher| {
            let mut rng = SmallRng::seed_from_u64(2);
            bencher.iter(|| place(&scores, &table, NOW, &mut rng));
        });
    }
    group.finish();
    // Cargo says so when it is a measurement and not a trial run under `cargo test`.
    let measuring = std::env::args().any(|argument| argument == "--bench");
    for nodes in [10, 200, 1_000].into_iter().filter(|_| measuring) {
        println!("{nodes} nodes: median {} ns, p99 {} ns", quantile(nodes, 0.5), quantile(nodes, 0.99));
    }
    criterion.final_summary();
}
