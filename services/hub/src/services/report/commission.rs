//! Commission statements: what an affiliate's commissions did in a closed cycle, as a document that the hub signs.
//!
//! A call scans the cycle's interval of the log once and keeps the changes of that affiliate; conversions of earlier cycles cost a read
//! of their entry each. The sequencer is asked only for totals.

use std::collections::{BTreeMap, BTreeSet};

use hansa_proto::v1;
use hansa_report::CommissionStatement;
use hansa_settlement::{CycleNo, MerchantIx, Pos, Recorded, decode_effect_stream};
use hansa_store::EntryRow;
use prost::Message as _;

use super::{
    Api, closed,
    documents::{MAX_ITEMS, PAGE_BYTES, PAGE_ROWS, render, too_many},
};
use crate::{
    auth::Caller,
    convert::cycle_no,
    documents::{
        commission::{self, Changes, Source, Told},
        file::{self, File},
    },
    error::HubError,
    sequencer::group::first_entry,
};

type ToldAt = BTreeMap<Pos, Told>;

impl Api {
    /// The commission statement of an affiliate in a closed cycle: its own, or of one that an operator names.
    pub(in crate::services) async fn commission_statement(
        &self,
        caller: &Caller,
        request: v1::GetCommissionStatementRequest,
    ) -> Result<v1::SignedDocument, HubError> {
        let affiliate = self.affiliate_of(caller, &request.affiliate_id).await?;
        let format = file::format(request.format())?;
        let number = request.cycle_number;
        let (changes, told) = self.commission_changes(number, affiliate).await?;
        let proof = self.proof(number).await?;
        let (parts, slug) = self
            .read(move |view| {
                let source = Source {
                    global: view.global,
                    registry: view.registry,
                    cycle: closed(view.global, number)?,
                    changes: &changes,
                    told: &told,
                };
                let parts = commission::parts(&source, affiliate, proof)?;
                Ok((parts, view.registry.slug(affiliate.0).to_owned()))
            })
            .await?;
        let file = render(move || File::commission(&CommissionStatement::new(parts)?, format));
        self.signed(file.await?, number, &slug)
    }

    /// Whose statement a caller may have.
    async fn affiliate_of(&self, caller: &Caller, asked: &str) -> Result<MerchantIx, HubError> {
        let participant = self.participant(caller, asked).await?;
        let is_affiliate = self
            .read(move |view| Ok(view.global.affiliates().profile(participant).is_some()))
            .await?;
        match (is_affiliate, caller) {
            (true, _) => Ok(participant),
            (false, Caller::Merchant { .. }) => Err(HubError::permission_denied(
                "commission statements are of affiliates; a merchant's commissions are lines of its own statement",
            )),
            (false, Caller::Operator { .. }) => {
                Err(HubError::not_found(format!("affiliate \"{asked}\"")))
            }
        }
    }

    /// What a closed cycle changed of an affiliate's commissions, with what lines say of their conversions.
    async fn commission_changes(
        &self,
        number: u32,
        affiliate: MerchantIx,
    ) -> Result<(Changes, ToldAt), HubError> {
        let no = cycle_no(number);
        let (first, end) = self
            .read(move |view| {
                let totals = closed(view.global, number)?;
                let before = no.0.checked_sub(1).map(CycleNo);
                let before = before.and_then(|no| view.global.cycle(no));
                let first = before.and_then(|c| c.cut_seq).map_or(0, |cut| cut + 1);
                let end = totals.closed_seq.map_or(view.size, |closed| closed + 1);
                Ok((first, end))
            })
            .await?;
        let (mut changes, mut told) = (Changes::new(no, Some(affiliate)), ToldAt::new());
        let mut from = first;
        while from < end {
            let rows = self.0.store.entries(from, PAGE_ROWS, PAGE_BYTES).await?;
            let last = rows.last().map(|row| row.seq);
            let last =
                last.ok_or_else(|| HubError::internal(format!("entry {from} is missing")))?;
            for row in rows.iter().filter(|row| row.seq < end) {
                let records = decode_effect_stream(&row.effects).map_err(HubError::internal)?;
                let known = changes.found().len();
                changes.entry(row.seq, row.decided_at, &records);
                let new = changes.found().iter().skip(known);
                let here: BTreeSet<Pos> = new
                    .map(|found| found.conversion)
                    .filter(|pos| pos.seq() == row.seq)
                    .collect();
                tell(row, &records, &here, &mut told)?;
            }
            if changes.found().len() > MAX_ITEMS {
                return Err(too_many());
            }
            from = last + 1;
        }
        let mut earlier: BTreeMap<u64, BTreeSet<Pos>> = BTreeMap::new();
        let conversions = changes.found().iter().map(|found| found.conversion);
        for pos in conversions.filter(|pos| !told.contains_key(pos)) {
            earlier.entry(pos.seq()).or_default().insert(pos);
        }
        for (seq, places) in earlier {
            let row = self.0.store.entry(seq).await?;
            let row = row.ok_or_else(|| HubError::internal(format!("entry {seq} is missing")))?;
            let records = decode_effect_stream(&row.effects).map_err(HubError::internal)?;
            tell(&row, &records, &places, &mut told)?;
        }
        Ok((changes, told))
    }
}

/// Takes in what an entry says of the conversions at these places of it.
fn tell(
    row: &EntryRow,
    records: &[Recorded],
    places: &BTreeSet<Pos>,
    told: &mut ToldAt,
) -> Result<(), HubError> {
    if places.is_empty() {
        return Ok(());
    }
    let elements = first_entry(row)?.elements;
    for pos in places {
        let missing = || HubError::internal(format!("no conversion at {pos:?}"));
        let conversion = commission::accepted(records, *pos).ok_or_else(missing)?;
        let bytes = elements.get(pos.index() as usize).ok_or_else(missing)?;
        let message = v1::Message::decode(bytes.clone()).map_err(HubError::internal)?;
        told.insert(*pos, Told::of(conversion, &message)?);
    }
    Ok(())
}
