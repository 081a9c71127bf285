//! Text that others wrote and a document repeats: names, references, reasons.

use thiserror::Error;

/// Longest text of one field, in characters.
pub(crate) const MAX_CHARS: usize = 300;

/// Why a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TextError {
    /// Nothing there.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// Longer than a document can show.
    #[error("{0} has more than 300 characters")]
    Long(&'static str),
    /// A line break, a tab, another control character, or one that reverses the order of reading.
    #[error("{0} has a control character; it must be one line of plain text")]
    Control(&'static str),
}

/// One line of plain text, not empty.
pub(crate) fn required(field: &'static str, text: &str) -> Result<(), TextError> {
    if text.trim().is_empty() {
        return Err(TextError::Empty(field));
    }
    optional(field, text)
}

/// One line of plain text.
pub(crate) fn optional(field: &'static str, text: &str) -> Result<(), TextError> {
    if text.chars().count() > MAX_CHARS {
        return Err(TextError::Long(field));
    }
    if text.chars().any(|c| c.is_control() || reorders(c)) {
        return Err(TextError::Control(field));
    }
    Ok(())
}

/// Directional overrides, embeddings and isolates: with them a reader sees another text than the one that is there.
const fn reorders(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// A code for people: `BASE_ACCRUAL` is "Base accrual".
pub(crate) fn label(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    for (at, c) in code.chars().enumerate() {
        match c {
            '_' => out.push(' '),
            c if at == 0 => out.push(c.to_ascii_uppercase()),
            c => out.push(c.to_ascii_lowercase()),
        }
    }
    out
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of exactly so many lower-case hexadecimal digits.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes();
    let mut out = [0; N];
    if pairs.len() != N * 2 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(pairs.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_visible_line() {
        assert_eq!(required("name", "Bäckerei Ξένος, Łódź"), Ok(()));
        assert_eq!(required("name", " "), Err(TextError::Empty("name")));
        assert_eq!(optional("note", ""), Ok(()));
        assert_eq!(optional("note", "a\nb"), Err(TextError::Control("note")));
        assert_eq!(
            optional("note", "abc\u{202e}cba"),
            Err(TextError::Control("note"))
        );
        assert_eq!(
            optional("note", &"ä".repeat(301)),
            Err(TextError::Long("note"))
        );
        assert_eq!(optional("note", &"ä".repeat(300)), Ok(()));
    }

    #[test]
    fn hexadecimal_digits_read_back() {
        assert_eq!(unhex(&hex(&[0, 0x9f, 0xff])), Some([0, 0x9f, 0xff]));
        for wrong in ["", "0", "0g", "FF", "000"] {
            assert_eq!(unhex::<1>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn codes_become_words() {
        assert_eq!(
            label("POINTS_CONSUMED_REFUNDED"),
            "Points consumed refunded"
        );
        assert_eq!(label(""), "");
    }
}
