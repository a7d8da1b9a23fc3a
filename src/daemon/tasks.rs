//! Tasks with a name, a common end, and a declared answer to the question what follows when one ends by itself.

use std::future::Future;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What follows when a task ends with an error or a panic before kamari stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnError {
    /// kamari cannot do its work without it: it stops with an error, and its service manager starts it again.
    Stop,
    /// kamari goes on without it; the log says so.
    GoOn,
}

/// The end of a task that nobody asked to end.
#[derive(Debug, thiserror::Error)]
#[error("the task \"{name}\" ended: {reason}")]
pub(super) struct Ended {
    name: &'static str,
    reason: String,
}

/// All tasks of the daemon.
#[derive(Debug, Clone)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    ended: mpsc::UnboundedSender<Ended>,
}

impl Tasks {
    /// No task yet. The receiver gets each task that ended although `OnError::Stop` was declared for it.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Ended>) {
        // Unbounded, and yet at most one message a task.
        let (ended, receiver) = mpsc::unbounded_channel();
        (Self { tracker: TaskTracker::new(), stop: CancellationToken::new(), ended }, receiver)
    }

    /// A token that is cancelled when kamari stops.
    pub(super) fn token(&self) -> CancellationToken {
        self.stop.child_token()
    }

    /// Runs `work` until it ends. It has to end by itself soon after its token is cancelled.
    pub(super) fn spawn<F, E>(&self, name: &'static str, on_error: OnError, work: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        let task = self.tracker.spawn(work);
        let (stop, ended) = (self.stop.clone(), self.ended.clone());
        self.tracker.spawn(async move {
            let reason = match task.await {
                Ok(Ok(())) if stop.is_cancelled() => return,
                Ok(Ok(())) => "it had no more to do".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            match on_error {
                OnError::GoOn => tracing::error!(task = name, %reason, "a task ended; kamari goes on without it"),
                // The receiver is gone only when kamari is stopping anyway.
                OnError::Stop => drop(ended.send(Ended { name, reason })),
            }
        });
    }

    /// Asks every task to end, and waits until they have.
    pub(super) async fn finish(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::{OnError, Tasks};

    #[tokio::test]
    async fn the_end_of_a_task_that_must_run_is_reported_by_name() {
        let (tasks, mut ended) = Tasks::new();
        tasks.spawn("optional", OnError::GoOn, async { Err("gone") });
        tasks.spawn("broken", OnError::Stop, async { Err("gone") });
        assert_eq!(ended.recv().await.expect("reported").to_string(), "the task \"broken\" ended: gone");
        tasks.spawn("panicking", OnError::Stop, async {
            assert!(ended_panics(), "on purpose");
            Ok::<(), Infallible>(())
        });
        assert!(ended.recv().await.expect("reported").to_string().contains("panicking"));
    }

    fn ended_panics() -> bool {
        false
    }

    #[tokio::test]
    async fn finish_waits_for_all_and_reports_none() {
        let (tasks, mut ended) = Tasks::new();
        let token = tasks.token();
        tasks.spawn("patient", OnError::Stop, async move {
            token.cancelled().await;
            Ok::<(), Infallible>(())
        });
        tasks.finish().await;
        drop(tasks);
        assert!(ended.recv().await.is_none());
    }
}
