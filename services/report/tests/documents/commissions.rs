//! Commission statements: the equation, what is refused, the three forms.

use crate::golden::is_golden;
use crate::march::{Golden, at, issuer, money, party};
use hansa_money::Currency;
use hansa_report::CommissionLineKind as Kind;
use hansa_report::*;
use lopdf::Document;
use std::collections::BTreeSet;

fn conversion(order: &str) -> ConversionRef {
    ConversionRef {
        leaf: 17,
        position: 3,
        order: order.into(),
        event_time: at("2026-03-02T09:15:00Z"),
        purchase: money(129_900_000),
        terms_version: 2,
        locks_at: Some(at("2026-04-01T22:00:00Z")),
    }
}

fn line(kind: Kind, order: &str, micros: i64) -> CommissionLine {
    CommissionLine {
        kind,
        at: at("2026-03-02T09:15:04Z"),
        leaf: Some(21),
        with: party("A"),
        reference: String::new(),
        conversion: Some(conversion(order)),
        rate: None,
        amount: money(micros),
        under_hold: false,
        state: None,
        reason: None,
        flag: None,
    }
}

fn accrued(order: &str, micros: i64) -> CommissionLine {
    CommissionLine {
        rate: Some(AppliedRate {
            row: 1,
            share_bps: 725,
            fixed: Amount::ZERO,
        }),
        state: Some(CommissionStanding::Accrued),
        ..line(Kind::Accrued, order, micros)
    }
}

fn because(reason: &str, line: CommissionLine) -> CommissionLine {
    CommissionLine {
        reason: Some(LineKind::new(reason)),
        ..line
    }
}

fn of_flag(flag: u64, line: CommissionLine) -> CommissionLine {
    CommissionLine {
        flag: Some(flag),
        ..line
    }
}

fn of_finance(kind: Kind, reference: &str, reason: &str, micros: i64) -> CommissionLine {
    CommissionLine {
        with: Counterparty::Hub,
        reference: reference.into(),
        conversion: None,
        leaf: None,
        ..because(reason, line(kind, "", micros))
    }
}

/// Every kind of line once; the order references are hostile.
fn parts() -> CommissionParts {
    let march = Golden::of("issue-a").parts();
    let mut affiliate = march.merchant.clone();
    affiliate.id = "travelblog".into();
    affiliate.name = "Reiseblog Þórður GmbH".into();
    affiliate.tax = None;
    let lines = vec![
        accrued("4711", 9_417_750),
        of_flag(7, because("FLAGGED", line(Kind::Held, "4711", -9_417_750))),
        accrued("=HYPERLINK(1)", 5_000_001),
        CommissionLine {
            under_hold: true,
            state: Some(CommissionStanding::Held),
            ..because("ITEM_RETURNED", line(Kind::Reversed, "4711", -4_000_000))
        },
        of_flag(7, line(Kind::Released, "4711", 5_417_750)),
        line(Kind::Locked, "4711", 0),
        line(Kind::Payable, "4711", 5_417_750),
        because(
            "ORDER_CANCELLED",
            line(Kind::ClawedBack, "4650", -1_000_000),
        ),
        CommissionLine {
            rate: accrued("", 0).rate,
            ..line(Kind::Reattributed, "4712", 2_500_000)
        },
        of_finance(Kind::Adjusted, "ADJ-3", "GOODWILL", 1_500_000),
        of_finance(Kind::Paid, "HANSA-2-9-41", "PAYMENT", -20_000_000),
    ];
    CommissionParts {
        issuer: issuer(),
        cycle: march.cycle,
        period: march.period,
        currency: Currency::EUR,
        affiliate,
        figures: CommissionFigures {
            opening: money(21_000_000),
            accrued: money(16_917_751),
            reversed: money(4_000_000),
            clawed_back: money(1_000_000),
            held: money(0),
            adjusted: money(1_500_000),
            paid: money(20_000_000),
            closing: money(14_417_751),
            payable: money(5_417_750),
        },
        merchants: vec![MerchantCommissions {
            merchant: party("A"),
            conversions: 3,
            accrued: money(16_917_751),
            reversed: money(4_000_000),
            clawed_back: money(1_000_000),
            held: money(0),
            payable: money(5_417_750),
        }],
        lines,
        proof: march.proof.unwrap(),
    }
}

fn document() -> CommissionStatement {
    CommissionStatement::new(parts()).unwrap()
}

#[track_caller]
fn refused(change: impl FnOnce(&mut CommissionParts), text: &str) {
    let mut parts = parts();
    change(&mut parts);
    let error = CommissionStatement::new(parts).unwrap_err().to_string();
    assert!(error.contains(text), "{error}");
}

#[test]
fn a_commission_statement_is_golden_as_json_and_csv() {
    is_golden("commissions.json", &document().to_json().unwrap());
    is_golden("commissions.csv", &document().to_csv().unwrap());
    assert_eq!(document().file_stem(), "commissions-travelblog-1");
}

#[test]
fn a_micro_unit_that_is_nowhere_else_is_refused() {
    refused(
        |parts| parts.figures.closing = money(14_417_752),
        "is 14.417751, the statement closes with 14.417752",
    );
    refused(
        |parts| {
            parts.figures.accrued = money(16_917_752);
            parts.figures.closing = money(14_417_752);
        },
        "lines add up to 16.917751 accrued, the statement says 16.917752",
    );
    refused(
        |parts| parts.merchants[0].held = money(1),
        "lines of A add up to 0.000000 held, the statement says 0.000001",
    );
    refused(
        |parts| parts.merchants[0].conversions = 4,
        "A has 4 conversions, its lines are 3",
    );
    refused(
        |parts| parts.merchants.clear(),
        "a line is of merchant \"A\", which has no row",
    );
}

#[test]
fn a_line_that_takes_something_says_why() {
    refused(
        |parts| parts.lines[7].reason = None,
        "a CLAWED_BACK line of \"4650\" has the reason \"\"",
    );
    refused(
        |parts| parts.lines[7].reason = Some(LineKind::new("BECAUSE")),
        "which the published list does not have",
    );
    refused(
        |parts| parts.lines[7].amount = money(1_000_000),
        "a CLAWED_BACK line of 1.000000; its sign is another",
    );
}

#[test]
fn a_line_has_what_its_kind_has() {
    refused(|parts| parts.lines[0].rate = None, "has a rate where");
    refused(|parts| parts.lines[1].flag = None, "has to name its flag");
    refused(
        |parts| parts.lines[9].conversion = Some(conversion("1")),
        "has to name its conversion",
    );
    refused(
        |parts| parts.lines[6].under_hold = true,
        "cannot be under a hold",
    );
}

#[test]
fn reasons_are_listed_once_each() {
    let codes: BTreeSet<&str> = COMMISSION_REASONS.iter().map(|r| r.code).collect();
    assert_eq!(codes.len(), COMMISSION_REASONS.len());
    assert!(COMMISSION_REASONS.iter().all(|r| !r.meaning.is_empty()));
}

#[test]
fn figures_of_the_json_and_of_the_pdf_are_checked() {
    let json = document().to_json().unwrap();
    let figures = Figures::check(&json).unwrap();
    let expected = Figures::Commission {
        cycle: 1,
        affiliate: "travelblog".into(),
        opening: money(21_000_000),
        paid: money(20_000_000),
        closing: money(14_417_751),
        lines: 11,
    };
    assert_eq!(figures, expected);
    let pdf = document().to_pdf().unwrap();
    assert_eq!(attached_json(&pdf).unwrap(), json);
    let forged = String::from_utf8(json).unwrap();
    let forged = forged.replacen("14.417751", "15.417751", 1);
    assert!(Figures::check(forged.as_bytes()).is_err());
    let reworded = String::from_utf8(document().to_json().unwrap()).unwrap();
    let reworded = reworded.replace("Goods came back", "Goods stayed");
    assert!(matches!(
        Figures::check(reworded.as_bytes()),
        Err(FiguresError::Form { .. })
    ));
}

#[test]
fn there_is_no_workbook() {
    assert!(matches!(
        document().render(Format::Xlsx),
        Err(CommissionStatementError::NoWorkbook)
    ));
}

/// Many lines, over pages.
fn long() -> CommissionStatement {
    let mut parts = parts();
    for number in 0..150 {
        parts.lines.push(accrued(&format!("order-{number:04}"), 1));
    }
    parts.merchants[0].conversions += 150;
    for amount in [
        &mut parts.merchants[0].accrued,
        &mut parts.figures.accrued,
        &mut parts.figures.closing,
    ] {
        *amount = money(amount.micros() + 150);
    }
    CommissionStatement::new(parts).unwrap()
}

#[test]
fn a_long_table_repeats_its_head_on_every_page() {
    let bytes = long().to_pdf().unwrap();
    if let Some(path) = std::env::var_os("HANSA_SHOW_PDF") {
        std::fs::write(path, &bytes).unwrap();
    }
    let pdf = Document::load_mem(&bytes).unwrap();
    let pages = u32::try_from(pdf.get_pages().len()).unwrap();
    assert!(pages > 4, "{pages}");
    let mut orders = 0;
    for page in 1..=pages {
        let text = pdf.extract_text(&[page]).unwrap();
        assert!(text.contains(&format!("Page {page} of {pages}")), "{text}");
        let here = text.matches("order-").count();
        assert!(
            here == 0 || text.contains("Order and merchant"),
            "no head on page {page}"
        );
        orders += here;
    }
    assert_eq!(orders, 150);
}

#[test]
fn the_first_page_says_what_is_owed_and_why() {
    let pdf = Document::load_mem(&document().to_pdf().unwrap()).unwrap();
    let first = pdf.extract_text(&[1]).unwrap();
    for expected in [
        "Commission statement",
        "Reiseblog Þórður GmbH",
        "+14.417751 EUR",
        "owed to you, when it is final",
        "Opening, the closing of the cycle before",
        "\u{2212}20.000000",
        "7.25\u{a0}% on 129.90, terms 2 row 1",
    ] {
        assert!(first.contains(expected), "{expected} in {first}");
    }
    assert_eq!(document().to_pdf().unwrap(), document().to_pdf().unwrap());
}
