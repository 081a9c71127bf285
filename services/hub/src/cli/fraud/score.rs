//! `hansa fraud train-score`: learns from one table of publishers, scores another, says how good that is and why.

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use hansa_fraud::score::{Label, Model, Parameters, Precision, Regime, bootstrap};
use ring::digest::{Context as Digest, SHA256};
use serde::Serialize;

use super::table::{self, Publishers};
use crate::cli::render::{self, Column};

/// Resamplings behind an interval.
const DRAWS: usize = 1_000;

const HELP: &str = "Both files are CSV, plain or gzip: `partnerid`, `status` (1 fraud, 0 none, empty unknown), every other column
a feature. With many confirmed frauds it learns from all rows; with few, from the few against samples of the unlabelled; with
none it ranks by general knowledge and by how unusual a row is. `average_precision` is there when the scored rows carry labels.
The same files, seeds and parameters give the same scores and the same `model_version`.";

/// Options.
#[derive(Debug, ClapArgs)]
#[command(after_help = HELP)]
pub struct Args {
    /// What to learn from.
    #[arg(long, value_name = "FILE")]
    train: PathBuf,
    /// What to score.
    #[arg(long, value_name = "FILE")]
    score: PathBuf,
    /// Independent trainings whose scores are averaged.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    seeds: u32,
    /// What the trainings draw from.
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// Name the features that add most to each score, so many.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "5")]
    explain: Option<usize>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    model_version: String,
    regime: Regime,
    parameters: Parameters,
    seed: u64,
    trained_on: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    average_precision: Option<Precision>,
    scores: Vec<Scored>,
}

#[derive(Debug, Serialize)]
struct Counts {
    rows: usize,
    fraud: usize,
    honest: usize,
    unknown: usize,
}

#[derive(Debug, Serialize)]
struct Scored {
    partnerid: String,
    score: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    because: Vec<Because>,
}

#[derive(Debug, Serialize)]
struct Because {
    feature: String,
    value: Option<f32>,
    adds_log_odds: f64,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let train = table::read(&args.train)?;
    let score = table::read(&args.score)?;
    let parameters = Parameters {
        seeds: args.seeds,
        ..Parameters::default()
    };
    let model = Model::train(&train.table, &parameters, args.seed)
        .with_context(|| format!("cannot learn from {}", args.train.display()))?;
    let report = report(args, &model, parameters, &train, &score)
        .with_context(|| format!("cannot score {}", args.score.display()))?;
    if args.json {
        render::print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        render::print(&shown(&report)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn report(
    args: &Args,
    model: &Model,
    parameters: Parameters,
    train: &Publishers,
    score: &Publishers,
) -> anyhow::Result<Report> {
    let scores = model.score(&score.table)?;
    let average_precision = bootstrap(score.table.labels(), &scores, DRAWS, args.seed);
    let mut scored = Vec::with_capacity(scores.len());
    for (at, (partnerid, score_of)) in score.ids.iter().zip(&scores).enumerate() {
        let because = match args.explain {
            Some(most) => because(model, score, at, most)?,
            None => Vec::new(),
        };
        scored.push(Scored {
            partnerid: partnerid.clone(),
            score: *score_of,
            because,
        });
    }
    Ok(Report {
        model_version: version(&train.bytes, &parameters, args.seed)?,
        regime: model.regime(),
        parameters,
        seed: args.seed,
        trained_on: Counts {
            rows: train.table.len(),
            fraud: train.table.count(Label::Fraud),
            honest: train.table.count(Label::Honest),
            unknown: train.table.count(Label::Unknown),
        },
        average_precision,
        scores: scored,
    })
}

fn because(
    model: &Model,
    score: &Publishers,
    at: usize,
    most: usize,
) -> anyhow::Result<Vec<Because>> {
    let explanation = model.explain(&score.table, at)?;
    Ok(explanation
        .into_iter()
        .flat_map(|explanation| explanation.parts)
        .take(most)
        .map(|(feature, value, adds_log_odds)| Because {
            feature,
            value: Some(value).filter(|value| !value.is_nan()),
            adds_log_odds,
        })
        .collect())
}

/// Digest of the training data, the parameters, the seed and the release: what decides the scores.
fn version(train: &[u8], parameters: &Parameters, seed: u64) -> anyhow::Result<String> {
    let mut digest = Digest::new(&SHA256);
    for part in [
        env!("CARGO_PKG_VERSION").as_bytes(),
        &serde_json::to_vec(parameters)?,
        &seed.to_be_bytes(),
        train,
    ] {
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let mut hex = String::new();
    for byte in digest.finish().as_ref().iter().take(8) {
        write!(hex, "{byte:02x}")?;
    }
    Ok(hex)
}

fn shown(report: &Report) -> anyhow::Result<String> {
    let mut best: Vec<&Scored> = report.scores.iter().collect();
    best.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then(a.partnerid.cmp(&b.partnerid))
    });
    let mut table = render::table(&[
        Column::Left("Publisher"),
        Column::Right("Score"),
        Column::Left("Because"),
    ]);
    for scored in best {
        let because: Vec<String> = scored
            .because
            .iter()
            .map(|part| format!("{} {:+.2}", part.feature, part.adds_log_odds))
            .collect();
        table.add_row([
            scored.partnerid.clone(),
            format!("{:.4}", scored.score),
            because.join(", "),
        ]);
    }
    let mut text = format!("{table}\n\n");
    let counts = &report.trained_on;
    writeln!(
        text,
        "Model {}, from {} rows: {} fraud, {} honest, {} unknown.",
        report.model_version, counts.rows, counts.fraud, counts.honest, counts.unknown,
    )?;
    if let Some(precision) = report.average_precision {
        writeln!(
            text,
            "Average precision {:.4}, 95 % of resamplings between {:.4} and {:.4}.",
            precision.average, precision.low, precision.high,
        )?;
    }
    Ok(text)
}
