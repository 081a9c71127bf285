//! The feature rows of the last 30 days: what rules are measured on. Bounded by rows a day; what is left out is counted.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::feature::Row;
use crate::features::Pair;

/// So many days are kept.
pub const HISTORY_DAYS: i64 = 30;
pub(super) const DAY_MS: i64 = 86_400_000;

/// Rows of one assessment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Day {
    pub(super) day: i64,
    pub(super) rows: Vec<Row>,
    pub(super) left_out: u64,
}

/// Rows by day. About 250 bytes each: 5,000 rows a day are 40 MB.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    rows_per_day: u32,
    days: VecDeque<Day>,
}

impl History {
    /// A history of at most so many rows a day; 0 keeps none.
    #[must_use]
    pub fn new(rows_per_day: u32) -> Self {
        Self {
            rows_per_day,
            days: VecDeque::new(),
        }
    }

    /// Whether it keeps anything.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.rows_per_day > 0
    }

    /// Takes the rows of an assessment in: the last one of a day is the day's. Where there are too many, the most active stay.
    pub fn push(&mut self, at_ms: i64, rows: &[Row]) {
        if !self.is_on() {
            return;
        }
        let day = at_ms.div_euclid(DAY_MS);
        self.days
            .retain(|kept| kept.day < day && kept.day > day - HISTORY_DAYS);
        let most = self.rows_per_day as usize;
        let mut kept: Vec<Row> = rows.to_vec();
        if kept.len() > most {
            kept.sort_by(|a, b| {
                b.activity()
                    .total_cmp(&a.activity())
                    .then(a.pair.cmp(&b.pair))
            });
            kept.truncate(most);
            kept.sort_unstable_by_key(|row| row.pair);
        }
        self.days.push_back(Day {
            day,
            left_out: (rows.len() - kept.len()) as u64,
            rows: kept,
        });
    }

    /// The days within 30 of an instant.
    pub(super) fn until(&self, at_ms: i64) -> impl Iterator<Item = &Day> {
        let today = at_ms.div_euclid(DAY_MS);
        self.days
            .iter()
            .filter(move |day| day.day <= today && day.day > today - HISTORY_DAYS)
    }

    /// The newest row of each pair.
    #[must_use]
    pub fn newest(&self) -> BTreeMap<Pair, &Row> {
        self.days
            .back()
            .map(|day| day.rows.iter().map(|row| (row.pair, row)).collect())
            .unwrap_or_default()
    }
}
