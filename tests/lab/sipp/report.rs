//! What became of each call, from SIPp's log of messages.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

/// One call, as its caller saw it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlacedCall {
    /// SIP Call-ID.
    pub call_id: String,
    /// When the first INVITE left, in seconds since the epoch.
    pub placed_at: f64,
    /// Final status of the (last) INVITE; `None` while there is none.
    pub code: Option<u16>,
    /// From the first INVITE to that status.
    pub setup: Option<Duration>,
    /// The node that answered: the address in the Contact of the 200.
    pub answered_by: Option<Ipv4Addr>,
}

/// All calls of one run of SIPp, in the order in which they were placed.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The calls.
    pub calls: Vec<PlacedCall>,
    /// Whether every call went as its scenario says, to the end; `None` while SIPp runs.
    pub all_as_planned: Option<bool>,
    /// What SIPp complained of.
    pub errors: String,
}

impl Report {
    pub(super) fn read(directory: &Path) -> Self {
        // A file that SIPp has not begun yet is an empty one.
        let text = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();
        let mut report = parse(&text("messages.csv"), &text("answers.log"));
        report.all_as_planned = match text("exit").trim() {
            "" => None,
            code => Some(code == "0"),
        };
        report.errors = text("stderr.log") + &text("errors.log");
        report
    }

    /// Calls answered with 200.
    pub fn answered(&self) -> usize {
        self.calls.iter().filter(|call| call.code == Some(200)).count()
    }

    /// Calls that got another final status, or none.
    pub fn failed(&self) -> usize {
        self.calls.len() - self.answered()
    }

    /// How many calls ended with which final status; 0 stands for none at all.
    pub fn codes(&self) -> BTreeMap<u16, usize> {
        self.calls.iter().fold(BTreeMap::new(), |mut codes, call| {
            *codes.entry(call.code.unwrap_or(0)).or_default() += 1;
            codes
        })
    }

    /// How many calls each node answered.
    pub fn by_node(&self) -> BTreeMap<Ipv4Addr, usize> {
        self.calls.iter().filter_map(|call| call.answered_by).fold(BTreeMap::new(), |mut nodes, node| {
            *nodes.entry(node).or_default() += 1;
            nodes
        })
    }

    /// Time from INVITE to answer that `share` (0 to 1) of the answered calls did not exceed.
    pub fn setup_percentile(&self, share: f64) -> Option<Duration> {
        let mut times: Vec<Duration> =
            self.calls.iter().filter(|call| call.code == Some(200)).filter_map(|call| call.setup).collect();
        times.sort_unstable();
        let last = times.len().checked_sub(1)?;
        times.get((last as f64 * share).ceil() as usize).copied()
    }

    /// Fails, with what SIPp said, unless every call was answered and went to its end as planned.
    #[track_caller]
    pub fn assert_all_answered(&self) {
        assert!(
            self.failed() == 0 && self.all_as_planned == Some(true),
            "of {} calls: {:?}\n{}",
            self.calls.len(),
            self.codes(),
            self.errors
        );
    }
}

/// Lines are `date TAB time TAB epoch TAB S|R TAB Call-ID TAB CSeq:N METHOD TAB first line`; SIPp puts date, time and
/// epoch into its timestamp.
fn parse(messages: &str, answers: &str) -> Report {
    let mut calls: Vec<PlacedCall> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for line in messages.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [_, _, epoch, direction, call_id, cseq, first] = fields[..] else { continue };
        let Ok(at) = epoch.parse::<f64>() else { continue };
        if !cseq.ends_with(" INVITE") {
            continue;
        }
        let place = *places.entry(call_id.to_owned()).or_insert_with(|| {
            calls.push(PlacedCall { call_id: call_id.to_owned(), placed_at: at, ..PlacedCall::default() });
            calls.len() - 1
        });
        let call = &mut calls[place];
        let code = first.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
        match (direction, code) {
            // Asked for a password, the caller sends another INVITE: that one's status counts.
            ("S", None) => call.code = None,
            (_, Some(code)) if code >= 200 && call.code.is_none() => {
                call.code = Some(code);
                call.setup = Some(Duration::from_secs_f64((at - call.placed_at).max(0.0)));
            }
            _ => {}
        }
    }
    for line in answers.lines() {
        let mut words = line.split_whitespace().rev();
        if let (Some(node), Some(call_id)) = (words.next(), words.next())
            && let (Ok(node), Some(place)) = (node.parse(), places.get(call_id))
        {
            calls[*place].answered_by = Some(node);
        }
    }
    Report { calls, ..Report::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = "\
d\tt\t100.000000\tS\ta@h\tCSeq:1 INVITE\tINVITE sip:600@example.test SIP/2.0
d\tt\t100.001000\tR\ta@h\tCSeq:1 INVITE\tSIP/2.0 407 Proxy Authentication Required
d\tt\t100.002000\tS\ta@h\tCSeq:1 ACK\tACK sip:600@example.test SIP/2.0
d\tt\t100.003000\tS\ta@h\tCSeq:2 INVITE\tINVITE sip:600@example.test SIP/2.0
d\tt\t100.100000\tR\ta@h\tCSeq:2 INVITE\tSIP/2.0 200 OK
d\tt\t101.000000\tS\tb@h\tCSeq:1 INVITE\tINVITE sip:600@example.test SIP/2.0
d\tt\t101.500000\tR\tb@h\tCSeq:1 INVITE\tSIP/2.0 503 Service Unavailable
d\tt\t102.000000\tS\tc@h\tCSeq:1 INVITE\tINVITE sip:600@example.test SIP/2.0
d\tt\t102.500000\tR\tc@h\tCSeq:1 INVITE\tSIP/2.0 100 Trying
d\tt\t103.000000\tR\ta@h\tCSeq:3 BYE\tSIP/2.0 200 OK";

    #[test]
    fn each_call_gets_the_final_status_of_its_last_invite() {
        let report = parse(MESSAGES, "x a@h 127.100.1.7\n");
        assert_eq!(report.codes(), BTreeMap::from([(0, 1), (200, 1), (503, 1)]));
        assert_eq!(report.by_node(), BTreeMap::from([(Ipv4Addr::new(127, 100, 1, 7), 1)]));
        let setup = report.setup_percentile(0.5).expect("one call was answered");
        assert!((setup.as_secs_f64() - 0.1).abs() < 1e-6, "{setup:?}");
    }

    #[test]
    fn percentiles_are_of_the_answered_calls() {
        let calls = (1..=100)
            .map(|n| PlacedCall { code: Some(200), setup: Some(Duration::from_millis(n)), ..PlacedCall::default() })
            .collect();
        let report = Report { calls, ..Report::default() };
        assert_eq!(report.setup_percentile(0.0), Some(Duration::from_millis(1)));
        assert_eq!(report.setup_percentile(0.99), Some(Duration::from_millis(100)));
        assert_eq!(report.setup_percentile(1.0), Some(Duration::from_millis(100)));
        assert_eq!(Report::default().setup_percentile(0.5), None);
    }
}
