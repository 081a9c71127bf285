//! What keeps the auditor's word on a cycle out of the log, told better than the ledger can: it knows only that there is none.

use hansa_settlement::{
    CycleNo, ProposalNo,
    finance::{Action, FinanceRefusal},
};
use tonic::Code;

use super::Api;
use crate::{
    audit::{AuditMode, Certification},
    convert::cycle_number,
    error::{HubError, Reason},
    finance::refused,
};

impl Api {
    /// The refusal of an approval, with the reason for which the auditor's word is missing where that refuses it.
    pub(super) async fn unapproved(&self, refusal: HubError, number: ProposalNo) -> HubError {
        let settles = self.read(move |view| {
            let proposal = view.global.finance().proposal(number);
            Ok(proposal.and_then(|proposal| match &proposal.action {
                Action::SettleCycle(settle) => Some(settle.cycle),
                _ => None,
            }))
        });
        match settles.await {
            Ok(Some(cycle)) if waits_for_auditor(&refusal, cycle) => {
                self.why_unaudited(cycle).await.unwrap_or(refusal)
            }
            _ => refusal,
        }
    }

    /// Why the auditor has not spoken for a closed cycle.
    pub(super) async fn why_unaudited(&self, cycle: CycleNo) -> Result<HubError, HubError> {
        let number = cycle_number(cycle);
        let audit = &self.0.audit;
        let waits = |message: String| HubError {
            message: message.into(),
            ..refused(&FinanceRefusal::NotAudited(cycle))
        };
        if audit.mode() == AuditMode::Off {
            return Ok(waits(format!(
                "nobody audits this log (--audit off), so that cycle {number} cannot be approved: start the hub with --audit inline, \
                 or with --audit separate beside hansa audit --follow"
            )));
        }
        Ok(match audit.certified(&self.0.sequencer, number).await? {
            Certification::Certified { .. } => waits(format!(
                "the auditor agrees with cycle {number}, and the log is about to say so: try again"
            )),
            Certification::Behind { audited_size } => {
                let process = if audit.mode() == AuditMode::Separate {
                    " and see that hansa audit --follow runs"
                } else {
                    ""
                };
                waits(format!(
                    "the auditor has passed {audited_size} entries, and not cycle {number} yet: wait for it{process}"
                ))
            }
            Certification::Mismatch(finding) => HubError::new(
                Reason::Ledger {
                    code: FinanceRefusal::AuditDisagrees(cycle).code(),
                    status: Code::FailedPrecondition,
                },
                format!(
                    "the auditor disagrees, so that cycle {number} cannot be approved: {finding}"
                ),
            ),
        })
    }
}

fn waits_for_auditor(refusal: &HubError, cycle: CycleNo) -> bool {
    refusal.reason.code() == FinanceRefusal::NotAudited(cycle).code()
}
