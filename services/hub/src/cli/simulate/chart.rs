//! The report as a picture: recall of each scheme, and after how many days it was flagged.
#![expect(clippy::float_arithmetic, reason = "lengths and percent of a picture")]

use anyhow::anyhow;
use hansa_fraud::simulate::{SchemeReport, Summary};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Pixels.
const SIZE: (u32, u32) = (1_100, 640);
const NAMES: u32 = 225;
/// The goal for the worst scheme, in percent.
const GOAL: f64 = 70.0;

const RECALL: RGBColor = RGBColor(0x2b, 0x6c, 0xb0);
const DAYS: RGBColor = RGBColor(0xb7, 0x79, 0x1f);
const MISSED: RGBColor = RGBColor(0xc5, 0x30, 0x30);
const TEXT: RGBColor = RGBColor(0x1a, 0x20, 0x2c);
const GRID: RGBColor = RGBColor(0xe2, 0xe8, 0xf0);

/// One panel.
struct Panel<'a> {
    title: &'a str,
    unit: &'a str,
    most: f64,
    color: RGBColor,
    /// Pixels left of the bars.
    names: u32,
    /// A line across all bars.
    goal: Option<f64>,
    /// Length of a scheme's bar; none: no bar.
    value: fn(&SchemeReport) -> Option<f64>,
    decimals: usize,
}

/// Draws the chart.
pub(super) fn svg(summary: &Summary) -> anyhow::Result<String> {
    let mut svg = String::new();
    draw(&mut svg, summary).map_err(|error| anyhow!("{error}"))?;
    Ok(svg)
}

fn draw(svg: &mut String, summary: &Summary) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, panels) = root.split_vertically(64);
    heading(&head, summary)?;
    let (left, right) = panels.split_horizontally(690);
    Panel {
        title: "Affiliates found, by scheme",
        unit: "percent of those that play it; the line is the goal for the worst scheme",
        most: 100.0,
        color: RECALL,
        names: NAMES,
        goal: Some(GOAL),
        value: |scheme| Some(scheme.recall * 100.0),
        decimals: 0,
    }
    .draw(&left, &summary.schemes)?;
    let days = summary.schemes.iter().filter_map(|s| s.days_to_flag);
    Panel {
        title: "Days from the onset to the first flag",
        unit: "days, mean over those found",
        most: days.fold(5.0, f64::max) * 1.15,
        color: DAYS,
        names: 20,
        goal: None,
        value: |scheme| scheme.days_to_flag,
        decimals: 1,
    }
    .draw(&right, &summary.schemes)?;
    root.present()?;
    Ok(())
}

/// Title, and the totals in one line.
fn heading(area: &Area<'_>, summary: &Summary) -> Result<(), Box<dyn std::error::Error>> {
    let all = &summary.all;
    let seeds: Vec<String> = summary.seeds.iter().map(u64::to_string).collect();
    let title = format!(
        "Simulated affiliate traffic, seed{} {}",
        if seeds.len() == 1 { "" } else { "s" },
        seeds.join(", ")
    );
    let totals = format!(
        "Macro recall {:.1} %, precision {:.1} %, honest affiliates ever held {:.2} %, bad commission held before its lock date {:.1} %",
        all.macro_recall * 100.0,
        all.precision * 100.0,
        all.honest_ever_held * 100.0,
        all.bad_commission_held_before_lock * 100.0,
    );
    area.draw(&Text::new(title, (24, 16), font(20)))?;
    area.draw(&Text::new(totals, (24, 44), font(14)))?;
    Ok(())
}

fn font(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&TEXT)
}

impl Panel<'_> {
    fn draw(
        &self,
        area: &Area<'_>,
        schemes: &[SchemeReport],
    ) -> Result<(), Box<dyn std::error::Error>> {
        let rows = schemes.len();
        // The first scheme is at the top.
        let at = |index: usize| rows - 1 - index;
        let name = |row: &SegmentValue<usize>| match row {
            SegmentValue::CenterOf(row) if *row < rows => schemes[at(*row)].name.to_owned(),
            _ => String::new(),
        };
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, font(16))
            .margin(12)
            .margin_right(28)
            .x_label_area_size(46)
            .y_label_area_size(self.names)
            .build_cartesian_2d(0.0..self.most, (0..rows - 1).into_segmented())?;
        let mut mesh = chart.configure_mesh();
        mesh.disable_y_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .axis_style(GRID)
            .x_desc(self.unit)
            .axis_desc_style(font(14))
            .x_labels(6)
            .x_label_formatter(&|value| format!("{value:.0}"))
            .x_label_style(font(13))
            .y_labels(rows)
            .y_label_style(font(13));
        if self.names > 100 {
            mesh.y_label_formatter(&name).draw()?;
        } else {
            mesh.y_label_formatter(&|_| String::new()).draw()?;
        }
        let bars = schemes.iter().enumerate().filter_map(|(index, scheme)| {
            let row = at(index);
            let corners = [
                (0.0, SegmentValue::Exact(row)),
                ((self.value)(scheme)?, SegmentValue::Exact(row + 1)),
            ];
            let mut bar = Rectangle::new(corners, self.color.filled());
            bar.set_margin(5, 5, 0, 0);
            Some(bar)
        });
        chart.draw_series(bars)?;
        if let Some(goal) = self.goal {
            let ends = [SegmentValue::Exact(0), SegmentValue::Exact(rows)];
            let line = ends.map(|row| (goal, row));
            chart.draw_series([PathElement::new(line, MISSED.stroke_width(1))])?;
        }
        let figures = schemes.iter().enumerate().map(|(index, scheme)| {
            let value = (self.value)(scheme);
            let text = value.map_or_else(
                || "not found".to_owned(),
                |value| format!("{value:.*}", self.decimals),
            );
            let value = value.unwrap_or_default();
            // Where the bar is long the figure stands in it.
            let inside = value > 0.85 * self.most;
            let (side, color) = if inside {
                (HPos::Right, &WHITE)
            } else {
                (HPos::Left, &TEXT)
            };
            let style = font(13).color(color).pos(Pos::new(side, VPos::Center));
            let shift = if inside { -6 } else { 6 };
            EmptyElement::at((value, SegmentValue::CenterOf(at(index))))
                + Text::new(text, (shift, 0), style)
        });
        chart.draw_series(figures)?;
        Ok(())
    }
}
