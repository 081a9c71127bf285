//! Finance in words: what a proposal would do, who pays whom, where things stand.

use std::fmt::Write as _;

use hansa_proto::v1::{self, action::Action as A};

use crate::cli::render;

/// A merchant, or the hub.
pub(crate) fn party(merchant_id: &str) -> &str {
    if merchant_id.is_empty() {
        "the hub"
    } else {
        merchant_id
    }
}

/// `MULTILATERAL`.
pub(crate) fn method(method: v1::NettingMethod) -> &'static str {
    render::name(method.as_str_name(), "NETTING_METHOD_")
}

/// `SUBMITTED`.
pub(crate) fn payment_state(payment: &v1::Payment) -> &'static str {
    render::name(payment.state().as_str_name(), "PAYMENT_STATE_")
}

/// `PENDING`.
pub(crate) fn proposal_state(proposal: &v1::Proposal) -> &'static str {
    render::name(proposal.state().as_str_name(), "PROPOSAL_STATE_")
}

/// `OPEN`.
pub(crate) fn exception_state(exception: &v1::ReconciliationException) -> &'static str {
    render::name(exception.state().as_str_name(), "EXCEPTION_STATE_")
}

/// `RAISED`.
pub(crate) fn dispute_state(dispute: &v1::Dispute) -> &'static str {
    render::name(dispute.state().as_str_name(), "DISPUTE_STATE_")
}

/// `LATE_MESSAGE`.
pub(crate) fn adjustment_reason(adjustment: &v1::Adjustment) -> &'static str {
    render::name(adjustment.reason().as_str_name(), "ADJUSTMENT_REASON_")
}

/// What an adjustment or a dispute is over: `cycle 3, entry 17 message 2, line REDEMPTION`.
pub(crate) fn original(original: &v1::OriginalReference) -> String {
    let mut parts = Vec::new();
    if original.cycle_number != 0 {
        parts.push(format!("cycle {}", original.cycle_number));
    }
    if let Some(leaf) = original.leaf_index {
        parts.push(format!("entry {leaf} message {}", original.entry_position));
    }
    if !original.line_kind.is_empty() {
        parts.push(format!("line {}", original.line_kind));
    }
    parts.join(", ")
}

/// What a proposal would do.
pub(crate) fn action(action: Option<&v1::Action>, currency: &str) -> String {
    let money = |micros| render::amount(micros, currency);
    let Some(action) = action.and_then(|action| action.action.as_ref()) else {
        return "nothing".to_owned();
    };
    match action {
        A::SettleCycle(settle) => settle_text(settle, currency),
        A::AbortSettlement(abort) => {
            format!("abort the settlement of cycle {}", abort.cycle_number)
        }
        A::Adjustment(adjustment) => adjustment_text(adjustment, currency),
        A::ReinstructPayment(payment) => {
            format!("instruct payment {} again", payment.payment_number)
        }
        A::CarryForwardPayment(payment) => format!(
            "bring payment {} forward into the next settlement",
            payment.payment_number
        ),
        A::PostReconciliation(post) => {
            format!("post what bank report {} confirmed", post.report_number)
        }
        A::MatchException(found) => {
            let numbers: Vec<String> = found.payment_numbers.iter().map(u64::to_string).collect();
            format!(
                "match exception {} with payment {}",
                found.exception_number,
                numbers.join(", ")
            )
        }
        A::ReleaseHoldback(release) => format!(
            "release {} held back from {}",
            money(release.amount_micros),
            release.merchant_id
        ),
        A::DeclareDefault(default) => format!(
            "declare {} in default with {}",
            default.merchant_id,
            money(default.amount_micros)
        ),
        A::PrepaidPack(pack) => format!(
            "{} has paid {} ahead ({})",
            pack.merchant_id,
            money(pack.amount_micros),
            pack.reference
        ),
        A::PrefundPoints(prefund) => {
            format!("{} pays for its open points", prefund.merchant_id)
        }
    }
}

fn settle_text(settle: &v1::SettleCycle, currency: &str) -> String {
    let mut text = format!(
        "settle cycle {} {}",
        settle.cycle_number,
        method(settle.method())
    );
    if settle.bilateral_first {
        text += ", pairs set off first";
    }
    if !settle.without_merchant_ids.is_empty() {
        let _ = write!(text, ", without {}", settle.without_merchant_ids.join(", "));
    }
    for holdback in &settle.holdbacks {
        let _ = write!(
            text,
            ", holding back {} from {} ({})",
            render::amount(holdback.amount_micros, currency),
            holdback.merchant_id,
            holdback.reason
        );
    }
    if !settle.execution_date.is_empty() {
        let _ = write!(text, ", executed on {}", settle.execution_date);
    }
    if settle.accept_cap_breach {
        text += ", although caps are exceeded";
    }
    text
}

fn adjustment_text(adjustment: &v1::Adjustment, currency: &str) -> String {
    let direction = if adjustment.amount_micros < 0 {
        "less"
    } else {
        "more"
    };
    // The smallest number has no positive counterpart; no adjustment comes near it.
    let magnitude = adjustment.amount_micros.saturating_abs();
    let mut text = format!(
        "{} owes {} {direction}, against {}: {}",
        adjustment.merchant_id,
        render::amount(magnitude, currency),
        party(&adjustment.counterparty_merchant_id),
        adjustment_reason(adjustment)
    );
    let mut links = Vec::new();
    if let Some(reference) = &adjustment.original {
        links.push(original(reference));
    }
    if adjustment.dispute_number != 0 {
        links.push(format!("dispute {}", adjustment.dispute_number));
    }
    if adjustment.exception_number != 0 {
        links.push(format!("exception {}", adjustment.exception_number));
    }
    if adjustment.query_number != 0 {
        links.push(format!("query {}", adjustment.query_number));
    }
    links.retain(|link| !link.is_empty());
    if !links.is_empty() {
        let _ = write!(text, " ({})", links.join(", "));
    }
    text
}

/// Who made it, when and why; who decided.
pub(crate) fn proposal(proposal: &v1::Proposal, currency: &str) -> String {
    let mut text = format!(
        "Proposal {}, {}: {}\nmade by {} at {}: {}\n",
        proposal.proposal_number,
        proposal_state(proposal).to_lowercase(),
        action(proposal.action.as_ref(), currency),
        proposal.maker,
        render::instant(proposal.made_at.as_ref()),
        proposal.reason,
    );
    if !proposal.checker.is_empty() {
        let _ = writeln!(
            text,
            "{} by {} at {}: {}",
            proposal_state(proposal).to_lowercase(),
            proposal.checker,
            render::instant(proposal.decided_at.as_ref()),
            proposal.decision_reason
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(action_: A) -> String {
        action(
            Some(&v1::Action {
                action: Some(action_),
            }),
            "EUR",
        )
    }

    #[test]
    fn every_action_reads_as_a_sentence() {
        let settle = v1::SettleCycle {
            cycle_number: 3,
            method: v1::NettingMethod::Multilateral.into(),
            bilateral_first: true,
            without_merchant_ids: vec!["late".into()],
            holdbacks: vec![v1::Holdback {
                merchant_id: "bakery".into(),
                amount_micros: 5_000_000,
                reason: "returns".into(),
            }],
            execution_date: "2026-04-03".into(),
            accept_cap_breach: true,
        };
        assert_eq!(
            said(A::SettleCycle(settle)),
            "settle cycle 3 MULTILATERAL, pairs set off first, without late, holding back 5.00 EUR from bakery \
             (returns), executed on 2026-04-03, although caps are exceeded"
        );
        let adjustment = v1::Adjustment {
            merchant_id: "bakery".into(),
            amount_micros: -1_250_000,
            reason: v1::AdjustmentReason::Dispute.into(),
            original: Some(v1::OriginalReference {
                cycle_number: 2,
                leaf_index: Some(17),
                entry_position: 4,
                line_kind: "REDEMPTION".into(),
            }),
            dispute_number: 9,
            ..v1::Adjustment::default()
        };
        assert_eq!(
            said(A::Adjustment(adjustment)),
            "bakery owes 1.25 EUR less, against the hub: DISPUTE (cycle 2, entry 17 message 4, line REDEMPTION, dispute 9)"
        );
        let matched = v1::MatchException {
            exception_number: 2,
            payment_numbers: vec![4, 5],
        };
        assert_eq!(
            said(A::MatchException(matched)),
            "match exception 2 with payment 4, 5"
        );
        assert_eq!(action(None, "EUR"), "nothing");
    }
}
