//! How commands show what they know: tables and exact figures for people, one JSON document for programs.
//!
//! JSON follows the protos: their field names, integers exact, instants in RFC 3339, bytes in hex, enums by their name
//! without its prefix (`OPEN`, `INSUFFICIENT_POINTS`), absent fields left out or null.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::Context as _;
use clap::Args;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use hansa_settlement::Currency;
use indicatif::{HumanFloatCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use prost_types::Timestamp;
use serde_json::Value;

use super::exit;

const DECIMALS: usize = 6;

/// One line below the head; everything else is space.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// What to print.
#[derive(Debug, Clone, Copy, Args)]
pub struct Format {
    /// Print one JSON document instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Words.
    Left(&'static str),
    /// Figures.
    Right(&'static str),
}

/// An empty table. It is as wide as its content: nothing is cut or wrapped.
pub fn table(columns: &[Column]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(columns.iter().map(|column| match column {
        Column::Left(name) | Column::Right(name) => *name,
    }));
    for (index, column) in columns.iter().enumerate() {
        if let (Column::Right(_), Some(shown)) = (column, table.column_mut(index)) {
            shown.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Prints to standard output. A reader that has gone away, as `head` does, is no error.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}

/// Prints a JSON document.
pub fn print_json(value: &Value) -> anyhow::Result<()> {
    print(&format!("{value:#}\n"))
}

/// Digits in groups of three: `1,234,567`.
fn grouped(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number: `-1,234,567`.
pub fn number(value: impl Into<i128>) -> String {
    let value: i128 = value.into();
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(&value.unsigned_abs().to_string()))
}

fn decimal(micros: i64, least_decimals: usize) -> String {
    let magnitude = micros.unsigned_abs();
    let fraction = format!("{:06}", magnitude % 1_000_000);
    let kept = fraction.trim_end_matches('0').len().max(least_decimals);
    let point = if kept == 0 { "" } else { "." };
    let units = grouped(&(magnitude / 1_000_000).to_string());
    format!("{units}{point}{}", &fraction[..kept])
}

fn minor_digits(currency: &str) -> usize {
    Currency::new(currency).map_or(2, |c| c.minor_digits() as usize)
}

/// An exact amount with its currency, the minor unit at least: `-1,234.442775 EUR`, `3.44 EUR`. Unit: micro-units.
pub fn amount(micros: i64, currency: &str) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let digits = decimal(micros, minor_digits(currency));
    format!("{sign}{digits} {currency}").trim_end().to_owned()
}

/// An exact amount for a column, all six decimals, with its sign: `+14.373225`, `-15.600000`, `0.000000`. In
/// statements + is what a merchant owes. Unit: micro-units.
pub fn signed(micros: i64) -> String {
    let sign = match micros {
        0 => "",
        1.. => "+",
        _ => "-",
    };
    format!("{sign}{}", decimal(micros, DECIMALS))
}

/// Basis points as per cent: `85.5 %`.
pub fn percent(bps: u32) -> String {
    let whole = bps / 100;
    match bps % 100 {
        0 => format!("{whole} %"),
        rest => format!("{whole}.{:02} %", rest),
    }
}

/// An instant to the second: `2026-03-01 00:00:00Z`, or `-` for none.
pub fn instant(at: Option<&Timestamp>) -> String {
    let whole = |at: &Timestamp| Timestamp { nanos: 0, ..*at };
    at.map_or_else(
        || "-".to_owned(),
        |at| whole(at).to_string().replace('T', " "),
    )
}

/// An instant in RFC 3339, or null.
pub fn json_instant(at: Option<&Timestamp>) -> Value {
    at.map_or(Value::Null, |at| Value::String(at.to_string()))
}

/// The name of an enum's value without its prefix: `CYCLE_STATE_OPEN` -> `OPEN`.
pub fn name(full: &'static str, prefix: &str) -> &'static str {
    full.strip_prefix(prefix).unwrap_or(full)
}

/// A name for people: `BASE_ACCRUAL` -> `Base accrual`.
pub fn words(name: &str) -> String {
    let mut text = name.to_lowercase().replace('_', " ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// Sixteen bytes from 32 hexadecimal digits, with or without the hyphens of a UUID.
pub fn id16(text: &str) -> Option<[u8; 16]> {
    let digits = match text.len() {
        32 => text.to_owned(),
        36 => {
            let hyphens = text.match_indices('-').map(|(at, _)| at);
            if !hyphens.eq([8, 13, 18, 23]) {
                return None;
            }
            text.replace('-', "")
        }
        _ => return None,
    };
    bytes(&digits)?.try_into().ok()
}

/// Bytes from hexadecimal digits.
pub fn bytes(digits: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => u8::try_from(nibble(*high)? << 4 | nibble(*low)?).ok(),
            _ => None,
        })
        .collect()
}

/// A bar on standard error, only on a terminal; `len` in `unit`.
pub fn bar(len: u64, unit: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(len), ProgressDrawTarget::stderr());
    let template = format!(
        "{{bar:40}} {{human_pos}}/{{human_len}} {unit}, {{rate}}/s, {{elapsed}}, {{eta}} left"
    );
    if let Ok(style) = ProgressStyle::with_template(&template) {
        let rate = |state: &ProgressState, to: &mut dyn std::fmt::Write| {
            let _ = write!(to, "{}", HumanFloatCount(state.per_sec().round()));
        };
        bar.set_style(style.with_key("rate", rate));
    }
    bar
}

/// Asks on a terminal. `yes`: the answer was given on the command line. Without a terminal nobody can answer, and the
/// command says so instead of guessing.
pub fn confirm(question: &str, yes: bool) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        let message = format!("{question} Nobody can answer here: add --yes");
        return Err(exit::coded(exit::USAGE, message));
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .context("cannot read the answer")?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (micros, currency, text) in [
            (3_442_775, "EUR", "3.442775 EUR"),
            (3_440_000, "EUR", "3.44 EUR"),
            (-1_234_567_500_000, "EUR", "-1,234,567.50 EUR"),
            (0, "EUR", "0.00 EUR"),
            (-1, "EUR", "-0.000001 EUR"),
            (1_500_000_000, "JPY", "1,500 JPY"),
            (1_250_000, "KWD", "1.250 KWD"),
            (i64::MIN, "EUR", "-9,223,372,036,854.775808 EUR"),
            (1_000_000, "", "1.00"),
        ] {
            assert_eq!(amount(micros, currency), text);
        }
    }

    #[test]
    fn columns_of_amounts_line_up() {
        for (micros, text) in [
            (14_373_225, "+14.373225"),
            (-15_600_000, "-15.600000"),
            (0, "0.000000"),
        ] {
            assert_eq!(signed(micros), text);
        }
    }

    #[test]
    fn numbers_have_separators() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (-4_527_937, "-4,527,937"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn ids_are_read_as_hex_and_as_uuid() {
        let id = [
            0x01, 0x9c, 0x93, 0x6e, 0x38, 0x7b, 0x85, 0x25, 0xbc, 0xa2, 0xb3, 0x2a, 0xbb, 0x0a,
            0xaa, 0x32,
        ];
        assert_eq!(id16("019c936e387b8525bca2b32abb0aaa32"), Some(id));
        assert_eq!(id16("019C936E-387B-8525-BCA2-B32ABB0AAA32"), Some(id));
        for bad in [
            "",
            "R-17",
            "019c936e387b8525bca2b32abb0aaa3",
            "019c936e387b8525bca2b32abb0aaa3g",
            "019c936e387b-8525-bca2-b32abb0aaa-32",
            "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
        ] {
            assert_eq!(id16(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_for_people() {
        assert_eq!(words("BASE_ACCRUAL"), "Base accrual");
        assert_eq!(words(""), "");
        assert_eq!(name("CYCLE_STATE_OPEN", "CYCLE_STATE_"), "OPEN");
    }

    #[test]
    fn instants_are_short() {
        let at = Timestamp {
            seconds: 1_772_323_200,
            nanos: 5_000,
        };
        assert_eq!(instant(Some(&at)), "2026-03-01 00:00:00Z");
        assert_eq!(instant(None), "-");
        assert_eq!(json_instant(Some(&at)), "2026-03-01T00:00:00.000005Z");
    }
}
