//! All queues, shared by their calls, by agents who log in and by the API.
//!
//! Invariants:
//! - A queue is known by its tenant and its name: those of two tenants never meet.
//! - [`Queue`] owns its line. Whoever changes it does so under its lock, which is never held over a wait, and wakes all who
//!   wait for a change. A place in the line is a [`Ticket`], and goes with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dashmap::DashMap;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::line::{AgentView, Duty, Line, Refused, Rules};
use crate::telemetry::QueueMetrics;

/// What agents can be seen to do.
const STATES: [&str; 6] = ["logged_out", "paused", "free", "wrap_up", "ringing", "talking"];

/// A queue's tenant and name.
type Key = (Arc<str>, Arc<str>);

/// Unix time in milliseconds that never goes back while kamari runs.
#[derive(Debug)]
struct Clock {
    started: Instant,
    unix_ms: u64,
}

impl Clock {
    fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), unix_ms: since.as_millis() as u64 }
    }

    fn now(&self) -> u64 {
        self.unix_ms + self.started.elapsed().as_millis() as u64
    }
}

/// All queues of all tenants. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queues {
    all: Arc<DashMap<Key, Arc<Queue>>>,
    clock: Arc<Clock>,
    metrics: Option<Arc<QueueMetrics>>,
}

impl Default for Queues {
    fn default() -> Self {
        Self { all: Arc::default(), clock: Arc::new(Clock::new()), metrics: None }
    }
}

/// A queue as the operator sees it.
#[derive(Debug, Clone)]
pub struct QueueView {
    /// Whose it is.
    pub tenant: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// How many callers wait.
    pub waiting: usize,
    /// Its agents, by name.
    pub agents: Vec<AgentView>,
}

impl Queues {
    /// No queues yet; what happens to them is counted.
    pub fn counted_by(metrics: Arc<QueueMetrics>) -> Self {
        Self { metrics: Some(metrics), ..Self::default() }
    }

    /// The directory has a queue with these rules.
    pub(super) fn declare(&self, tenant: &Arc<str>, name: &Arc<str>, rules: &Rules) {
        self.open(tenant, name, rules).change(|line, _| line.follow(rules));
    }

    /// The queue, which comes to be with these rules if it is not there.
    pub(super) fn open(&self, tenant: &Arc<str>, name: &Arc<str>, rules: &Rules) -> Arc<Queue> {
        let entry = self.all.entry((Arc::clone(tenant), Arc::clone(name)));
        let queue = entry.or_insert_with(|| {
            Arc::new(Queue {
                tenant: Arc::clone(tenant),
                name: Arc::clone(name),
                line: Mutex::new(Line::new(rules)),
                changed: watch::Sender::new(()),
                clock: Arc::clone(&self.clock),
                metrics: self.metrics.clone(),
            })
        });
        Arc::clone(&queue)
    }

    fn get(&self, tenant: &str, name: &str) -> Option<Arc<Queue>> {
        self.all.get(&(Arc::from(tenant), Arc::from(name))).map(|queue| Arc::clone(&queue))
    }

    /// All queues, by tenant and name.
    pub fn list(&self) -> Vec<QueueView> {
        let all: BTreeMap<_, _> = self.all.iter().map(|entry| (entry.key().clone(), entry.value().view())).collect();
        all.into_values().collect()
    }

    /// One queue.
    pub fn show(&self, tenant: &str, name: &str) -> Option<QueueView> {
        self.get(tenant, name).map(|queue| queue.view())
    }

    /// Tells an agent to serve or not; false if there is no such queue, or it has no agent of this name.
    pub fn tell(&self, tenant: &str, name: &str, agent: &str, duty: Duty) -> bool {
        self.get(tenant, name).is_some_and(|queue| queue.change(|line, _| line.tell(agent, duty)))
    }
}

/// One queue.
#[derive(Debug)]
pub(super) struct Queue {
    tenant: Arc<str>,
    name: Arc<str>,
    line: Mutex<Line>,
    changed: watch::Sender<()>,
    clock: Arc<Clock>,
    metrics: Option<Arc<QueueMetrics>>,
}

impl Queue {
    /// Changes the line, offers callers to agents, and wakes whoever waits for that.
    fn change<T>(&self, change: impl FnOnce(&mut Line, u64) -> T) -> T {
        let now = self.clock.now();
        let (value, length, agents) = {
            // A panic elsewhere leaves the plain lists of a line usable.
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            let value = change(&mut line, now);
            line.offer(now);
            (value, line.length(), line.agents(now))
        };
        if let Some(metrics) = &self.metrics {
            let count = |state: &str| agents.iter().filter(|agent| agent.state == state).fold(0, |count, _| count + 1);
            let length = i64::try_from(length).unwrap_or(i64::MAX);
            metrics.stand(&self.tenant, &self.name, length, &STATES.map(|state| (state, count(state))));
        }
        self.changed.send_replace(());
        value
    }

    fn read<T>(&self, read: impl FnOnce(&Line, u64) -> T) -> T {
        let now = self.clock.now();
        read(&self.line.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    fn view(&self) -> QueueView {
        let (waiting, agents) = self.read(|line, now| (line.length(), line.agents(now)));
        QueueView { tenant: Arc::clone(&self.tenant), name: Arc::clone(&self.name), waiting, agents }
    }

    /// Counts a caller who was not served.
    pub(super) fn lost(&self, outcome: &'static str) {
        if let Some(metrics) = &self.metrics {
            metrics.lost(&self.tenant, &self.name, outcome);
        }
    }

    /// Lets a caller in. `since` is when he came, in milliseconds of Unix time, if he waited before kamari was away.
    pub(super) fn join(self: &Arc<Self>, id: &str, since: Option<u64>) -> Result<Ticket, Refused> {
        let id: Arc<str> = id.into();
        let came = since.unwrap_or_else(|| self.clock.now());
        let joined = self.change(|line, _| line.join(&id, came, since.is_some()));
        joined.map(|()| Ticket { queue: Arc::clone(self), id, since: came })
    }

    /// The place of a caller who talks with an agent since before kamari was away.
    pub(super) fn resume(self: &Arc<Self>, id: &str, since: u64, agent: &str) -> Ticket {
        let id: Arc<str> = id.into();
        self.change(|line, now| line.resume(&id, since, agent, now));
        Ticket { queue: Arc::clone(self), id, since }
    }
}

/// A caller's place in a queue. Dropping it leaves the queue, and frees the agents that he had.
#[derive(Debug)]
pub(super) struct Ticket {
    queue: Arc<Queue>,
    id: Arc<str>,
    since: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.queue.change(|line, now| line.leave(&self.id, now));
    }
}

impl Ticket {
    /// When he came, in milliseconds of Unix time.
    pub(super) fn since(&self) -> u64 {
        self.since
    }

    /// For how long he has waited.
    pub(super) fn waited(&self) -> Duration {
        Duration::from_millis(self.queue.clock.now().saturating_sub(self.since))
    }

    /// Completes when agents are to be rung for him; says which. Dropping the wait is safe.
    pub(super) async fn offered(&self) -> Vec<Arc<str>> {
        let mut changed = self.queue.changed.subscribe();
        loop {
            let (agents, turn, now) =
                self.queue.read(|line, now| (line.offered(&self.id), line.next_turn(&self.id, now), now));
            if !agents.is_empty() {
                return agents;
            }
            let turn = async {
                match turn {
                    Some(at) => sleep(Duration::from_millis(at.saturating_sub(now))).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The sender is the queue, which this ticket holds.
                _ = changed.changed() => {}
                () = turn => self.queue.change(|_, _| ()),
            }
        }
    }

    /// This agent has him.
    pub(super) fn answered(&self, agent: &str) {
        self.queue.change(|line, now| line.answered(&self.id, agent, now));
        if let Some(metrics) = &self.queue.metrics {
            metrics.answered(&self.queue.tenant, &self.queue.name, self.waited().as_secs_f64());
        }
    }

    /// None of those who were rung has him.
    pub(super) fn declined(&self) {
        self.queue.change(|line, now| line.declined(&self.id, now));
    }

    /// His place, and how long he will wait, as far as that can be told.
    pub(super) fn outlook(&self) -> (Option<usize>, Option<Duration>) {
        self.queue
            .read(|line, now| (line.place(&self.id), line.expected_wait(&self.id, now).map(Duration::from_millis)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::line::{Duty, Refused, Rules, Strategy};
    use super::Queues;

    fn rules() -> Rules {
        Rules {
            agents: vec![Arc::from("ann")],
            members: Vec::new(),
            strategy: Strategy::RingAll,
            wrap_up: 0,
            retry: 20,
            max_length: 10,
            join_empty: false,
            handling: 1_000,
        }
    }

    #[tokio::test]
    async fn queues_of_one_name_of_two_tenants_never_meet() {
        let queues = Queues::default();
        let (one, two, name) = (Arc::from("one"), Arc::from("two"), Arc::from("desk"));
        queues.declare(&one, &name, &rules());
        queues.declare(&two, &name, &rules());
        let mine = queues.open(&one, &name, &rules()).join("a", None).expect("an agent serves");
        assert_eq!(mine.offered().await, [Arc::from("ann")]);
        // The other tenant's ann is another one, and free.
        let other = queues.open(&two, &name, &rules()).join("a", None).expect("an agent serves");
        assert_eq!(other.offered().await, [Arc::from("ann")]);
        assert!(queues.tell("two", "desk", "ann", Duty::Logout) && !queues.tell("three", "desk", "ann", Duty::Logout));
        drop((mine, other));
        let state = |tenant: &str| queues.show(tenant, "desk").expect("a queue").agents[0].state;
        assert_eq!((state("one"), state("two")), ("free", "logged_out"));
        assert_eq!(queues.open(&two, &name, &rules()).join("b", None).err(), Some(Refused::Empty));
    }

    #[tokio::test]
    async fn a_place_goes_with_its_ticket_and_the_next_one_is_offered() {
        let queues = Queues::default();
        let queue = queues.open(&Arc::from("one"), &Arc::from("desk"), &rules());
        let first = queue.join("a", None).expect("room");
        let second = queue.join("b", None).expect("room");
        assert_eq!(first.offered().await.len(), 1);
        first.declined();
        // After a moment she is rung again, for the first caller still.
        assert_eq!(first.offered().await.len(), 1);
        first.answered("ann");
        assert_eq!(second.outlook().0, Some(1));
        drop(first);
        assert_eq!(second.offered().await.len(), 1);
    }
}
