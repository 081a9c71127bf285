//! The statement of one merchant and one cycle: what it is made of, and that it adds up.
//!
//! [`StatementParts`] is what the hub hands over; [`StatementDocument`] is the same, checked. There is no other way to
//! render one, so no statement leaves that contradicts itself.

mod check;
mod csv;
mod parts;
mod pdf;
mod proof;
mod records;
mod xlsx;

pub use check::StatementError;
pub use parts::{
    Adjustment, Approval, BilateralNet, CycleState, FeeItem, Holdback, LineKind, MessageRow,
    MessageTotal, OpeningItem, OriginalRef, Payment, Period, PromotionShare, StatementLine,
    StatementParts,
};
pub use proof::{CheckpointRef, ConsistencyProof, Digest, MessageId, Proof};

use crate::amount::Amount;
use crate::figures::{self, FiguresError};
use crate::format::Format;
use serde::{Deserialize, Serialize};

/// Name and version of the JSON form. A change that a reader could notice changes the number.
pub(crate) const SCHEMA: &str = "hansa.statement.v1";

/// A statement that adds up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementDocument {
    parts: StatementParts,
    totals: Totals,
}

/// What follows from the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    /// Of the net, corrections.
    pub(crate) adjustments: Amount,
    pub(crate) holdbacks: Amount,
    /// Brought forward + net + holdbacks.
    pub(crate) payable: Amount,
    pub(crate) payments: Amount,
}

/// The JSON form: keys stand in the order of the fields.
#[derive(Serialize)]
struct Json<'a> {
    schema: &'static str,
    statement: &'a StatementParts,
    totals: &'a Totals,
}

/// The JSON form as it is read: totals and schema are compared, not believed.
#[derive(Deserialize)]
struct ReadJson {
    statement: StatementParts,
}

impl StatementDocument {
    /// Checks the parts and keeps them.
    ///
    /// What must hold: the lines, the bilateral nets and (where given) the messages each add up to the net; the rows of a
    /// drill-down add up to each line, points included; shares of promotions and adjustments add up to their lines; what is
    /// brought forward is its parts; brought forward, net and holdbacks less the payments is what is carried forward; payments
    /// are whole minor units; lines for information carry no money; nothing stands twice; an adjustment has two different approvers; a
    /// cycle that is closed has its proof.
    pub fn new(parts: StatementParts) -> Result<Self, StatementError> {
        let totals = check::check(&parts)?;
        Ok(Self { parts, totals })
    }

    /// What it is made of.
    #[must_use]
    pub const fn parts(&self) -> &StatementParts {
        &self.parts
    }

    /// Brought forward + net + holdbacks: what payments and what is carried forward share between them.
    #[must_use]
    pub const fn payable(&self) -> Amount {
        self.totals.payable
    }

    /// The sum of the payments; positive = the merchant pays.
    #[must_use]
    pub const fn paid(&self) -> Amount {
        self.totals.payments
    }

    /// Reads the JSON form and checks it as if it were new. Other bytes than those that this document gives are refused.
    pub fn from_json(bytes: &[u8]) -> Result<Self, FiguresError> {
        let read: ReadJson = serde_json::from_slice(bytes)?;
        let document = Self::new(read.statement).map_err(FiguresError::Statement)?;
        figures::same(bytes, &document.to_json().map_err(FiguresError::Statement)?)?;
        Ok(document)
    }

    /// The bytes in a format.
    pub fn render(&self, format: Format) -> Result<Vec<u8>, StatementError> {
        match format {
            Format::Json => self.to_json(),
            Format::Csv => self.to_csv(),
            Format::Xlsx => self.to_xlsx(),
            Format::Pdf => self.to_pdf(),
        }
    }

    /// Name for the document's files, without an extension: `statement-bakery-7`. Letters, digits and `-` only.
    #[must_use]
    pub fn file_stem(&self) -> String {
        let kept = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let merchant: String = self.parts.merchant.id.chars().map(kept).collect();
        format!("statement-{merchant}-{}", self.parts.cycle)
    }

    /// JSON, indented, keys always in the same order. Amounts are whole micro-units with their decimal text beside them.
    pub fn to_json(&self) -> Result<Vec<u8>, StatementError> {
        let mut out = serde_json::to_vec_pretty(&Json {
            schema: SCHEMA,
            statement: &self.parts,
            totals: &self.totals,
        })?;
        out.push(b'\n');
        Ok(out)
    }

    /// One CSV file: a record per figure, all with the same columns, so that a spreadsheet filters by `section` and files
    /// of several merchants can be put under each other. The drill-down, if there is one, stands at the end.
    pub fn to_csv(&self) -> Result<Vec<u8>, StatementError> {
        csv::statement(self)
    }

    /// A workbook: Summary, Lines, Bilateral, Messages. Amounts are numbers, with their exact text in the column beside.
    pub fn to_xlsx(&self) -> Result<Vec<u8>, StatementError> {
        xlsx::statement(self)
    }

    /// A4 pages to read and to sign, as PDF/A-3b with the JSON attached; dated with the end of the period.
    pub fn to_pdf(&self) -> Result<Vec<u8>, StatementError> {
        pdf::statement(self)
    }

    pub(crate) const fn totals(&self) -> &Totals {
        &self.totals
    }
}
