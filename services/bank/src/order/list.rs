//! Writes an order as a CSV list (RFC 4180, commas, a first row with names, CR LF).

use super::{CheckedOrder, Payment};
use crate::amount::decimal;

const COLUMNS: [&str; 18] = [
    "message_id",
    "execution_date",
    "debtor_name",
    "debtor_account",
    "instruction_id",
    "end_to_end_id",
    "amount",
    "currency",
    "creditor_name",
    "creditor_account",
    "creditor_agent",
    "street",
    "building_number",
    "postcode",
    "town",
    "country",
    "remittance",
    "creditor_reference",
];

pub(super) fn write(checked: &CheckedOrder) -> String {
    let mut text = COLUMNS.join(",");
    text.push_str("\r\n");
    for payment in &checked.order.payments {
        let cells = row(checked, payment).map(|cell| quoted(&cell));
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn row(checked: &CheckedOrder, payment: &Payment) -> [String; 18] {
    let order = &checked.order;
    let address = &payment.creditor.address;
    let optional = |text: &Option<String>| text.as_deref().map(guarded).unwrap_or_default();
    [
        guarded(&order.message_id),
        order.execution_date.format("%Y-%m-%d").to_string(),
        guarded(&order.debtor.name),
        guarded(order.debtor_account.number()),
        guarded(&payment.instruction_id),
        guarded(&payment.end_to_end_id),
        decimal(payment.amount_minor, payment.currency),
        payment.currency.to_string(),
        guarded(&payment.creditor.name),
        guarded(payment.creditor_account.number()),
        optional(&payment.creditor_agent),
        optional(&address.street),
        optional(&address.building_number),
        optional(&address.postcode),
        guarded(&address.town),
        address.country.clone(),
        optional(&payment.remittance),
        optional(&payment.creditor_reference),
    ]
}

/// In the SWIFT set only these two begin a formula.
fn guarded(text: &str) -> String {
    if text.starts_with(['+', '-']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// The SWIFT set has neither quotes nor line breaks.
fn quoted(cell: &str) -> String {
    if cell.contains(',') {
        format!("\"{cell}\"")
    } else {
        cell.to_owned()
    }
}
