//! The liability report of the golden March, and what it refuses.

use crate::golden::is_golden;
use crate::march::{at, issuer, money, party};
use calamine::{Data, Reader, Xlsx};
use hansa_money::Currency;
use hansa_report::*;
use serde_json::Value;
use std::io::Cursor;

/// End of March, ISSUE: of all points 300 are open, F's, worth the reserve of 2.40. A price was allocated to A's and F's.
pub(crate) fn march() -> LiabilityParts {
    let funder = |id, issued, redeemed, lost, expected| FunderPoints {
        funder: party(id),
        issued,
        redeemed,
        lost,
        expected,
        price: None,
    };
    let priced = |points: FunderPoints, allocated, recognised_before| FunderPoints {
        price: Some(AllocatedPrice {
            allocated: money(allocated),
            recognised_before: money(recognised_before),
        }),
        ..points
    };
    LiabilityParts {
        issuer: issuer(),
        as_of: at("2026-03-31T22:00:00Z"),
        currency: Currency::EUR,
        ages: AgeBands::usual(),
        reserve: money(2_400_000),
        outstanding: vec![OutstandingPoints {
            funder: party("F"),
            mode: FundingMode::Issue,
            band: 5,
            points: 300,
            value: money(2_400_000),
        }],
        funders: vec![
            priced(funder("A", 1_509, 1_509, 0, 1_509), 12_000_000, 0),
            priced(funder("F", 1_807, 1_034, 473, 1_234), 14_000_000, 9_990_000),
            funder("T", 234, 234, 0, 234),
        ],
        revenue_unit: RevenueUnit::MinorUnit,
    }
}

fn refused(change: impl FnOnce(&mut LiabilityParts)) -> String {
    let mut parts = march();
    change(&mut parts);
    LiabilityReport::new(parts).unwrap_err().to_string()
}

#[test]
fn the_report_of_march_as_files() {
    let report = LiabilityReport::new(march()).unwrap();
    is_golden("liability.json", &report.to_json().unwrap());
    is_golden("liability.csv", &report.to_csv().unwrap());
}

#[test]
fn reserve_breakage_and_revenue_follow_from_the_points() {
    let report = LiabilityReport::new(march()).unwrap();
    let funder = &report.funders()[1];
    assert_eq!((funder.points, funder.in_reserve), (300, money(2_400_000)));
    assert_eq!(
        (funder.breakage_points, funder.breakage),
        (100, money(800_000))
    );
    // 14.00 x 1 034 / 1 234 = 11.7309...
    let revenue = funder.revenue.unwrap();
    assert_eq!(revenue.recognised, money(11_730_000));
    assert_eq!(revenue.of_period, money(1_740_000));
    assert_eq!(revenue.deferred, money(2_270_000));
    let all = report.totals();
    assert_eq!(all.revenue_of_period, money(12_000_000 + 1_740_000));
    assert_eq!(all.deferred, money(2_270_000));
}

#[test]
fn the_published_example_as_a_report() {
    let report = |redeemed, expected, before| {
        let mut parts = march();
        parts.revenue_unit = RevenueUnit::WholeUnit;
        parts.outstanding[0].points = 10_000 - redeemed;
        parts.funders = vec![FunderPoints {
            funder: party("F"),
            issued: 10_000,
            redeemed,
            lost: 0,
            expected: expected_points(10_000, redeemed, 0, expected),
            price: Some(AllocatedPrice {
                allocated: money(9_000_000_000),
                recognised_before: money(before),
            }),
        }];
        LiabilityReport::new(parts)
            .unwrap()
            .totals()
            .revenue_of_period
    };
    assert_eq!(report(4_500, 9_700, 0), money(4_175_000_000));
    assert_eq!(report(8_500, 9_900, 4_175_000_000), money(3_552_000_000));
    assert_eq!(report(8_500, 9_200, 4_175_000_000), money(4_140_000_000));
}

#[test]
fn a_report_that_contradicts_itself_is_refused() {
    assert_eq!(
        refused(|parts| parts.reserve = money(2_400_001)),
        "prepaid points are worth 2.400000, the reserve is 2.400001"
    );
    assert_eq!(
        refused(|parts| parts.outstanding[0].points = 299),
        "\"F\" has 299 open points by age, and 300 by what was issued, redeemed and lost"
    );
    assert_eq!(
        refused(|parts| {
            parts.funders.remove(1);
        }),
        "\"F\" has 300 open points by age, and 0 by what was issued, redeemed and lost"
    );
    assert_eq!(
        refused(|parts| parts.funders[1].expected = 1_335),
        "\"F\" expects 1335 points to be redeemed; at least 1034 are, and at most 1334 can be"
    );
    let twice = refused(|parts| {
        let row = parts.outstanding[0].clone();
        parts.outstanding.push(row);
    });
    assert_eq!(twice, "\"F\" stands twice; add the two up");
    assert!(refused(|parts| parts.outstanding[0].band = 6).contains("band of age"));
    assert!(refused(|parts| parts.outstanding[0].value = money(-1)).contains("below 0"));
}

#[test]
fn the_workbook_has_the_same_figures() {
    let report = LiabilityReport::new(march()).unwrap();
    let bytes = report.to_xlsx().unwrap();
    assert!(bytes == LiabilityReport::new(march()).unwrap().to_xlsx().unwrap());
    let mut book = Xlsx::new(Cursor::new(bytes)).unwrap();
    assert_eq!(book.sheet_names(), ["Summary", "Funders", "Outstanding"]);
    let funders = book.worksheet_range("Funders").unwrap();
    let row = funders.rows().nth(2).unwrap();
    assert_eq!(row[0], Data::String("F".into()));
    assert_eq!(row[5], Data::Float(300.0));
    assert_eq!(row[19], Data::String("2.270000".into()));
    let outstanding = book.worksheet_range("Outstanding").unwrap();
    assert_eq!(
        outstanding.rows().nth(1).unwrap()[3],
        Data::String("over 730".into())
    );
}

#[test]
fn bands_of_age_stand_in_the_json() {
    let json = LiabilityReport::new(march()).unwrap().to_json().unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["schema"], "hansa.liability.v1");
    assert_eq!(json["report"]["ages"][5], "over 730");
    assert_eq!(json["totals"]["breakage"]["micros"], 800_000);
}
