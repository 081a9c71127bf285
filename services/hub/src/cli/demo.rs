//! `hansa demo`: a year of purchases at 31 merchants, settled on SQLite, with nothing to set up.

use std::{fs, io::Cursor, path::PathBuf, process::ExitCode, time::Instant};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use ring::digest::{SHA256, digest};

use super::replay::{
    self, Place, amount,
    report::{self, Document},
    rows::Data,
    terms::Terms,
};

/// The purchases; see tests/fixtures/complete-journey/README.md for their origin and licence.
const DATA: &[u8] =
    include_bytes!("../../../../tests/fixtures/complete-journey/complete-journey.csv.gz");
const TERMS: &str = include_str!("../../../../tests/fixtures/complete-journey/journey-terms.toml");

/// Counterparties shown at most.
const PAIRS: usize = 10;

/// Options of the demonstration.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Directory of the demonstration's hub. A demonstration that is there already goes on where it stopped.
    #[arg(long, default_value = "hansa-demo", value_name = "DIR")]
    dir: PathBuf,
    /// Begin again: removes the directory, if it is a demonstration's.
    #[arg(long)]
    fresh: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    if args.fresh && args.dir.join("replay.sha256").exists() {
        fs::remove_dir_all(&args.dir)
            .with_context(|| format!("cannot remove {}", args.dir.display()))?;
    }
    let data = Data::parse(Cursor::new(DATA))?;
    let terms = Terms::parse(TERMS)?;
    eprintln!(
        "A hub on SQLite in {}: {} merchants, {} households, {} purchases of one year, each signed and sent through gRPC.",
        args.dir.display(),
        data.merchants.len(),
        data.households.len(),
        data.rows.len()
    );
    let place = Place::in_directory(args.dir.clone());
    let fingerprint = hansa_client::keys::hex(digest(&SHA256, DATA).as_ref());
    let (document, stats, player) = replay::play(&data, &terms, &place, &fingerprint).await?;
    let liability = report::liability(player.operator()).await?;
    player.stop().await?;
    print(&document, &terms.currency);
    print_liability(&liability, &terms.currency);
    println!(
        "\n{} signed messages ({} of them replayed) in {:.1?}. Everything is in {}.",
        stats.messages,
        stats.replayed,
        began.elapsed(),
        args.dir.display()
    );
    print_next_steps(&args.dir, &document);
    Ok(ExitCode::SUCCESS)
}

fn table<const N: usize>(header: [&str; N]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(header);
    for column in 1..N {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    table
}

fn print(document: &Document, currency: &str) {
    replay::print_summary(document, currency);

    let mut by_merchant = std::collections::BTreeMap::<&str, i64>::new();
    let mut pairs = std::collections::BTreeMap::<&str, i64>::new();
    for cycle in &document.cycles {
        for (merchant, net) in &cycle.net_micros {
            *by_merchant.entry(merchant).or_default() += net;
        }
        for (pair, points) in &cycle.pair_points {
            *pairs.entry(pair).or_default() += points;
        }
    }
    let mut nets = table([
        "merchant",
        &format!("net of the year, {currency}"),
        "who pays",
    ]);
    for (merchant, net) in &by_merchant {
        let who = if *net > 0 {
            "pays the hub"
        } else {
            "is paid by the hub"
        };
        nets.add_row([(*merchant).to_owned(), amount(*net), who.to_owned()]);
    }
    println!(
        "\nThe year's settlement by merchant (exact; payments round per cycle and carry the rest):\n{nets}"
    );

    let mut largest: Vec<(&str, i64)> = pairs
        .into_iter()
        .filter(|(pair, _)| pair.split_once('>').is_some_and(|(a, b)| a != b))
        .collect();
    largest.sort_by_key(|(pair, points)| (std::cmp::Reverse(*points), *pair));
    let mut counterparties = table(["earned at > spent at", "points"]);
    for (pair, points) in largest.iter().take(PAIRS) {
        counterparties.add_row([pair.replace('>', " > "), points.to_string()]);
    }
    println!("\nLargest counterparties:\n{counterparties}");
    let breakage: i64 = document
        .cycles
        .iter()
        .map(|cycle| cycle.hub_micros.breakage)
        .sum();
    println!(
        "\nBreakage of the year, the hub's part: {} {currency}",
        amount(breakage)
    );
}

fn print_liability(liability: &hansa_proto::v1::GetLiabilityResponse, currency: &str) {
    let sum = |figure: fn(&hansa_proto::v1::LiabilityLine) -> i64| {
        liability.lines.iter().map(figure).sum::<i64>()
    };
    println!(
        "Liability: {} points prepaid into a reserve of {} {currency}, and {} points worth {} {currency} that their \
         funders pay when they are spent.",
        sum(|l| l.issue_points),
        amount(liability.reserve_micros),
        sum(|l| l.burn_points),
        amount(sum(|l| l.burn_value_micros)),
    );
}

fn print_next_steps(dir: &std::path::Path, document: &Document) {
    let dir = dir.display();
    let clock = document
        .cycles
        .last()
        .map_or("2018-02-01T00:00:00Z", |cycle| cycle.closes_at.as_str());
    println!(
        "\nLook further:\n\
         \x20 hansa verify --database sqlite:{dir}/hansa.db --data-dir {dir}     decide the whole log again and compare\n\
         \x20 hansa serve --data-dir {dir} --test-clock {clock}    run the hub on what the year left, and in another shell:\n\
         \x20 hansa cycle list --key {dir}/operator.key.pem                      its settlement cycles\n\
         \x20 hansa statement --cycle 3 --merchant grocery --key {dir}/operator.key.pem\n\
         (from a checkout: cargo run --release -- verify ...)"
    );
}
