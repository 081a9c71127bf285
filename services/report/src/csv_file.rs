//! CSV as RFC 4180 says: CRLF, commas, quotes where needed, the same number of fields in every record.
//!
//! A file begins with a byte order mark, without which Excel reads names outside of ASCII wrongly. A text that a
//! spreadsheet would run as a formula gets an apostrophe in front; a number never needs one, and never gets one.

use csv::{Terminator, Writer, WriterBuilder};

/// A field: what others wrote is guarded, what this crate computed is not.
#[derive(Clone, Debug)]
pub(crate) enum Field {
    /// Text from outside.
    Text(String),
    /// Digits, dates and codes made here.
    Plain(String),
    /// Nothing.
    Empty,
}

impl Field {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn plain(value: impl ToString) -> Self {
        Self::Plain(value.to_string())
    }

    fn written(self) -> String {
        match self {
            Self::Text(text) => guarded(&text),
            Self::Plain(text) => text,
            Self::Empty => String::new(),
        }
    }
}

/// A file under way.
pub(crate) struct CsvFile(Writer<Vec<u8>>);

impl CsvFile {
    /// Begins with the header.
    pub(crate) fn new(header: &[&str]) -> Result<Self, csv::Error> {
        let mut writer = WriterBuilder::new()
            .terminator(Terminator::CRLF)
            .from_writer("\u{feff}".as_bytes().to_vec());
        writer.write_record(header)?;
        Ok(Self(writer))
    }

    /// Adds a record; another number of fields than the header's is an error.
    pub(crate) fn record(
        &mut self,
        fields: impl IntoIterator<Item = Field>,
    ) -> Result<(), csv::Error> {
        self.0.write_record(fields.into_iter().map(Field::written))
    }

    /// The bytes.
    pub(crate) fn finish(self) -> Result<Vec<u8>, csv::Error> {
        self.0
            .into_inner()
            .map_err(|failed| csv::Error::from(std::io::Error::from(failed.error().kind())))
    }
}

/// A text that no spreadsheet takes for a formula: `=`, `+`, `-`, `@` in front, also in full width, get an apostrophe.
pub(crate) fn guarded(text: &str) -> String {
    let begins = text.trim_start().chars().next();
    let runs = begins.is_some_and(|c| {
        matches!(
            c,
            '=' | '+' | '-' | '@' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}'
        )
    });
    if runs {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_defused_and_nothing_else() {
        for text in [
            "=HYPERLINK(\"http://x\")",
            "+1",
            "-1",
            "@SUM(A1)",
            " =1+1",
            "\u{ff1d}1",
        ] {
            assert_eq!(guarded(text), format!("'{text}"));
        }
        for text in ["Bakery = bread", "", "1-2", "Ärzte + Söhne", "'quoted"] {
            assert_eq!(guarded(text), text);
        }
    }

    #[test]
    fn fields_are_quoted_where_rfc_4180_asks() {
        let mut file = CsvFile::new(&["name", "amount"]).unwrap();
        file.record([Field::text("a \"b\", c"), Field::plain("-3.44")])
            .unwrap();
        file.record([Field::text("=x,y"), Field::Empty]).unwrap();
        assert_eq!(
            String::from_utf8(file.finish().unwrap()).unwrap(),
            "\u{feff}name,amount\r\n\"a \"\"b\"\", c\",-3.44\r\n\"'=x,y\",\r\n"
        );
    }

    #[test]
    fn a_record_of_another_width_is_refused() {
        let mut file = CsvFile::new(&["name", "amount"]).unwrap();
        assert!(file.record([Field::Empty]).is_err());
    }
}
