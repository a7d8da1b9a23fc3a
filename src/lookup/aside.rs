//! A future beside the one that does the work: polled only when it was woken itself.
//!
//! `select!` polls every branch whenever one of them may go on. A timer and a stop signal beside a connection would be looked at, with
//! their locks, for each question that is answered; this way they cost one load.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Polls `F` at first, and then only after it was woken.
pub(super) struct Aside<F> {
    future: Pin<Box<F>>,
    bell: Arc<Bell>,
    waker: Waker,
}

/// Says that the future wants to be polled, and passes that on to the task that it is a part of.
struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<F: Future> Aside<F> {
    pub(super) fn new(future: F) -> Self {
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { future: Box::pin(future), waker: Waker::from(Arc::clone(&bell)), bell }
    }
}

impl<F: Future> Future for Aside<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // Before the bell is looked at: whoever rings after that wakes this very task.
        self.bell.task.register(cx.waker());
        if !self.bell.rung.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        self.bell.rung.swap(false, Ordering::AcqRel);
        let Self { future, waker, .. } = &mut *self;
        future.as_mut().poll(&mut Context::from_waker(waker))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::sync::Notify;

    use super::Aside;

    #[tokio::test(start_paused = true)]
    async fn only_what_it_waits_for_has_it_polled() {
        let (polled, go, other) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (seen, went) = (Arc::clone(&polled), Arc::clone(&go));
        let beside = Aside::new(async move {
            let goes = went.notified();
            tokio::pin!(goes);
            std::future::poll_fn(|cx| {
                seen.fetch_add(1, Ordering::Relaxed);
                goes.as_mut().poll(cx)
            })
            .await;
        });
        let asked = Arc::clone(&other);
        let task = tokio::spawn(async move {
            let work = async {
                loop {
                    asked.notified().await;
                }
            };
            tokio::select! { biased; () = work => {}, () = beside => {} }
        });
        for _ in 0..100 {
            other.notify_one();
            tokio::task::yield_now().await;
        }
        assert_eq!(polled.load(Ordering::Relaxed), 1, "at first, and not for each piece of work");
        go.notify_one();
        tokio::time::timeout(Duration::from_secs(1), task).await.expect("woken").expect("no panic");
        assert_eq!(polled.load(Ordering::Relaxed), 2);
    }
}
