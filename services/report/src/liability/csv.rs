//! The liability report as CSV: a record per figure.

use super::{FunderLiability, FunderPoints, LiabilityError, LiabilityReport};
use crate::amount::Amount;
use crate::csv_file::{CsvFile, Field};
use crate::party::Counterparty;
use crate::wire::rfc3339;

const COLUMNS: [&str; 11] = [
    "as_of",
    "programme",
    "currency",
    "section",
    "funder_id",
    "funder_name",
    "mode",
    "age_days",
    "item",
    "points",
    "amount",
];

/// A figure: its name, points and amount.
type Figure = (&'static str, Option<i64>, Option<Amount>);

pub(super) fn report(report: &LiabilityReport) -> Result<Vec<u8>, LiabilityError> {
    let parts = report.parts();
    let mut file = CsvFile::new(&COLUMNS)?;
    let as_of = rfc3339(&parts.as_of);
    let mut write = |section, funder: Option<&Counterparty>, mode, age: String, figure: Figure| {
        let (item, points, amount) = figure;
        file.record([
            Field::plain(&as_of),
            Field::text(&parts.issuer.programme),
            Field::plain(parts.currency),
            Field::plain(section),
            Field::text(funder.map_or("", Counterparty::id)),
            Field::text(funder.map_or("", Counterparty::name)),
            Field::plain(mode),
            Field::Plain(age),
            Field::plain(item),
            points.map_or(Field::Empty, Field::plain),
            amount.map_or(Field::Empty, Field::plain),
        ])
    };
    for row in &parts.outstanding {
        let figure = ("OPEN", Some(row.points), Some(row.value));
        let age = parts.ages.label(row.band);
        write(
            "OUTSTANDING",
            Some(&row.funder),
            row.mode.code(),
            age,
            figure,
        )?;
    }
    for (points, liability) in parts.funders.iter().zip(report.funders()) {
        for figure in figures(points, liability) {
            write("FUNDER", Some(&points.funder), "", String::new(), figure)?;
        }
    }
    let totals = report.totals();
    for figure in [
        ("OPEN", Some(totals.points), Some(totals.value)),
        ("RESERVE", None, Some(totals.in_reserve)),
        (
            "EXPECTED_BREAKAGE",
            Some(totals.breakage_points),
            Some(totals.breakage),
        ),
        ("REVENUE_OF_PERIOD", None, Some(totals.revenue_of_period)),
        ("DEFERRED_REVENUE", None, Some(totals.deferred)),
    ] {
        write("TOTAL", None, "", String::new(), figure)?;
    }
    Ok(file.finish()?)
}

fn figures(points: &FunderPoints, liability: &FunderLiability) -> Vec<Figure> {
    let mut out = vec![
        ("ISSUED", Some(points.issued), None),
        ("REDEEMED", Some(points.redeemed), None),
        ("LOST", Some(points.lost), None),
        ("OPEN", Some(liability.points), Some(liability.value)),
        ("RESERVE", None, Some(liability.in_reserve)),
        ("EXPECTED_TO_BE_REDEEMED", Some(points.expected), None),
        (
            "EXPECTED_BREAKAGE",
            Some(liability.breakage_points),
            Some(liability.breakage),
        ),
    ];
    if let (Some(price), Some(revenue)) = (points.price, liability.revenue) {
        out.extend([
            ("ALLOCATED_PRICE", None, Some(price.allocated)),
            ("RECOGNISED_BEFORE", None, Some(price.recognised_before)),
            ("RECOGNISED", None, Some(revenue.recognised)),
            ("REVENUE_OF_PERIOD", None, Some(revenue.of_period)),
            ("DEFERRED_REVENUE", None, Some(revenue.deferred)),
        ]);
    }
    out
}
