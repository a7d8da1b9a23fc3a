//! Reading a node's load through a channel that never calls anybody.
//!
//! Asterisk evaluates functions such as `SYSINFO` over ARI on channels only. So each node carries one Local channel,
//! created and never dialled: two channels and no call to Asterisk. Its id is always the same: a kamari that starts
//! again finds the one of its predecessor and uses it, and none is ever left behind twice.

use crate::ari::rest::channels::Create;
use crate::ari::{AriClient, AriError};

/// The probe's first half: the one that is asked.
const NEAR: &str = "kamari-probe-near";
/// The probe's second half.
const FAR: &str = "kamari-probe-far";

/// What the probe reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Load {
    /// Calls on the node, whoever placed them (`SYSINFO(numcalls)`): channels that run dialplan, ours among them.
    pub(super) calls: u32,
    /// The host's load average over one minute: an alarm for the operator, too slow to route by.
    pub(super) load_average: Option<f32>,
}

/// Reads the load; makes the probe if it is not there.
pub(super) async fn read(ari: &AriClient, context: &str) -> Result<Load, String> {
    let calls = match variable(ari, "SYSINFO(numcalls)").await {
        Err(error) if error.is_gone() => {
            create(ari, context).await.map_err(|error| error.to_string())?;
            variable(ari, "SYSINFO(numcalls)").await
        }
        other => other,
    };
    let calls = calls.map_err(|error| error.to_string())?;
    let calls = calls.trim().parse().map_err(|_| format!("SYSINFO(numcalls) is no number: {calls:?}"))?;
    // A host without a load average (or a node that refuses to tell it) is no worse for that.
    let average = variable(ari, "SYSINFO(loadavg)").await.ok();
    let load_average = average.and_then(|text| text.trim().parse().ok()).filter(|load: &f32| load.is_finite());
    Ok(Load { calls, load_average })
}

/// Takes the probe away, when the node leaves the pool. A node that is gone has none.
pub(super) async fn remove(ari: &AriClient) {
    match ari.channels().hangup(NEAR, None).await {
        Ok(()) => {}
        Err(error) if error.is_gone() => {}
        Err(error) => tracing::debug!(%error, "the probe channel could not be removed"),
    }
}

async fn variable(ari: &AriClient, name: &str) -> Result<String, AriError> {
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
