//! From a file's bytes to its reports: finds out which message it is, and takes all of it or nothing.

use super::{BankReport, ReportKind, camt, csv, pain002};
use crate::{
    error::{FileError, Problem, excerpt},
    xml::{Limits, Tree, decode},
};

/// Reads a bank's file: `pain.002`, `camt.052`, `camt.053` or `camt.054` of any version and with any namespace prefixes, or a
/// statement in CSV with the columns of [`STATEMENT_COLUMNS`](super::STATEMENT_COLUMNS). A camt message may hold several
/// statements; each is a report of its own. All of the file is taken or none of it; the error names the element and the line.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<BankReport>, FileError> {
    if bytes.len() > limits.bytes {
        return Err(Problem::TooLarge {
            bytes: bytes.len(),
            limit: limits.bytes,
        }
        .whole_file());
    }
    let text = decode(bytes)?;
    let begin = text.trim_start();
    if begin.is_empty() {
        Err(Problem::Empty.whole_file())
    } else if begin.starts_with('<') {
        document(&Tree::parse(&text, limits)?)
    } else if csv::is_statement(&text) {
        Ok(vec![csv::statement(&text, limits)?])
    } else {
        Err(Problem::Format.whole_file())
    }
}

/// Bodies of messages that are read, by how their element's name begins; the oldest versions append their number to it.
const BODIES: [(&str, &str, ReportKind); 5] = [
    ("BkToCstmrStmt", "camt.053", ReportKind::Statement),
    ("BkToCstmrAcctRpt", "camt.052", ReportKind::Intraday),
    (
        "BkToCstmrDbtCdtNtfctn",
        "camt.054",
        ReportKind::Notification,
    ),
    ("CstmrPmtStsRpt", "pain.002", ReportKind::PaymentStatus),
    ("pain.002.001.", "pain.002", ReportKind::PaymentStatus),
];

fn document(tree: &Tree<'_>) -> Result<Vec<BankReport>, FileError> {
    let root = tree.root();
    if root.name() != "Document" {
        return Err(root.error(Problem::WrongRoot {
            found: excerpt(root.name()),
        }));
    }
    let mut bodies = root.elements();
    let body = bodies.next().ok_or_else(|| root.error(Problem::Missing))?;
    if let Some(second) = bodies.next() {
        return Err(second.error(Problem::Repeated));
    }
    let known = BODIES.iter().find(|(name, ..)| {
        let version = body.name().strip_prefix(name);
        version.is_some_and(|v| {
            v.trim_start_matches('V')
                .bytes()
                .all(|b| b.is_ascii_digit())
        })
    });
    let message = tree.namespace().and_then(message_name);
    let Some((_, family, kind)) = known else {
        return Err(body.error(Problem::WrongMessage {
            found: excerpt(message.unwrap_or(body.name())),
        }));
    };
    if let Some(other) = message.filter(|m| !m.starts_with(family)) {
        return Err(body.error(Problem::Contradiction {
            namespace: excerpt(other),
            body: excerpt(body.name()),
        }));
    }
    match kind {
        ReportKind::PaymentStatus => Ok(vec![pain002::status_report(body, message)?]),
        kind => camt::reports(body, *kind, message),
    }
}

/// `camt.053.001.08` out of `urn:iso:std:iso:20022:tech:xsd:camt.053.001.08`; none where the namespace names no message.
fn message_name(namespace: &str) -> Option<&str> {
    let name = namespace.rsplit([':', '/', '$']).next()?;
    let mut parts = name.split('.');
    let area = parts.next()?;
    let is_area = area.len() == 4 && area.bytes().all(|b| b.is_ascii_lowercase());
    let number = parts.next()?;
    let is_number = number.len() == 3 && number.bytes().all(|b| b.is_ascii_digit());
    (is_area && is_number).then_some(name)
}
