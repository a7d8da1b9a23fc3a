//! What the handlers work with: handles, all cheap to clone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::time::Instant;

use super::settings::Settings;
use crate::telemetry::Metrics;

/// Where kamari is between start and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not every node has been looked at yet.
    Starting,
    /// In service.
    Ready,
    /// Asked to stop.
    Stopping,
}

/// Shares the phase between the daemon, which moves it on, and whoever wants to know.
#[derive(Debug, Clone, Default)]
pub struct PhaseCell(Arc<AtomicU8>);

impl PhaseCell {
    /// The phase now.
    pub fn get(&self) -> Phase {
        match self.0.load(Ordering::Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Stopping,
        }
    }

    /// Moves on to `phase`; never back.
    pub fn advance(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Ordering::Relaxed);
    }
}

/// What the handlers work with.
#[derive(Debug, Clone)]
pub struct ApiState {
    /// `[api]`.
    pub settings: Arc<Settings>,
    /// Every number.
    pub metrics: Metrics,
    /// Where kamari is between start and end.
    pub phase: PhaseCell,
    /// When kamari started.
    pub started: Instant,
}

impl ApiState {
    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }
}

#[cfg(test)]
mod tests {
    use super::{Phase, PhaseCell};

    #[test]
    fn the_phase_never_goes_back() {
        let phase = PhaseCell::default();
        assert_eq!(phase.get(), Phase::Starting);
        phase.advance(Phase::Stopping);
        phase.advance(Phase::Ready);
        assert_eq!(phase.get(), Phase::Stopping);
    }
}
