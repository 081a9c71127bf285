//! Finance as JSON: the contract's field names, see [`crate::cli::render`].

use hansa_client::keys::hex;
use hansa_proto::v1::{self, action::Action as A};
use serde_json::{Value, json};

use super::words;
use crate::cli::{cycle::position_json, render};

/// Whether there is another page is the command's own business: it reads all.
pub(crate) fn list<T>(name: &str, items: &[T], of: impl Fn(&T) -> Value) -> Value {
    json!({ name: items.iter().map(of).collect::<Vec<_>>() })
}

pub(crate) fn action(action: Option<&v1::Action>) -> Value {
    let Some(action) = action.and_then(|action| action.action.as_ref()) else {
        return Value::Null;
    };
    match action {
        A::SettleCycle(settle) => json!({ "settle_cycle": settle_json(settle) }),
        A::AbortSettlement(abort) => {
            json!({ "abort_settlement": { "cycle_number": abort.cycle_number } })
        }
        A::Adjustment(adjustment) => json!({ "adjustment": adjustment_json(adjustment) }),
        A::ReinstructPayment(again) => {
            json!({ "reinstruct_payment": { "payment_number": again.payment_number } })
        }
        A::CarryForwardPayment(carry) => {
            json!({ "carry_forward_payment": { "payment_number": carry.payment_number } })
        }
        A::PostReconciliation(post) => {
            json!({ "post_reconciliation": { "report_number": post.report_number } })
        }
        A::MatchException(found) => json!({ "match_exception": {
            "exception_number": found.exception_number,
            "payment_numbers": found.payment_numbers,
        }}),
        A::ReleaseHoldback(release) => json!({ "release_holdback": {
            "merchant_id": release.merchant_id,
            "amount_micros": release.amount_micros,
        }}),
        A::DeclareDefault(default) => json!({ "declare_default": {
            "merchant_id": default.merchant_id,
            "amount_micros": default.amount_micros,
        }}),
        A::PrepaidPack(pack) => json!({ "prepaid_pack": {
            "merchant_id": pack.merchant_id,
            "amount_micros": pack.amount_micros,
            "reference": pack.reference,
        }}),
        A::PrefundPoints(prefund) => json!({ "prefund_points": {
            "merchant_id": prefund.merchant_id,
        }}),
    }
}

fn settle_json(settle: &v1::SettleCycle) -> Value {
    let holdback = |holdback: &v1::Holdback| {
        json!({
            "merchant_id": holdback.merchant_id,
            "amount_micros": holdback.amount_micros,
            "reason": holdback.reason,
        })
    };
    json!({
        "cycle_number": settle.cycle_number,
        "method": words::method(settle.method()),
        "bilateral_first": settle.bilateral_first,
        "without_merchant_ids": settle.without_merchant_ids,
        "holdbacks": settle.holdbacks.iter().map(holdback).collect::<Vec<_>>(),
        "execution_date": settle.execution_date,
        "accept_cap_breach": settle.accept_cap_breach,
    })
}

fn adjustment_json(adjustment: &v1::Adjustment) -> Value {
    json!({
        "merchant_id": adjustment.merchant_id,
        "counterparty_merchant_id": adjustment.counterparty_merchant_id,
        "amount_micros": adjustment.amount_micros,
        "reason": words::adjustment_reason(adjustment),
        "original": original(adjustment.original.as_ref()),
        "dispute_number": adjustment.dispute_number,
        "exception_number": adjustment.exception_number,
        "query_number": adjustment.query_number,
    })
}

pub(crate) fn original(original: Option<&v1::OriginalReference>) -> Value {
    original.map_or(Value::Null, |original| {
        json!({
            "cycle_number": original.cycle_number,
            "leaf_index": original.leaf_index,
            "entry_position": original.entry_position,
            "line_kind": original.line_kind,
        })
    })
}

pub(crate) fn proposal(proposal: &v1::Proposal) -> Value {
    json!({
        "proposal_number": proposal.proposal_number,
        "action": action(proposal.action.as_ref()),
        "state": words::proposal_state(proposal),
        "reason": proposal.reason,
        "maker": proposal.maker,
        "made_at": render::json_instant(proposal.made_at.as_ref()),
        "checker": proposal.checker,
        "decided_at": render::json_instant(proposal.decided_at.as_ref()),
        "decision_reason": proposal.decision_reason,
        "leaf_index": proposal.leaf_index,
        "decision_leaf_index": proposal.decision_leaf_index,
    })
}

pub(crate) fn payment(payment: &v1::Payment) -> Value {
    json!({
        "payment_number": payment.payment_number,
        "cycle_number": payment.cycle_number,
        "payer_merchant_id": payment.payer_merchant_id,
        "payee_merchant_id": payment.payee_merchant_id,
        "amount_micros": payment.amount_micros,
        "state": words::payment_state(payment),
        "end_to_end_id": payment.end_to_end_id,
        "payee_account": payment.payee_account,
        "replaces_payment_number": payment.replaces_payment_number,
        "bank_reason": payment.bank_reason,
        "state_at": render::json_instant(payment.state_at.as_ref()),
    })
}

pub(crate) fn comparison(response: &v1::CompareNettingResponse) -> Value {
    let method = |line: &v1::NettingComparison| {
        json!({
            "method": words::method(line.method()),
            "payment_value_micros": line.payment_value_micros,
            "payments": line.payments,
            "new_relations": line.new_relations,
            "liquidity_micros": line.liquidity_micros,
            "cleared_micros": line.cleared_micros,
        })
    };
    json!({
        "gross_micros": response.gross_micros,
        "net_internal_debt_micros": response.net_internal_debt_micros,
        "methods": response.methods.iter().map(method).collect::<Vec<_>>(),
    })
}

pub(crate) fn preview(preview: &v1::PreviewSettlementResponse) -> Value {
    let position = |position: &v1::SettlementPosition| {
        json!({
            "merchant_id": position.merchant_id,
            "position": position.position.as_ref().map(position_json),
            "held_back_micros": position.held_back_micros,
            "exposure_before_micros": position.exposure_before_micros,
            "exposure_after_micros": position.exposure_after_micros,
            "limit_micros": position.limit_micros,
        })
    };
    json!({
        "positions": preview.positions.iter().map(position).collect::<Vec<_>>(),
        "payments": preview.payments.iter().map(payment).collect::<Vec<_>>(),
        "warnings": preview.warnings,
        "blockers": preview.blockers,
    })
}

pub(crate) fn exception(exception: &v1::ReconciliationException) -> Value {
    let difference = |difference: &v1::FieldDifference| {
        json!({
            "field": difference.field,
            "expected": difference.expected,
            "found": difference.found,
        })
    };
    json!({
        "exception_number": exception.exception_number,
        "report_number": exception.report_number,
        "entry_number": exception.entry_number,
        "payment_number": exception.payment_number,
        "description": exception.description,
        "differences": exception.differences.iter().map(difference).collect::<Vec<_>>(),
        "state": words::exception_state(exception),
        "resolution": exception.resolution,
        "resolved_by": exception.resolved_by,
    })
}

pub(crate) fn report(report: &v1::BankReport) -> Value {
    let entry = |entry: &v1::BankEntry| {
        json!({
            "entry_number": entry.entry_number,
            "bank_reference": entry.bank_reference,
            "amount_micros": entry.amount_micros,
            "booking_date": entry.booking_date,
            "end_to_end_id": entry.end_to_end_id,
            "counterparty_name": entry.counterparty_name,
            "counterparty_account": entry.counterparty_account,
            "remittance": entry.remittance,
            "is_return": entry.is_return,
            "reason": entry.reason,
        })
    };
    let status = |status: &v1::BankStatus| {
        json!({
            "payment_number": status.payment_number,
            "state": render::name(status.state().as_str_name(), "PAYMENT_STATE_"),
            "reason": status.reason,
        })
    };
    let matched = |matched: &v1::BankMatch| {
        json!({
            "payment_numbers": matched.payment_numbers,
            "entry_numbers": matched.entry_numbers,
            "is_return": matched.is_return,
        })
    };
    json!({
        "report_number": report.report_number,
        "format": render::name(report.format().as_str_name(), "BANK_REPORT_FORMAT_"),
        "file_name": report.file_name,
        "sha256": hex(&report.sha256),
        "message_id": report.message_id,
        "account": report.account,
        "opening_micros": report.opening_micros,
        "closing_micros": report.closing_micros,
        "entries": report.entries.iter().map(entry).collect::<Vec<_>>(),
        "statuses": report.statuses.iter().map(status).collect::<Vec<_>>(),
        "matches": report.matches.iter().map(matched).collect::<Vec<_>>(),
        "exceptions": report.exceptions.iter().map(exception).collect::<Vec<_>>(),
        "imported_at": render::json_instant(report.imported_at.as_ref()),
        "imported_by": report.imported_by,
        "posted": report.posted,
    })
}

pub(crate) fn risk(line: &v1::RiskLine) -> Value {
    json!({
        "merchant_id": line.merchant_id,
        "clearing_micros": line.clearing_micros,
        "pending_micros": line.pending_micros,
        "burn_micros": line.burn_micros,
        "exposure_micros": line.exposure_micros,
        "cap_micros": line.cap_micros,
        "collateral_micros": line.collateral_micros,
        "held_back_micros": line.held_back_micros,
        "brought_forward_micros": line.brought_forward_micros,
        "used_bps": line.used_bps,
        "warning_bps": line.warning_bps,
    })
}

pub(crate) fn event(event: &v1::AuditEvent) -> Value {
    json!({
        "leaf_index": event.leaf_index,
        "at": render::json_instant(event.at.as_ref()),
        "actor": event.actor,
        "event": event.event,
        "description": event.description,
    })
}

/// Attachments, without content.
pub(crate) fn evidence(evidence: &[v1::Evidence]) -> Value {
    let one = |evidence: &v1::Evidence| {
        json!({
            "file_name": evidence.file_name,
            "media_type": evidence.media_type,
            "sha256": hex(&evidence.sha256),
            "size": evidence.size,
        })
    };
    evidence.iter().map(one).collect()
}

pub(crate) fn dispute(dispute: &v1::Dispute) -> Value {
    json!({
        "dispute_number": dispute.dispute_number,
        "merchant_id": dispute.merchant_id,
        "original": original(dispute.original.as_ref()),
        "claimed_micros": dispute.claimed_micros,
        "text": dispute.text,
        "evidence": evidence(&dispute.evidence),
        "state": words::dispute_state(dispute),
        "deadline": render::json_instant(dispute.deadline.as_ref()),
        "answer": dispute.answer,
        "answered_by": dispute.answered_by,
        "proposal_number": dispute.proposal_number,
        "raised_at": render::json_instant(dispute.raised_at.as_ref()),
        "upheld": dispute.upheld,
        "ruled_by": dispute.ruled_by,
    })
}
