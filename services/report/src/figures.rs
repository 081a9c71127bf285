//! Whether a document's figures add up, from the document alone: no store, no hub, no key.

use crate::amount::Amount;
use crate::commission::{self, CommissionStatement, CommissionStatementError};
use crate::ledger::{self, LedgerFigures};
use crate::liability::{self, LiabilityError, LiabilityReport};
use crate::statement::{self, StatementDocument, StatementError};
use lopdf::Document;
use serde::Deserialize;
use thiserror::Error;

/// Why a document's figures are not believed.
#[derive(Debug, Error)]
pub enum FiguresError {
    /// No JSON, or not that of a document.
    #[error("not a document: {0}")]
    Json(#[from] serde_json::Error),
    /// A PDF that cannot be read, or carries nothing.
    #[error("not a document's PDF: {0}")]
    Pdf(String),
    /// A document of another kind.
    #[error("a document of schema \"{0}\" is not known here")]
    Schema(String),
    /// A statement that contradicts itself.
    #[error(transparent)]
    Statement(StatementError),
    /// A commission statement that contradicts itself.
    #[error(transparent)]
    Commission(CommissionStatementError),
    /// A report that contradicts itself.
    #[error(transparent)]
    Liability(LiabilityError),
    /// A journal that contradicts itself.
    #[error("{0}")]
    Ledger(String),
    /// Figures that are right, and a form that is another one.
    #[error(
        "byte {at} differs from how this document is written: a figure that follows from the others, or the form, was changed"
    )]
    Form {
        /// The first byte that differs.
        at: usize,
    },
}

/// What was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Figures {
    /// A statement.
    Statement {
        /// The cycle.
        cycle: u32,
        /// The merchant's id.
        merchant: String,
        /// Its net.
        net: Amount,
        /// What is paid.
        paid: Amount,
        /// What is carried forward.
        carried_forward: Amount,
        /// Lines.
        lines: usize,
        /// Rows of the drill-down, where there is one.
        rows: Option<usize>,
    },
    /// A commission statement.
    Commission {
        /// The cycle.
        cycle: u32,
        /// The affiliate's id.
        affiliate: String,
        /// Balance at the beginning.
        opening: Amount,
        /// What was paid.
        paid: Amount,
        /// Balance at the end.
        closing: Amount,
        /// Lines.
        lines: usize,
    },
    /// A liability report.
    Liability {
        /// Open points.
        points: i64,
        /// The reserve.
        reserve: Amount,
        /// Contract liability.
        deferred: Amount,
    },
    /// A general ledger.
    Ledger {
        /// Documents.
        documents: usize,
        /// Lines.
        lines: usize,
        /// Sum of the debits, which is that of the credits.
        debits: Amount,
    },
}

#[derive(Deserialize)]
struct Schema {
    schema: String,
}

impl Figures {
    /// Checks the JSON form of a document.
    pub fn check(json: &[u8]) -> Result<Self, FiguresError> {
        let Schema { schema } = serde_json::from_slice(json)?;
        match schema.as_str() {
            statement::SCHEMA => {
                let document = StatementDocument::from_json(json)?;
                let parts = document.parts();
                Ok(Self::Statement {
                    cycle: parts.cycle,
                    merchant: parts.merchant.id.clone(),
                    net: parts.net,
                    paid: document.paid(),
                    carried_forward: parts.carried_forward,
                    lines: parts.lines.len(),
                    rows: parts.drill_down.as_ref().map(Vec::len),
                })
            }
            commission::SCHEMA => {
                let document = CommissionStatement::from_json(json)?;
                let parts = document.parts();
                Ok(Self::Commission {
                    cycle: parts.cycle,
                    affiliate: parts.affiliate.id.clone(),
                    opening: parts.figures.opening,
                    paid: parts.figures.paid,
                    closing: parts.figures.closing,
                    lines: parts.lines.len(),
                })
            }
            liability::SCHEMA => {
                let report = LiabilityReport::from_json(json)?;
                Ok(Self::Liability {
                    points: report.totals().points,
                    reserve: report.parts().reserve,
                    deferred: report.totals().deferred,
                })
            }
            ledger::SCHEMA => {
                let LedgerFigures {
                    documents,
                    lines,
                    debits,
                } = ledger::check_json(json)?;
                Ok(Self::Ledger {
                    documents,
                    lines,
                    debits,
                })
            }
            other => Err(FiguresError::Schema(other.chars().take(60).collect())),
        }
    }
}

/// The JSON form that a PDF carries.
pub fn attached_json(pdf: &[u8]) -> Result<Vec<u8>, FiguresError> {
    let pdf = Document::load_mem(pdf).map_err(|error| FiguresError::Pdf(error.to_string()))?;
    let mut streams = pdf
        .objects
        .values()
        .filter_map(|object| object.as_stream().ok());
    let attached = streams.find(|stream| {
        let kind = stream.dict.get(b"Type").and_then(lopdf::Object::as_name);
        kind.is_ok_and(|name| name == b"EmbeddedFile")
    });
    let attached = attached.ok_or_else(|| FiguresError::Pdf("nothing is attached to it".into()))?;
    attached
        .decompressed_content()
        .map_err(|error| FiguresError::Pdf(error.to_string()))
}

/// The bytes at hand are those that the document gives.
pub(crate) fn same(found: &[u8], made: &[u8]) -> Result<(), FiguresError> {
    if found == made {
        return Ok(());
    }
    let at = found.iter().zip(made).take_while(|(a, b)| a == b).count();
    Err(FiguresError::Form { at })
}
