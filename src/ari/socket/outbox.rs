//! The bounded queue between the reader and whoever consumes the events.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc::{self, error::TrySendError};

use super::SocketItem;
use crate::ari::observer::Observer;

/// Most bytes of events, as they came, that wait in the queue. As values they may take a dozen times as much, so this,
/// and not the number of events, is what a node can make kamari hold. Eight thousand usual events are below it.
const QUEUE_BYTES: usize = 16 << 20;

/// The consumer dropped its end.
#[derive(Debug)]
pub(super) struct Unwanted;

/// Puts items into the queue without waiting. What must not be lost and finds no room waits in `backlog`: notices, and one
/// count per run of dropped events. The backlog goes out before anything newer, so the order holds.
#[derive(Debug)]
pub(super) struct Outbox {
    sender: mpsc::Sender<SocketItem>,
    backlog: VecDeque<SocketItem>,
    /// Sizes of what is in the queue, oldest first, and their sum.
    sizes: VecDeque<usize>,
    bytes: usize,
    observer: Arc<dyn Observer>,
    replaced: bool,
}

impl Outbox {
    pub(super) fn new(sender: mpsc::Sender<SocketItem>, observer: Arc<dyn Observer>) -> Self {
        Self { sender, backlog: VecDeque::new(), sizes: VecDeque::new(), bytes: 0, observer, replaced: false }
    }

    /// Puts an event in that came as `size` bytes, or counts it as lost.
    pub(super) fn offer(&mut self, item: SocketItem, size: usize) {
        let fits = self.waiting() + size <= QUEUE_BYTES;
        // While nothing fits, what is lost goes into one count.
        if fits {
            self.push_backlog();
        }
        if !self.backlog.is_empty() || !fits || self.try_send(item, size).is_some() {
            self.observer.lost(1);
            match self.backlog.back_mut() {
                Some(SocketItem::Lost { count }) => *count += 1,
                _ => self.backlog.push_back(SocketItem::Lost { count: 1 }),
            }
        }
    }

    /// Puts a notice in, now or as soon as there is room.
    pub(super) fn notice(&mut self, item: SocketItem) {
        self.replaced |= item == SocketItem::Replaced;
        self.backlog.push_back(item);
        self.push_backlog();
    }

    /// Whether the last notice was put in, after which nothing follows.
    pub(super) fn has_ended(&self) -> bool {
        self.replaced
    }

    /// Whether something waits for room.
    pub(super) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Waits until the queue has room. The reader is the only one who puts items in, so the room stays.
    pub(super) async fn room(&self) -> Result<(), Unwanted> {
        self.sender.reserve().await.map(drop).map_err(|_| Unwanted)
    }

    /// Puts in as much of the backlog as there is room for.
    pub(super) fn push_backlog(&mut self) {
        while let Some(item) = self.backlog.pop_front() {
            if let Some(item) = self.try_send(item, 0) {
                self.backlog.push_front(item);
                return;
            }
        }
    }

    /// Waits until the backlog has gone out.
    pub(super) async fn flush(&mut self) -> Result<(), Unwanted> {
        while self.has_backlog() {
            self.room().await?;
            self.push_backlog();
        }
        Ok(())
    }

    /// Waits until the consumer drops its end.
    pub(super) async fn closed(&self) {
        self.sender.closed().await;
    }

    /// Bytes of the events that nobody has taken yet. The queue is in order, so what has left it is the oldest.
    fn waiting(&mut self) -> usize {
        let depth = self.sender.max_capacity() - self.sender.capacity();
        while self.sizes.len() > depth {
            self.bytes -= self.sizes.pop_front().unwrap_or(0);
        }
        self.bytes
    }

    /// The item comes back when there is no room. When nobody listens any more it is gone, which [`Outbox::closed`] tells.
    fn try_send(&mut self, item: SocketItem, size: usize) -> Option<SocketItem> {
        match self.sender.try_send(item) {
            Ok(()) => {
                self.sizes.push_back(size);
                self.bytes += size;
                self.observer.queue_depth(self.sender.max_capacity() - self.sender.capacity());
                None
            }
            Err(TrySendError::Full(item)) => Some(item),
            Err(TrySendError::Closed(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Outbox, QUEUE_BYTES, SocketItem};
    use crate::ari::event::DecodeError;
    use std::sync::Arc;
    use tokio::sync::mpsc;

    fn event(number: usize) -> SocketItem {
        SocketItem::Undecodable(DecodeError { event_type: None, reason: number.to_string() })
    }

    #[tokio::test]
    async fn a_full_queue_loses_events_by_count_and_in_their_place_and_no_notice() {
        let (sender, mut receiver) = mpsc::channel(2);
        let mut outbox = Outbox::new(sender, Arc::new(()));
        outbox.notice(SocketItem::Up);
        (1..=4).for_each(|number| outbox.offer(event(number), 1));
        outbox.notice(SocketItem::Replaced);
        outbox.offer(event(5), 1);
        assert!(outbox.has_backlog() && outbox.has_ended());
        let reader = tokio::spawn(async move {
            let mut items = Vec::new();
            while let Some(item) = receiver.recv().await {
                items.push(item);
            }
            items
        });
        outbox.flush().await.expect("the reader is there");
        outbox.offer(event(6), 1);
        drop(outbox);
        let expected = [
            SocketItem::Up,
            event(1),
            SocketItem::Lost { count: 3 },
            SocketItem::Replaced,
            SocketItem::Lost { count: 1 },
            event(6),
        ];
        assert_eq!(reader.await.expect("no panic"), expected);
    }

    #[tokio::test]
    async fn large_events_fill_the_queue_by_their_bytes() {
        let (sender, mut receiver) = mpsc::channel(1_000);
        let mut outbox = Outbox::new(sender, Arc::new(()));
        (1..=100).for_each(|number| outbox.offer(event(number), QUEUE_BYTES / 4));
        assert_eq!(receiver.len(), 4, "the rest is lost");
        assert_eq!(receiver.recv().await, Some(event(1)));
        // What is lost is said first, and what has left makes room.
        outbox.offer(event(101), QUEUE_BYTES / 4);
        let mut rest = Vec::new();
        while let Ok(item) = receiver.try_recv() {
            rest.push(item);
        }
        assert_eq!(rest, [event(2), event(3), event(4), SocketItem::Lost { count: 96 }, event(101)]);
    }

    #[tokio::test]
    async fn a_consumer_that_left_ends_the_wait() {
        let (sender, receiver) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender, Arc::new(()));
        outbox.notice(SocketItem::Up);
        outbox.offer(event(1), 1);
        drop(receiver);
        outbox.closed().await;
        assert!(outbox.flush().await.is_err());
    }
}
