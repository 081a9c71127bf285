//! `hansa bench exchange`: a hub in a process of its own, loaded, killed, and asked again.

use std::{io::Write as _, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use hansa_store::{Kind, Store, StoreOptions};

use super::{
    check,
    directory::{Directory, kind_name, prepare_database},
    hub::HubCommand,
    lane::{Lane, Order},
    load, machine, members,
    progress::{counting, progress},
    report::{Report, Run, bytes_each, median, unexpected},
    rng::SplitMix64,
    traffic::{Mix, Traffic},
    unary,
};
use crate::cli::exit;

const HELP: &str = "PostgreSQL: name an empty database of your own, e.g. after
  initdb -D pg -A trust && pg_ctl -D pg -o '-k /tmp -c listen_addresses=' -w start && createdb -h /tmp bench
as --database 'postgres:///bench?host=/tmp' (a Unix socket; TCP is slower).
The hub, PostgreSQL and this client share the machine: compare CPU a message as well as rates.";

/// Largest batches while nothing is timed, and how many of a stream are on their way.
const PRELOAD_BATCH: usize = 4_000;
const PRELOAD_WINDOW: usize = 8;

/// Options of the bench.
#[derive(Debug, ClapArgs)]
#[command(after_help = HELP)]
pub struct Args {
    /// Database: sqlite:PATH or postgres://... Default: SQLite in the hub's directory.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The hub's directory, kept afterwards. Default: a new one among the system's temporary files, removed
    /// afterwards.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Go on with a database that holds a log already; needs the directory of the hub that wrote it.
    #[arg(long, requires = "data_dir")]
    reuse: bool,
    /// Members, spread evenly over the streams' merchants.
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    members: u64,
    /// Accruals before anything is timed.
    #[arg(long, default_value_t = 0, value_name = "N")]
    preload: u64,
    /// Messages of a timed run.
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    messages: u64,
    /// Messages of a signed batch.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4_000))]
    batch: u16,
    /// Streams, each of a merchant of its own over a connection of its own.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    streams: u16,
    /// Batches of a stream on their way at once.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    window: u16,
    /// Members in the hub's memory. Default: all.
    #[arg(long, value_name = "N")]
    memory_members: Option<usize>,
    /// Timed runs, one behind the other; the median counts.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    runs: u16,
    /// How long callers of single messages are measured; 0 = not at all. Unit: seconds.
    #[arg(long, default_value_t = 3, value_name = "SECONDS")]
    unary_seconds: u64,
    /// What the traffic is drawn from.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs the bench.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let directory = Directory::open(args.data_dir.clone())?;
    let database = directory.database(args.database.as_deref());
    let kind = prepare_database(&database, args.reuse).await?;
    let members = usize::try_from(args.members)?;
    let command = HubCommand {
        data_dir: directory.path.clone(),
        database,
        memory_members: args.memory_members.unwrap_or(members),
        arguments: Vec::new(),
    };
    let report = measure(&args, &command, kind).await?;
    let text = if args.json {
        serde_json::to_string_pretty(&report)?
    } else {
        report.table()
    };
    writeln!(std::io::stdout(), "{text}")?;
    if matches!(report.machine.filesystem.as_str(), "tmpfs" | "ramfs") {
        eprintln!(
            "note: the hub's directory is in memory, so nothing was durable; give another --data-dir"
        );
    }
    Ok(
        if report.checked.sample_wrong > 0 || report.unexpected_refusals > 0 {
            exit::MISMATCH.into()
        } else {
            ExitCode::SUCCESS
        },
    )
}

async fn measure(args: &Args, command: &HubCommand, kind: Kind) -> anyhow::Result<Report> {
    let hub = command.start().await?;
    let streams = usize::from(args.streams);
    let bar = progress(args.json, "enrolling", args.members);
    let merchants = members::set_up(&hub, streams, args.members, counting(&bar)).await?;
    bar.finish_and_clear();
    let mut lanes: Vec<Lane> = (0_u64..)
        .zip(&merchants)
        .map(|(n, merchant)| {
            let traffic = Traffic::new(merchant.clone(), SplitMix64::new(args.seed, 2 * n));
            Lane::new(traffic, SplitMix64::new(args.seed, 2 * n + 1))
        })
        .collect();
    if args.preload > 0 {
        let order = Order {
            messages: args.preload,
            batch: PRELOAD_BATCH,
            window: PRELOAD_WINDOW,
            mix: Mix::Accruals,
        };
        let bar = progress(args.json, "preloading", args.preload);
        load::run(&hub, &mut lanes, order, counting(&bar)).await?;
        bar.finish_and_clear();
    }
    hub.covered().await?;
    let size_before = size(command).await?;
    let order = Order {
        messages: args.messages,
        batch: args.batch.into(),
        window: args.window.into(),
        mix: Mix::Shop,
    };
    let mut runs = Vec::new();
    for _ in 0..args.runs {
        let bar = progress(args.json, "running", args.messages);
        let measured = load::run(&hub, &mut lanes, order, counting(&bar)).await?;
        bar.finish_and_clear();
        runs.push(Run::new(&measured, args.messages));
    }
    let grown = size(command).await?.saturating_sub(size_before);
    let version = hub.status().await?.version;
    hub.kill().await?;
    let hub = command.start().await?;
    let mut rng = SplitMix64::new(args.seed, u64::MAX);
    let checked = check::check(&hub, &lanes, &mut rng).await?;
    let mut unaries = Vec::new();
    let time = Duration::from_secs(args.unary_seconds);
    if !time.is_zero() {
        for callers in [1, 16] {
            unaries.push(unary::run(&hub, &merchants, callers, time, args.seed).await?);
        }
    }
    let restart_seconds = hub.started_in.as_secs_f64();
    hub.kill().await?;
    let mut unaries = unaries.into_iter();
    Ok(Report {
        median: median(&runs).context("no run")?,
        bytes_per_message: bytes_each(grown, args.messages * u64::from(args.runs)),
        messages: args.messages,
        members: args.members,
        preload: args.preload,
        batch: order.batch,
        streams,
        window: order.window,
        memory_members: command.memory_members,
        database: kind_name(kind),
        restart_seconds,
        unexpected_refusals: unexpected(&runs),
        checked,
        unary_1: unaries.next(),
        unary_16: unaries.next(),
        runs,
        machine: machine::machine(&command.data_dir),
        version,
        seed: args.seed,
    })
}

/// Size of the database, read beside the hub.
async fn size(command: &HubCommand) -> anyhow::Result<u64> {
    let options = StoreOptions {
        read_only: true,
        readers: 1,
        ..StoreOptions::default()
    };
    let store = Store::open(&command.database, &options).await?;
    let size = store.size_bytes().await;
    store.close().await?;
    Ok(size?)
}
