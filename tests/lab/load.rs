//! Many calls a second by SIPp, of which only the counts are kept; and SIP endpoints that answer as many.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{DOMAIN, Lab, wait_until};

/// The client address of the caller: there is one load at a time.
const CALLER: u8 = 250;

/// A call whose INVITE and then BYE are lost takes 64 s (RFC 3261's timers B and F).
const LONGEST_CALL: Duration = Duration::from_secs(65);

/// What became of a run of calls.
#[derive(Clone, Debug)]
pub struct Counts {
    /// Calls that were placed.
    pub placed: u32,
    /// Calls that went as they should: answered, held, ended.
    pub good: u32,
    /// Requests of the caller that had to be sent again, or were given up.
    pub sent_again: u32,
    /// New calls a second that were really placed, until the last tenth of a second in which some were.
    pub rate: f64,
    /// CPU time of Kamailio's processes during the run.
    pub kamailio: Duration,
    /// From INVITE to 200, in milliseconds, of each call that was answered.
    pub setup_ms: Vec<f64>,
}

impl Counts {
    /// Whether nothing was lost: every call was good, and next to nothing (one request in 1,000 calls) had to be said twice.
    pub fn is_loss_free(&self) -> bool {
        self.good == self.placed && self.sent_again <= self.placed / 1_000
    }
}

impl Lab {
    /// A SIP endpoint in the place of node `n`, that answers all calls until the lab ends. No Asterisk, no media.
    pub fn answerer(&self, n: u8) {
        let address = self.node_address(n).to_string();
        let target = format!("{}:5060", self.core());
        self.script.run(&["load", &format!("answerer{n}"), "answer", &target, "-i", &address, "-p", "5060"]);
    }

    /// Places calls to `user` through Kamailio's edge, so many a second for so long, each held for 100 ms, and returns when all
    /// have ended.
    pub fn load(&self, user: &str, rate: u32, time: Duration) -> Counts {
        let from = self.client_address(CALLER);
        let before = self.cpu("kamailio");
        let directory = self.begin_load(user, rate, time, from);
        let limit = time + 2 * LONGEST_CALL;
        wait_until("the load to end", limit, || directory.join("exit").exists());
        let kamailio = self.cpu("kamailio").saturating_sub(before);
        read(&directory, kamailio)
    }

    /// CPU time that the processes of a part of the lab have used.
    pub fn cpu(&self, name: &str) -> Duration {
        let printed = self.script.run(&["cpu", name]);
        Duration::from_nanos(printed.trim().parse().expect("nanoseconds"))
    }

    fn begin_load(&self, user: &str, rate: u32, time: Duration, from: Ipv4Addr) -> PathBuf {
        let name = "load";
        let target = format!("{}:5060", self.edge());
        let calls = (f64::from(rate) * time.as_secs_f64()) as u32;
        // In an overload SIPp may keep a call that nothing comes of any more: it gives up then, and the call was not good.
        let at_most = (time + LONGEST_CALL).as_secs();
        let options = format!(
            "-i {from} -p 5060 -s {user} -key domain {DOMAIN} -r {rate} -m {calls} -l {} -d 100 -timeout {at_most}",
            rate * 60 // never held back by calls that hang
        );
        let mut arguments = vec!["load", name, "load-call", &target];
        arguments.extend(options.split(' '));
        self.script.run(&arguments);
        self.directory().join(name)
    }
}

/// SIPp's counts: their last line, and how fast they grew.
fn read(directory: &Path, kamailio: Duration) -> Counts {
    let text = std::fs::read_to_string(directory.join("counts.csv")).expect("SIPp writes its counts");
    let mut lines = text.lines().map(|line| line.split(';').collect::<Vec<_>>());
    let names = lines.next().expect("a heading");
    let column =
        |name: &str| names.iter().position(|found| *found == name).unwrap_or_else(|| panic!("SIPp counts no {name}"));
    let lines: Vec<Vec<&str>> = lines.collect();
    let last = lines.last().expect("a line of counts");
    let count = |line: &[&str], name: &str| {
        let text = line[column(name)];
        text.parse::<u32>().unwrap_or_else(|_| panic!("{name}: {text}"))
    };
    let placed = count(last, "TotalCallCreated");
    // Not over the whole time: that has the last calls' ends in it, and a single BYE that is said again half a second later.
    let placing = lines.iter().rfind(|line| count(line, "TotalCallCreated") < placed).unwrap_or(last);
    let seconds = seconds(placing[column("CurrentTime")]) - seconds(placing[column("StartTime")]);
    Counts {
        placed,
        good: count(last, "SuccessfulCall(C)"),
        sent_again: count(last, "Retransmissions(C)"),
        rate: f64::from(count(placing, "TotalCallCreated")) / seconds,
        kamailio,
        setup_ms: setup_times(directory),
    }
}

/// SIPp's times: date, time of day and seconds of Unix time, with tabs between them.
fn seconds(time: &str) -> f64 {
    time.rsplit('\t').next().and_then(|seconds| seconds.parse().ok()).unwrap_or_else(|| panic!("no time: {time}"))
}

/// What SIPp noted as it went: a heading, then time, duration in milliseconds, number of the stopwatch.
fn setup_times(directory: &Path) -> Vec<f64> {
    let files = std::fs::read_dir(directory).expect("SIPp's directory").filter_map(Result::ok);
    let is_times = |name: &OsStr| name.to_string_lossy().ends_with("_rtt.csv");
    let Some(file) = files.map(|entry| entry.path()).find(|path| path.file_name().is_some_and(is_times)) else {
        return Vec::new(); // no call was answered
    };
    let text = std::fs::read_to_string(file).expect("SIPp's times");
    text.lines().skip(1).filter_map(|line| line.split(';').nth(1)?.parse().ok()).collect()
}
