//! The commission statement of one affiliate and one closed cycle: what it is made of, and that it adds up.
//!
//! [`CommissionParts`] is what the hub hands over; [`CommissionStatement`] is the same, checked. There is no other way to
//! render one, so no statement leaves that contradicts itself.

mod check;
mod csv;
mod parts;
mod pdf;
mod reasons;

pub use check::CommissionStatementError;
pub use parts::{
    AppliedRate, CommissionFigures, CommissionLine, CommissionLineKind, CommissionParts,
    CommissionStanding, ConversionRef, MerchantCommissions,
};
pub use reasons::{COMMISSION_REASONS, CommissionReasonText};

use crate::figures::{self, FiguresError};
use crate::format::Format;
use serde::{Deserialize, Serialize};

/// Name and version of the JSON form. A change that a reader could notice changes the number.
pub(crate) const SCHEMA: &str = "hansa.commission-statement.v1";

/// A commission statement that adds up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommissionStatement(CommissionParts);

/// The JSON form: keys stand in the order of the fields.
#[derive(Serialize)]
struct Json<'a> {
    schema: &'static str,
    statement: &'a CommissionParts,
    reasons: &'static [CommissionReasonText],
}

/// The JSON form as it is read: schema and reasons are compared, not believed.
#[derive(Deserialize)]
struct ReadJson {
    statement: CommissionParts,
}

impl CommissionStatement {
    /// Checks the parts and keeps them.
    ///
    /// What must hold, to the micro-unit: opening + accrued - reversed - clawed back - held + adjusted - paid = closing; the lines add
    /// up to each figure, and those of each merchant to its row; every negative line has a reason of the published list.
    pub fn new(parts: CommissionParts) -> Result<Self, CommissionStatementError> {
        check::check(&parts)?;
        Ok(Self(parts))
    }

    /// What it is made of.
    #[must_use]
    pub const fn parts(&self) -> &CommissionParts {
        &self.0
    }

    /// Reads the JSON form and checks it as if it were new. Other bytes than those that this document gives are refused.
    pub fn from_json(bytes: &[u8]) -> Result<Self, FiguresError> {
        let read: ReadJson = serde_json::from_slice(bytes)?;
        let document = Self::new(read.statement).map_err(FiguresError::Commission)?;
        figures::same(
            bytes,
            &document.to_json().map_err(FiguresError::Commission)?,
        )?;
        Ok(document)
    }

    /// The bytes in a format; there is no workbook.
    pub fn render(&self, format: Format) -> Result<Vec<u8>, CommissionStatementError> {
        match format {
            Format::Json => self.to_json(),
            Format::Csv => self.to_csv(),
            Format::Pdf => self.to_pdf(),
            Format::Xlsx => Err(CommissionStatementError::NoWorkbook),
        }
    }

    /// Name for the document's files, without an extension: `commissions-travelblog-7`. Letters, digits and `-` only.
    #[must_use]
    pub fn file_stem(&self) -> String {
        let kept = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let affiliate: String = self.0.affiliate.id.chars().map(kept).collect();
        format!("commissions-{affiliate}-{}", self.0.cycle)
    }

    /// JSON, indented, keys always in the same order; with the published list of reasons.
    pub fn to_json(&self) -> Result<Vec<u8>, CommissionStatementError> {
        let mut out = serde_json::to_vec_pretty(&Json {
            schema: SCHEMA,
            statement: &self.0,
            reasons: COMMISSION_REASONS,
        })?;
        out.push(b'\n');
        Ok(out)
    }

    /// One CSV file: a record per figure and per line, all with the same columns.
    pub fn to_csv(&self) -> Result<Vec<u8>, CommissionStatementError> {
        csv::statement(&self.0)
    }

    /// A4 pages to read, as PDF/A-3b with the JSON attached; dated with the end of the period.
    pub fn to_pdf(&self) -> Result<Vec<u8>, CommissionStatementError> {
        pdf::statement(self)
    }
}
