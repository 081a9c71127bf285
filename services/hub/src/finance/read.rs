//! Reading: actions and facts of the contract as the ledger has them. Every broken field is told at once.

mod query;

use chrono::NaiveDate;
use hansa_proto::v1::{self, action::Action as A, fact::Fact as F};
use hansa_settlement::{
    DisputeNo, ExceptionNo, Global, LineKind, MerchantIx, PaymentNo, ProposalNo, QueryNo, ReportNo,
    finance::{
        Action, Actor, Adjustment, AdjustmentReason, BankEntry, BankMatch, BankReportFormat,
        BankStatus, Evidence, FieldDifference, FinanceFact, Holdback, NettingMethod, NewException,
        OriginalReference, Party, PaymentState, QueryFact, ReportFact, SettleCycle,
    },
};

use crate::{
    authority,
    convert::{Fields, cycle_no},
    error::HubError,
    registry::Registry,
};

/// A running number: what does not fit is no number that was ever given.
fn number(wire: u64) -> u32 {
    u32::try_from(wire).unwrap_or(u32::MAX)
}

/// Reads actions with the registry's names.
pub struct Reader<'a> {
    registry: &'a Registry,
    /// What is broken so far.
    pub fields: Fields,
}

impl<'a> Reader<'a> {
    /// Nothing is broken yet.
    pub fn new(registry: &'a Registry) -> Self {
        Self {
            registry,
            fields: Fields::default(),
        }
    }

    fn merchant(&mut self, field: &str, id: &str) -> MerchantIx {
        match self.registry.merchant(id) {
            Some(index) => MerchantIx(index),
            None => {
                let text = format!("merchant \"{id}\" is not in the alliance");
                self.fields.broken(field, "MERCHANT", text);
                MerchantIx(u32::MAX)
            }
        }
    }

    fn party(&mut self, field: &str, id: &str) -> Party {
        if id.is_empty() {
            Party::Hub
        } else {
            Party::Merchant(self.merchant(field, id))
        }
    }

    fn sha256(&mut self, field: &str, bytes: &[u8]) -> [u8; 32] {
        bytes.try_into().unwrap_or_else(|_| {
            self.fields.broken(field, "SHA256", "32 bytes of SHA-256");
            [0; 32]
        })
    }

    /// An action. `None` where there is none, or one that this release does not know.
    pub fn action(&mut self, field: &str, action: Option<&v1::Action>) -> Option<Action> {
        let Some(action) = action.and_then(|action| action.action.as_ref()) else {
            self.fields.broken(field, "REQUIRED", "say what to do");
            return None;
        };
        Some(match action {
            A::SettleCycle(settle) => {
                Action::SettleCycle(self.settle(&format!("{field}.settle_cycle"), settle))
            }
            A::AbortSettlement(abort) => Action::AbortSettlement {
                cycle: cycle_no(abort.cycle_number),
            },
            A::Adjustment(adjustment) => {
                Action::Adjustment(self.adjustment(&format!("{field}.adjustment"), adjustment))
            }
            A::ReinstructPayment(again) => Action::ReinstructPayment {
                payment: PaymentNo(number(again.payment_number)),
            },
            A::CarryForwardPayment(carry) => Action::CarryForwardPayment {
                payment: PaymentNo(number(carry.payment_number)),
            },
            A::PostReconciliation(post) => Action::PostReconciliation {
                report: ReportNo(number(post.report_number)),
            },
            A::MatchException(found) => Action::MatchException {
                exception: ExceptionNo(number(found.exception_number)),
                payments: payments(&found.payment_numbers),
            },
            A::ReleaseHoldback(release) => Action::ReleaseHoldback {
                merchant: self.merchant(
                    &format!("{field}.release_holdback.merchant_id"),
                    &release.merchant_id,
                ),
                amount_micros: release.amount_micros,
            },
            A::DeclareDefault(default) => Action::DeclareDefault {
                merchant: self.merchant(
                    &format!("{field}.declare_default.merchant_id"),
                    &default.merchant_id,
                ),
                amount_micros: default.amount_micros,
            },
            A::PrepaidPack(pack) => Action::PrepaidPack {
                merchant: self.merchant(
                    &format!("{field}.prepaid_pack.merchant_id"),
                    &pack.merchant_id,
                ),
                amount_micros: pack.amount_micros,
                reference: pack.reference.clone(),
            },
            A::PrefundPoints(prefund) => Action::PrefundPoints {
                merchant: self.merchant(
                    &format!("{field}.prefund_points.merchant_id"),
                    &prefund.merchant_id,
                ),
            },
        })
    }

    /// How a cycle is to be settled.
    pub fn settle(&mut self, field: &str, settle: &v1::SettleCycle) -> SettleCycle {
        let method = method(settle.method()).unwrap_or_else(|| {
            let text = "say how it nets, e.g. MULTILATERAL";
            self.fields
                .broken(&format!("{field}.method"), "REQUIRED", text);
            NettingMethod::default()
        });
        let without = settle
            .without_merchant_ids
            .iter()
            .map(|id| self.merchant(&format!("{field}.without_merchant_ids"), id))
            .collect();
        let holdbacks = settle
            .holdbacks
            .iter()
            .map(|held| Holdback {
                merchant: self
                    .merchant(&format!("{field}.holdbacks.merchant_id"), &held.merchant_id),
                amount_micros: held.amount_micros,
                reason: held.reason.clone(),
            })
            .collect();
        SettleCycle {
            cycle: cycle_no(settle.cycle_number),
            method,
            bilateral_first: settle.bilateral_first,
            without,
            holdbacks,
            execution_date: self.date(&format!("{field}.execution_date"), &settle.execution_date),
            accept_cap_breach: settle.accept_cap_breach,
        }
    }

    fn date(&mut self, field: &str, text: &str) -> Option<NaiveDate> {
        if text.is_empty() {
            return None;
        }
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
        let date = date.filter(|date| date.to_string() == text);
        if date.is_none() {
            let text = format!("\"{text}\" is no date like 2026-03-31");
            self.fields.broken(field, "DATE", text);
        }
        date
    }

    fn adjustment(&mut self, field: &str, wire: &v1::Adjustment) -> Adjustment {
        let reason = adjustment_reason(wire.reason()).unwrap_or_else(|| {
            self.fields
                .broken(&format!("{field}.reason"), "REQUIRED", "say why");
            AdjustmentReason::Goodwill
        });
        Adjustment {
            merchant: self.merchant(&format!("{field}.merchant_id"), &wire.merchant_id),
            counterparty: self.party(
                &format!("{field}.counterparty_merchant_id"),
                &wire.counterparty_merchant_id,
            ),
            amount_micros: wire.amount_micros,
            reason,
            original: self.original(&format!("{field}.original"), wire.original.as_ref()),
            dispute: (wire.dispute_number != 0).then(|| DisputeNo(number(wire.dispute_number))),
            exception: (wire.exception_number != 0)
                .then(|| ExceptionNo(number(wire.exception_number))),
            query: (wire.query_number != 0).then(|| QueryNo(number(wire.query_number))),
        }
    }

    fn original(&mut self, field: &str, wire: Option<&v1::OriginalReference>) -> OriginalReference {
        let Some(wire) = wire else {
            return OriginalReference::default();
        };
        let line = (!wire.line_kind.is_empty()).then(|| {
            LineKind::from_code(&wire.line_kind).unwrap_or_else(|| {
                let text = format!("\"{}\" is no kind of a statement's line", wire.line_kind);
                self.fields
                    .broken(&format!("{field}.line_kind"), "LINE_KIND", text);
                LineKind::Adjustment
            })
        });
        OriginalReference {
            cycle: (wire.cycle_number != 0).then(|| cycle_no(wire.cycle_number)),
            leaf: wire.leaf_index,
            entry_position: wire.entry_position,
            line,
        }
    }

    fn evidence(&mut self, evidence: &[v1::Evidence]) -> Vec<Evidence> {
        let read = |one: &v1::Evidence| Evidence {
            file_name: one.file_name.clone(),
            media_type: one.media_type.clone(),
            sha256: self.sha256("evidence.sha256", &one.sha256),
            size: one.size,
        };
        evidence.iter().map(read).collect()
    }

    fn report(&mut self, report: &v1::BankReport) -> ReportFact {
        let format = report_format(report.format()).unwrap_or_else(|| {
            self.fields
                .broken("report.format", "REQUIRED", "the form of the file");
            BankReportFormat::Csv
        });
        ReportFact {
            number: ReportNo(number(report.report_number)),
            format,
            file_name: report.file_name.clone(),
            sha256: self.sha256("report.sha256", &report.sha256),
            message_id: report.message_id.clone(),
            account: report.account.clone(),
            opening_micros: report.opening_micros,
            closing_micros: report.closing_micros,
            entries: report.entries.iter().map(entry).collect(),
            statuses: report.statuses.iter().map(status).collect(),
            matches: report.matches.iter().map(matched).collect(),
            exceptions: report.exceptions.iter().map(exception).collect(),
        }
    }

    /// The ledger's form of a fact of finance; `None` for every other fact.
    fn fact(&mut self, fact: &F) -> Option<FinanceFact> {
        Some(match fact {
            F::CycleAudited(audited) => FinanceFact::CycleAudited {
                cycle: cycle_no(audited.cycle_number),
                digest: self.sha256("digest", &audited.digest),
                audited_size: audited.audited_size,
            },
            F::ProposalMade(made) => FinanceFact::ProposalMade {
                proposal: ProposalNo(number(made.proposal_number)),
                action: self.action("action", made.action.as_ref())?,
                reason: made.reason.clone(),
                actor: Actor::new(&made.holder),
            },
            F::ProposalDecided(decided) => FinanceFact::ProposalDecided {
                proposal: ProposalNo(number(decided.proposal_number)),
                approved: decided.approved,
                reason: decided.reason.clone(),
                actor: Actor::new(&decided.holder),
            },
            F::PaymentsSubmitted(submitted) => FinanceFact::PaymentsSubmitted {
                payments: payments(&submitted.payment_numbers),
                file_sha256: (!submitted.file_sha256.is_empty())
                    .then(|| self.sha256("file_sha256", &submitted.file_sha256)),
                actor: Actor::new(&submitted.holder),
            },
            F::BankReportImported(report) => FinanceFact::BankReportImported {
                report: Box::new(self.report(report)),
                actor: Actor::new(&report.imported_by),
            },
            F::ExceptionExplained(explained) => FinanceFact::ExceptionExplained {
                exception: ExceptionNo(number(explained.exception_number)),
                explanation: explained.explanation.clone(),
                actor: Actor::new(&explained.holder),
            },
            F::DisputeRaised(raised) => FinanceFact::DisputeRaised {
                dispute: DisputeNo(number(raised.dispute_number)),
                merchant: self.merchant("merchant_id", &raised.merchant_id),
                original: self.original("original", raised.original.as_ref()),
                claimed_micros: raised.claimed_micros,
                text: raised.text.clone(),
                evidence: self.evidence(&raised.evidence),
            },
            F::DisputeAnswered(answered) => FinanceFact::DisputeAnswered {
                dispute: DisputeNo(number(answered.dispute_number)),
                adjustment: self.remedy(answered.accepted, answered.adjustment.as_ref()),
                answer: answered.answer.clone(),
                actor: Actor::new(&answered.holder),
            },
            F::DisputeEscalated(escalated) => FinanceFact::DisputeEscalated {
                dispute: DisputeNo(number(escalated.dispute_number)),
                text: escalated.text.clone(),
                evidence: self.evidence(&escalated.evidence),
            },
            F::DisputeRuled(ruled) => FinanceFact::DisputeRuled {
                dispute: DisputeNo(number(ruled.dispute_number)),
                adjustment: self.remedy(ruled.upheld, ruled.adjustment.as_ref()),
                ruling: ruled.ruling.clone(),
                actor: Actor::new(&ruled.holder),
            },
            F::QueryRaised(_) | F::QueryAnswered(_) | F::QueryEscalated(_) | F::QueryRuled(_) => {
                FinanceFact::Query(self.query_fact(fact)?)
            }
            F::CommissionsDecided(_)
            | F::FraudRun(_)
            | F::FraudDecided(_)
            | F::Genesis(_)
            | F::Programme(_)
            | F::Merchant(_)
            | F::Promotion(_)
            | F::KeyRegistered(_)
            | F::KeyRevoked(_)
            | F::MembersEnrolled(_)
            | F::AdvanceTo(_)
            | F::CycleCut(_)
            | F::CycleClosed(_)
            | F::LogReopened(_) => return None,
        })
    }

    /// The adjustment of an acceptance: there exactly where there is one.
    fn remedy(&mut self, granted: bool, wire: Option<&v1::Adjustment>) -> Option<Adjustment> {
        if granted != wire.is_some() {
            let text = "an adjustment belongs to an acceptance, and to nothing else";
            self.fields.broken("adjustment", "REQUIRED", text);
        }
        wire.map(|wire| self.adjustment("adjustment", wire))
    }
}

/// The ledger's form of a fact of finance; `None` for every other fact. `actor`: as in the log's `Facts`.
pub fn finance_fact(
    global: &Global,
    registry: &Registry,
    fact: &F,
    actor: &str,
) -> Result<Option<FinanceFact>, HubError> {
    let mut reader = Reader::new(registry);
    let read = reader.fact(fact);
    let Reader { fields, .. } = reader;
    let read = fields.finish(read)?;
    // A step that names no merchant is that of whoever speaks.
    let speaks = authority::merchant_of(actor).and_then(|slug| registry.merchant(slug));
    let owned = |owner: Option<MerchantIx>, what: String| match owner {
        Some(owner) if Some(owner.0) == speaks => Ok(()),
        Some(_) | None => Err(HubError::not_found(what)),
    };
    let finance = global.finance();
    match &read {
        Some(FinanceFact::DisputeEscalated { dispute, .. }) => {
            let owner = finance.dispute(*dispute).map(|dispute| dispute.merchant);
            owned(owner, format!("dispute {dispute}"))?;
        }
        Some(FinanceFact::Query(QueryFact::Answered { query, .. })) => {
            let owner = finance.query(*query).map(|query| query.raised.merchant);
            owned(owner, format!("query {query}"))?;
        }
        Some(FinanceFact::Query(QueryFact::Escalated { query, .. })) => {
            let owner = finance.query(*query).map(|query| query.raised.affiliate);
            owned(owner, format!("query {query}"))?;
        }
        _ => {}
    }
    Ok(read)
}

fn payments(numbers: &[u64]) -> Vec<PaymentNo> {
    numbers.iter().map(|n| PaymentNo(number(*n))).collect()
}

fn entry(entry: &v1::BankEntry) -> BankEntry {
    BankEntry {
        number: entry.entry_number,
        amount_micros: entry.amount_micros,
        bank_reference: entry.bank_reference.clone(),
        is_return: entry.is_return,
        reason: entry.reason.clone(),
    }
}

fn status(status: &v1::BankStatus) -> BankStatus {
    BankStatus {
        payment: PaymentNo(number(status.payment_number)),
        // Anything that is no state of a bank's is refused by the ledger.
        state: payment_state(status.state()).unwrap_or(PaymentState::Pending),
        reason: status.reason.clone(),
    }
}

fn matched(matched: &v1::BankMatch) -> BankMatch {
    BankMatch {
        payments: payments(&matched.payment_numbers),
        entries: matched.entry_numbers.clone(),
        is_return: matched.is_return,
    }
}

fn exception(exception: &v1::ReconciliationException) -> NewException {
    NewException {
        number: ExceptionNo(number(exception.exception_number)),
        entry: (exception.entry_number != 0).then_some(exception.entry_number),
        payment: (exception.payment_number != 0)
            .then(|| PaymentNo(number(exception.payment_number))),
        description: exception.description.clone(),
        differences: exception
            .differences
            .iter()
            .map(|difference| FieldDifference {
                field: difference.field.clone(),
                expected: difference.expected.clone(),
                found: difference.found.clone(),
            })
            .collect(),
    }
}

/// A method; `None` where none is named.
pub fn method(wire: v1::NettingMethod) -> Option<NettingMethod> {
    Some(match wire {
        v1::NettingMethod::Unspecified => return None,
        v1::NettingMethod::Gross => NettingMethod::Gross,
        v1::NettingMethod::Bilateral => NettingMethod::Bilateral,
        v1::NettingMethod::Multilateral => NettingMethod::Multilateral,
        v1::NettingMethod::CycleClearing => NettingMethod::CycleClearing,
        v1::NettingMethod::MinTransfers => NettingMethod::MinTransfers,
        v1::NettingMethod::ClearingVector => NettingMethod::ClearingVector,
    })
}

fn adjustment_reason(wire: v1::AdjustmentReason) -> Option<AdjustmentReason> {
    use v1::AdjustmentReason as W;
    Some(match wire {
        W::Unspecified => return None,
        W::LateMessage => AdjustmentReason::LateMessage,
        W::ErroneousMessage => AdjustmentReason::ErroneousMessage,
        W::MissingMessage => AdjustmentReason::MissingMessage,
        W::WrongTerms => AdjustmentReason::WrongTerms,
        W::Dispute => AdjustmentReason::Dispute,
        W::Reconciliation => AdjustmentReason::Reconciliation,
        W::CompromisedKey => AdjustmentReason::CompromisedKey,
        W::Goodwill => AdjustmentReason::Goodwill,
        W::DefaultLoss => AdjustmentReason::DefaultLoss,
        W::CommissionQuery => AdjustmentReason::CommissionQuery,
    })
}

fn report_format(wire: v1::BankReportFormat) -> Option<BankReportFormat> {
    use v1::BankReportFormat as W;
    Some(match wire {
        W::Unspecified => return None,
        W::Pain002 => BankReportFormat::Pain002,
        W::Camt054 => BankReportFormat::Camt054,
        W::Camt053 => BankReportFormat::Camt053,
        W::Csv => BankReportFormat::Csv,
    })
}

/// A state of a payment; `None` where none is named.
pub fn payment_state(wire: v1::PaymentState) -> Option<PaymentState> {
    use v1::PaymentState as W;
    Some(match wire {
        W::Unspecified => return None,
        W::Pending => PaymentState::Pending,
        W::Submitted => PaymentState::Submitted,
        W::Accepted => PaymentState::Accepted,
        W::Settled => PaymentState::Settled,
        W::Rejected => PaymentState::Rejected,
        W::Returned => PaymentState::Returned,
        W::CarriedForward => PaymentState::CarriedForward,
        W::Reinstructed => PaymentState::Reinstructed,
    })
}
