//! A document as a file: its names, its bytes, and the manifest that the hub signs.

use hansa_proto::v1;
use hansa_report::{
    CommissionStatement, Digest, DocumentFile, DocumentsManifest, Format, LedgerExport,
    LiabilityReport, StatementDocument,
};
use ring::digest::{SHA256, digest};

use crate::error::HubError;

/// A document of one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its form.
    pub format: Format,
    /// Its bytes.
    pub content: Vec<u8>,
}

impl File {
    /// A statement in a form.
    pub fn statement(document: &StatementDocument, format: Format) -> Result<Self, HubError> {
        Ok(Self {
            name: format!("{}.{}", document.file_stem(), format.extension()),
            content: document.render(format)?,
            format,
        })
    }

    /// A commission statement in a form.
    pub fn commission(document: &CommissionStatement, format: Format) -> Result<Self, HubError> {
        Ok(Self {
            name: format!("{}.{}", document.file_stem(), format.extension()),
            content: document.render(format)?,
            format,
        })
    }

    /// The general ledger of a cycle.
    pub fn ledger(export: &LedgerExport, cycle: u32, format: Format) -> Result<Self, HubError> {
        let content = match format {
            Format::Json => export.to_json()?,
            Format::Csv => export.to_csv()?,
            Format::Xlsx => export.to_xlsx()?,
            Format::Pdf => return Err(no_pdf()),
        };
        Ok(Self {
            name: format!("ledger-{cycle}.{}", format.extension()),
            format,
            content,
        })
    }

    /// The liability report at the end of a cycle; 0 = as far as the log goes.
    pub fn liability(
        report: &LiabilityReport,
        cycle: u32,
        format: Format,
    ) -> Result<Self, HubError> {
        let content = match format {
            Format::Json => report.to_json()?,
            Format::Csv => report.to_csv()?,
            Format::Xlsx => report.to_xlsx()?,
            Format::Pdf => return Err(no_pdf()),
        };
        let of = match cycle {
            0 => String::new(),
            cycle => format!("-{cycle}"),
        };
        Ok(Self {
            name: format!("liability{of}.{}", format.extension()),
            format,
            content,
        })
    }

    /// SHA-256 of its bytes.
    #[must_use]
    pub fn sha256(&self) -> Digest {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, &self.content).as_ref());
        Digest(sha256)
    }

    /// What is signed of it. `merchant`: empty for a document of the whole alliance; `cycle`: 0 for one of no cycle.
    #[must_use]
    pub fn manifest(&self, origin: &str, cycle: u32, merchant: &str) -> DocumentsManifest {
        DocumentsManifest {
            origin: origin.to_owned(),
            cycle,
            merchant: merchant.to_owned(),
            files: vec![DocumentFile {
                name: self.name.clone(),
                media_type: self.format.media_type().to_owned(),
                sha256: self.sha256(),
            }],
        }
    }
}

fn no_pdf() -> HubError {
    HubError::field(
        "format",
        "UNSUPPORTED",
        "this document is JSON, CSV or XLSX",
    )
}

/// A form as the contract names it.
pub fn format(wire: v1::DocumentFormat) -> Result<Format, HubError> {
    match wire {
        v1::DocumentFormat::Json => Ok(Format::Json),
        v1::DocumentFormat::Csv => Ok(Format::Csv),
        v1::DocumentFormat::Xlsx => Ok(Format::Xlsx),
        v1::DocumentFormat::Pdf => Ok(Format::Pdf),
        v1::DocumentFormat::Unspecified => {
            let text = "say which form: JSON, CSV, XLSX or PDF";
            Err(HubError::field("format", "REQUIRED", text))
        }
    }
}
