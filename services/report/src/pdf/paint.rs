//! Writes laid-out pages as PDF/A-3b.

use super::PdfError;
use super::fonts::{Fonts, Ink, Style};
use super::layout::{LEFT, Mark, Mpt, PAGE_HEIGHT, PAGE_WIDTH, RIGHT, mm};
use chrono::{DateTime, Datelike, Timelike, Utc};
use krilla::color::rgb;
use krilla::configure::{Configuration, Validator};
use krilla::embed::{AssociationKind, EmbeddedFile, MimeType};
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule};
use krilla::surface::Surface;
use krilla::text::{GlyphId, KrillaGlyph};
use krilla::{Document, SerializeSettings};

/// What stands on every page, and what the file says about itself.
pub(crate) struct Furniture {
    pub(crate) title: String,
    pub(crate) author: String,
    /// Running head and foot, on the left.
    pub(crate) running: String,
    /// The file's date.
    pub(crate) date: DateTime<Utc>,
}

/// A file inside of the file.
pub(crate) struct Attachment {
    pub(crate) name: String,
    pub(crate) media_type: &'static str,
    pub(crate) description: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl Attachment {
    /// The JSON of the document that it is attached to.
    pub(crate) fn data(stem: &str, bytes: Vec<u8>) -> Self {
        Self {
            name: format!("{stem}.json"),
            media_type: "application/json",
            description: "The same statement as data",
            bytes,
        }
    }
}

const SMALL: Style = Style::new(7_200, Ink::Muted);

/// Paints the pages.
pub(crate) fn paint(
    pages: &[Vec<Mark>],
    fonts: &Fonts,
    furniture: &Furniture,
    attachment: Attachment,
) -> Result<Vec<u8>, PdfError> {
    let mut document = Document::new_with(SerializeSettings {
        configuration: Configuration::new_with_validator(Validator::A3_B),
        enable_tagging: false,
        ..SerializeSettings::default()
    });
    let size = PageSettings::from_wh(points(PAGE_WIDTH), points(PAGE_HEIGHT))
        .ok_or_else(|| PdfError::Writer("page size".into()))?;
    for (at, marks) in pages.iter().enumerate() {
        let mut page = document.start_page_with(size.clone());
        let mut surface = page.surface();
        for mark in marks {
            draw(&mut surface, fonts, mark)?;
        }
        for mark in around(fonts, furniture, at, pages.len()) {
            draw(&mut surface, fonts, &mark)?;
        }
        surface.finish();
        page.finish();
    }
    let date = date(&furniture.date);
    document.set_metadata(
        Metadata::new()
            .title(furniture.title.clone())
            .authors(vec![furniture.author.clone()])
            .creator("Hansa".into())
            .producer("Hansa".into())
            .language("en".into())
            .creation_date(date),
    );
    let embedded = document.embed_file(EmbeddedFile {
        path: attachment.name,
        mime_type: MimeType::new(attachment.media_type),
        description: Some(attachment.description.into()),
        association_kind: AssociationKind::Data,
        data: attachment.bytes.into(),
        modification_date: Some(date),
        compress: Some(true),
        location: None,
    });
    if embedded.is_none() {
        return Err(PdfError::Writer("attachment".into()));
    }
    document
        .finish()
        .map_err(|error| PdfError::Writer(format!("{error:?}")))
}

/// Running head and foot of a page.
fn around(fonts: &Fonts, furniture: &Furniture, at: usize, of: usize) -> Vec<Mark> {
    let text = |x, y, text: String| Mark::Text {
        x,
        y,
        text,
        style: SMALL,
    };
    let rule = |y| Mark::Area {
        x: LEFT,
        y,
        width: RIGHT - LEFT,
        height: 350,
        ink: Ink::Hair,
    };
    let number = format!("Page {} of {of}", at + 1);
    let foot = PAGE_HEIGHT - mm(12);
    let width = fonts.width(&number, SMALL);
    let left = fonts.wrap(&furniture.running, SMALL, RIGHT - LEFT - width - mm(8));
    let left = left.into_iter().next().unwrap_or_default();
    let mut marks = vec![
        rule(foot - mm(4)),
        text(LEFT, foot, left.clone()),
        text(RIGHT - width, foot, number),
    ];
    if at > 0 {
        marks.push(text(LEFT, mm(17), left));
        marks.push(rule(mm(19)));
    }
    marks
}

fn draw(surface: &mut Surface<'_>, fonts: &Fonts, mark: &Mark) -> Result<(), PdfError> {
    match mark {
        Mark::Text { x, y, text, style } => {
            surface.set_fill(Some(fill(style.ink)));
            let mut x = *x;
            for run in fonts.shape(text, *style) {
                let em = fonts.units_per_em(&run);
                let glyphs: Vec<KrillaGlyph> = run
                    .glyphs
                    .iter()
                    .map(|glyph| {
                        KrillaGlyph::new(
                            GlyphId::new(glyph.glyph),
                            ratio(glyph.advance, em),
                            ratio(glyph.dx, em),
                            ratio(glyph.dy, em),
                            0.0,
                            glyph.text.clone(),
                            None,
                        )
                    })
                    .collect();
                let start = Point::from_xy(points(x), points(*y));
                let font = fonts.font(&run);
                surface.draw_glyphs(start, &glyphs, font, &run.text, points(style.size), false);
                x += fonts.run_width(&run, style.size);
            }
        }
        Mark::Area {
            x,
            y,
            width,
            height,
            ink,
        } => {
            surface.set_fill(Some(fill(*ink)));
            let rect = Rect::from_xywh(points(*x), points(*y), points(*width), points(*height));
            let path = rect.and_then(|rect| {
                let mut path = PathBuilder::new();
                path.push_rect(rect);
                path.finish()
            });
            let path = path.ok_or_else(|| PdfError::Writer("an empty area".into()))?;
            surface.draw_path(&path);
        }
    }
    Ok(())
}

fn fill(ink: Ink) -> Fill {
    let (red, green, blue) = ink.rgb();
    Fill {
        paint: rgb::Color::new(red, green, blue).into(),
        opacity: NormalizedF32::ONE,
        rule: FillRule::NonZero,
    }
}

fn date(at: &DateTime<Utc>) -> krilla::metadata::DateTime {
    let small = |value: u32| u8::try_from(value).unwrap_or_default();
    krilla::metadata::DateTime::new(u16::try_from(at.year()).unwrap_or_default())
        .month(small(at.month()))
        .day(small(at.day()))
        .hour(small(at.hour()))
        .minute(small(at.minute()))
        .second(small(at.second()))
        .utc_offset_hour(0)
        .utc_offset_minute(0)
}

/// The format's numbers: thousandths of a point as points.
fn points(value: Mpt) -> f32 {
    ratio(value, 1_000)
}

#[expect(
    clippy::float_arithmetic,
    reason = "PDF writes positions as decimals; no amount passes here"
)]
fn ratio(value: i32, of: i32) -> f32 {
    value as f32 / of as f32
}
