//! Pages as lists of marks, and the cursor that fills them. A4, from the top left.

use super::fonts::{Fonts, Ink, Style};

/// A thousandth of a point (1/72 inch).
pub(crate) type Mpt = i32;

/// Points.
pub(crate) const fn pt(points: i32) -> Mpt {
    points * 1_000
}

/// Millimetres.
pub(crate) const fn mm(millimetres: i32) -> Mpt {
    millimetres * 72_000 * 10 / 254
}

pub(crate) const PAGE_WIDTH: Mpt = mm(210);
pub(crate) const PAGE_HEIGHT: Mpt = mm(297);
/// Edges of the content.
pub(crate) const LEFT: Mpt = mm(18);
pub(crate) const RIGHT: Mpt = PAGE_WIDTH - mm(18);
pub(crate) const CONTENT_WIDTH: Mpt = RIGHT - LEFT;
const FIRST_TOP: Mpt = mm(18);
/// Room for the running head of all pages but the first.
const NEXT_TOP: Mpt = mm(26);
const BOTTOM: Mpt = PAGE_HEIGHT - mm(22);

/// Something on a page.
#[derive(Clone, Debug)]
pub(crate) enum Mark {
    /// One line of text; `y` is its base line.
    Text {
        x: Mpt,
        y: Mpt,
        text: String,
        style: Style,
    },
    /// A filled rectangle; rules are thin ones.
    Area {
        x: Mpt,
        y: Mpt,
        width: Mpt,
        height: Mpt,
        ink: Ink,
    },
}

/// Pages under way.
pub(crate) struct Layout<'a> {
    pub(crate) fonts: &'a Fonts,
    pages: Vec<Vec<Mark>>,
    y: Mpt,
}

impl<'a> Layout<'a> {
    pub(crate) fn new(fonts: &'a Fonts) -> Self {
        Self {
            fonts,
            pages: vec![Vec::new()],
            y: FIRST_TOP,
        }
    }

    pub(crate) fn finish(self) -> Vec<Vec<Mark>> {
        self.pages
    }

    pub(crate) const fn y(&self) -> Mpt {
        self.y
    }

    pub(crate) const fn set_y(&mut self, y: Mpt) {
        self.y = y;
    }

    pub(crate) const fn skip(&mut self, height: Mpt) {
        self.y += height;
    }

    /// What is left of the page.
    pub(crate) const fn room(&self) -> Mpt {
        BOTTOM - self.y
    }

    /// Begins a page unless `height` still fits; says whether it did.
    pub(crate) fn keep(&mut self, height: Mpt) -> bool {
        let breaks = height > self.room();
        if breaks {
            self.pages.push(Vec::new());
            self.y = NEXT_TOP;
        }
        breaks
    }

    fn mark(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    /// A line of text with its left edge and base line.
    pub(crate) fn text(&mut self, x: Mpt, y: Mpt, text: &str, style: Style) {
        if !text.is_empty() {
            self.mark(Mark::Text {
                x,
                y,
                text: text.to_owned(),
                style,
            });
        }
    }

    /// A line of text with its right edge.
    pub(crate) fn text_right(&mut self, right: Mpt, y: Mpt, text: &str, style: Style) {
        let width = self.fonts.width(text, style);
        self.text(right - width, y, text, style);
    }

    pub(crate) fn area(&mut self, x: Mpt, y: Mpt, width: Mpt, height: Mpt, ink: Ink) {
        self.mark(Mark::Area {
            x,
            y,
            width,
            height,
            ink,
        });
    }

    pub(crate) fn rule(&mut self, x: Mpt, y: Mpt, width: Mpt, thickness: Mpt, ink: Ink) {
        self.area(x, y, width, thickness, ink);
    }

    /// Wrapped text below the cursor, which moves under it.
    pub(crate) fn paragraph(&mut self, x: Mpt, width: Mpt, text: &str, style: Style) {
        for line in self.fonts.wrap(text, style, width) {
            self.keep(style.leading());
            self.y += style.leading();
            let baseline = self.y - style.leading() / 4;
            self.text(x, baseline, &line, style);
        }
    }
}
