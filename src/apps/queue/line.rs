//! Who waits, who serves, and who is offered to whom.
//!
//! Invariants:
//! - Pure: the time is given, in milliseconds. No I/O, no waiting.
//! - Callers are served in the order in which they came; one who came before kamari was away has his old place again.
//! - An agent is offered one caller at a time, and has one at most. A caller who leaves frees whoever was his.
//! - A caller is in the line until he leaves; nothing else takes him out of it.

mod agents;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use agents::{Agent, Work};
pub use agents::{AgentView, Duty};

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

#[derive(Debug, Clone)]
struct Caller {
    id: Arc<str>,
    since: u64,
    /// He waits, is offered or talks.
    talks: bool,
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
