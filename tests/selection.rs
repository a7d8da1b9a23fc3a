//! The figures that choosing by performance must reach, each with the default settings and fixed seeds.
//!
//! `cargo test --release --test selection` runs them in full; a debug build runs a tenth of the calls. What they mean, and
//! how peers fare in the same situations, is in `docs/selection.md`.

use clap::ValueEnum;
use kamari::simulate::{Holding, Policy, Question, Row, Scenario, Settings, compare, erlangs_at};

/// Ten nodes of 100.
const TEN: &str = "10x100";

/// Calls of a run: all of them in a release build, a tenth otherwise.
fn calls(in_full: u64) -> u64 {
    if cfg!(debug_assertions) { in_full / 10 } else { in_full }
}

fn ask(scenario: Scenario, nodes: &str, load: f64, calls: u64, policies: Vec<Policy>) -> Vec<Row> {
    let (hold, seeds, holding, settings) = (180.0, 2, Holding::Exponential, Settings::default());
    let nodes = nodes.parse().expect("nodes");
    compare(&Question { scenario, policies, nodes, load, hold, holding, calls, seeds, settings }, &mut |_, _| {})
}

/// Kamari's figures.
fn kamari(scenario: Scenario, nodes: &str, load: f64) -> Row {
    let row = ask(scenario, nodes, load, calls(300_000), vec![Policy::Kamari]).remove(0);
    println!("{row:?}", row = Row { timeline: Vec::new(), ..row.clone() });
    row
}

#[test]
fn carries_all_but_a_hundredth_of_what_the_pool_could_at_one_percent_loss() {
    let load = 0.99 * erlangs_at(1_000, 0.01) / 1_000.0;
    let row = kamari(Scenario::Steady, TEN, load);
    assert!(row.first_try_blocking <= 0.01, "{} at {load}", row.first_try_blocking);
}

#[test]
fn blocks_nothing_at_ninety_percent_that_anyone_could_serve() {
    let row = kamari(Scenario::Steady, TEN, 0.9);
    assert!(row.first_try_blocking <= 0.000_2, "{}", row.first_try_blocking);
    assert!(row.max_over_mean <= 1.015, "{}", row.max_over_mean);
}

#[test]
fn keeps_nodes_level_and_cool_at_eighty_percent() {
    let row = kamari(Scenario::Steady, TEN, 0.8);
    assert!(row.max_over_mean <= 1.015, "{}", row.max_over_mean);
    assert!(row.hot_call_time <= 0.001, "{}", row.hot_call_time);
}

#[test]
fn bursts_cost_hardly_more_than_they_must() {
    let row = kamari(Scenario::Bursty, TEN, 0.9);
    assert!(row.bound > 0.002, "the bursts are harsh enough to say something: {}", row.bound);
    assert!(row.first_try_blocking <= 1.1 * row.bound, "{} of {}", row.first_try_blocking, row.bound);
}

#[test]
fn nodes_of_different_sizes_fill_alike() {
    let row = kamari(Scenario::Unequal, "2x50,2x100,2x200", 0.9);
    assert!(row.first_try_blocking <= 1.5 * row.bound, "{} of {}", row.first_try_blocking, row.bound);
    assert!(row.max_over_mean <= 1.015, "{}", row.max_over_mean);
}

#[test]
fn a_node_of_half_its_configured_size_is_found_out() {
    for load in [0.8, 0.9] {
        let row = kamari(Scenario::HiddenCapacity, "9x100,1x100:50", load);
        assert!(row.attempts_per_call <= 1.01, "{}", row.attempts_per_call);
    }
}

/// Three calls open the breaker; then one call is tried after 30 s, 60 s, 120 s: three within the fault's 300 s, each of
/// them served by the next node of its answer. In flight at 5 ms each way are two more at most at 5 calls a second.
#[test]
fn a_node_that_fails_at_once_costs_three_calls() {
    let row = kamari(Scenario::FastFailing, TEN, 0.9);
    assert!((3..=3 + 3 + 2).contains(&row.failing_tries), "{}", row.failing_tries);
    assert!(row.lost_share <= 1.1 * row.bound + 0.000_2, "{} of {}", row.lost_share, row.bound);
}

#[test]
fn a_node_that_fails_at_once_costs_as_little_at_a_hundred_times_the_rate() {
    let (nodes, holding, settings) = (TEN.parse().expect("nodes"), Holding::Exponential, Settings::default());
    let (scenario, policies) = (Scenario::FastFailing, vec![Policy::Kamari, Policy::CallLoad]);
    let calls = if cfg!(debug_assertions) { 300_000 } else { 2_000_000 };
    let question = Question { scenario, policies, nodes, load: 0.6, hold: 1.8, holding, calls, seeds: 1, settings };
    let rows = compare(&question, &mut |_, _| {});
    // 333 calls a second: three or four are under way in the 10 ms until a refusal is known.
    assert!((3..=3 + 3 + 10).contains(&rows[0].failing_tries), "{}", rows[0].failing_tries);
    assert!(rows[1].failing_tries > 1_000, "what the breaker is for: {}", rows[1].failing_tries);
}

#[test]
fn half_the_load_placed_by_others_is_seen_in_time() {
    let row = kamari(Scenario::ForeignLoad, TEN, 0.9);
    assert!(row.first_try_blocking <= 0.001, "{}", row.first_try_blocking);
}

#[test]
fn a_joining_node_is_eased_in() {
    for load in [0.8, 0.9] {
        let row = kamari(Scenario::Join, TEN, load);
        assert!(row.join_share > 1.0 && row.join_share <= 3.0, "{}", row.join_share);
        assert_eq!(row.join_refusals, 0);
    }
}

#[test]
fn ten_seconds_in_the_dark_or_a_restart_at_most_double_what_is_blocked() {
    for scenario in [Scenario::TelemetryLoss, Scenario::Restart] {
        let row = kamari(scenario, TEN, 0.9);
        // At a tenth of the calls the bound is a handful of calls, and so is the difference.
        let allowed = (2.0 * row.bound).max(if cfg!(debug_assertions) { 0.000_5 } else { 0.0 });
        assert!(row.first_try_blocking <= allowed, "{scenario:?}: {} of {}", row.first_try_blocking, row.bound);
    }
}

#[test]
fn a_slow_node_and_a_lossy_one_are_spared() {
    let slow = ask(Scenario::SlowNode, TEN, 0.8, calls(100_000), vec![Policy::Kamari, Policy::CallLoad]);
    assert!(slow[0].setup_p99 < 0.1 * slow[1].setup_p99, "{} against {}", slow[0].setup_p99, slow[1].setup_p99);
    let lossy = ask(Scenario::BadMedia, TEN, 0.8, calls(100_000), vec![Policy::Kamari, Policy::CallLoad]);
    assert!(lossy[0].bad_media < 0.2 * lossy[1].bad_media, "{} against {}", lossy[0].bad_media, lossy[1].bad_media);
}

/// Beyond noise: by more than four standard errors of the difference and one call in 20,000. Of the calls blocked at the
/// first try, and of the calls lost altogether.
#[test]
fn no_peer_does_better_in_any_situation() {
    let peers = || Policy::value_variants().iter().copied().filter(|&policy| policy != Policy::ErlangB);
    for &scenario in Scenario::value_variants() {
        for load in if cfg!(debug_assertions) { vec![0.9] } else { vec![0.8, 0.9] } {
            let rows = ask(scenario, scenario.default_nodes(), load, calls(60_000), peers().collect());
            let ours = &rows[0];
            for peer in &rows[1..] {
                let noise = |row: &Row, share: f64| (share * (1.0 - share) / row.calls as f64).max(0.0);
                let margin = |a: f64, b: f64| 4.0 * (noise(ours, a) + noise(peer, b)).sqrt() + 0.000_05;
                let context = format!("{} against {} in {} at {load}", ours.policy, peer.policy, peer.scenario);
                let (mine, theirs) = (ours.first_try_blocking, peer.first_try_blocking);
                assert!(mine <= theirs + margin(mine, theirs), "first try: {context}: {mine} > {theirs}");
                let (mine, theirs) = (ours.lost_share, peer.lost_share);
                assert!(mine <= theirs + margin(mine, theirs), "lost: {context}: {mine} > {theirs}");
            }
        }
    }
}

#[test]
fn lognormal_calls_change_nothing() {
    let (nodes, settings) = (TEN.parse().expect("nodes"), Settings::default());
    let (scenario, policies) = (Scenario::Steady, vec![Policy::Kamari]);
    let (holding, calls) = (Holding::Lognormal { sigma: 1.2 }, calls(300_000));
    let question = Question { scenario, policies, nodes, load: 0.9, hold: 180.0, holding, calls, seeds: 2, settings };
    let row = compare(&question, &mut |_, _| {}).remove(0);
    assert!(row.first_try_blocking <= 1.1 * row.bound + 0.000_05, "{} of {}", row.first_try_blocking, row.bound);
}
