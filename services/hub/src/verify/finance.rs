//! Finance, made again from the log alone: payment files byte for byte, attachments by their digests.

use hansa_proto::v1::{self, fact::Fact as F};
use hansa_settlement::{PaymentNo, finance::PaymentInstruction};

use super::{fold::Fold, report::Mismatch};
use crate::finance::order;
use hansa_client::keys::hex;

impl Fold {
    /// The file that was handed to the bank is the one that comes out of the log.
    pub(super) fn check_payment_file(
        &self,
        submitted: &v1::PaymentsSubmitted,
    ) -> Result<(), Mismatch> {
        if submitted.file_sha256.is_empty() {
            return Ok(());
        }
        let what = "the payment file";
        let finance = self.global.finance();
        let payments: Vec<&PaymentInstruction> = submitted
            .payment_numbers
            .iter()
            .filter_map(|number| finance.payment(PaymentNo(u32::try_from(*number).ok()?)))
            .collect();
        let recorded = hex(&submitted.file_sha256);
        let digests = order::digests(&self.global, &self.registry, &payments)
            .map_err(|refusal| Mismatch::new(what, &recorded, refusal))?;
        if digests
            .iter()
            .any(|digest| digest.as_slice() == submitted.file_sha256)
        {
            return Ok(());
        }
        let recomputed: Vec<String> = digests.iter().map(|digest| hex(digest)).collect();
        Err(Mismatch::new(what, recorded, recomputed.join(" or ")))
    }
}

/// Digests of the attachments that these facts name.
pub(super) fn attachments(written: &v1::Facts) -> impl Iterator<Item = &v1::Evidence> {
    written.facts.iter().flat_map(|fact| match &fact.fact {
        Some(F::DisputeRaised(raised)) => raised.evidence.as_slice(),
        Some(F::DisputeEscalated(escalated)) => escalated.evidence.as_slice(),
        Some(F::QueryRaised(raised)) => raised.evidence.as_slice(),
        Some(F::QueryEscalated(escalated)) => escalated.evidence.as_slice(),
        _ => &[],
    })
}
