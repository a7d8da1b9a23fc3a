//! The leg that joins a room's bridge on one node with the room's bridge on its home node.
//!
//! The node away from home calls the home node: `PJSIP/kamailio/sip:<token>@<home>`, by way of Kamailio's core socket; the media
//! flows between the two nodes. The home node sees an ordinary call into Stasis; its extension is the token, 128 random bits
//! that are good for one call, so no caller can put himself into a room by dialling. Legs form a star: mixing bridges would
//! echo round a loop.
//!
//! A relay is a task that keeps the leg up: a leg that is lost is dialled again, until the room stops the relay. It owns both
//! ends and removes them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use super::super::bridges::entry;
use super::super::error::CallError;
use super::super::handler::remove_channel;
use super::super::ids::Kind;
use super::super::runtime::Shared;
use super::super::site::{Leg, LegPhase, Site, Target};
use crate::ari::rest::channels::{Create, Dial};

/// What every token begins with.
pub(in crate::call) const TOKEN_PREFIX: &str = "kamari-relay-";
/// The endpoint by which nodes reach Kamailio.
const ENDPOINT: &str = "PJSIP/kamailio";
/// What the leg offers: wide band first, then what every node has.
const FORMATS: &str = "g722,alaw,ulaw";
/// How long one leg may take to come up.
const SET_UP: Duration = Duration::from_secs(5);
/// The pause before a lost leg is dialled again; doubled with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// One node's side: its bridge of the room.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub(super) site: Arc<Site>,
    pub(super) bridge: String,
}

impl Side {
    pub(super) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.site, &other.site) && self.bridge == other.bridge
    }
}

/// What the dispatch needs to know the home end when it arrives.
#[derive(Debug)]
pub(in crate::call) struct Expected {
    /// Where. The node that dials knows the token too, and must not name a channel of this one.
    pub(in crate::call) at: Arc<Site>,
    pub(in crate::call) leg: Arc<Leg>,
    /// Takes the id of the channel.
    pub(in crate::call) arrived: oneshot::Sender<String>,
}

/// A relay that is kept up.
#[derive(Debug)]
pub(super) struct Relay {
    home: Side,
    away: Side,
    stop: CancellationToken,
    /// Cancelled when the end there is removed and will not come again.
    clear: Clear,
    task: JoinHandle<()>,
}

/// Which ends are removed for good.
#[derive(Debug, Clone, Default)]
struct Clear {
    home: CancellationToken,
    away: CancellationToken,
}

impl Relay {
    pub(super) fn start(shared: &Arc<Shared>, home: Side, away: Side) -> Self {
        let stop = CancellationToken::new();
        let span = tracing::info_span!("relay", home = %home.site.name, away = %away.site.name);
        let clear = Clear::default();
        let kept = keep(Arc::clone(shared), home.clone(), away.clone(), stop.clone(), clear.clone());
        let task = shared.spawn(kept.instrument(span));
        Self { home, away, stop, clear, task }
    }

    /// Whether it joins these two.
    pub(super) fn joins(&self, home: &Side, away: &Side) -> bool {
        self.home.same(home) && self.away.same(away)
    }

    /// Ends it; complete when both ends are removed.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a relay's task failed");
        }
    }

    /// Ends it, and lets it remove what it can by itself: one of its nodes is lost and may not answer.
    pub(super) fn abandon(self) {
        self.stop.cancel();
    }

    /// Ends it; complete when no end is left on a node that is not `lost`. Another leg may take its place only then: one that
    /// was put into a bridge while the old one left it was deaf in one direction (seen on 22.10).
    pub(super) async fn give_way(self, lost: &Arc<Site>) {
        self.stop.cancel();
        for (side, clear) in [(&self.home, &self.clear.home), (&self.away, &self.clear.away)] {
            if !Arc::ptr_eq(&side.site, lost) {
                clear.cancelled().await;
            }
        }
    }
}

async fn keep(shared: Arc<Shared>, home: Side, away: Side, stop: CancellationToken, clear: Clear) {
    // However this ends, nobody waits for ever.
    let _all_clear = (clear.home.clone().drop_guard(), clear.away.clone().drop_guard());
    let mut pause = FIRST_PAUSE;
    while !stop.is_cancelled() {
        let mut ends = Ends::new(&shared, &home, &away);
        let connected = tokio::select! {
            // What was asked for and is dropped here is removed below, or when it arrives and nobody expects it.
            () = stop.cancelled() => Ok(()),
            connected = ends.connect() => connected,
        };
        match connected {
            Ok(()) => {
                pause = FIRST_PAUSE;
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = ends.lost() => {
                        tracing::warn!(home = %home.site.name, away = %away.site.name, "a relay between nodes was lost");
                    }
                }
            }
            Err(error) => {
                tracing::warn!(home = %home.site.name, away = %away.site.name, %error, "a relay between nodes failed");
            }
        }
        ends.remove(&stop, &clear).await;
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(pause) => pause = (pause * 2).min(LAST_PAUSE),
        }
    }
}

/// Both ends of one leg.
struct Ends<'a> {
    shared: &'a Arc<Shared>,
    home: &'a Side,
    away: &'a Side,
    token: String,
    away_channel: String,
    away_leg: Arc<Leg>,
    home_channel: Option<String>,
    home_leg: Arc<Leg>,
}

impl<'a> Ends<'a> {
    fn new(shared: &'a Arc<Shared>, home: &'a Side, away: &'a Side) -> Self {
        Self {
            shared,
            home,
            away,
            token: format!("{TOKEN_PREFIX}{}", Uuid::new_v4().as_simple()),
            away_channel: shared.ids.next(Kind::Leg),
            away_leg: Leg::new(),
            home_channel: None,
            home_leg: Leg::new(),
        }
    }

    /// Dials the leg and puts each end into its bridge.
    async fn connect(&mut self) -> Result<(), CallError> {
        let (arrived, arrival) = oneshot::channel();
        self.away.site.register(&self.away_channel, Target::Leg(Arc::clone(&self.away_leg)));
        let (at, leg) = (Arc::clone(&self.home.site), Arc::clone(&self.home_leg));
        let expected = Expected { at, leg, arrived };
        self.shared.relays.insert(self.token.clone(), expected);

        let away = self.away.site.link();
        let home = self.home.site.link();
        let address = home.sip.as_str().trim_start_matches("sips:").trim_start_matches("sip:");
        let create = Create {
            endpoint: format!("{ENDPOINT}/sip:{}@{address}", self.token),
            app: away.ari.target().app().to_owned(),
            channel_id: Some(self.away_channel.clone()),
            formats: Some(FORMATS.to_owned()),
            ..Create::default()
        };
        away.ari.channels().create(&create).await?;
        entered(&self.away_leg).await?;
        away.ari.bridges().add_channel(&self.away.bridge, &entry(vec![self.away_channel.clone()])).await?;
        let dial = Dial { timeout: Some(SET_UP.as_secs() as u32), ..Dial::default() };
        away.ari.channels().dial(&self.away_channel, &dial).await?;

        let channel = tokio::select! {
            arrived = timeout(SET_UP, arrival) => match arrived {
                Ok(Ok(channel)) => channel,
                _ => return Err(CallError::Silent("the arrival of a leg from another node")),
            },
            () = self.away_leg.gone() => return Err(CallError::Silent("the arrival of a leg that was refused")),
        };
        self.home_channel = Some(channel.clone());
        home.ari.channels().answer(&channel).await?;
        home.ari.bridges().add_channel(&self.home.bridge, &entry(vec![channel.clone()])).await?;
        Ok(())
    }

    /// Completes when either end is gone.
    async fn lost(&self) {
        tokio::select! {
            () = self.away_leg.gone() => {}
            () = self.home_leg.gone() => {}
        }
    }

    /// Removes both ends, each without waiting for the other's node; says so if the relay is to stop.
    async fn remove(self, stop: &CancellationToken, clear: &Clear) {
        // A home end that arrives after this is expected by nobody, and is hung up.
        self.shared.relays.remove(&self.token);
        let remove = async |side: &Side, channel: Option<&String>, leg: &Leg, clear: &CancellationToken| {
            if let Some(channel) = channel {
                if leg.phase() != LegPhase::Gone && side.site.link().commands_allowed() {
                    remove_channel(&side.site, channel).await;
                }
                side.site.forget(channel);
            }
            if stop.is_cancelled() {
                clear.cancel();
            }
        };
        tokio::join!(
            remove(self.away, Some(&self.away_channel), &self.away_leg, &clear.away),
            remove(self.home, self.home_channel.as_ref(), &self.home_leg, &clear.home),
        );
    }
}

/// Waits until a channel that was created is in the application.
async fn entered(leg: &Leg) -> Result<(), CallError> {
    let mut phase = leg.watch();
    match timeout(SET_UP, phase.wait_for(|phase| *phase != LegPhase::New)).await {
        Ok(Ok(phase)) if *phase == LegPhase::Entered => Ok(()),
        _ => Err(CallError::Silent("that a leg entered the application")),
    }
}
