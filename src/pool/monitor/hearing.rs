//! What comes by the event socket: the calls of the node, and whether its events arrive at all.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::{Events, Monitor, Report};
use crate::ari::event::EventKind;
use crate::ari::model::ChannelState;
use crate::ari::{ConnectFailure, Event};
use crate::pool::link::PROBE_PREFIX;
use crate::pool::probe::Probe;
use crate::pool::round::Trouble;
use crate::pool::whole;

impl Monitor {
    pub(super) async fn event(&mut self, event: &Arc<Event>) {
        // What comes before the state was read will be part of it.
        if !matches!(self.events, Events::Heard) {
            return;
        }
        if event.channel_id().is_some_and(|id| id.starts_with(PROBE_PREFIX)) {
            return;
        }
        if self.is_too_many(event) {
            return;
        }
        self.world.listener.on_event(&self.link, event);
        match &event.kind {
            EventKind::StasisStart(start) => {
                if let Some(promised) = self.calls.enter(&start.channel) {
                    self.report(Report::Started(promised)).await;
                }
            }
            EventKind::ChannelStateChange(change) if change.channel.state == ChannelState::Up => {
                if let Some(call_id) = self.calls.promised(&change.channel.id) {
                    let answered = Report::Answered(call_id.to_owned());
                    self.report(answered).await;
                }
            }
            EventKind::StasisEnd(end) => self.left(&end.channel.id).await,
            EventKind::ChannelDestroyed(destroyed) => self.left(&destroyed.channel.id).await,
            _ => {}
        }
    }

    /// Whether the event begins a call beyond what any node carries. Such a node is broken, or lies, and is not to fill this
    /// process; the caller, if there is one, is left to his node.
    fn is_too_many(&mut self, event: &Event) -> bool {
        let EventKind::StasisStart(start) = &event.kind else { return false };
        let limit = self.world.settings.max_node_channels;
        if self.calls.channels() < limit || self.calls.knows(&start.channel.id) {
            return false;
        }
        self.observer.too_many();
        if !std::mem::replace(&mut self.said.crowd, true) {
            tracing::error!(node = %self.link.name, limit, "more channels than pool.max_node_channels; further calls of this node are not served");
        }
        true
    }

    async fn left(&mut self, channel_id: &str) {
        if let Some(promised) = self.calls.leave(channel_id) {
            self.report(Report::Ended(promised)).await;
        }
    }

    /// Reads what is in the application now, while events wait. Whether to ask the node at once.
    pub(super) async fn resync(&mut self) -> bool {
        let stop = self.stop.clone();
        match stop.run_until_cancelled(whole::read(&self.link.ari, self.world.settings.max_node_channels)).await {
            None => return false,
            Some(Ok((about, resync))) => {
                let difference = self.calls.replace(&resync.channels);
                // Perhaps another process than before.
                self.probe = Probe::default();
                self.link.generation = self.world.generations.fetch_add(1, Ordering::Relaxed) + 1;
                self.events = Events::Heard;
                (self.told_up, self.give_up) = (true, None);
                self.link.taken_over.store(false, Ordering::Release);
                self.link.commands.store(true, Ordering::Release);
                self.world.listener.on_up(&self.link, &resync);
                self.report(Report::Up { about, difference, own: self.calls.count() }).await;
            }
            Some(Err(error)) => {
                let trouble = Trouble::of("reading the node's state", &error);
                self.bear();
                self.events = Events::Unread(trouble.clone());
                self.report(Report::SocketDown(trouble)).await;
            }
        }
        true
    }

    pub(super) async fn socket_down(&mut self, failure: &ConnectFailure) {
        let trouble = Trouble::from(failure);
        self.events = Events::Down(trouble.clone());
        if *failure == ConnectFailure::ConnectionRefused {
            // The process is gone, and its calls with it.
            self.tell_down(&trouble.reason);
            self.forget_calls().await;
        } else {
            self.bear();
        }
        self.report(Report::SocketDown(trouble)).await;
    }

    pub(super) async fn forget_calls(&mut self) {
        for promised in self.calls.replace(&[]).ended {
            self.report(Report::Ended(promised)).await;
        }
    }

    /// Events do not arrive for now: the listener is told in a while, unless they do again.
    fn bear(&mut self) {
        if self.told_up && self.give_up.is_none() {
            self.give_up = Some(Instant::now() + self.world.settings.down_time());
        }
    }

    pub(super) fn tell_down(&mut self, reason: &str) {
        self.give_up = None;
        if matches!(self.events, Events::Heard) {
            self.events = Events::Down(Trouble { reason: reason.to_owned(), definite: false });
        }
        if std::mem::take(&mut self.told_up) {
            self.world.listener.on_down(&self.link, reason);
        }
    }
}
