//! The trail: who did what, in log order. One record per step, about 20 bytes and the person's name; what it was about stands with the nouns.

use super::Finance;
use super::action::Action;
use crate::global::Global;
use crate::ids::{
    CycleNo, DisputeNo, ExceptionNo, Instant, PaymentNo, ProposalNo, QueryNo, ReportNo,
};
use crate::message::Context;
use serde::{Deserialize, Serialize};

/// A step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The last of a cycle was in.
    CycleClosed(CycleNo),
    /// The auditor agreed with a cycle.
    CycleAudited(CycleNo),
    /// A proposal was made.
    Proposed(ProposalNo),
    /// A proposal was approved and carried out.
    Approved(ProposalNo),
    /// A proposal was refused by another person.
    Rejected(ProposalNo),
    /// A proposal was taken back by its maker.
    Withdrawn(ProposalNo),
    /// Payments were handed to a bank, or asked for.
    PaymentsSubmitted {
        /// The payments.
        payments: Vec<PaymentNo>,
        /// SHA-256 of the payment file; `None` where the payer was only asked.
        file_sha256: Option<[u8; 32]>,
    },
    /// A bank's report was imported.
    ReportImported(ReportNo),
    /// An exception was explained.
    ExceptionExplained(ExceptionNo),
    /// A dispute was raised.
    DisputeRaised(DisputeNo),
    /// A dispute was answered.
    DisputeAnswered(DisputeNo),
    /// A dispute was escalated.
    DisputeEscalated(DisputeNo),
    /// A dispute was ruled.
    DisputeRuled(DisputeNo),
    /// A query was raised.
    QueryRaised(QueryNo),
    /// A query was answered.
    QueryAnswered(QueryNo),
    /// A query was escalated.
    QueryEscalated(QueryNo),
    /// A query was ruled.
    QueryRuled(QueryNo),
}

/// A step, with who and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailEntry {
    /// The entry of the log that holds it.
    pub seq: u64,
    /// When.
    pub at: Instant,
    /// The person, the merchant's slug, or "hub".
    pub actor: String,
    /// What.
    pub step: Step,
}

/// What to look for; `None` = any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrailFilter {
    /// Steps about a cycle.
    pub cycle: Option<CycleNo>,
    /// Steps about a proposal.
    pub proposal: Option<ProposalNo>,
    /// Steps about a payment.
    pub payment: Option<PaymentNo>,
}

impl Finance {
    /// The whole trail, in log order.
    #[must_use]
    pub fn trail(&self) -> &[TrailEntry] {
        &self.trail
    }

    /// Whether a step is about what a filter asks for.
    #[must_use]
    pub fn concerns(&self, step: &Step, filter: &TrailFilter) -> bool {
        filter
            .cycle
            .is_none_or(|cycle| self.about_cycle(step, cycle))
            && filter
                .proposal
                .is_none_or(|proposal| step.proposal() == Some(proposal))
            && filter
                .payment
                .is_none_or(|payment| self.about_payment(step, payment))
    }

    fn action(&self, step: &Step) -> Option<&Action> {
        Some(&self.proposal(step.proposal()?)?.action)
    }

    fn about_cycle(&self, step: &Step, cycle: CycleNo) -> bool {
        let of_cycle = |payments: &[PaymentNo]| {
            payments
                .iter()
                .filter_map(|number| self.payment(*number))
                .any(|payment| payment.cycle == cycle)
        };
        match step {
            Step::CycleClosed(no) | Step::CycleAudited(no) => *no == cycle,
            Step::Proposed(_) | Step::Approved(_) | Step::Rejected(_) | Step::Withdrawn(_) => {
                self.action(step).is_some_and(|action| match action {
                    Action::PostReconciliation { report } => self
                        .report(*report)
                        .is_some_and(|report| of_cycle(&report.payments)),
                    Action::Adjustment(adjustment) => adjustment.original.cycle == Some(cycle),
                    action => action.cycle() == Some(cycle) || of_cycle(action.payments()),
                })
            }
            Step::PaymentsSubmitted { payments, .. } => of_cycle(payments),
            Step::ReportImported(report) => self
                .report(*report)
                .is_some_and(|report| of_cycle(&report.payments)),
            Step::ExceptionExplained(exception) => self
                .exception(*exception)
                .and_then(|exception| exception.payment)
                .is_some_and(|payment| of_cycle(&[payment])),
            Step::DisputeRaised(number)
            | Step::DisputeAnswered(number)
            | Step::DisputeEscalated(number)
            | Step::DisputeRuled(number) => self
                .dispute(*number)
                .is_some_and(|dispute| dispute.original.cycle == Some(cycle)),
            // A query is about no cycle.
            Step::QueryRaised(_)
            | Step::QueryAnswered(_)
            | Step::QueryEscalated(_)
            | Step::QueryRuled(_) => false,
        }
    }

    fn about_payment(&self, step: &Step, payment: PaymentNo) -> bool {
        let of_report = |report: ReportNo| {
            self.report(report)
                .is_some_and(|report| report.payments.binary_search(&payment).is_ok())
        };
        match step {
            Step::Proposed(_) | Step::Approved(_) | Step::Rejected(_) | Step::Withdrawn(_) => {
                self.action(step).is_some_and(|action| match action {
                    Action::PostReconciliation { report } => of_report(*report),
                    Action::SettleCycle(_) | Action::AbortSettlement { .. } => self
                        .payment(payment)
                        .is_some_and(|p| action.cycle() == Some(p.cycle)),
                    action => action.payments().contains(&payment),
                })
            }
            Step::PaymentsSubmitted { payments, .. } => payments.contains(&payment),
            Step::ReportImported(report) => of_report(*report),
            Step::ExceptionExplained(exception) => self
                .exception(*exception)
                .is_some_and(|exception| exception.payment == Some(payment)),
            Step::CycleClosed(_)
            | Step::CycleAudited(_)
            | Step::DisputeRaised(_)
            | Step::DisputeAnswered(_)
            | Step::DisputeEscalated(_)
            | Step::DisputeRuled(_)
            | Step::QueryRaised(_)
            | Step::QueryAnswered(_)
            | Step::QueryEscalated(_)
            | Step::QueryRuled(_) => false,
        }
    }

    /// A step in words.
    #[must_use]
    pub fn describe(&self, step: &Step) -> String {
        match step {
            Step::CycleClosed(cycle) => format!("cycle {} is complete", cycle.shown()),
            Step::CycleAudited(cycle) => {
                format!(
                    "the auditor came to the same figures for cycle {}",
                    cycle.shown()
                )
            }
            Step::Proposed(number)
            | Step::Approved(number)
            | Step::Rejected(number)
            | Step::Withdrawn(number) => {
                let Some(proposal) = self.proposal(*number) else {
                    return format!("proposal {number}");
                };
                let reason = match (step, &proposal.decision) {
                    (Step::Proposed(_), _) | (_, None) => &proposal.reason,
                    (_, Some(decision)) => &decision.reason,
                };
                format!("proposal {number}, {}: {reason}", proposal.action.code())
            }
            Step::PaymentsSubmitted {
                payments,
                file_sha256: Some(_),
            } => format!("{} payments handed to the bank", payments.len()),
            Step::PaymentsSubmitted {
                payments,
                file_sha256: None,
            } => format!("{} payments asked for", payments.len()),
            Step::ReportImported(number) => match self.report(*number) {
                Some(report) => format!(
                    "bank report {number} \"{}\": {} entries, {} payments",
                    report.file_name,
                    report.entry_count,
                    report.payments.len()
                ),
                None => format!("bank report {number}"),
            },
            Step::ExceptionExplained(number) => {
                let why = self
                    .exception(*number)
                    .map_or("", |e| e.resolution.as_str());
                format!("exception {number}: {why}")
            }
            Step::DisputeRaised(number)
            | Step::DisputeAnswered(number)
            | Step::DisputeEscalated(number)
            | Step::DisputeRuled(number) => format!("dispute {number}"),
            Step::QueryRaised(number)
            | Step::QueryAnswered(number)
            | Step::QueryEscalated(number)
            | Step::QueryRuled(number) => format!("query {number}"),
        }
    }
}

impl Step {
    /// The stable name; a proposal's has its action in front.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::CycleClosed(_) => "CYCLE_CLOSED",
            Self::CycleAudited(_) => "CYCLE_AUDITED",
            Self::Proposed(_) => "PROPOSED",
            Self::Approved(_) => "APPROVED",
            Self::Rejected(_) => "REJECTED",
            Self::Withdrawn(_) => "WITHDRAWN",
            Self::PaymentsSubmitted { .. } => "PAYMENTS_SUBMITTED",
            Self::ReportImported(_) => "REPORT_IMPORTED",
            Self::ExceptionExplained(_) => "EXCEPTION_EXPLAINED",
            Self::DisputeRaised(_) => "DISPUTE_RAISED",
            Self::DisputeAnswered(_) => "DISPUTE_ANSWERED",
            Self::DisputeEscalated(_) => "DISPUTE_ESCALATED",
            Self::DisputeRuled(_) => "DISPUTE_RULED",
            Self::QueryRaised(_) => "QUERY_RAISED",
            Self::QueryAnswered(_) => "QUERY_ANSWERED",
            Self::QueryEscalated(_) => "QUERY_ESCALATED",
            Self::QueryRuled(_) => "QUERY_RULED",
        }
    }

    /// The proposal that it is about.
    #[must_use]
    pub const fn proposal(&self) -> Option<ProposalNo> {
        match self {
            Self::Proposed(number)
            | Self::Approved(number)
            | Self::Rejected(number)
            | Self::Withdrawn(number) => Some(*number),
            Self::CycleClosed(_)
            | Self::CycleAudited(_)
            | Self::PaymentsSubmitted { .. }
            | Self::ReportImported(_)
            | Self::ExceptionExplained(_)
            | Self::DisputeRaised(_)
            | Self::DisputeAnswered(_)
            | Self::DisputeEscalated(_)
            | Self::DisputeRuled(_)
            | Self::QueryRaised(_)
            | Self::QueryAnswered(_)
            | Self::QueryEscalated(_)
            | Self::QueryRuled(_) => None,
        }
    }
}

impl Global {
    pub(crate) fn trace(&mut self, actor: &str, step: Step, ctx: &Context) {
        self.finance.trail.push(TrailEntry {
            seq: ctx.pos.seq(),
            at: ctx.decided_at,
            actor: actor.to_owned(),
            step,
        });
    }
}
