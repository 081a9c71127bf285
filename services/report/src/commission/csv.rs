//! The commission statement as CSV: a record per figure and per line.

use super::parts::{CommissionLine, CommissionParts, MerchantCommissions};
use super::{CommissionStatementError, reasons};
use crate::amount::Amount;
use crate::csv_file::{CsvFile, Field};
use crate::party::Counterparty;
use crate::wire::rfc3339;

/// What stands in front of every record, then what a record may have.
const COLUMNS: [&str; 27] = [
    "cycle",
    "affiliate_id",
    "affiliate_name",
    "currency",
    "section",
    "item",
    "amount",
    "merchant_id",
    "merchant_name",
    "reference",
    "state",
    "reason",
    "note",
    "at",
    "leaf",
    "conversion_leaf",
    "conversion_position",
    "event_time",
    "purchase",
    "terms_version",
    "rate_row",
    "share_bps",
    "fixed",
    "locks_at",
    "flag",
    "under_hold",
    "count",
];

/// A record; what a section does not have is empty.
#[derive(Default)]
struct Record<'a> {
    section: &'static str,
    item: &'static str,
    amount: Option<Amount>,
    merchant: Option<&'a Counterparty>,
    count: Option<u64>,
    reference: &'a str,
    note: String,
    line: Option<&'a CommissionLine>,
}

pub(super) fn statement(parts: &CommissionParts) -> Result<Vec<u8>, CommissionStatementError> {
    let mut file = CsvFile::new(&COLUMNS)?;
    let mut write = |record: Record<'_>| file.record(fields(parts, &record));
    for record in head(parts).into_iter().chain(figures(parts)) {
        write(record)?;
    }
    for row in &parts.merchants {
        for record in merchant(row) {
            write(record)?;
        }
    }
    for line in &parts.lines {
        write(Record {
            section: "LINE",
            item: line.kind.code(),
            amount: Some(line.amount),
            merchant: Some(&line.with),
            reference: line.shown_reference(),
            note: meaning(line),
            line: Some(line),
            ..Record::default()
        })?;
    }
    for record in proof(parts) {
        write(record)?;
    }
    Ok(file.finish()?)
}

fn meaning(line: &CommissionLine) -> String {
    if line.kind.is_information() {
        return "for information".to_owned();
    }
    let known = line.reason.as_ref().and_then(|r| reasons::known(r.code()));
    known
        .map(|reason| reason.meaning.to_owned())
        .unwrap_or_default()
}

fn head(parts: &CommissionParts) -> Vec<Record<'_>> {
    let note = |item, note: String| Record {
        section: "STATEMENT",
        item,
        note,
        ..Record::default()
    };
    let mut records = vec![
        note("ALLIANCE", parts.issuer.alliance.clone()),
        note("PROGRAMME", parts.issuer.programme.clone()),
        note("HUB", parts.issuer.origin.clone()),
        note("TIME_ZONE", parts.period.zone.name().to_owned()),
    ];
    let opens = parts.period.opens_at.iter();
    records.extend(opens.map(|at| note("OPENS_AT", rfc3339(at))));
    let closes = parts.period.closes_at.iter();
    records.extend(closes.map(|at| note("CLOSES_AT", rfc3339(at))));
    records
}

fn figures(parts: &CommissionParts) -> Vec<Record<'_>> {
    let figures = &parts.figures;
    [
        ("OPENING", figures.opening, ""),
        ("ACCRUED", figures.accrued, "added"),
        ("REVERSED", figures.reversed, "subtracted"),
        ("CLAWED_BACK", figures.clawed_back, "subtracted"),
        ("HELD", figures.held, "subtracted"),
        ("ADJUSTED", figures.adjusted, "added"),
        ("PAID", figures.paid, "subtracted"),
        ("CLOSING", figures.closing, ""),
        ("PAYABLE", figures.payable, "for information"),
    ]
    .into_iter()
    .map(|(item, amount, note)| Record {
        section: "FIGURE",
        item,
        amount: Some(amount),
        note: note.to_owned(),
        ..Record::default()
    })
    .collect()
}

fn merchant(row: &MerchantCommissions) -> Vec<Record<'_>> {
    [
        ("ACCRUED", row.accrued, Some(row.conversions)),
        ("REVERSED", row.reversed, None),
        ("CLAWED_BACK", row.clawed_back, None),
        ("HELD", row.held, None),
        ("PAYABLE", row.payable, None),
    ]
    .into_iter()
    .map(|(item, amount, count)| Record {
        section: "MERCHANT",
        item,
        amount: Some(amount),
        merchant: Some(&row.merchant),
        count,
        ..Record::default()
    })
    .collect()
}

fn proof(parts: &CommissionParts) -> Vec<Record<'_>> {
    let proof = &parts.proof;
    let record = |item, count, reference, note| Record {
        section: "PROOF",
        item,
        count,
        reference,
        note,
        ..Record::default()
    };
    let mut records = vec![
        record("CYCLE_DIGEST", None, "", proof.cycle_digest.to_hex()),
        record("CUT_LEAF", Some(proof.cut_leaf), "", String::new()),
    ];
    records.extend(proof.checkpoints.iter().map(|checkpoint| {
        let root = checkpoint.root.to_hex();
        record(
            "CHECKPOINT",
            Some(checkpoint.size),
            checkpoint.at.code(),
            root,
        )
    }));
    records.push(record("HUB_KEY", None, &proof.hub_key_id, String::new()));
    records
}

fn fields(parts: &CommissionParts, record: &Record<'_>) -> Vec<Field> {
    let line = record.line;
    let conversion = line.and_then(|line| line.conversion.as_ref());
    let rate = line.and_then(|line| line.rate.as_ref());
    let or = |value: Option<String>| value.map_or(Field::Empty, Field::Plain);
    let decimal = |amount: Amount| amount.decimal();
    vec![
        Field::plain(parts.cycle),
        Field::text(&parts.affiliate.id),
        Field::text(&parts.affiliate.name),
        Field::plain(parts.currency),
        Field::plain(record.section),
        Field::plain(record.item),
        or(record.amount.map(decimal)),
        Field::text(record.merchant.map_or("", Counterparty::id)),
        Field::text(record.merchant.map_or("", Counterparty::name)),
        Field::text(record.reference),
        or(line.and_then(|l| l.state).map(|s| s.code().to_owned())),
        or(line
            .and_then(|l| l.reason.as_ref())
            .map(|r| r.code().to_owned())),
        Field::text(&record.note),
        or(line.map(|l| rfc3339(&l.at))),
        or(line.and_then(|l| l.leaf).map(|leaf| leaf.to_string())),
        or(conversion.map(|c| c.leaf.to_string())),
        or(conversion.map(|c| c.position.to_string())),
        or(conversion.map(|c| rfc3339(&c.event_time))),
        or(conversion.map(|c| c.purchase.decimal())),
        or(conversion.map(|c| c.terms_version.to_string())),
        or(rate.map(|r| r.row.to_string())),
        or(rate.map(|r| r.share_bps.to_string())),
        or(rate.map(|r| r.fixed.decimal())),
        or(conversion.and_then(|c| c.locks_at.as_ref()).map(rfc3339)),
        or(line.and_then(|l| l.flag).map(|flag| flag.to_string())),
        or(line
            .filter(|l| l.under_hold)
            .map(|_| "UNDER_HOLD".to_owned())),
        or(record.count.map(|count| count.to_string())),
    ]
}
