//! Documents as files: what the hub signed, and beside each file its signature.
//!
//! `statement-bakery-7.pdf` goes with `statement-bakery-7.pdf.signature.json`, a DSSE envelope. Both are written whole or not
//! at all; `hansa verify document` needs them and the log's key.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::ValueEnum;
use hansa_client::json;
use hansa_proto::v1;

use super::{
    exit, proofs,
    render::{self, number},
};

/// What stands behind a file's name for its signature.
const SIGNATURE: &str = ".signature.json";

/// Form of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people, to read and to sign.
    Pdf,
    /// For spreadsheets.
    Xlsx,
    /// For imports and spreadsheets.
    Csv,
    /// For programs.
    Json,
}

impl Form {
    /// As the contract names it.
    pub const fn wire(self) -> v1::DocumentFormat {
        match self {
            Self::Pdf => v1::DocumentFormat::Pdf,
            Self::Xlsx => v1::DocumentFormat::Xlsx,
            Self::Csv => v1::DocumentFormat::Csv,
            Self::Json => v1::DocumentFormat::Json,
        }
    }
}

/// Where the signature of a file is, unless it is told otherwise.
pub fn signature_path(file: &Path) -> PathBuf {
    let mut name: OsString = file.as_os_str().to_owned();
    name.push(SIGNATURE);
    name.into()
}

/// Where a document goes: `out` itself, under its own name where `out` is a folder, and in the working directory without one.
fn target(out: Option<&Path>, name: &str) -> PathBuf {
    match out {
        Some(path) if path.is_dir() => path.join(name),
        Some(path) => path.to_owned(),
        None => PathBuf::from(name),
    }
}

/// Writes a document and its signature; answers where.
pub fn save(document: &v1::SignedDocument, out: Option<&Path>) -> anyhow::Result<PathBuf> {
    // A name that a hub proposes leads nowhere else.
    let name = Path::new(&document.file_name).file_name();
    let name = name.and_then(|name| name.to_str()).unwrap_or("document");
    let path = target(out, name);
    let envelope = document.envelope.as_ref();
    let envelope = envelope.context("the hub sent a document without a signature")?;
    proofs::write_whole(&path, &document.content)?;
    let signature = json::envelope_text(envelope)?;
    proofs::write_whole(&signature_path(&path), signature.as_bytes())?;
    Ok(path)
}

/// Says what was written.
pub fn tell(saved: &[(PathBuf, usize)], json: bool) -> anyhow::Result<()> {
    if json {
        let files = saved.iter().map(|(path, bytes)| {
            serde_json::json!({
                "file": path,
                "bytes": bytes,
                "signature": signature_path(path),
            })
        });
        return render::print_json(&serde_json::json!({ "files": files.collect::<Vec<_>>() }));
    }
    let line = |(path, bytes): &(PathBuf, usize)| {
        let bytes = number(*bytes as u64);
        format!("{} ({bytes} bytes), signed\n", path.display())
    };
    let lines: String = saved.iter().map(line).collect();
    render::print(&lines)
}

/// Several documents need a folder.
pub fn folder(out: Option<&Path>, count: usize) -> anyhow::Result<()> {
    match out {
        Some(path) if count > 1 && !path.is_dir() => {
            let message = format!(
                "{count} documents need a folder: make {} one, or name a merchant with --merchant",
                path.display()
            );
            Err(exit::coded(exit::USAGE, message))
        }
        _ => Ok(()),
    }
}
