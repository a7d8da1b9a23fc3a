//! What the phone at the end of a channel asks for while it talks: to hold, to transfer.
//!
//! Only the latest wish counts, so hearing it needs no queue and never waits. Channels in a two-party call are told not to
//! carry out transfers by themselves (`PJSIP_TRANSFER_HANDLING`, Asterisk 20.13, 21.8, 22.3 and later): in Asterisk's own
//! way the channels would leave the application, and it knows nothing of other nodes.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use crate::ari::model::RequiredDestination;

/// The function that says who carries out a transfer, and the value for: the application.
pub(super) const TRANSFERS: &str = "PJSIP_TRANSFER_HANDLING()";
pub(super) const TRANSFERS_ARE_OURS: &str = "ari-only";

/// Where a phone wants its other party to go (REFER).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refer {
    /// To this number (blind transfer).
    To(Arc<str>),
    /// To the other party of the phone's own second call, which has this SIP Call-ID (attended transfer: Replaces).
    Replacing(Arc<str>),
}

impl Refer {
    /// What a REFER says, as Asterisk tells it; nothing if it names neither.
    pub(super) fn of(destination: &RequiredDestination) -> Option<Self> {
        let call = destination.protocol_id.as_deref().map(|call_id| Self::Replacing(call_id.into()));
        call.or_else(|| destination.destination.as_deref().map(|number| Self::To(number.into())))
    }
}

/// One phone's wishes.
#[derive(Debug, Default)]
pub(super) struct Line {
    held: watch::Sender<bool>,
    refer: watch::Sender<Option<Refer>>,
    join: watch::Sender<Option<Arc<str>>>,
    call_id: OnceLock<String>,
}

impl Line {
    pub(super) fn hold(&self, held: bool) {
        self.held.send_if_modified(|now| std::mem::replace(now, held) != held);
    }

    pub(super) fn refer(&self, refer: Refer) {
        self.refer.send_replace(Some(refer));
    }

    /// Another call's transfer sends this one's caller into a room.
    pub(super) fn join(&self, room: &Arc<str>) {
        self.join.send_replace(Some(Arc::clone(room)));
    }

    pub(super) fn call_id_is(&self, call_id: &str) {
        // It is the same in every event of a channel.
        let _ = self.call_id.set(call_id.to_owned());
    }

    /// The SIP Call-ID of the phone's dialog, once the node said it.
    pub(super) fn call_id(&self) -> Option<&str> {
        self.call_id.get().map(String::as_str)
    }

    pub(super) fn watch_hold(&self) -> watch::Receiver<bool> {
        self.held.subscribe()
    }

    /// The next transfer that is asked for. One that was asked for while nobody waited is given too.
    pub(super) async fn wants_transfer(&self) -> Refer {
        next(&self.refer).await
    }

    /// The room that the caller is to go into.
    pub(super) async fn is_to_join(&self) -> Arc<str> {
        next(&self.join).await
    }
}

/// Takes the next value.
async fn next<T>(wishes: &watch::Sender<Option<T>>) -> T {
    let mut changes = wishes.subscribe();
    loop {
        let mut wish = None;
        wishes.send_if_modified(|latest| {
            wish = latest.take();
            false
        });
        match wish {
            Some(wish) => return wish,
            // The sender lives, so waiting cannot fail.
            None => drop(changes.changed().await),
        }
    }
}
