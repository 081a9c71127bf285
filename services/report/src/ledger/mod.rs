//! The export for the general ledger: journal lines that balance, document by document.

mod accounts;
mod check;
mod csv;
mod xlsx;

pub use accounts::{AccountMap, GlAccount};
pub(crate) use check::{LedgerFigures, check_json};

use crate::amount::{Amount, AmountError};
use crate::party::{Issuer, Tax};
use crate::text::{TextError, optional, required};
use chrono::NaiveDate;
use hansa_money::Currency;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Why an export is refused.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// A text that cannot stand in a document.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A sum that does not fit.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// A document whose debits are not its credits.
    #[error("document \"{reference}\" is out of balance by {by} (debits less credits)")]
    Unbalanced {
        /// The document.
        reference: String,
        /// Debits less credits.
        by: Amount,
    },
    /// A posting of nothing.
    #[error("document \"{0}\" posts nothing on an account; leave the posting out")]
    EmptyPosting(String),
    /// A document without postings.
    #[error("document \"{0}\" has no postings; leave it out")]
    EmptyDocument(String),
    /// Two documents of one reference.
    #[error("document \"{0}\" stands twice")]
    Duplicate(String),
    /// An account that the mapping lacks.
    #[error(
        "document \"{reference}\" posts on account {account}, which no account of the general ledger is mapped to; add one to the mapping"
    )]
    Unmapped {
        /// The document.
        reference: String,
        /// The account of Hansa.
        account: String,
    },
    /// A writer failed.
    #[error("the export could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A writer failed.
    #[error("the export could not be written as CSV: {0}")]
    Csv(#[from] ::csv::Error),
    /// A writer failed.
    #[error("the export could not be written as XLSX: {0}")]
    Xlsx(#[from] rust_xlsxwriter::XlsxError),
}

/// Name and version of the JSON form.
pub(crate) const SCHEMA: &str = "hansa.ledger.v1";

/// The JSON form: keys stand in the order of the fields.
#[derive(Serialize)]
struct Json<'a> {
    schema: &'static str,
    issuer: &'a Issuer,
    currency: &'a str,
    lines: Vec<LineJson<'a>>,
    balances: Vec<BalanceJson>,
    control: ControlJson,
}

#[derive(Serialize)]
struct LineJson<'a> {
    document: &'a str,
    line: usize,
    date: NaiveDate,
    account: &'a str,
    account_name: &'a str,
    debit: Option<Amount>,
    credit: Option<Amount>,
    merchant: Option<&'a str>,
    cycle: u32,
    tax: Option<&'a Tax>,
    text: &'a str,
}

#[derive(Serialize)]
struct BalanceJson {
    account: String,
    account_name: String,
    debits: Amount,
    credits: Amount,
    balance: Amount,
}

#[derive(Serialize)]
struct ControlJson {
    documents: usize,
    lines: usize,
    debits: Amount,
    credits: Amount,
}

/// A document of the journal: a merchant's cycle, a payment, an adjustment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerDocument {
    /// Its reference, unique in the export.
    pub reference: String,
    /// Booking date.
    pub date: NaiveDate,
    /// The cycle.
    pub cycle: u32,
    /// Booking text; may be empty.
    pub text: String,
    /// Its postings; they balance.
    pub postings: Vec<Posting>,
}

/// A posting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The account of Hansa's ledger: `1100`, `1200`, `2100`, `2200`, `4100`, `4200`, `4300`, `4900`, or another that the mapping has.
    pub account: String,
    /// The merchant that it concerns; on 1100, whose clearing it is.
    pub merchant: Option<String>,
    /// Debit (+) or credit (-).
    pub amount: Amount,
    /// How it is taxed, where it is.
    pub tax: Option<Tax>,
}

/// An export that balances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerExport {
    issuer: Issuer,
    currency: Currency,
    documents: Vec<LedgerDocument>,
    accounts: AccountMap,
    totals: ControlTotals,
}

/// What a bookkeeper compares after an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlTotals {
    /// Documents.
    pub documents: usize,
    /// Journal lines.
    pub lines: usize,
    /// Sum of all debits, and of all credits.
    pub debits: Amount,
}

/// A journal line: a posting with its document and its account.
struct JournalLine<'a> {
    document: &'a LedgerDocument,
    number: usize,
    posting: &'a Posting,
    account: &'a GlAccount,
    debit: Option<Amount>,
    credit: Option<Amount>,
}

impl LedgerExport {
    /// Checks that each document balances and each account is mapped.
    pub fn new(
        issuer: Issuer,
        currency: Currency,
        documents: Vec<LedgerDocument>,
        accounts: AccountMap,
    ) -> Result<Self, LedgerError> {
        issuer.check()?;
        let mut references = BTreeSet::new();
        for document in &documents {
            check(document, &accounts)?;
            if !references.insert(&document.reference) {
                return Err(LedgerError::Duplicate(document.reference.clone()));
            }
        }
        let postings = documents.iter().flat_map(|document| &document.postings);
        let debits = postings
            .clone()
            .filter(|posting| posting.amount > Amount::ZERO);
        let totals = ControlTotals {
            documents: documents.len(),
            lines: postings.count(),
            debits: Amount::sum(debits.map(|posting| posting.amount))?,
        };
        Ok(Self {
            issuer,
            currency,
            documents,
            accounts,
            totals,
        })
    }

    /// Documents, lines and the sum of the debits, which is that of the credits.
    #[must_use]
    pub const fn totals(&self) -> &ControlTotals {
        &self.totals
    }

    /// JSON, indented, keys always in the same order.
    pub fn to_json(&self) -> Result<Vec<u8>, LedgerError> {
        let lines = self.lines()?;
        let lines = lines.iter().map(|line| LineJson {
            document: &line.document.reference,
            line: line.number,
            date: line.document.date,
            account: &line.account.number,
            account_name: &line.account.name,
            debit: line.debit,
            credit: line.credit,
            merchant: line.posting.merchant.as_deref(),
            cycle: line.document.cycle,
            tax: line.posting.tax.as_ref(),
            text: &line.document.text,
        });
        let balances = self.balances()?.into_iter();
        let balances = balances.map(|((number, name), [debits, credits])| {
            Ok(BalanceJson {
                account: number,
                account_name: name,
                debits,
                credits,
                balance: Amount::sum([debits, credits.negated()?])?,
            })
        });
        let mut out = serde_json::to_vec_pretty(&Json {
            schema: SCHEMA,
            issuer: &self.issuer,
            currency: self.currency.as_str(),
            lines: lines.collect(),
            balances: balances.collect::<Result<_, AmountError>>()?,
            control: ControlJson {
                documents: self.totals.documents,
                lines: self.totals.lines,
                debits: self.totals.debits,
                credits: self.totals.debits,
            },
        })?;
        out.push(b'\n');
        Ok(out)
    }

    /// CSV: a record per journal line; the last one is the control total.
    pub fn to_csv(&self) -> Result<Vec<u8>, LedgerError> {
        csv::export(self)
    }

    /// A workbook: Journal, Accounts (debits, credits and balance of each), Control.
    pub fn to_xlsx(&self) -> Result<Vec<u8>, LedgerError> {
        xlsx::export(self)
    }

    /// All lines, in the order of the documents.
    fn lines(&self) -> Result<Vec<JournalLine<'_>>, LedgerError> {
        let mut lines = Vec::with_capacity(self.totals.lines);
        for document in &self.documents {
            for (at, posting) in document.postings.iter().enumerate() {
                let (debit, credit) = if posting.amount > Amount::ZERO {
                    (Some(posting.amount), None)
                } else {
                    (None, Some(posting.amount.negated()?))
                };
                lines.push(JournalLine {
                    document,
                    number: at + 1,
                    posting,
                    account: mapped(document, posting, &self.accounts)?,
                    debit,
                    credit,
                });
            }
        }
        Ok(lines)
    }

    /// Debits and credits of each account, by number.
    fn balances(&self) -> Result<BTreeMap<(String, String), [Amount; 2]>, LedgerError> {
        let mut balances: BTreeMap<(String, String), [Amount; 2]> = BTreeMap::new();
        for line in self.lines()? {
            let account = (line.account.number.clone(), line.account.name.clone());
            let [debits, credits] = balances.entry(account).or_default();
            *debits = Amount::sum([*debits, line.debit.unwrap_or_default()])?;
            *credits = Amount::sum([*credits, line.credit.unwrap_or_default()])?;
        }
        Ok(balances)
    }
}

fn check(document: &LedgerDocument, accounts: &AccountMap) -> Result<(), LedgerError> {
    required("reference of the document", &document.reference)?;
    optional("booking text", &document.text)?;
    if document.postings.is_empty() {
        return Err(LedgerError::EmptyDocument(document.reference.clone()));
    }
    for posting in &document.postings {
        optional("merchant", posting.merchant.as_deref().unwrap_or_default())?;
        posting.tax.as_ref().map_or(Ok(()), Tax::check)?;
        mapped(document, posting, accounts)?;
        if posting.amount.is_zero() {
            return Err(LedgerError::EmptyPosting(document.reference.clone()));
        }
    }
    let by = Amount::sum(document.postings.iter().map(|posting| posting.amount))?;
    if by.is_zero() {
        return Ok(());
    }
    Err(LedgerError::Unbalanced {
        reference: document.reference.clone(),
        by,
    })
}

fn mapped<'a>(
    document: &LedgerDocument,
    posting: &Posting,
    accounts: &'a AccountMap,
) -> Result<&'a GlAccount, LedgerError> {
    accounts
        .get(&posting.account, posting.merchant.as_deref())
        .ok_or_else(|| LedgerError::Unmapped {
            reference: document.reference.clone(),
            account: posting.account.clone(),
        })
}
