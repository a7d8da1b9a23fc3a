//! The `[call]` section of the settings.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// How calls are run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallSettings {
    /// Longest that a call may last, in seconds, 1 to 604800; then it is hung up. No call is without a deadline.
    pub max_duration_s: u64,
    /// Longest that a call may wait for its answer, in seconds, 1 to 3600; then it is ended.
    pub unanswered_s: u64,
    /// How long an app may go on after its caller has gone, in seconds, 1 to 600; then it is cut off.
    pub app_grace_s: u64,
    /// Digits that a caller may dial ahead of an app that is not listening yet, 1 to 10000; further ones are dropped
    /// and counted.
    pub digits_ahead: usize,
    /// Time between two looks for channels and bridges of ours that no call owns, in seconds, 1 to 3600. What is found in two
    /// looks is removed.
    pub orphan_check_s: u64,
    /// Steps that a call's timeline keeps, 8 to 10000; further ones are only counted.
    pub timeline_steps: usize,
}

impl Default for CallSettings {
    fn default() -> Self {
        Self {
            max_duration_s: 14_400,
            unanswered_s: 180,
            app_grace_s: 10,
            digits_ahead: 64,
            orphan_check_s: 30,
            timeline_steps: 64,
        }
    }
}

impl CallSettings {
    /// Checks ranges.
    pub fn validate(&self) -> Result<(), Invalid> {
        if !(1..=604_800).contains(&self.max_duration_s) {
            let expected = "a whole number of seconds from 1 to 604800";
            return Err(Invalid::new("call.max_duration_s", expected, self.max_duration_s));
        }
        if !(1..=3_600).contains(&self.unanswered_s) {
            let expected = "a whole number of seconds from 1 to 3600";
            return Err(Invalid::new("call.unanswered_s", expected, self.unanswered_s));
        }
        if !(1..=600).contains(&self.app_grace_s) {
            let expected = "a whole number of seconds from 1 to 600";
            return Err(Invalid::new("call.app_grace_s", expected, self.app_grace_s));
        }
        if !(1..=10_000).contains(&self.digits_ahead) {
            return Err(Invalid::new("call.digits_ahead", "a whole number from 1 to 10000", self.digits_ahead));
        }
        if !(1..=3_600).contains(&self.orphan_check_s) {
            let expected = "a whole number of seconds from 1 to 3600";
            return Err(Invalid::new("call.orphan_check_s", expected, self.orphan_check_s));
        }
        if !(8..=10_000).contains(&self.timeline_steps) {
            return Err(Invalid::new("call.timeline_steps", "a whole number from 8 to 10000", self.timeline_steps));
        }
        Ok(())
    }

    pub(super) fn max_duration(&self) -> Duration {
        Duration::from_secs(self.max_duration_s)
    }

    pub(super) fn unanswered(&self) -> Duration {
        Duration::from_secs(self.unanswered_s)
    }

    pub(super) fn orphan_check(&self) -> Duration {
        Duration::from_secs(self.orphan_check_s)
    }

    pub(super) fn app_grace(&self) -> Duration {
        Duration::from_secs(self.app_grace_s)
    }
}

#[cfg(test)]
mod tests {
    use super::CallSettings;

    #[test]
    fn the_defaults_are_good_and_refusals_name_the_field() {
        CallSettings::default().validate().expect("good defaults");
        for field in
            ["max_duration_s", "unanswered_s", "app_grace_s", "digits_ahead", "orphan_check_s", "timeline_steps"]
        {
            let settings: CallSettings = toml::from_str(&format!("{field} = 0")).expect("TOML");
            assert_eq!(settings.validate().expect_err("refused").field, format!("call.{field}"));
        }
    }
}
