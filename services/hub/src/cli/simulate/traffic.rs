//! `hansa simulate traffic`: plays simulated affiliate traffic through the fraud module and compares with the truth. No hub
//! takes part.
#![expect(clippy::float_arithmetic, reason = "shares in percent")]

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use hansa_fraud::simulate::{Report, Scale, SchemeReport, Summary, Totals, report};
use serde::Serialize;

use super::chart;
use crate::cli::{
    exit,
    render::{self, Column},
};

const HELP: &str = "1,000 affiliates at 30 merchants for 60 days; twelve schemes and two that adapt, eight affiliates each. Odd seeds are for
tuning and even seeds for testing: with --seeds N they are S, S+2, S+4 and so on. The same seed gives the same report on every
machine. `recall` of a scheme counts flags with its own name; of the two that adapt, any flag. `precision` is the part of the
flagged affiliates that cheat.";

/// Marks of a full bar.
const BAR: f64 = 20.0;

/// Options of the simulation.
#[derive(Debug, ClapArgs)]
#[command(after_help = HELP)]
pub struct Args {
    /// What the world is drawn from.
    #[arg(long, default_value_t = 2, value_name = "S")]
    seed: u64,
    /// So many worlds: this seed and every second one behind it.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    seeds: u16,
    /// Affiliates; at least thirty times those of a scheme.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(..=3_000))]
    affiliates: u32,
    /// Merchants.
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    merchants: u32,
    /// Days; schemes begin behind the first third.
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(6..=180))]
    days: u32,
    /// Affiliates that play each scheme.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    per_scheme: u32,
    /// Draw recall and days to the first flag by scheme into this file (SVG).
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Several worlds: their means, and each of them.
#[derive(Debug, Serialize)]
struct Several {
    #[serde(flatten)]
    summary: Summary,
    runs: Vec<Report>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.affiliates < 30 * args.per_scheme {
        let message = format!(
            "{} affiliates are too few for {} in each of 14 schemes: most must be honest; take {} or more",
            args.affiliates,
            args.per_scheme,
            30 * args.per_scheme
        );
        return Err(exit::coded(exit::USAGE, message));
    }
    let scale = Scale {
        affiliates: args.affiliates,
        merchants: args.merchants,
        days: args.days,
        per_scheme: args.per_scheme,
    };
    let bar = render::bar(u64::from(args.seeds), "worlds");
    let runs: Vec<Report> = (0..u64::from(args.seeds))
        .map(|number| {
            let run = report(args.seed.wrapping_add(2 * number), scale);
            bar.inc(1);
            run
        })
        .collect();
    bar.finish_and_clear();
    let summary = Summary::new(&runs);
    if let Some(path) = &args.chart {
        let svg = chart::svg(&summary).context("cannot draw the chart")?;
        std::fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let text = match (args.json, &runs[..]) {
        (true, [run]) => serde_json::to_string_pretty(run)?,
        (true, _) => serde_json::to_string_pretty(&Several { summary, runs })?,
        (false, _) => shown(&summary, &runs),
    };
    render::print(&format!("{text}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

fn percent_or_none(part: Option<f64>) -> String {
    part.map_or_else(|| "-".to_owned(), percent)
}

fn shown(summary: &Summary, runs: &[Report]) -> String {
    let mut text = schemes(&summary.schemes);
    text.push_str("\n\n");
    text.push_str(&totals(summary, runs));
    text
}

/// A line per scheme, with its recall as a bar.
fn schemes(schemes: &[SchemeReport]) -> String {
    let mut table = render::table(&[
        Column::Left("Scheme"),
        Column::Right("Recall"),
        Column::Left(""),
        Column::Right("Precision"),
        Column::Right("Days to flag"),
        Column::Right("Held before lock"),
    ]);
    for scheme in schemes {
        let marks = (scheme.recall * BAR).round() as usize;
        table.add_row([
            scheme.name.to_owned(),
            percent(scheme.recall),
            format!(
                "{}{}",
                "█".repeat(marks),
                "░".repeat(BAR as usize - marks.min(BAR as usize))
            ),
            percent_or_none(scheme.precision),
            scheme
                .days_to_flag
                .map_or_else(|| "-".to_owned(), |days| format!("{days:.1}")),
            percent_or_none(scheme.bad_commission_held_before_lock),
        ]);
    }
    table.to_string()
}

/// A line per world, and their means.
fn totals(summary: &Summary, runs: &[Report]) -> String {
    let mut table = render::table(&[
        Column::Right("Seed"),
        Column::Right("Macro recall"),
        Column::Right("Precision"),
        Column::Right("Worst scheme"),
        Column::Right("Honest ever held"),
        Column::Right("Bad commission held before lock"),
    ]);
    let mut row = |name: String, all: &Totals| {
        table.add_row([
            name,
            percent(all.macro_recall),
            percent(all.precision),
            percent(all.worst_scheme_recall),
            format!("{:.2} %", all.honest_ever_held * 100.0),
            percent(all.bad_commission_held_before_lock),
        ]);
    };
    for run in runs {
        row(run.seed.to_string(), &run.all);
    }
    if runs.len() > 1 {
        row("mean".to_owned(), &summary.all);
    }
    table.to_string()
}
