//! Exposures, and who did what.

use hansa_proto::v1;
use hansa_settlement::{
    Instant, PaymentNo, ProposalNo,
    finance::{TrailFilter, risk},
};

use super::Api;
use crate::{convert::cycle_no, error::HubError, finance::show, services::page};

impl Api {
    pub(super) async fn risk(&self) -> Result<v1::GetRiskResponse, HubError> {
        self.read(|view| {
            let mut lines = Vec::new();
            for line in risk(view.global, Instant(view.now)) {
                lines.push(show::risk(view.registry, &line)?);
            }
            lines.sort_by(|a, b| a.merchant_id.cmp(&b.merchant_id));
            Ok(v1::GetRiskResponse { lines })
        })
        .await
    }

    pub(super) async fn trail(
        &self,
        request: v1::ListAuditTrailRequest,
    ) -> Result<v1::ListAuditTrailResponse, HubError> {
        let size = page::size(request.page_size, 100)?;
        let start = page::start(&request.page_token, "trail")?;
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let number = |wire: u64| u32::try_from(wire).unwrap_or(u32::MAX);
        let filter = TrailFilter {
            cycle: (request.cycle_number != 0).then(|| cycle_no(request.cycle_number)),
            proposal: (request.proposal_number != 0)
                .then(|| ProposalNo(number(request.proposal_number))),
            payment: (request.payment_number != 0)
                .then(|| PaymentNo(number(request.payment_number))),
        };
        self.read(move |view| {
            let finance = view.global.finance();
            let mut found = finance
                .trail()
                .iter()
                .enumerate()
                .skip(start)
                .filter(|(_, entry)| finance.concerns(&entry.step, &filter));
            let events = found
                .by_ref()
                .take(size)
                .map(|(_, entry)| show::event(finance, entry))
                .collect();
            let next = found.next().map(|(at, _)| at as u64);
            Ok(v1::ListAuditTrailResponse {
                events,
                next_page_token: next.map_or_else(String::new, |at| page::token("trail", at)),
            })
        })
        .await
    }
}
