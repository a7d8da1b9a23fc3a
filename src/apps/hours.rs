//! Opening hours: on which days of the week, from when to when, by the clock on a wall somewhere.
//!
//! Invariants:
//! - Pure: the time is given. What counts is the local time of day, so that a shop that opens at nine does so in summer and
//!   in winter, and on the days when the clocks change too.
//! - A local time that comes twice (clocks go back) is open both times; one that does not come (clocks go forward) never is.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::Reader;
use crate::invalid::Invalid;

/// Minutes of a day.
const DAY: u16 = 24 * 60;
/// Days by their names in the settings.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// When somebody is there.
#[derive(Debug, Clone)]
pub(super) struct Hours {
    zone: TimeZone,
    /// From Monday on: spans of minutes of the day, the end not included.
    weekly: [Vec<(u16, u16)>; 7],
    holidays: Vec<Holiday>,
}

/// A day on which nobody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holiday {
    /// Once.
    On(Date),
    /// Every year: month and day.
    Yearly(i8, i8),
}

impl Hours {
    /// Reads the table: `zone` (a name of the IANA time zone database), `weekly` (a day or a range of days each, with spans
    /// of time) and `holidays` (dates, with or without a year).
    pub(super) fn read(parameters: &mut Reader<'_>) -> Result<Self, Invalid> {
        let expected = "a time zone by its IANA name, as Europe/Berlin";
        let name = parameters.text("zone")?.ok_or_else(|| Reader::missing("zone", expected))?;
        let zone = TimeZone::get(&name).map_err(|_| Invalid::new("zone", expected, &name))?;
        let mut weekly: [Vec<(u16, u16)>; 7] = Default::default();
        for (days, value) in parameters.entries("weekly")? {
            let place = format!("weekly.{}", days.escape_debug());
            let days = days_of(days).ok_or_else(|| {
                Invalid::new(place.as_str(), "days as mon, tue, wed, thu, fri, sat, sun or a range as mon-fri", days)
            })?;
            for span in spans_of(&place, value)? {
                for day in days.clone() {
                    weekly[day].push(span);
                }
            }
        }
        let holidays = parameters.texts("holidays")?;
        let holidays = holidays.iter().map(|text| holiday_of(text)).collect::<Result<_, _>>()?;
        Ok(Self { zone, weekly, holidays })
    }

    /// Whether somebody is there.
    pub(super) fn is_open(&self, at: Timestamp) -> bool {
        let local = self.zone.to_datetime(at);
        let date = local.date();
        let holiday = self.holidays.iter().any(|holiday| match holiday {
            Holiday::On(day) => *day == date,
            Holiday::Yearly(month, day) => (date.month(), date.day()) == (*month, *day),
        });
        let day = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
        let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        !holiday && self.weekly[day].iter().any(|(from, to)| (*from..*to).contains(&minute))
    }
}

/// The days of `mon` or `mon-fri`, Monday being 0.
fn days_of(text: &str) -> Option<RangeInclusive<usize>> {
    let day = |text: &str| DAYS.iter().position(|name| *name == text);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let days = day(first)?..=day(last)?;
    (!days.is_empty()).then_some(days)
}

/// The spans of `"09:00-12:30"`, or of a list of such.
fn spans_of(field: &str, value: &Value) -> Result<Vec<(u16, u16)>, Invalid> {
    let span = |value: &Value| {
        let span = value.as_str().and_then(|text| text.split_once('-')).and_then(|(from, to)| {
            let span = (minute_of(from)?, minute_of(to)?);
            (span.0 < span.1).then_some(span)
        });
        span.ok_or_else(|| {
            let expected = "a span within a day as 09:00-17:30 (to 24:00 at most), or a list of such";
            Invalid::new(field, expected, value)
        })
    };
    match value {
        Value::Array(list) => list.iter().map(span).collect(),
        one => span(one).map(|span| vec![span]),
    }
}

/// The minute of the day of `09:30`; `24:00` is the day's end.
fn minute_of(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |digits: &str| {
        (digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit())).then(|| digits.parse::<u16>().ok())?
    };
    let (hour, minute) = (two(hour)?, two(minute)?);
    (minute < 60 && hour * 60 + minute <= DAY).then_some(hour * 60 + minute)
}

/// The day of `2027-04-05` or, for every year, `12-25`.
fn holiday_of(text: &str) -> Result<Holiday, Invalid> {
    // A leap year, so that its own day is one too.
    let yearly = || format!("2000-{text}").parse::<Date>().ok().filter(|_| text.len() == 5);
    let once = || text.parse::<Date>().ok().filter(|_| text.len() == 10);
    let found = yearly().map(|date| Holiday::Yearly(date.month(), date.day())).or_else(|| once().map(Holiday::On));
    found.ok_or_else(|| Invalid::new("holidays", "days as 2027-04-05, or as 12-25 for every year", text))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::Hours;
    use crate::apps::{Queues, Reader};
    use crate::directory::{Numbers, Owner, Parameters};
    use crate::invalid::Invalid;
    use crate::media::{MediaSettings, Prompts};

    static PROMPTS: LazyLock<Prompts> = LazyLock::new(|| Prompts::new(&MediaSettings::default()));

    fn read(toml: &str) -> Result<Hours, Invalid> {
        let parameters: Parameters = toml::from_str(toml).expect("TOML");
        let owner = Owner { name: "one".into(), language: None, numbers: Arc::new(Numbers::default()) };
        Hours::read(&mut Reader::new(&owner, &parameters, &PROMPTS, &Queues::default()))
    }

    const SHOP: &str = r#"
        zone = "Europe/Berlin"
        weekly = { mon-fri = ["09:00-12:30", "14:00-18:00"], sun = "02:00-03:30" }
        holidays = ["2026-12-24", "12-25"]
    "#;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time stamp")
    }

    #[test]
    fn the_clock_on_the_wall_counts() {
        let shop = read(SHOP).expect("good hours");
        // 2026-03-29 and 2026-10-25 are the days on which the clocks change there.
        for (time, open) in [
            // A Friday in winter, UTC+1: nine o'clock, and a second before.
            ("2026-03-27T08:00:00Z", true),
            ("2026-03-27T07:59:59Z", false),
            // A Monday in summer, UTC+2.
            ("2026-03-30T07:00:00Z", true),
            ("2026-03-30T06:59:59Z", false),
            ("2026-03-30T16:00:00Z", false),
            // Lunch; Saturday.
            ("2026-03-30T10:30:00Z", false),
            ("2026-03-28T09:00:00Z", false),
            // 02:00 does not come on this Sunday; at 03:00 it is 01:00 UTC.
            ("2026-03-29T00:59:59Z", false),
            ("2026-03-29T01:00:00Z", true),
            ("2026-03-29T01:30:00Z", false),
            // 02:00 to 03:00 comes twice on this one.
            ("2026-10-24T23:59:59Z", false),
            ("2026-10-25T00:00:00Z", true),
            ("2026-10-25T01:00:00Z", true),
            ("2026-10-25T02:29:59Z", true),
            ("2026-10-25T02:30:00Z", false),
            // Holidays: once, and every year; the day begins at midnight there.
            ("2026-12-24T09:00:00Z", false),
            ("2026-12-25T09:00:00Z", false),
            ("2029-12-25T09:00:00Z", false),
            ("2027-12-24T09:00:00Z", true),
        ] {
            assert_eq!(shop.is_open(at(time)), open, "{time}");
        }
    }

    #[test]
    fn a_refusal_names_the_field() {
        let field = |from: &str, to: &str| read(&SHOP.replace(from, to)).expect_err("refused").field;
        assert_eq!(field("Europe/Berlin", "Europe/Bielefeld"), "zone");
        assert_eq!(field("zone = \"Europe/Berlin\"", ""), "zone");
        assert_eq!(field("sun", "sunday"), "weekly.sunday");
        assert_eq!(field("mon-fri", "fri-mon"), "weekly.fri-mon");
        for bad in ["9:00-12:30", "09:00", "12:00-09:00", "09:00-24:01", "09:60-10:00", "+9:00-10:00"] {
            assert_eq!(field("09:00-12:30", bad), "weekly.mon-fri", "{bad}");
        }
        for bad in ["12-32", "02-30", "2027-02-29", "25.12.", ""] {
            assert_eq!(field("12-25", bad), "holidays", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_same_local_time_of_day_decides_alike_all_year(day in 0_i64..366, hour in 0_i8..24, minute in 0_i8..60) {
            let shop = read(&SHOP.replace("mon-fri", "mon-sun").replace(", sun = \"02:00-03:30\"", "")).expect("good hours");
            let date = jiff::civil::date(2027, 1, 1).checked_add(jiff::Span::new().days(day)).expect("a date");
            let zone = jiff::tz::TimeZone::get("Europe/Berlin").expect("a zone");
            let local = date.at(hour, minute, 0, 0);
            let there = zone.to_ambiguous_zoned(local);
            // A time that does not come is no time; one that comes twice is looked at both times.
            prop_assume!(!matches!(there.offset(), jiff::tz::AmbiguousOffset::Gap { .. }));
            let minutes = i32::from(hour) * 60 + i32::from(minute);
            let expected = ((540..750).contains(&minutes) || (840..1080).contains(&minutes))
                && (date.month(), date.day()) != (12, 25);
            for time in [there.clone().earlier(), there.later()] {
                prop_assert_eq!(shop.is_open(time.expect("a time").timestamp()), expected);
            }
        }
    }
}
