//! Reading a node's load through a channel that never calls anybody.
//!
//! Asterisk evaluates functions such as `SYSINFO` over ARI on channels only. So each node carries one Local channel,
//! created and never dialled: two channels and no call to Asterisk. Its id is always the same: a kamari that starts
//! again finds the one of its predecessor and uses it, and none is ever left behind twice.

use std::time::Duration;

use tokio::time::Instant;

use super::cpu::Cpu;
use crate::ari::rest::channels::Create;
use crate::ari::{AriClient, AriError};

/// The probe's first half: the one that is asked.
const NEAR: &str = "kamari-probe-near";
/// The probe's second half.
const FAR: &str = "kamari-probe-far";
/// What is read each time, and how Asterisk is asked for all of it in one request: `EVAL()` puts values where `${}` stands.
/// The text of `/proc` comes last, since a process's name in it may be anything.
const TOGETHER: &str = "EVAL(${SYSINFO(numcalls)}|${SYSINFO(loadavg)}|${CURL(file:///proc/self/stat)})";
/// The same of a node whose CPU cannot be read: to ask each time would fill its log.
const WITHOUT_CPU: &str = "EVAL(${SYSINFO(numcalls)}|${SYSINFO(loadavg)})";
const CALLS: &str = "SYSINFO(numcalls)";
const AVERAGE: &str = "SYSINFO(loadavg)";
/// The host's load average moves over a minute: where it needs a request of its own, it is read this often.
const AVERAGE_EVERY: Duration = Duration::from_secs(10);

/// What the probe reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figures {
    /// Calls on the node, whoever placed them (`SYSINFO(numcalls)`): channels that run dialplan, ours among them.
    pub(super) calls: u32,
    /// The host's load average over one minute: an alarm for the operator, too slow to route by.
    pub(super) load_average: Option<f32>,
    /// The share of the CPU it may use that this Asterisk used since the last reading, 0 to 1.
    pub(super) cpu: Option<f32>,
}

/// What is remembered of one node from reading to reading.
#[derive(Debug, Default)]
pub(super) struct Probe {
    cpu: Cpu,
    way: Way,
}

/// How a node is asked.
#[derive(Debug, Default)]
enum Way {
    /// All in one request.
    #[default]
    Together,
    /// One by one: the node has no `EVAL()`. The load average, and when it was read.
    Apart(Option<(Instant, Option<f32>)>),
}

/// Reads the load; makes the probe if it is not there.
pub(super) async fn read(ari: &AriClient, context: &str, probe: &mut Probe) -> Result<Figures, String> {
    let figures = match attempt(ari, probe).await {
        Err(Failed::Ari(error)) if error.is_gone() => {
            create(ari, context).await.map_err(|error| error.to_string())?;
            attempt(ari, probe).await
        }
        other => other,
    };
    figures.map_err(|failed| match failed {
        Failed::Ari(error) => error.to_string(),
        Failed::Nonsense(found) => format!("SYSINFO(numcalls) is no number: {found:?}"),
    })
}

/// Why nothing was read.
enum Failed {
    Ari(AriError),
    /// What came in the place of the number of calls.
    Nonsense(String),
}

impl From<AriError> for Failed {
    fn from(error: AriError) -> Self {
        Self::Ari(error)
    }
}

async fn attempt(ari: &AriClient, probe: &mut Probe) -> Result<Figures, Failed> {
    if matches!(probe.way, Way::Together) {
        match variable(ari, if probe.cpu.is_absent() { WITHOUT_CPU } else { TOGETHER }).await {
            // Asterisk's answer to a function that it does not have.
            Err(AriError::Status { status: 500, .. }) => probe.way = Way::Apart(None),
            Err(error) => return Err(error.into()),
            Ok(text) => {
                let mut parts = text.splitn(3, '|');
                let mut next = || parts.next().unwrap_or_default();
                let (calls, average, stat) = (count(next())?, load(next()), next());
                return Ok(Figures { calls, load_average: average, cpu: probe.cpu.read(ari, Some(stat)).await });
            }
        }
    }
    let calls = count(&variable(ari, CALLS).await?)?;
    Ok(Figures { calls, load_average: probe.average(ari).await, cpu: probe.cpu.read(ari, None).await })
}

impl Probe {
    /// The load average, by a request of its own now and then.
    async fn average(&mut self, ari: &AriClient) -> Option<f32> {
        let Way::Apart(last) = &mut self.way else { return None };
        match last {
            Some((read, average)) if read.elapsed() < AVERAGE_EVERY => *average,
            _ => {
                // A host without a load average (or a node that refuses to tell it) is no worse for that.
                let average = variable(ari, AVERAGE).await.ok().and_then(|text| load(&text));
                *last = Some((Instant::now(), average));
                average
            }
        }
    }
}

fn count(text: &str) -> Result<u32, Failed> {
    text.trim().parse().map_err(|_| Failed::Nonsense(text.chars().take(80).collect()))
}

fn load(text: &str) -> Option<f32> {
    text.trim().parse().ok().filter(|load: &f32| load.is_finite())
}

/// Takes the probe away, when the node leaves the pool. A node that is gone has none.
pub(super) async fn remove(ari: &AriClient) {
    match ari.channels().hangup(NEAR, None).await {
        Ok(()) => {}
        Err(error) if error.is_gone() => {}
        Err(error) => tracing::debug!(%error, "the probe channel could not be removed"),
    }
}

/// A variable or function of the probe channel, as the node evaluates it.
pub(super) async fn variable(ari: &AriClient, name: &str) -> Result<String, AriError> {
    ari.channels().variable(NEAR, name).await.map(|variable| variable.value)
}

async fn create(ari: &AriClient, context: &str) -> Result<(), AriError> {
    let create = Create {
        endpoint: format!("Local/probe@{context}"),
        app: ari.target().app().to_owned(),
        channel_id: Some(NEAR.to_owned()),
        other_channel_id: Some(FAR.to_owned()),
        ..Create::default()
    };
    match ari.channels().create(&create).await {
        // 409: an earlier request, whose answer was lost, was first.
        Ok(_) | Err(AriError::Status { status: 409, .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
