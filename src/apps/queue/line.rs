//! Who waits, who serves, and who is offered to whom.
//!
//! Invariants:
//! - Pure: the time is given, in milliseconds. No I/O, no waiting.
//! - Callers are served in the order in which they came; one who came before kamari was away has his old place again.
//! - An agent is offered one caller at a time, and has one at most. A caller who leaves frees whoever was his.
//! - A caller is in the line until he leaves; nothing else takes him out of it.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Weight of the latest call in the mean handling time: an eighth, so that about the last dozen calls count.
const LATEST: f64 = 0.125;

/// Which of the free agents is rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    /// All of them.
    RingAll,
    /// The one who has been free for longest.
    LongestIdle,
    /// The next one by name, after the one who was rung last.
    RoundRobin,
}

/// How a queue works. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    /// Who serves from the start.
    pub(super) agents: Vec<Arc<str>>,
    /// Who serves once he has logged in.
    pub(super) members: Vec<Arc<str>>,
    pub(super) strategy: Strategy,
    /// What an agent has for himself after a call.
    pub(super) wrap_up: u64,
    /// For how long an agent who did not answer is left alone.
    pub(super) retry: u64,
    /// Callers who may wait at a time.
    pub(super) max_length: usize,
    /// Whether callers are let in while no agent serves.
    pub(super) join_empty: bool,
    /// The mean time that an agent has a caller, until calls have shown it.
    pub(super) handling: u64,
}

/// Why a caller is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// As many as may wait do so.
    Full,
    /// No agent serves.
    Empty,
}

/// What an agent does.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Work {
    /// Nothing, from this time on: one in the future is his time for himself.
    Free(u64),
    /// His phone rings for this caller.
    Rings(Arc<str>),
    /// He talks with this caller, since this time.
    Talks(Arc<str>, u64),
}

#[derive(Debug, Clone)]
struct Agent {
    logged_in: bool,
    paused: bool,
    work: Work,
}

impl Agent {
    fn serves(&self) -> bool {
        self.logged_in && !self.paused
    }

    fn free_from(&self) -> Option<u64> {
        match self.work {
            Work::Free(from) if self.serves() => Some(from),
            _ => None,
        }
    }
}

#[derive(Debug, Clone)]
struct Caller {
    id: Arc<str>,
    since: u64,
    /// He waits, is offered or talks.
    talks: bool,
}

/// What an agent can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Serve from now on.
    Login,
    /// Serve no longer.
    Logout,
    /// Take a break.
    Pause,
    /// Come back from it.
    Unpause,
}

/// An agent as others see him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentView {
    /// His user name.
    pub name: Arc<str>,
    /// `logged_out`, `paused`, `free`, `wrap_up`, `ringing` or `talking`.
    pub state: &'static str,
}

/// One queue.
#[derive(Debug, Clone)]
pub(super) struct Line {
    rules: Rules,
    /// By the time at which they came.
    callers: Vec<Caller>,
    agents: BTreeMap<Arc<str>, Agent>,
    /// Who was rung last.
    last: Option<Arc<str>>,
    handling: f64,
}

impl Line {
    pub(super) fn new(rules: &Rules) -> Self {
        let handling = rules.handling as f64;
        let mut line =
            Self { rules: rules.clone(), callers: Vec::new(), agents: BTreeMap::new(), last: None, handling };
        line.follow(rules);
        line
    }

    /// Takes other rules. Callers keep their places; agents who are named no more go as soon as they have no caller.
    pub(super) fn follow(&mut self, rules: &Rules) {
        self.rules = rules.clone();
        let named = |name: &Arc<str>| rules.agents.contains(name) || rules.members.contains(name);
        for (name, agent) in &mut self.agents {
            agent.logged_in &= named(name);
        }
        self.agents.retain(|name, agent| named(name) || !matches!(agent.work, Work::Free(_)));
        for (names, logged_in) in [(&rules.agents, true), (&rules.members, false)] {
            for name in names {
                let new = Agent { logged_in, paused: false, work: Work::Free(0) };
                self.agents.entry(Arc::clone(name)).or_insert(new);
            }
        }
    }

    /// Tells an agent; false if the queue has none of this name.
    pub(super) fn tell(&mut self, name: &str, duty: Duty) -> bool {
        let Some(agent) = self.agents.get_mut(name) else { return false };
        match duty {
            Duty::Login => (agent.logged_in, agent.paused) = (true, false),
            Duty::Logout => agent.logged_in = false,
            Duty::Pause => agent.paused = true,
            Duty::Unpause => agent.paused = false,
        }
        true
    }

    /// Lets in a caller who has waited since `since`. One who waited before kamari was away is always let in.
    pub(super) fn join(&mut self, id: &Arc<str>, since: u64, waited_before: bool) -> Result<(), Refused> {
        if !waited_before {
            if !self.rules.join_empty && !self.agents.values().any(Agent::serves) {
                return Err(Refused::Empty);
            }
            if self.waiting().count() >= self.rules.max_length {
                return Err(Refused::Full);
            }
        }
        let at = self.callers.partition_point(|caller| caller.since <= since);
        self.callers.insert(at, Caller { id: Arc::clone(id), since, talks: false });
        Ok(())
    }

    /// A caller who talked with an agent before kamari was away, and still does.
    pub(super) fn resume(&mut self, id: &Arc<str>, since: u64, agent: &str, now: u64) {
        let at = self.callers.partition_point(|caller| caller.since <= since);
        self.callers.insert(at, Caller { id: Arc::clone(id), since, talks: true });
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.work = Work::Talks(Arc::clone(id), now);
        }
    }

    /// A caller is gone, for whatever reason; the agents that he had are free.
    pub(super) fn leave(&mut self, id: &str, now: u64) {
        self.callers.retain(|caller| &*caller.id != id);
        let mut handled = None;
        for agent in self.agents.values_mut() {
            match &agent.work {
                Work::Rings(caller) if &**caller == id => agent.work = Work::Free(now),
                Work::Talks(caller, since) if &**caller == id => {
                    handled = Some(now.saturating_sub(*since));
                    agent.work = Work::Free(now + self.rules.wrap_up);
                }
                _ => {}
            }
        }
        if let Some(handled) = handled {
            self.handling += LATEST * (handled as f64 - self.handling);
        }
    }

    /// Offers waiting callers, first come first served, to the agents who are free now.
    pub(super) fn offer(&mut self, now: u64) {
        let waiting: Vec<Arc<str>> = self.waiting().map(|caller| Arc::clone(&caller.id)).collect();
        for id in waiting {
            if !self.offered(&id).is_empty() {
                continue;
            }
            let chosen = self.choose(now);
            if chosen.is_empty() {
                return;
            }
            for name in chosen {
                if let Some(agent) = self.agents.get_mut(&name) {
                    agent.work = Work::Rings(Arc::clone(&id));
                }
                self.last = Some(name);
            }
        }
    }

    fn choose(&self, now: u64) -> Vec<Arc<str>> {
        let free = self.agents.iter().filter_map(|(name, agent)| Some((agent.free_from()?, name)));
        let free: Vec<(u64, &Arc<str>)> = free.filter(|(from, _)| *from <= now).collect();
        let chosen = match self.rules.strategy {
            Strategy::RingAll => return free.into_iter().map(|(_, name)| Arc::clone(name)).collect(),
            Strategy::LongestIdle => free.iter().min(),
            Strategy::RoundRobin => {
                let after = |name: &Arc<str>| self.last.as_ref().is_none_or(|last| name > last);
                free.iter().find(|(_, name)| after(name)).or_else(|| free.first())
            }
        };
        chosen.map(|(_, name)| Arc::clone(name)).into_iter().collect()
    }

    /// The agents whose phones ring for a caller.
    pub(super) fn offered(&self, id: &str) -> Vec<Arc<str>> {
        let rings = |agent: &Agent| matches!(&agent.work, Work::Rings(caller) if &**caller == id);
        self.agents.iter().filter(|(_, agent)| rings(agent)).map(|(name, _)| Arc::clone(name)).collect()
    }

    /// One of them answered; the others are free.
    pub(super) fn answered(&mut self, id: &Arc<str>, name: &str, now: u64) {
        for (other, agent) in &mut self.agents {
            if matches!(&agent.work, Work::Rings(caller) if caller == id) {
                let his = &**other == name;
                agent.work = if his { Work::Talks(Arc::clone(id), now) } else { Work::Free(now) };
            }
        }
        if let Some(caller) = self.callers.iter_mut().find(|caller| caller.id == *id) {
            caller.talks = true;
        }
    }

    /// None of them answered: they are left alone for a while, and the caller waits on in his place.
    pub(super) fn declined(&mut self, id: &str, now: u64) {
        let retry = now + self.rules.retry;
        for agent in self.agents.values_mut() {
            if matches!(&agent.work, Work::Rings(caller) if &**caller == id) {
                agent.work = Work::Free(retry);
            }
        }
    }

    /// When an agent's time for himself ends next, if a caller waits to be offered to somebody, and it is this one's turn.
    pub(super) fn next_turn(&self, id: &str, now: u64) -> Option<u64> {
        let first = self.waiting().find(|caller| self.offered(&caller.id).is_empty())?;
        if &*first.id != id {
            return None;
        }
        self.agents.values().filter_map(Agent::free_from).filter(|from| *from > now).min()
    }

    fn waiting(&self) -> impl Iterator<Item = &Caller> {
        self.callers.iter().filter(|caller| !caller.talks)
    }

    /// How many wait.
    pub(super) fn length(&self) -> usize {
        self.waiting().count()
    }

    /// The place of one who waits; the next one to be served is 1.
    pub(super) fn place(&self, id: &str) -> Option<usize> {
        self.waiting().position(|caller| &*caller.id == id).map(|at| at + 1)
    }

    /// How long one who waits will go on doing so, in milliseconds; nothing while nobody serves.
    ///
    /// With all of c agents busy, each for a mean time of s (handling and wrap-up), calls end c times in s, and the caller in
    /// place k is served when k have ended: k * s / c. For exponential handling times this is the exact mean
    /// (Kleinrock, *Queueing Systems* I, 3.5, M/M/m). Agents who are free now take one off k each.
    pub(super) fn expected_wait(&self, id: &str, now: u64) -> Option<u64> {
        let serving = self.agents.values().filter(|agent| agent.serves()).count();
        let free = self.agents.values().filter_map(Agent::free_from).filter(|from| *from <= now).count();
        let ahead = self.place(id)?.saturating_sub(free);
        (serving > 0).then(|| (ahead as f64 * (self.handling + self.rules.wrap_up as f64) / serving as f64) as u64)
    }

    /// All agents, by name.
    pub(super) fn agents(&self, now: u64) -> Vec<AgentView> {
        let state = |agent: &Agent| match &agent.work {
            Work::Rings(_) => "ringing",
            Work::Talks(..) => "talking",
            Work::Free(_) if !agent.logged_in => "logged_out",
            Work::Free(_) if agent.paused => "paused",
            Work::Free(from) if *from > now => "wrap_up",
            Work::Free(_) => "free",
        };
        self.agents.iter().map(|(name, agent)| AgentView { name: Arc::clone(name), state: state(agent) }).collect()
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            (line.offered("1"), line.offered("2"), line.offered("3")),
            (names(&["ann"]), names(&["bob"]), vec![])
        );
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
}
