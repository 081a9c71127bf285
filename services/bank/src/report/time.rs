//! Dates and times as ISO 20022 writes them (`xs:date`, `xs:dateTime`).

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize};

/// A date with time. Banks often leave the offset away, then the instant is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timestamp {
    /// Date and time as they stand.
    pub local: NaiveDateTime,
    /// Seconds ahead of UTC.
    pub offset_seconds: Option<i32>,
}

impl Timestamp {
    /// Reads an `xs:dateTime`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (day, time) = text.split_once('T')?;
        let is_time = matches!(time.as_bytes(), [h1, h2, b':', m1, m2, b':', s1, s2, ..]
            if [h1, h2, m1, m2, s1, s2].iter().all(|b| b.is_ascii_digit()));
        if date(day)?.format("%Y-%m-%d").to_string() != day || !is_time {
            return None;
        }
        match DateTime::parse_from_rfc3339(text) {
            Ok(at) => Some(Self {
                local: at.naive_local(),
                offset_seconds: Some(at.offset().local_minus_utc()),
            }),
            Err(_) if time.bytes().all(|b| matches!(b, b'0'..=b'9' | b':' | b'.')) => Some(Self {
                local: NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?,
                offset_seconds: None,
            }),
            Err(_) => None,
        }
    }
}

/// Reads an `xs:date`, whose time zone says nothing about a banking day.
pub(crate) fn date(text: &str) -> Option<NaiveDate> {
    let day = text.get(..10)?;
    let zone = text.get(10..)?;
    let is_zone = match zone.as_bytes() {
        b"" | b"Z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()),
        _ => false,
    };
    let is_day = day.bytes().enumerate().all(|(at, b)| match at {
        4 | 7 => b == b'-',
        _ => b.is_ascii_digit(),
    });
    if !is_zone || !is_day {
        return None;
    }
    NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_those_of_xml_schema() {
        let day = NaiveDate::from_ymd_opt(2026, 3, 31);
        for text in ["2026-03-31", "2026-03-31Z", "2026-03-31+02:00"] {
            assert_eq!(date(text), day, "{text}");
        }
        for text in [
            "2026-02-30",
            "31.03.2026",
            "2026-3-31",
            "2026-03-31x",
            "",
            "２０２６",
            "2026-03-3 ",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
        let at =
            |text: &str| Timestamp::parse(text).map(|t| (t.local.to_string(), t.offset_seconds));
        let local = |text: &str| text.to_owned();
        assert_eq!(
            at("2026-03-31T22:15:00"),
            Some((local("2026-03-31 22:15:00"), None))
        );
        assert_eq!(
            at("2026-03-31T22:15:00.250+02:00"),
            Some((local("2026-03-31 22:15:00.250"), Some(7_200)))
        );
        assert_eq!(
            at("2026-03-31T22:15:00Z"),
            Some((local("2026-03-31 22:15:00"), Some(0)))
        );
        for text in [
            "2026-03-31",
            "2026-03-31 22:15:00",
            "2026-03-31T25:15:00",
            "x",
            "2026-03-31T22:15:00x",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
