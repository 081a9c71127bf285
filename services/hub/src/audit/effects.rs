//! The recorded effects of an entry, which a restart applies unseen, against the journals that the auditor derived: the one place
//! where the fold's bytes meet the auditor's legs, so that a wrong result is named by its message and not only by its cycle.

use std::collections::BTreeMap;

use hansa_auditor::{Account, Auditor, Entry, Finding, Journals, What};
use hansa_proto::{BATCH_PAYLOAD_TYPE, v1};
use hansa_settlement::{Account as Recorded, Pos, PriceBook, decode_effect_stream, journal};
use hansa_store::EntryRow;
use prost::Message as _;

use super::ledger::Prices;
use crate::convert::cycle_number;

/// What one place did, by cycle and account; zeros are left out.
type Sums = BTreeMap<(u32, Account), i128>;

/// What a whole entry did, by position.
type ByPosition = BTreeMap<u32, Sums>;

fn account(account: Recorded) -> Account {
    match account {
        Recorded::Clearing(merchant) => Account::Clearing(merchant.0),
        Recorded::Bank => Account::Bank,
        Recorded::Reserve => Account::Reserve,
        Recorded::ServiceFee => Account::ServiceFee,
        Recorded::RedemptionFee => Account::RedemptionFee,
        Recorded::Breakage => Account::Breakage,
        Recorded::Adjustments => Account::Adjustments,
        Recorded::CommissionReserve(merchant) => Account::CommissionReserve(merchant.0),
    }
}

fn add(sums: &mut ByPosition, position: u32, key: (u32, Account), micros: i128) {
    *sums.entry(position).or_default().entry(key).or_default() += micros;
}

fn trim(mut sums: ByPosition) -> ByPosition {
    for by_account in sums.values_mut() {
        by_account.retain(|_, micros| *micros != 0);
    }
    sums.retain(|_, by_account| !by_account.is_empty());
    sums
}

fn derived(journals: &[Journals]) -> ByPosition {
    let mut sums = ByPosition::new();
    for journal in journals.iter().filter(|journal| journal.recorded) {
        for leg in &journal.legs {
            add(
                &mut sums,
                journal.position,
                (leg.cycle, leg.account),
                leg.micros,
            );
        }
    }
    trim(sums)
}

fn recorded(seq: u64, effects: &[u8], book: &PriceBook) -> Option<ByPosition> {
    let mut sums = ByPosition::new();
    for record in decode_effect_stream(effects).ok()? {
        let pos = Pos::new(seq, record.index);
        for effect in &record.effects {
            let cycle = cycle_number(effect.cycle);
            for leg in journal(&effect.change, book, pos) {
                add(
                    &mut sums,
                    record.index,
                    (cycle, account(leg.account)),
                    leg.micros,
                );
            }
        }
    }
    Some(trim(sums))
}

/// The first place of an entry, which passed just now, whose recorded effects have other journals than the auditor derived.
pub(super) fn difference(
    auditor: &Auditor,
    entry: &Entry,
    row: &EntryRow,
    prices: &Prices,
) -> Option<Finding> {
    let sender = row
        .merchant
        .map(|merchant| auditor.merchant_id(merchant).to_owned());
    let finding = |position: Option<u32>, expected: String, found: String| Finding {
        leaf: row.seq,
        position,
        merchant: sender.clone(),
        message_id: position.and_then(|position| message_id(&entry.envelope, position)),
        what: What::Effects,
        expected,
        found,
    };
    let ours = derived(auditor.journals());
    let Some(theirs) = recorded(row.seq, &row.effects, &prices.book) else {
        return Some(finding(
            None,
            "effects that decode".into(),
            "other bytes".into(),
        ));
    };
    let position = ours
        .keys()
        .chain(theirs.keys())
        .copied()
        .filter(|position| ours.get(position) != theirs.get(position))
        .min()?;
    let tell = |sums: Option<&Sums>| {
        sums.map_or_else(|| "no journal".to_owned(), |sums| text(sums, auditor))
    };
    let (expected, found) = (tell(ours.get(&position)), tell(theirs.get(&position)));
    Some(finding(Some(position), expected, found))
}

/// Legs for people: debits with +, credits with -.
fn text(sums: &Sums, auditor: &Auditor) -> String {
    let legs = sums.iter().map(|((cycle, account), micros)| {
        let code = account.code();
        match account {
            Account::Clearing(merchant) | Account::CommissionReserve(merchant) => {
                let merchant = auditor.merchant_id(*merchant);
                format!("{code}.{merchant} {micros:+} in cycle {cycle}")
            }
            _ => format!("{code} {micros:+} in cycle {cycle}"),
        }
    });
    legs.collect::<Vec<_>>().join(", ")
}

/// The id of a message of a batch.
fn message_id(envelope: &v1::Envelope, position: u32) -> Option<[u8; 16]> {
    if envelope.payload_type != BATCH_PAYLOAD_TYPE {
        return None;
    }
    let batch = v1::Batch::decode(envelope.payload.clone()).ok()?;
    let bytes = batch.messages.get(position as usize)?.clone();
    let id = v1::Message::decode(bytes).ok()?.message_id;
    <[u8; 16]>::try_from(id.as_slice()).ok()
}
