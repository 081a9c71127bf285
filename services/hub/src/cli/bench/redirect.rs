//! `hansa bench redirect`: clicks on affiliates' links, as browsers make them, against a hub of its own.
#![expect(clippy::float_arithmetic, reason = "rates and shares of measurements")]

use std::{
    io::Write as _, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration,
};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use comfy_table::{Table, TableStyle};
use hansa_client::{hub::Hub, keys::SigningKey, time::system_now_micros};
use hansa_proto::v1;
use serde::Serialize;

use super::{
    clicks::{Clicked, Clicks},
    directory::{Directory, kind_name, prepare_database},
    hub::{HubCommand, HubProcess},
    machine::{self, Machine, cpu_of},
    members::{merchant, programme, register},
    progress::progress,
    report::quantile_ms,
};
use crate::{cli::exit, convert::timestamp};

const HELP: &str = "A click is answered when it is on disk. Clicks are due at even times, whatever became of those before; a \
connection that is still busy then makes the click late, and that counts. `cpu_us_per_click` is the hub's processor time.\n\n\
`missing` must be 0: every click whose id was answered is in the store.";

/// The merchant that all links lead to.
const SHOP: &str = "bench-shop";

/// Affiliates.
const AFFILIATES: usize = 10;

/// Before the first run, so that caches are as warm as they are in service. Unit: seconds.
const WARM_UP: u64 = 2;

/// Options of the bench.
#[derive(Debug, ClapArgs)]
#[command(after_help = HELP)]
pub struct Args {
    /// Database: sqlite:PATH or postgres://..., empty. Default: SQLite in the hub's directory.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The hub's directory, kept afterwards. Default: a new one among the system's temporary files, removed afterwards.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Clicks in a second.
    #[arg(long, default_value_t = 2_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// How long a run is. Unit: seconds.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Runs, one behind the other.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    runs: u16,
    /// Connections, kept alive.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    connections: u16,
    /// Links.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    links: u16,
    /// What the clicks are drawn from.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
struct Run {
    /// Answered clicks by the second.
    clicks_per_second: f64,
    /// Clicks.
    clicks: u64,
    /// Those that got an id.
    acknowledged: u64,
    /// Median time from when a click was due until its answer.
    p50_ms: f64,
    /// 99 of 100 clicks took at most this long.
    p99_ms: f64,
    /// The slowest.
    max_ms: f64,
    /// Processor time of the hub for a click, all its work included. Unit: microseconds.
    cpu_us_per_click: f64,
}

/// The whole bench.
#[derive(Debug, Serialize)]
struct Report {
    /// The run with the median p99.
    #[serde(flatten)]
    median: Run,
    /// Every run, in order.
    runs: Vec<Run>,
    /// Answered with an id and not in the store; must be 0.
    missing: u64,
    /// Clicks in a second that were due.
    rate: u32,
    /// Of a run.
    seconds: u64,
    /// Connections.
    connections: u16,
    /// Links.
    links: u16,
    /// "sqlite" or "postgres".
    database: &'static str,
    /// The machine.
    machine: Machine,
    /// Name and version of the hub.
    version: &'static str,
    /// What the clicks are repeated with.
    seed: u64,
}

/// Runs the bench.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let directory = Directory::open(args.data_dir.clone())?;
    let database = directory.database(args.database.as_deref());
    let kind = prepare_database(&database, false).await?;
    let address = directory.path.join("redirect-ready");
    let command = HubCommand {
        data_dir: directory.path.clone(),
        database,
        memory_members: 10_000,
        arguments: [
            "--redirect-listen",
            "127.0.0.1:0",
            // The clicks come through one address, like those behind a load balancer.
            "--redirect-trusted-proxies",
            "127.0.0.1",
            "--redirect-ready-file",
            &address.display().to_string(),
        ]
        .map(str::to_owned)
        .to_vec(),
    };
    let hub = command.start().await?;
    let address: SocketAddr = std::fs::read_to_string(&address)
        .context("the hub's redirect endpoint does not get ready")?
        .parse()?;
    let report = measure(&args, &hub, address, kind_name(kind), &directory.path).await?;
    hub.kill().await?;
    let text = if args.json {
        serde_json::to_string_pretty(&report)?
    } else {
        report.table()
    };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(match report.missing {
        0 => ExitCode::SUCCESS,
        _ => exit::MISMATCH.into(),
    })
}

async fn measure(
    args: &Args,
    hub: &HubProcess,
    address: SocketAddr,
    database: &'static str,
    directory: &std::path::Path,
) -> anyhow::Result<Report> {
    let since = system_now_micros();
    let mut clicks = Clicks {
        address,
        links: links(hub, args.links).await?,
        rate: args.rate,
        time: Duration::from_secs(WARM_UP),
        connections: args.connections,
        seed: args.seed,
    };
    let mut acknowledged = clicks.play().await?.acknowledged;
    clicks.time = Duration::from_secs(args.seconds);
    let bar = progress(args.json, "clicking", u64::from(args.runs));
    let mut runs = Vec::new();
    for number in 0..args.runs {
        clicks.seed = args.seed.wrapping_add(u64::from(number) + 1);
        let before = cpu_of(hub.pid());
        let clicked = clicks.play().await?;
        let used = cpu_of(hub.pid()).saturating_sub(before);
        acknowledged += clicked.acknowledged;
        runs.push(told(&clicked, used));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let request = v1::CountTouchesRequest {
        start_time: Some(timestamp(since - 60_000_000)),
        ..v1::CountTouchesRequest::default()
    };
    let counted = hub
        .operator()
        .call(request, async |hub: Hub, request| {
            hub.touches().count_touches(request).await
        })
        .await?;
    let kept: u64 = counted
        .counts
        .iter()
        .filter(|count| count.refusal() == v1::TouchRefusal::Unspecified)
        .map(|count| count.touches)
        .sum();
    let mut by_p99 = runs.clone();
    by_p99.sort_by(|a, b| a.p99_ms.total_cmp(&b.p99_ms));
    Ok(Report {
        median: by_p99.swap_remove(by_p99.len() / 2),
        runs,
        missing: acknowledged.saturating_sub(kept),
        rate: args.rate,
        seconds: args.seconds,
        connections: args.connections,
        links: args.links,
        database,
        machine: machine::machine(directory),
        version: env!("CARGO_PKG_VERSION"),
        seed: args.seed,
    })
}

fn told(clicked: &Clicked, used: Duration) -> Run {
    let clicks = clicked.latencies.len();
    Run {
        clicks_per_second: clicks as f64 / clicked.took.as_secs_f64(),
        clicks,
        acknowledged: clicked.acknowledged,
        p50_ms: quantile_ms(&clicked.latencies, 50),
        p99_ms: quantile_ms(&clicked.latencies, 99),
        max_ms: quantile_ms(&clicked.latencies, 100),
        cpu_us_per_click: used.as_secs_f64() * 1e6 / clicks.max(1) as f64,
    }
}

/// A shop, affiliates and their links.
async fn links(hub: &HubProcess, count: u16) -> anyhow::Result<Vec<String>> {
    let slugs: Vec<String> = (0..AFFILIATES)
        .map(|n| format!("bench-affiliate-{n}"))
        .collect();
    let mut shop = merchant(SHOP);
    shop.roles.push(v1::MerchantRole::Affiliate.into());
    let affiliates = slugs.iter().map(|slug| merchant(slug));
    let request = v1::ApplyAllianceRequest {
        desired: Some(v1::Alliance {
            programme: Some(programme()),
            merchants: affiliates.chain([shop]).collect(),
            promotions: Vec::new(),
        }),
        validate_only: false,
    };
    hub.operator()
        .call(request, async |hub: Hub, request| {
            hub.alliance().apply_alliance(request).await
        })
        .await?;
    let mut callers = Vec::new();
    for slug in &slugs {
        let key = Arc::new(SigningKey::generate()?);
        register(hub.operator(), &key, slug).await?;
        callers.push(hub.connect(key, slug).await?);
    }
    let mut links = Vec::new();
    for (number, caller) in (0..count).zip(callers.iter().cycle()) {
        let request = v1::CreateLinkRequest {
            merchant_id: SHOP.to_owned(),
            destination: format!("https://shop.example/article/{number}?campaign=bench"),
            site: 1,
        };
        let answer = caller
            .call(request, async |hub: Hub, request| {
                hub.touches().create_link(request).await
            })
            .await?;
        links.extend(answer.link.map(|link| link.link_id));
    }
    Ok(links)
}

impl Report {
    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(TableStyle::new());
        table.set_header([
            "clicks/s",
            "p50 ms",
            "p99 ms",
            "max ms",
            "hub's CPU us/click",
        ]);
        for run in &self.runs {
            table.add_row([
                format!("{:.0}", run.clicks_per_second),
                format!("{:.2}", run.p50_ms),
                format!("{:.2}", run.p99_ms),
                format!("{:.2}", run.max_ms),
                format!("{:.1}", run.cpu_us_per_click),
            ]);
        }
        format!(
            "{}\n{} clicks/s due for {} s over {} connections to {} links, {} times, on {}; {} CPUs, {}, {}.\n\
             Acknowledged and not in the store: {}.",
            table.trim_fmt(),
            self.rate,
            self.seconds,
            self.connections,
            self.links,
            self.runs.len(),
            self.database,
            self.machine.cpus,
            self.machine.os,
            self.machine.filesystem,
            self.missing,
        )
    }
}
