//! What holds of the choice whatever happened to the pool before.

use super::{Balancer, Class, Placement, Sample, Settings, Slot, Standing, place};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::time::Duration;

const STANDINGS: [Standing; 4] = [Standing::Up, Standing::Suspect, Standing::Lost, Standing::Withheld];

proptest! {
    #[test]
    fn a_free_slot_is_never_refused_and_a_withheld_or_full_node_never_named(
        capacities in prop::collection::vec(1_u32..20, 1..8),
        steps in prop::collection::vec((0_u8..9, 0_u32..8, 0_u32..600), 1..200),
        seed: u64,
    ) {
        let mut balancer = Balancer::new(Settings::default());
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut now = Duration::from_secs(100);
        for &capacity in &capacities {
            let slot = balancer.add(capacity).unwrap();
            balancer.node_mut(slot).unwrap().set_standing(Standing::Up, now);
            balancer.node_mut(slot).unwrap().on_resync(0, now);
        }
        for (what, which, amount) in steps {
            now += Duration::from_millis(u64::from(amount));
            let slot = Slot::new(which % capacities.len() as u32);
            let node = balancer.node_mut(slot).unwrap();
            match what {
                0 => node.set_standing(STANDINGS[amount as usize % 4], now),
                1 => node.on_confirmed(Duration::from_millis(u64::from(amount)), now),
                2 => node.on_call_ended(now),
                3 => node.on_outcome(503, true, now),
                4 if amount % 2 == 0 => node.on_outcome(408, false, now),
                4 => node.on_blamed(if amount % 3 == 0 { 408 } else { 503 }, now, now),
                5 => node.on_expired(now),
                6 => {
                    let mark = node.poll_mark();
                    let calls = Some(amount % 25);
                    node.on_sample(&Sample { mark, calls, cpu: Some(0.5), rtp_loss: None, rtp_jitter_ms: None }, now);
                }
                7 => balancer.tick(now),
                _ => {}
            }
            let (scores, table) = (balancer.scores(now), balancer.table());
            let free = |slot: Slot| table.load(slot).total() < scores.record(slot).limit();
            let open = |slot: Slot| {
                matches!(scores.record(slot).class(), Class::Open | Class::Eased) && table.fresh_until(slot) >= now
            };
            let slots: Vec<_> = (0..capacities.len() as u32).map(Slot::new).collect();
            let in_sight = slots.iter().all(|&slot| table.fresh_until(slot) >= now && scores.record(slot).class() < Class::Lost);
            let (was_free, any_open) = (slots.iter().map(|&slot| free(slot)).collect::<Vec<_>>(), slots.iter().any(|&slot| open(slot) && free(slot)));
            match place(&scores, &table, now, &mut rng) {
                Placement::Refused { .. } => prop_assert!(!any_open, "refused with a free slot"),
                Placement::Routed(ranked) => {
                    for &slot in ranked.as_slice() {
                        prop_assert!(scores.record(slot).class() != Class::Withheld);
                        prop_assert!(!in_sight || was_free[slot.index()] || !any_open, "a full node was named");
                    }
                }
            }
        }
    }
}
