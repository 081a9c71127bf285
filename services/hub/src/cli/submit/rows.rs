//! Rows of a file: read, checked, and nothing sent. Every row that cannot be used is told with its line and what to do.

use std::io::{BufRead as _, BufReader, Read};

use clap::ValueEnum;
use hansa_client::{
    message::{Kind, Money},
    time::{END_MICROS, MIN_MICROS},
};

use crate::cli::{member::card_key, render};

/// Form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// Comma-separated values with a line of column names.
    Csv,
    /// A JSON object on each line.
    Jsonl,
}

/// Names of the columns, in the order of [`Cells`].
pub(super) const COLUMNS: [&str; 11] = [
    "kind",
    "receipt",
    "running",
    "event_time",
    "member",
    "card",
    "amount",
    "currency",
    "points",
    "original",
    "lane",
];

const KINDS: [(&str, Kind); 6] = [
    ("accrual", Kind::Accrual),
    ("accrual_reversal", Kind::AccrualReversal),
    ("redemption_authorisation", Kind::RedemptionAuthorisation),
    ("redemption_capture", Kind::RedemptionCapture),
    ("redemption_void", Kind::RedemptionVoid),
    ("redemption_refund", Kind::RedemptionRefund),
];

/// Why a row cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Line of the file, from 1.
    pub line: u64,
    /// Column, where it is one column's fault.
    pub column: Option<&'static str>,
    /// What to do.
    pub text: String,
}

impl Problem {
    /// A problem of a whole row.
    pub(super) fn of_row(line: u64, text: impl Into<String>) -> Self {
        Self {
            line,
            column: None,
            text: text.into(),
        }
    }

    fn of_column(line: u64, column: &'static str, text: impl Into<String>) -> Self {
        Self {
            line,
            column: Some(column),
            text: text.into(),
        }
    }
}

/// How a row names its member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Member {
    /// The merchant's reference.
    Reference([u8; 16]),
    /// The enrolment key of a card number.
    Card([u8; 32]),
}

/// How a row names the message that it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Original {
    /// By id.
    Id([u8; 16]),
    /// By the receipt of a row above.
    Receipt(String),
}

/// A row whose every cell is in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Line of the file, from 1.
    pub line: u64,
    /// Kind of message.
    pub kind: Kind,
    /// Receipt number.
    pub receipt: String,
    /// Running number of the kind on the receipt, from 1.
    pub running: u32,
    /// Unit: microseconds since 1970.
    pub event_time: i64,
    /// Whose points.
    pub member: Member,
    /// Amount bought or returned.
    pub amount: Option<Money>,
    /// Unit: whole points.
    pub points: Option<i64>,
    /// What it refers to.
    pub original: Option<Original>,
    /// The sending unit; may be empty.
    pub lane: String,
}

/// Cells of a row, in the order of [`COLUMNS`]. An empty cell is as good as none.
type Cells = [Option<String>; 11];

/// Reads every row; where rows have problems, all problems instead.
pub(super) fn read(from: impl Read, form: Form) -> Result<Vec<Row>, Vec<Problem>> {
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    let mut take = |line: u64, cells: Result<Cells, Problem>| match cells
        .map_err(|problem| vec![problem])
        .and_then(|cells| row(line, cells))
    {
        Ok(row) => rows.push(row),
        Err(mut found) => problems.append(&mut found),
    };
    match form {
        Form::Csv => csv_rows(from, &mut take),
        Form::Jsonl => json_rows(from, &mut take),
    }
    if problems.is_empty() {
        Ok(rows)
    } else {
        Err(problems)
    }
}

fn csv_rows(from: impl Read, take: &mut impl FnMut(u64, Result<Cells, Problem>)) {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(from);
    let columns = match header(&mut reader) {
        Ok(columns) => columns,
        Err(text) => return take(1, Err(Problem::of_row(1, text))),
    };
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => return,
            Ok(true) => {
                let line = record.position().map_or(line, csv::Position::line);
                let mut cells = Cells::default();
                for (column, text) in columns.iter().zip(&record) {
                    if let (Some(cell), false) = (cells.get_mut(*column), text.is_empty()) {
                        *cell = Some(text.to_owned());
                    }
                }
                take(line, Ok(cells));
            }
            Err(error) => {
                let line = error.position().map_or(line, csv::Position::line);
                take(line, Err(Problem::of_row(line, csv_error(&error))));
                if error.is_io_error() {
                    return;
                }
            }
        }
    }
}

fn csv_error(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!(
            "{len} cells, but {expected_len} columns: quote cells that hold a comma, and keep the empty ones"
        ),
        csv::ErrorKind::Utf8 { .. } => "not UTF-8: save the file as UTF-8".to_owned(),
        csv::ErrorKind::Io(error) => format!("cannot read on: {error}"),
        _ => error.to_string(),
    }
}

/// Which of [`COLUMNS`] each column is.
fn header<R: Read>(reader: &mut csv::Reader<R>) -> Result<Vec<usize>, String> {
    let names = reader.headers().map_err(|error| csv_error(&error))?;
    let known = COLUMNS.join(", ");
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let found = COLUMNS.iter().position(|column| *column == name);
        let Some(column) = found else {
            return Err(format!(
                "no column is called \"{name}\"; the first line names columns of {known}, separated by commas"
            ));
        };
        if columns.contains(&column) {
            return Err(format!("the column {name} stands there twice"));
        }
        columns.push(column);
    }
    for needed in ["kind", "receipt", "event_time"] {
        if !columns.iter().any(|column| COLUMNS[*column] == needed) {
            return Err(format!("the column {needed} is missing"));
        }
    }
    Ok(columns)
}

fn json_rows(from: impl Read, take: &mut impl FnMut(u64, Result<Cells, Problem>)) {
    for (line, text) in (1..).zip(BufReader::new(from).lines()) {
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                let problem = Problem::of_row(line, format!("cannot read on: {error}"));
                return take(line, Err(problem));
            }
        };
        if !text.trim().is_empty() {
            take(line, json_cells(line, &text));
        }
    }
}

fn json_cells(line: u64, text: &str) -> Result<Cells, Problem> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)
        .map_err(|error| Problem::of_row(line, format!("not a JSON object: {error}")))?;
    let mut cells = Cells::default();
    for (name, value) in object {
        let Some(index) = COLUMNS.iter().position(|column| *column == name) else {
            let known = COLUMNS.join(", ");
            let text = format!("no field is called \"{name}\"; there are {known}");
            return Err(Problem::of_row(line, text));
        };
        cells[index] = match value {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => {
                Some(text.trim().to_owned()).filter(|t| !t.is_empty())
            }
            serde_json::Value::Number(number) if number.is_i64() || number.is_u64() => {
                Some(number.to_string())
            }
            other => {
                let text = format!(
                    "{other} is not exact or not plain; write it in quotes, e.g. \"12.34\""
                );
                return Err(Problem::of_column(line, COLUMNS[index], text));
            }
        };
    }
    Ok(cells)
}

/// Collects the problems of one row.
struct Check {
    line: u64,
    problems: Vec<Problem>,
}

impl Check {
    fn broken(&mut self, column: &'static str, text: impl Into<String>) {
        self.problems
            .push(Problem::of_column(self.line, column, text));
    }

    /// A cell, read.
    fn read<T>(
        &mut self,
        column: &'static str,
        cell: Option<String>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = cell?;
        read(&text)
            .map_err(|why| self.broken(column, format!("\"{text}\": {why}")))
            .ok()
    }

    fn needed<T>(&mut self, column: &'static str, empty: bool, value: Option<T>) -> Option<T> {
        if empty {
            self.broken(column, "is empty");
        }
        value
    }
}

/// What a kind of message has beside receipt, time and member.
struct Shape {
    amount: bool,
    points: Points,
    original: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Points {
    Needed,
    Optional,
    None,
}

const fn shape(kind: Kind) -> Shape {
    let (amount, points, original) = match kind {
        Kind::Accrual => (true, Points::Optional, false),
        Kind::AccrualReversal => (true, Points::None, true),
        Kind::RedemptionAuthorisation => (false, Points::Needed, false),
        Kind::RedemptionCapture | Kind::RedemptionRefund => (false, Points::Needed, true),
        Kind::RedemptionVoid => (false, Points::None, true),
        // Not in the list of kinds that a file may have.
        Kind::Conversion | Kind::ConversionReturn | Kind::ConversionApproval => {
            (false, Points::None, false)
        }
    };
    Shape {
        amount,
        points,
        original,
    }
}

/// Name of a kind, as in the column.
pub(super) fn kind_name(kind: Kind) -> &'static str {
    KINDS
        .iter()
        .find(|(_, known)| *known == kind)
        .map_or("", |(name, _)| name)
}

fn row(line: u64, cells: Cells) -> Result<Row, Vec<Problem>> {
    let mut check = Check {
        line,
        problems: Vec::new(),
    };
    let [
        kind,
        receipt,
        running,
        event_time,
        member,
        card,
        amount,
        currency,
        points,
        original,
        lane,
    ] = cells;
    let empty = kind.is_none();
    let kind = check.read("kind", kind, read_kind);
    let kind = check.needed("kind", empty, kind);
    let receipt = check.needed("receipt", receipt.is_none(), receipt);
    let running = check.read("running", running, |text| match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("a number from 1".to_owned()),
    });
    let empty = event_time.is_none();
    let event_time = check.read("event_time", event_time, read_instant);
    let event_time = check.needed("event_time", empty, event_time);
    let member = read_member(&mut check, member, card);
    if let Some(kind) = kind {
        check_shape(
            &mut check,
            kind,
            [
                amount.is_some(),
                currency.is_some(),
                points.is_some(),
                original.is_some(),
            ],
        );
    }
    let amount = match (amount, currency) {
        (Some(amount), Some(currency)) => check.read("amount", Some(amount), |text| {
            Money::parse(text, &currency).map_err(|error| error.to_string())
        }),
        _ => None,
    };
    let points = check.read("points", points, |text| {
        text.parse()
            .map_err(|_| "a whole number of points".to_owned())
    });
    let original = original.map(|text| match render::id16(&text) {
        Some(id) => Original::Id(id),
        None => Original::Receipt(text),
    });
    match (kind, receipt, event_time, member) {
        (Some(kind), Some(receipt), Some(event_time), Some(member))
            if check.problems.is_empty() =>
        {
            Ok(Row {
                line,
                kind,
                receipt,
                running: running.unwrap_or(1),
                event_time,
                member,
                amount,
                points,
                original,
                lane: lane.unwrap_or_default(),
            })
        }
        _ => Err(check.problems),
    }
}

/// `filled`: whether amount, currency, points and original are there.
fn check_shape(check: &mut Check, kind: Kind, filled: [bool; 4]) {
    let shape = shape(kind);
    let points = match shape.points {
        Points::Needed => Some(true),
        Points::Optional => None,
        Points::None => Some(false),
    };
    let wanted = [
        Some(shape.amount),
        Some(shape.amount),
        points,
        Some(shape.original),
    ];
    let columns = ["amount", "currency", "points", "original"];
    for ((column, wanted), filled) in columns.into_iter().zip(wanted).zip(filled) {
        match (wanted, filled) {
            (Some(true), false) => {
                check.broken(column, format!("is empty; {} needs it", kind_name(kind)))
            }
            (Some(false), true) => {
                let text = format!("has no meaning for {}; leave it empty", kind_name(kind));
                check.broken(column, text);
            }
            _ => {}
        }
    }
}

fn read_kind(text: &str) -> Result<Kind, String> {
    KINDS
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, kind)| *kind)
        .ok_or_else(|| {
            let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
            format!("none of {}", names.join(", "))
        })
}

fn read_instant(text: &str) -> Result<i64, String> {
    let hint = || "an instant with its offset, e.g. 2026-03-01T12:34:56+01:00".to_owned();
    let at = chrono::DateTime::parse_from_rfc3339(text).map_err(|_| hint())?;
    let micros = at.timestamp_micros();
    if (MIN_MICROS..END_MICROS).contains(&micros) {
        Ok(micros)
    } else {
        Err("an instant of the years 1970-9999".to_owned())
    }
}

fn read_member(check: &mut Check, member: Option<String>, card: Option<String>) -> Option<Member> {
    match (member, card) {
        (Some(member), None) => check.read("member", Some(member), |text| {
            render::id16(text)
                .map(Member::Reference)
                .ok_or_else(|| "a reference has 32 hexadecimal digits".to_owned())
        }),
        (None, Some(card)) => Some(Member::Card(card_key(&card))),
        (Some(_), Some(_)) => {
            check.broken("card", "give member or card, not both");
            None
        }
        (None, None) => {
            check.broken(
                "member",
                "is empty; give member (a reference) or card (a number)",
            );
            None
        }
    }
}
