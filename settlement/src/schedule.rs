//! When cycles close: on which days, at what local time, and which days are no business days.
//!
//! A cycle's close is decided once, when it opens, by the calendar in force at its first instant; a calendar that changes later holds for
//! the cycles that open from then on. A cycle that is closed earlier by hand opens the next one at that instant, and the calendar goes on
//! from there. Costs a few look-ups of the zone per cycle, and one per day of a run of holidays.

use crate::calendar::{MINUTES_OF_A_DAY, Zone};
use crate::ids::Instant;
use chrono::{Datelike, NaiveDate, Weekday};
use serde::{Deserialize, Serialize};

/// Most holidays of a calendar.
pub const MAX_HOLIDAYS: usize = 1_000;

/// Which days close a cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CycleSchedule {
    /// Each day.
    Daily,
    /// Each Monday.
    Weekly,
    /// The first of each month.
    Monthly,
    /// Only by hand.
    #[default]
    Manual,
}

impl CycleSchedule {
    fn names(self, day: NaiveDate) -> bool {
        match self {
            Self::Daily => true,
            Self::Weekly => day.weekday() == Weekday::Mon,
            Self::Monthly => day.day() == 1,
            Self::Manual => false,
        }
    }
}

/// When on a closing day the cycle closes, and which days close none. By default 00:00 of every day in the programme's zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutOff {
    /// Zone of the days and of the time; `None` = the programme's.
    pub zone: Option<Zone>,
    /// Local time, in minutes behind 00:00. Where clocks skip it, the end of the gap; where they show it twice, the first time.
    pub minute: u16,
    /// A closing day that is a Saturday, a Sunday or one of `holidays` moves to the next day that is none. Two closing days that move to
    /// the same day close one cycle.
    pub business_days_only: bool,
    /// Days without banking, ascending.
    pub holidays: Vec<NaiveDate>,
}

impl CutOff {
    /// Whether the time is one of a day, and the holidays ascend and are not too many.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.minute < MINUTES_OF_A_DAY
            && self.holidays.len() <= MAX_HOLIDAYS
            && self.holidays.windows(2).all(|pair| pair[0] < pair[1])
    }

    fn rests(&self, day: NaiveDate) -> bool {
        self.business_days_only
            && (matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
                || self.holidays.binary_search(&day).is_ok())
    }

    /// The day itself, or the next that does not rest.
    fn moved(&self, mut day: NaiveDate) -> Option<NaiveDate> {
        while self.rests(day) {
            day = day.succ_opt()?;
        }
        Some(day)
    }
}

/// When cycles close by themselves. By default never.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleCalendar {
    /// Which days close a cycle.
    pub schedule: CycleSchedule,
    /// When, and which days do not.
    pub cut_off: CutOff,
}

impl CycleCalendar {
    /// At 00:00 of every day that a schedule names, in the programme's zone.
    #[must_use]
    pub fn midnight(schedule: CycleSchedule) -> Self {
        Self {
            schedule,
            cut_off: CutOff::default(),
        }
    }

    /// Whether the cut-off is in order.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.cut_off.is_valid()
    }

    /// The first closing instant after `at`, `None` by hand. `programme` is the zone where the cut-off names none.
    #[must_use]
    pub fn next_close(&self, at: Instant, programme: Zone) -> Option<Instant> {
        if self.schedule == CycleSchedule::Manual {
            return None;
        }
        let zone = self.cut_off.zone.unwrap_or(programme);
        let mut day = zone.date(at).pred_opt()?;
        // A run of days that rest may hold a closing day that moves to its end.
        while self.cut_off.rests(day) {
            day = day.pred_opt()?;
        }
        loop {
            if self.schedule.names(day) {
                let close = zone.instant(self.cut_off.moved(day)?, self.cut_off.minute);
                if close > at {
                    return Some(close);
                }
            }
            day = day.succ_opt()?;
        }
    }
}
