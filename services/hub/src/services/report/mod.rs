//! `ReportService`: proofs, drill-down and documents of cycles. Reads the ledger's totals and the log; changes nothing, and
//! costs the sequencer a few reads of totals a call.

mod certificate;
mod commission;
pub mod documents;
pub(crate) mod items;

use hansa_proto::v1::{self, report_service_server::ReportService};
use hansa_settlement::{CycleTotals, MerchantIx};
use tonic::Request;

use super::{Answer, Api, cycles, ok};
use crate::{
    auth::Caller,
    error::{HubError, Reason},
    registry::Registry,
};

/// The merchant that a call is about: a merchant's own, or the one that an operator names.
pub(super) fn merchant_of(
    caller: &Caller,
    registry: &Registry,
    asked: &str,
) -> Result<MerchantIx, HubError> {
    match caller {
        Caller::Merchant { index, .. } if asked.is_empty() => Ok(MerchantIx(*index)),
        Caller::Merchant { slug, index } if slug == asked => Ok(MerchantIx(*index)),
        Caller::Merchant { .. } => Err(HubError::not_found(format!("merchant \"{asked}\""))),
        Caller::Operator { .. } => registry
            .merchant(asked)
            .map(MerchantIx)
            .ok_or_else(|| HubError::not_found(format!("merchant \"{asked}\""))),
    }
}

/// A cycle whose figures never change again.
fn closed(global: &hansa_settlement::Global, number: u32) -> Result<&CycleTotals, HubError> {
    if number == 0 {
        let text = "name a cycle that is closed; hansa cycle list shows them";
        return Err(HubError::field("cycle_number", "REQUIRED", text));
    }
    let totals = cycles::find(global, number)?;
    if totals.digest.is_none() {
        let text = format!("cycle {number} is not closed yet; its figures may still change");
        return Err(HubError::new(Reason::CycleNotClosed, text));
    }
    Ok(totals)
}

#[tonic::async_trait]
impl ReportService for Api {
    async fn get_cycle_certificate(
        &self,
        request: Request<v1::GetCycleCertificateRequest>,
    ) -> Answer<v1::GetCycleCertificateResponse> {
        let caller = self.caller(&request)?;
        let number = request.into_inner().cycle_number;
        let certificate = self.cycle_certificate(&caller, number).await?;
        ok(v1::GetCycleCertificateResponse {
            certificate: Some(certificate),
        })
    }

    async fn list_statement_items(
        &self,
        request: Request<v1::ListStatementItemsRequest>,
    ) -> Answer<v1::ListStatementItemsResponse> {
        let caller = self.caller(&request)?;
        ok(self.statement_items(&caller, request.into_inner()).await?)
    }

    async fn get_statement_document(
        &self,
        request: Request<v1::GetStatementDocumentRequest>,
    ) -> Answer<v1::GetStatementDocumentResponse> {
        let caller = self.caller(&request)?;
        let document = self.statement_document(&caller, request.into_inner());
        ok(v1::GetStatementDocumentResponse {
            document: Some(document.await?),
        })
    }

    async fn get_finance_document(
        &self,
        request: Request<v1::GetFinanceDocumentRequest>,
    ) -> Answer<v1::GetFinanceDocumentResponse> {
        let caller = self.caller(&request)?;
        let document = self.finance_document(&caller, request.into_inner());
        ok(v1::GetFinanceDocumentResponse {
            document: Some(document.await?),
        })
    }
}
