//! The form of a list file: lines `# key: value` on top say where it is from, then one entry a line.

use serde::Serialize;

/// Where a list is from, as its file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// Who keeps it.
    pub source: String,
    /// Its version.
    pub version: String,
    /// The day it was published, `YYYY-MM-DD`.
    pub date: String,
    /// Its licence.
    pub licence: String,
}

/// Why a list file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// No entry in it.
    #[error("the list has no entry; give a file with one entry a line")]
    Empty,
    /// An entry that cannot be read.
    #[error("line {line}: {reason}; mend the line or take it out")]
    Entry {
        /// Its line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Together the entries are too much.
    #[error("the list is too large: {reason}")]
    TooLarge {
        /// Which bound.
        reason: String,
    },
}

/// Head and entries of a list, each entry with its line. Blank lines and lines that begin with `#` are no entries; blanks at
/// the ends of an entry belong to it.
pub(super) fn parse(text: &str) -> (Provenance, Vec<(usize, &str)>) {
    let mut from = Provenance::default();
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(comment) = line.strip_prefix('#') {
            if let Some((key, value)) = comment.split_once(':') {
                let value = value.trim().to_owned();
                match key.trim() {
                    "source" => from.source = value,
                    "version" => from.version = value,
                    "date" => from.date = value,
                    "licence" => from.licence = value,
                    _ => {}
                }
            }
        } else if !line.trim().is_empty() {
            entries.push((index + 1, line));
        }
    }
    (from, entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_read_and_blanks_inside_an_entry_stay() {
        let (from, entries) = parse("# source: us\n# date: 2026-01-02\n\n^LCC \r\nx\n");
        assert_eq!(
            (from.source.as_str(), from.date.as_str()),
            ("us", "2026-01-02")
        );
        assert_eq!(entries, [(4, "^LCC "), (5, "x")]);
    }
}
