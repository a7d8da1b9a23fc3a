use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Strategy as _;

use super::{Duty, Line, Refused, Rules, Strategy};

fn names(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

fn rules(strategy: Strategy) -> Rules {
    Rules {
        agents: names(&["ann", "bob"]),
        members: names(&["zoe"]),
        strategy,
        wrap_up: 10,
        retry: 5,
        max_length: 3,
        join_empty: false,
        handling: 100,
    }
}

fn with_callers(strategy: Strategy, callers: &[&str]) -> Line {
    let mut line = Line::new(&rules(strategy));
    for (since, id) in (0..).zip(callers) {
        line.join(&Arc::from(*id), since, false).expect("there is room");
    }
    line
}

#[test]
fn callers_are_served_in_order_and_one_agent_has_one_caller() {
    let mut line = with_callers(Strategy::LongestIdle, &["1", "2", "3"]);
    line.offer(10);
    assert_eq!((line.offered("1"), line.offered("2"), line.offered("3")), (names(&["ann"]), names(&["bob"]), vec![]));
    line.answered(&"1".into(), "ann", 11);
    line.declined("2", 12);
    line.offer(12);
    assert!(line.offered("2").is_empty(), "bob is left alone, and nobody else is free");
    assert_eq!((line.place("1"), line.place("2"), line.place("3")), (None, Some(1), Some(2)));
    assert_eq!((line.next_turn("2", 12), line.next_turn("3", 12)), (Some(17), None));
    line.offer(17);
    assert_eq!(line.offered("2"), names(&["bob"]), "who was first in line still is");
    // ann has her wrap-up time after the call.
    line.leave("1", 20);
    line.offer(29);
    assert!(line.offered("3").is_empty());
    line.offer(30);
    assert_eq!(line.offered("3"), names(&["ann"]));
}

#[test]
fn strategies_choose_whom_to_ring() {
    let mut line = with_callers(Strategy::RingAll, &["1", "2"]);
    line.offer(0);
    assert_eq!((line.offered("1"), line.offered("2")), (names(&["ann", "bob"]), vec![]));
    line.answered(&"1".into(), "bob", 1);
    line.offer(1);
    assert_eq!(line.offered("2"), names(&["ann"]), "who did not answer is free at once");

    let mut line = with_callers(Strategy::LongestIdle, &["1"]);
    line.offer(0);
    line.answered(&"1".into(), "ann", 0);
    line.leave("1", 1);
    line.join(&"2".into(), 50, false).expect("there is room");
    line.offer(50);
    assert_eq!(line.offered("2"), names(&["bob"]));

    let mut line = with_callers(Strategy::RoundRobin, &[]);
    let mut rung = Vec::new();
    for turn in 0..4 {
        let id: Arc<str> = turn.to_string().into();
        line.join(&id, turn * 100, false).expect("there is room");
        line.offer(turn * 100);
        rung.extend(line.offered(&id));
        line.leave(&id, turn * 100);
    }
    assert_eq!(rung, names(&["ann", "bob", "ann", "bob"]));
}

#[test]
fn a_full_or_an_empty_queue_lets_nobody_in_but_those_who_waited_before() {
    let mut line = with_callers(Strategy::RingAll, &["1", "2", "3"]);
    assert_eq!(line.join(&"4".into(), 4, false), Err(Refused::Full));
    for agent in ["ann", "bob"] {
        assert!(line.tell(agent, Duty::Logout));
    }
    line.leave("1", 5);
    assert_eq!(line.join(&"4".into(), 4, false), Err(Refused::Empty));
    assert_eq!(line.join(&"0".into(), 0, true), Ok(()));
    assert_eq!((line.place("0"), line.place("2")), (Some(1), Some(2)), "in his old place");
    assert!(line.tell("zoe", Duty::Login) && !line.tell("eve", Duty::Login));
    line.offer(6);
    assert_eq!(line.offered("0"), names(&["zoe"]));
    assert!(line.tell("zoe", Duty::Pause));
    line.declined("0", 7);
    line.offer(100);
    assert!(line.offered("0").is_empty(), "she has a break");
}

#[test]
fn the_expected_wait_is_place_times_handling_time_over_agents() {
    let mut line = with_callers(Strategy::LongestIdle, &["1", "2", "3"]);
    assert_eq!(line.expected_wait("1", 0), Some(0), "somebody is free");
    line.offer(0);
    line.answered(&"1".into(), "ann", 0);
    line.answered(&"2".into(), "bob", 0);
    // (100 + 10) / 2 agents.
    assert_eq!(line.expected_wait("3", 0), Some(55));
    // A call of 180: the mean is 100 + (180 - 100) / 8 = 110.
    line.leave("1", 180);
    assert_eq!(line.expected_wait("3", 181), Some(60));
    line.tell("ann", Duty::Logout);
    line.tell("bob", Duty::Logout);
    assert_eq!(line.expected_wait("3", 181), None);
}

/// What may happen to a queue; numbers are of callers and agents.
#[derive(Debug, Clone)]
enum Event {
    Join(u8),
    Leave(u8),
    Answer(u8, u8),
    Decline(u8),
    Tell(u8, u8),
    Pass(u8),
    Follow(bool),
}

fn events() -> impl proptest::strategy::Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (0..8_u8).prop_map(Event::Join),
        (0..8_u8).prop_map(Event::Leave),
        (0..8_u8, 0..3_u8).prop_map(|(caller, agent)| Event::Answer(caller, agent)),
        (0..8_u8).prop_map(Event::Decline),
        (0..3_u8, 0..4_u8).prop_map(|(agent, duty)| Event::Tell(agent, duty)),
        (0..20_u8).prop_map(Event::Pass),
        any::<bool>().prop_map(Event::Follow),
    ];
    vec(event, 0..120)
}

proptest! {
    #[test]
    fn order_is_kept_nobody_is_lost_and_no_agent_has_two(
        events in events(),
        strategy in prop::sample::select(vec![Strategy::RingAll, Strategy::LongestIdle, Strategy::RoundRobin]),
    ) {
        let agents = ["ann", "bob", "zoe"];
        let mut line = Line::new(&rules(strategy));
        let (mut now, mut inside) = (0_u64, Vec::<Arc<str>>::new());
        for event in events {
            match event {
                Event::Join(caller) => {
                    let id: Arc<str> = caller.to_string().into();
                    let length = line.length();
                    if !inside.contains(&id) {
                        match line.join(&id, now, false) {
                            Ok(()) => inside.push(id),
                            Err(Refused::Full) => prop_assert_eq!(length, 3),
                            Err(Refused::Empty) => {
                                let serves = |state: &str| !matches!(state, "logged_out" | "paused");
                                let free = line.agents(now).iter().filter(|agent| agent.state == "free").count();
                                prop_assert_eq!(free, 0);
                                prop_assert!(line.agents(now).iter().filter(|agent| serves(agent.state)).count() <= 3);
                            }
                        }
                    }
                }
                Event::Leave(caller) => {
                    line.leave(&caller.to_string(), now);
                    inside.retain(|id| **id != *caller.to_string());
                }
                Event::Answer(caller, agent) => {
                    let id: Arc<str> = caller.to_string().into();
                    let name = agents[usize::from(agent)];
                    if line.offered(&id).iter().any(|one| **one == *name) {
                        line.answered(&id, name, now);
                    }
                }
                Event::Decline(caller) => line.declined(&caller.to_string(), now),
                Event::Tell(agent, duty) => {
                    let duty = [Duty::Login, Duty::Logout, Duty::Pause, Duty::Unpause][usize::from(duty)];
                    prop_assert!(line.tell(agents[usize::from(agent)], duty));
                }
                Event::Pass(time) => now += u64::from(time),
                Event::Follow(other) => {
                    let mut rules = rules(strategy);
                    rules.wrap_up = if other { 0 } else { 10 };
                    line.follow(&rules);
                }
            }
            line.offer(now);
            // Nobody is lost.
            let talking = line.callers.iter().filter(|caller| caller.talks).count();
            prop_assert_eq!(line.callers.len(), inside.len());
            prop_assert_eq!(line.length() + talking, inside.len());
            // In order, and who waits behind one that is not offered is not offered either.
            prop_assert!(line.callers.windows(2).all(|pair| pair[0].since <= pair[1].since));
            let offered: Vec<bool> = line.waiting().map(|caller| !line.offered(&caller.id).is_empty()).collect();
            // One who declined keeps his place while agents that he had are left alone; nobody overtakes him after.
            let free = line.agents(now).iter().filter(|agent| agent.state == "free").count();
            prop_assert!(free == 0 || offered.iter().all(|offered| *offered), "a free agent and a caller who waits");
            // No agent has two: what rings and talks are as many as agents that do.
            let rings: usize = line.waiting().map(|caller| line.offered(&caller.id).len()).sum();
            let busy = |state: &str| line.agents(now).iter().filter(|agent| agent.state == state).count();
            prop_assert_eq!(rings, busy("ringing"));
            prop_assert_eq!(talking, busy("talking"));
        }
    }
}
