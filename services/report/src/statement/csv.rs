//! The statement as CSV: a record per figure.

use super::records::{Record, evidence, figures, head, message, settlement};
use super::{StatementDocument, StatementError};
use crate::amount::Amount;
use crate::csv_file::{CsvFile, Field};
use crate::party::{Counterparty, Tax};

const COLUMNS: [&str; 17] = [
    "cycle",
    "state",
    "merchant_id",
    "merchant_name",
    "currency",
    "section",
    "item",
    "late",
    "counterparty_id",
    "counterparty_name",
    "reference",
    "date",
    "count",
    "points",
    "amount",
    "tax",
    "note",
];

pub(super) fn statement(document: &StatementDocument) -> Result<Vec<u8>, StatementError> {
    let parts = document.parts();
    let mut file = CsvFile::new(&COLUMNS)?;
    let mut write = |record: Record<'_>| {
        file.record([
            Field::plain(parts.cycle),
            Field::plain(parts.state.code()),
            Field::text(&parts.merchant.id),
            Field::text(&parts.merchant.name),
            Field::plain(parts.currency),
            Field::plain(record.section),
            Field::Plain(record.item),
            Field::plain(if record.late { "LATE" } else { "" }),
            Field::text(record.counterparty.map_or("", Counterparty::id)),
            Field::text(record.counterparty.map_or("", Counterparty::name)),
            Field::Text(record.reference),
            Field::Plain(record.date),
            number(record.count),
            number(record.points),
            number(record.amount.map(Amount::decimal)),
            Field::Text(record.tax.map(Tax::label).unwrap_or_default()),
            Field::Text(record.note),
        ])
    };
    for part in [head, figures, settlement, evidence] {
        part(document).into_iter().try_for_each(&mut write)?;
    }
    let rows = parts.drill_down.iter().flatten();
    rows.map(message).try_for_each(&mut write)?;
    Ok(file.finish()?)
}

fn number(value: Option<impl ToString>) -> Field {
    value.map_or(Field::Empty, Field::plain)
}
