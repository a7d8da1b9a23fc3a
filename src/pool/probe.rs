//! Reading a node's load through a channel that never calls anybody.
//!
//! Asterisk evaluates functions such as `SYSINFO` over ARI on channels only. So each node carries one Local channel,
//! created and never dialled: two channels and no call to Asterisk. Its id is always the same: a kamari that starts
//! again finds the one of its predecessor and uses it, and none is ever left behind twice.

use std::time::Duration;

use tokio::time::Instant;

use crate::ari::rest::channels::Create;
use crate::ari::{AriClient, AriError};

/// The probe's first half: the one that is asked.
const NEAR: &str = "kamari-probe-near";
/// The probe's second half.
const FAR: &str = "kamari-probe-far";
/// The kernel's clock ticks a second, as `/proc` counts CPU time on every Linux that Asterisk runs on (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;
/// Readings closer together than this say little: a tick is 10 ms.
const LEAST_SPAN: Duration = Duration::from_millis(200);

/// What the probe reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figures {
    /// Calls on the node, whoever placed them (`SYSINFO(numcalls)`): channels that run dialplan, ours among them.
    pub(super) calls: u32,
    /// The host's load average over one minute: an alarm for the operator, too slow to route by.
    pub(super) load_average: Option<f32>,
    /// The share of the processors it may run on that this Asterisk used since the last reading, 0 to 1.
    pub(super) cpu: Option<f32>,
}

/// What is remembered of one node from reading to reading.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Probe {
    cpu: Cpu,
}

/// How a node's CPU is read: from its own `/proc`, through `CURL()` with a `file:` address. Dialplan's `FILE()` would be
/// plainer, but Asterisk evaluates it over ARI only where it is told to live dangerously.
#[derive(Debug, Clone, Copy, Default)]
enum Cpu {
    #[default]
    Untried,
    /// The node has no `CURL()`, or no `/proc`: asking each second would only fill its log.
    Absent,
    Known {
        processors: u32,
        last: Option<(Instant, u64)>,
    },
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
    // A host without a load average (or a node that refuses to tell it) is no worse for that.
    let average = variable(ari, "SYSINFO(loadavg)").await.ok();
    let load_average = average.and_then(|text| text.trim().parse().ok()).filter(|load: &f32| load.is_finite());
    Ok(Figures { calls, load_average, cpu: probe.cpu.read(ari).await })
}

impl Cpu {
    async fn read(&mut self, ari: &AriClient) -> Option<f32> {
        if matches!(self, Self::Untried) {
            let status = variable(ari, "CURL(file:///proc/self/status)").await;
            *self = match status.ok().and_then(|text| processors(&text)) {
                Some(processors) => Self::Known { processors, last: None },
                None => Self::Absent,
            };
        }
        let Self::Known { processors, last } = self else { return None };
        let Some(ticks) = variable(ari, "CURL(file:///proc/self/stat)").await.ok().and_then(|text| ticks(&text)) else {
            *self = Self::Absent;
            return None;
        };
        let now = Instant::now();
        let Some((then, before)) = last.filter(|(then, _)| now - *then >= LEAST_SPAN) else {
            last.get_or_insert((now, ticks));
            return None;
        };
        *last = Some((now, ticks));
        // A process that started anew counts from zero again.
        let used = ticks.checked_sub(before)? as f64 / TICKS_PER_SECOND;
        Some((used / ((now - then).as_secs_f64() * f64::from(*processors))).min(1.0) as f32)
    }
}

/// How many processors the process may run on, by its `/proc/<pid>/status`: a list such as `0-3,6`.
fn processors(status: &str) -> Option<u32> {
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let count = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        last.parse::<u32>().ok()?.checked_add(1)?.checked_sub(first.parse().ok()?)
    };
    allowed.trim().split(',').map(count).sum::<Option<u32>>().filter(|sum| *sum > 0)
}

/// User and system time of the process whose `/proc/<pid>/stat` this is, in ticks: fields 14 and 15 of proc(5), counted
/// from behind the name, which may hold blanks and parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<u64>().ok()?, fields.next()?.parse::<u64>().ok()?);
    user.checked_add(system)
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

#[cfg(test)]
mod tests {
    use super::{processors, ticks};

    #[test]
    fn processors_are_counted_from_the_kernels_list() {
        let status = |list: &str| format!("Name:\tasterisk\nCpus_allowed:\t3\nCpus_allowed_list:\t{list}\nx:\t1\n");
        for (list, count) in [("0", 1), ("0-1", 2), ("0-3,6,8-9", 7)] {
            assert_eq!(processors(&status(list)), Some(count), "{list}");
        }
        for nonsense in ["", "x", "3-1", "0-", "0-4294967295"] {
            assert_eq!(processors(&status(nonsense)), None, "{nonsense}");
        }
        assert_eq!(processors("0-1"), None);
    }

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "39 (aster) isk) S 1 39 39 0 -1 4194560 12210 0 66 0 49 25 0 0 20 0 42 0 380876";
        assert_eq!(ticks(stat), Some(74));
        for nonsense in ["", "39 (asterisk) S 1 39", "39 asterisk S 1 39 39 0 -1 4194560 12210 0 66 0 49 25"] {
            assert_eq!(ticks(nonsense), None);
        }
    }
}
