//! What is counted in a run, and the figures that come of it.

use super::engine::TrueNode;
use super::scenario::Run;

/// Buckets of the set-up time histogram: 1 ms times 1.05 to the power of the bucket.
const SETUP_BUCKETS: usize = 256;
/// Points kept of each node's utilisation over time.
pub(super) const TIMELINE_POINTS: usize = 400;
/// A call whose audio loses more than this is a bad one.
const BAD_LOSS: f64 = 0.02;

/// The figures of one run.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Calls offered while measuring, our own.
    pub calls: u64,
    /// Calls that the first node did not take, or that no node was named for.
    pub first_try_blocked: u64,
    /// Calls that no tried node took.
    pub lost: u64,
    /// Calls for which a node was named.
    pub routed: u64,
    /// Tries on nodes.
    pub attempts: u64,
    /// Mean over time of (utilisation of the fullest node / mean utilisation).
    pub max_over_mean: f64,
    /// Share of call time spent on nodes above 90% full.
    pub hot_call_time: f64,
    /// Median seconds from routing to call start.
    pub setup_p50: f64,
    /// 99th percentile of the same.
    pub setup_p99: f64,
    /// Share of answered calls that began on a node losing more than 2% of RTP.
    pub bad_media: f64,
    /// Most calls that a failing node got within one fault.
    pub failing_tries: u64,
    /// The same without those that no other node had room for, and which were lost whatever was tried.
    pub failing_cost: u64,
    /// Most calls that a failing node got within one fault although others had room, without those that were in flight: under
    /// way to it when a failure became known (reported, and the call taken by another node) of a call sent there later than
    /// the failure known before.
    pub failing_lessons: u64,
    /// Calls that came while a fault of telemetry or of the controller lasted, or within 2 s after it.
    pub watched: u64,
    /// Of those, the ones that the first node did not take, or that no node was named for.
    pub watched_blocked: u64,
    /// Of those, the ones that no tried node took.
    pub watched_lost: u64,
    /// Of the watched calls, those for which the rule itself chose, and not the proxy while the controller was away.
    pub chosen: u64,
    /// Of those, the ones that the first node did not take, or that no node was named for.
    pub chosen_blocked: u64,
    /// Largest share of attempts that a joining node got in its first minute, over its fair share.
    pub join_share: f64,
    /// Calls refused by a joining node in its first minute.
    pub join_refusals: u64,
    /// Tries per node.
    pub tries: Vec<u64>,
    /// Time in seconds and utilisation of each node, over the run.
    pub timeline: Vec<(f64, Vec<f32>)>,
}

/// What a call is counted as besides.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Watch {
    /// It came while a fault of telemetry or of the controller lasted, or within 2 s after it.
    watched: bool,
    /// And the rule chose for it.
    chosen: bool,
}

/// The counters of a run in progress.
#[derive(Debug)]
pub(super) struct Measure {
    warm_calls: u64,
    warm: bool,
    last: f64,
    span: f64,
    next_point: f64,
    capacities: Vec<f64>,
    ratio_time: f64,
    ratio: f64,
    call_time: f64,
    hot_time: f64,
    setups: Vec<u64>,
    answered: u64,
    bad: u64,
    failing_tries: u64,
    failing_cost: u64,
    failing_in_flight: u64,
    watching: bool,
    joining: Option<(usize, f64, f64)>,
    join_attempts: u64,
    outcome: Outcome,
}

impl Measure {
    pub(super) fn new(run: &Run, nodes: &[TrueNode]) -> Self {
        Self {
            warm_calls: run.warm_calls,
            warm: false,
            last: 0.0,
            span: run.span(),
            next_point: 0.0,
            capacities: nodes.iter().map(|node| f64::from(node.size.real)).collect(),
            ratio_time: 0.0,
            ratio: 0.0,
            call_time: 0.0,
            hot_time: 0.0,
            setups: vec![0; SETUP_BUCKETS],
            answered: 0,
            bad: 0,
            failing_tries: 0,
            failing_cost: 0,
            failing_in_flight: 0,
            watching: false,
            joining: None,
            join_attempts: 0,
            outcome: Outcome { tries: vec![0; nodes.len()], ..Outcome::default() },
        }
    }

    /// Time passes up to `now` with the nodes as they are.
    pub(super) fn advance(&mut self, now: f64, nodes: &[TrueNode]) {
        let elapsed = now - self.last;
        self.last = now;
        if self.warm && elapsed > 0.0 {
            let (mut most, mut sum, mut members, mut calls, mut hot) = (0.0_f64, 0.0, 0.0, 0.0, 0.0);
            for (node, capacity) in nodes.iter().zip(&self.capacities) {
                let used = f64::from(node.calls) / capacity;
                calls += f64::from(node.calls);
                hot += if used > 0.9 { f64::from(node.calls) } else { 0.0 };
                if node.member {
                    most = most.max(used);
                    sum += used;
                    members += 1.0;
                }
            }
            if sum > 0.0 {
                self.ratio += elapsed * most * members / sum;
                self.ratio_time += elapsed;
            }
            self.call_time += elapsed * calls;
            self.hot_time += elapsed * hot;
        }
        if now >= self.next_point {
            self.next_point = now + self.span / TIMELINE_POINTS as f64;
            let used =
                nodes.iter().zip(&self.capacities).map(|(node, capacity)| (f64::from(node.calls) / capacity) as f32);
            self.outcome.timeline.push((now, used.collect()));
        }
        if self.joining.is_some_and(|(_, at, _)| now > at + 60.0) {
            self.close_join();
        }
    }

    /// A call arrives; counted once the run is warm and if it is ours. `chosen` if the rule chooses for it.
    pub(super) fn arrival(&mut self, number: u64, ours: bool, chosen: bool) -> Watch {
        self.warm = number >= self.warm_calls;
        if !self.warm || !ours {
            return Watch::default();
        }
        self.outcome.calls += 1;
        self.outcome.routed += 1;
        let watch = Watch { watched: self.watching, chosen: self.watching && chosen };
        self.outcome.watched += u64::from(watch.watched);
        self.outcome.chosen += u64::from(watch.chosen);
        watch
    }

    /// A fault of telemetry or of the controllers begins, or its traces must be gone.
    pub(super) fn watch(&mut self, watching: bool) {
        self.watching = watching;
    }

    /// No node was named for the call that just arrived.
    pub(super) fn refused_at_once(&mut self, watch: Watch) {
        if self.warm {
            self.outcome.routed -= 1;
            self.blocked(watch);
            self.outcome.lost += 1;
            self.outcome.watched_lost += u64::from(watch.watched);
        }
    }

    fn blocked(&mut self, watch: Watch) {
        self.outcome.first_try_blocked += 1;
        self.outcome.watched_blocked += u64::from(watch.watched);
        self.outcome.chosen_blocked += u64::from(watch.chosen);
    }

    /// One of our calls reached a node, as its try number `leg` (from 0).
    pub(super) fn attempt(&mut self, node: usize, leg: usize, accepted: bool, watch: Watch) {
        if let Some((joining, _, _)) = self.joining
            && joining == node
        {
            self.join_attempts += 1;
            self.outcome.join_refusals += u64::from(!accepted);
        }
        if self.warm {
            self.outcome.attempts += 1;
            self.outcome.tries[node] += 1;
            if leg == 0 && !accepted {
                self.blocked(watch);
            }
        }
    }

    /// One of our calls came to a failing node, although others had room or for want of any; `in_flight` if it was already on
    /// its way when a failure became known.
    pub(super) fn failed_by_fault(&mut self, had_room: bool, in_flight: bool) {
        self.failing_tries += 1;
        self.failing_in_flight += u64::from(had_room && in_flight);
        self.failing_cost += u64::from(had_room);
        self.outcome.failing_tries = self.outcome.failing_tries.max(self.failing_tries);
        self.outcome.failing_cost = self.outcome.failing_cost.max(self.failing_cost);
    }

    /// One of our calls that had come to a failing node was under way when a failure became known.
    pub(super) fn in_flight(&mut self, had_room: bool) {
        self.failing_in_flight += u64::from(had_room);
    }

    /// One of our calls found no node. `first` when it was never tried on any.
    pub(super) fn lost(&mut self, first: bool, watch: Watch) {
        if self.warm {
            self.outcome.lost += 1;
            self.outcome.watched_lost += u64::from(watch.watched);
            if first {
                self.blocked(watch);
            }
        }
    }

    /// One of our calls began, `setup` seconds after it was routed, on a node that loses so much audio.
    pub(super) fn answered(&mut self, setup: f64, rtp_loss: f64) {
        if self.warm {
            let bucket = ((setup / 0.001).ln() / 1.05_f64.ln()).max(0.0) as usize;
            self.setups[bucket.min(SETUP_BUCKETS - 1)] += 1;
            self.answered += 1;
            self.bad += u64::from(rtp_loss > BAD_LOSS);
        }
    }

    fn close_fault(&mut self) {
        // Calls that are under way at the end of the run are neither; they count against the rule.
        let lessons = self.failing_cost.saturating_sub(self.failing_in_flight);
        self.outcome.failing_lessons = self.outcome.failing_lessons.max(lessons);
        (self.failing_tries, self.failing_cost, self.failing_in_flight) = (0, 0, 0);
    }

    /// A node begins to fail.
    pub(super) fn fault_began(&mut self) {
        self.close_fault();
    }

    /// A node joins; `fair` attempts would be its share of the first minute.
    pub(super) fn joined(&mut self, node: usize, now: f64, fair: f64) {
        self.close_join();
        self.joining = Some((node, now, fair));
    }

    fn close_join(&mut self) {
        if let Some((_, _, fair)) = self.joining.take() {
            self.outcome.join_share = self.outcome.join_share.max(self.join_attempts as f64 / fair);
        }
        self.join_attempts = 0;
    }

    pub(super) fn finish(mut self) -> Outcome {
        self.close_join();
        self.close_fault();
        self.outcome.max_over_mean = self.ratio / self.ratio_time.max(f64::MIN_POSITIVE);
        self.outcome.hot_call_time = self.hot_time / self.call_time.max(f64::MIN_POSITIVE);
        self.outcome.bad_media = self.bad as f64 / self.answered.max(1) as f64;
        self.outcome.setup_p50 = self.setup_quantile(0.5);
        self.outcome.setup_p99 = self.setup_quantile(0.99);
        self.outcome
    }

    fn setup_quantile(&self, quantile: f64) -> f64 {
        let wanted = (quantile * self.answered as f64) as u64;
        let mut seen = 0;
        let bucket = self.setups.iter().position(|&count| {
            seen += count;
            seen > wanted
        });
        bucket.map_or(0.0, |bucket| 0.001 * 1.05_f64.powf(bucket as f64 + 0.5))
    }
}
