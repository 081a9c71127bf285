//! Bank files: what a payment order looks like for a bank, and what the bank says back.
//!
//! Owns the formats, their checks and the comparison of what a bank reports with what is expected. Bytes in, values or bytes
//! out: no IO, no clock, no randomness; the same order makes the same bytes. It moves no money, keeps nothing, and decides
//! nothing about instructions: reading a file gives claims of the bank, and whoever calls it acts on them with the rules of its
//! own ledger.
//!
//! ```
//! use hansa_bank::{Limits, read};
//!
//! let refused = read(b"<Document><BkToCstmrStmt>", &Limits::default()).unwrap_err();
//! assert_eq!(refused.problem.code(), "TRUNCATED");
//! ```
//!
//! # Which crates, and why
//!
//! Two crates know these messages. Both were read before a line of XML was written here.
//!
//! - `mx20022-model` 0.3: types generated from the schemas, no floats (amounts are text). It has `pain.001.001.11`, not the
//!   `.09` that banks take, one fixed version of camt.053, camt.054 and pain.002 and no camt.052; three hundred thousand
//!   generated lines that check single fields, but neither identifiers nor control sums. Not used.
//! - `sepa` 0.9: integer amounts, careful identifiers, structured addresses, MIT or Apache-2.0. Its writer has no instruction
//!   id, no accounts other than IBAN, currencies other than euro only in one scheme, and ends at the first violation; its
//!   readers take a list of known namespaces (three of the fourteen versions of camt.053) and know no lines. So its messages
//!   are not used, and what it does well is: the IBAN registry (length and structure per country), BIC, ISO 11649 creditor
//!   references, countries, and the EPC's table of 1,010 character conversions.
//!
//! XML is read with `quick-xml`, strictly (bounds, one namespace, no document type), and written with its escaping.

mod account;
mod amount;
mod error;
mod matching;
mod order;
mod report;
mod xml;

pub use account::{Account, AccountError, Address, BicError, check_bic};
pub use amount::{AmountError, MAX_DIGITS, decimal, minor_units, signed_minor_units};
pub use error::{FileError, Problem};
pub use matching::{
    Difference, Direction, Expected, Field, MAX_SUMMANDS, Match, MatchKind, MatchedBy, Matching,
    Open, StatusMatch, UnmatchedExpected, UnmatchedItem, UnmatchedStatus, match_report,
};
pub use order::{
    Characters, CheckedOrder, Party, Payment, PaymentOrder, Rule, Scheme, Violation, Violations,
};
pub use report::{
    Balance, BankEntry, BankItem, BankReport, Batch, Counterparty, EntryPart, EntryStatus, Outcome,
    Page, PaymentStatus, ReportKey, ReportKind, ReturnReason, STATEMENT_COLUMNS, StatusCode,
    StatusLevel, StatusReason, Timestamp, read,
};
pub use xml::Limits;
