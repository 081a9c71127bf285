//! Documents: what finance reads, books and signs, as bytes.
//!
//! Values in, bytes out. Nothing here reads a store, a file, a clock or a random number, and nothing decides an amount: the
//! hub hands over what the ledger says, a document checks that it adds up and refuses it where it does not, and a renderer
//! writes it. The same document gives the same bytes, whatever the format: no time of making, no random identifier.
//!
//! | Document | Made from | As |
//! |---|---|---|
//! | [`StatementDocument`] | [`StatementParts`]: one merchant, one cycle | JSON, CSV, XLSX, PDF |
//! | [`CommissionStatement`] | [`CommissionParts`]: one affiliate, one cycle | JSON, CSV, PDF |
//! | [`LiabilityReport`] | [`LiabilityParts`]: open points by funder and age | JSON, CSV, XLSX |
//! | [`LedgerExport`] | [`LedgerDocument`]s with their postings | JSON, CSV, XLSX |
//! | [`DocumentsManifest`] | files with their SHA-256 | the payload of a DSSE envelope |
//!
//! Money is an [`Amount`]: whole micro-units (1e-6 of the currency) in an `i64`, summed in `i128`. On a statement a positive
//! amount is what the merchant owes, a negative one what it is owed.
//!
//! Costs: linear in lines and messages. All of a document is held in memory; its drill-down is the part that can be large.

mod amount;
mod commission;
mod csv_file;
mod figures;
mod format;
mod ledger;
mod liability;
mod manifest;
mod party;
mod pdf;
mod statement;
mod text;
mod wire;
mod workbook;

pub use amount::{Amount, AmountError};
pub use commission::{
    AppliedRate, COMMISSION_REASONS, CommissionFigures, CommissionLine, CommissionLineKind,
    CommissionParts, CommissionReasonText, CommissionStanding, CommissionStatement,
    CommissionStatementError, ConversionRef, MerchantCommissions,
};
pub use figures::{Figures, FiguresError, attached_json};
pub use format::Format;
pub use ledger::{
    AccountMap, ControlTotals, GlAccount, LedgerDocument, LedgerError, LedgerExport, Posting,
};
pub use liability::{
    AgeBands, AllocatedPrice, FunderLiability, FunderPoints, FundingMode, LiabilityError,
    LiabilityParts, LiabilityReport, LiabilityTotals, OutstandingPoints, Revenue, RevenueBasis,
    RevenueError, RevenueUnit, expected_points,
};
pub use manifest::{DocumentFile, DocumentsManifest, ManifestError};
pub use party::{BankAccount, Counterparty, Issuer, MerchantParty, Tax};
pub use pdf::PdfError;
pub use statement::{
    Adjustment, Approval, BilateralNet, CheckpointRef, ConsistencyProof, CycleState, Digest,
    FeeItem, Holdback, LineKind, MessageId, MessageRow, MessageTotal, OpeningItem, OriginalRef,
    Payment, Period, PromotionShare, Proof, StatementDocument, StatementError, StatementLine,
    StatementParts,
};
pub use text::TextError;
