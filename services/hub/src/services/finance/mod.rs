//! `FinanceService`: builds facts of finance and reads their state. Decides nothing: the ledger validates every fact again.
//!
//! Every call may be sent again after a lost answer: what was done by the same person with the same words is answered as it
//! stands, and nothing is written twice.
//!
//! - [`proposals`] - compare, preview, propose, decide
//! - [`audited`] - why a settlement waits for the auditor
//! - [`payments`] - payments, payment files, submissions
//! - [`bank`] - bank reports and exceptions
//! - [`watch`] - exposures and the trail

mod audited;
mod bank;
mod payments;
mod proposals;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};

use hansa_proto::v1::{self, finance_service_server::FinanceService};
use hansa_settlement::Member;
use hansa_store::EvidenceRow;
use tonic::Request;

use super::{Answer, Api, ok};
use crate::{error::HubError, sequencer::View};

impl Api {
    /// Appends what `build` makes of the state at its turn, and answers with what it says beside the facts.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        actor: String,
        evidence: Vec<EvidenceRow>,
        build: impl FnOnce(&View<'_>) -> Result<(Vec<v1::Fact>, T), HubError> + Send + 'static,
    ) -> Result<T, HubError> {
        self.write_about(actor, evidence, Vec::new(), |view, _| build(view))
            .await
    }

    /// The same of facts about conversions: `build` gets their accounts, in the order of these numbers.
    pub(super) async fn write_about<T: Send + 'static>(
        &self,
        actor: String,
        evidence: Vec<EvidenceRow>,
        accounts: Vec<u64>,
        build: impl FnOnce(&View<'_>, &[Member]) -> Result<(Vec<v1::Fact>, T), HubError>
        + Send
        + 'static,
    ) -> Result<T, HubError> {
        let said = Arc::new(Mutex::new(None));
        let say = Arc::clone(&said);
        self.0
            .sequencer
            .facts_about(actor, evidence, accounts, move |view, accounts| {
                let (facts, value) = build(view, accounts)?;
                *say.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
                Ok(facts)
            })
            .await?;
        let value = said.lock().unwrap_or_else(PoisonError::into_inner).take();
        value.ok_or_else(|| HubError::internal("facts were answered before they were built"))
    }
}

pub(super) fn fact(fact: v1::fact::Fact) -> v1::Fact {
    v1::Fact { fact: Some(fact) }
}

/// One page of what is numbered from 1, newest first: the numbers on it, and where the next one begins. `start`: the token's
/// number, 0 for the newest.
pub(super) fn newest_first<T>(
    items: &[T],
    start: u64,
    size: usize,
    wanted: impl Fn(&T) -> bool,
) -> (Vec<&T>, Option<u64>) {
    let all = items.len() as u64;
    let from = if start == 0 { all } else { start.min(all) };
    let mut page = Vec::new();
    let mut number = from;
    while number > 0 {
        let at = usize::try_from(number - 1).unwrap_or(usize::MAX);
        if let Some(item) = items.get(at).filter(|item| wanted(item)) {
            if page.len() == size {
                return (page, Some(number));
            }
            page.push(item);
        }
        number -= 1;
    }
    (page, None)
}

#[tonic::async_trait]
impl FinanceService for Api {
    async fn compare_netting(
        &self,
        request: Request<v1::CompareNettingRequest>,
    ) -> Answer<v1::CompareNettingResponse> {
        self.caller(&request)?.operator()?;
        ok(self.compared(request.into_inner()).await?)
    }

    async fn preview_settlement(
        &self,
        request: Request<v1::PreviewSettlementRequest>,
    ) -> Answer<v1::PreviewSettlementResponse> {
        self.caller(&request)?.operator()?;
        ok(self.previewed(request.into_inner()).await?)
    }

    async fn create_proposal(
        &self,
        request: Request<v1::CreateProposalRequest>,
    ) -> Answer<v1::CreateProposalResponse> {
        let caller = self.caller(&request)?;
        let proposal = self.proposed(&caller, request.into_inner()).await?;
        ok(v1::CreateProposalResponse {
            proposal: Some(proposal),
        })
    }

    async fn decide_proposal(
        &self,
        request: Request<v1::DecideProposalRequest>,
    ) -> Answer<v1::DecideProposalResponse> {
        let caller = self.caller(&request)?;
        let proposal = self.decided(&caller, request.into_inner()).await?;
        ok(v1::DecideProposalResponse {
            proposal: Some(proposal),
        })
    }

    async fn list_proposals(
        &self,
        request: Request<v1::ListProposalsRequest>,
    ) -> Answer<v1::ListProposalsResponse> {
        self.caller(&request)?.operator()?;
        ok(self.proposals(request.into_inner()).await?)
    }

    async fn list_payments(
        &self,
        request: Request<v1::ListPaymentsRequest>,
    ) -> Answer<v1::ListPaymentsResponse> {
        let caller = self.caller(&request)?;
        ok(self.payments(&caller, request.into_inner()).await?)
    }

    async fn get_payment_file(
        &self,
        request: Request<v1::GetPaymentFileRequest>,
    ) -> Answer<v1::GetPaymentFileResponse> {
        let caller = self.caller(&request)?;
        ok(self.payment_file(&caller, request.into_inner()).await?)
    }

    async fn record_submission(
        &self,
        request: Request<v1::RecordSubmissionRequest>,
    ) -> Answer<v1::RecordSubmissionResponse> {
        let caller = self.caller(&request)?;
        ok(self.submitted(&caller, request.into_inner()).await?)
    }

    async fn import_bank_report(
        &self,
        request: Request<v1::ImportBankReportRequest>,
    ) -> Answer<v1::ImportBankReportResponse> {
        let caller = self.caller(&request)?;
        ok(self.imported(&caller, request.into_inner()).await?)
    }

    async fn list_bank_reports(
        &self,
        request: Request<v1::ListBankReportsRequest>,
    ) -> Answer<v1::ListBankReportsResponse> {
        self.caller(&request)?.operator()?;
        ok(self.bank_reports(request.into_inner()).await?)
    }

    async fn list_exceptions(
        &self,
        request: Request<v1::ListExceptionsRequest>,
    ) -> Answer<v1::ListExceptionsResponse> {
        self.caller(&request)?.operator()?;
        ok(self.exceptions(request.into_inner()).await?)
    }

    async fn explain_exception(
        &self,
        request: Request<v1::ExplainExceptionRequest>,
    ) -> Answer<v1::ExplainExceptionResponse> {
        let caller = self.caller(&request)?;
        ok(self.explained(&caller, request.into_inner()).await?)
    }

    async fn get_risk(&self, request: Request<v1::GetRiskRequest>) -> Answer<v1::GetRiskResponse> {
        self.caller(&request)?.operator()?;
        ok(self.risk().await?)
    }

    async fn list_audit_trail(
        &self,
        request: Request<v1::ListAuditTrailRequest>,
    ) -> Answer<v1::ListAuditTrailResponse> {
        self.caller(&request)?.operator()?;
        ok(self.trail(request.into_inner()).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_from_the_newest_to_the_oldest_and_leave_nothing_out() {
        let items: Vec<u32> = (1..=10).collect();
        let even = |item: &u32| item.is_multiple_of(2);
        let mut seen = Vec::new();
        let mut start = 0;
        loop {
            let (page, next) = newest_first(&items, start, 2, even);
            seen.extend(page.into_iter().copied());
            let Some(next) = next else { break };
            assert!(next > 0);
            start = next;
        }
        assert_eq!(seen, [10, 8, 6, 4, 2]);
        assert_eq!(newest_first(&items, 99, 100, |_| true).0.len(), 10);
        assert_eq!(newest_first::<u32>(&[], 0, 10, |_| true).0.len(), 0);
    }
}
