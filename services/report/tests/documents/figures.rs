//! What a reader checks with the document alone: everything is added up again, and the form is compared.

use crate::march::{GOLDEN, Golden, drill_down_of_issue_a, long, quiet};
use hansa_report::*;

fn refused(json: &str, from: &str, to: &str) -> String {
    let changed = json.replacen(from, to, 1);
    assert_ne!(changed, json, "{from} is not in the document");
    Figures::check(changed.as_bytes()).unwrap_err().to_string()
}

#[test]
fn every_statement_reads_back_as_itself() {
    let mut all: Vec<StatementParts> = GOLDEN.iter().map(Golden::parts).collect();
    all.extend([long(), quiet()]);
    all[0].drill_down = Some(drill_down_of_issue_a());
    for parts in all {
        let document = StatementDocument::new(parts).unwrap();
        let json = document.to_json().unwrap();
        assert_eq!(StatementDocument::from_json(&json).unwrap(), document);
        let attached = attached_json(&document.to_pdf().unwrap()).unwrap();
        let Figures::Statement { net, .. } = Figures::check(&attached).unwrap() else {
            panic!("a statement is a statement");
        };
        assert_eq!(net, document.parts().net);
    }
}

#[test]
fn a_changed_figure_is_named() {
    let json = Golden::of("issue-a").document().to_json().unwrap();
    let json = String::from_utf8(json).unwrap();
    assert_eq!(
        refused(
            &json,
            "\"micros\": 14373225,\n          \"decimal\": \"14.373225\"",
            "\"micros\": 14373226,\n          \"decimal\": \"14.373226\""
        ),
        "the lines add up to -3.442774, the net is -3.442775"
    );
    let two = refused(&json, "\"micros\": 14373225", "\"micros\": 14373226");
    assert!(two.contains("14373226 micro-units are written as"), "{two}");
    // A total that nothing is computed from, and a space.
    let total = refused(
        &json,
        "\"totals\": {\n    \"adjustments\": {\n      \"micros\": 0",
        "\"totals\": {\n    \"adjustments\": {\n      \"micros\": 1",
    );
    assert!(
        total.contains("differs from how this document is written"),
        "{total}"
    );
    assert!(refused(&json, "\"cycle\": 1", "\"cycle\":  1").contains("differs"));
    let unknown = refused(&json, "hansa.statement.v1", "hansa.statement.v9");
    assert_eq!(
        unknown,
        "a document of schema \"hansa.statement.v9\" is not known here"
    );
    assert!(Figures::check(b"{").is_err());
    assert!(attached_json(b"%PDF-1.7").is_err());
}

#[test]
fn liability_and_ledger_read_back_too() {
    let report = LiabilityReport::new(crate::liability::march()).unwrap();
    let json = report.to_json().unwrap();
    assert_eq!(LiabilityReport::from_json(&json).unwrap(), report);
    let text = String::from_utf8(json).unwrap();
    let deferred = format!(
        "\"deferred\": {{\n      \"micros\": {}",
        report.totals().deferred.micros()
    );
    let changed = refused(&text, &deferred, "\"deferred\": {\n      \"micros\": 1");
    assert!(
        changed.contains("differs from how this document is written"),
        "{changed}"
    );

    let export = crate::ledger::export(crate::ledger::march()).unwrap();
    let json = export.to_json().unwrap();
    let Figures::Ledger {
        documents,
        lines,
        debits,
    } = Figures::check(&json).unwrap()
    else {
        panic!("a ledger is a ledger");
    };
    let totals = *export.totals();
    assert_eq!(
        (documents, lines, debits),
        (totals.documents, totals.lines, totals.debits)
    );
    let text = String::from_utf8(json).unwrap();
    let line = "\"account\": \"2100\",\n      \"account_name\": \"Points reserve\",";
    let changed = refused(
        &text,
        line,
        "\"account\": \"4100\",\n      \"account_name\": \"Points reserve\",",
    );
    assert!(changed.contains("does not add up"), "{changed}");
}
