//! The statement's tables.

use crate::amount::{Amount, whole};
use crate::party::{Counterparty, Tax};
use crate::pdf::blocks::{NOTE, day, table, title};
use crate::pdf::{CONTENT_WIDTH, Column, LEFT, Layout, Row, mm, pt};
use crate::statement::{LineKind, StatementDocument, StatementLine, StatementParts};

const RECONCILIATION: [Column; 2] = [
    Column::left("From the net to the payment", CONTENT_WIDTH - mm(38)),
    Column::right("Amount", mm(38)),
];
const LINES: [Column; 5] = [
    Column::left("Line", mm(46)),
    Column::left("With", CONTENT_WIDTH - mm(122)),
    Column::right("Events", mm(16)),
    Column::right("Points", mm(26)),
    Column::right("Amount", mm(34)),
];
const INFORMATION: [Column; 4] = [
    Column::left("For information: points, no money", mm(78)),
    Column::left("With", CONTENT_WIDTH - mm(130)),
    Column::right("Events", mm(28)),
    Column::right("Points", mm(24)),
];
const PROMOTIONS: [Column; 4] = [
    Column::left("Promotion", mm(34)),
    Column::left("Name", CONTENT_WIDTH - mm(92)),
    Column::right("Points", mm(24)),
    Column::right("Amount", mm(34)),
];
const FEES: [Column; 4] = [
    Column::left("Fee", CONTENT_WIDTH - mm(104)),
    Column::left("Tax", mm(46)),
    Column::right("Points", mm(24)),
    Column::right("Amount", mm(34)),
];
const ADJUSTMENTS: [Column; 4] = [
    Column::left("Adjustment", mm(34)),
    Column::left("Reason and original", CONTENT_WIDTH - mm(106)),
    Column::left("Approved by", mm(38)),
    Column::right("Amount", mm(34)),
];
const HOLDBACKS: [Column; 4] = [
    Column::left("Held back", mm(34)),
    Column::left("Reason", CONTENT_WIDTH - mm(106)),
    Column::left("To be released", mm(38)),
    Column::right("Amount", mm(34)),
];
const PAYMENTS: [Column; 5] = [
    Column::left("With", CONTENT_WIDTH - mm(138)),
    Column::left("Account", mm(46)),
    Column::left("Reference", mm(34)),
    Column::left("Due", mm(30)),
    Column::right("Amount", mm(28)),
];
const NETS: [Column; 4] = [
    Column::left("Net with", CONTENT_WIDTH - mm(78)),
    Column::right("Messages", mm(20)),
    Column::right("Points", mm(24)),
    Column::right("Amount", mm(34)),
];
const MESSAGES: [Column; 3] = [
    Column::left("Net by message", CONTENT_WIDTH - mm(78)),
    Column::right("Messages", mm(44)),
    Column::right("Amount", mm(34)),
];

/// Brought forward to carried forward; and the payments, where there are several.
pub(super) fn reconciliation(layout: &mut Layout<'_>, document: &StatementDocument) {
    let parts = document.parts();
    let totals = document.totals();
    let row = |name: &str, amount: Amount| Row::plain([name.into(), amount.signed()]);
    let mut rows = Vec::new();
    match parts.opening.as_slice() {
        [] | [_] => {}
        several => {
            rows.extend(several.iter().map(|item| {
                let mut name = format!("Brought forward: {}", item.cause.label().to_lowercase());
                if !item.reference.is_empty() {
                    name.push_str(&format!(", {}", item.reference));
                }
                row(&name, item.amount)
            }));
        }
    }
    let brought = [
        "Brought forward from the cycle before".into(),
        parts.brought_forward.signed(),
    ];
    rows.push(match parts.opening.len() {
        0 | 1 => Row::plain(brought),
        _ => Row::subtotal(brought),
    });
    rows.push(row("Net of the cycle", parts.net));
    if !parts.holdbacks.is_empty() {
        rows.push(row("Held back and released", totals.holdbacks));
    }
    rows.push(Row::subtotal(["Payable".into(), totals.payable.signed()]));
    rows.push(Row::plain([
        "Less payment, in whole minor units".into(),
        minus(totals.payments),
    ]));
    rows.push(Row::total([
        "Carried forward to the next cycle".into(),
        parts.carried_forward.signed(),
    ]));
    table(layout, &RECONCILIATION, rows);
    if parts.payments.len() < 2 {
        return;
    }
    let mut rows: Vec<Row> = Vec::new();
    rows.extend(parts.payments.iter().map(|payment| {
        Row::plain([
            payment.counterparty.name().into(),
            payment
                .account
                .as_ref()
                .map(|account| account.grouped())
                .unwrap_or_default(),
            payment.reference.clone().unwrap_or_default(),
            payment.due_on.map(day).unwrap_or_default(),
            payment.amount.signed(),
        ])
    }));
    rows.push(Row::total([
        "All payments".into(),
        String::new(),
        String::new(),
        String::new(),
        totals.payments.signed(),
    ]));
    table(layout, &PAYMENTS, rows);
}

/// The lines, with a subtotal for each kind that has several; then those for information.
pub(super) fn lines(layout: &mut Layout<'_>, parts: &StatementParts) {
    title(layout, "Lines of the cycle", pt(60));
    let with_money: Vec<&StatementLine> = parts.lines.iter().filter(|l| !l.information).collect();
    let mut rows = Vec::new();
    for kind in with_money.chunk_by(|a, b| a.kind == b.kind) {
        rows.extend(kind.iter().map(|line| {
            Row::plain([
                line_name(line),
                with(parts, line),
                whole_u64(line.count),
                whole(line.points),
                line.amount.signed(),
            ])
        }));
        if let [first, _, ..] = kind {
            rows.push(Row::subtotal([
                format!("{}, all", first.kind.label()),
                String::new(),
                whole_u64(kind.iter().map(|l| l.count).fold(0, u64::saturating_add)),
                whole(kind.iter().map(|l| l.points).fold(0, i64::saturating_add)),
                sum(kind.iter().map(|l| l.amount)),
            ]));
        }
    }
    if rows.is_empty() {
        layout.paragraph(
            LEFT,
            CONTENT_WIDTH,
            "No lines: nothing was earned, spent or expired.",
            NOTE,
        );
    }
    rows.push(Row::total([
        "Net of the cycle".into(),
        String::new(),
        String::new(),
        String::new(),
        parts.net.signed(),
    ]));
    table(layout, &LINES, rows);
    if parts.lines.iter().any(|line| line.late) {
        layout.skip(pt(2));
        let text = "Late: the events lie before this cycle and were logged in it, at the prices of their own day.";
        layout.paragraph(LEFT, CONTENT_WIDTH, text, NOTE);
    }
    let information = parts.lines.iter().filter(|line| line.information);
    let rows = information.map(|line| {
        Row::plain([
            line_name(line),
            with(parts, line),
            whole_u64(line.count),
            whole(line.points),
        ])
    });
    table(layout, &INFORMATION, rows.collect());
}

/// Shares of promotions and fees: parts of the lines.
pub(super) fn explanations(layout: &mut Layout<'_>, parts: &StatementParts) {
    if parts.promotions.is_empty() && parts.fees.is_empty() {
        return;
    }
    title(layout, "Contained in the lines", pt(60));
    let rows = parts.promotions.iter().map(|share| {
        Row::plain([
            share.promotion.clone(),
            share.name.clone(),
            whole(share.points),
            share.amount.signed(),
        ])
    });
    table(layout, &PROMOTIONS, rows.collect());
    let rows = parts.fees.iter().map(|fee| {
        Row::plain([
            fee.kind.label(),
            fee.tax
                .as_ref()
                .map_or_else(|| "none named".into(), Tax::label),
            whole(fee.points),
            fee.amount.signed(),
        ])
    });
    table(layout, &FEES, rows.collect());
}

/// Adjustments and holdbacks.
pub(super) fn corrections(layout: &mut Layout<'_>, parts: &StatementParts) {
    if parts.adjustments.is_empty() && parts.holdbacks.is_empty() {
        return;
    }
    title(
        layout,
        "Adjustments (contained in the lines) and holdbacks",
        pt(60),
    );
    let rows = parts.adjustments.iter().map(|adjustment| {
        let [first, second] = &adjustment.approvals;
        let mut reason = adjustment.reason.label();
        let original = adjustment.original.text();
        if !original.is_empty() {
            reason.push_str(&format!("; corrects {original}"));
        }
        if let Some(counterparty) = &adjustment.counterparty {
            reason.push_str(&format!("; with {}", counterparty.name()));
        }
        if adjustment.points != 0 {
            reason.push_str(&format!("; {}\u{a0}points", whole(adjustment.points)));
        }
        if !adjustment.note.is_empty() {
            reason.push_str(&format!("; {}", adjustment.note));
        }
        Row::plain([
            adjustment.id.clone(),
            reason,
            format!("{} and {}", first.by, second.by),
            adjustment.amount.signed(),
        ])
    });
    table(layout, &ADJUSTMENTS, rows.collect());
    let rows = parts.holdbacks.iter().map(|holdback| {
        Row::plain([
            holdback.id.clone(),
            holdback.reason.label(),
            holdback.release_on.map(day).unwrap_or_default(),
            holdback.amount.signed(),
        ])
    });
    table(layout, &HOLDBACKS, rows.collect());
}

/// The net by counterparty and by message.
pub(super) fn nets(layout: &mut Layout<'_>, parts: &StatementParts) {
    if parts.bilateral.is_empty() {
        return;
    }
    title(
        layout,
        "The same net by counterparty and by message",
        pt(60),
    );
    let net = |name: &str, columns: usize| {
        let mut cells = vec![String::new(); columns];
        cells[0] = name.to_owned();
        cells[columns - 1] = parts.net.signed();
        Row::total(cells)
    };
    let mut rows: Vec<Row> = Vec::new();
    rows.extend(parts.bilateral.iter().map(|net| {
        Row::plain([
            named(parts, &net.counterparty),
            whole_u64(net.messages),
            whole(net.points),
            net.amount.signed(),
        ])
    }));
    rows.push(net("Net of the cycle", NETS.len()));
    table(layout, &NETS, rows);
    if parts.messages.is_empty() {
        return;
    }
    let mut rows: Vec<Row> = Vec::new();
    rows.extend(parts.messages.iter().map(|total| {
        Row::plain([
            total.kind.label(),
            whole_u64(total.count),
            total.amount.signed(),
        ])
    }));
    rows.push(net("Net of the cycle", MESSAGES.len()));
    table(layout, &MESSAGES, rows);
}

fn line_name(line: &StatementLine) -> String {
    let name = LineKind::label(&line.kind);
    if line.late {
        format!("{name} (late)")
    } else {
        name
    }
}

fn with(parts: &StatementParts, line: &StatementLine) -> String {
    line.counterparty
        .as_ref()
        .map(|counterparty| named(parts, counterparty))
        .unwrap_or_default()
}

fn named(parts: &StatementParts, counterparty: &Counterparty) -> String {
    if counterparty.id() == parts.merchant.id {
        format!("{} (itself)", counterparty.name())
    } else {
        counterparty.name().to_owned()
    }
}

/// What is subtracted. The one amount that has no other side is no payment: it is no whole minor unit of any currency.
fn minus(amount: Amount) -> String {
    amount
        .negated()
        .map_or_else(|_| amount.signed(), Amount::signed)
}

fn whole_u64(number: u64) -> String {
    whole(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Sums of checked lines fit unless they cancel out beyond `i64`; then there is no figure to show.
fn sum(amounts: impl Iterator<Item = Amount>) -> String {
    Amount::sum(amounts).map_or_else(|_| "\u{2013}".into(), Amount::signed)
}
