//! The statement as a workbook.

use super::parts::MessageRow;
use super::records::{Record, evidence, figures, head, settlement};
use super::{StatementDocument, StatementError};
use crate::party::{Counterparty, Tax};
use crate::wire::rfc3339;
use crate::workbook::{Book, Cell, Head, MAX_ROWS};

const SUMMARY: [Head; 6] = [
    Head::Text("Section", 14),
    Head::Text("Item", 26),
    Head::Text("Value", 40),
    Head::Text("Date", 24),
    Head::Money("Amount"),
    Head::Text("Note", 70),
];
const LINES: [Head; 12] = [
    Head::Text("Section", 14),
    Head::Text("Item", 28),
    Head::Text("Late", 8),
    Head::Text("Counterparty id", 18),
    Head::Text("Counterparty", 34),
    Head::Text("Reference", 20),
    Head::Text("Date", 24),
    Head::Number("Events", 12),
    Head::Number("Points", 16),
    Head::Money("Amount"),
    Head::Text("Tax", 12),
    Head::Text("Note", 60),
];
const BILATERAL: [Head; 6] = [
    Head::Text("Section", 14),
    Head::Text("Counterparty id or kind", 28),
    Head::Text("Counterparty", 34),
    Head::Number("Messages", 12),
    Head::Number("Points", 16),
    Head::Money("Amount"),
];
const MESSAGES: [Head; 11] = [
    Head::Number("Leaf", 12),
    Head::Number("Position", 10),
    Head::Text("Message id", 36),
    Head::Text("Kind", 24),
    Head::Text("Event time", 28),
    Head::Text("Line", 26),
    Head::Text("Late", 8),
    Head::Text("Counterparty id", 18),
    Head::Text("Counterparty", 34),
    Head::Number("Points", 16),
    Head::Money("Amount"),
];

pub(super) fn statement(document: &StatementDocument) -> Result<Vec<u8>, StatementError> {
    let parts = document.parts();
    let rows = parts.drill_down.as_deref().unwrap_or_default();
    if rows.len() > MAX_ROWS {
        return Err(StatementError::TooManyRows(rows.len()));
    }
    let title = format!(
        "Settlement statement, cycle {}, {}",
        parts.cycle, parts.merchant.name
    );
    let date = parts.period.dated();
    let mut book = Book::new(&title, &parts.issuer.alliance, &date)?;

    let mut sheet = book.sheet("Summary")?;
    sheet.title(&title)?;
    let signs = format!(
        "Amounts in {}; + is what the merchant owes, - what it is owed. State of the cycle: {}{}",
        parts.currency,
        parts.state.code(),
        if parts.state.is_provisional() {
            ", figures may change"
        } else {
            ""
        }
    );
    sheet.title(&signs)?;
    sheet.skip();
    let merchant = [
        merchant_row("MERCHANT_ID", &parts.merchant.id),
        merchant_row("MERCHANT_NAME", &parts.merchant.name),
    ];
    let records = head(document).into_iter().chain(totals(document)).chain(
        evidence(document)
            .into_iter()
            .filter(|r| r.section == "PROOF"),
    );
    let rows_of = merchant.into_iter().chain(records.map(summary_row));
    sheet.table(&SUMMARY, rows_of, false)?;

    let mut sheet = book.sheet("Lines")?;
    let records = figures(document).into_iter().chain(settlement(document));
    sheet.table(&LINES, records.map(line_row), true)?;

    let mut sheet = book.sheet("Bilateral")?;
    let records = evidence(document).into_iter();
    let records = records.filter(|record| record.section != "PROOF");
    sheet.table(&BILATERAL, records.map(bilateral_row), true)?;

    let mut sheet = book.sheet("Messages")?;
    sheet.table(&MESSAGES, rows.iter().map(message_row), true)?;
    Ok(book.finish()?)
}

/// What a director looks for: from brought forward to carried forward, without lines.
fn totals(document: &StatementDocument) -> Vec<Record<'_>> {
    let parts = document.parts();
    let totals = document.totals();
    let total = |item: &str, amount| Record::amount("TOTAL", item, amount);
    vec![
        total("BROUGHT_FORWARD", parts.brought_forward),
        total("NET", parts.net),
        total("HOLDBACKS", totals.holdbacks),
        total("PAYABLE", totals.payable),
        total("PAYMENTS", totals.payments),
        total("CARRIED_FORWARD", parts.carried_forward),
    ]
}

fn merchant_row(item: &str, value: &str) -> Vec<Cell> {
    vec![Cell::text("STATEMENT"), Cell::text(item), Cell::text(value)]
}

fn summary_row(record: Record<'_>) -> Vec<Cell> {
    let mut value = record.reference;
    if let Some(tax) = record.tax {
        value = format!("{} {value}", tax.label()).trim_end().to_owned();
    }
    if let Some(count) = record.count {
        value = count.to_string();
    }
    vec![
        Cell::text(record.section),
        Cell::Text(record.item),
        Cell::Text(value),
        Cell::Text(record.date),
        record.amount.map_or(Cell::NoMoney, Cell::Money),
        Cell::Text(record.note),
    ]
}

fn line_row(record: Record<'_>) -> Vec<Cell> {
    vec![
        Cell::text(record.section),
        Cell::Text(record.item),
        Cell::text(if record.late { "LATE" } else { "" }),
        Cell::text(record.counterparty.map_or("", Counterparty::id)),
        Cell::text(record.counterparty.map_or("", Counterparty::name)),
        Cell::Text(record.reference),
        Cell::Text(record.date),
        record.count.map_or(Cell::Empty, Cell::count),
        record.points.map_or(Cell::Empty, Cell::Whole),
        record.amount.map_or(Cell::NoMoney, Cell::Money),
        Cell::Text(record.tax.map(Tax::label).unwrap_or_default()),
        Cell::Text(record.note),
    ]
}

fn bilateral_row(record: Record<'_>) -> Vec<Cell> {
    let name = match record.counterparty {
        Some(counterparty) => counterparty.id().to_owned(),
        None => record.item,
    };
    vec![
        Cell::text(record.section),
        Cell::Text(name),
        Cell::text(record.counterparty.map_or("", Counterparty::name)),
        record.count.map_or(Cell::Empty, Cell::count),
        record.points.map_or(Cell::Empty, Cell::Whole),
        record.amount.map_or(Cell::NoMoney, Cell::Money),
    ]
}

fn message_row(row: &MessageRow) -> Vec<Cell> {
    let counterparty = row.counterparty.as_ref();
    vec![
        Cell::count(row.leaf),
        Cell::Whole(i64::from(row.position)),
        Cell::Text(row.message.map(|id| id.to_hex()).unwrap_or_default()),
        Cell::text(row.kind.code()),
        Cell::Text(rfc3339(&row.event_time)),
        Cell::text(row.line.code()),
        Cell::text(if row.late { "LATE" } else { "" }),
        Cell::text(counterparty.map_or("", Counterparty::id)),
        Cell::text(counterparty.map_or("", Counterparty::name)),
        Cell::Whole(row.points),
        Cell::Money(row.amount),
    ]
}
