//! How the audio of one node's calls is: a few of them, the panel, asked one a round how many packets they lost. Pure.
//!
//! A caller may sit behind a bad line, and may report losses that he never had; a node in trouble spoils all its calls.
//! So the node's figure is the median over calls, and fewer than three calls make none. The cost is one small request every
//! other second, however many calls there are. Asterisk counts lost packets when it sends its own RTCP report, every five
//! seconds, so a call is heard over at least ten.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::calls::Calls;
use crate::ari::model::RtpStatistics;

/// Calls that are followed at a time.
const SEATS: usize = 5;
/// How often a followed call is asked. Within [`LEAST`] it has nothing to say.
const EVERY: Duration = LEAST;
/// How long a call must have been followed before it says anything, and how long it is followed at most.
const LEAST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(30);
/// Packets in that time below which it says nothing: a caller who is muted, on hold, or gone.
const LEAST_PACKETS: i64 = 250;
/// How long what a call said is remembered, and how many calls are.
const MEMORY: Duration = Duration::from_mins(1);
const REMEMBERED: usize = 16;
/// Fewer calls than this say nothing of the node.
const QUORUM: usize = 3;

/// The audio of a node's calls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Audio {
    /// The share of packets that were lost, the worse of the two directions, 0 to 1.
    pub(super) loss: f32,
    /// Jitter of the packets that the node received, in milliseconds.
    pub(super) jitter_ms: f32,
}

/// Packets of one call since it began.
#[derive(Debug, Clone, Copy)]
struct Counts {
    received: i64,
    received_lost: i64,
    sent: i64,
    sent_lost: i64,
}

/// A call that is followed.
#[derive(Debug)]
struct Seat {
    channel: String,
    asked: Instant,
    first: Option<(Instant, Counts)>,
}

/// The panel of one node.
#[derive(Debug, Default)]
pub(super) struct Panel {
    seats: Vec<Seat>,
    /// What calls said, the latest last, one entry a call.
    said: VecDeque<(String, Instant, Audio)>,
}

impl Panel {
    /// The channel to ask in this round, if there is any.
    pub(super) fn next(&mut self, calls: &Calls, now: Instant, rng: &mut impl rand::Rng) -> Option<String> {
        self.seats.retain(|seat| calls.knows(&seat.channel));
        // Those who have a seat come first: calls that say nothing come and go, and must not keep the others waiting.
        let is_free = self.seats.len() < SEATS && self.seats.iter().all(|seat| now - seat.asked < EVERY);
        let is_new = |id: &str| !self.seats.iter().any(|seat| seat.channel == id);
        if is_free && let Some(channel) = calls.any(is_new, rng).map(str::to_owned) {
            self.seats.push(Seat { channel: channel.clone(), asked: now, first: None });
            return Some(channel);
        }
        let seat = self.seats.iter_mut().filter(|seat| now - seat.asked >= EVERY).min_by_key(|seat| seat.asked)?;
        seat.asked = now;
        Some(seat.channel.clone())
    }

    /// What the node said of a channel; `None` when it has no statistics of it.
    pub(super) fn heard(&mut self, channel: &str, statistics: Option<&RtpStatistics>, now: Instant) {
        let Some(at) = self.seats.iter().position(|seat| seat.channel == channel) else { return };
        let Some(statistics) = statistics else {
            self.seats.swap_remove(at);
            return;
        };
        let counts = Counts::of(statistics);
        let Some((since, first)) = self.seats[at].first else {
            self.seats[at].first = Some((now, counts));
            return;
        };
        let span = now - since;
        if span >= LEAST
            && let Some(loss) = counts.loss_since(first)
        {
            let jitter_ms = statistics.txjitter.filter(|jitter| jitter.is_finite()).unwrap_or(0.0) * 1_000.0;
            self.said.retain(|(known, ..)| known != channel);
            self.said.push_back((
                channel.to_owned(),
                now,
                Audio { loss, jitter_ms: jitter_ms.clamp(0.0, 10_000.0) as f32 },
            ));
            if self.said.len() > REMEMBERED {
                self.said.pop_front();
            }
        }
        if span >= LONGEST {
            self.seats.swap_remove(at);
        }
    }

    /// How the node's calls are, by what they said of late.
    pub(super) fn audio(&mut self, now: Instant) -> Option<Audio> {
        self.said.retain(|(_, at, _)| now - *at <= MEMORY);
        if self.said.len() < QUORUM {
            return None;
        }
        let median = |of: fn(&Audio) -> f32| {
            let mut values: Vec<f32> = self.said.iter().map(|(.., audio)| of(audio)).collect();
            values.sort_by(f32::total_cmp);
            // Of an even number the lower one: in doubt the node is not to blame.
            values[(values.len() - 1) / 2]
        };
        Some(Audio { loss: median(|audio| audio.loss), jitter_ms: median(|audio| audio.jitter_ms) })
    }
}

impl Counts {
    /// Asterisk says of what it receives: `rxcount`, `rxploss` and, oddly, `txjitter`. What it sent is judged by the other
    /// side's reports.
    fn of(statistics: &RtpStatistics) -> Self {
        Self {
            received: statistics.rxcount,
            received_lost: statistics.rxploss,
            sent: statistics.txcount,
            sent_lost: statistics.txploss,
        }
    }

    /// The share lost since `before`, if enough came to tell. Whatever the node says, it is 0 to 1.
    fn loss_since(self, before: Self) -> Option<f32> {
        let received = self.received.saturating_sub(before.received);
        let received_lost = self.received_lost.saturating_sub(before.received_lost).max(0);
        let expected = received.saturating_add(received_lost);
        if expected < LEAST_PACKETS {
            return None;
        }
        let sent = self.sent.saturating_sub(before.sent).max(LEAST_PACKETS);
        let sent_lost = self.sent_lost.saturating_sub(before.sent_lost).max(0);
        let share = |lost: i64, of: i64| (lost as f64 / of as f64).clamp(0.0, 1.0) as f32;
        Some(share(received_lost, expected).max(share(sent_lost, sent)))
    }
}

#[cfg(test)]
#[path = "panel/tests.rs"]
mod tests;
