//! A payment order: what it says, what must hold for it, and its two forms, `pain.001.001.09` and a CSV list.
//!
//! [`PaymentOrder::check`] looks at everything and gives every violation at once; only a [`CheckedOrder`] can be written. The
//! same order makes the same bytes.

mod check;
mod list;
mod pain001;
mod violation;

pub use violation::{Rule, Violation, Violations};

use chrono::{DateTime, NaiveDate, Utc};
use hansa_money::Currency;
use serde::{Deserialize, Serialize};

use crate::{Account, Address};

/// An order to pay a batch from one account on one day.
///
/// # Characters
///
/// Banks take the SWIFT set only: `a-z A-Z 0-9 / - ? : ( ) . , ' +` and the space. Names, addresses and remittance text are
/// converted as [`Characters`] says; identifiers are never converted, since they come back from the bank and must be found
/// again. A letter or digit that no table knows (Han, Arabic, ...) is refused rather than turned into a dot: nobody could
/// recognise the name. Lengths are those after conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentOrder {
    /// Id of the message, unique for ever; also that of its one payment information block. At most 35 characters.
    pub message_id: String,
    /// When the order was made; written to the second.
    pub created_at: DateTime<Utc>,
    /// Who hands it to the bank.
    pub initiating_party: String,
    /// Who pays.
    pub debtor: Party,
    /// From which account.
    pub debtor_account: Account,
    /// BIC of its bank. Needed where the account is no IBAN.
    pub debtor_agent: Option<String>,
    /// When the bank shall execute it: not more than a day before [`created_at`](Self::created_at).
    pub execution_date: NaiveDate,
    /// Which rules apply.
    pub scheme: Scheme,
    /// Whether the bank books the batch as one entry. `None` leaves it to the agreement with the bank.
    pub batch_booking: Option<bool>,
    /// What becomes of characters that banks do not take.
    pub characters: Characters,
    /// At least one, all in one currency.
    pub payments: Vec<Payment>,
}

/// One payment of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Our id of the instruction, unique in the order. At most 35 characters.
    pub instruction_id: String,
    /// The id that goes to the payee's bank and comes back, unique in the order. At most 35 characters.
    pub end_to_end_id: String,
    /// Minor units (344 is 3.44 EUR), above 0.
    pub amount_minor: i64,
    /// Their currency.
    pub currency: Currency,
    /// Who is paid.
    pub creditor: Party,
    /// On which account.
    pub creditor_account: Account,
    /// BIC of its bank. Needed where the account is no IBAN.
    pub creditor_agent: Option<String>,
    /// What for, in words; at most 140 characters.
    pub remittance: Option<String>,
    /// What for, as a structured creditor reference (ISO 11649, `RF...`).
    pub creditor_reference: Option<String>,
}

/// A party with its structured address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// At most 70 characters.
    pub name: String,
    /// Town and country at least.
    pub address: Address,
}

/// Which rules an order follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheme {
    /// SEPA credit transfer: euro, IBAN of SEPA countries on both sides, at most 999,999,999.99, shared charges (SLEV), words or
    /// a reference but not both.
    #[default]
    Sepa,
    /// Any other credit transfer: any currency and account; each side pays its own charges (SHAR).
    Other,
}

/// What becomes of characters outside of the SWIFT set in names, addresses and remittance text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Characters {
    /// The table of EPC217-08 (`Müller & Söhne` -> `Muller + Sohne`).
    #[default]
    Convert,
    /// The same with German letters written out, as German banks allow (`Mueller + Soehne`).
    ConvertGerman,
    /// They are a violation.
    Refuse,
}

/// An order for which everything holds. Its texts are as they will be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedOrder {
    order: PaymentOrder,
    currency: Currency,
    sum_minor: i64,
}

impl CheckedOrder {
    /// The order with its texts as they will be written.
    #[must_use]
    pub fn order(&self) -> &PaymentOrder {
        &self.order
    }

    /// Number of payments.
    #[must_use]
    pub fn count(&self) -> usize {
        self.order.payments.len()
    }

    /// Sum of the payments in minor units.
    #[must_use]
    pub fn sum_minor(&self) -> i64 {
        self.sum_minor
    }

    /// The currency of all payments.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The order as `pain.001.001.09`, UTF-8.
    #[must_use]
    pub fn pain001(&self) -> Vec<u8> {
        pain001::write(self).into_bytes()
    }

    /// The order as a CSV list, UTF-8, one row per payment, for people and for banks without `pain.001`. A text that a
    /// spreadsheet could take for a formula (it begins with + or -) has an apostrophe in front.
    #[must_use]
    pub fn payment_list(&self) -> Vec<u8> {
        list::write(self).into_bytes()
    }
}
