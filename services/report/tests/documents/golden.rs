//! The golden statements as files: what is committed is what comes out, to the byte.

use crate::march::{GOLDEN, Golden, drill_down_of_issue_a};
use hansa_report::StatementDocument;
use serde_json::Value;
use std::path::Path;

/// Compares with the committed file. `HANSA_GOLDEN=write` writes it instead, to be read before it is committed.
#[track_caller]
pub(crate) fn is_golden(name: &str, bytes: &[u8]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("HANSA_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&file, bytes).unwrap();
    }
    let golden = std::fs::read(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(
        golden == bytes,
        "{name} differs; the document is now:\n{}",
        String::from_utf8_lossy(bytes)
    );
}

#[test]
fn golden_statements_as_json() {
    for golden in &GOLDEN {
        let json = golden.document().to_json().unwrap();
        is_golden(&format!("statement-{}.json", golden.name), &json);
    }
}

#[test]
fn golden_statements_as_csv() {
    for golden in &GOLDEN {
        let csv = golden.document().to_csv().unwrap();
        is_golden(&format!("statement-{}.csv", golden.name), &csv);
    }
}

#[test]
fn the_drill_down_stands_at_the_end() {
    let mut parts = Golden::of("issue-a").parts();
    let without = StatementDocument::new(parts.clone()).unwrap();
    parts.drill_down = Some(drill_down_of_issue_a());
    let document = StatementDocument::new(parts).unwrap();
    let csv = document.to_csv().unwrap();
    assert!(csv.starts_with(&without.to_csv().unwrap()));
    is_golden("statement-issue-a-messages.csv", &csv);
    is_golden(
        "statement-issue-a-messages.json",
        &document.to_json().unwrap(),
    );
}

#[test]
fn the_json_says_what_the_design_says() {
    let figures = |name: &str| {
        let json = Golden::of(name).document().to_json().unwrap();
        let json: Value = serde_json::from_slice(&json).unwrap();
        let statement = &json["statement"];
        let decimal = |amount: &Value| amount["decimal"].as_str().unwrap().to_owned();
        (
            decimal(&statement["net"]),
            decimal(&statement["payments"][0]["amount"]),
            decimal(&statement["carried_forward"]),
        )
    };
    for (name, net, paid, carried) in [
        ("issue-a", "-3.442775", "-3.440000", "-0.002775"),
        ("issue-f", "4.078793", "4.080000", "-0.001207"),
        ("issue-t", "-1.622010", "-1.620000", "-0.002010"),
        ("burn-a", "-3.442775", "-3.440000", "-0.002775"),
        ("burn-f", "9.340000", "9.340000", "0.000000"),
        ("burn-t", "-1.622010", "-1.620000", "-0.002010"),
    ] {
        assert_eq!(
            figures(name),
            (net.into(), paid.into(), carried.into()),
            "{name}"
        );
    }
}

#[test]
fn the_same_document_gives_the_same_bytes() {
    for golden in &GOLDEN {
        let (once, again) = (golden.document(), golden.document());
        assert_eq!(once.to_json().unwrap(), again.to_json().unwrap());
        assert_eq!(once.to_csv().unwrap(), again.to_csv().unwrap());
    }
}
