//! Business dates: instants are microseconds since 1970 in UTC, dates are the programme's zone's.

use chrono::{
    DateTime, Datelike, Days, LocalResult, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta,
    TimeZone, Utc, Weekday,
};
use chrono_tz::Tz;

/// Never.
pub(crate) const NEVER: i64 = i64::MAX;

fn instant(micros: i64) -> DateTime<Utc> {
    // Instants of the log lie in the years 1970 to 9999; what does not is answered with the end of time.
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The date of an instant.
pub(crate) fn date(zone: Tz, micros: i64) -> NaiveDate {
    instant(micros).with_timezone(&zone).date_naive()
}

/// The first instant of a date: 00:00, or where clocks skip that, the first instant behind the gap.
pub(crate) fn start(zone: Tz, date: NaiveDate) -> i64 {
    first_at(zone, date.and_time(NaiveTime::MIN))
}

/// The first instant at a local time; where clocks skip it, the first behind the gap.
fn first_at(zone: Tz, mut local: NaiveDateTime) -> i64 {
    // No zone ever skipped more than a day.
    for _ in 0..=2 * 24 * 60 {
        match zone.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => {
                return at.timestamp_micros();
            }
            LocalResult::None => local += TimeDelta::minutes(1),
        }
    }
    NEVER
}

/// The same day `months` later, or that month's last.
pub(crate) fn add_months(date: NaiveDate, months: u32) -> Option<NaiveDate> {
    date.checked_add_months(Months::new(months))
}

/// 00:00 `days` after the date of an instant.
pub(crate) fn days_after(zone: Tz, micros: i64, days: u64) -> i64 {
    date(zone, micros)
        .checked_add_days(Days::new(days))
        .map_or(NEVER, |day| start(zone, day))
}

/// 00:00 of the date of an instant, `months` later.
pub(crate) fn months_after(zone: Tz, micros: i64, months: u32) -> i64 {
    add_months(date(zone, micros), months).map_or(NEVER, |day| start(zone, day))
}

/// 00:00 of a day of the month that lies `months` behind the one of an instant, or of that month's last.
pub(crate) fn day_of_month_after(zone: Tz, micros: i64, months: u32, day: u32) -> i64 {
    let first = date(zone, micros).with_day(1);
    let month = first.and_then(|first| add_months(first, months));
    let named = month.and_then(|first| (1..=day).rev().find_map(|day| first.with_day(day)));
    named.map_or(NEVER, |day| start(zone, day))
}

/// The first 00:00 behind an instant that is one of these days of the year (month, day). A day that a month does not have is
/// its last.
pub(crate) fn next_sweep(zone: Tz, micros: i64, sweeps: &[(u32, u32)]) -> i64 {
    let year = date(zone, micros).year();
    let starts = (year..=year + 1).flat_map(|year| {
        sweeps
            .iter()
            .filter_map(move |(month, day)| {
                (1..=*day)
                    .rev()
                    .find_map(|day| NaiveDate::from_ymd_opt(year, *month, day))
            })
            .map(|day| start(zone, day))
    });
    starts.filter(|at| *at > micros).min().unwrap_or(NEVER)
}

/// Which days close a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Schedule {
    Monthly,
    Weekly,
    Daily,
    Manual,
}

/// When on a closing day the cycle closes, and which days are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct CutOff {
    /// Minutes behind midnight.
    pub(crate) minutes: u32,
    pub(crate) business_days_only: bool,
    pub(crate) holidays: std::collections::BTreeSet<NaiveDate>,
}

impl Schedule {
    fn names(self, day: NaiveDate) -> bool {
        match self {
            Self::Monthly => day.day() == 1,
            Self::Weekly => day.weekday() == Weekday::Mon,
            Self::Daily => true,
            Self::Manual => false,
        }
    }

    /// The first closing instant behind an instant.
    pub(crate) fn close_after(self, zone: Tz, cut_off: &CutOff, micros: i64) -> Option<i64> {
        if self == Self::Manual {
            return None;
        }
        // A closing day moves over holidays and weekends: two days of weekend for five holidays, and one weekend more.
        let longest_move = if cut_off.business_days_only {
            2 * cut_off.holidays.len() as u64 + 3
        } else {
            1
        };
        let mut day = date(zone, micros).checked_sub_days(Days::new(longest_move))?;
        loop {
            if self.names(day) {
                let at = cut_off.on(zone, day)?;
                if at > micros {
                    return Some(at);
                }
            }
            day = day.succ_opt()?;
        }
    }
}

impl CutOff {
    /// The closing instant of a day that the schedule names.
    fn on(&self, zone: Tz, mut day: NaiveDate) -> Option<i64> {
        let rests = |day: NaiveDate| {
            matches!(day.weekday(), Weekday::Sat | Weekday::Sun) || self.holidays.contains(&day)
        };
        while self.business_days_only && rests(day) {
            day = day.succ_opt()?;
        }
        Some(first_at(
            zone,
            day.and_time(NaiveTime::MIN) + TimeDelta::minutes(self.minutes.into()),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().unwrap().timestamp_micros()
    }

    #[test]
    fn dates_begin_at_midnight_in_the_zone() {
        let berlin = chrono_tz::Europe::Berlin;
        assert_eq!(
            months_after(berlin, at("2023-03-21T11:00:00Z"), 36),
            at("2026-03-20T23:00:00Z")
        );
        assert_eq!(
            days_after(berlin, at("2026-03-25T10:00:00Z"), 30),
            at("2026-04-23T22:00:00Z")
        );
        assert_eq!(
            months_after(berlin, at("2026-01-30T23:30:00Z"), 1),
            at("2026-02-27T23:00:00Z"),
            "31 January and a month is the last of February"
        );
        // Clocks in São Paulo skipped midnight of 4 November 2018.
        let paulo = chrono_tz::America::Sao_Paulo;
        assert_eq!(
            days_after(paulo, at("2018-11-03T12:00:00Z"), 1),
            at("2018-11-04T03:00:00Z")
        );
    }

    #[test]
    fn a_day_of_a_later_month_is_at_most_its_last() {
        let berlin = chrono_tz::Europe::Berlin;
        let lock = |text, months, day| day_of_month_after(berlin, at(text), months, day);
        // Still January in Berlin, already, and not in the zone of the instant.
        assert_eq!(
            lock("2025-12-31T23:30:00Z", 0, 15),
            at("2026-01-14T23:00:00Z")
        );
        assert_eq!(
            lock("2026-01-31T10:00:00Z", 1, 31),
            at("2026-02-27T23:00:00Z")
        );
        assert_eq!(
            lock("2026-01-31T10:00:00Z", 2, 31),
            at("2026-03-30T22:00:00Z")
        );
        assert_eq!(
            lock("2026-01-31T10:00:00Z", 25, 30),
            at("2028-02-28T23:00:00Z")
        );
    }

    #[test]
    fn sweeps_and_closes_lie_behind_the_instant() {
        let berlin = chrono_tz::Europe::Berlin;
        assert_eq!(
            next_sweep(berlin, at("2026-02-01T10:00:00Z"), &[(2, 29)]),
            at("2026-02-27T23:00:00Z")
        );
        let sweeps = [(3, 31), (12, 31)];
        let next = |text| next_sweep(berlin, at(text), &sweeps);
        assert_eq!(next("2026-03-30T21:59:59Z"), at("2026-03-30T22:00:00Z"));
        assert_eq!(next("2026-03-30T22:00:00Z"), at("2026-12-30T23:00:00Z"));
        let plain = CutOff::default();
        let close = |schedule: Schedule, text| schedule.close_after(berlin, &plain, at(text));
        assert_eq!(
            close(Schedule::Monthly, "2026-02-28T23:00:00Z"),
            Some(at("2026-03-31T22:00:00Z"))
        );
        assert_eq!(
            close(Schedule::Weekly, "2026-03-01T10:00:00Z"),
            Some(at("2026-03-01T23:00:00Z"))
        );
        assert_eq!(
            close(Schedule::Daily, "2026-03-01T10:00:00Z"),
            Some(at("2026-03-01T23:00:00Z"))
        );
        assert_eq!(close(Schedule::Manual, "2026-03-01T10:00:00Z"), None);
    }

    #[test]
    fn a_closing_day_without_banking_moves_to_the_next_with() {
        let berlin = chrono_tz::Europe::Berlin;
        let evening = CutOff {
            minutes: 17 * 60 + 30,
            business_days_only: true,
            holidays: [NaiveDate::from_ymd_opt(2026, 3, 2).unwrap()].into(),
        };
        let close = |text| Schedule::Monthly.close_after(berlin, &evening, at(text));
        // 1 March 2026 is a Sunday, and the Monday is a holiday.
        assert_eq!(
            close("2026-02-27T10:00:00Z"),
            Some(at("2026-03-03T16:30:00Z"))
        );
        assert_eq!(
            close("2026-03-02T10:00:00Z"),
            Some(at("2026-03-03T16:30:00Z"))
        );
        assert_eq!(
            close("2026-03-03T16:30:00Z"),
            Some(at("2026-04-01T15:30:00Z"))
        );
    }
}
