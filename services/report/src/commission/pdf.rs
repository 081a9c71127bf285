//! The commission statement as a PDF for people: what is owed comes first, then why, line by line, then where the log proves it.

use super::parts::{CommissionLine, CommissionLineKind as Kind, CommissionParts, ConversionRef};
use super::{CommissionStatement, CommissionStatementError, reasons};
use crate::amount::{Amount, whole};
use crate::pdf::blocks::{self, BODY, HALF, NOTE, SMALL_CAPS, pair, table, title};
use crate::pdf::{
    Attachment, CONTENT_WIDTH, Column, Fonts, Furniture, Ink, LEFT, Layout, RIGHT, Row, Style, mm,
    paint, pt,
};
use crate::text::label;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

const EQUATION: [Column; 2] = [
    Column::left("From opening to closing", CONTENT_WIDTH - mm(40)),
    Column::right("Amount", mm(40)),
];
const MERCHANTS: [Column; 6] = [
    Column::left("Merchant", CONTENT_WIDTH - mm(126)),
    Column::right("Conversions", mm(22)),
    Column::right("Accrued", mm(28)),
    Column::right("Reversed", mm(26)),
    Column::right("Held", mm(24)),
    Column::right("Payable", mm(26)),
];
const LINES: [Column; 5] = [
    Column::left("When", mm(20)),
    Column::left("What", mm(27)),
    Column::left("Order and merchant", mm(48)),
    Column::left("Why: rate, reason, lock date", CONTENT_WIDTH - mm(125)),
    Column::right("Amount", mm(30)),
];
const REASONS: [Column; 2] = [
    Column::left("Reason", mm(48)),
    Column::left("What it means", CONTENT_WIDTH - mm(48)),
];

pub(super) fn statement(
    document: &CommissionStatement,
) -> Result<Vec<u8>, CommissionStatementError> {
    let parts = document.parts();
    let fonts = Fonts::load()?;
    let mut layout = Layout::new(&fonts);
    let (issuer, cycle) = (&parts.issuer, parts.cycle);
    blocks::head(
        &mut layout,
        issuer,
        "Commission statement",
        cycle,
        &parts.period,
        None,
    );
    parties(&mut layout, parts);
    headline(&mut layout, parts);
    equation(&mut layout, parts);
    merchants(&mut layout, parts);
    lines(&mut layout, parts);
    used_reasons(&mut layout, parts);
    blocks::proof(&mut layout, &parts.issuer.origin, &parts.proof);
    let name = &parts.affiliate.name;
    let furniture = Furniture {
        title: format!("Commission statement, cycle {}, {name}", parts.cycle),
        author: parts.issuer.alliance.clone(),
        running: format!(
            "{} \u{b7} Commissions of cycle {} \u{b7} {name}",
            parts.issuer.alliance, parts.cycle
        ),
        date: parts.period.dated(),
    };
    let attachment = Attachment::data(&document.file_stem(), document.to_json()?);
    Ok(paint(&layout.finish(), &fonts, &furniture, attachment)?)
}

fn parties(layout: &mut Layout<'_>, parts: &CommissionParts) {
    let affiliate = &parts.affiliate;
    let top = layout.y();
    layout.skip(pt(14));
    let y = layout.y();
    layout.text(LEFT, y, "STATEMENT FOR", SMALL_CAPS);
    layout.skip(pt(3));
    let width = HALF - mm(6);
    let bold = Style::new(10_500, Ink::Text).bold();
    layout.paragraph(LEFT, width, &affiliate.name, bold);
    for line in &affiliate.address {
        layout.paragraph(LEFT, width, line, BODY);
    }
    let left = layout.y();
    layout.set_y(top + pt(14));
    let mut fact = |name: &str, value: &str| pair(layout, LEFT + HALF, mm(32), HALF, name, value);
    fact("Affiliate id", &affiliate.id);
    fact("Currency", parts.currency.as_str());
    fact("Days are those of", parts.period.zone.name());
    if let Some(account) = &affiliate.settlement_account {
        fact("Account", &account.grouped());
    }
    let right = layout.y();
    layout.set_y(left.max(right) + pt(8));
}

/// What is owed, large; what was paid and what is held beside it; and what the signs mean.
fn headline(layout: &mut Layout<'_>, parts: &CommissionParts) {
    let figures = &parts.figures;
    let height = pt(66);
    layout.keep(height);
    let top = layout.y();
    layout.area(LEFT, top, CONTENT_WIDTH, height, Ink::Tint);
    layout.area(LEFT, top, pt(3), height, Ink::Accent);
    let (first, third) = (LEFT + mm(6), RIGHT - mm(6));
    let middle = LEFT + CONTENT_WIDTH / 3;
    let figure = Style::new(12_500, Ink::Text);
    let large = Style::new(17_000, Ink::Accent).bold();
    let (caption, base, note) = (top + pt(15), top + pt(40), top + pt(56));
    let wide = CONTENT_WIDTH / 3 - mm(9);
    layout.text(first, caption, "ACCRUED IN THE CYCLE", SMALL_CAPS);
    let accrued = figures.accrued.signed();
    let style = layout.fonts.fitted(&accrued, figure, wide);
    layout.text(first, base, &accrued, style);
    layout.text(middle, caption, "CLOSING BALANCE", SMALL_CAPS);
    let closing = format!("{} {}", figures.closing.signed(), parts.currency);
    let style = layout
        .fonts
        .fitted(&closing, large, CONTENT_WIDTH / 3 + mm(4));
    layout.text(middle, base, &closing, style);
    let means = match figures.closing.micros() {
        0 => "nothing is owed",
        1.. => "owed to you, when it is final",
        _ => "taken back beyond what you had",
    };
    layout.text(middle, note, means, BODY.bold());
    layout.text_right(third, caption, "PAID IN THE CYCLE", SMALL_CAPS);
    let paid = figures.paid.signed();
    let style = layout.fonts.fitted(&paid, figure, wide);
    layout.text_right(third, base, &paid, style);
    layout.set_y(top + height + pt(12));
    let text = format!(
        "Amounts in {}, exact to six decimals. The balance is what was accrued and was neither taken back nor is held nor paid. What \
         is payable is in your settlement statement; only a payment is rounded, and what it leaves is carried forward there.",
        parts.currency
    );
    layout.paragraph(LEFT, CONTENT_WIDTH, &text, NOTE);
}

fn equation(layout: &mut Layout<'_>, parts: &CommissionParts) {
    let figures = &parts.figures;
    let row = |name: &str, amount: String| Row::plain([name.to_owned(), amount]);
    let rows = vec![
        row(
            "Opening, the closing of the cycle before",
            figures.opening.signed(),
        ),
        row("Accrued", figures.accrued.signed()),
        row(
            "Less reversed before it was payable",
            minus(figures.reversed),
        ),
        row(
            "Less taken back after it was payable",
            minus(figures.clawed_back),
        ),
        row(
            "Less newly held, net of what was released",
            minus(figures.held),
        ),
        row("Adjusted by finance", figures.adjusted.signed()),
        row("Less paid, as the bank confirmed it", minus(figures.paid)),
        Row::total(["Closing".to_owned(), figures.closing.signed()]),
    ];
    table(layout, &EQUATION, rows);
}

fn merchants(layout: &mut Layout<'_>, parts: &CommissionParts) {
    if parts.merchants.is_empty() {
        return;
    }
    title(layout, "By merchant", pt(60));
    let back = |reversed, clawed_back| {
        let sum = Amount::sum([reversed, clawed_back]);
        // Checked figures fit; one that did not would have no sum to show.
        sum.map_or_else(|_| "\u{2013}".to_owned(), minus)
    };
    let mut rows: Vec<Row> = Vec::new();
    rows.extend(parts.merchants.iter().map(|row| {
        Row::plain([
            row.merchant.name().to_owned(),
            count(row.conversions),
            row.accrued.signed(),
            back(row.reversed, row.clawed_back),
            minus(row.held),
            row.payable.signed(),
        ])
    }));
    let figures = &parts.figures;
    let conversions = parts.merchants.iter().map(|row| row.conversions);
    rows.push(Row::total([
        "All".to_owned(),
        count(conversions.fold(0, u64::saturating_add)),
        figures.accrued.signed(),
        back(figures.reversed, figures.clawed_back),
        minus(figures.held),
        figures.payable.signed(),
    ]));
    table(layout, &MERCHANTS, rows);
}

fn lines(layout: &mut Layout<'_>, parts: &CommissionParts) {
    title(layout, "Lines", pt(60));
    if parts.lines.is_empty() {
        let text = "No lines: nothing accrued, changed or was paid.";
        layout.paragraph(LEFT, CONTENT_WIDTH, text, NOTE);
        return;
    }
    let rows = parts.lines.iter().map(|line| {
        Row::plain([
            day(parts, &line.at),
            what(line),
            subject(line),
            why(parts, line),
            shown(line),
        ])
    });
    table(layout, &LINES, rows.collect());
    let informs = |line: &CommissionLine| line.kind.is_information() && !line.amount.is_zero();
    if parts.lines.iter().any(informs) {
        layout.skip(pt(2));
        let text = "An amount in brackets went into your net: it is in the balance already.";
        layout.paragraph(LEFT, CONTENT_WIDTH, text, NOTE);
    }
}

/// The kind, and the state where that is another word.
fn what(line: &CommissionLine) -> String {
    let kind = label(line.kind.code());
    let state = line.state.filter(|s| s.code() != line.kind.code());
    let state = state.map(|state| label(state.code()).to_lowercase());
    let held = line.under_hold.then(|| "while held".to_owned());
    let rest: Vec<String> = held
        .into_iter()
        .chain(state.map(|s| format!("now {s}")))
        .collect();
    if rest.is_empty() {
        kind
    } else {
        format!("{kind}, {}", rest.join(", "))
    }
}

fn subject(line: &CommissionLine) -> String {
    let name = line.with.name();
    match line.shown_reference() {
        "" => name.to_owned(),
        reference => format!("{reference}, {name}"),
    }
}

fn why(parts: &CommissionParts, line: &CommissionLine) -> String {
    let mut words = Vec::new();
    if let (Some(conversion), Some(rate)) = (&line.conversion, &line.rate) {
        words.push(format!(
            "{} on {}{}, terms {} row {}",
            percent(rate.share_bps),
            conversion.purchase.unsigned_minor(parts.currency),
            if rate.fixed.is_zero() {
                String::new()
            } else {
                format!(" and {}", rate.fixed.unsigned_minor(parts.currency))
            },
            conversion.terms_version,
            rate.row,
        ));
        words.push(locks(parts, conversion));
    } else if let Some(conversion) = &line.conversion {
        let sold = day(parts, &conversion.event_time);
        words.push(format!("sold {sold}, terms {}", conversion.terms_version));
        if !line.kind.is_information() {
            words.push(locks(parts, conversion));
        }
    }
    words.extend(line.reason.as_ref().map(|reason| reason.label()));
    words.extend(line.flag.map(|flag| format!("flag {flag}")));
    words.join("; ")
}

fn locks(parts: &CommissionParts, conversion: &ConversionRef) -> String {
    conversion.locks_at.as_ref().map_or_else(
        || "locks when approved".to_owned(),
        |at| format!("locks {}", day(parts, at)),
    )
}

/// `8 %`, `7.25 %`: basis points as people write them.
fn percent(bps: u32) -> String {
    match bps % 100 {
        0 => format!("{}\u{a0}%", bps / 100),
        part if part % 10 == 0 => format!("{}.{}\u{a0}%", bps / 100, part / 10),
        part => format!("{}.{part:02}\u{a0}%", bps / 100),
    }
}

fn shown(line: &CommissionLine) -> String {
    match line.kind {
        Kind::Locked => String::new(),
        Kind::Payable => format!("({})", line.amount.signed()),
        _ => line.amount.signed(),
    }
}

/// Reasons that lines name, in plain words.
fn used_reasons(layout: &mut Layout<'_>, parts: &CommissionParts) {
    let codes = parts.lines.iter().filter_map(|line| line.reason.as_ref());
    let used: BTreeMap<&str, String> = codes.map(|code| (code.code(), code.label())).collect();
    if used.is_empty() {
        return;
    }
    title(layout, "Reasons", pt(40));
    let rows = used.into_iter().map(|(code, label)| {
        let meaning = reasons::known(code).map_or("", |reason| reason.meaning);
        Row::plain([label, meaning.to_owned()])
    });
    table(layout, &REASONS, rows.collect());
}

fn day(parts: &CommissionParts, at: &DateTime<Utc>) -> String {
    let day = at.with_timezone(&parts.period.zone).date_naive();
    day.format("%Y-%m-%d").to_string()
}

/// What is subtracted. The one amount that has no other side is none that a cycle comes to.
fn minus(amount: Amount) -> String {
    amount
        .negated()
        .map_or_else(|_| amount.signed(), Amount::signed)
}

fn count(number: u64) -> String {
    whole(i64::try_from(number).unwrap_or(i64::MAX))
}
