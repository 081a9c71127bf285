//! What a bank reports, in one shape whatever message it came in.
//!
//! A report is a claim of the bank, nothing more: reading one moves no money and changes no state. It is compared with what is
//! expected ([`match_report`](crate::match_report)) and people decide.

mod camt;
mod csv;
mod item;
mod pain002;
mod read;
mod status;
mod time;

pub use csv::STATEMENT_COLUMNS;
pub use item::BankItem;
pub use read::read;
pub use status::{Outcome, PaymentStatus, StatusCode, StatusLevel, StatusReason};
pub use time::Timestamp;

use chrono::NaiveDate;
use hansa_money::Currency;
use serde::{Deserialize, Serialize};

use crate::{
    Account,
    error::{FileError, Problem},
};

/// Which message a report came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ReportKind {
    /// `pain.002`, what became of payments.
    PaymentStatus,
    /// `camt.052`, the day so far.
    Intraday,
    /// `camt.053`, a statement with opening and closing balance.
    Statement,
    /// `camt.054`, a notification of debits and credits.
    Notification,
    /// A statement in CSV ([`STATEMENT_COLUMNS`]).
    CsvStatement,
}

/// One report: a `pain.002`, or one statement, report or notification of a camt message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankReport {
    /// The message it came in.
    pub kind: ReportKind,
    /// The message with its version as its namespace has it (`camt.053.001.08`).
    pub message: Option<String>,
    /// The bank's id of the message (`GrpHdr/MsgId`). In CSV, the statement's.
    pub message_id: String,
    /// When the bank made it.
    pub created: Option<Timestamp>,
    /// The bank says that this is a copy or a duplicate of one that it sent before.
    pub duplicate: bool,
    /// Our account. `None` only in a `pain.002`.
    pub account: Option<Account>,
    /// The bank's id of the statement.
    pub statement_id: Option<String>,
    /// Its number in the electronic sequence.
    pub sequence: Option<u64>,
    /// Its number in the legal sequence.
    pub legal_sequence: Option<u64>,
    /// The page, where a statement has several.
    pub page: Option<Page>,
    /// The account's currency: that of all balances and entries.
    pub currency: Option<Currency>,
    /// Opening balance (of this page).
    pub opening: Option<Balance>,
    /// Closing balance (of this page). In a statement, opening + booked entries = closing.
    pub closing: Option<Balance>,
    /// Entries, in the order of the file.
    pub entries: Vec<BankEntry>,
    /// Statuses, in the order of the file, group before payment before transaction.
    pub statuses: Vec<PaymentStatus>,
}

/// A page of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// From 1.
    pub number: u32,
    /// Whether it is the last one.
    pub last: bool,
}

/// A balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Minor units; negative: the account is overdrawn.
    pub amount_minor: i64,
    /// The day.
    pub date: NaiveDate,
}

/// What state an entry is in. Only a booked one is money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EntryStatus {
    /// BOOK.
    Booked,
    /// PDNG.
    Pending,
    /// INFO.
    Information,
    /// FUTR.
    Future,
}

/// One booking on the account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BankEntry {
    /// Where it begins in the file.
    pub line: u32,
    /// The bank's reference (`AcctSvcrRef`, else `NtryRef`).
    pub reference: Option<String>,
    /// Minor units; + is money in, - is money out.
    pub amount_minor: i64,
    /// Its currency, the account's.
    pub currency: Currency,
    /// Its state.
    pub status: EntryStatus,
    /// When it was booked.
    pub booking_date: Option<NaiveDate>,
    /// From when it counts.
    pub value_date: Option<NaiveDate>,
    /// The bank takes an earlier entry back (`RvslInd`).
    pub reversal: bool,
    /// What the bank calls it: `PMNT/ICDT/ESCT`, or its own code.
    pub transaction_code: Option<String>,
    /// The bank's free text.
    pub information: Option<String>,
    /// The batch that was booked as one entry.
    pub batch: Option<Batch>,
    /// What the bank says about each payment in it. Empty where it says nothing.
    pub parts: Vec<EntryPart>,
    /// The parts are all payments of this entry, each with its amount, and add up to it.
    pub itemised: bool,
}

/// A batch of payments that the bank booked as one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Batch {
    /// The id of our message (`MsgId`).
    pub message_id: Option<String>,
    /// The id of our payment information block.
    pub payment_information_id: Option<String>,
    /// How many payments it has.
    pub count: Option<u64>,
}

/// One payment of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntryPart {
    /// Where it begins in the file.
    pub line: u32,
    /// Minor units of the entry's currency, signed as the entry. With a single part, the entry's. `None` where the bank
    /// gives none in that currency.
    pub amount_minor: Option<i64>,
    /// The bank's reference of this payment.
    pub reference: Option<String>,
    /// The id of our message.
    pub message_id: Option<String>,
    /// The id of our payment information block.
    pub payment_information_id: Option<String>,
    /// Our id of the instruction.
    pub instruction_id: Option<String>,
    /// The end-to-end id. `NOTPROVIDED` and `NONREF` are none.
    pub end_to_end_id: Option<String>,
    /// Who paid or was paid.
    pub counterparty: Counterparty,
    /// Unstructured remittance information.
    pub remittance: Vec<String>,
    /// Structured creditor references.
    pub creditor_references: Vec<String>,
    /// Why the payment came back.
    pub return_reason: Option<ReturnReason>,
}

/// The other side of a payment.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Counterparty {
    /// Its name.
    pub name: Option<String>,
    /// Its account.
    pub account: Option<Account>,
    /// The BIC of its bank.
    pub agent: Option<String>,
}

/// Why a payment came back.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReturnReason {
    /// A code of ISO 20022's external list (`AC04`: account closed), or the bank's own. `None`: the bank gave no reason.
    pub code: Option<String>,
    /// The bank's words.
    pub information: Vec<String>,
}

/// What tells one report from another, for finding one that was read before. The digest of the bytes finds the same file; this
/// finds the same statement in another file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReportKey {
    /// The message it came in.
    pub kind: ReportKind,
    /// Our account.
    pub account: Option<Account>,
    /// The statement's id, or the message's where it has none.
    pub id: String,
    /// The page.
    pub page: u32,
}

impl BankReport {
    /// See [`ReportKey`].
    #[must_use]
    pub fn key(&self) -> ReportKey {
        let id = self.statement_id.as_ref().unwrap_or(&self.message_id);
        ReportKey {
            kind: self.kind,
            account: self.account.clone(),
            id: id.clone(),
            page: self.page.map_or(1, |page| page.number),
        }
    }

    /// Refuses a report of another account or currency. A `pain.002` names no account; whose payments it is about shows when
    /// it is matched.
    pub fn check_account(&self, account: &Account, currency: Currency) -> Result<(), FileError> {
        if let Some(found) = self.account.as_ref().filter(|a| !a.is_same(account)) {
            return Err(Problem::ForeignAccount {
                found: found.to_string(),
                expected: account.to_string(),
            }
            .whole_file());
        }
        match self.currency {
            Some(found) if found != currency => Err(Problem::Currency {
                found,
                expected: currency,
            }
            .whole_file()),
            _ => Ok(()),
        }
    }
}

impl BankEntry {
    /// The one payment that this entry is, where the bank describes exactly one.
    #[must_use]
    pub fn single(&self) -> Option<&EntryPart> {
        match self.parts.as_slice() {
            [part] => Some(part),
            _ => None,
        }
    }

    /// Whether money comes back: a reason for a return is given, the bank reverses an entry, or its code says return.
    #[must_use]
    pub fn is_return(&self) -> bool {
        self.reversal
            || self.parts.iter().any(|part| part.return_reason.is_some())
            || self.transaction_code.as_deref().is_some_and(is_return_code)
    }
}

/// An id as the bank gives it back; what banks write where there was none is none.
fn given_id(id: &str) -> Option<String> {
    let is_none = matches!(id, "NOTPROVIDED" | "NOT PROVIDED" | "NONREF");
    (!is_none && !id.is_empty()).then(|| id.to_owned())
}

/// Families of ISO 20022's bank transaction codes that take a payment back: returned, or cancelled on request.
fn is_return_code(code: &str) -> bool {
    code.ends_with("/RRTN") || code.ends_with("/RPCR")
}
