//! All nodes' balancing state in one hand: slots given out and taken back, and the scores to publish.
//!
//! Here is also what can be known only of the pool as a whole: how many calls come and end, and what is usual.
//!
//! Owned by one task. Lookup threads get the load table (shared, atomic) and the latest `Scores` (immutable) from it.

use super::node::{NodeState, Standing};
use super::quality::Usual;
use super::scores::{Class, PoolScores, Record, Scores};
use super::settings::Settings;
use super::table::{LoadTable, Slot};
use std::sync::Arc;
use std::time::Duration;

/// The owner's side of balancing.
#[derive(Debug)]
pub struct Balancer {
    settings: Arc<Settings>,
    table: Arc<LoadTable>,
    nodes: Vec<Option<NodeState>>,
    flow: Flow,
    usual: Usual,
    /// When at least half of the nodes were last in sight.
    light: Duration,
    /// From when and until when the proxy told of calls that ended on nodes which were not heard.
    told: (Duration, Duration),
}

/// The proxy tells of ends for so long after it was last asked to: silence for longer says that it no longer does.
const TOLD_GAP: Duration = Duration::from_secs(15);
/// The proxy first tells of the ends that it saw in so long a time before it was asked.
const TOLD_BACK: Duration = Duration::from_secs(4);

/// The pool's traffic: rates over about ten seconds, and how long calls last over a quarter of an hour.
#[derive(Debug)]
struct Flow {
    at: Duration,
    attempts: u32,
    ended: u32,
    refused: u32,
    /// Attempts, ends of calls and refusals a second.
    attempt_rate: f64,
    end_rate: f64,
    refusal_rate: f64,
    /// Calls that ended and seconds of calls, remembered: their ratio is the share of calls that ends each second.
    ends: f64,
    call_seconds: f64,
}

impl Flow {
    /// Nothing known: calls are taken to last three minutes until a few were seen to end.
    fn new() -> Self {
        Self {
            at: Duration::ZERO,
            attempts: 0,
            ended: 0,
            refused: 0,
            attempt_rate: 0.0,
            end_rate: 0.0,
            refusal_rate: 0.0,
            ends: 1.0,
            call_seconds: 180.0,
        }
    }

    /// Counts up to `now`; returns the seconds since the last time. While the ends of calls are out of sight their rate
    /// is taken to stay what it was.
    fn advance(&mut self, attempts: u32, ended: u32, refused: u32, own: u32, in_sight: bool, now: Duration) -> f64 {
        const MEMORY: f64 = 10.0;
        const LONG_MEMORY: f64 = 900.0;
        let elapsed = now.saturating_sub(self.at).as_secs_f64();
        if elapsed <= 0.0 {
            return 0.0;
        }
        let weight = 1.0 - (-elapsed / MEMORY).exp();
        let new = |before: u32, count: u32| f64::from(count.wrapping_sub(before));
        let blend = |rate: &mut f64, new: f64| *rate += (new / elapsed - *rate) * weight;
        blend(&mut self.attempt_rate, new(self.attempts, attempts));
        if in_sight {
            blend(&mut self.end_rate, new(self.ended, ended));
        }
        blend(&mut self.refusal_rate, new(self.refused, refused));
        // Ends out of sight are told later, all at once: over so long a time that makes no difference.
        let kept = (-elapsed / LONG_MEMORY).exp();
        self.ends = self.ends * kept + new(self.ended, ended);
        self.call_seconds = self.call_seconds * kept + f64::from(own) * elapsed;
        (self.at, self.attempts, self.ended, self.refused) = (now, attempts, ended, refused);
        elapsed
    }

    /// The share of the calls in progress that ends each second, 0 to 1.
    fn churn(&self) -> f64 {
        (self.ends / self.call_seconds.max(1.0)).clamp(0.0, 1.0)
    }
}

impl Balancer {
    /// An empty pool. The settings must have been validated.
    pub fn new(settings: Settings) -> Self {
        let table = Arc::new(LoadTable::new(settings.max_nodes));
        Self {
            settings: Arc::new(settings),
            table,
            nodes: Vec::new(),
            flow: Flow::new(),
            usual: Usual::default(),
            light: Duration::ZERO,
            told: (Duration::ZERO, Duration::ZERO),
        }
    }

    /// The load table, to be shared with the lookup threads.
    pub fn table(&self) -> Arc<LoadTable> {
        Arc::clone(&self.table)
    }

    /// Adds a node of `capacity` calls (at least 1), not yet offered. `None` when `max_nodes` are there already.
    pub fn add(&mut self, capacity: u32) -> Option<Slot> {
        let index = self.nodes.iter().position(Option::is_none).unwrap_or(self.nodes.len());
        if index >= self.table.slots() {
            return None;
        }
        if index == self.nodes.len() {
            self.nodes.push(None);
        }
        let slot = Slot::new(index as u32);
        let state = NodeState::new(slot, capacity.max(1), Arc::clone(&self.table), Arc::clone(&self.settings));
        self.nodes[index] = Some(state);
        Some(slot)
    }

    /// Removes a node and frees its slot. Do this only when scores without the node have been out for longer than a
    /// lookup takes, and its reservations are gone: a late one would count for the slot's next tenant.
    pub fn remove(&mut self, slot: Slot) {
        if let Some(node) = self.nodes.get_mut(slot.index()) {
            *node = None;
            self.table.reset(slot);
        }
    }

    /// One node's state.
    pub fn node(&self, slot: Slot) -> Option<&NodeState> {
        self.nodes.get(slot.index())?.as_ref()
    }

    /// One node's state, to be told what happened.
    pub fn node_mut(&mut self, slot: Slot) -> Option<&mut NodeState> {
        self.nodes.get_mut(slot.index())?.as_mut()
    }

    /// The proxy saw one of our calls end on the node at `slot`. Counts only while the node itself is not heard.
    pub fn on_end_told(&mut self, slot: Slot, now: Duration) {
        if !self.node_mut(slot).is_some_and(|node| node.on_end_told(now)) {
            return;
        }
        let (from, until) = self.told;
        self.told = if now > until + TOLD_GAP { (now.saturating_sub(TOLD_BACK), now) } else { (from, now) };
    }

    /// Time passes, for every node: to be called about once a second, followed by `scores`.
    pub fn tick(&mut self, now: Duration) {
        let nodes = || self.nodes.iter().flatten();
        let attempts = nodes().map(|node| self.table.attempts(node.slot())).fold(0, u32::wrapping_add);
        let ended = nodes().map(NodeState::ended).fold(0, u32::wrapping_add);
        let in_sight = 2 * nodes().filter(|node| node.is_recent(now)).count() >= nodes().count();
        let own = nodes().map(|node| node.load().own).sum();
        if in_sight {
            self.light = now;
        }
        let elapsed = self.flow.advance(attempts, ended, self.table.refusals(), own, in_sight, now);
        self.usual = Usual {
            setup: median(nodes().filter_map(NodeState::setup)),
            loss: median(nodes().filter_map(|node| node.quality().media().map(|(loss, _)| loss))),
            jitter: median(nodes().filter_map(|node| node.quality().media().map(|(_, jitter)| jitter))),
        };
        let up = nodes().filter(|node| node.standing() == Standing::Up);
        let capacity: f64 = up.map(|node| f64::from(node.learned_capacity())).sum();
        let fair_per_call = self.flow.attempt_rate.max(0.0) * elapsed / capacity.max(1.0);
        for node in self.nodes.iter_mut().flatten() {
            let fair = fair_per_call * f64::from(node.learned_capacity());
            node.tick(elapsed, fair, &self.usual, now);
        }
    }

    /// The scores to publish now. Call it after each change of a node's standing, after each failure, and after each
    /// tick.
    pub fn scores(&self, now: Duration) -> Scores {
        let nodes = || self.nodes.iter().flatten();
        let up = nodes().filter(|node| node.standing() == Standing::Up);
        let (mut all, mut settled) = (0_u64, 0_u64);
        for node in up {
            all += u64::from(node.learned_capacity());
            settled += if node.in_full_service(now) { u64::from(node.learned_capacity()) } else { 0 };
        }
        let easing = 2 * settled >= all;
        let record = |node: &Option<NodeState>| {
            node.as_ref().map_or(Record::WITHHELD, |node| node.record(&self.usual, easing, self.light, now))
        };
        let records: Arc<[Record]> = self.nodes.iter().map(record).collect();
        let offered = nodes().filter(|node| node.standing() != Standing::Withheld).count();
        let heard = (0_u32..).zip(records.iter()).filter(|(index, record)| {
            record.watched && self.table.fresh_until(Slot::new(*index)) >= now + self.settings.overdue_left()
        });
        let pool = PoolScores {
            unheard: 2 * heard.count() < offered,
            routes: self.settings.routes,
            offered,
            none_better_than_ejected: records.iter().all(|record| record.class >= Class::Ejected),
            sight_until_ms: self.sight_until_ms(&records, offered),
            overdue_left_ms: self.settings.overdue_left().as_millis() as u64,
            churn: self.flow.churn() as f32,
            told_ms: (self.told.0.as_millis() as u64, self.told.1.as_millis() as u64),
            retry_after: self.retry_after() as f32,
        };
        Scores::new(records, pool)
    }

    /// Until when at least half of those `offered` stay fresh if nothing more is heard of any; 0 when they are not now.
    fn sight_until_ms(&self, records: &[Record], offered: usize) -> u64 {
        let watched = (0_u32..).zip(records).filter(|(_, record)| record.watched);
        let mut until: Vec<_> = watched.map(|(index, _)| self.table.fresh_until_ms(Slot::new(index))).collect();
        let Some(last) = offered.div_ceil(2).checked_sub(1).filter(|&last| last < until.len()) else { return 0 };
        *until.select_nth_unstable_by(last, |a, b| b.cmp(a)).1
    }

    /// Seconds until a refused caller is likely to find a place: those refused within a second, and he, wait for as many
    /// calls to end. 1 to 5.
    fn retry_after(&self) -> f64 {
        ((1.0 + self.flow.refusal_rate) / self.flow.end_rate.max(0.1)).clamp(1.0, 5.0)
    }
}

/// The middle value (the lower of two); 0 of none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    let Some(last) = values.len().checked_sub(1) else { return 0.0 };
    *values.select_nth_unstable_by(last / 2, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::{Balancer, Settings, Slot, Standing};
    use crate::balance::{Placement, Refusal, choose, place};
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;
    use std::time::Duration;

    /// A node with ten calls of ours, seen at two seconds.
    fn node_of_ten() -> (Balancer, Slot) {
        let mut balancer = Balancer::new(Settings::default());
        let slot = balancer.add(100).unwrap();
        balancer.node_mut(slot).unwrap().set_standing(Standing::Up, Duration::ZERO);
        balancer.node_mut(slot).unwrap().on_resync(10, Duration::from_secs(2));
        (balancer, slot)
    }

    #[test]
    fn an_end_that_the_proxy_tells_counts_once_and_only_out_of_sight() {
        let (mut balancer, slot) = node_of_ten();
        let own = |balancer: &Balancer| balancer.table().load(slot).own;
        balancer.on_end_told(slot, Duration::from_secs(3));
        assert_eq!(own(&balancer), 10, "it is heard: its event says so");
        let unheard = Duration::from_secs(4);
        assert!(balancer.scores(unheard).is_unheard() && !balancer.scores(Duration::from_secs(3)).is_unheard());
        balancer.on_end_told(slot, unheard);
        balancer.on_end_told(slot, unheard);
        assert_eq!(own(&balancer), 8);
        balancer.node_mut(slot).unwrap().on_call_ended(unheard);
        assert_eq!(own(&balancer), 8, "only its polls failed, and the event came after all");
        balancer.node_mut(slot).unwrap().on_resync(7, unheard);
        balancer.node_mut(slot).unwrap().on_call_ended(unheard);
        assert_eq!(own(&balancer), 6, "what was read is the truth, and all after it is news");
    }

    /// Two full nodes go out of sight, and of one a call ends. Who is told of it sends the next call there; who is not guesses.
    #[test]
    fn who_is_told_of_ends_knows_the_free_place() {
        let mut found = [0; 2];
        for (told, found) in found.iter_mut().enumerate() {
            let mut balancer = Balancer::new(Settings::default());
            let slots = [50, 50].map(|capacity| balancer.add(capacity).unwrap());
            for slot in slots {
                balancer.node_mut(slot).unwrap().set_standing(Standing::Up, Duration::ZERO);
                balancer.node_mut(slot).unwrap().on_resync(50, Duration::from_secs(1));
            }
            let dark = Duration::from_secs(6);
            if told == 1 {
                balancer.on_end_told(slots[1], dark);
            }
            let mut rng = SmallRng::seed_from_u64(7);
            let scores = balancer.scores(dark);
            *found = (0..200)
                .filter(|_| choose(&scores, &balancer.table(), dark, &mut rng).first() == Some(slots[1]))
                .count();
        }
        assert!((60..140).contains(&found[0]), "{found:?}");
        assert_eq!(found[1], 200);
    }

    proptest! {
        /// From the seconds until as many places are free as callers wait to twice that and one, within 1 to 5, and never all
        /// the same.
        #[test]
        fn who_is_refused_is_told_when_a_place_will_be_free(ends in 0_u32..40, refused in 0_u32..40, seed: u64) {
            let mut balancer = Balancer::new(Settings::default());
            let mut rng = SmallRng::seed_from_u64(seed);
            let slot = balancer.add(200).unwrap();
            balancer.node_mut(slot).unwrap().set_standing(Standing::Up, Duration::ZERO);
            let full = |balancer: &mut Balancer, now| balancer.node_mut(slot).unwrap().on_resync(200, now);
            let mut waits = Vec::new();
            for second in 1..120_u64 {
                let now = Duration::from_secs(second);
                for _ in 0..ends {
                    balancer.node_mut(slot).unwrap().on_call_ended(now);
                }
                full(&mut balancer, now);
                let scores = balancer.scores(now);
                for _ in 0..refused {
                    match place(&scores, &balancer.table(), now, &mut rng) {
                        Placement::Refused { why: Refusal::Full, retry_after_s } => waits.push((second, retry_after_s)),
                        other => prop_assert!(false, "{other:?}"),
                    }
                }
                balancer.tick(now);
            }
            let due = (f64::from(1 + refused) / f64::from(ends).max(0.1)).clamp(1.0, 5.0);
            // The rates are averages of ten seconds: near enough after a hundred.
            let (least, most) = ((0.98 * due) as u32, (2.04 * due + 1.0).round().min(5.0) as u32);
            let least = least.clamp(1, 3);
            let settled: Vec<_> = waits.iter().filter(|(second, _)| *second > 100).map(|(_, wait)| *wait).collect();
            prop_assert!(settled.iter().all(|wait| (least..=most).contains(wait)), "{due}: {settled:?}");
            let told = |wait: u32| settled.iter().filter(|told| **told == wait).count();
            prop_assert!(settled.len() < 300 || (1..=5).all(|wait| 10 * told(wait) < 5 * settled.len()), "{due}: {settled:?}");
        }
    }
}
