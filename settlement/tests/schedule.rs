//! Closing instants by calendar: local cut-off times, clocks that change, business days, calendars that change.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
use chrono::{DateTime, Datelike as _, NaiveDate, Timelike as _, Utc, Weekday};
use common::*;
use hansa_settlement::*;
use proptest::prelude::*;

fn zone(name: &str) -> Zone {
    Zone::new(name).unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// `"MONTHLY 17:30 Europe/Berlin business 2026-03-02 ..."`; without `business` no day rests.
fn calendar(text: &str) -> CycleCalendar {
    let mut words = text.split(' ');
    let schedule = match words.next().unwrap() {
        "DAILY" => CycleSchedule::Daily,
        "WEEKLY" => CycleSchedule::Weekly,
        "MONTHLY" => CycleSchedule::Monthly,
        "MANUAL" => CycleSchedule::Manual,
        other => panic!("{other}"),
    };
    let (hour, minute) = words.next().unwrap_or("00:00").split_once(':').unwrap();
    let minute = hour.parse::<u16>().unwrap() * 60 + minute.parse::<u16>().unwrap();
    let zone = words.next().map(zone);
    let business_days_only = words.next().is_some();
    let holidays = words.map(day).collect();
    let calendar = CycleCalendar {
        schedule,
        cut_off: CutOff {
            zone,
            minute,
            business_days_only,
            holidays,
        },
    };
    assert!(calendar.is_valid(), "{text}");
    calendar
}

/// The closes that follow each other from an instant on.
fn closes(calendar: &CycleCalendar, from: &str, count: usize) -> Vec<String> {
    let mut at = at(from);
    let mut found = Vec::new();
    for _ in 0..count {
        at = calendar.next_close(at, zone("Europe/Berlin")).unwrap();
        let utc = DateTime::<Utc>::from_timestamp_micros(at.0).unwrap();
        found.push(utc.format("%a %m-%dT%H:%MZ").to_string());
    }
    found
}

#[test]
fn closing_instants_follow_the_calendar() {
    for (text, from, expected) in [
        // Midnight of the programme's zone, through both changes of its clocks.
        (
            "MONTHLY",
            "2026-02-28T23:00:00Z",
            &["Tue 03-31T22:00Z", "Thu 04-30T22:00Z"][..],
        ),
        (
            "WEEKLY",
            "2026-10-18T22:00:00Z",
            &["Sun 10-25T23:00Z", "Sun 11-01T23:00Z"],
        ),
        (
            "DAILY",
            "2026-03-28T22:59:59Z",
            &["Sat 03-28T23:00Z", "Sun 03-29T22:00Z", "Mon 03-30T22:00Z"],
        ),
        // In its own zone, at its own time: the day is that of the cut-off's zone.
        (
            "DAILY 17:30 America/New_York",
            "2026-03-07T22:30:00Z",
            &["Sun 03-08T21:30Z", "Mon 03-09T21:30Z"],
        ),
        (
            "MONTHLY 23:59 Pacific/Auckland",
            "2026-03-31T00:00:00Z",
            &["Wed 04-01T10:59Z", "Fri 05-01T11:59Z"],
        ),
        // A time that clocks skip is the end of the gap: 02:30 on 29 March is 03:00.
        (
            "DAILY 02:30 Europe/Berlin",
            "2026-03-27T12:00:00Z",
            &["Sat 03-28T01:30Z", "Sun 03-29T01:00Z", "Mon 03-30T00:30Z"],
        ),
        // Half an hour in Lord Howe, to the minute: 02:10 on 4 October 2026 is 02:30.
        (
            "DAILY 02:10 Australia/Lord_Howe",
            "2026-10-02T12:00:00Z",
            &["Fri 10-02T15:40Z", "Sat 10-03T15:30Z", "Sun 10-04T15:10Z"],
        ),
        // A time that they show twice is the first: 02:30 on 25 October in summer time.
        (
            "DAILY 02:30 Europe/Berlin",
            "2026-10-23T12:00:00Z",
            &["Sat 10-24T00:30Z", "Sun 10-25T00:30Z", "Mon 10-26T01:30Z"],
        ),
        // Between the two times of that night the next is tomorrow's.
        (
            "DAILY 02:30 Europe/Berlin",
            "2026-10-25T01:00:00Z",
            &["Mon 10-26T01:30Z"],
        ),
        // Midnight that clocks skip (Cairo, 24 April 2026).
        (
            "DAILY 00:00 Africa/Cairo",
            "2026-04-22T12:00:00Z",
            &["Wed 04-22T22:00Z", "Thu 04-23T22:00Z", "Fri 04-24T21:00Z"],
        ),
        // A day that Samoa did not have, 30 December 2011: its close and that of the 31st are one.
        (
            "DAILY 00:00 Pacific/Apia",
            "2011-12-28T12:00:00Z",
            &["Thu 12-29T10:00Z", "Fri 12-30T10:00Z", "Sat 12-31T10:00Z"],
        ),
        // Five cycles a week, and one less for each holiday.
        (
            "DAILY 17:00 Europe/Berlin business 2026-05-01",
            "2026-04-29T12:00:00Z",
            &["Wed 04-29T15:00Z", "Thu 04-30T15:00Z", "Mon 05-04T15:00Z"],
        ),
        // A chain: Good Friday to Easter Monday; the first of April is before, that of May a holiday before a weekend.
        (
            "MONTHLY 17:00 Europe/Berlin business 2026-04-03 2026-04-06 2026-05-01",
            "2026-03-31T23:00:00Z",
            &["Wed 04-01T15:00Z", "Mon 05-04T15:00Z", "Mon 06-01T15:00Z"],
        ),
        (
            "WEEKLY 08:00 Europe/Berlin business 2026-04-03 2026-04-06 2026-04-07",
            "2026-03-30T06:00:00Z",
            &["Wed 04-08T06:00Z", "Mon 04-13T06:00Z"],
        ),
        // Within a run of days that rest, the closing day in front of them still moves.
        (
            "MONTHLY 17:00 Europe/Berlin business 2026-12-31 2027-01-01 2027-01-04",
            "2027-01-03T12:00:00Z",
            &["Tue 01-05T16:00Z", "Mon 02-01T16:00Z"],
        ),
        // Two Mondays in one run of holidays close one cycle.
        (
            "WEEKLY 12:00 UTC business 2026-12-21 2026-12-22 2026-12-23 2026-12-24 2026-12-25 2026-12-28",
            "2026-12-14T12:00:00Z",
            &["Tue 12-29T12:00Z", "Mon 01-04T12:00Z"],
        ),
    ] {
        assert_eq!(
            closes(&calendar(text), from, expected.len()),
            expected,
            "{text}"
        );
    }
    let manual = calendar("MANUAL 17:00 UTC");
    assert_eq!(
        manual.next_close(at("2026-05-01T12:00:00Z"), Zone::UTC),
        None
    );
}

#[test]
fn month_ends_of_four_years_are_business_days_of_the_month() {
    let calendar =
        calendar("MONTHLY 18:00 Europe/Berlin business 2026-01-01 2027-01-01 2028-05-01");
    let mut now = at("2025-12-31T18:00:00Z");
    for month in 0..48_i32 {
        now = calendar.next_close(now, Zone::UTC).unwrap();
        let date = zone("Europe/Berlin").date(now);
        assert_eq!(
            (date.year(), date.month0() as i32),
            (2026 + month / 12, month % 12)
        );
        // A weekend and a holiday in front of it move the first by three days at most.
        assert!(date.day() <= 4, "{date}");
    }
}

#[test]
fn calendars_out_of_order_are_no_terms() {
    let of = |cut_off: CutOff| {
        let calendar = CycleCalendar {
            schedule: CycleSchedule::Daily,
            cut_off,
        };
        let terms = ProgrammeTerms {
            cycles: calendar.clone(),
            ..programme(ExpiryRule::None, NegativeBalance::Debt)
        };
        assert_eq!(terms.is_valid(), calendar.is_valid());
        calendar.is_valid()
    };
    let plain = CutOff::default;
    let holidays = |days: &[&str]| days.iter().copied().map(day).collect::<Vec<_>>();
    assert!(of(plain()));
    assert!(of(CutOff {
        minute: 1_439,
        ..plain()
    }));
    assert!(!of(CutOff {
        minute: 1_440,
        ..plain()
    }));
    for days in [
        &["2026-05-02", "2026-05-01"][..],
        &["2026-05-01", "2026-05-01"],
    ] {
        assert!(!of(CutOff {
            holidays: holidays(days),
            ..plain()
        }));
    }
    let many: Vec<NaiveDate> = day("2026-01-01").iter_days().take(1_001).collect();
    assert!(of(CutOff {
        holidays: many[1..].to_vec(),
        ..plain()
    }));
    assert!(!of(CutOff {
        holidays: many,
        ..plain()
    }));
}

#[test]
fn a_changed_calendar_holds_for_cycles_that_open_from_then_on() {
    let mut terms = programme(ExpiryRule::None, NegativeBalance::Debt);
    let mut world = World::new(terms.clone(), "2026-05-04T08:00:00Z", CycleSchedule::Manual);
    terms.cycles = calendar("DAILY 17:00");
    world.now = at("2026-05-04T09:00:00Z");
    let change = |terms: &ProgrammeTerms, effective_at: Instant| Fact::Programme {
        effective_at,
        terms: terms.clone(),
    };
    // The open cycle keeps closing by hand; the one behind it is daily.
    world.fact(change(&terms, world.now));
    assert_eq!(world.global.next_close(), None);
    world.fact(Fact::CycleCut {
        closes_at: world.now,
    });
    assert_eq!(world.global.next_close(), Some(at("2026-05-04T15:00:00Z")));
    // Weekly from Wednesday's midnight on: what opens before is daily.
    terms.cycles = calendar("WEEKLY 06:30 Europe/London");
    world.fact(change(&terms, at("2026-05-05T22:00:00Z")));
    world.cut_until(at("2026-05-06T15:00:00Z"));
    let found: Vec<_> = world.global.cycles().iter().map(|c| c.closes_at).collect();
    let expected = [
        "2026-05-04T09:00:00Z",
        "2026-05-04T15:00:00Z",
        "2026-05-05T15:00:00Z",
        "2026-05-06T15:00:00Z",
        "2026-05-11T05:30:00Z",
    ];
    assert_eq!(found, expected.map(|text| Some(at(text))));
    // By hand in between: the calendar goes on from there.
    world.now = at("2026-05-07T10:00:00Z");
    world.fact(Fact::CycleCut {
        closes_at: world.now,
    });
    assert_eq!(world.global.next_close(), Some(at("2026-05-11T05:30:00Z")));
    let restored = Global::restore(&world.global.snapshot()).unwrap();
    assert_eq!(restored, world.global);
}

const ZONES: [&str; 6] = [
    "Europe/Berlin",
    "America/New_York",
    "Pacific/Auckland",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Asia/Kathmandu",
];

fn calendars() -> impl Strategy<Value = (CycleCalendar, usize)> {
    let schedule = prop_oneof![
        Just(CycleSchedule::Daily),
        Just(CycleSchedule::Weekly),
        Just(CycleSchedule::Monthly)
    ];
    // Holidays lie close together, so that runs of them are long.
    let holidays = prop::collection::btree_set(0_u64..200, 0..80);
    let other = prop::option::of(0..ZONES.len());
    (
        schedule,
        0..ZONES.len(),
        other,
        0_u16..1_440,
        any::<bool>(),
        holidays,
    )
        .prop_map(
            |(schedule, programme, other, minute, business_days_only, holidays)| {
                let first = day("2026-01-01");
                let calendar = CycleCalendar {
                    schedule,
                    cut_off: CutOff {
                        zone: other.map(|zone_no| zone(ZONES[zone_no])),
                        minute,
                        business_days_only,
                        holidays: holidays
                            .into_iter()
                            .map(|n| first + chrono::Days::new(n))
                            .collect(),
                    },
                };
                (calendar, programme)
            },
        )
}

proptest! {
    #[test]
    fn closes_follow_each_other_on_business_days_and_leave_none_out(
        (calendar, programme) in calendars(),
        start in 0_i64..200 * 86_400,
    ) {
        let programme = zone(ZONES[programme]);
        let local = calendar.cut_off.zone.unwrap_or(programme);
        let rests = |day: NaiveDate| {
            calendar.cut_off.business_days_only
                && (matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
                    || calendar.cut_off.holidays.contains(&day))
        };
        let mut opens = at("2026-01-01T00:00:00Z").plus_seconds(start);
        let mut days = std::collections::BTreeSet::new();
        let first = local.date(opens);
        for _ in 0..30 {
            let close = calendar.next_close(opens, programme).unwrap();
            prop_assert!(close > opens);
            // Whatever is asked for in between has the same answer: one cycle, without a gap.
            for share in [1, 2, 3] {
                let between = Instant(opens.0 + (close.0 - opens.0) / 4 * share);
                prop_assert_eq!(calendar.next_close(between, programme), Some(close));
            }
            prop_assert_eq!(calendar.next_close(Instant(close.0 - 1), programme), Some(close));
            let date = local.date(close);
            prop_assert!(!rests(date), "{}", date);
            prop_assert!(days.insert(date), "{} twice", date);
            // The wall clock shows the cut-off; where it was skipped, a later time of the same hour or two.
            let shown = DateTime::<Utc>::from_timestamp_micros(close.0)
                .unwrap()
                .with_timezone(&local.name().parse::<chrono_tz::Tz>().unwrap());
            let minute = shown.hour() * 60 + shown.minute();
            let wanted = u32::from(calendar.cut_off.minute);
            prop_assert!((wanted..wanted + 61).contains(&minute), "{} for {}", shown, wanted);
            opens = close;
        }
        // Every day that the schedule names has its close: on that day, or on the first that does not rest behind it.
        let last = *days.last().unwrap();
        for day in first.succ_opt().unwrap().iter_days().take_while(|day| *day < last) {
            let named = match calendar.schedule {
                CycleSchedule::Daily => true,
                CycleSchedule::Weekly => day.weekday() == Weekday::Mon,
                CycleSchedule::Monthly => day.day() == 1,
                CycleSchedule::Manual => false,
            };
            let moved = day.iter_days().find(|day| !rests(*day)).unwrap();
            prop_assert!(!named || days.contains(&moved), "{} is left out", day);
        }
    }
}
