//! When cycles close, between the wire and the ledger: schedule, cut-off, holidays.

use chrono::NaiveDate;
use hansa_proto::v1;
use hansa_settlement::{CutOff, CycleCalendar, CycleSchedule, MAX_HOLIDAYS};

use crate::convert::Fields;

/// The calendar of a programme. A broken field is told, and its default stands in for it.
pub fn read(fields: &mut Fields, p: &v1::Programme) -> CycleCalendar {
    use v1::CycleSchedule as Schedule;
    let schedule = match p.cycle_schedule() {
        Schedule::Monthly | Schedule::Unspecified => CycleSchedule::Monthly,
        Schedule::Weekly => CycleSchedule::Weekly,
        Schedule::Daily => CycleSchedule::Daily,
        Schedule::Manual => CycleSchedule::Manual,
    };
    let cut_off = p
        .cut_off
        .as_ref()
        .map(|cut_off| read_cut_off(fields, cut_off));
    CycleCalendar {
        schedule,
        cut_off: cut_off.unwrap_or_default(),
    }
}

fn read_cut_off(fields: &mut Fields, c: &v1::CutOff) -> CutOff {
    let zone = match c.time_zone.as_str() {
        "" => None,
        name => fields.zone("programme.cut_off.time_zone", name),
    };
    let minute = match c.local_time.as_str() {
        "" => 0,
        text => minute_of_day(text).unwrap_or_else(|| {
            let text = format!("\"{text}\" is no time of a day: HH:MM, 00:00 to 23:59");
            fields.broken("programme.cut_off.local_time", "LOCAL_TIME", text);
            0
        }),
    };
    if !c.holidays.is_empty() && !c.business_days_only {
        let text = "holidays move a closing day only where business_days_only is true";
        fields.broken("programme.cut_off.business_days_only", "REQUIRED", text);
    }
    CutOff {
        zone,
        minute,
        business_days_only: c.business_days_only,
        holidays: read_holidays(fields, &c.holidays),
    }
}

/// `HH:MM` in minutes, exactly so.
fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |part: &str, below: u16| -> Option<u16> {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        let value = part.parse().ok();
        value.filter(|value| digits && *value < below)
    };
    Some(two_digits(hours, 24)? * 60 + two_digits(minutes, 60)?)
}

fn read_holidays(fields: &mut Fields, texts: &[String]) -> Vec<NaiveDate> {
    if texts.len() > MAX_HOLIDAYS {
        let text = format!(
            "{} holidays; at most {MAX_HOLIDAYS}: leave out those that are over",
            texts.len()
        );
        fields.broken("programme.cut_off.holidays", "TOO_MANY", text);
        return Vec::new();
    }
    let mut holidays: Vec<NaiveDate> = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let at = format!("programme.cut_off.holidays[{index}]");
        // The shape is asked for too: dates such as 2026-5-1 would be understood otherwise.
        let date = text.parse::<NaiveDate>().ok();
        let date = date.filter(|date| date.format("%Y-%m-%d").to_string() == *text);
        match (date, holidays.last()) {
            (None, _) => {
                let text = format!("\"{text}\" is no day: YYYY-MM-DD");
                fields.broken(&at, "DATE", text);
            }
            (Some(date), Some(last)) if date <= *last => {
                let text = format!("{date} is not behind {last}: list each day once, ascending");
                fields.broken(&at, "ORDER", text);
            }
            (Some(date), _) => holidays.push(date),
        }
    }
    holidays
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(cut_off: v1::CutOff) -> Vec<(String, &'static str)> {
        let mut fields = Fields::default();
        let programme = v1::Programme {
            cut_off: Some(cut_off),
            ..v1::Programme::default()
        };
        assert!(read(&mut fields, &programme).is_valid());
        match fields.finish(()) {
            Ok(()) => Vec::new(),
            Err(error) => error
                .fields
                .iter()
                .map(|v| (v.field.clone(), v.reason))
                .collect(),
        }
    }

    #[test]
    fn a_cut_off_is_read_as_it_is_written() {
        let mut fields = Fields::default();
        let programme = v1::Programme {
            cycle_schedule: v1::CycleSchedule::Daily.into(),
            cut_off: Some(v1::CutOff {
                time_zone: "America/New_York".into(),
                local_time: "17:30".into(),
                business_days_only: true,
                holidays: vec!["2026-05-01".into(), "2026-12-25".into()],
            }),
            ..v1::Programme::default()
        };
        let calendar = read(&mut fields, &programme);
        assert!(fields.finish(()).is_ok());
        assert_eq!(calendar.schedule, CycleSchedule::Daily);
        assert_eq!(calendar.cut_off.minute, 17 * 60 + 30);
        assert_eq!(calendar.cut_off.zone.unwrap().name(), "America/New_York");
        assert_eq!(calendar.cut_off.holidays.len(), 2);
        let plain = read(&mut Fields::default(), &v1::Programme::default());
        assert_eq!(plain, CycleCalendar::midnight(CycleSchedule::Monthly));
    }

    #[test]
    fn every_broken_field_of_a_cut_off_is_told_by_name() {
        let with = |change: fn(&mut v1::CutOff)| {
            let mut cut_off = v1::CutOff {
                business_days_only: true,
                ..v1::CutOff::default()
            };
            change(&mut cut_off);
            broken(cut_off)
        };
        let at = |name: &str, reason| vec![(format!("programme.cut_off.{name}"), reason)];
        assert_eq!(with(|_| ()), []);
        assert_eq!(
            with(|c| c.time_zone = "Berlin".into()),
            at("time_zone", "TIME_ZONE")
        );
        for text in [
            "24:00", "12:60", "7:30", "12", "12:3", "12:30:00", "+1:30", "noon", " 12:30",
        ] {
            let cut_off = v1::CutOff {
                local_time: text.into(),
                ..v1::CutOff::default()
            };
            assert_eq!(broken(cut_off), at("local_time", "LOCAL_TIME"), "{text}");
        }
        for text in ["2026-02-29", "2026-5-1", "01.05.2026", "", "2026-05-01 "] {
            let mut cut_off = v1::CutOff {
                business_days_only: true,
                ..v1::CutOff::default()
            };
            cut_off.holidays = vec!["2026-01-01".into(), text.into()];
            assert_eq!(broken(cut_off), at("holidays[1]", "DATE"), "{text}");
        }
        for text in ["2026-01-01", "2025-12-31"] {
            let mut cut_off = v1::CutOff {
                business_days_only: true,
                ..v1::CutOff::default()
            };
            cut_off.holidays = vec!["2026-01-01".into(), text.into(), "2026-01-02".into()];
            assert_eq!(broken(cut_off), at("holidays[1]", "ORDER"), "{text}");
        }
        let many = with(|c| {
            let first = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
            c.holidays = first
                .iter_days()
                .take(MAX_HOLIDAYS + 1)
                .map(|d| d.to_string())
                .collect();
        });
        assert_eq!(many, at("holidays", "TOO_MANY"));
        let idle = v1::CutOff {
            holidays: vec!["2026-01-01".into()],
            ..v1::CutOff::default()
        };
        assert_eq!(broken(idle), at("business_days_only", "REQUIRED"));
        // All of them at once.
        let all = v1::CutOff {
            time_zone: "Nowhere".into(),
            local_time: "25:00".into(),
            business_days_only: false,
            holidays: vec!["soon".into()],
        };
        assert_eq!(broken(all).len(), 4);
    }
}
