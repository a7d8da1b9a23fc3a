//! Which of a node's channels are ours, by its events, and whether a poll tells another story. Pure.

use std::collections::{HashMap, HashSet};

use rand::Rng;
use rand::seq::IteratorRandom;

use super::link::Role;
use crate::ari::model::Channel;

/// The Call-ID under which a caller's channel may have been promised; legs and callers without one have none.
pub(super) type Promised = Option<String>;

/// So many polls in a row, a second apart, must miss the same event. A node without CPU time was seen to say what it did more
/// than a second later; reading its whole state anew, for what it was about to say, only adds to its load.
const DOUBTS: u8 = 3;

/// The channels in our application on one node.
#[derive(Debug, Default)]
pub(super) struct Calls {
    known: HashMap<String, Known>,
    /// What the last poll said differently, and how many polls in a row have.
    doubtful: HashMap<String, u8>,
    /// How many polls were compared.
    polls: u32,
}

/// A channel.
#[derive(Debug)]
struct Known {
    role: Role,
    promised: Promised,
    /// The last poll that named it.
    polled: u32,
}

/// What a poll says of what was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agreement {
    /// The same.
    Same,
    /// A channel that only one of them knows: its event may be on its way. Another poll tells.
    Doubtful,
    /// The same channel was in doubt [`DOUBTS`] times in a row: an event was missed.
    Contradicted,
}

/// What changed when the whole was read anew.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) started: Vec<Promised>,
    pub(super) ended: Vec<Promised>,
}

impl Calls {
    /// How many there are, helpers included.
    pub(super) fn channels(&self) -> usize {
        self.known.len()
    }

    /// How many load the node.
    pub(super) fn count(&self) -> u32 {
        self.known.values().filter(|known| known.role != Role::Helper).count() as u32
    }

    /// How many of them kamari made itself: Asterisk does not count those as calls.
    pub(super) fn legs(&self) -> u32 {
        self.known.values().filter(|known| known.role == Role::Leg).count() as u32
    }

    /// Whether this channel is in the application.
    pub(super) fn knows(&self, channel_id: &str) -> bool {
        self.known.contains_key(channel_id)
    }

    /// A random one of the channels that carry a call and are `wanted`.
    pub(super) fn any(&self, wanted: impl Fn(&str) -> bool, rng: &mut impl Rng) -> Option<&str> {
        let carries = |(_, known): &(&String, &Known)| known.role != Role::Helper;
        self.known.iter().filter(carries).map(|(id, _)| id.as_str()).filter(|id| wanted(id)).choose(rng)
    }

    /// A channel entered the application. Nothing when it was there already, or loads nothing.
    pub(super) fn enter(&mut self, channel: &Channel) -> Option<Promised> {
        let role = Role::of(&channel.id);
        let promised = if role == Role::Caller { call_id(channel) } else { None };
        if self.known.contains_key(&channel.id) {
            return None;
        }
        self.known.insert(channel.id.clone(), Known { role, promised: promised.clone(), polled: self.polls });
        (role != Role::Helper).then_some(promised)
    }

    /// The Call-ID under which this channel's call may have been promised.
    pub(super) fn promised(&self, channel_id: &str) -> Option<&str> {
        self.known.get(channel_id)?.promised.as_deref()
    }

    /// A channel left the application. Nothing when it was not there, or loaded nothing.
    pub(super) fn leave(&mut self, channel_id: &str) -> Option<Promised> {
        let Known { role, promised, .. } = self.known.remove(channel_id)?;
        (role != Role::Helper).then_some(promised)
    }

    /// These channels, and no others, are in the application.
    pub(super) fn replace(&mut self, channels: &[Channel]) -> Difference {
        let present: HashSet<&str> = channels.iter().map(|channel| channel.id.as_str()).collect();
        let gone: Vec<String> = self.known.keys().filter(|id| !present.contains(id.as_str())).cloned().collect();
        let ended = gone.iter().filter_map(|id| self.leave(id)).collect();
        let started = channels.iter().filter_map(|channel| self.enter(channel)).collect();
        self.doubtful.clear();
        Difference { started, ended }
    }

    /// Compares with the ids that a poll found in the application. Where they agree, which is nearly always, nothing is
    /// allocated.
    pub(super) fn compare<'a>(&mut self, polled: impl Iterator<Item = &'a str> + Clone) -> Agreement {
        self.polls = self.polls.wrapping_add(1);
        let (mut met, mut strangers) = (0, 0);
        for id in polled.clone() {
            match self.known.get_mut(id) {
                // A node may name one twice.
                Some(known) if known.polled == self.polls => {}
                Some(known) => {
                    known.polled = self.polls;
                    met += 1;
                }
                None => strangers += usize::from(Role::of(id) == Role::Caller),
            }
        }
        if strangers == 0 && met == self.known.len() {
            self.doubtful.clear();
            return Agreement::Same;
        }
        let missing = self.known.iter().filter(|(_, known)| known.polled != self.polls).map(|(id, _)| id.clone());
        let is_stranger = |id: &&str| !self.known.contains_key(*id) && Role::of(id) == Role::Caller;
        let doubts = |id: String| {
            let before = self.doubtful.get(&id).copied().unwrap_or_default();
            (id, before + 1)
        };
        let doubtful: HashMap<_, _> =
            missing.chain(polled.filter(is_stranger).map(str::to_owned)).map(doubts).collect();
        if doubtful.values().any(|times| *times >= DOUBTS) {
            self.doubtful.clear();
            return Agreement::Contradicted;
        }
        self.doubtful = doubtful;
        Agreement::Doubtful
    }
}

fn call_id(channel: &Channel) -> Promised {
    channel.protocol_id.clone().filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Agreement, Calls, Difference};
    use crate::ari::model::Channel;

    fn channel(id: &str) -> Channel {
        serde_json::from_value(serde_json::json!({
            "id": id, "protocol_id": format!("call-of-{id}"), "name": "PJSIP/kamailio-0", "state": "Ring",
            "caller": {"name": "", "number": ""}, "connected": {"name": "", "number": ""}, "accountcode": "",
            "dialplan": {"context": "from-kamailio", "exten": "600", "priority": 1, "app_name": "Stasis", "app_data": "EVERYTHING"},
            "creationtime": "2026-11-22T20:00:00.000+0000", "language": "en",
        }))
        .unwrap()
    }

    #[test]
    fn callers_bring_their_call_id_and_helpers_count_for_nothing() {
        let mut calls = Calls::default();
        assert_eq!(calls.enter(&channel("1.1")), Some(Some("call-of-1.1".to_owned())));
        assert_eq!(calls.enter(&channel("1.1")), None, "heard twice");
        assert_eq!(calls.enter(&channel("kamari-leg-0-1")), Some(None));
        assert_eq!(calls.enter(&channel("kamari-probe-1")), None);
        assert_eq!(calls.count(), 2);
        assert_eq!(calls.leave("kamari-probe-1"), None);
        assert_eq!(calls.leave("1.1"), Some(Some("call-of-1.1".to_owned())));
        assert_eq!((calls.leave("1.1"), calls.count()), (None, 1));
    }

    #[test]
    fn a_reading_of_the_whole_says_what_was_missed() {
        let mut calls = Calls::default();
        calls.enter(&channel("1.1"));
        calls.enter(&channel("1.2"));
        let difference = calls.replace(&[channel("1.2"), channel("1.3")]);
        let named = |id: &str| Some(format!("call-of-{id}"));
        assert_eq!(difference, Difference { started: vec![named("1.3")], ended: vec![named("1.1")] });
        assert_eq!(calls.count(), 2);
    }

    #[test]
    fn an_event_may_be_late_for_two_polls() {
        let mut calls = Calls::default();
        calls.enter(&channel("1.1"));
        assert_eq!(calls.compare(["1.1", "kamari-probe-1"].into_iter()), Agreement::Same);
        assert_eq!(calls.compare(["1.1", "1.2"].into_iter()), Agreement::Doubtful, "its StasisStart may be on its way");
        assert_eq!(calls.compare(["1.1", "1.2"].into_iter()), Agreement::Doubtful, "and slow");
        calls.enter(&channel("1.2"));
        assert_eq!(calls.compare(["1.2"].into_iter()), Agreement::Doubtful, "another channel in doubt: 1.1");
        assert_eq!(calls.compare(["1.2"].into_iter()), Agreement::Doubtful);
        assert_eq!(calls.compare(["1.2"].into_iter()), Agreement::Contradicted, "1.1 for the third time");
        calls.replace(&[channel("1.2")]);
        for doubt in [Agreement::Doubtful, Agreement::Doubtful, Agreement::Contradicted] {
            assert_eq!(calls.compare(["1.2", "1.9"].into_iter()), doubt);
        }
        assert_eq!(calls.compare(["1.2", "1.9"].into_iter()), Agreement::Doubtful);
        assert_eq!(calls.compare(["1.2"].into_iter()), Agreement::Same);
        assert_eq!(calls.compare(["1.2", "1.9"].into_iter()), Agreement::Doubtful, "doubt does not outlast agreement");
        assert_eq!(calls.compare(["1.2", "1.9"].into_iter()), Agreement::Doubtful, "doubt does not outlast agreement");
    }

    #[test]
    fn a_channel_named_twice_does_not_stand_for_another() {
        let mut calls = Calls::default();
        calls.enter(&channel("1.1"));
        calls.enter(&channel("1.2"));
        for doubt in [Agreement::Doubtful, Agreement::Doubtful, Agreement::Contradicted] {
            assert_eq!(calls.compare(["1.1", "1.1"].into_iter()), doubt);
        }
    }

    #[test]
    fn a_poll_that_agrees_costs_no_allocation() {
        let mut calls = Calls::default();
        let ids: Vec<String> = (0..100).map(|n| format!("1.{n}")).collect();
        for id in &ids {
            calls.enter(&channel(id));
        }
        let polled: Vec<&str> = ids.iter().map(String::as_str).collect();
        let allocated =
            allocation_counter::measure(|| assert_eq!(calls.compare(polled.iter().copied()), Agreement::Same));
        assert_eq!(allocated.count_total, 0);
    }
}
