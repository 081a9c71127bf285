//! A report's bookings one by one: the payments of an itemised batch, every other entry as a whole.

use chrono::NaiveDate;
use hansa_money::Currency;
use serde::{Deserialize, Serialize};

use super::{BankEntry, BankReport, Batch, Counterparty, EntryPart, EntryStatus, ReturnReason};

/// One booking of one payment, or of a batch of which the bank gives no payments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankItem {
    /// Its entry, by place in [`BankReport::entries`].
    pub entry: usize,
    /// Its part, by place in [`BankEntry::parts`], where the entry is itemised.
    pub part: Option<usize>,
    /// Where it begins in the file.
    pub line: u32,
    /// Minor units; + is money in, - is money out.
    pub amount_minor: i64,
    /// Its currency.
    pub currency: Currency,
    /// Its state.
    pub status: EntryStatus,
    /// When it was booked.
    pub booking_date: Option<NaiveDate>,
    /// The bank's reference.
    pub reference: Option<String>,
    /// The batch that it is, where its payments are not known.
    pub batch: Option<Batch>,
    /// Our id of the instruction.
    pub instruction_id: Option<String>,
    /// The end-to-end id.
    pub end_to_end_id: Option<String>,
    /// Who paid or was paid.
    pub counterparty: Counterparty,
    /// Unstructured remittance information.
    pub remittance: Vec<String>,
    /// Structured creditor references.
    pub creditor_references: Vec<String>,
    /// Money comes back: why, as far as the bank says.
    pub returned: Option<ReturnReason>,
}

impl BankReport {
    /// All bookings, in the order of the file. An entry whose parts are all known is taken apart; so the amounts add up to those
    /// of the entries.
    #[must_use]
    pub fn items(&self) -> Vec<BankItem> {
        let mut items = Vec::with_capacity(self.entries.len());
        for (number, entry) in self.entries.iter().enumerate() {
            if entry.itemised {
                for (place, part) in entry.parts.iter().enumerate() {
                    items.push(item(number, entry, Some((place, part))));
                }
            } else {
                items.push(item(number, entry, None));
            }
        }
        items
    }
}

fn item(number: usize, entry: &BankEntry, part: Option<(usize, &EntryPart)>) -> BankItem {
    let details = part.map_or_else(EntryPart::default, |(_, part)| part.clone());
    let returned = match &details.return_reason {
        Some(reason) => Some(reason.clone()),
        None if part.is_none() => entry.is_return().then(|| {
            let reasons = entry.parts.iter().filter_map(|p| p.return_reason.clone());
            reasons.into_iter().next().unwrap_or_default()
        }),
        None => None,
    };
    BankItem {
        entry: number,
        part: part.map(|(place, _)| place),
        line: part.map_or(entry.line, |(_, part)| part.line),
        amount_minor: details.amount_minor.unwrap_or(entry.amount_minor),
        currency: entry.currency,
        status: entry.status,
        booking_date: entry.booking_date,
        reference: details.reference.or_else(|| entry.reference.clone()),
        batch: entry.batch.clone().filter(|_| part.is_none()),
        instruction_id: details.instruction_id,
        end_to_end_id: details.end_to_end_id,
        counterparty: details.counterparty,
        remittance: details.remittance,
        creditor_references: details.creditor_references,
        returned,
    }
}
