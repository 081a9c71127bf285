//! The statement as a PDF for people: what is paid comes first, then why, then where the log proves it, then signatures.

mod front;
mod tables;

use super::{StatementDocument, StatementError, StatementParts};
use crate::pdf::{Attachment, Fonts, Furniture, Ink, LEFT, Layout, Style, paint, pt};
use chrono::NaiveDate;

const BODY: Style = Style::new(8_300, Ink::Text);
const NOTE: Style = Style::new(7_300, Ink::Muted);
const TITLE: Style = Style::new(10_500, Ink::Accent).bold();

pub(super) fn statement(document: &StatementDocument) -> Result<Vec<u8>, StatementError> {
    let parts = document.parts();
    let fonts = Fonts::load()?;
    let mut layout = Layout::new(&fonts);
    front::head(&mut layout, parts);
    front::parties(&mut layout, parts);
    front::headline(&mut layout, document);
    tables::reconciliation(&mut layout, document);
    tables::lines(&mut layout, parts);
    tables::explanations(&mut layout, parts);
    tables::corrections(&mut layout, parts);
    tables::nets(&mut layout, parts);
    front::proof(&mut layout, parts);
    front::signatures(&mut layout, document);
    let name = &parts.merchant.name;
    let furniture = Furniture {
        title: format!("Settlement statement, cycle {}, {name}", parts.cycle),
        author: parts.issuer.alliance.clone(),
        running: format!(
            "{} \u{b7} Statement of cycle {} \u{b7} {name}",
            parts.issuer.alliance, parts.cycle
        ),
        date: parts.period.dated(),
    };
    let attachment = Attachment {
        name: format!("{}.json", document.file_stem()),
        media_type: "application/json",
        description: "The same statement as data",
        bytes: document.to_json()?,
    };
    Ok(paint(&layout.finish(), &fonts, &furniture, attachment)?)
}

/// A section's title, on one page with `next` of what follows.
fn title(layout: &mut Layout<'_>, text: &str, next: i32) {
    layout.keep(pt(26) + next);
    layout.skip(pt(20));
    let y = layout.y();
    layout.text(LEFT, y, text, TITLE);
    layout.skip(pt(4));
}

/// `1 March 2026`.
fn day(date: NaiveDate) -> String {
    date.format("%-d %B %Y").to_string()
}

/// `1 March 2026 to 31 March 2026`.
fn period(parts: &StatementParts) -> String {
    let (first, last) = (parts.period.first_day(), parts.period.last_day());
    match (first.map(day), last.map(day)) {
        (Some(first), Some(last)) => format!("{first} to {last}"),
        (Some(first), None) => format!("from {first}"),
        (None, Some(last)) => format!("to {last}"),
        (None, None) => "from the beginning".to_owned(),
    }
}
