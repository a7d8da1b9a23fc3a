//! Times as people read them.

use std::time::SystemTime;

/// The time since `unix_ms` (milliseconds of Unix time) by this machine's clock, as `h:mm:ss`.
pub(super) fn since(unix_ms: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    hours(now.saturating_sub(unix_ms) / 1000)
}

/// Seconds as `h:mm:ss`.
pub(super) fn hours(seconds: u64) -> String {
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    #[test]
    fn hours_minutes_seconds() {
        assert_eq!(super::hours(3_725), "1:02:05");
        assert_eq!(super::since(u64::MAX), "0:00:00", "a clock behind is no panic");
    }
}
