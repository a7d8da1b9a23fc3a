//! Declares metrics: registers each with Prometheus and remembers its description, so that the documentation can be
//! held against what exists, series or no series (a gathered registry leaves out a vector without series).

use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

/// Prometheus' type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
}

impl Kind {
    /// The word that Prometheus' text format uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One declared metric.
#[derive(Debug, Clone)]
pub struct Described {
    /// Its full name.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Label names, in order.
    pub labels: Vec<&'static str>,
    /// What it counts, as a sentence.
    pub help: &'static str,
}

/// Where the metric structs declare what they hold.
#[derive(Debug, Default)]
pub struct Registrar {
    registry: Registry,
    catalogue: Vec<Described>,
}

impl Registrar {
    /// A counter without labels.
    pub fn counter(&mut self, name: &'static str, help: &'static str) -> Result<IntCounter, prometheus::Error> {
        self.add(Kind::Counter, name, help, &[], IntCounter::new(name, help)?)
    }

    /// A counter per combination of `labels`.
    pub fn counter_vec(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        self.add(Kind::Counter, name, help, labels, IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    /// A whole-number gauge without labels.
    pub fn int_gauge(&mut self, name: &'static str, help: &'static str) -> Result<IntGauge, prometheus::Error> {
        self.add(Kind::Gauge, name, help, &[], IntGauge::new(name, help)?)
    }

    /// A whole-number gauge per combination of `labels`.
    pub fn int_gauge_vec(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
    ) -> Result<IntGaugeVec, prometheus::Error> {
        self.add(Kind::Gauge, name, help, labels, IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// A gauge without labels.
    pub fn gauge(&mut self, name: &'static str, help: &'static str) -> Result<Gauge, prometheus::Error> {
        self.add(Kind::Gauge, name, help, &[], Gauge::new(name, help)?)
    }

    /// A gauge per combination of `labels`.
    pub fn gauge_vec(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
    ) -> Result<GaugeVec, prometheus::Error> {
        self.add(Kind::Gauge, name, help, labels, GaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// A histogram without labels; `buckets` are upper bounds in the unit that the name ends with.
    pub fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        buckets: &[f64],
    ) -> Result<Histogram, prometheus::Error> {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.add(Kind::Histogram, name, help, &[], Histogram::with_opts(opts)?)
    }

    /// A histogram per combination of `labels`.
    pub fn histogram_vec(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
        buckets: &[f64],
    ) -> Result<HistogramVec, prometheus::Error> {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.add(Kind::Histogram, name, help, labels, HistogramVec::new(opts, labels)?)
    }

    /// The registry with all that was declared, and its catalogue.
    pub fn finish(self) -> (Registry, Arc<[Described]>) {
        (self.registry, self.catalogue.into())
    }

    fn add<C: Collector + Clone + 'static>(
        &mut self,
        kind: Kind,
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
        collector: C,
    ) -> Result<C, prometheus::Error> {
        self.registry.register(Box::new(collector.clone()))?;
        self.catalogue.push(Described { name, kind, labels: labels.to_vec(), help });
        Ok(collector)
    }
}
