//! PDF: measured text, pages, tables, and the painter that writes them.
//!
//! Layout is in whole thousandths of a point ([`Mpt`]), so a page breaks at the same place on every machine; only the
//! painter turns them into the format's numbers. What is laid out is a list of marks per page ([`layout`]); it is painted
//! once the number of pages is known. Files are PDF/A-3b: fonts are embedded, colours are device-independent, and the
//! document's own JSON is attached. The only time in a file is the one that the caller gives.

pub(crate) mod blocks;
mod fonts;
mod layout;
mod paint;
mod table;

pub(crate) use fonts::{Fonts, Ink, Style};
pub(crate) use layout::{CONTENT_WIDTH, LEFT, Layout, Mpt, RIGHT, mm, pt};
pub(crate) use paint::{Attachment, Furniture, paint};
pub(crate) use table::{Column, Row};

use thiserror::Error;

/// Why no PDF came out. Neither can happen for a checked document; both are faults of this crate or its fonts.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PdfError {
    /// An embedded font does not load.
    #[error("the embedded font \"{0}\" does not load")]
    Font(&'static str),
    /// The writer refused the document.
    #[error("the PDF writer refused the document: {0}")]
    Writer(String),
}
