//! Statuses and instructions.

use hansa_bank::{BankReport, Expected, Outcome, match_report};

use super::{F, golden, pay, sample};

/// Statuses of a sample in lines.
fn statuses(expected: &[Expected], name: &str) -> Vec<String> {
    lines(expected, &sample(name))
}

fn lines(expected: &[Expected], report: &BankReport) -> Vec<String> {
    let matching = match_report(expected, report);
    assert!(
        matching.unmatched_expected.is_empty(),
        "a status report books nothing"
    );
    let matched = matching.statuses.iter().map(|found| {
        let status = &report.statuses[found.status];
        format!(
            "{:?} {} {:?}: {}",
            status.level,
            status.code,
            found.outcome,
            found.instructions.join(" ")
        )
    });
    let open = matching.unmatched_statuses.iter().map(|open| {
        let status = &report.statuses[open.status];
        let differences: Vec<_> = open
            .differences
            .iter()
            .map(|d| format!("{} / {}", d.expected, d.found))
            .collect();
        format!(
            "open {:?} {}: {:?} {}",
            status.level,
            status.code,
            open.reason,
            differences.join(" ")
        )
    });
    matched.chain(open).collect()
}

#[test]
fn the_nearest_status_of_an_instruction_counts() {
    assert_eq!(
        statuses(&golden(), "pain002-03.xml"),
        [
            "Group PART Partial: ",
            "Transaction ACSP Accepted: 2026-03-A",
            "Transaction RJCT Rejected: 2026-03-T",
        ]
    );
    assert_eq!(
        statuses(&golden(), "pain002-12-group.xml"),
        ["Group RJCT Rejected: 2026-03-A 2026-03-T"]
    );
    let mut three = golden();
    three.push(pay("B", 100, F));
    assert_eq!(
        statuses(&three, "pain002-14-payment.xml"),
        [
            "Payment PDNG Pending: 2026-03-B",
            "Transaction PDNG Pending: 2026-03-A",
            "Transaction BLCK Unknown: 2026-03-T",
        ]
    );
    assert_eq!(
        Outcome::Unknown,
        hansa_bank::StatusCode::Other("BLCK".to_owned()).outcome()
    );
}

#[test]
fn statuses_of_other_messages_or_amounts_stay_open() {
    let mut other = golden();
    for expected in &mut other {
        expected.message_id = Some("HANSA-2026-04".to_owned());
    }
    assert_eq!(
        statuses(&other, "pain002-03.xml"),
        [
            "open Group PART: Unknown ",
            "open Transaction ACSP: Unknown ",
            "open Transaction RJCT: Unknown ",
        ]
    );
    let mut less = golden();
    less[1].amount_minor = 161;
    assert_eq!(
        statuses(&less, "pain002-03.xml"),
        [
            "Group PART Partial: ",
            "Transaction ACSP Accepted: 2026-03-A",
            "open Transaction RJCT: Differs 1.61 / 1.62",
        ]
    );
}

#[test]
fn two_statuses_of_one_payment_hold_for_neither() {
    let mut report = sample("pain002-03.xml");
    let mut second = report.statuses[1].clone();
    second.code = hansa_bank::StatusCode::Rjct;
    report.statuses.push(second);
    assert_eq!(
        lines(&golden(), &report),
        [
            "Group PART Partial: ",
            "Transaction RJCT Rejected: 2026-03-T",
            "open Transaction ACSP: Ambiguous ",
            "open Transaction RJCT: Ambiguous ",
        ]
    );
}

#[test]
fn a_status_of_the_block_stands_before_that_of_the_message() {
    let mut report = sample("pain002-14-payment.xml");
    report.statuses.truncate(1);
    report
        .statuses
        .push(sample("pain002-12-group.xml").statuses.remove(0));
    assert_eq!(
        lines(&golden(), &report),
        [
            "Payment PDNG Pending: 2026-03-A 2026-03-T",
            "Group RJCT Rejected: "
        ]
    );
}
