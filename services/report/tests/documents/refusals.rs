//! A statement that contradicts itself is refused, with the figures that differ.

use crate::march::{Golden, drill_down_of_issue_a, money};
use hansa_report::*;
use proptest::prelude::*;

fn refused(change: impl FnOnce(&mut StatementParts)) -> String {
    let mut parts = Golden::of("burn-f").parts();
    change(&mut parts);
    StatementDocument::new(parts).unwrap_err().to_string()
}

fn adjustment(second: &str) -> Adjustment {
    let approval = |by: &str| Approval {
        by: by.into(),
        at: crate::march::at("2026-03-30T09:00:00Z"),
    };
    Adjustment {
        id: "adj-1".into(),
        reason: LineKind::new("DISPUTE_ACCEPTED"),
        note: "=1+1".into(),
        original: OriginalRef {
            cycle: 0,
            line: Some(LineKind::new("POINTS_CONSUMED")),
            ..OriginalRef::default()
        },
        counterparty: None,
        points: 0,
        amount: money(-80_000),
        approvals: [approval("ida"), approval(second)],
    }
}

/// Adds an adjustment with its line, and all that follows.
fn adjust(parts: &mut StatementParts, second: &str) {
    let adjustment = adjustment(second);
    let less = |amount: Amount| money(amount.micros() + adjustment.amount.micros());
    parts.lines.push(StatementLine {
        kind: LineKind::new("ADJUSTMENT"),
        counterparty: None,
        late: false,
        information: false,
        count: 1,
        points: 0,
        amount: adjustment.amount,
    });
    parts.messages.push(MessageTotal {
        kind: LineKind::new("ADJUSTMENT"),
        count: 1,
        amount: adjustment.amount,
    });
    parts.bilateral[0].amount = less(parts.bilateral[0].amount);
    parts.net = less(parts.net);
    parts.adjustments.push(adjustment);
}

#[test]
fn lines_that_are_not_the_net() {
    assert_eq!(
        refused(|parts| parts.lines[0].amount = money(668_001)),
        "the lines add up to 9.340001, the net is 9.340000"
    );
}

#[test]
fn bilateral_nets_that_are_not_the_net() {
    assert_eq!(
        refused(|parts| {
            parts.bilateral.pop();
        }),
        "the bilateral nets add up to 5.340000, the net is 9.340000"
    );
}

#[test]
fn messages_that_are_not_the_net() {
    assert_eq!(
        refused(|parts| parts.messages[0].amount = money(1)),
        "the messages add up to 8.272001, the net is 9.340000"
    );
}

#[test]
fn promotions_that_are_not_their_lines() {
    assert_eq!(
        refused(|parts| parts.promotions[0].points = 199),
        "shares of promotions add up to 0.400000 and 199 points, their lines to 0.400000 and 200 points"
    );
}

#[test]
fn what_is_carried_forward_must_be_what_is_left() {
    assert_eq!(
        refused(|parts| parts.brought_forward = money(-2_775)),
        "brought forward -0.002775 + net 9.340000 + holdbacks 0.000000 - payments 9.340000 leaves -0.002775, the statement carries 0.000000 forward"
    );
}

#[test]
fn adjustments_and_holdbacks_count() {
    let mut parts = Golden::of("burn-f").parts();
    adjust(&mut parts, "jo");
    parts.holdbacks.push(Holdback {
        id: "hold-1".into(),
        reason: LineKind::new("FRAUD_RESERVE"),
        amount: money(30_000),
        release_on: None,
    });
    assert!(StatementDocument::new(parts.clone()).is_err());
    parts.payments[0].amount = money(9_290_000);
    let document = StatementDocument::new(parts).unwrap();
    assert_eq!(document.payable(), money(9_290_000));
    assert_eq!(document.paid(), money(9_290_000));
    let csv = String::from_utf8(document.to_csv().unwrap()).unwrap();
    let line = csv
        .lines()
        .find(|line| line.contains(",EUR,ADJUSTMENT,"))
        .unwrap();
    assert!(
        line.contains("-0.080000") && line.contains("approved by ida and jo"),
        "{line}"
    );
}

#[test]
fn adjustments_that_are_not_their_lines() {
    assert_eq!(
        refused(|parts| {
            adjust(parts, "jo");
            parts.adjustments[0].amount = money(-79_000);
        }),
        "adjustments with \"\" add up to -0.079000, their lines to -0.080000"
    );
}

#[test]
fn causes_that_are_not_what_is_brought_forward() {
    assert_eq!(
        refused(|parts| {
            parts.opening.push(OpeningItem {
                cause: LineKind::new("RESIDUE"),
                reference: "cycle 1".into(),
                amount: money(-1),
            });
        }),
        "what is brought forward adds up to -0.000001 by cause, the statement says 0.000000"
    );
}

#[test]
fn an_adjustment_needs_two_people() {
    let same = refused(|parts| {
        adjust(parts, "ida");
        parts.carried_forward = money(-80_000);
    });
    assert_eq!(
        same,
        "adjustment \"adj-1\" was approved twice by \"ida\"; it needs two different people"
    );
}

#[test]
fn payments_are_whole_cents_and_never_nothing() {
    let fraction = refused(|parts| parts.payments[0].amount = money(9_335_000));
    assert_eq!(
        fraction,
        "a payment of 9.335000 is no whole number of the currency's minor unit"
    );
    let nothing = refused(|parts| parts.payments[0].amount = Amount::ZERO);
    assert_eq!(nothing, "a payment of nothing; leave it out");
}

#[test]
fn nothing_stands_twice() {
    let line = refused(|parts| {
        let line = parts.lines[2].clone();
        parts.lines.push(line);
    });
    assert_eq!(
        line,
        "line POINTS_CONSUMED with \"A\" stands twice; add the two up"
    );
    let net = refused(|parts| {
        let mut net = parts.bilateral[1].clone();
        net.amount = Amount::ZERO;
        parts.bilateral.push(net);
    });
    assert_eq!(net, "counterparty \"A\" stands twice");
}

#[test]
fn lines_for_information_carry_no_money() {
    let refused = refused(|parts| parts.lines[0].information = true);
    assert_eq!(
        refused,
        "line BASE_FEE is for information and carries 0.668000; it must carry no money"
    );
}

#[test]
fn a_closed_cycle_has_its_proof_and_an_open_one_needs_none() {
    assert!(refused(|parts| parts.proof = None).contains("no proof"));
    let mut parts = Golden::of("burn-f").parts();
    parts.state = CycleState::Open;
    parts.proof = None;
    parts.period.closes_at = None;
    assert!(StatementDocument::new(parts).is_ok());
}

#[test]
fn a_name_is_one_line_and_a_code_is_a_code() {
    let name = refused(|parts| parts.merchant.name = "two\nlines".into());
    assert!(name.contains("merchant name has a control character"));
    let code = refused(|parts| parts.lines[0].kind = LineKind::new("=cmd"));
    assert!(code.starts_with("\"=cmd\" is no code"));
}

#[test]
fn a_drill_down_explains_every_line_to_the_point() {
    let with = |rows: Vec<MessageRow>| {
        let mut parts = Golden::of("issue-a").parts();
        parts.drill_down = Some(rows);
        StatementDocument::new(parts)
    };
    assert!(with(drill_down_of_issue_a()).is_ok());

    let mut rows = drill_down_of_issue_a();
    rows.pop();
    assert_eq!(
        with(rows).unwrap_err().to_string(),
        "rows of line DEBT_SETTLED with \"\" add up to 0.000000 and 0 points, the line says 0.000000 and 100 points"
    );

    let mut rows = drill_down_of_issue_a();
    rows[0].line = LineKind::new("REDEMPTION");
    assert!(matches!(with(rows), Err(StatementError::DrillDown { .. })));
}

#[test]
fn a_sum_beyond_the_range_is_refused() {
    let error = refused(|parts| {
        parts.lines[0].amount = money(i64::MAX);
        parts.lines[1].amount = money(i64::MAX);
    });
    assert!(error.contains("more than a document can carry"), "{error}");
}

proptest! {
    /// Whatever one figure is changed by, the document notices.
    #[test]
    fn no_single_wrong_figure_passes(which in 0_usize..16, by in prop_oneof![-1_000_000_i64..0, 1_i64..1_000_000]) {
        let mut parts = Golden::of("burn-f").parts();
        let (lines, nets, messages) = (parts.lines.len(), parts.bilateral.len(), parts.messages.len());
        let figure = match which {
            i if i < lines => &mut parts.lines[i].amount,
            i if i < lines + nets => &mut parts.bilateral[i - lines].amount,
            i if i < lines + nets + messages => &mut parts.messages[i - lines - nets].amount,
            i if i == lines + nets + messages => &mut parts.net,
            i if i == lines + nets + messages + 1 => &mut parts.carried_forward,
            _ => &mut parts.brought_forward,
        };
        *figure = money(figure.micros() + by);
        prop_assert!(StatementDocument::new(parts).is_err());
    }
}
