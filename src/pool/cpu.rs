//! How much of its CPU a node's Asterisk uses, from the node's own `/proc` and cgroup files.
//!
//! They are read through `CURL()` with a `file:` address. Dialplan's `FILE()` would be plainer, but Asterisk evaluates it
//! over ARI only where it is told to live dangerously. What counts is how near the process is to what it may have: its
//! time is divided by the processors it may run on, or by its cgroup's quota where that is less. A node in a container
//! of a third of a processor is full at a third. What slows a node without its kernel's knowledge (a host that gives it
//! less than it says) does not show here; it shows in its set-up times.

use std::time::Duration;

use tokio::time::Instant;

use super::probe::variable;
use crate::ari::AriClient;

/// The kernel's clock ticks a second, as `/proc` counts CPU time on every Linux that Asterisk runs on (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;
/// Readings closer together than this say little: a tick is 10 ms.
const LEAST_SPAN: Duration = Duration::from_millis(200);
/// How often the quota is read again, which an operator may change at any time.
const QUOTA_EVERY: Duration = Duration::from_secs(30);
/// Where the node's kernel shows cgroups: the one hierarchy of version 2, and version 1's for CPU.
const UNIFIED: &str = "/sys/fs/cgroup";
const LEGACY: &str = "/sys/fs/cgroup/cpu";

/// How a node's CPU is read, and the last reading.
#[derive(Debug, Default)]
pub(super) enum Cpu {
    #[default]
    Untried,
    /// The node has no `CURL()`, or no `/proc`: asking each second would only fill its log.
    Absent,
    Known(Known),
}

/// A node that can be read.
#[derive(Debug)]
pub(super) struct Known {
    /// Processors that it may run on.
    processors: u32,
    /// Where its cgroup's quota is read; `None` where none is to be found.
    quota: Option<Quota>,
    /// Processors' worth of time that it may use, and when that was read.
    limit: f64,
    limit_read: Instant,
    last: Option<(Instant, u64)>,
}

/// The files of a cgroup's quota.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Quota {
    /// Version 2: `cpu.max` in this directory.
    Unified(String),
    /// Version 1: `cpu.cfs_quota_us` and `cpu.cfs_period_us` in this directory.
    Legacy(String),
}

impl Cpu {
    /// Whether the node was found unable to tell.
    pub(super) const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The share of the CPU it may use that this Asterisk used since the last reading, 0 to 1. `stat` is its
    /// `/proc/self/stat` where that was read already.
    pub(super) async fn read(&mut self, ari: &AriClient, stat: Option<&str>) -> Option<f32> {
        if matches!(self, Self::Untried) {
            *self = match Known::find(ari).await {
                Some(known) => Self::Known(known),
                None => Self::Absent,
            };
        }
        let Self::Known(known) = self else { return None };
        let ticks = match stat {
            Some(stat) => ticks(stat),
            None => file(ari, "/proc/self/stat").await.and_then(|text| ticks(&text)),
        };
        let Some(ticks) = ticks else {
            *self = Self::Absent;
            return None;
        };
        let now = Instant::now();
        if now - known.limit_read >= QUOTA_EVERY {
            known.read_limit(ari).await;
        }
        known.share(ticks, now)
    }
}

impl Known {
    async fn find(ari: &AriClient) -> Option<Self> {
        let processors = processors(&file(ari, "/proc/self/status").await?)?;
        let mut known =
            Self { processors, quota: None, limit: f64::from(processors), limit_read: Instant::now(), last: None };
        let groups = file(ari, "/proc/self/cgroup").await.unwrap_or_default();
        for place in quota_places(&groups) {
            known.quota = Some(place);
            if known.read_limit(ari).await {
                return Some(known);
            }
        }
        known.quota = None;
        Some(known)
    }

    /// Reads the quota. Whether it is there; without, the limit stays as it was.
    async fn read_limit(&mut self, ari: &AriClient) -> bool {
        self.limit_read = Instant::now();
        let quota = match &self.quota {
            None => return false,
            Some(Quota::Unified(directory)) => {
                file(ari, &format!("{directory}/cpu.max")).await.and_then(|text| quota(&text))
            }
            Some(Quota::Legacy(directory)) => match file(ari, &format!("{directory}/cpu.cfs_quota_us")).await {
                Some(quota_us) => {
                    let period = file(ari, &format!("{directory}/cpu.cfs_period_us")).await.unwrap_or_default();
                    quota(&format!("{quota_us} {period}"))
                }
                None => None,
            },
        };
        let Some(quota) = quota else { return false };
        self.limit = f64::from(self.processors).min(quota);
        true
    }

    fn share(&mut self, ticks: u64, now: Instant) -> Option<f32> {
        let Some((then, before)) = self.last.filter(|(then, _)| now - *then >= LEAST_SPAN) else {
            self.last.get_or_insert((now, ticks));
            return None;
        };
        self.last = Some((now, ticks));
        // A process that started anew counts from zero again.
        let used = ticks.checked_sub(before)? as f64 / TICKS_PER_SECOND;
        Some((used / ((now - then).as_secs_f64() * self.limit)).min(1.0) as f32)
    }
}

/// A file of the node's own; nothing when it cannot be read or is empty.
async fn file(ari: &AriClient, path: &str) -> Option<String> {
    let text = variable(ari, &format!("CURL(file://{path})")).await.ok()?;
    (!text.trim().is_empty()).then_some(text)
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

/// Where the quota may be, by the process's `/proc/<pid>/cgroup` (cgroups(7)), the likeliest first. Inside a container the
/// path may be the host's, and the container's own group is then at the root of what it sees.
fn quota_places(groups: &str) -> Vec<Quota> {
    let path_of = |wanted: fn(&str) -> bool| {
        groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            (wanted(controllers) && is_plain(path)).then_some(path.trim_end_matches('/'))
        })
    };
    let with_root = |path: &str, root: &str, make: fn(String) -> Quota| {
        let root = root.to_owned();
        if path.is_empty() { vec![make(root)] } else { vec![make(format!("{root}{path}")), make(root)] }
    };
    if let Some(path) = path_of(|controllers| controllers.split(',').any(|one| one == "cpu")) {
        return with_root(path, LEGACY, Quota::Legacy);
    }
    path_of(str::is_empty).map_or_else(Vec::new, |path| with_root(path, UNIFIED, Quota::Unified))
}

/// Whether a path can stand inside a dialplan function. It comes from the node, and goes to no other.
fn is_plain(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.@:\\".contains(&byte);
    path.len() <= 512 && path.starts_with('/') && path.bytes().all(plain) && !path.contains("/..")
}

/// Processors' worth of time in a quota and its period, both in microseconds; infinite for none: `max` or -1.
fn quota(text: &str) -> Option<f64> {
    let mut words = text.split_ascii_whitespace();
    let (quota, period) = (words.next()?, words.next()?.parse::<f64>().ok()?);
    let quota = match quota {
        "max" | "-1" => return Some(f64::INFINITY),
        quota => quota.parse::<f64>().ok()?,
    };
    (quota >= 1.0 && period >= 1.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Known, Quota, processors, quota, quota_places, ticks};

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

    #[test]
    fn the_quota_is_where_the_cgroup_is() {
        let unified = |path: &str| Quota::Unified(path.to_owned());
        let legacy = |path: &str| Quota::Legacy(path.to_owned());
        let service = "0::/system.slice/asterisk.service\n";
        let expected = ["/sys/fs/cgroup/system.slice/asterisk.service", "/sys/fs/cgroup"].map(unified);
        assert_eq!(quota_places(service), expected);
        assert_eq!(quota_places("0::/\n"), [unified("/sys/fs/cgroup")]);
        let old = "9:name=systemd:/x\n3:cpuset:/\n2:cpu,cpuacct:/docker/4f\n0::/\n";
        assert_eq!(quota_places(old), ["/sys/fs/cgroup/cpu/docker/4f", "/sys/fs/cgroup/cpu"].map(legacy));
        for hostile in
            ["", "0:", "0::/a)b", "0::/a,b", "0::/../../etc", "0::relative", &format!("0::/{}", "a".repeat(600))]
        {
            assert_eq!(quota_places(hostile), [], "{hostile}");
        }
    }

    #[test]
    fn a_quota_is_a_number_of_processors() {
        assert_eq!(quota("30000 100000\n"), Some(0.3));
        assert_eq!(quota("max 100000\n"), Some(f64::INFINITY));
        assert_eq!(quota("-1 100000"), Some(f64::INFINITY));
        for nonsense in ["", "max", "0 100000", "30000 0", "NaN 1", "x y"] {
            assert_eq!(quota(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_node_that_uses_all_of_its_quota_is_full() {
        let mut now = Instant::now();
        let mut known = Known { processors: 4, quota: None, limit: 0.3, limit_read: now, last: None };
        assert_eq!(known.share(1_000, now), None, "one reading is none");
        now += Duration::from_secs(2);
        assert_eq!(known.share(1_060, now), Some(1.0));
        now += Duration::from_secs(2);
        assert_eq!(known.share(1_075, now), Some(0.25));
        assert_eq!(known.share(1_080, now + Duration::from_millis(100)), None, "too soon");
        now += Duration::from_secs(2);
        assert_eq!(known.share(3, now), None, "another process");
        now += Duration::from_secs(2);
        assert_eq!(known.share(33, now), Some(0.5));
    }
}
