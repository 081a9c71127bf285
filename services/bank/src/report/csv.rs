//! The bank statement in CSV; [`STATEMENT_COLUMNS`] says how one looks.

use ::csv::{ReaderBuilder, StringRecord};
use chrono::NaiveDate;
use hansa_money::Currency;

use super::{
    Balance, BankEntry, BankReport, Counterparty, EntryPart, EntryStatus, ReportKind, ReturnReason,
    given_id, time,
};
use crate::{
    Account,
    amount::signed_minor_units,
    error::{FileError, Problem, excerpt},
    xml::Limits,
};

/// The columns of a bank statement in CSV, for banks that deliver no camt, in order.
///
/// UTF-8, commas, a first row with exactly these names, a point as the decimal sign, RFC 4180 quoting.
///
/// - The second row is the `opening` row: our account, the currency, the day, the opening balance, and the statement's id in
///   `reference`.
/// - Then one `entry` row per booking; `amount` is negative where money goes out; `date` is the booking date. `account` and
///   `currency` are empty or those of the opening row. An empty `status` is BOOK. `return_reason` (a code such as AC04) marks
///   a payment that came back.
/// - The last row is the `closing` row with the closing balance. Without it the file is cut off.
///
/// Opening balance + booked entries must be the closing balance, so a row that is missing or there twice shows.
pub const STATEMENT_COLUMNS: [&str; 14] = [
    "record",
    "account",
    "currency",
    "date",
    "value_date",
    "amount",
    "reference",
    "end_to_end_id",
    "instruction_id",
    "counterparty_name",
    "counterparty_account",
    "remittance",
    "return_reason",
    "status",
];

/// Whether the first row begins as such a statement does.
pub(super) fn is_statement(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    let name = first.split(',').next().unwrap_or_default();
    name.trim_matches('"') == STATEMENT_COLUMNS[0]
}

/// Reads a whole statement.
pub(super) fn statement(text: &str, limits: &Limits) -> Result<BankReport, FileError> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut rows = reader
        .records()
        .map(|row| row.map(Row).map_err(|e| csv_error(&e)));
    let header = rows.next().transpose()?;
    for (at, name) in STATEMENT_COLUMNS.iter().enumerate() {
        let found = header.as_ref().and_then(|row| row.0.get(at));
        if found != Some(name) {
            return Err(Problem::Missing.at(*name, 1));
        }
    }
    let first = rows.next().transpose()?.ok_or_else(|| {
        Problem::Truncated {
            open: "the opening row".to_owned(),
        }
        .on_line(1)
    })?;
    if first.get("record") != "opening" {
        return Err(first.value_error("record", "opening, the first row"));
    }
    let mut statement = Statement::open(&first)?;
    for (number, row) in rows.enumerate() {
        let row = row?;
        if number >= limits.elements {
            return Err(Problem::TooMany {
                what: "rows",
                limit: limits.elements,
            }
            .on_line(row.line()));
        }
        statement.add(&row)?;
    }
    statement.finish()
}

fn csv_error(error: &::csv::Error) -> FileError {
    let problem = Problem::Csv {
        reason: match error.kind() {
            ::csv::ErrorKind::UnequalLengths {
                expected_len, len, ..
            } => {
                format!("a row of {len} columns instead of {expected_len}; is the file cut off?")
            }
            _ => "not CSV as RFC 4180 has it".to_owned(),
        },
    };
    match error.position() {
        Some(at) => problem.on_line(u32::try_from(at.line()).unwrap_or(u32::MAX)),
        None => problem.whole_file(),
    }
}

struct Row(StringRecord);

impl Row {
    fn line(&self) -> u32 {
        let line = self.0.position().map_or(0, ::csv::Position::line);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    fn get(&self, column: &str) -> &str {
        let at = STATEMENT_COLUMNS.iter().position(|name| *name == column);
        at.and_then(|at| self.0.get(at)).unwrap_or_default().trim()
    }

    fn optional(&self, column: &str) -> Option<String> {
        Some(self.get(column))
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    }

    fn error(&self, column: &str, problem: Problem) -> FileError {
        problem.at(column, self.line())
    }

    fn value_error(&self, column: &str, expected: &'static str) -> FileError {
        let found = excerpt(self.get(column));
        self.error(column, Problem::Value { found, expected })
    }

    fn day(&self, column: &str) -> Result<Option<NaiveDate>, FileError> {
        match self.get(column) {
            "" => Ok(None),
            text => match time::date(text) {
                Some(day) => Ok(Some(day)),
                None => Err(self.value_error(column, "a date (2026-03-31)")),
            },
        }
    }

    fn needed_day(&self) -> Result<NaiveDate, FileError> {
        self.day("date")?
            .ok_or_else(|| self.error("date", Problem::Missing))
    }

    fn amount(&self, currency: Currency) -> Result<i64, FileError> {
        let text = self.get("amount");
        signed_minor_units(text, currency).map_err(|reason| {
            let found = excerpt(text);
            self.error("amount", Problem::Amount { found, reason })
        })
    }

    fn balance(&self, currency: Currency) -> Result<Balance, FileError> {
        Ok(Balance {
            amount_minor: self.amount(currency)?,
            date: self.needed_day()?,
        })
    }
}

/// An IBAN where it is one, otherwise the number as it stands.
fn account(text: &str) -> Account {
    let iban = Account::iban(text);
    match iban.check() {
        Ok(()) => iban,
        Err(_) => Account::other(text, None),
    }
}

struct Statement {
    id: String,
    account: Account,
    account_text: String,
    currency: Currency,
    opening: Balance,
    entries: Vec<BankEntry>,
    closing: Option<Balance>,
    line: u32,
}

impl Statement {
    fn open(row: &Row) -> Result<Self, FileError> {
        for column in ["account", "reference"] {
            if row.get(column).is_empty() {
                return Err(row.error(column, Problem::Missing));
            }
        }
        let currency = Currency::new(row.get("currency")).map_err(|_| {
            row.value_error("currency", "a currency (ISO 4217, three capital letters)")
        })?;
        Ok(Self {
            id: row.get("reference").to_owned(),
            account: account(row.get("account")),
            account_text: row.get("account").to_owned(),
            currency,
            opening: row.balance(currency)?,
            entries: Vec::new(),
            closing: None,
            line: row.line(),
        })
    }

    fn add(&mut self, row: &Row) -> Result<(), FileError> {
        self.line = row.line();
        if self.closing.is_some() {
            return Err(row.value_error("record", "nothing: the closing row is the last one"));
        }
        let stated = row.get("account");
        if !stated.is_empty() && stated != self.account_text {
            return Err(row.error(
                "account",
                Problem::ForeignAccount {
                    found: excerpt(stated),
                    expected: self.account_text.clone(),
                },
            ));
        }
        match row.get("currency") {
            "" => {}
            stated => match Currency::new(stated) {
                Ok(found) if found == self.currency => {}
                Ok(found) => {
                    let expected = self.currency;
                    return Err(row.error("currency", Problem::Currency { found, expected }));
                }
                Err(_) => return Err(row.value_error("currency", "the statement's currency")),
            },
        }
        match row.get("record") {
            "entry" => self.entries.push(self.entry(row)?),
            "closing" => self.closing = Some(row.balance(self.currency)?),
            _ => return Err(row.value_error("record", "entry or closing")),
        }
        Ok(())
    }

    fn entry(&self, row: &Row) -> Result<BankEntry, FileError> {
        let amount_minor = row.amount(self.currency)?;
        let status = match row.get("status") {
            "" | "BOOK" => EntryStatus::Booked,
            "PDNG" => EntryStatus::Pending,
            "INFO" => EntryStatus::Information,
            "FUTR" => EntryStatus::Future,
            _ => return Err(row.value_error("status", "BOOK, PDNG, INFO or FUTR")),
        };
        let part = EntryPart {
            line: row.line(),
            amount_minor: Some(amount_minor),
            instruction_id: row.optional("instruction_id"),
            end_to_end_id: given_id(row.get("end_to_end_id")),
            counterparty: Counterparty {
                name: row.optional("counterparty_name"),
                account: row.optional("counterparty_account").as_deref().map(account),
                agent: None,
            },
            remittance: row.optional("remittance").into_iter().collect(),
            return_reason: row.optional("return_reason").map(|code| ReturnReason {
                code: Some(code),
                information: Vec::new(),
            }),
            ..EntryPart::default()
        };
        Ok(BankEntry {
            line: row.line(),
            reference: row.optional("reference"),
            amount_minor,
            currency: self.currency,
            status,
            booking_date: Some(row.needed_day()?),
            value_date: row.day("value_date")?,
            reversal: false,
            transaction_code: None,
            information: None,
            batch: None,
            parts: vec![part],
            itemised: true,
        })
    }

    fn finish(self) -> Result<BankReport, FileError> {
        let Some(closing) = self.closing else {
            return Err(Problem::Truncated {
                open: "the statement (its closing row)".to_owned(),
            }
            .on_line(self.line));
        };
        let booked = self
            .entries
            .iter()
            .filter(|e| e.status == EntryStatus::Booked);
        let entries_minor: i128 = booked.map(|e| i128::from(e.amount_minor)).sum();
        let opening_minor = i128::from(self.opening.amount_minor);
        let closing_minor = i128::from(closing.amount_minor);
        if opening_minor + entries_minor != closing_minor {
            return Err(Problem::Balance {
                opening_minor,
                entries_minor,
                closing_minor,
                currency: self.currency,
            }
            .at("amount", self.line));
        }
        Ok(BankReport {
            kind: ReportKind::CsvStatement,
            message: None,
            message_id: self.id.clone(),
            created: None,
            duplicate: false,
            account: Some(self.account),
            statement_id: Some(self.id),
            sequence: None,
            legal_sequence: None,
            page: None,
            currency: Some(self.currency),
            opening: Some(self.opening),
            closing: Some(closing),
            entries: self.entries,
            statuses: Vec::new(),
        })
    }
}
