//! The journal as CSV.

use super::{LedgerError, LedgerExport};
use crate::csv_file::{CsvFile, Field};
use crate::party::Tax;

const COLUMNS: [&str; 13] = [
    "document",
    "line",
    "date",
    "account",
    "account_name",
    "debit",
    "credit",
    "currency",
    "merchant",
    "cycle",
    "tax_category",
    "tax_rate_percent",
    "text",
];

/// What stands for a document's reference in the last record.
const CONTROL: &str = "CONTROL_TOTAL";

pub(super) fn export(export: &LedgerExport) -> Result<Vec<u8>, LedgerError> {
    let mut file = CsvFile::new(&COLUMNS)?;
    for line in export.lines()? {
        let (document, posting) = (line.document, line.posting);
        let tax = posting.tax.as_ref();
        file.record([
            Field::text(&document.reference),
            Field::plain(line.number),
            Field::plain(document.date),
            Field::text(&line.account.number),
            Field::text(&line.account.name),
            line.debit.map_or(Field::Empty, Field::plain),
            line.credit.map_or(Field::Empty, Field::plain),
            Field::plain(export.currency),
            Field::text(posting.merchant.as_deref().unwrap_or_default()),
            Field::plain(document.cycle),
            Field::text(tax.map_or("", |tax| tax.category.as_str())),
            Field::Plain(tax.map(Tax::rate).unwrap_or_default()),
            Field::text(&document.text),
        ])?;
    }
    let totals = export.totals();
    let mut record = vec![Field::Empty; COLUMNS.len()];
    record[0] = Field::plain(CONTROL);
    record[1] = Field::plain(totals.lines);
    record[5] = Field::plain(totals.debits);
    record[6] = Field::plain(totals.debits);
    record[7] = Field::plain(export.currency);
    record[12] = Field::Plain(format!("{} documents", totals.documents));
    file.record(record)?;
    Ok(file.finish()?)
}
