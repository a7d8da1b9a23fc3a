//! The nodes of least cost, found without looking at each.
//!
//! Of each group of blocks the least cost is remembered, and how many nodes share it. The pool is cut into at most `STRETCHES`
//! stretches of groups: in a pool of up to 4,096 nodes a stretch is one group. Finding the best node is then one short run over
//! that list, and one look at a group and a block. Among equals one is drawn: each node of least cost is one lot, wherever it is.
//!
//! The costs of a block know nothing of what depends on the instant (whether a node is still in sight, full, or has had
//! its share), and that can only make a node worse. So a node that was drawn is judged; if its judgement differs from its cost, its
//! whole block is judged, and the drawing goes on. Drawing from a larger set until a member of the smaller one comes up leaves
//! each of these as likely as any other. When that happens too often, as in a pool where much is wrong, all blocks are judged.

use super::choose::{Ranked, judge, tie_key};
use super::minima::{Least, Lots};
use super::scores::Scores;
use super::table::{GROUP, LANES, LoadTable, Slot};
use std::ops::Range;

/// The most stretches into which a pool is cut.
const STRETCHES: usize = 64;
/// How many blocks are judged one by one before all are.
const ONE_BY_ONE: usize = 8;

/// What a choice has found so far.
pub(super) struct Front<'a> {
    scores: &'a Scores,
    table: &'a LoadTable,
    now_ms: u64,
    /// Groups to a stretch.
    width: usize,
    /// The least cost of each stretch, and how many nodes that are not taken have it.
    stretches: [Lots; STRETCHES],
    len: usize,
    /// Blocks that are known by their nodes' judgements.
    judged: Judged,
    taken: Ranked,
}

enum Judged {
    Some([usize; ONE_BY_ONE], usize),
    All,
}

impl<'a> Front<'a> {
    pub(super) fn new(scores: &'a Scores, table: &'a LoadTable, now_ms: u64) -> Self {
        let groups = scores.blocks.len().div_ceil(GROUP);
        let width = groups.div_ceil(STRETCHES).max(1);
        let mut front = Self {
            scores,
            table,
            now_ms,
            width,
            stretches: [Lots::NONE; STRETCHES],
            len: groups.div_ceil(width).min(STRETCHES),
            judged: Judged::Some([0; ONE_BY_ONE], 0),
            taken: Ranked::default(),
        };
        for stretch in 0..front.len {
            front.look_at(stretch);
        }
        front
    }

    /// The best `wanted` nodes in order, or as many as there are.
    pub(super) fn take(mut self, wanted: usize, seed: u32) -> Ranked {
        // A draw of its own for each, from one seed: the upper half of the product is uniform below `lots`.
        let lot_of = |draw: u32, lots: u32| ((u64::from(tie_key(draw, seed)) * u64::from(lots)) >> 32) as u32;
        let (mut least, mut lots) = (f32::INFINITY, 0);
        for draw in 0.. {
            if self.taken.as_slice().len() >= wanted {
                break;
            }
            if lots == 0 {
                (least, lots) = self.least_of_all();
            }
            if least == f32::INFINITY {
                break;
            }
            let taken = self.draw(least, lot_of(draw, lots));
            lots = if taken { lots - 1 } else { 0 };
        }
        self.taken
    }

    /// The least cost, and how many nodes have it.
    fn least_of_all(&self) -> (f32, u32) {
        let Lots { cost, lots } = self.stretches().iter().copied().fold(Lots::NONE, Lots::and);
        (cost, lots)
    }

    fn stretches(&self) -> &[Lots] {
        &self.stretches[..self.len.min(STRETCHES)]
    }

    /// Looks for the node with this lot among those of cost `least`. Whether it could be taken: if not, its block is judged
    /// now.
    fn draw(&mut self, least: f32, mut lot: u32) -> bool {
        for stretch in 0..self.stretches().len() {
            let lots = self.stretches[stretch].at(least);
            if lot >= lots {
                lot -= lots;
                continue;
            }
            let taken = self.draw_from(stretch, least, lot);
            if taken && lots > 1 {
                self.stretches[stretch].lots -= 1;
            } else {
                self.look_at(stretch);
            }
            return taken;
        }
        false
    }

    /// The same within a stretch. Where another thread changed a block meanwhile, the lot may be gone.
    fn draw_from(&mut self, stretch: usize, least: f32, mut lot: u32) -> bool {
        for group in self.groups_of(stretch) {
            // A stretch of one group is that group.
            let of_group = if self.width > 1 { self.lots(group).at(least) } else { u32::MAX };
            if lot >= of_group {
                lot -= of_group;
                continue;
            }
            for block in self.blocks_of(group) {
                let of_block = self.least(block);
                let lots = Lots::from(of_block).at(least);
                if lot < lots {
                    let lane = (0..LANES).filter(|lane| of_block.lanes >> lane & 1 == 1).nth(lot as usize);
                    return lane.is_some_and(|lane| self.take_or_judge(block, lane, least));
                }
                lot -= lots;
            }
        }
        false
    }

    fn take_or_judge(&mut self, block: usize, lane: usize, least: f32) -> bool {
        let slot = Slot::new((block * LANES + lane) as u32);
        if self.is_judged(block) || self.judgement(slot, least) <= least {
            self.taken.push(slot);
            return true;
        }
        match &mut self.judged {
            Judged::Some(blocks, count) if *count < ONE_BY_ONE => {
                blocks[*count] = block;
                *count += 1;
            }
            _ => {
                self.judged = Judged::All;
                self.look_at_all();
            }
        }
        false
    }

    fn look_at_all(&mut self) {
        for stretch in 0..self.len {
            self.look_at(stretch);
        }
    }

    /// Brings the entry of a stretch up to date.
    #[inline]
    fn look_at(&mut self, stretch: usize) {
        self.stretches[stretch] = self.groups_of(stretch).map(|group| self.lots(group)).fold(Lots::NONE, Lots::and);
    }

    fn groups_of(&self, stretch: usize) -> Range<usize> {
        let first = stretch * self.width;
        first..(first + self.width).min(self.scores.blocks.len().div_ceil(GROUP))
    }

    fn blocks_of(&self, group: usize) -> Range<usize> {
        let first = group * GROUP;
        first..(first + GROUP).min(self.scores.blocks.len())
    }

    /// The least cost in a group, and how many nodes that are not taken have it.
    #[inline]
    fn lots(&self, group: usize) -> Lots {
        let is_untouched = !self.is_any_judged(group) && !self.is_any_taken(group);
        let lots = || self.blocks_of(group).map(|block| self.least(block).into()).fold(Lots::NONE, Lots::and);
        if is_untouched { self.scores.minima.of_group(group, self.table.group_changes(group), lots) } else { lots() }
    }

    /// The least cost in a block, without the nodes that were taken.
    fn least(&self, block: usize) -> Least {
        if self.is_judged(block) {
            return self.least_left(block);
        }
        let least = self.remembered(block);
        match least.lanes & !self.lanes_taken(block) {
            0 => self.least_left(block),
            lanes => Least { lanes, ..least },
        }
    }

    /// The same, where nothing was taken or judged.
    #[inline]
    fn remembered(&self, block: usize) -> Least {
        let changes = self.table.changes(block);
        self.scores.minima.of_block(block, changes, || self.costs(block))
    }

    /// The same, where something was.
    fn least_left(&self, block: usize) -> Least {
        let mut costs = self.costs(block);
        for (lane, cost) in costs.iter_mut().enumerate() {
            let slot = Slot::new((block * LANES + lane) as u32);
            if self.taken.as_slice().contains(&slot) {
                *cost = f32::INFINITY;
            } else if self.is_judged(block) {
                *cost = self.judgement(slot, *cost);
            }
        }
        Least::of(&costs)
    }

    #[inline(never)]
    fn costs(&self, block: usize) -> [f32; LANES] {
        // One more than there are: the stress with this call on the node.
        let totals = self.table.totals(block).map(|total| (total + 1).cast_signed() as f32);
        self.scores.blocks.get(block).map_or([f32::INFINITY; LANES], |block| block.costs(&totals))
    }

    fn judgement(&self, slot: Slot, cost: f32) -> f32 {
        judge(self.scores, self.table, slot, cost, self.now_ms)
    }

    #[inline]
    fn is_judged(&self, block: usize) -> bool {
        match &self.judged {
            Judged::Some(blocks, count) => blocks[..*count].contains(&block),
            Judged::All => true,
        }
    }

    /// The nodes of a block that were taken, a bit each.
    #[inline]
    fn lanes_taken(&self, block: usize) -> u8 {
        let of_block = self.taken.as_slice().iter().filter(|slot| slot.index() / LANES == block);
        of_block.fold(0, |lanes, slot| lanes | 1 << (slot.index() % LANES))
    }

    #[inline]
    fn is_any_judged(&self, group: usize) -> bool {
        match &self.judged {
            Judged::Some(blocks, count) => blocks[..*count].iter().any(|block| block / GROUP == group),
            Judged::All => true,
        }
    }

    #[inline]
    fn is_any_taken(&self, group: usize) -> bool {
        self.taken.as_slice().iter().any(|slot| slot.index() / (LANES * GROUP) == group)
    }
}

#[cfg(test)]
mod tests {
    use super::{Front, judge};
    use crate::balance::{Balancer, LoadTable, MAX_ROUTES, Placement, Sample, Scores, Settings, Slot, Standing, place};
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;
    use std::time::Duration;

    const NOW: Duration = Duration::from_secs(10);

    fn pool(nodes: usize, capacity: impl Fn(usize) -> u32) -> Balancer {
        let mut balancer = Balancer::new(Settings::default());
        for number in 0..nodes {
            let slot = balancer.add(capacity(number)).unwrap();
            balancer.node_mut(slot).unwrap().set_standing(Standing::Up, NOW);
            balancer.node_mut(slot).unwrap().on_resync(0, NOW);
        }
        balancer
    }

    fn judgement(scores: &Scores, table: &LoadTable, slot: Slot, now: Duration) -> f32 {
        let record = scores.record(slot);
        let cost = record.stress((table.load(slot).total() + 1) as f32) + record.penalty();
        judge(scores, table, slot, cost, now.as_millis() as u64)
    }

    /// The front of the pool as it must be, and as it is found: what each node was judged, in order.
    fn both(scores: &Scores, table: &LoadTable, now: Duration, seed: u32) -> (Vec<f32>, Vec<f32>) {
        let judgement = |slot| judgement(scores, table, slot, now);
        let mut all: Vec<f32> = (0..scores.slots() as u32).map(Slot::new).map(judgement).collect();
        all.sort_by(f32::total_cmp);
        let nameable = all.into_iter().filter(|judgement| judgement.is_finite()).take(MAX_ROUTES).collect();
        let found = Front::new(scores, table, now.as_millis() as u64).take(MAX_ROUTES, seed);
        let named: std::collections::HashSet<_> = found.as_slice().iter().collect();
        assert_eq!(named.len(), found.as_slice().len(), "none twice");
        (nameable, found.as_slice().iter().copied().map(judgement).collect())
    }

    proptest! {
        #[test]
        fn the_front_is_what_a_look_at_every_node_finds(
            capacities in prop::collection::vec(1_u32..12, 1..60),
            repeated in 1_usize..40,
            steps in prop::collection::vec((0_u8..8, 0_usize..2_400, 0_u32..600), 1..60),
            seed: u32,
        ) {
            let capacities = capacities.repeat(repeated);
            let mut balancer = pool(capacities.len(), |number| capacities[number]);
            let mut rng = SmallRng::seed_from_u64(seed.into());
            let (mut now, mut scores) = (NOW, balancer.scores(NOW));
            for (number, (what, which, amount)) in (0_u32..).zip(steps) {
                let slot = Slot::new((which % capacities.len()) as u32);
                let node = balancer.node_mut(slot).unwrap();
                match what {
                    0 => node.set_standing([Standing::Up, Standing::Suspect, Standing::Withheld][amount as usize % 3], now),
                    1 => node.on_outcome(503, true, now),
                    2 => node.on_call_ended(now),
                    3 => now += Duration::from_millis(amount.into()),
                    4 => {
                        let (mark, cpu) = (node.poll_mark(), Some((amount % 5) as f32 / 5.0));
                        node.on_sample(&Sample { mark, calls: Some(amount % 9), cpu, rtp_loss: None, rtp_jitter_ms: None }, now);
                    }
                    5 => scores = balancer.scores(now),
                    _ => {
                        place(&scores, &balancer.table(), now, &mut rng);
                    }
                }
                let (must_be, found) = both(&scores, &balancer.table(), now, seed.wrapping_add(number));
                prop_assert_eq!(must_be, found);
            }
        }
    }

    /// Every third node of 1,500 is the best: in some blocks there are two of them, in others three.
    #[test]
    fn ties_are_fair_wherever_they_are() {
        const DRAWS: u32 = 60_000;
        let balancer = pool(1_500, |number| if number % 3 == 0 { 200 } else { 100 });
        let (scores, table) = (balancer.scores(NOW), balancer.table());
        let mut drawn = vec![0_u32; 1_500];
        for seed in 0..DRAWS {
            let first = Front::new(&scores, &table, 10_000).take(1, seed.wrapping_mul(0x9e37_79b9)).first().unwrap();
            drawn[first.index()] += 1;
        }
        let expected = f64::from(DRAWS) / 500.0;
        let best = drawn.iter().step_by(3);
        assert_eq!(best.clone().sum::<u32>(), DRAWS, "only the best");
        let chi_square: f64 = best.map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
        // 499 degrees of freedom: 499 is expected, and five standard deviations are 158.
        assert!((341.0..657.0).contains(&chi_square), "{chi_square}");
    }

    #[test]
    fn what_eight_threads_changed_at_once_is_known_to_the_next_choice() {
        let balancer = pool(100, |number| 40 + number as u32);
        let (scores, table) = (balancer.scores(NOW), balancer.table());
        for round in 0..20 {
            std::thread::scope(|scope| {
                for thread in 0..8 {
                    let (scores, table) = (&scores, &table);
                    scope.spawn(move || {
                        let mut rng = SmallRng::seed_from_u64(round * 8 + thread);
                        for number in 0..50 {
                            let Placement::Routed(ranked) = place(scores, table, NOW, &mut rng) else { continue };
                            if let Some(slot) = ranked.first().filter(|_| number % 3 > 0) {
                                table.give_back(slot);
                            }
                        }
                    });
                }
            });
            let (must_be, found) = both(&scores, &table, NOW, round as u32);
            assert_eq!(must_be, found, "round {round}");
        }
    }
}
