//! Numbers of the pool: nodes by state, and per node the calls, reservations, capacity and stress that routing sees.

use prometheus::{Gauge, GaugeVec, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::Registrar;

/// The availabilities a node can be in, as label values.
const STATES: [&str; 4] = ["joining", "up", "suspect", "down"];
/// The operator's intents, as label values.
const INTENTS: [&str; 3] = ["active", "draining", "disabled"];
/// From 5 ms to a minute, in seconds: what passes before a call is answered.
const ANSWER_BUCKETS: [f64; 12] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0, 60.0];
/// From one millisecond to half a minute, in seconds: a set-up on the same host takes 2 ms, a retransmission 500.
const SETUP_BUCKETS: [f64; 13] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 30.0];

/// Metrics of `pool`.
#[derive(Debug)]
pub struct PoolMetrics {
    nodes: IntGaugeVec,
    node_up: IntGaugeVec,
    node_eligible: IntGaugeVec,
    node_calls: IntGaugeVec,
    node_foreign: IntGaugeVec,
    node_reserved: IntGaugeVec,
    node_capacity: GaugeVec,
    node_stress: GaugeVec,
    node_cpu: GaugeVec,
    node_rtp_loss: GaugeVec,
    node_rtp_jitter: GaugeVec,
    node_round_trip: GaugeVec,
    node_checks_good: IntCounterVec,
    node_checks_bad: IntCounterVec,
    node_state_changes: IntCounterVec,
    /// Reservations made for a lookup.
    pub reservations_made: IntCounter,
    /// Reservations whose call arrived at the node.
    pub reservations_confirmed: IntCounter,
    /// Reservations given back before the call arrived: an outcome report or a hang-up.
    pub reservations_released: IntCounter,
    /// Reservations nobody confirmed or gave back in time.
    pub reservations_expired: IntCounter,
    /// From lookup to `StasisStart`, in seconds.
    pub setup: Histogram,
    /// From the lookup to the answer, in seconds; calls that came without a lookup are not in it.
    pub answer: Histogram,
    /// Times the state file could not be written.
    pub store_failures: IntCounter,
}

/// The series of one node. Keep it beside the node; after [`PoolMetrics::forget`] it may be written on, unseen.
#[derive(Debug)]
pub struct NodeMetrics {
    /// 1 while the node is up, else 0.
    pub up: IntGauge,
    /// 1 while the node may be chosen first for a call, else 0.
    pub eligible: IntGauge,
    /// Calls of kamari's own on the node.
    pub calls: IntGauge,
    /// Calls on the node that kamari did not place.
    pub foreign: IntGauge,
    /// Reservations not yet confirmed.
    pub reserved: IntGauge,
    /// Calls the node is thought to carry: configured or learned.
    pub capacity: Gauge,
    /// How near its limit the node is: 0 idle, 1 full.
    pub stress: Gauge,
    /// CPU in use, 0 to 1 of what the node may use.
    pub cpu: Gauge,
    /// Share of RTP packets lost, 0 to 1, the median of sampled calls.
    pub rtp_loss: Gauge,
    /// RTP jitter in seconds, the median of sampled calls.
    pub rtp_jitter: Gauge,
    /// The last ping's round trip, in seconds.
    pub round_trip: Gauge,
    /// Rounds of checks that passed.
    pub checks_good: IntCounter,
    /// Rounds of checks that failed.
    pub checks_bad: IntCounter,
    /// Changes of availability.
    pub state_changes: IntCounter,
}

impl PoolMetrics {
    /// Declares the metrics.
    pub fn new(registrar: &mut Registrar) -> Result<Self, prometheus::Error> {
        let nodes = registrar.int_gauge_vec(
            "kamari_nodes",
            "Nodes in the pool, by availability and by what the operator wants of them.",
            &["state", "intent"],
        )?;
        for state in STATES {
            for intent in INTENTS {
                nodes.with_label_values(&[state, intent]).set(0);
            }
        }
        let reservations = registrar.counter_vec(
            "kamari_reservations_total",
            "Reservations by what became of them: made, confirmed by the call's arrival, released, expired.",
            &["event"],
        )?;
        let per_node = &["node"];
        let [node_rtp_loss, node_rtp_jitter] = audio(registrar)?;
        Ok(Self {
            nodes,
            node_up: registrar.int_gauge_vec("kamari_node_up", "1 while the node is up, else 0.", per_node)?,
            node_eligible: registrar.int_gauge_vec(
                "kamari_node_eligible",
                "1 while the node may be chosen for a new call, else 0.",
                per_node,
            )?,
            node_calls: registrar.int_gauge_vec(
                "kamari_node_calls",
                "Calls that kamari runs on the node.",
                per_node,
            )?,
            node_foreign: registrar.int_gauge_vec(
                "kamari_node_foreign_calls",
                "Calls on the node that this kamari did not place.",
                per_node,
            )?,
            node_reserved: registrar.int_gauge_vec(
                "kamari_node_reservations",
                "Calls promised to the node and not yet seen there.",
                per_node,
            )?,
            node_capacity: registrar.gauge_vec(
                "kamari_node_capacity_calls",
                "Calls the node is thought to carry: what the operator set, or less when learned.",
                per_node,
            )?,
            node_stress: registrar.gauge_vec(
                "kamari_node_stress_ratio",
                "How near its limit the node is: 0 is idle, 1 is full.",
                per_node,
            )?,
            node_cpu: registrar.gauge_vec(
                "kamari_node_cpu_ratio",
                "Share of the CPU that the node may use (its processors, or its cgroup's quota) in use by its Asterisk.",
                per_node,
            )?,
            node_rtp_loss,
            node_rtp_jitter,
            node_round_trip: registrar.gauge_vec(
                "kamari_node_round_trip_seconds",
                "Round trip of the last ping of the node.",
                per_node,
            )?,
            node_checks_good: registrar.counter_vec(
                "kamari_node_checks_passed_total",
                "Rounds of health checks that the node passed.",
                per_node,
            )?,
            node_checks_bad: registrar.counter_vec(
                "kamari_node_checks_failed_total",
                "Rounds of health checks that the node failed.",
                per_node,
            )?,
            node_state_changes: registrar.counter_vec(
                "kamari_node_state_changes_total",
                "Changes of the node's availability.",
                per_node,
            )?,
            reservations_made: reservations.with_label_values(&["made"]),
            reservations_confirmed: reservations.with_label_values(&["confirmed"]),
            reservations_released: reservations.with_label_values(&["released"]),
            reservations_expired: reservations.with_label_values(&["expired"]),
            setup: registrar.histogram(
                "kamari_setup_seconds",
                "Time from the lookup to the call's arrival in the application.",
                &SETUP_BUCKETS,
            )?,
            answer: registrar.histogram(
                "kamari_answer_seconds",
                "Time from the lookup to the call's answer; calls that came without a lookup are not in it.",
                &ANSWER_BUCKETS,
            )?,
            store_failures: registrar.counter(
                "kamari_state_file_failures_total",
                "Times the state file could not be written; the pool goes on with what it has in memory.",
            )?,
        })
    }

    /// The series of `node`, made when they are not there yet.
    pub fn node(&self, node: &str) -> NodeMetrics {
        let label = &[node];
        NodeMetrics {
            up: self.node_up.with_label_values(label),
            eligible: self.node_eligible.with_label_values(label),
            calls: self.node_calls.with_label_values(label),
            foreign: self.node_foreign.with_label_values(label),
            reserved: self.node_reserved.with_label_values(label),
            capacity: self.node_capacity.with_label_values(label),
            stress: self.node_stress.with_label_values(label),
            cpu: self.node_cpu.with_label_values(label),
            rtp_loss: self.node_rtp_loss.with_label_values(label),
            rtp_jitter: self.node_rtp_jitter.with_label_values(label),
            round_trip: self.node_round_trip.with_label_values(label),
            checks_good: self.node_checks_good.with_label_values(label),
            checks_bad: self.node_checks_bad.with_label_values(label),
            state_changes: self.node_state_changes.with_label_values(label),
        }
    }

    /// Takes the series of `node` away.
    pub fn forget(&self, node: &str) {
        let label = &[node];
        // An error means that the series was never made, which is what is wanted.
        for gauges in [&self.node_up, &self.node_eligible, &self.node_calls, &self.node_foreign, &self.node_reserved] {
            let _ = gauges.remove_label_values(label);
        }
        for gauges in [
            &self.node_capacity,
            &self.node_stress,
            &self.node_cpu,
            &self.node_rtp_loss,
            &self.node_rtp_jitter,
            &self.node_round_trip,
        ] {
            let _ = gauges.remove_label_values(label);
        }
        for counters in [&self.node_checks_good, &self.node_checks_bad, &self.node_state_changes] {
            let _ = counters.remove_label_values(label);
        }
    }

    /// Sets how many nodes are in each state: pairs of (availability, intent), one for every node.
    /// Words that are not in the closed sets are not counted.
    pub fn set_nodes(&self, nodes: &[(&str, &str)]) {
        for state in STATES {
            for intent in INTENTS {
                let count = nodes.iter().filter(|pair| **pair == (state, intent)).count();
                self.nodes.with_label_values(&[state, intent]).set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
    }
}

/// How the audio of each node's calls is: loss, jitter.
fn audio(registrar: &mut Registrar) -> Result<[GaugeVec; 2], prometheus::Error> {
    let loss = registrar.gauge_vec(
        "kamari_node_rtp_loss_ratio",
        "Share of RTP packets that the node's calls lose: the median of some calls, the worse direction of each.",
        &["node"],
    )?;
    let jitter = registrar.gauge_vec(
        "kamari_node_rtp_jitter_seconds",
        "Jitter of the RTP packets that the node receives: the median of some calls.",
        &["node"],
    )?;
    Ok([loss, jitter])
}
