//! What documents share: styles, a section's title, names with their values, tables with air, the proof.

use super::fonts::{Ink, Style};
use super::layout::{CONTENT_WIDTH, LEFT, Layout, Mpt, RIGHT, mm, pt};
use super::table::{Column, Row, Table};
use crate::party::Issuer;
use crate::statement::{Period, Proof};
use chrono::NaiveDate;

pub(crate) const BODY: Style = Style::new(8_300, Ink::Text);
pub(crate) const NOTE: Style = Style::new(7_300, Ink::Muted);
const TITLE: Style = Style::new(10_500, Ink::Accent).bold();
pub(crate) const SMALL_CAPS: Style = Style::new(6_800, Ink::Muted).bold();
pub(crate) const HALF: Mpt = CONTENT_WIDTH / 2;

/// Who issues it on the left; on the right what it is, of which cycle, and a warning where its figures are not the last word.
pub(crate) fn head(
    layout: &mut Layout<'_>,
    issuer: &Issuer,
    kind: &str,
    cycle: u32,
    of: &Period,
    warning: Option<&str>,
) {
    let top = layout.y();
    let name = Style::new(12_000, Ink::Accent).bold();
    layout.paragraph(LEFT, HALF, &issuer.alliance, name);
    layout.paragraph(LEFT, HALF, &issuer.programme, BODY);
    for line in &issuer.address {
        layout.paragraph(LEFT, HALF, line, NOTE);
    }
    let left = layout.y();
    let mut y = top + pt(17);
    let big = Style::new(17_000, Ink::Text).bold();
    layout.text_right(RIGHT, y, kind, big);
    y += pt(16);
    let line = format!("Cycle {cycle} \u{b7} {}", period(of));
    layout.text_right(RIGHT, y, &line, Style::new(9_500, Ink::Text));
    if let Some(warning) = warning {
        y += pt(14);
        layout.text_right(RIGHT, y, warning, Style::new(8_300, Ink::Warning).bold());
    }
    layout.set_y(left.max(y) + pt(9));
    let y = layout.y();
    layout.rule(LEFT, y, CONTENT_WIDTH, 1_400, Ink::Accent);
    layout.skip(pt(4));
}

/// Draws a table after some air, unless it is empty.
pub(crate) fn table(layout: &mut Layout<'_>, columns: &[Column], rows: Vec<Row>) {
    if rows.is_empty() {
        return;
    }
    let table = Table { columns, rows };
    layout.keep(table.begin_height(layout) + pt(10));
    layout.skip(pt(10));
    table.draw(layout);
}

/// A name and its value, which may wrap.
pub(crate) fn pair(
    layout: &mut Layout<'_>,
    x: Mpt,
    names: Mpt,
    width: Mpt,
    name: &str,
    value: &str,
) {
    let y = layout.y();
    layout.text(x, y, name, NOTE);
    for line in layout.fonts.wrap(value, BODY, width - names) {
        let y = layout.y();
        layout.text(x + names, y, &line, BODY);
        layout.skip(BODY.leading());
    }
}

/// Where the log proves it.
pub(crate) fn proof(layout: &mut Layout<'_>, origin: &str, proof: &Proof) {
    let rows = 6 + Mpt::try_from(proof.checkpoints.len()).unwrap_or(0);
    let height = rows * BODY.leading() + pt(30);
    title(layout, "Proof", height.min(mm(120)));
    layout.skip(pt(12));
    let mut fact = |name: &str, value: &str| {
        layout.keep(BODY.leading());
        pair(layout, LEFT, mm(38), CONTENT_WIDTH, name, value);
    };
    fact("Log", origin);
    let begins = proof
        .opening_cut_leaf
        .map_or(0, |leaf| leaf.saturating_add(1));
    fact(
        "The cycle in the log",
        &format!(
            "leaves {begins} to {}, its cut; {} messages",
            proof.cut_leaf, proof.messages
        ),
    );
    fact("Complete with", &format!("leaf {}", proof.closed_leaf));
    fact("Digest (SHA-256)", &proof.cycle_digest.to_hex());
    for checkpoint in &proof.checkpoints {
        let name = format!("Checkpoint, {}", checkpoint.at.label().to_lowercase());
        fact(
            &name,
            &format!("{} leaves, {}", checkpoint.size, checkpoint.root.to_hex()),
        );
    }
    fact("Signed with key", &proof.hub_key_id);
    let text = "Whoever has the log derives these figures again (hansa verify) and compares digest and roots. The same \
                statement is attached to this file as data.";
    layout.paragraph(LEFT, CONTENT_WIDTH, text, NOTE);
}

/// A section's title, on one page with `next` of what follows.
pub(crate) fn title(layout: &mut Layout<'_>, text: &str, next: i32) {
    layout.keep(pt(26) + next);
    layout.skip(pt(20));
    let y = layout.y();
    layout.text(LEFT, y, text, TITLE);
    layout.skip(pt(4));
}

/// `1 March 2026`.
pub(crate) fn day(date: NaiveDate) -> String {
    date.format("%-d %B %Y").to_string()
}

/// `1 March 2026 to 31 March 2026`.
pub(crate) fn period(period: &Period) -> String {
    let (first, last) = (period.first_day(), period.last_day());
    match (first.map(day), last.map(day)) {
        (Some(first), Some(last)) => format!("{first} to {last}"),
        (Some(first), None) => format!("from {first}"),
        (None, Some(last)) => format!("to {last}"),
        (None, None) => "from the beginning".to_owned(),
    }
}
