//! From bytes to text.

use std::borrow::Cow;

use super::line_of;
use crate::error::{FileError, Problem, excerpt};

/// The bytes as text: UTF-8 with or without a byte order mark, or ISO-8859-1 where the XML declaration says so.
pub(crate) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, FileError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let declared = declared_encoding(bytes);
    let unknown = |found: String| Problem::Encoding { found }.on_line(1);
    match declared.as_deref() {
        None | Some("utf-8" | "utf8" | "us-ascii" | "ascii") => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(_) if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") => {
                Err(unknown("the file is UTF-16".to_owned()))
            }
            Err(error) => {
                let line = line_of(&bytes[..error.valid_up_to()]);
                Err(Problem::Encoding {
                    found: "a byte that is not UTF-8".to_owned(),
                }
                .on_line(line))
            }
        },
        // Its bytes are the first 256 characters.
        Some("iso-8859-1" | "latin1") => {
            Ok(Cow::Owned(bytes.iter().map(|b| char::from(*b)).collect()))
        }
        Some(other) => Err(unknown(format!("the encoding {}", excerpt(other)))),
    }
}

/// `encoding` of an XML declaration, in small letters.
fn declared_encoding(bytes: &[u8]) -> Option<String> {
    let head = bytes.get(..bytes.len().min(256))?;
    let end = head.windows(2).position(|w| w == b"?>")?;
    let declaration = std::str::from_utf8(head.get(..end)?).ok()?;
    let declaration = declaration.trim_start().strip_prefix("<?xml")?;
    let value = declaration.split_once("encoding")?.1.trim_start();
    let value = value.strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    Some(value.get(1..)?.split(quote).next()?.to_ascii_lowercase())
}
