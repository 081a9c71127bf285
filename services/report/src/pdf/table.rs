//! Tables over pages: cells wrap, heads are repeated, totals stay with what they add up.

use super::fonts::{Ink, Style};
use super::layout::{LEFT, Layout, Mpt, pt};

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) width: Mpt,
    pub(crate) align: Align,
}

impl Column {
    pub(crate) const fn left(title: &'static str, width: Mpt) -> Self {
        Self {
            title,
            width,
            align: Align::Left,
        }
    }

    pub(crate) const fn right(title: &'static str, width: Mpt) -> Self {
        Self {
            title,
            width,
            align: Align::Right,
        }
    }
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowKind {
    Plain,
    Subtotal,
    Total,
}

/// A row: a text for each column.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    cells: Vec<String>,
    kind: RowKind,
}

impl Row {
    pub(crate) fn plain(cells: impl IntoIterator<Item = String>) -> Self {
        Self::of(RowKind::Plain, cells)
    }

    pub(crate) fn subtotal(cells: impl IntoIterator<Item = String>) -> Self {
        Self::of(RowKind::Subtotal, cells)
    }

    pub(crate) fn total(cells: impl IntoIterator<Item = String>) -> Self {
        Self::of(RowKind::Total, cells)
    }

    fn of(kind: RowKind, cells: impl IntoIterator<Item = String>) -> Self {
        Self {
            cells: cells.into_iter().collect(),
            kind,
        }
    }

    const fn style(&self) -> Style {
        match self.kind {
            RowKind::Plain => CELL,
            RowKind::Subtotal | RowKind::Total => CELL.bold(),
        }
    }
}

const CELL: Style = Style::new(8_300, Ink::Text);
const HEAD: Style = Style::new(7_300, Ink::Muted);
/// Between a cell's text and its rules, and between columns.
const PAD: Mpt = 2_600;
const GUTTER: Mpt = pt(7);
/// Between a table's edges and the text of its first and last column.
const INSET: Mpt = pt(3);
const HAIRLINE: Mpt = 350;

/// A table.
pub(crate) struct Table<'a> {
    pub(crate) columns: &'a [Column],
    pub(crate) rows: Vec<Row>,
}

/// A row whose cells are wrapped.
struct Laid<'a> {
    row: &'a Row,
    cells: Vec<Vec<String>>,
    height: Mpt,
}

impl Table<'_> {
    /// Draws the table under the cursor, over as many pages as it takes.
    pub(crate) fn draw(&self, layout: &mut Layout<'_>) {
        let laid: Vec<Laid<'_>> = self.rows.iter().map(|row| self.lay(layout, row)).collect();
        let mut heads = false;
        for (at, row) in laid.iter().enumerate() {
            let with_next = match laid.get(at + 1) {
                Some(next) if next.row.kind != RowKind::Plain => next.height,
                _ => 0,
            };
            let head = if heads { 0 } else { Self::head_height() };
            if layout.keep(head + row.height + with_next) || !heads {
                self.head(layout);
                heads = true;
            }
            self.draw_row(layout, row);
        }
    }

    /// Height of the head and the first rows: what a title above must stay with.
    pub(crate) fn begin_height(&self, layout: &Layout<'_>) -> Mpt {
        let rows = self.rows.iter().take(2);
        let rows: Mpt = rows.map(|row| self.lay(layout, row).height).sum();
        Self::head_height() + rows
    }

    const fn head_height() -> Mpt {
        HEAD.leading() + PAD * 2
    }

    fn lay<'r>(&self, layout: &Layout<'_>, row: &'r Row) -> Laid<'r> {
        let style = row.style();
        let cells: Vec<Vec<String>> = self
            .columns
            .iter()
            .zip(&row.cells)
            .map(|(column, text)| match column.align {
                Align::Left => layout.fonts.wrap(text, style, column.width - GUTTER),
                Align::Right => vec![text.clone()],
            })
            .collect();
        let lines = cells.iter().map(Vec::len).max().unwrap_or(1).max(1);
        let height = style.leading() * Mpt::try_from(lines).unwrap_or(1) + PAD * 2;
        Laid { row, cells, height }
    }

    fn width(&self) -> Mpt {
        self.columns.iter().map(|column| column.width).sum()
    }

    fn head(&self, layout: &mut Layout<'_>) {
        let y = layout.y() + PAD + HEAD.size;
        self.line(layout, y, self.columns.iter().map(|c| c.title), HEAD);
        layout.skip(Self::head_height());
        let y = layout.y();
        layout.rule(LEFT, y - 800, self.width(), 800, Ink::Accent);
    }

    fn draw_row(&self, layout: &mut Layout<'_>, laid: &Laid<'_>) {
        let (top, style) = (layout.y(), laid.row.style());
        if laid.row.kind == RowKind::Total {
            layout.area(LEFT, top, self.width(), laid.height, Ink::Tint);
            layout.rule(LEFT, top, self.width(), 700, Ink::Accent);
        }
        let lines = laid.cells.iter().map(Vec::len).max().unwrap_or_default();
        for line in 0..lines {
            let y = top + PAD + style.size + style.leading() * Mpt::try_from(line).unwrap_or(0);
            let cells = laid
                .cells
                .iter()
                .map(|cell| cell.get(line).map_or("", String::as_str));
            self.line(layout, y, cells, style);
        }
        layout.skip(laid.height);
        if laid.row.kind != RowKind::Total {
            let y = layout.y();
            layout.rule(LEFT, y, self.width(), HAIRLINE, Ink::Hair);
        }
    }

    fn line<'t>(
        &self,
        layout: &mut Layout<'_>,
        y: Mpt,
        cells: impl Iterator<Item = &'t str>,
        style: Style,
    ) {
        let mut x = LEFT;
        for (column, text) in self.columns.iter().zip(cells) {
            match column.align {
                Align::Left => layout.text(x + INSET, y, text, style),
                Align::Right => {
                    let style = layout.fonts.fitted(text, style, column.width - GUTTER);
                    layout.text_right(x + column.width - INSET, y, text, style);
                }
            }
            x += column.width;
        }
    }
}
