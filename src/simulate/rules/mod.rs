//! The rules that can be compared, by name.

mod kamari;
mod media;
mod members;
mod proxies;
mod web;

use super::nodes::NodeSize;
use super::rule::Rule;
use crate::balance::Settings;
use clap::ValueEnum;
use kamari::{Kamari, Variant};
use media::{By, Reports};
use proxies::{Pick, Proxy};

/// A routing rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Policy {
    /// This program's own code.
    Kamari,
    /// The same, but whatever a node fails is held against it at once, taken by another or not: why kamari does not do that.
    #[value(skip)]
    KamariRash,
    /// The same, but the proxy is not asked for the ends of calls while the nodes cannot be heard: why kamari asks.
    #[value(skip)]
    KamariUntold,
    /// Kamailio's algorithm 4, jambonz.
    RoundRobin,
    /// Round robin weighted by configured capacity.
    WeightedRoundRobin,
    /// Kamailio's algorithm 6.
    Random,
    /// Kamailio's algorithm 10: fewest own calls.
    CallLoad,
    /// The same in four proxies that do not know of each other.
    #[value(name = "call-load-4")]
    CallLoad4,
    /// Kamailio's algorithm 13: least round trip of OPTIONS.
    Latency,
    /// OpenSIPS' `load_balancer` with freeswitch heartbeats each second.
    Heartbeat,
    /// `LiveKit`: fewest clients, by 2 s reports.
    LeastClients,
    /// `LiveKit`: lowest one-minute load average, by 2 s reports.
    LoadAverage,
    /// Jicofo: stress corrected by its own allocations of the last 20 s.
    StressCorrected,
    /// Envoy: least request, weighted, with outlier ejection.
    LeastRequest,
    /// Google's Prequal: probes of calls in progress and latency.
    Prequal,
    /// Special-purpose servers for three kinds of call.
    Partitioned,
    /// The bound: nobody who serves whenever a slot is free can lose fewer calls. Computed by seeing every free slot.
    ErlangB,
}

impl Policy {
    /// Its name on the command line and in reports.
    pub fn name(self) -> String {
        // Those that are no choice on the command line are told apart all the same.
        self.to_possible_value().map_or_else(|| format!("{self:?}"), |value| value.get_name().to_owned())
    }

    /// How many proxies or controllers it runs in, that do not know of each other.
    pub fn instances(self) -> usize {
        if self == Self::CallLoad4 { 4 } else { 1 }
    }

    /// A fresh instance; `None` for the bound, which is no rule.
    pub fn rule(self, nodes: &[NodeSize], settings: &Settings) -> Option<Box<dyn Rule>> {
        let proxy = |pick| -> Option<Box<dyn Rule>> { Some(Box::new(Proxy::new(pick, nodes))) };
        let reports = |by| -> Option<Box<dyn Rule>> { Some(Box::new(Reports::new(by, nodes))) };
        let kamari = |variant| -> Option<Box<dyn Rule>> { Some(Box::new(Kamari::new(settings, nodes, variant))) };
        match self {
            Self::Kamari => kamari(Variant::Whole),
            Self::KamariRash => kamari(Variant::Rash),
            Self::KamariUntold => kamari(Variant::Untold),
            Self::RoundRobin => proxy(Pick::RoundRobin),
            Self::WeightedRoundRobin => proxy(Pick::WeightedRoundRobin),
            Self::Random => proxy(Pick::Random),
            Self::CallLoad | Self::CallLoad4 => proxy(Pick::CallLoad),
            Self::Latency => proxy(Pick::Latency),
            Self::Heartbeat => proxy(Pick::Heartbeat),
            Self::LeastClients => reports(By::Clients),
            Self::LoadAverage => reports(By::LoadAverage),
            Self::StressCorrected => reports(By::Stress),
            Self::LeastRequest => Some(Box::new(web::LeastRequest::new(nodes))),
            Self::Prequal => Some(Box::new(web::Prequal::new(nodes))),
            Self::Partitioned => Some(Box::new(web::Partitioned::new(nodes))),
            Self::ErlangB => None,
        }
    }
}
