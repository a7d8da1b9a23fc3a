//! The choice itself: the nodes that will serve the next call best, best first.
//!
//! No allocation, no lock, no clock: the time and the randomness are arguments. The nodes of least cost are found by
//! `front`, from what `minima` remembers of each block of nodes; what is true of a node only at this instant is judged here.
//! The same code answers Kamailio in the daemon and routes calls in the simulator.

use super::front::Front;
use super::scores::{Class, Record, Scores};
use super::table::{LoadTable, Slot};
use rand::Rng;
use std::time::Duration;

/// The most nodes that one answer ever names.
pub const MAX_ROUTES: usize = 5;

/// Added to the score of a node that has had its share for now: larger than any stress and penalty.
const AFTER_OTHERS: f32 = 1.0e3;
/// Added to the score of a node that is used only when no other can be: stale, suspect, or dead before the lights went out.
const LAST_RESORT: f32 = 1.0e6;
/// Added to the score of a node that refuses calls at once: it is tried instead of turning the caller away.
const RATHER_THAN_NONE: f32 = 1.0e9;
/// Added to the score of a node that leaves calls unanswered, which is tried with one call a second in the same case.
const LAST_OF_ALL: f32 = 1.0e12;
/// How often `place` chooses again when other threads fill its choice first. Each round sees the fuller nodes, so a
/// second round is rare and a third next to never; the bound only keeps the loop finite.
const ROUNDS: usize = 8;

/// Nodes in order of preference, best first, none twice. Holds at most `MAX_ROUTES`; empty when nobody can take the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranked {
    slots: [Slot; MAX_ROUTES],
    /// A byte, since whoever remembers many answers remembers this with each.
    len: u8,
}

impl Ranked {
    /// The nodes, best first.
    pub fn as_slice(&self) -> &[Slot] {
        &self.slots[..usize::from(self.len)]
    }

    /// The best node.
    pub fn first(&self) -> Option<Slot> {
        self.as_slice().first().copied()
    }

    /// Nobody can take the call.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One more, behind the others; nothing when it is full.
    pub(super) fn push(&mut self, slot: Slot) {
        if let Some(place) = self.slots.get_mut(usize::from(self.len)) {
            *place = slot;
            self.len += 1;
        }
    }
}

impl Default for Ranked {
    fn default() -> Self {
        Self { slots: [Slot::new(0); MAX_ROUTES], len: 0 }
    }
}

/// What became of one lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// The call goes to the first node, where it now has a reservation; the others stand by in this order.
    Routed(Ranked),
    /// No node can take it.
    Refused {
        /// What is in the way.
        why: Refusal,
        /// Seconds for the Retry-After header, 1 to 5.
        retry_after_s: u32,
    },
}

/// Why no node can take a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No node takes new calls: there is none, or all are down, joining, draining or disabled.
    NoNode,
    /// Every node that takes calls is full.
    Full,
}

impl Refusal {
    /// The reason in words, for the caller's side.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoNode => "no node takes calls",
            Self::Full => "all nodes are full",
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Ranks the nodes for one call that arrives at `now` (since the owner's epoch). Changes nothing.
///
/// A node that is withheld or full is never named. Among equals the order is random, and every order is as likely as any
/// other. Nodes that are stale or suspect come after all others. When more than half of the pool is out of sight, sight
/// is what failed: see `blind`.
pub fn choose(scores: &Scores, table: &LoadTable, now: Duration, rng: &mut impl Rng) -> Ranked {
    let now_ms = now.as_millis().try_into().unwrap_or(u64::MAX);
    let seed = rng.next_u32();
    if !is_in_sight(scores, table, now_ms) {
        return blind(scores, table, now_ms, seed);
    }
    let ranked = Front::new(scores, table, now_ms).take(scores.pool.routes.clamp(1, MAX_ROUTES), seed);
    // Before anybody is refused, the counts by which all are full must be recent: a late poll says that ends of calls
    // may have gone unheard, too.
    let guessing = ranked.is_empty() && (scores.pool.none_better_than_ejected || !mostly_recent(scores, table, now_ms));
    if guessing { blind(scores, table, now_ms, seed) } else { ranked }
}

/// What a node of this cost is worth at this instant: the cost, more when it is to be used only after others, or
/// infinite when it may not be named. Never less than the cost.
#[inline]
pub(super) fn judge(scores: &Scores, table: &LoadTable, slot: Slot, cost: f32, now_ms: u64) -> f32 {
    let Some(record) = scores.records.get(slot.index()) else { return f32::INFINITY };
    if table.load(slot).total() >= record.limit || record.class > Class::Ejected {
        return f32::INFINITY;
    }
    let has_share = || has_attempts(record, table.attempts(slot));
    let set_back = match record.class {
        Class::Trial | Class::Ejected if !has_share() => return f32::INFINITY,
        Class::Eased if !has_share() => AFTER_OTHERS,
        Class::Suspect => LAST_RESORT,
        Class::Refusing => RATHER_THAN_NONE,
        Class::Ejected => LAST_OF_ALL,
        _ => 0.0,
    };
    let unseen = if table.fresh_until_ms(slot) >= now_ms { 0.0 } else { LAST_RESORT };
    cost + unseen + set_back
}

/// Ranks without sight. What was last known of each node, the calls sent there since and the pool's usual rate of ends
/// give the stress to be expected and the risk that the node is full (`Record::unseen_stress`). That does not herd: each
/// call sent changes the estimate for the next. Nobody is called full on a guess: that is left to the node, and its refusal
/// says what it carries at that moment; as many next nodes as there may be are named. A node whose breaker is open by silence takes part only when there is none better.
fn blind(scores: &Scores, table: &LoadTable, now_ms: u64, seed: u32) -> Ranked {
    let mut best = Best::new(MAX_ROUTES);
    for (index, record) in (0_u32..).zip(scores.records.iter()) {
        let slot = Slot::new(index);
        let total = table.load(slot).total();
        let in_sight = table.fresh_until_ms(slot) >= now_ms;
        let set_back = match record.class {
            Class::Withheld => continue,
            Class::Ejected if !scores.pool.none_better_than_ejected => continue,
            Class::Trial if !has_attempts(record, table.attempts(slot)) => continue,
            Class::Refusing => RATHER_THAN_NONE,
            _ if in_sight && total >= record.limit => continue,
            _ if !in_sight && record.long_gone => LAST_RESORT,
            _ => 0.0,
        };
        let stress = if in_sight {
            record.stress((total + 1) as f32)
        } else {
            record.unseen_stress(total, &scores.pool, now_ms)
        };
        best.offer(stress + record.penalty + set_back, index, seed);
    }
    best.ranked()
}

/// Whether at least half of the nodes are in sight. The owner said until when they are in any case; after that they are
/// counted.
fn is_in_sight(scores: &Scores, table: &LoadTable, now_ms: u64) -> bool {
    now_ms <= scores.pool.sight_until_ms || 2 * fresh_at(scores, table, now_ms) >= scores.pool.offered
}

/// Whether this node is heard, so that what the proxy tells of its calls is no news.
pub fn is_heard(scores: &Scores, table: &LoadTable, slot: Slot, now: Duration) -> bool {
    table.fresh_until(slot) >= now + Duration::from_millis(scores.pool.overdue_left_ms)
}

/// Whether of at least half of the nodes no poll is overdue.
fn mostly_recent(scores: &Scores, table: &LoadTable, now_ms: u64) -> bool {
    2 * fresh_at(scores, table, now_ms + scores.pool.overdue_left_ms) >= scores.pool.offered
}

/// How many nodes that are expected to be seen are fresh until that time at least.
fn fresh_at(scores: &Scores, table: &LoadTable, ms: u64) -> usize {
    let fresh = |(index, record): &(u32, &Record)| record.watched && table.fresh_until_ms(Slot::new(*index)) >= ms;
    (0_u32..).zip(scores.records.iter()).filter(fresh).count()
}

/// Whether the node has not yet had its share of attempts.
fn has_attempts(record: &Record, attempts: u32) -> bool {
    record.attempts_until.wrapping_sub(attempts).cast_signed() > 0
}

/// Ranks the nodes, and promises the call to the best of them that still has room.
pub fn place(scores: &Scores, table: &LoadTable, now: Duration, rng: &mut impl Rng) -> Placement {
    for _ in 0..ROUNDS {
        let ranked = choose(scores, table, now, rng);
        let Some(first) = ranked.first() else { break };
        if reserve(scores, table, now, first) {
            return Placement::Routed(ranked);
        }
    }
    let why = if scores.pool.offered > 0 { Refusal::Full } else { Refusal::NoNode };
    table.count_refusal();
    Placement::Refused { why, retry_after_s: retry_after(scores.pool.retry_after, rng) }
}

/// Whole seconds for one refused caller: not before a place is likely to be free, in `due` seconds (1 to 5), and spread
/// over as long again and a second, so that those refused together do not come back together. Within 1 to 5, and over three
/// of them at least.
fn retry_after(due: f32, rng: &mut impl Rng) -> u32 {
    let first = (due as u32).clamp(1, 3);
    let last = (2.0 * due + 1.0).round().clamp(3.0, 5.0) as u32;
    first + rng.next_u32() % (last - first + 1)
}

/// Promises a call to this very node if it still has room: the best of a ranking, which others may have filled since, or
/// the next one of an answer whose first failed.
pub fn reserve(scores: &Scores, table: &LoadTable, now: Duration, slot: Slot) -> bool {
    let record = scores.record(slot);
    // Out of sight the count is a guess, and the node itself must say when it is full.
    let in_sight = table.fresh_until(slot) >= now;
    let limit = if in_sight { record.limit } else { u32::MAX };
    let rationed = match record.class {
        Class::Trial => true,
        Class::Ejected => !scores.pool.none_better_than_ejected,
        _ => false,
    };
    let attempts_until = rationed.then_some(record.attempts_until);
    table.try_reserve(slot, limit, attempts_until)
}

/// The best few so far, kept sorted by (score, tie).
struct Best {
    score: [f32; MAX_ROUTES],
    tie: [u32; MAX_ROUTES],
    slot: [Slot; MAX_ROUTES],
    len: usize,
    wanted: usize,
    /// The score that a node must not exceed to be kept.
    worst: f32,
}

impl Best {
    fn new(wanted: usize) -> Self {
        Self {
            score: [f32::INFINITY; MAX_ROUTES],
            tie: [0; MAX_ROUTES],
            slot: [Slot::new(0); MAX_ROUTES],
            len: 0,
            wanted: wanted.clamp(1, MAX_ROUTES),
            worst: f32::INFINITY,
        }
    }

    /// Takes the node in if it beats the worst kept so far. Nearly always it does not, and that is one comparison.
    #[inline]
    fn offer(&mut self, score: f32, index: u32, seed: u32) {
        if score > self.worst {
            return;
        }
        self.insert(score, tie_key(index, seed), Slot::new(index));
    }

    fn insert(&mut self, score: f32, tie: u32, slot: Slot) {
        let at = (0..self.len).find(|&i| (score, tie) < (self.score[i], self.tie[i])).unwrap_or(self.len);
        if at == self.wanted {
            return;
        }
        self.len = (self.len + 1).min(self.wanted);
        for i in (at + 1..self.len).rev() {
            self.score[i] = self.score[i - 1];
            self.tie[i] = self.tie[i - 1];
            self.slot[i] = self.slot[i - 1];
        }
        self.score[at] = score;
        self.tie[at] = tie;
        self.slot[at] = slot;
        if self.len == self.wanted {
            self.worst = self.score[self.len - 1];
        }
    }

    fn ranked(&self) -> Ranked {
        Ranked { slots: self.slot, len: self.len as u8 }
    }
}

/// A key that orders equals differently for every lookup: the finaliser of `MurmurHash3` over slot and seed, a bijection,
/// so two slots never share a key.
pub(super) fn tie_key(index: u32, seed: u32) -> u32 {
    let mut key = index.wrapping_add(seed);
    key = (key ^ (key >> 16)).wrapping_mul(0x85eb_ca6b);
    key = (key ^ (key >> 13)).wrapping_mul(0xc2b2_ae35);
    key ^ (key >> 16)
}

#[cfg(test)]
mod tests {
    use super::{Placement, Refusal, choose, place};
    use crate::balance::{Balancer, Settings, Slot, Standing};
    use rand::{SeedableRng, rngs::SmallRng};
    use std::time::Duration;

    const NOW: Duration = Duration::from_secs(10);

    fn pool(capacities: &[u32]) -> Balancer {
        let mut balancer = Balancer::new(Settings::default());
        for &capacity in capacities {
            let slot = balancer.add(capacity).unwrap();
            let node = balancer.node_mut(slot).unwrap();
            node.set_standing(Standing::Up, NOW);
            node.on_resync(0, NOW);
        }
        balancer
    }

    fn routed(balancer: &Balancer, now: Duration, rng: &mut SmallRng) -> Option<Slot> {
        match place(&balancer.scores(NOW), &balancer.table(), now, rng) {
            Placement::Routed(ranked) => ranked.first(),
            Placement::Refused { .. } => None,
        }
    }

    #[test]
    fn fills_by_utilisation_to_the_last_place_and_then_refuses() {
        let balancer = pool(&[50, 100, 200]);
        let mut rng = SmallRng::seed_from_u64(1);
        for _ in 0..350 {
            routed(&balancer, NOW, &mut rng).unwrap();
            let used: Vec<f64> = [(0, 50.0), (1, 100.0), (2, 200.0)]
                .map(|(slot, capacity)| f64::from(balancer.table().load(Slot::new(slot)).total()) / capacity)
                .to_vec();
            let spread = used.iter().copied().fold(0.0, f64::max) - used.iter().copied().fold(1.0, f64::min);
            assert!(spread <= 1.0 / 50.0 + 1e-9, "{used:?}");
        }
        let placement = place(&balancer.scores(NOW), &balancer.table(), NOW, &mut rng);
        assert!(matches!(placement, Placement::Refused { why: Refusal::Full, retry_after_s: 1..=5 }), "{placement:?}");
    }

    #[test]
    fn ties_are_fair_in_every_rank() {
        let balancer = pool(&[100; 5]);
        let scores = balancer.scores(NOW);
        let mut rng = SmallRng::seed_from_u64(2);
        let mut seen = [[0_u32; 5]; 3];
        for _ in 0..10_000 {
            let ranked = choose(&scores, &balancer.table(), NOW, &mut rng);
            for (rank, slot) in ranked.as_slice().iter().enumerate() {
                seen[rank][slot.index()] += 1;
            }
        }
        // 2,000 expected each; five standard deviations are 200.
        assert!(seen.iter().flatten().all(|count| (1_800..=2_200).contains(count)), "{seen:?}");
    }

    #[test]
    fn stale_nodes_come_last_and_withheld_ones_never() {
        let mut balancer = pool(&[100, 100, 100]);
        let mut rng = SmallRng::seed_from_u64(3);
        let later = NOW + Duration::from_secs(4);
        balancer.node_mut(Slot::new(1)).unwrap().on_resync(90, later);
        balancer.node_mut(Slot::new(2)).unwrap().set_standing(Standing::Withheld, later);
        let ranked = choose(&balancer.scores(NOW), &balancer.table(), later, &mut rng);
        assert_eq!(ranked.as_slice(), [Slot::new(1), Slot::new(0)]);
        for slot in [0, 1] {
            balancer.node_mut(Slot::new(slot)).unwrap().set_standing(Standing::Withheld, later);
        }
        let placement = place(&balancer.scores(NOW), &balancer.table(), later, &mut rng);
        assert!(matches!(placement, Placement::Refused { why: Refusal::NoNode, .. }), "{placement:?}");
    }
}
