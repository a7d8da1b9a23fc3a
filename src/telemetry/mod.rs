//! What kamari tells the outside about itself: log lines and numbers.
//!
//! Why it exists: a pager, a dashboard and the operator's eye need the same names for the same things, wherever in the
//! program a number is born. Every metric is therefore declared here, one struct a subsystem, one file a struct.
//!
//! Invariants:
//! - There are no statics. `daemon` builds one [`Metrics`]; a module gets an `Arc` of its own struct.
//! - Handles are cached in the structs: counting costs one atomic and no label look-up.
//! - Label values come from closed sets, or are names of nodes; what a caller sends is never a label.
//! - A node's series go when the node goes ([`PoolMetrics::forget`]).
//! - `docs/metrics.md` lists exactly what is declared here; a test fails when they drift.

mod ari;
mod calls;
mod cdr;
mod fallback;
mod log;
mod lookup;
mod media;
mod pool;
mod queues;
mod registrar;

use std::sync::Arc;

pub use ari::{AriMetrics, NodeAriMetrics, RequestOutcome};
pub use calls::{CallMetrics, CallOutcome, TaskGuard};
pub use cdr::CdrMetrics;
pub use fallback::FallbackMetrics;
pub use log::{LogControl, LogError, LogFormat, LogSettings};
pub use lookup::LookupMetrics;
pub use media::MediaMetrics;
pub use pool::{NodeMetrics, PoolMetrics};
pub use queues::QueueMetrics;
pub use registrar::{Described, Kind, Registrar};

/// Every metric of one kamari process, and the registry they are gathered from.
#[derive(Clone)]
pub struct Metrics {
    registry: prometheus::Registry,
    catalogue: Arc<[Described]>,
    /// Kamailio's questions.
    pub lookup: Arc<LookupMetrics>,
    /// Nodes, reservations, set-up time.
    pub pool: Arc<PoolMetrics>,
    /// Requests to and events from Asterisk.
    pub ari: Arc<AriMetrics>,
    /// Calls and the apps that serve them.
    pub calls: Arc<CallMetrics>,
    /// Records of calls that are over.
    pub cdr: Arc<CdrMetrics>,
    /// The pool as pushed to Kamailio's dispatcher.
    pub fallback: Arc<FallbackMetrics>,
    /// Recordings and mailboxes.
    pub media: Arc<MediaMetrics>,
    /// Queues.
    pub queues: Arc<QueueMetrics>,
}

impl Metrics {
    /// A fresh set, all zero, on a registry of its own.
    pub fn new() -> Result<Self, prometheus::Error> {
        let mut registrar = Registrar::default();
        let build = registrar.int_gauge_vec(
            "kamari_build_info",
            "Always 1; the label says which version runs.",
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let lookup = Arc::new(LookupMetrics::new(&mut registrar)?);
        let pool = Arc::new(PoolMetrics::new(&mut registrar)?);
        let ari = Arc::new(AriMetrics::new(&mut registrar)?);
        let calls = Arc::new(CallMetrics::new(&mut registrar)?);
        let cdr = Arc::new(CdrMetrics::new(&mut registrar)?);
        let fallback = Arc::new(FallbackMetrics::new(&mut registrar)?);
        let media = Arc::new(MediaMetrics::new(&mut registrar)?);
        let queues = Arc::new(QueueMetrics::new(&mut registrar)?);
        let (registry, catalogue) = registrar.finish();
        Ok(Self { registry, catalogue, lookup, pool, ari, calls, cdr, fallback, media, queues })
    }

    /// The text that `/metrics` answers with (Prometheus' text format 0.0.4).
    pub fn render(&self) -> Result<String, prometheus::Error> {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Every metric there can be, also those that have no series yet, in the order of declaration.
    pub fn catalogue(&self) -> &[Described] {
        &self.catalogue
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("families", &self.catalogue.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Metrics, RequestOutcome};

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        let metrics = Metrics::new().expect("the declarations agree with each other");
        for described in metrics.catalogue() {
            let name = described.name;
            assert!(name.starts_with("kamari_"), "{name} lacks the prefix");
            assert_eq!(
                name.ends_with("_total"),
                described.kind == Kind::Counter,
                "{name}: _total is for counters only"
            );
            assert!(!name.contains("_ms") && !name.contains("_milli"), "{name} is not in a base unit");
            assert!(described.help.ends_with('.'), "{name}: the help text is a sentence");
        }
    }

    #[test]
    fn the_series_of_a_node_go_when_the_node_goes() {
        let metrics = Metrics::new().expect("the declarations agree with each other");
        let node = metrics.pool.node("ast1");
        node.stress.set(0.5);
        let ari = metrics.ari.node("ast1");
        ari.reconnects.inc();
        metrics.ari.request("get_channel", RequestOutcome::Ok, 0.001);
        let before = metrics.render().expect("text");
        assert!(before.contains("kamari_node_stress_ratio{node=\"ast1\"} 0.5"), "{before}");
        assert!(before.contains("kamari_ari_reconnects_total{node=\"ast1\"} 1"), "{before}");

        metrics.pool.forget("ast1");
        metrics.ari.forget("ast1");
        node.stress.set(0.7);
        let after = metrics.render().expect("text");
        assert!(!after.contains("node=\"ast1\""), "{after}");
        assert!(after.contains("kamari_ari_requests_total{operation=\"get_channel\",outcome=\"ok\"} 1"), "{after}");
    }
}
