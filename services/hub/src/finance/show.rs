//! Showing: the ledger's nouns of finance as the contract has them.

use hansa_proto::v1::{self, action::Action as A};
use hansa_settlement::{
    CycleNo, Global, Instant, PaymentNo,
    finance::{
        Action, Adjustment, AdjustmentReason, Dispute, DisputeState, Evidence, Exception,
        ExceptionState, Finance, NettingComparison, NettingMethod, OriginalReference,
        PaymentInstruction, PaymentState, PlannedPayment, Preview, PreviewPosition, Proposal,
        ProposalState, RiskLine, SettleCycle, Step, TrailEntry,
    },
};

use super::{party_id, wire};
use crate::{
    convert::{cycle_number, timestamp},
    error::HubError,
    registry::Registry,
};

/// An action.
pub fn action(registry: &Registry, action: &Action) -> v1::Action {
    let slug = |merchant: hansa_settlement::MerchantIx| registry.slug(merchant.0).to_owned();
    let shown = match action {
        Action::SettleCycle(settle) => A::SettleCycle(self::settle(registry, settle)),
        Action::AbortSettlement { cycle } => A::AbortSettlement(v1::AbortSettlement {
            cycle_number: cycle_number(*cycle),
        }),
        Action::Adjustment(adjustment) => A::Adjustment(self::adjustment(registry, adjustment)),
        Action::ReinstructPayment { payment } => A::ReinstructPayment(v1::ReinstructPayment {
            payment_number: payment.0.into(),
        }),
        Action::CarryForwardPayment { payment } => {
            A::CarryForwardPayment(v1::CarryForwardPayment {
                payment_number: payment.0.into(),
            })
        }
        Action::PostReconciliation { report } => A::PostReconciliation(v1::PostReconciliation {
            report_number: report.0.into(),
        }),
        Action::MatchException {
            exception,
            payments,
        } => A::MatchException(v1::MatchException {
            exception_number: exception.0.into(),
            payment_numbers: payments.iter().map(|payment| payment.0.into()).collect(),
        }),
        Action::ReleaseHoldback {
            merchant,
            amount_micros,
        } => A::ReleaseHoldback(v1::ReleaseHoldback {
            merchant_id: slug(*merchant),
            amount_micros: *amount_micros,
        }),
        Action::DeclareDefault {
            merchant,
            amount_micros,
        } => A::DeclareDefault(v1::DeclareDefault {
            merchant_id: slug(*merchant),
            amount_micros: *amount_micros,
        }),
        Action::PrepaidPack {
            merchant,
            amount_micros,
            reference,
        } => A::PrepaidPack(v1::PrepaidPack {
            merchant_id: slug(*merchant),
            amount_micros: *amount_micros,
            reference: reference.clone(),
        }),
        Action::PrefundPoints { merchant } => A::PrefundPoints(v1::PrefundPoints {
            merchant_id: slug(*merchant),
        }),
    };
    v1::Action {
        action: Some(shown),
    }
}

fn settle(registry: &Registry, settle: &SettleCycle) -> v1::SettleCycle {
    let slug = |merchant: hansa_settlement::MerchantIx| registry.slug(merchant.0).to_owned();
    v1::SettleCycle {
        cycle_number: cycle_number(settle.cycle),
        method: method(settle.method).into(),
        bilateral_first: settle.bilateral_first,
        without_merchant_ids: settle
            .without
            .iter()
            .map(|merchant| slug(*merchant))
            .collect(),
        holdbacks: settle
            .holdbacks
            .iter()
            .map(|held| v1::Holdback {
                merchant_id: slug(held.merchant),
                amount_micros: held.amount_micros,
                reason: held.reason.clone(),
            })
            .collect(),
        execution_date: settle
            .execution_date
            .map(|date| date.to_string())
            .unwrap_or_default(),
        accept_cap_breach: settle.accept_cap_breach,
    }
}

fn adjustment(registry: &Registry, adjustment: &Adjustment) -> v1::Adjustment {
    v1::Adjustment {
        merchant_id: registry.slug(adjustment.merchant.0).to_owned(),
        counterparty_merchant_id: party_id(registry, adjustment.counterparty),
        amount_micros: adjustment.amount_micros,
        reason: adjustment_reason(adjustment.reason).into(),
        original: (adjustment.original != OriginalReference::default())
            .then(|| original(&adjustment.original)),
        dispute_number: adjustment.dispute.map_or(0, |number| number.0.into()),
        exception_number: adjustment.exception.map_or(0, |number| number.0.into()),
        query_number: adjustment.query.map_or(0, |number| number.0.into()),
    }
}

fn original(original: &OriginalReference) -> v1::OriginalReference {
    v1::OriginalReference {
        cycle_number: original.cycle.map_or(0, cycle_number),
        leaf_index: original.leaf,
        entry_position: original.entry_position,
        line_kind: original
            .line
            .map(|line| line.code().to_owned())
            .unwrap_or_default(),
    }
}

/// A proposal.
pub fn proposal(registry: &Registry, proposal: &Proposal) -> v1::Proposal {
    let decision = proposal.decision.as_ref();
    v1::Proposal {
        proposal_number: proposal.number.0.into(),
        action: Some(action(registry, &proposal.action)),
        state: match proposal.state {
            ProposalState::Pending => v1::ProposalState::Pending,
            ProposalState::Approved => v1::ProposalState::Approved,
            ProposalState::Rejected => v1::ProposalState::Rejected,
            ProposalState::Withdrawn => v1::ProposalState::Withdrawn,
        }
        .into(),
        reason: proposal.reason.clone(),
        maker: proposal.maker.clone(),
        made_at: Some(timestamp(proposal.made_at.0)),
        checker: decision.map(|d| d.checker.clone()).unwrap_or_default(),
        decided_at: decision.map(|d| timestamp(d.at.0)),
        decision_reason: decision.map(|d| d.reason.clone()).unwrap_or_default(),
        leaf_index: proposal.made_seq,
        decision_leaf_index: decision.map(|d| d.seq),
    }
}

/// A payment.
pub fn payment(global: &Global, registry: &Registry, payment: &PaymentInstruction) -> v1::Payment {
    v1::Payment {
        payment_number: payment.number.0.into(),
        cycle_number: cycle_number(payment.cycle),
        payer_merchant_id: party_id(registry, payment.payer),
        payee_merchant_id: party_id(registry, payment.payee),
        amount_micros: payment.amount_micros,
        state: payment_state(payment.state).into(),
        end_to_end_id: payment.end_to_end_id(),
        payee_account: global.account_name(payment.payee_account).to_owned(),
        replaces_payment_number: payment.replaces.map_or(0, |number| number.0.into()),
        bank_reason: payment.bank_reason.clone(),
        state_at: Some(timestamp(payment.state_at.0)),
    }
}

/// A payment that a settlement would instruct.
fn planned(
    global: &Global,
    registry: &Registry,
    cycle: CycleNo,
    planned: &PlannedPayment,
) -> v1::Payment {
    v1::Payment {
        cycle_number: cycle_number(cycle),
        payer_merchant_id: party_id(registry, planned.payer),
        payee_merchant_id: party_id(registry, planned.payee),
        amount_micros: planned.amount_micros,
        payee_account: global.account_name(planned.payee_account).to_owned(),
        ..v1::Payment::default()
    }
}

/// What a settlement would do.
pub fn preview(
    global: &Global,
    registry: &Registry,
    cycle: CycleNo,
    preview: &Preview,
) -> Result<v1::PreviewSettlementResponse, HubError> {
    let mut positions = Vec::with_capacity(preview.positions.len());
    for position in &preview.positions {
        positions.push(preview_position(registry, position)?);
    }
    positions.sort_by(|a, b| a.merchant_id.cmp(&b.merchant_id));
    Ok(v1::PreviewSettlementResponse {
        positions,
        payments: preview
            .payments
            .iter()
            .map(|payment| planned(global, registry, cycle, payment))
            .collect(),
        warnings: preview.warnings.iter().map(ToString::to_string).collect(),
        blockers: preview
            .blockers
            .iter()
            .map(|refusal| format!("{}: {refusal}", refusal.code()))
            .collect(),
    })
}

fn preview_position(
    registry: &Registry,
    position: &PreviewPosition,
) -> Result<v1::SettlementPosition, HubError> {
    let payment = &position.payment;
    let merchant_id = registry.slug(position.merchant.0).to_owned();
    let held_back_micros = wire(payment.held_back_micros)?;
    Ok(v1::SettlementPosition {
        merchant_id: merchant_id.clone(),
        position: Some(v1::NetPosition {
            merchant_id,
            net_micros: wire(payment.net_micros)?,
            brought_forward_micros: wire(payment.brought_forward_micros)?,
            payment_micros: wire(payment.instruction_micros)?,
            carried_forward_micros: wire(payment.carried_forward_micros)?,
            held_back_micros,
        }),
        held_back_micros,
        exposure_before_micros: wire(position.exposure_before_micros)?,
        exposure_after_micros: wire(position.exposure_after_micros)?,
        limit_micros: position.limit_micros.map(wire).transpose()?,
    })
}

/// All methods, side by side.
pub fn comparison(comparison: &NettingComparison) -> Result<v1::CompareNettingResponse, HubError> {
    let mut methods = Vec::with_capacity(comparison.methods.len());
    for figures in &comparison.methods {
        methods.push(v1::NettingComparison {
            method: method(figures.method).into(),
            payment_value_micros: wire(figures.payment_value_micros)?,
            payments: figures.payments as u64,
            new_relations: figures.new_relations as u64,
            liquidity_micros: wire(figures.liquidity_micros)?,
            cleared_micros: wire(figures.cleared_micros)?,
        });
    }
    Ok(v1::CompareNettingResponse {
        gross_micros: wire(comparison.gross_micros)?,
        net_internal_debt_micros: wire(comparison.net_internal_debt_micros)?,
        methods,
    })
}

/// An exception.
pub fn exception(exception: &Exception) -> v1::ReconciliationException {
    v1::ReconciliationException {
        exception_number: exception.number.0.into(),
        report_number: exception.report.0.into(),
        entry_number: exception.entry.unwrap_or(0),
        payment_number: exception.payment.map_or(0, |number| number.0.into()),
        description: exception.description.clone(),
        differences: exception
            .differences
            .iter()
            .map(|difference| v1::FieldDifference {
                field: difference.field.clone(),
                expected: difference.expected.clone(),
                found: difference.found.clone(),
            })
            .collect(),
        state: match exception.state {
            ExceptionState::Open => v1::ExceptionState::Open,
            ExceptionState::Matched => v1::ExceptionState::Matched,
            ExceptionState::Explained => v1::ExceptionState::Explained,
            ExceptionState::Adjusted => v1::ExceptionState::Adjusted,
        }
        .into(),
        resolution: exception.resolution.clone(),
        resolved_by: exception.resolved_by.clone(),
    }
}

/// Attachments, without content.
pub fn evidence(evidence: &[Evidence]) -> Vec<v1::Evidence> {
    let show = |evidence: &Evidence| v1::Evidence {
        file_name: evidence.file_name.clone(),
        media_type: evidence.media_type.clone(),
        sha256: evidence.sha256.to_vec(),
        size: evidence.size,
        content: Vec::new(),
    };
    evidence.iter().map(show).collect()
}

/// A dispute as it stands at an instant, microseconds.
pub fn dispute(registry: &Registry, dispute: &Dispute, now: i64) -> v1::Dispute {
    v1::Dispute {
        dispute_number: dispute.number.0.into(),
        merchant_id: registry.slug(dispute.merchant.0).to_owned(),
        original: Some(original(&dispute.original)),
        claimed_micros: dispute.claimed_micros,
        text: dispute.text.clone(),
        evidence: evidence(&dispute.evidence),
        state: dispute_state(dispute.state_at(Instant(now))).into(),
        deadline: dispute.deadline.map(|at| timestamp(at.0)),
        answer: dispute.answer.clone(),
        answered_by: dispute.answered_by.clone(),
        proposal_number: dispute.proposal.map_or(0, |number| number.0.into()),
        raised_at: Some(timestamp(dispute.raised_at.0)),
        upheld: dispute.upheld,
        ruled_by: dispute.ruled_by.clone(),
    }
}

/// A step of the trail.
pub fn event(finance: &Finance, entry: &TrailEntry) -> v1::AuditEvent {
    let of = |number| finance.proposal(number).map(|p| p.action.code());
    v1::AuditEvent {
        leaf_index: entry.seq,
        at: Some(timestamp(entry.at.0)),
        actor: entry.actor.clone(),
        event: match entry.step.proposal().and_then(of) {
            Some(action) => format!("{action}_{}", entry.step.code()),
            None => entry.step.code().to_owned(),
        },
        description: describe(finance, &entry.step),
    }
}

/// A step in words, with the payments that it names.
fn describe(finance: &Finance, step: &Step) -> String {
    let text = finance.describe(step);
    let Step::PaymentsSubmitted { payments, .. } = step else {
        return text;
    };
    let numbers: Vec<String> = payments.iter().map(PaymentNo::to_string).collect();
    format!("{text}: {}", numbers.join(", "))
}

/// A merchant's risk.
pub fn risk(registry: &Registry, line: &RiskLine) -> Result<v1::RiskLine, HubError> {
    Ok(v1::RiskLine {
        merchant_id: registry.slug(line.merchant.0).to_owned(),
        clearing_micros: wire(line.clearing_micros)?,
        pending_micros: wire(line.pending_micros)?,
        burn_micros: wire(line.burn_micros)?,
        exposure_micros: wire(line.exposure_micros)?,
        cap_micros: line.cap_micros,
        collateral_micros: wire(line.collateral_micros)?,
        held_back_micros: wire(line.held_back_micros)?,
        brought_forward_micros: wire(line.brought_forward_micros)?,
        used_bps: line.used_bps,
        warning_bps: line.warning_bps,
    })
}

/// A method.
pub fn method(method: NettingMethod) -> v1::NettingMethod {
    match method {
        NettingMethod::Gross => v1::NettingMethod::Gross,
        NettingMethod::Bilateral => v1::NettingMethod::Bilateral,
        NettingMethod::Multilateral => v1::NettingMethod::Multilateral,
        NettingMethod::CycleClearing => v1::NettingMethod::CycleClearing,
        NettingMethod::MinTransfers => v1::NettingMethod::MinTransfers,
        NettingMethod::ClearingVector => v1::NettingMethod::ClearingVector,
    }
}

fn payment_state(state: PaymentState) -> v1::PaymentState {
    match state {
        PaymentState::Pending => v1::PaymentState::Pending,
        PaymentState::Submitted => v1::PaymentState::Submitted,
        PaymentState::Accepted => v1::PaymentState::Accepted,
        PaymentState::Settled => v1::PaymentState::Settled,
        PaymentState::Rejected => v1::PaymentState::Rejected,
        PaymentState::Returned => v1::PaymentState::Returned,
        PaymentState::CarriedForward => v1::PaymentState::CarriedForward,
        PaymentState::Reinstructed => v1::PaymentState::Reinstructed,
    }
}

/// A state of a dispute.
pub fn dispute_state(state: DisputeState) -> v1::DisputeState {
    match state {
        DisputeState::Raised => v1::DisputeState::Raised,
        DisputeState::Accepted => v1::DisputeState::Accepted,
        DisputeState::Rejected => v1::DisputeState::Rejected,
        DisputeState::Escalated => v1::DisputeState::Escalated,
        DisputeState::Ruled => v1::DisputeState::Ruled,
        DisputeState::Lapsed => v1::DisputeState::Lapsed,
    }
}

fn adjustment_reason(reason: AdjustmentReason) -> v1::AdjustmentReason {
    match reason {
        AdjustmentReason::LateMessage => v1::AdjustmentReason::LateMessage,
        AdjustmentReason::ErroneousMessage => v1::AdjustmentReason::ErroneousMessage,
        AdjustmentReason::MissingMessage => v1::AdjustmentReason::MissingMessage,
        AdjustmentReason::WrongTerms => v1::AdjustmentReason::WrongTerms,
        AdjustmentReason::Dispute => v1::AdjustmentReason::Dispute,
        AdjustmentReason::Reconciliation => v1::AdjustmentReason::Reconciliation,
        AdjustmentReason::CompromisedKey => v1::AdjustmentReason::CompromisedKey,
        AdjustmentReason::Goodwill => v1::AdjustmentReason::Goodwill,
        AdjustmentReason::DefaultLoss => v1::AdjustmentReason::DefaultLoss,
        AdjustmentReason::CommissionQuery => v1::AdjustmentReason::CommissionQuery,
    }
}
