//! A cycle's certificate: that it is complete, for those who have nothing but the log's key.
//!
//! A cut is the last entry of its commit, and so is the entry that closes a cycle: signed checkpoints stand exactly at them.
//! The certificate of a cycle is the same for ever: it tells the cycle as it was closed, not how it is settled since.

use bytes::Bytes;
use hansa_proto::v1;
use prost::Message as _;

use super::{super::cycles, Api, closed};
use crate::{auth::Caller, error::HubError, sequencer::View, tlog};

/// What the ledger knows of a closed cycle.
struct Closed {
    cut: u64,
    closed: u64,
    opening_cut: Option<u64>,
    certificate: v1::CycleCertificate,
}

fn read(view: &View<'_>, number: u32, whole: bool) -> Result<Closed, HubError> {
    let totals = closed(view.global, number)?;
    let (Some(cut), Some(closed)) = (totals.cut_seq, totals.closed_seq) else {
        return Err(HubError::internal("a closed cycle without its entries"));
    };
    let before = totals.no.0.checked_sub(1).map(hansa_settlement::CycleNo);
    let before = before.and_then(|no| view.global.cycle(no));
    let opening_cut = before.and_then(|before| before.cut_seq);
    let cycle = v1::Cycle {
        state: v1::CycleState::Closed.into(),
        audited: false,
        netting_method: String::new(),
        ..cycles::cycle(view.global, totals)
    };
    let (mut debit, mut credit) = (0, 0);
    for net in totals.nets().into_values() {
        if net > 0 { debit += net } else { credit -= net }
    }
    let mut certificate = v1::CycleCertificate {
        messages: totals.counts.messages(),
        cycle: Some(cycle),
        opening_cut_leaf_index: opening_cut,
        ..v1::CycleCertificate::default()
    };
    if whole {
        certificate.debit_micros = cycles::wire(debit)?;
        certificate.credit_micros = cycles::wire(credit)?;
        certificate.hub = Some(cycles::hub_position(totals)?);
    }
    Ok(Closed {
        cut,
        closed,
        opening_cut,
        certificate,
    })
}

impl Api {
    /// The signed certificate of a closed cycle. What the merchants owe in all, and the hub's side, are for operators.
    pub(super) async fn cycle_certificate(
        &self,
        caller: &Caller,
        number: u32,
    ) -> Result<v1::CycleCertificate, HubError> {
        let whole = matches!(caller, Caller::Operator { .. });
        let Closed {
            cut,
            closed,
            opening_cut,
            mut certificate,
        } = self.read(move |view| read(view, number, whole)).await?;
        if let Some(before) = opening_cut {
            certificate.opening_checkpoint = self.checkpoint_at(before).await?;
            certificate.opening_to_cut_proof = self.extension(before, cut).await?;
        }
        certificate.cut_checkpoint = self.checkpoint_at(cut).await?;
        certificate.closed_checkpoint = self.checkpoint_at(closed).await?;
        certificate.cut_to_closed_proof = self.extension(cut, closed).await?;
        let payload = Bytes::from(certificate.encode_to_vec());
        certificate.envelope = Some(self.0.signer.cycle_certificate(payload));
        Ok(certificate)
    }

    /// The signed checkpoint whose last leaf is `leaf`.
    pub(super) async fn checkpoint_at(&self, leaf: u64) -> Result<String, HubError> {
        let checkpoint = self.0.store.checkpoint(leaf + 1).await?;
        let missing = || HubError::internal(format!("no checkpoint stands at entry {leaf}"));
        Ok(checkpoint.ok_or_else(missing)?.note)
    }

    /// That the tree whose last leaf is `to` extends the one whose last leaf is `from`.
    async fn extension(&self, from: u64, to: u64) -> Result<Vec<Vec<u8>>, HubError> {
        let plan = tlog::consistency_plan(from + 1, to + 1).map_err(HubError::internal)?;
        self.prove(&plan).await
    }
}
