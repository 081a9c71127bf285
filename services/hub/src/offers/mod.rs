//! Offers: what merchants let affiliates advertise. Beside the log, in tables of their own; they move no money.
//!
//! - [`check`] - whether an offer is one, and the bytes that it is kept as
//! - [`sight`] - whose offers a caller sees: by roles, states and terms as of the last commit of the log
//! - [`page`] - offers as they stand, page by page
//! - [`feed`] - what has changed, from cursor to cursor; [`cursor`] - what a reader knows
//! - [`earnings`] - what an affiliate would earn
//!
//! All that a call reads is bounded: some hundred rows at a time, and no more of them once a few megabytes are together.

pub mod check;
pub mod cursor;
pub mod earnings;
pub mod feed;
pub mod page;
pub mod sight;

use bytes::Bytes;
use hansa_proto::v1;
use hansa_store::OfferRow;
use prost::Message as _;

use crate::error::HubError;

/// Offers of one call at most, in both directions.
pub const MAX_OFFERS: usize = 1_000;

/// An offer that stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Whose it is.
    pub merchant: u32,
    /// As the merchant wrote it.
    pub offer: v1::Offer,
    /// When it last changed, microseconds since 1970.
    pub changed_at: i64,
}

impl Standing {
    /// The offer of a row with this content.
    fn read(row: &OfferRow, content: Bytes) -> Result<Self, HubError> {
        Ok(Self {
            merchant: row.merchant,
            offer: v1::Offer::decode(content).map_err(HubError::internal)?,
            changed_at: row.changed_at,
        })
    }
}

/// Rows of one statement at most.
const ROWS: usize = 200;

/// A page ends when it has so much. Unit: bytes.
const BYTES: usize = 4 << 20;

/// Statements of one call at most: what a caller may not see is gone over, too.
const STATEMENTS: usize = 64;

/// What a call may still read.
#[derive(Debug)]
struct Budget {
    rows: usize,
    bytes: usize,
    statements: usize,
}

impl Budget {
    /// For a page of so many rows.
    fn new(rows: usize) -> Self {
        Self {
            rows,
            bytes: BYTES,
            statements: STATEMENTS,
        }
    }

    /// Whether the page ends here.
    fn is_spent(&self) -> bool {
        self.rows == 0 || self.bytes == 0 || self.statements == 0
    }

    /// Rows that the next statement may answer.
    fn statement(&mut self) -> usize {
        self.statements = self.statements.saturating_sub(1);
        self.rows.clamp(1, ROWS)
    }

    /// A row was told.
    fn told(&mut self, bytes: usize) {
        self.rows = self.rows.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// A number of rows as the store takes it.
fn limit(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}
