//! Files of rows, as CSV with a line of column names or as JSON lines: every cell by its column, every problem with its line.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Read},
    path::Path,
};

use clap::ValueEnum;
use hansa_client::time::{END_MICROS, MIN_MICROS};
use serde_json::json;

use super::{
    exit,
    render::{self, Format},
};

/// Problems and rows that are shown at most.
pub const SHOWN: usize = 20;

/// Form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Comma-separated values with a line of column names.
    Csv,
    /// A JSON object on each line.
    Jsonl,
}

/// Why a row cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, from 1.
    pub line: u64,
    /// Column, where it is one column's fault.
    pub column: Option<&'static str>,
    /// What to do.
    pub text: String,
}

impl Problem {
    /// A problem of a whole row.
    pub fn of_row(line: u64, text: impl Into<String>) -> Self {
        Self {
            line,
            column: None,
            text: text.into(),
        }
    }

    /// A problem of one column.
    pub fn of_column(line: u64, column: &'static str, text: impl Into<String>) -> Self {
        Self {
            line,
            column: Some(column),
            text: text.into(),
        }
    }
}

/// The columns that a file may have.
#[derive(Debug)]
pub struct Columns<const N: usize> {
    /// Their names, in the order of [`Cells`].
    pub names: [&'static str; N],
    /// Those that a CSV file must have.
    pub needed: &'static [&'static str],
}

/// Cells of a row, in the order of its columns. An empty cell is as good as none.
pub type Cells<const N: usize> = [Option<String>; N];

/// The form of a file: what was said, or what its name tells.
pub fn form(file: &Path, said: Option<Form>) -> anyhow::Result<Form> {
    let extension = file.extension().and_then(|e| e.to_str());
    match (said, extension) {
        (Some(form), _) => Ok(form),
        (None, Some("csv")) => Ok(Form::Csv),
        (None, Some("jsonl" | "ndjson")) => Ok(Form::Jsonl),
        (None, _) => {
            let message =
                "the file's name does not tell its form: add --format csv or --format jsonl";
            Err(exit::coded(exit::USAGE, message))
        }
    }
}

/// Hands every row's cells, or why it has none, to `take`, with its line.
pub fn read<const N: usize>(
    from: impl Read,
    form: Form,
    columns: &Columns<N>,
    mut take: impl FnMut(u64, Result<Cells<N>, Problem>),
) {
    match form {
        Form::Csv => csv_rows(from, columns, &mut take),
        Form::Jsonl => json_rows(from, columns, &mut take),
    }
}

fn csv_rows<const N: usize>(
    from: impl Read,
    known: &Columns<N>,
    take: &mut impl FnMut(u64, Result<Cells<N>, Problem>),
) {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(from);
    let columns = match header(&mut reader, known) {
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
                let mut cells = [const { None }; N];
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

/// Which of the known columns each column is.
fn header<R: Read, const N: usize>(
    reader: &mut csv::Reader<R>,
    known_columns: &Columns<N>,
) -> Result<Vec<usize>, String> {
    let names = reader.headers().map_err(|error| csv_error(&error))?;
    let known = known_columns.names.join(", ");
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let found = known_columns
            .names
            .iter()
            .position(|column| *column == name);
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
    for needed in known_columns.needed {
        if !columns
            .iter()
            .any(|column| known_columns.names[*column] == *needed)
        {
            return Err(format!("the column {needed} is missing"));
        }
    }
    Ok(columns)
}

fn json_rows<const N: usize>(
    from: impl Read,
    columns: &Columns<N>,
    take: &mut impl FnMut(u64, Result<Cells<N>, Problem>),
) {
    for (line, text) in (1..).zip(BufReader::new(from).lines()) {
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                let problem = Problem::of_row(line, format!("cannot read on: {error}"));
                return take(line, Err(problem));
            }
        };
        if !text.trim().is_empty() {
            take(line, json_cells(line, &text, columns));
        }
    }
}

fn json_cells<const N: usize>(
    line: u64,
    text: &str,
    columns: &Columns<N>,
) -> Result<Cells<N>, Problem> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)
        .map_err(|error| Problem::of_row(line, format!("not a JSON object: {error}")))?;
    let mut cells = [const { None }; N];
    for (name, value) in object {
        let Some(index) = columns.names.iter().position(|column| *column == name) else {
            let known = columns.names.join(", ");
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
                return Err(Problem::of_column(line, columns.names[index], text));
            }
        };
    }
    Ok(cells)
}

/// Collects the problems of one row.
#[derive(Debug)]
pub struct Check {
    line: u64,
    /// Those that were found.
    pub problems: Vec<Problem>,
}

impl Check {
    /// Nothing is wrong with the row yet.
    pub fn new(line: u64) -> Self {
        Self {
            line,
            problems: Vec::new(),
        }
    }

    /// Notes a problem of a column.
    pub fn broken(&mut self, column: &'static str, text: impl Into<String>) {
        self.problems
            .push(Problem::of_column(self.line, column, text));
    }

    /// A cell, read.
    pub fn read<T>(
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

    /// A value that the row must have; `empty`: the cell was.
    pub fn needed<T>(&mut self, column: &'static str, empty: bool, value: Option<T>) -> Option<T> {
        if empty {
            self.broken(column, "is empty");
        }
        value
    }
}

/// An instant of a cell, microseconds since 1970.
pub fn instant(text: &str) -> Result<i64, String> {
    let hint = || "an instant with its offset, e.g. 2026-03-01T12:34:56+01:00".to_owned();
    let at = chrono::DateTime::parse_from_rfc3339(text).map_err(|_| hint())?;
    let micros = at.timestamp_micros();
    if (MIN_MICROS..END_MICROS).contains(&micros) {
        Ok(micros)
    } else {
        Err("an instant of the years 1970-9999".to_owned())
    }
}

/// Tells what is wrong with a file.
pub fn tell_problems(problems: &[Problem], output: Format) -> anyhow::Result<()> {
    if output.json {
        let problem =
            |p: &Problem| json!({ "line": p.line, "column": p.column, "problem": p.text });
        return render::print_json(&json!({
            "problems": problems.iter().map(problem).collect::<Vec<_>>()
        }));
    }
    let mut text = String::new();
    for problem in problems.iter().take(SHOWN) {
        let column = problem
            .column
            .map_or_else(String::new, |c| format!(", {c}"));
        let _ = writeln!(text, "line {}{column}: {}", problem.line, problem.text);
    }
    if problems.len() > SHOWN {
        let more = render::number((problems.len() - SHOWN) as u64);
        let _ = writeln!(text, "... and {more} more (--json lists all)");
    }
    render::print(&text)?;
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        many => format!("{} problems", render::number(many as u64)),
    };
    eprintln!("error: {count} in the file; nothing was sent");
    Ok(())
}
