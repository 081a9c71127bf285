//! The rows of a replay, as `tests/fixtures/complete-journey/README.md` describes them, and the waves in which they are
//! sent.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use anyhow::{Context as _, bail};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone as _, Utc};
use chrono_tz::Tz;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Record<'a> {
    occurred_at: &'a str,
    basket_id: &'a str,
    household_id: &'a str,
    merchant: &'a str,
    spend_cents: i64,
    coupon_cents: i64,
}

/// One purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Unit: microseconds since 1970.
    pub occurred_at: i64,
    /// The receipt.
    pub basket: String,
    /// Index of the household.
    pub household: u32,
    /// Index of the merchant.
    pub merchant: u32,
    /// Amount paid, cents.
    pub spend_cents: i64,
    /// Points to redeem.
    pub coupon_cents: i64,
}

/// All rows, and the names that they use.
#[derive(Debug, Default)]
pub struct Data {
    /// In file order.
    pub rows: Vec<Row>,
    /// Merchants' ids by index.
    pub merchants: Vec<String>,
    /// Households' ids by index.
    pub households: Vec<String>,
}

impl Data {
    /// Reads a CSV file, gzipped or not.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::open(path).with_context(|| format!("cannot read the data {}", path.display()))?;
        Self::parse(BufReader::new(file))
            .with_context(|| format!("the data {} cannot be replayed", path.display()))
    }

    /// Reads CSV, gzipped or not.
    pub fn parse(mut input: impl BufRead) -> anyhow::Result<Self> {
        let gzipped = input.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let plain: Box<dyn Read + '_> = if gzipped {
            Box::new(MultiGzDecoder::new(input))
        } else {
            Box::new(input)
        };
        let mut reader = csv::Reader::from_reader(plain);
        let headers = reader.headers()?.clone();
        let mut data = Self::default();
        let (mut merchants, mut households) = (HashMap::new(), HashMap::new());
        let mut raw = csv::StringRecord::new();
        while reader.read_record(&mut raw)? {
            let line = raw.position().map_or(0, csv::Position::line);
            let record: Record<'_> = raw
                .deserialize(Some(&headers))
                .with_context(|| format!("line {line} cannot be read"))?;
            let at = DateTime::parse_from_rfc3339(record.occurred_at)
                .with_context(|| {
                    format!(
                        "line {line}: occurred_at \"{}\" is not RFC 3339",
                        record.occurred_at
                    )
                })?
                .timestamp_micros();
            if record.spend_cents < 0 || record.coupon_cents < 0 {
                bail!("line {line}: spend_cents and coupon_cents must not be negative");
            }
            if data
                .rows
                .last()
                .is_some_and(|last: &Row| last.occurred_at > at)
            {
                bail!("line {line}: rows must be ordered by occurred_at");
            }
            data.rows.push(Row {
                occurred_at: at,
                basket: record.basket_id.to_owned(),
                household: index(&mut households, &mut data.households, record.household_id),
                merchant: index(&mut merchants, &mut data.merchants, record.merchant),
                spend_cents: record.spend_cents,
                coupon_cents: record.coupon_cents,
            });
        }
        if data.rows.is_empty() {
            bail!("it has no rows");
        }
        Ok(data)
    }

    /// Ranges of rows of one business day each, with the day.
    pub fn days(&self, zone: Tz) -> Vec<(NaiveDate, std::ops::Range<usize>)> {
        let mut days: Vec<(NaiveDate, std::ops::Range<usize>)> = Vec::new();
        for (at, row) in self.rows.iter().enumerate() {
            let date = date(row.occurred_at, zone);
            match days.last_mut() {
                Some((last, range)) if *last == date => range.end = at + 1,
                _ => days.push((date, at..at + 1)),
            }
        }
        days
    }

    /// The waves of some rows: within a wave each merchant has one batch. A row comes behind the row before it of the same
    /// household: in the same batch where the merchant is the same, otherwise in a later wave.
    pub fn waves(&self, rows: std::ops::Range<usize>) -> Vec<BTreeMap<u32, Vec<usize>>> {
        let mut last: HashMap<u32, (usize, u32)> = HashMap::new();
        let mut waves: Vec<BTreeMap<u32, Vec<usize>>> = Vec::new();
        for at in rows {
            let row = &self.rows[at];
            let wave = match last.get(&row.household) {
                None => 0,
                Some((wave, merchant)) if *merchant == row.merchant => *wave,
                Some((wave, _)) => wave + 1,
            };
            last.insert(row.household, (wave, row.merchant));
            if waves.len() <= wave {
                waves.resize_with(wave + 1, BTreeMap::new);
            }
            waves[wave].entry(row.merchant).or_default().push(at);
        }
        waves
    }
}

fn index(known: &mut HashMap<String, u32>, names: &mut Vec<String>, name: &str) -> u32 {
    if let Some(index) = known.get(name) {
        return *index;
    }
    let index = u32::try_from(names.len()).unwrap_or(u32::MAX);
    known.insert(name.to_owned(), index);
    names.push(name.to_owned());
    index
}

/// The business date of an instant.
pub fn date(micros: i64, zone: Tz) -> NaiveDate {
    DateTime::<Utc>::from_timestamp_micros(micros)
        .unwrap_or_default()
        .with_timezone(&zone)
        .date_naive()
}

/// First instant of a business day, microseconds.
pub fn midnight(date: NaiveDate, zone: Tz) -> i64 {
    let mut local = date.and_time(NaiveTime::MIN);
    // A midnight that clocks skip is the end of the gap.
    for _ in 0..=96 {
        if let Some(found) = zone.from_local_datetime(&local).earliest() {
            return found.timestamp_micros();
        }
        local += chrono::TimeDelta::minutes(15);
    }
    local.and_utc().timestamp_micros()
}

/// The day after.
pub fn next_day(date: NaiveDate) -> NaiveDate {
    date.checked_add_days(Days::new(1)).unwrap_or(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "occurred_at,basket_id,household_id,store_id,merchant,items,spend_cents,coupon_cents\n\
        2017-01-01T23:30:00Z,1,h1,9,grocery,1,100,0\n\
        2017-01-01T23:30:00Z,1,h1,9,meat,1,100,5\n\
        2017-01-01T23:30:00Z,2,h2,9,meat,1,100,0\n\
        2017-01-01T23:40:00Z,3,h1,9,meat,1,100,0\n\
        2017-01-02T00:30:00Z,4,h1,9,grocery,1,100,0\n";

    #[test]
    fn a_household_never_overtakes_itself() -> anyhow::Result<()> {
        let data = Data::parse(CSV.as_bytes())?;
        let waves = data.waves(0..5);
        let shape: Vec<Vec<(u32, Vec<usize>)>> =
            waves.into_iter().map(|w| w.into_iter().collect()).collect();
        assert_eq!(
            shape,
            vec![
                vec![(0, vec![0]), (1, vec![2])],
                vec![(1, vec![1, 3])],
                vec![(0, vec![4])]
            ]
        );
        Ok(())
    }

    #[test]
    fn days_are_those_of_the_zone() -> anyhow::Result<()> {
        let data = Data::parse(CSV.as_bytes())?;
        assert_eq!(data.days(Tz::UTC).len(), 2);
        assert_eq!(data.days(Tz::Europe__Berlin).len(), 1);
        Ok(())
    }

    #[test]
    fn broken_rows_are_named() {
        let text = |from: &str, to: &str| {
            Data::parse(CSV.replacen(from, to, 1).as_bytes())
                .err()
                .map(|e| format!("{e:#}"))
                .unwrap_or_default()
        };
        assert!(text("2017-01-02T00:30:00Z,4", "2016-01-02T00:30:00Z,4").contains("ordered"));
        assert!(text("1,100,5", "1,-100,5").contains("negative"));
        assert!(text("1,100,5", "1,x,5").contains("line 3"));
        assert!(text("2017-01-01T23:40:00Z", "yesterday").contains("line 5"));
        assert!(Data::parse("a,b\n".as_bytes()).is_err());
    }
}
