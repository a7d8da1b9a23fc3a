//! The task that brings home what nodes recorded, and makes them forget what they were lent.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::tape::Tape;
use super::{Job, Shared, room};
use crate::call::Runtime;
use crate::media::{Loan, Pending, Verdict};

/// For how long an app may take up a recording of an earlier kamari after its node is up.
const CLAIM_WAIT: Duration = Duration::from_secs(5);
/// How often it is looked whether a node is up.
const LOOK: Duration = Duration::from_millis(500);
/// How long a node may take to ask for what it is made to ask for.
const ASK_WAIT: Duration = Duration::from_secs(2);
/// Longest time between two attempts with a node.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Brings home what nodes recorded. One a process.
#[derive(Debug)]
pub struct Collector {
    shared: Arc<Shared>,
    jobs: mpsc::UnboundedReceiver<Job>,
}

impl Collector {
    pub(super) fn new(shared: Arc<Shared>, jobs: mpsc::UnboundedReceiver<Job>) -> Self {
        Self { shared, jobs }
    }

    /// Works until `stop`. What is not done then is on the disk, and is done by the next kamari.
    pub async fn run(mut self, calls: Runtime, stop: CancellationToken) -> Result<(), Infallible> {
        let tasks = TaskTracker::new();
        let left: Vec<Pending> = self.shared.unclaimed().values().cloned().collect();
        for pending in left {
            let (shared, calls) = (Arc::clone(&self.shared), calls.clone());
            tasks.spawn(stop.clone().run_until_cancelled_owned(recover(shared, calls, pending)));
        }
        if let Some(mut rooms) = calls.room_tapes() {
            let (shared, calls, stop, spawned) = (Arc::clone(&self.shared), calls.clone(), stop.clone(), tasks.clone());
            tasks.spawn(async move {
                while let Some(Some(room)) = stop.run_until_cancelled(rooms.recv()).await {
                    let taped = room::tape(Arc::clone(&shared), calls.clone(), room);
                    spawned.spawn(stop.clone().run_until_cancelled_owned(taped));
                }
            });
        }
        match self.shared.lender.outstanding().await {
            Ok(loans) => {
                for loan in loans {
                    self.start(&tasks, &calls, &stop, Job::Loan(loan));
                }
            }
            Err(error) => tracing::error!(%error, "what was lent to nodes cannot be read"),
        }
        while let Some(Some(job)) = stop.run_until_cancelled(self.jobs.recv()).await {
            self.start(&tasks, &calls, &stop, job);
        }
        tasks.close();
        tasks.wait().await;
        Ok(())
    }

    fn start(&self, tasks: &TaskTracker, calls: &Runtime, stop: &CancellationToken, job: Job) {
        let (shared, calls, stop) = (Arc::clone(&self.shared), calls.clone(), stop.clone());
        match job {
            Job::Tape(pending, orders) => {
                let tape = Tape::new(shared, calls, pending);
                tasks.spawn(stop.run_until_cancelled_owned(tape.follow(orders)));
            }
            Job::Loan(loan) => {
                tasks.spawn(stop.run_until_cancelled_owned(reclaim(shared, calls, loan)));
            }
        }
    }
}

/// Finishes a recording of an earlier kamari, unless its call still lives and its app takes it up.
async fn recover(shared: Arc<Shared>, calls: Runtime, pending: Pending) {
    if pending.verdict == Verdict::Open {
        while calls.ari(&pending.recording.node).is_none() {
            sleep(LOOK).await;
        }
        sleep(CLAIM_WAIT).await;
    }
    if let Some(pending) = shared.claim(&pending.tape) {
        Tape::new(shared, calls, pending).finish().await;
    }
}

/// Makes a node forget its copy of a recording: it is asked to play what is withdrawn, until it has asked for it.
async fn reclaim(shared: Arc<Shared>, calls: Runtime, loan: Loan) {
    let mut pause = LOOK;
    loop {
        let refused = shared.lender.refused(&loan);
        match calls.play_to_nobody(&loan.node, loan.uri.as_str()).await {
            Ok(true) if timeout(ASK_WAIT, refused).await.is_ok() => break,
            Ok(true) => tracing::warn!(node = loan.node, "a node did not ask for a recording that it was to forget"),
            Ok(false) => {}
            Err(error) => tracing::debug!(node = loan.node, %error, "a node could not be made to forget a recording"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    if let Err(error) = shared.lender.give_back(loan).await {
        tracing::error!(%error, "that a node has no copy any more could not be written down");
    }
}
