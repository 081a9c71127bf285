//! `hansa bench close`: what closing a large cycle costs, and what the traffic that goes on meanwhile feels of it.
//!
//! Cycles are cut by hand while all streams send at full rate, several times; then once more with nothing else to do, so that
//! the processor time from the cut to CLOSED is the closing's own.
#![expect(clippy::float_arithmetic, reason = "rates and shares of measurements")]

use std::{
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::Args as ClapArgs;
use comfy_table::{Table, TableStyle};
use hansa_client::hub::Hub;
use hansa_proto::v1;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::sync::Notify;

use super::{
    directory::{Directory, kind_name, prepare_database},
    hub::{HubCommand, HubProcess},
    lane::{Lane, Order, micros_between},
    load,
    machine::{self, Machine, cpu_of},
    members,
    progress::{counting, progress},
    report::quantile_ms,
    rng::SplitMix64,
    traffic::{Mix, Traffic},
};
use crate::cli::exit;

/// Traffic goes on behind a cut for this part of a cycle's messages.
const TAIL: u64 = 4;

/// Options of the bench.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Database: sqlite:PATH or postgres://..., empty. Default: SQLite in the hub's directory.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The hub's directory, kept afterwards. Default: a new one among the system's temporary files, removed
    /// afterwards.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Members, spread evenly over the streams' merchants; all in the hub's memory.
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    members: u64,
    /// Messages of a cycle, at least.
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..))]
    messages: u64,
    /// Cycles that are closed under traffic, one behind the other.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    runs: u16,
    /// Messages of a signed batch.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4_000))]
    batch: u16,
    /// Streams, each of a merchant of its own over a connection of its own.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    streams: u16,
    /// Batches of a stream on their way at once.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    window: u16,
    /// What the traffic is drawn from.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// A cycle, closed while the streams went on.
#[derive(Debug, Clone, Serialize)]
struct UnderTraffic {
    /// Messages in it.
    messages: u64,
    /// From asking for the cut until the cycle was CLOSED, the batches that stood before it in the queue included.
    close_seconds: f64,
    /// 99 of 100 batches that were answered before the cut took at most this long.
    p99_before_ms: f64,
    /// Of those that were on their way between the cut and CLOSED.
    p99_during_ms: f64,
    /// Batches before.
    batches_before: u64,
    /// Batches meanwhile.
    batches_during: u64,
}

/// A cycle, closed with nothing else to do.
#[derive(Debug, Clone, Serialize)]
struct Quiet {
    /// Messages in it.
    messages: u64,
    /// From asking for the cut until the cycle was CLOSED.
    close_seconds: f64,
    /// Processor time of the hub meanwhile.
    hub_cpu_seconds: f64,
}

/// The whole bench.
#[derive(Debug, Serialize)]
struct Report {
    /// With nothing else to do.
    quiet: Quiet,
    /// 99 of 100 batches of all cycles, before the cuts.
    p99_before_ms: f64,
    /// The same of those on their way between a cut and CLOSED.
    p99_during_ms: f64,
    /// The second by the first.
    p99_factor: f64,
    /// The longest close under traffic.
    close_seconds_max: f64,
    /// Each close under traffic, in order.
    runs: Vec<UnderTraffic>,
    /// Messages of the log that are not in exactly one cycle, at the end.
    unassigned_messages: u64,
    /// Messages of a cycle, at least.
    messages: u64,
    /// Members enrolled.
    members: u64,
    /// Messages of a batch.
    batch: u16,
    /// Streams, a merchant each.
    streams: u16,
    /// Batches of a stream on their way at once.
    window: u16,
    /// "sqlite" or "postgres".
    database: &'static str,
    /// The machine.
    machine: Machine,
    /// Name and version of the hub.
    version: String,
    /// What the traffic is repeated with.
    seed: u64,
}

/// Runs the bench.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let directory = Directory::open(args.data_dir.clone())?;
    let database = directory.database(args.database.as_deref());
    let kind = prepare_database(&database, false).await?;
    let command = HubCommand {
        data_dir: directory.path.clone(),
        database,
        memory_members: usize::try_from(args.members)?,
        arguments: Vec::new(),
    };
    let report = measure(&args, &command, kind_name(kind)).await?;
    let text = if args.json {
        serde_json::to_string_pretty(&report)?
    } else {
        report.table()
    };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(match report.unassigned_messages {
        0 => ExitCode::SUCCESS,
        _ => exit::MISMATCH.into(),
    })
}

async fn measure(
    args: &Args,
    command: &HubCommand,
    database: &'static str,
) -> anyhow::Result<Report> {
    let hub = command.start().await?;
    let bar = progress(args.json, "enrolling", args.members);
    let streams = usize::from(args.streams);
    let merchants = members::set_up(&hub, streams, args.members, counting(&bar)).await?;
    bar.finish_and_clear();
    let mut lanes: Vec<Lane> = (0_u64..)
        .zip(&merchants)
        .map(|(n, merchant)| {
            let traffic = Traffic::new(Arc::clone(merchant), SplitMix64::new(args.seed, 2 * n));
            Lane::new(traffic, SplitMix64::new(args.seed, 2 * n + 1))
        })
        .collect();
    let (mut before, mut during) = (Histogram::new(3)?, Histogram::new(3)?);
    let mut runs = Vec::new();
    // Messages of the open cycle.
    let mut open = 0;
    for number in 1..=args.runs {
        let closed = under_traffic(args, &hub, &mut lanes, u32::from(number), open).await?;
        before.add(&closed.before)?;
        during.add(&closed.during)?;
        open = closed.behind;
        runs.push(closed.told());
    }
    let quiet = quiet(args, &hub, &mut lanes, u32::from(args.runs) + 1, open).await?;
    let status = hub.status().await?;
    hub.kill().await?;
    let (p99_before_ms, p99_during_ms) = (quantile_ms(&before, 99), quantile_ms(&during, 99));
    Ok(Report {
        quiet,
        p99_before_ms,
        p99_during_ms,
        p99_factor: p99_during_ms / p99_before_ms.max(f64::MIN_POSITIVE),
        close_seconds_max: runs.iter().map(|r| r.close_seconds).fold(0.0, f64::max),
        runs,
        unassigned_messages: status.unassigned_messages,
        messages: args.messages,
        members: args.members,
        batch: args.batch,
        streams: args.streams,
        window: args.window,
        database,
        machine: machine::machine(&command.data_dir),
        version: status.version,
        seed: args.seed,
    })
}

fn order(args: &Args, messages: u64) -> Order {
    Order {
        messages,
        batch: args.batch.into(),
        window: args.window.into(),
        mix: Mix::Shop,
    }
}

/// What one close under traffic measured.
struct Measured {
    closing: Closing,
    /// Messages behind the cut.
    behind: u64,
    before: Histogram<u64>,
    during: Histogram<u64>,
}

impl Measured {
    fn told(&self) -> UnderTraffic {
        UnderTraffic {
            messages: self.closing.messages,
            close_seconds: self.closing.took().as_secs_f64(),
            p99_before_ms: quantile_ms(&self.before, 99),
            p99_during_ms: quantile_ms(&self.during, 99),
            batches_before: self.before.len(),
            batches_during: self.during.len(),
        }
    }
}

async fn under_traffic(
    args: &Args,
    hub: &HubProcess,
    lanes: &mut Vec<Lane>,
    number: u32,
    open: u64,
) -> anyhow::Result<Measured> {
    let tail = args.messages / TAIL;
    let missing = args.messages.saturating_sub(open);
    let bar = progress(args.json, "running", missing + tail);
    let (answered, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    let closer = tokio::spawn({
        let (operator, enough) = (hub.operator().clone(), Arc::clone(&enough));
        async move {
            enough.notified().await;
            close(&operator, number).await
        }
    });
    let count = counting(&bar);
    let measured = load::run(hub, lanes, order(args, missing + tail), move |messages| {
        count(messages);
        if answered.fetch_add(messages, Ordering::Relaxed) + messages >= missing {
            enough.notify_one();
        }
    });
    let measured = measured.await?;
    bar.finish_and_clear();
    let closing = closer.await??;
    let (mut before, mut during) = (Histogram::new(3)?, Histogram::new(3)?);
    for (sent, answered) in measured.tally.flights {
        if answered < closing.asked {
            before.record(micros_between(sent, answered))?;
        } else if sent < closing.closed {
            during.record(micros_between(sent, answered))?;
        }
    }
    Ok(Measured {
        behind: (open + missing + tail).saturating_sub(closing.messages),
        closing,
        before,
        during,
    })
}

async fn quiet(
    args: &Args,
    hub: &HubProcess,
    lanes: &mut Vec<Lane>,
    number: u32,
    open: u64,
) -> anyhow::Result<Quiet> {
    let missing = args.messages.saturating_sub(open);
    let bar = progress(args.json, "running", missing);
    load::run(hub, lanes, order(args, missing), counting(&bar)).await?;
    bar.finish_and_clear();
    // The sweeps and the idle work of the load are over.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = cpu_of(hub.pid());
    let closing = close(hub.operator(), number).await?;
    let used = cpu_of(hub.pid()).saturating_sub(before);
    Ok(Quiet {
        messages: closing.messages,
        close_seconds: closing.took().as_secs_f64(),
        hub_cpu_seconds: used.as_secs_f64(),
    })
}

/// A cycle's close, as its caller saw it.
struct Closing {
    asked: Instant,
    closed: Instant,
    messages: u64,
}

impl Closing {
    fn took(&self) -> Duration {
        self.closed - self.asked
    }
}

async fn close(operator: &Hub, cycle_number: u32) -> anyhow::Result<Closing> {
    let request = v1::CloseCycleRequest {
        cycle_number,
        validate_only: false,
    };
    let asked = Instant::now();
    let answer = operator.cycles_client().close_cycle(request).await?;
    let mut cycle = answer.into_inner().cycle.context("no cycle")?;
    while cycle.state() != v1::CycleState::Closed {
        ensure!(
            asked.elapsed() < Duration::from_secs(60),
            "cycle {cycle_number} does not close"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
        cycle = operator
            .cycle(cycle_number)
            .await?
            .cycle
            .context("no cycle")?;
    }
    Ok(Closing {
        asked,
        closed: Instant::now(),
        messages: cycle.messages_accepted + cycle.messages_refused,
    })
}

impl Report {
    /// For people.
    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(TableStyle::new());
        let mut row = |name: &str, value: String| {
            table.add_row([name, &value]);
        };
        let quiet = &self.quiet;
        row(
            "closing alone",
            format!(
                "{:.3} s, {:.3} s of the hub's processor, {} messages",
                quiet.close_seconds, quiet.hub_cpu_seconds, quiet.messages
            ),
        );
        for run in &self.runs {
            row(
                "under traffic",
                format!(
                    "{:.3} s, {} messages; a batch p99 {:.1} ms before ({} batches), {:.1} ms meanwhile ({})",
                    run.close_seconds,
                    run.messages,
                    run.p99_before_ms,
                    run.batches_before,
                    run.p99_during_ms,
                    run.batches_during
                ),
            );
        }
        row(
            "p99 of a batch",
            format!(
                "{:.1} ms before the cuts, {:.1} ms between cut and CLOSED: {:.2} times",
                self.p99_before_ms, self.p99_during_ms, self.p99_factor
            ),
        );
        row(
            "in no cycle or in two",
            format!("{} messages", self.unassigned_messages),
        );
        row(
            "with",
            format!(
                "{}, {} members, {} closings under traffic, batches of {} on {} streams, {} under way each, seed {}",
                self.database,
                self.members,
                self.runs.len(),
                self.batch,
                self.streams,
                self.window,
                self.seed
            ),
        );
        let machine = &self.machine;
        row("on", machine.with_files(&self.version));
        table.trim_fmt()
    }
}
