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
/// How often the host's load average is read: it moves over a minute.
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
#[derive(Debug, Clone, Default)]
pub(super) struct Probe {
    cpu: Cpu,
    average: Option<(Instant, Option<f32>)>,
}

/// Reads the load; makes the probe if it is not there.
pub(super) async fn read(ari: &AriClient, context: &str, probe: &mut Probe) -> Result<Figures, String> {
    let calls = match variable(ari, "SYSINFO(numcalls)").await {
        Err(error) if error.is_gone() => {
            create(ari, context).await.map_err(|error| error.to_string())?;
            variable(ari, "SYSINFO(numcalls)").await
        }
        other => other,
    };
    let calls = calls.map_err(|error| error.to_string())?;
    let calls = calls.trim().parse().map_err(|_| format!("SYSINFO(numcalls) is no number: {calls:?}"))?;
    let load_average = match probe.average {
        Some((read, average)) if read.elapsed() < AVERAGE_EVERY => average,
        _ => {
            // A host without a load average (or a node that refuses to tell it) is no worse for that.
            let text = variable(ari, "SYSINFO(loadavg)").await.ok();
            let average = text.and_then(|text| text.trim().parse().ok()).filter(|load: &f32| load.is_finite());
            probe.average = Some((Instant::now(), average));
            average
        }
    };
    Ok(Figures { calls, load_average, cpu: probe.cpu.read(ari).await })
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
