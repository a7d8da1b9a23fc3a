//! Asterisk's timestamps: ISO 8601 with milliseconds and the node's offset, `2026-11-22T20:24:40.781+0000`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MS_PER_DAY: i64 = 86_400_000;

/// A moment as a node wrote it. What is not in Asterisk's format is kept as text: a strange clock is no reason to lose an event.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Timestamp(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    /// Milliseconds since 1970-01-01T00:00:00Z, and the offset of the node's zone in minutes, kept to write it back.
    Moment {
        unix_ms: i64,
        offset_min: i16,
    },
    Text(Box<str>),
}

impl Timestamp {
    /// Milliseconds since the Unix epoch by the node's clock, or `None` if the node wrote something else than a moment.
    pub fn unix_ms(&self) -> Option<i64> {
        match self.0 {
            Repr::Moment { unix_ms, .. } => Some(unix_ms),
            Repr::Text(_) => None,
        }
    }

    /// The moment `unix_ms` milliseconds after the Unix epoch, in UTC.
    pub fn from_unix_ms(unix_ms: i64) -> Self {
        Self(Repr::Moment { unix_ms, offset_min: 0 })
    }
}

impl From<&str> for Timestamp {
    fn from(text: &str) -> Self {
        parse(text).unwrap_or_else(|| Self(Repr::Text(text.into())))
    }
}

/// Reads `YYYY-MM-DDThh:mm:ss.mmm+hhmm`, and nothing else, so that writing it back gives the same text.
fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.')];
    if bytes.len() != 28 || separators.iter().any(|&(at, separator)| bytes[at] != separator) {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to]
            .iter()
            .try_fold(0_i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second, ms) = (number(11, 13)?, number(14, 16)?, number(17, 19)?, number(20, 23)?);
    let (offset_hour, offset_minute) = (number(24, 26)?, number(26, 28)?);
    let sign = match bytes[23] {
        b'+' => 1,
        b'-' if offset_hour + offset_minute > 0 => -1,
        _ => return None,
    };
    let valid = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && offset_hour < 24
        && offset_minute < 60
        && civil_from_days(days_from_civil(year, month, day)) == (year, month, day);
    let offset_min = sign * (offset_hour * 60 + offset_minute);
    let local_ms = days_from_civil(year, month, day) * MS_PER_DAY + (hour * 3600 + minute * 60 + second) * 1000 + ms;
    valid.then_some(Timestamp(Repr::Moment { unix_ms: local_ms - offset_min * 60_000, offset_min: offset_min as i16 }))
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, counted in years that begin in March, so that the
/// leap day is the last of its year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let march_year = year - i64::from(month <= 2);
    let era = march_year.div_euclid(400);
    let year_of_era = march_year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`]: (year, month, day).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day_of_year - (153 * march_month + 2) / 5 + 1)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unix_ms, offset_min) = match &self.0 {
            Repr::Text(text) => return f.write_str(text),
            Repr::Moment { unix_ms, offset_min } => (*unix_ms, i64::from(*offset_min)),
        };
        let local_ms = unix_ms + offset_min * 60_000;
        let (year, month, day) = civil_from_days(local_ms.div_euclid(MS_PER_DAY));
        let in_day = local_ms.rem_euclid(MS_PER_DAY);
        let (hour, minute, second, ms) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60, in_day % 1000);
        let sign = if offset_min < 0 { '-' } else { '+' };
        let (offset_hour, offset_minute) = (offset_min.abs() / 60, offset_min.abs() % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}{sign}{offset_hour:02}{offset_minute:02}"
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::from_str(deserializer, "a timestamp", |text| Self::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;
    use proptest::prelude::*;

    #[test]
    fn a_moment_is_read_with_its_offset_and_written_back() {
        let text = "2026-11-22T20:24:40.781+0000";
        assert_eq!(Timestamp::from(text).unix_ms(), Some(1_795_379_080_781));
        let vienna = Timestamp::from("2026-11-22T21:24:40.781+0100");
        assert_eq!(vienna.unix_ms(), Some(1_795_379_080_781));
        assert_eq!(vienna.to_string(), "2026-11-22T21:24:40.781+0100");
        assert_eq!(Timestamp::from_unix_ms(1_795_379_080_781).to_string(), text);
    }

    #[test]
    fn what_is_no_moment_is_kept_as_it_came() {
        for text in
            ["", "yesterday", "2026-02-30T00:00:00.000+0000", "2026-11-22T20:24:40.781-0000", "2026-11-22T20:24:40Z"]
        {
            assert_eq!((Timestamp::from(text).unix_ms(), Timestamp::from(text).to_string()), (None, text.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn every_text_is_written_back_as_it_came(text in "\\PC{0,32}|[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{3}[+-][0-9]{4}") {
            prop_assert_eq!(Timestamp::from(text.as_str()).to_string(), text);
        }

        #[test]
        fn every_moment_survives_its_text(unix_ms in -62_135_596_800_000_i64..253_402_300_799_999) {
            let text = Timestamp::from_unix_ms(unix_ms).to_string();
            prop_assert_eq!(Timestamp::from(text.as_str()).unix_ms(), Some(unix_ms));
        }
    }
}
