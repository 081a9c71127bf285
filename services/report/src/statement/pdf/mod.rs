//! The statement as a PDF for people: what is paid comes first, then why, then where the log proves it, then signatures.

mod front;
mod tables;

use super::{StatementDocument, StatementError};
use crate::pdf::{Attachment, Fonts, Furniture, Layout, blocks, paint};

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
    if let Some(proof) = &parts.proof {
        blocks::proof(&mut layout, &parts.issuer.origin, proof);
    }
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
    let attachment = Attachment::data(&document.file_stem(), document.to_json()?);
    Ok(paint(&layout.finish(), &fonts, &furniture, attachment)?)
}
