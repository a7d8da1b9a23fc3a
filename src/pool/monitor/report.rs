//! Between the registry and a monitor: what the one is told, and what the other is held by.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::balance::PollMark;
use crate::pool::calls::{Difference, Promised};
use crate::pool::link::Stress;
use crate::pool::round::{Reading, Trouble};
use crate::pool::whole::About;

/// What the monitor tells the registry.
#[derive(Debug)]
pub(in crate::pool) enum Report {
    /// A poll is about to be sent.
    Mark(oneshot::Sender<PollMark>),
    /// A round of checks ended, with the event socket open and read.
    Round(Result<Reading, Trouble>),
    /// Events arrive, and these calls were found to have started or ended meanwhile; `own` load the node now.
    Up { about: About, difference: Difference, own: u32 },
    /// The event socket is lost, or cannot be opened.
    SocketDown(Trouble),
    /// Another controller took the application over; kamari is back after this time unless the operator says so sooner.
    TakenOver { until_retry: Duration },
    /// A call of ours began.
    Started(Promised),
    /// The call of this Call-ID was answered.
    Answered(String),
    /// A call of ours ended.
    Ended(Promised),
}

/// A report and the monitor that it comes from: a monitor that was replaced may still have some under way.
#[derive(Debug)]
pub(in crate::pool) struct Reported {
    pub(in crate::pool) monitor: u64,
    pub(in crate::pool) report: Report,
}

/// The registry's hold on a monitor. It stops when this is dropped.
#[derive(Debug)]
pub(in crate::pool) struct Handle {
    pub(in crate::pool) id: u64,
    pub(super) stop: CancellationToken,
    pub(super) take_back: mpsc::Sender<()>,
    pub(super) commands: Arc<AtomicBool>,
    pub(super) stress: Stress,
}

impl Handle {
    /// Asks for the application back at once.
    pub(in crate::pool) fn take_back(&self) {
        // A full queue holds the same wish already; a closed one is a monitor that is ending.
        let _ = self.take_back.try_send(());
    }

    /// Says how near its limit the node is, to those who command it.
    pub(in crate::pool) fn stress_is(&self, stress: f64) {
        self.stress.set(stress);
    }

    /// Whether kamari commands the node.
    pub(in crate::pool) fn commands_allowed(&self) -> bool {
        self.commands.load(Ordering::Acquire)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.commands.store(false, Ordering::Release);
        self.stop.cancel();
    }
}
