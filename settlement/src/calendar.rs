//! Business dates in a time zone: where local times lie on the time line, expiry rules, grace periods.

use crate::ids::Instant;
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// Of a day without a change of the clocks.
pub(crate) const MINUTES_OF_A_DAY: u16 = 24 * 60;

/// A time zone of the IANA database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(Tz);

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(Tz::UTC);

    /// Looks a zone up by its IANA name, such as `Europe/Berlin`.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        name.parse().ok().map(Self)
    }

    /// The IANA name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The business date of an instant.
    #[must_use]
    pub fn date(self, at: Instant) -> NaiveDate {
        let utc =
            DateTime::<Utc>::from_timestamp_micros(at.0.clamp(-Instant::BOUND, Instant::BOUND))
                .unwrap_or_default();
        if self.0 == Tz::UTC {
            utc.date_naive()
        } else {
            utc.with_timezone(&self.0).date_naive()
        }
    }

    /// The first instant of a business date: [`Zone::instant`] of 00:00.
    #[must_use]
    pub fn midnight(self, date: NaiveDate) -> Instant {
        self.instant(date, 0)
    }

    /// The instant of a local time, in minutes behind 00:00. Where clocks skip it, the end of the gap: the first minute that they show
    /// instead. Where they show it twice, the first time.
    #[must_use]
    pub fn instant(self, date: NaiveDate, minute: u16) -> Instant {
        let mut local = date.and_time(NaiveTime::MIN) + TimeDelta::minutes(i64::from(minute));
        if self.0 == Tz::UTC {
            return Instant(local.and_utc().timestamp_micros());
        }
        // Clocks never skipped more than a day.
        for _ in 0..=MINUTES_OF_A_DAY {
            if let Some(found) = self.0.from_local_datetime(&local).earliest() {
                return Instant(found.timestamp_micros());
            }
            local += TimeDelta::minutes(1);
        }
        Instant(local.and_utc().timestamp_micros())
    }

    /// 00:00 of the instant's business date + `days`.
    #[must_use]
    pub fn midnight_after_days(self, at: Instant, days: u32) -> Instant {
        self.date(at)
            .checked_add_days(Days::new(u64::from(days)))
            .map_or(Instant::NEVER, |date| self.midnight(date))
    }

    /// 00:00 of the instant's business date + `months`, clamped to that month's last day.
    #[must_use]
    pub fn midnight_after_months(self, at: Instant, months: u32) -> Instant {
        self.date(at)
            .checked_add_months(Months::new(months))
            .map_or(Instant::NEVER, |date| self.midnight(date))
    }

    /// 00:00 of a day of the month that lies `months` behind the instant's, clamped to that month's last day.
    #[must_use]
    pub fn midnight_of_month_day(self, at: Instant, months: u32, day: u32) -> Instant {
        let first = self.date(at).with_day(1);
        let month = first.and_then(|date| date.checked_add_months(Months::new(months)));
        let date = month.and_then(|first| {
            let next = first.checked_add_months(Months::new(1))?;
            let last = next.pred_opt()?;
            last.with_day(day.clamp(1, last.day()))
        });
        date.map_or(Instant::NEVER, |date| self.midnight(date))
    }
}

impl TryFrom<String> for Zone {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Self::new(&name).ok_or_else(|| format!("unknown time zone {name}"))
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name().to_owned()
    }
}

/// When posted points expire. A lot's `expires_at` is the first instant at which it cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExpiryRule {
    /// 00:00 of the posting date + n months, clamped to that month's last day.
    RollingMonths(u32),
    /// 00:00 of the first of these (month, day) dates after the posting date; 29 February means the month's last day.
    FixedSweep(Vec<(u8, u8)>),
    /// 00:00 of the date of the last accrual or capture + n months; each of them moves all unexpired lots.
    InactivityMonths(u32),
    /// Points never expire.
    None,
}

impl ExpiryRule {
    /// Whether months are 1..=1200 and dates exist.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        match self {
            Self::RollingMonths(n) | Self::InactivityMonths(n) => (1..=1200).contains(n),
            Self::FixedSweep(dates) => {
                !dates.is_empty()
                    && dates.iter().all(|(m, d)| {
                        NaiveDate::from_ymd_opt(2024, u32::from(*m), u32::from(*d)).is_some()
                    })
            }
            Self::None => true,
        }
    }

    /// The `expires_at` of points posted at an instant. Under inactivity the instant is that of the last activity.
    #[must_use]
    pub fn expires_at(&self, posted_at: Instant, zone: Zone) -> Instant {
        match self {
            Self::RollingMonths(n) | Self::InactivityMonths(n) => {
                zone.midnight_after_months(posted_at, *n)
            }
            Self::FixedSweep(dates) => next_sweep(zone.date(posted_at), dates)
                .map_or(Instant::NEVER, |date| zone.midnight(date)),
            Self::None => Instant::NEVER,
        }
    }
}

fn next_sweep(after: NaiveDate, dates: &[(u8, u8)]) -> Option<NaiveDate> {
    let in_year = |year: i32| {
        dates.iter().filter_map(move |(month, day)| {
            let (month, day) = (u32::from(*month), u32::from(*day));
            (0..3).find_map(|back| NaiveDate::from_ymd_opt(year, month, day.saturating_sub(back)))
        })
    };
    in_year(after.year())
        .chain(in_year(after.year() + 1))
        .filter(|date| *date > after)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        Instant(text.parse::<DateTime<Utc>>().unwrap().timestamp_micros())
    }

    #[test]
    fn rolling_expiry_is_clamped_midnight_of_the_zone() {
        let berlin = Zone::new("Europe/Berlin").unwrap();
        let rule = ExpiryRule::RollingMonths(6);
        assert_eq!(
            rule.expires_at(at("2017-03-31T10:00:00Z"), Zone::UTC),
            at("2017-09-30T00:00:00Z")
        );
        assert_eq!(
            rule.expires_at(at("2017-08-31T22:30:00Z"), berlin),
            at("2018-02-28T23:00:00Z")
        );
        assert_eq!(
            rule.expires_at(at("2016-02-29T10:00:00Z"), berlin),
            at("2016-08-28T22:00:00Z")
        );
        assert_eq!(
            ExpiryRule::None.expires_at(at("2016-02-29T10:00:00Z"), berlin),
            Instant::NEVER
        );
    }

    #[test]
    fn midnight_that_clocks_skip_is_the_end_of_the_gap() {
        let cairo = Zone::new("Africa/Cairo").unwrap();
        assert_eq!(
            cairo.midnight(NaiveDate::from_ymd_opt(2024, 4, 26).unwrap()),
            at("2024-04-25T22:00:00Z")
        );
    }

    #[test]
    fn sweeps_take_the_next_date_strictly_after() {
        let rule = ExpiryRule::FixedSweep(vec![(3, 31), (2, 29)]);
        assert_eq!(
            rule.expires_at(at("2025-02-28T01:00:00Z"), Zone::UTC),
            at("2025-03-31T00:00:00Z")
        );
        assert_eq!(
            rule.expires_at(at("2025-02-27T01:00:00Z"), Zone::UTC),
            at("2025-02-28T00:00:00Z")
        );
        assert_eq!(
            rule.expires_at(at("2025-03-31T01:00:00Z"), Zone::UTC),
            at("2026-02-28T00:00:00Z")
        );
        assert!(!ExpiryRule::FixedSweep(vec![(4, 31)]).is_valid());
    }
}
