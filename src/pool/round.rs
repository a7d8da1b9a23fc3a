//! One round of checks of a node: what is asked, and what the answers mean.
//!
//! A node is healthy when it answers a ping, when its channels container is free (a deadlocked one answers pings for hours;
//! what the probe's channel reads, or else the look-up of a channel that does not exist, comes back at once), when its event
//! socket is open, and when the channels in our application are those of which we heard. The third is the monitor's
//! knowledge. The first two are asked in every round, by one request each; the fourth every few rounds, and in every round
//! while anything is in doubt.

use std::time::Duration;

use tokio::time::Instant;

use super::link::PROBE_PREFIX;
use super::panel::Audio;
use super::probe::{self, Figures, Probe};
use crate::ari::model::{ChannelIds, RtpStatistics};
use crate::ari::{AriClient, AriError, ConnectFailure};
use crate::balance::PollMark;

/// A round that passed.
#[derive(Debug)]
pub(super) struct Reading {
    /// What was known of our own calls before the round.
    pub(super) mark: PollMark,
    /// The ping's round trip.
    pub(super) round_trip: Duration,
    /// The node's clock when it answered the ping, in milliseconds since the Unix epoch.
    pub(super) clock_unix_ms: Option<i64>,
    /// Ids of all channels in our application; nothing when it was not asked, or when no socket has registered it.
    pub(super) in_app: Option<ChannelIds>,
    /// What the probe channel read, or why it could not.
    pub(super) load: Result<Figures, String>,
    /// What is to be remembered for the next reading.
    pub(super) probe: Probe,
    /// The channel of the panel, and what the node says of its RTP; nothing when it has no statistics of it.
    pub(super) rtp: Option<(String, Option<Box<RtpStatistics>>)>,
    /// How the audio of the node's calls is; the monitor's panel says it.
    pub(super) audio: Option<Audio>,
}

/// What is asked beyond the node's health.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// Ask which channels are in our application.
    pub(super) application: bool,
    /// Read the load with this memory; only where the application is registered.
    pub(super) probe: Option<Probe>,
    /// Ask for the RTP statistics of this channel.
    pub(super) rtp: Option<String>,
}

/// A check that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// In words for the operator.
    pub(super) reason: String,
    /// Whether trying again will not help by itself: nothing listens there, the password is refused, it is no ARI.
    pub(super) definite: bool,
}

impl Trouble {
    pub(super) fn of(check: &str, error: &AriError) -> Self {
        match error.connect_failure() {
            Some(failure) => Self::named(check, &failure),
            None => Self { reason: format!("{check}: {error}"), definite: false },
        }
    }

    /// What is wrong with the node as a whole is said in the same words whichever check met it.
    fn named(check: &str, failure: &ConnectFailure) -> Self {
        let definite = is_definite(failure);
        let whole = definite && !matches!(failure, ConnectFailure::Garbage(_));
        Self { reason: if whole { failure.to_string() } else { format!("{check}: {failure}") }, definite }
    }
}

impl From<&ConnectFailure> for Trouble {
    fn from(failure: &ConnectFailure) -> Self {
        Self::named("event socket", failure)
    }
}

fn is_definite(failure: &ConnectFailure) -> bool {
    matches!(
        failure,
        ConnectFailure::ConnectionRefused
            | ConnectFailure::Unresolvable(_)
            | ConnectFailure::Tls(_)
            | ConnectFailure::NotAri(_)
            | ConnectFailure::PasswordRefused
            | ConnectFailure::Forbidden(_)
            | ConnectFailure::Garbage(_)
    )
}

/// Asks all that is asked each time. `ari` has the deadline of a check.
pub(super) async fn round(
    ari: &AriClient,
    mark: PollMark,
    probe_context: &str,
    Questions { application, probe, rtp }: Questions,
) -> Result<Reading, Trouble> {
    let asked = Instant::now();
    let ping = ari.asterisk().ping().await.map_err(|error| Trouble::of("ping", &error))?;
    let round_trip = asked.elapsed();
    let clock_unix_ms = ping.timestamp.unix_ms();
    let in_app = if application { in_application(ari).await? } else { None };
    let (load, memory) = match probe {
        Some(mut memory) => (probe::read(ari, probe_context, &mut memory).await, memory),
        None => (Err("no event socket".to_owned()), Probe::default()),
    };
    // What was read through the probe's channel was read through the channels container: it is free.
    if load.is_err() {
        channels_are_free(ari).await?;
    }
    let rtp = match rtp {
        // A channel that has just gone, or that has no RTP, is no trouble of the node.
        Some(channel) => {
            let said = ari.channels().rtp_statistics(&channel).await.ok().map(Box::new);
            Some((channel, said))
        }
        None => None,
    };
    Ok(Reading { mark, round_trip, clock_unix_ms, in_app, load, probe: memory, rtp, audio: None })
}

async fn in_application(ari: &AriClient) -> Result<Option<ChannelIds>, Trouble> {
    match ari.applications().channel_ids(ari.target().app()).await {
        Ok(ids) => Ok(Some(ids)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(Trouble::of("application", &error)),
    }
}

/// The look-up of a channel that does not exist: comes back at once unless the channels container is deadlocked.
async fn channels_are_free(ari: &AriClient) -> Result<(), Trouble> {
    match ari.channels().get(&format!("{PROBE_PREFIX}absent")).await {
        Ok(_) => {
            let reason = "channels: the node knows a channel that does not exist".to_owned();
            Err(Trouble { reason, definite: true })
        }
        Err(error) if error.is_gone() => Ok(()),
        Err(error) => Err(Trouble::of("channels", &error)),
    }
}
