//! The liability report as a workbook.

use super::{LiabilityError, LiabilityReport};
use crate::party::Counterparty;
use crate::wire::rfc3339;
use crate::workbook::{Book, Cell, Head};

const SUMMARY: [Head; 3] = [
    Head::Text("Item", 44),
    Head::Number("Points", 18),
    Head::Money("Amount"),
];
const FUNDERS: [Head; 14] = [
    Head::Text("Funder id", 18),
    Head::Text("Funder", 34),
    Head::Number("Issued", 16),
    Head::Number("Redeemed", 16),
    Head::Number("Lost", 16),
    Head::Number("Open", 16),
    Head::Money("Open value"),
    Head::Money("In reserve"),
    Head::Number("Expected to be redeemed", 24),
    Head::Number("Expected breakage points", 24),
    Head::Money("Expected breakage"),
    Head::Money("Recognised"),
    Head::Money("Revenue of the period"),
    Head::Money("Deferred revenue"),
];
const OUTSTANDING: [Head; 6] = [
    Head::Text("Funder id", 18),
    Head::Text("Funder", 34),
    Head::Text("Mode", 10),
    Head::Text("Age in days", 14),
    Head::Number("Points", 18),
    Head::Money("Value"),
];

pub(super) fn report(report: &LiabilityReport) -> Result<Vec<u8>, LiabilityError> {
    let parts = report.parts();
    let title = format!("Liability for points, {}", parts.issuer.programme);
    let mut book = Book::new(&title, &parts.issuer.alliance, &parts.as_of)?;

    let mut sheet = book.sheet("Summary")?;
    sheet.title(&title)?;
    sheet.title(&format!(
        "As of {}; amounts in {}",
        rfc3339(&parts.as_of),
        parts.currency
    ))?;
    sheet.skip();
    let totals = report.totals();
    let row = |item: &str, points: Option<i64>, amount| {
        vec![
            Cell::text(item),
            points.map_or(Cell::Empty, Cell::Whole),
            Cell::Money(amount),
        ]
    };
    let rows = [
        row("Open points", Some(totals.points), totals.value),
        row("Of that, prepaid: points reserve", None, totals.in_reserve),
        row(
            "Expected breakage",
            Some(totals.breakage_points),
            totals.breakage,
        ),
        row("Revenue of the period", None, totals.revenue_of_period),
        row(
            "Deferred revenue (contract liability)",
            None,
            totals.deferred,
        ),
    ];
    sheet.table(&SUMMARY, rows, false)?;

    let mut sheet = book.sheet("Funders")?;
    let rows = parts.funders.iter().zip(report.funders());
    let rows = rows.map(|(points, liability)| {
        let [id, name] = funder(&points.funder);
        let revenue = liability.revenue;
        vec![
            id,
            name,
            Cell::Whole(points.issued),
            Cell::Whole(points.redeemed),
            Cell::Whole(points.lost),
            Cell::Whole(liability.points),
            Cell::Money(liability.value),
            Cell::Money(liability.in_reserve),
            Cell::Whole(points.expected),
            Cell::Whole(liability.breakage_points),
            Cell::Money(liability.breakage),
            revenue.map_or(Cell::NoMoney, |r| Cell::Money(r.recognised)),
            revenue.map_or(Cell::NoMoney, |r| Cell::Money(r.of_period)),
            revenue.map_or(Cell::NoMoney, |r| Cell::Money(r.deferred)),
        ]
    });
    sheet.table(&FUNDERS, rows, true)?;

    let mut sheet = book.sheet("Outstanding")?;
    let rows = parts.outstanding.iter().map(|row| {
        let [id, name] = funder(&row.funder);
        vec![
            id,
            name,
            Cell::text(row.mode.code()),
            Cell::Text(parts.ages.label(row.band)),
            Cell::Whole(row.points),
            Cell::Money(row.value),
        ]
    });
    sheet.table(&OUTSTANDING, rows, true)?;
    Ok(book.finish()?)
}

fn funder(funder: &Counterparty) -> [Cell; 2] {
    [Cell::text(funder.id()), Cell::text(funder.name())]
}
