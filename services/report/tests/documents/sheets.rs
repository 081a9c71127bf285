//! The workbook, read back.

use crate::march::{GOLDEN, Golden, drill_down_of_issue_a, long};
use calamine::{Data, Range, Reader, Xlsx};
use hansa_report::StatementDocument;
use std::io::Cursor;

fn read(bytes: Vec<u8>) -> Xlsx<Cursor<Vec<u8>>> {
    Xlsx::new(Cursor::new(bytes)).unwrap()
}

fn sheet(bytes: &[u8], name: &str) -> Range<Data> {
    read(bytes.to_vec()).worksheet_range(name).unwrap()
}

/// The texts and numbers of a row.
fn row(range: &Range<Data>, at: usize) -> Vec<String> {
    range
        .rows()
        .nth(at)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn the_golden_lines_are_in_the_workbook_as_numbers_and_exactly() {
    for golden in &GOLDEN {
        let document = golden.document();
        let lines = sheet(&document.to_xlsx().unwrap(), "Lines");
        let rows = lines
            .rows()
            .filter(|row| row[0] == Data::String("LINE".into()));
        for (row, line) in rows.zip(&document.parts().lines) {
            assert_eq!(row[1], Data::String(line.kind.code().into()));
            assert_eq!(row[8], Data::Float(line.points as f64));
            if line.information {
                assert_eq!((&row[9], &row[10]), (&Data::Empty, &Data::Empty));
                continue;
            }
            assert_eq!(row[10], Data::String(line.amount.decimal()));
            let Data::Float(number) = row[9] else {
                panic!("{row:?}");
            };
            assert_eq!(format!("{number:.6}"), line.amount.decimal());
        }
        let net = lines
            .rows()
            .find(|row| row[0] == Data::String("NET".into()));
        assert_eq!(
            net.unwrap()[10],
            Data::String(document.parts().net.decimal()),
            "{}",
            golden.name
        );
    }
}

#[test]
fn the_sheets_are_those_that_finance_asked_for() {
    let bytes = Golden::of("burn-t").document().to_xlsx().unwrap();
    assert_eq!(
        read(bytes.clone()).sheet_names(),
        ["Summary", "Lines", "Bilateral", "Messages"]
    );
    let bilateral = sheet(&bytes, "Bilateral");
    assert_eq!(
        row(&bilateral, 0),
        [
            "Section",
            "Counterparty id or kind",
            "Counterparty",
            "Messages",
            "Points",
            "Amount",
            "Amount (exact)"
        ]
    );
    assert_eq!(
        row(&bilateral, 2),
        [
            "BILATERAL",
            "A",
            "Apotheke am Markt GmbH",
            "2",
            "234",
            "1.872",
            "1.872000"
        ]
    );
    let summary = sheet(&bytes, "Summary");
    let text: Vec<String> = summary.rows().flatten().map(ToString::to_string).collect();
    for expected in [
        "Settlement statement, cycle 1, Tankstelle Sørensen & Søn",
        "-1.622010",
        "-0.002010",
        "c7cff2f61909c180",
    ] {
        assert!(text.iter().any(|cell| cell == expected), "{expected}");
    }
}

#[test]
fn the_drill_down_is_the_messages_sheet() {
    let mut parts = Golden::of("issue-a").parts();
    parts.drill_down = Some(drill_down_of_issue_a());
    let bytes = StatementDocument::new(parts).unwrap().to_xlsx().unwrap();
    let messages = sheet(&bytes, "Messages");
    assert_eq!(messages.height(), 8);
    assert_eq!(
        row(&messages, 2),
        [
            "18",
            "0",
            "05050505050505050505050505050505",
            "REDEMPTION_CAPTURE",
            "2026-03-09T09:01:00Z",
            "REDEMPTION",
            "",
            "",
            "",
            "2000",
            "-15.6",
            "-15.600000"
        ]
    );
}

#[test]
fn a_name_that_is_a_formula_stays_a_name() {
    let mut parts = Golden::of("issue-a").parts();
    let formula = "=HYPERLINK(\"http://example.com\",\"pay here\")";
    parts.merchant.name = formula.into();
    let bytes = StatementDocument::new(parts).unwrap().to_xlsx().unwrap();
    let summary = sheet(&bytes, "Summary");
    let cell = summary
        .rows()
        .flatten()
        .find(|cell| **cell == Data::String(formula.into()));
    assert!(cell.is_some());
    let formulas = read(bytes).worksheet_formula("Summary").unwrap();
    assert!(formulas.is_empty());
}

#[test]
fn the_same_workbook_gives_the_same_bytes() {
    let document = StatementDocument::new(long()).unwrap();
    let first = document.to_xlsx().unwrap();
    for _ in 0..5 {
        assert!(first == document.clone().to_xlsx().unwrap());
    }
}
