//! XLSX: sheets of typed cells with fixed properties, so that the same document gives the same bytes.
//!
//! An amount takes two columns: a number that spreadsheets add up, and its exact text. A number in a spreadsheet is a
//! binary float with 15 digits that count: sums of it are for looking, the text is for booking. Text is always written as
//! text; nothing here writes a formula.

use crate::amount::Amount;
use chrono::{DateTime, Datelike, Utc};
use rust_xlsxwriter::{
    DocProperties, ExcelDateTime, Format, FormatAlign, FormatBorder, Workbook, Worksheet, XlsxError,
};

/// Rows that a sheet takes under its head, with room for what stands above it.
pub(crate) const MAX_ROWS: usize = 1_000_000;

/// A cell.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Text(String),
    /// Whole points or a count.
    Whole(i64),
    /// Two columns.
    Money(Amount),
    /// Two columns without an amount.
    NoMoney,
    Empty,
}

impl Cell {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn count(count: u64) -> Self {
        Self::Whole(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

/// A column: its title and its width in characters. [`Head::Money`] is two.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Head {
    Text(&'static str, u16),
    Number(&'static str, u16),
    Money(&'static str),
}

/// A workbook under way.
pub(crate) struct Book {
    workbook: Workbook,
    formats: Formats,
}

struct Formats {
    head: Format,
    head_right: Format,
    whole: Format,
    money: Format,
    exact: Format,
    bold: Format,
}

/// A sheet under way.
pub(crate) struct Sheet<'a> {
    sheet: &'a mut Worksheet,
    formats: &'a Formats,
    row: u32,
}

impl Book {
    /// A workbook that says what it is, whose it is and as of when. No other time gets into it.
    pub(crate) fn new(title: &str, author: &str, date: &DateTime<Utc>) -> Result<Self, XlsxError> {
        let small = |value: u32| u8::try_from(value).unwrap_or_default();
        let year = u16::try_from(date.year()).unwrap_or_default();
        let created = ExcelDateTime::from_ymd(year, small(date.month()), small(date.day()))?;
        let mut workbook = Workbook::new();
        workbook.set_properties(
            &DocProperties::new()
                .set_title(title)
                .set_author(author)
                .set_creation_datetime(&created),
        );
        let head = Format::new()
            .set_bold()
            .set_background_color(0x00EE_F3F9)
            .set_border_bottom(FormatBorder::Thin);
        Ok(Self {
            workbook,
            formats: Formats {
                head_right: head.clone().set_align(FormatAlign::Right),
                head,
                whole: Format::new().set_num_format("#,##0"),
                money: Format::new().set_num_format("+#,##0.000000;-#,##0.000000;0.000000"),
                exact: Format::new()
                    .set_num_format("@")
                    .set_align(FormatAlign::Right),
                bold: Format::new().set_bold(),
            },
        })
    }

    /// Adds a sheet, printed across the page it needs.
    pub(crate) fn sheet(&mut self, name: &str) -> Result<Sheet<'_>, XlsxError> {
        let sheet = self.workbook.add_worksheet();
        sheet.set_name(name)?;
        sheet
            .set_landscape()
            .set_paper_size(9)
            .set_print_fit_to_pages(1, 0);
        sheet.set_footer("&L&F&C&A&RPage &P of &N");
        Ok(Sheet {
            sheet,
            formats: &self.formats,
            row: 0,
        })
    }

    /// The bytes.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, XlsxError> {
        self.workbook.save_to_buffer()
    }
}

impl Sheet<'_> {
    /// A line of bold text.
    pub(crate) fn title(&mut self, text: &str) -> Result<(), XlsxError> {
        self.sheet
            .write_string_with_format(self.row, 0, text, &self.formats.bold)?;
        self.row += 1;
        Ok(())
    }

    /// Leaves a row free.
    pub(crate) const fn skip(&mut self) {
        self.row += 1;
    }

    /// A head with the rows under it. `filtered` makes it the sheet's list: filtered, and its head stays in sight.
    pub(crate) fn table(
        &mut self,
        heads: &[Head],
        rows: impl IntoIterator<Item = Vec<Cell>>,
        filtered: bool,
    ) -> Result<(), XlsxError> {
        let first = self.row;
        let columns = self.head(heads)?;
        for row in rows {
            self.row += 1;
            self.cells(&row)?;
        }
        if filtered {
            self.sheet.set_freeze_panes(first + 1, 0)?;
            self.sheet.set_repeat_rows(first, first)?;
            self.sheet
                .autofilter(first, 0, self.row, columns.saturating_sub(1))?;
        }
        self.row += 1;
        Ok(())
    }

    fn head(&mut self, heads: &[Head]) -> Result<u16, XlsxError> {
        let mut column = 0;
        for head in heads {
            let (title, width, format) = match head {
                Head::Text(title, width) => (*title, *width, &self.formats.head),
                Head::Number(title, width) => (*title, *width, &self.formats.head_right),
                Head::Money(title) => (*title, 22, &self.formats.head_right),
            };
            self.sheet.set_column_width(column, width)?;
            self.sheet
                .write_string_with_format(self.row, column, title, format)?;
            column += 1;
            if matches!(head, Head::Money(_)) {
                self.sheet.set_column_width(column, 24)?;
                let exact = format!("{title} (exact)");
                self.sheet
                    .write_string_with_format(self.row, column, exact, format)?;
                column += 1;
            }
        }
        Ok(column)
    }

    fn cells(&mut self, cells: &[Cell]) -> Result<(), XlsxError> {
        let (row, mut column) = (self.row, 0);
        for cell in cells {
            match cell {
                Cell::Text(text) => {
                    self.sheet.write_string(row, column, text)?;
                }
                Cell::Whole(number) => {
                    self.sheet.write_number_with_format(
                        row,
                        column,
                        *number as f64,
                        &self.formats.whole,
                    )?;
                }
                Cell::Money(amount) => {
                    let exact = amount.decimal();
                    self.sheet.write_number_with_format(
                        row,
                        column,
                        nearest(&exact)?,
                        &self.formats.money,
                    )?;
                    column += 1;
                    self.sheet
                        .write_string_with_format(row, column, exact, &self.formats.exact)?;
                }
                Cell::NoMoney => column += 1,
                Cell::Empty => {}
            }
            column += 1;
        }
        Ok(())
    }
}

/// The float that is nearest to a decimal text.
fn nearest(decimal: &str) -> Result<f64, XlsxError> {
    decimal
        .parse()
        .map_err(|_| XlsxError::ParameterError(format!("\"{decimal}\" is no number")))
}
