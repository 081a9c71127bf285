//! The journal as a workbook.

use super::{LedgerError, LedgerExport};
use crate::amount::Amount;
use crate::party::Tax;
use crate::workbook::{Book, Cell, Head};
use chrono::NaiveTime;

const JOURNAL: [Head; 13] = [
    Head::Text("Document", 24),
    Head::Number("Line", 8),
    Head::Text("Date", 12),
    Head::Text("Account", 14),
    Head::Text("Account name", 30),
    Head::Money("Debit"),
    Head::Money("Credit"),
    Head::Text("Currency", 10),
    Head::Text("Merchant", 18),
    Head::Number("Cycle", 8),
    Head::Text("Tax category", 14),
    Head::Text("Tax rate %", 12),
    Head::Text("Text", 50),
];
const ACCOUNTS: [Head; 5] = [
    Head::Text("Account", 14),
    Head::Text("Account name", 30),
    Head::Money("Debits"),
    Head::Money("Credits"),
    Head::Money("Balance"),
];
const CONTROL: [Head; 4] = [
    Head::Number("Documents", 14),
    Head::Number("Lines", 14),
    Head::Money("Debits"),
    Head::Money("Credits"),
];

pub(super) fn export(export: &LedgerExport) -> Result<Vec<u8>, LedgerError> {
    let title = format!("General ledger export, {}", export.issuer.programme);
    let last = export.documents.iter().map(|document| document.date).max();
    let date = last.unwrap_or_default().and_time(NaiveTime::MIN).and_utc();
    let mut book = Book::new(&title, &export.issuer.alliance, &date)?;

    let mut sheet = book.sheet("Journal")?;
    let lines = export.lines()?;
    let rows = lines.iter().map(|line| {
        let (document, posting) = (line.document, line.posting);
        let tax = posting.tax.as_ref();
        vec![
            Cell::text(&document.reference),
            Cell::Whole(i64::try_from(line.number).unwrap_or(i64::MAX)),
            Cell::Text(document.date.to_string()),
            Cell::text(&line.account.number),
            Cell::text(&line.account.name),
            line.debit.map_or(Cell::NoMoney, Cell::Money),
            line.credit.map_or(Cell::NoMoney, Cell::Money),
            Cell::text(export.currency.as_str()),
            Cell::text(posting.merchant.as_deref().unwrap_or_default()),
            Cell::Whole(i64::from(document.cycle)),
            Cell::text(tax.map_or("", |tax| tax.category.as_str())),
            Cell::Text(tax.map(Tax::rate).unwrap_or_default()),
            Cell::text(&document.text),
        ]
    });
    sheet.table(&JOURNAL, rows, true)?;

    let mut sheet = book.sheet("Accounts")?;
    let mut rows = Vec::new();
    for ((number, name), [debits, credits]) in export.balances()? {
        rows.push(vec![
            Cell::Text(number),
            Cell::Text(name),
            Cell::Money(debits),
            Cell::Money(credits),
            Cell::Money(Amount::sum([debits, credits.negated()?])?),
        ]);
    }
    sheet.table(&ACCOUNTS, rows, true)?;

    let mut sheet = book.sheet("Control")?;
    let totals = export.totals();
    let count = |number: usize| Cell::Whole(i64::try_from(number).unwrap_or(i64::MAX));
    let row = vec![
        count(totals.documents),
        count(totals.lines),
        Cell::Money(totals.debits),
        Cell::Money(totals.debits),
    ];
    sheet.table(&CONTROL, [row], false)?;
    Ok(book.finish()?)
}
