//! `hansa replay`: plays purchases through the real wire and prints what settles.
//!
//! Starts a hub of its own with a test clock. Every message is signed and has the recommended id, derived from its
//! receipt, so that a replay can be run again at any time: what was decided before is answered REPLAYED.

pub mod play;
pub mod process;
pub mod report;
pub mod rows;
pub mod terms;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, atomic::AtomicI64},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args as ClapArgs;
use hansa_store::{Store, StoreError, StoreOptions};
use indicatif::{ProgressBar, ProgressStyle};
use ring::digest::{Context as Digest, SHA256};

use self::{
    play::{Player, Stats},
    process::HubProcess,
    report::Document,
    rows::Data,
    terms::Terms,
};

/// Options of a replay.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Purchases: CSV (gzipped or not) with the columns occurred_at, basket_id, household_id, merchant, spend_cents,
    /// coupon_cents, ordered by time.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Terms: TOML with the keys of journey-terms.toml.
    #[arg(long, value_name = "FILE")]
    terms: PathBuf,
    /// Database: sqlite:PATH or postgres://USER@HOST/NAME. Default: a SQLite file in the replay's directory.
    #[arg(
        long,
        env = "HANSA_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    database: Option<String>,
    /// Directory of the replay's keys and log. Default: beside the SQLite file, or under hansa-replay/ here.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// How long the hub of a replay that was killed may take to end.
const PREDECESSOR: Duration = Duration::from_secs(30);

/// Where a replay keeps its things.
#[derive(Debug, Clone)]
pub struct Place {
    /// Keys, the hub's log file, the anchored checkpoint.
    pub data_dir: PathBuf,
    /// Database URL.
    pub database: String,
}

impl Place {
    /// A SQLite file in a directory.
    pub fn in_directory(data_dir: PathBuf) -> Self {
        let database = format!("sqlite:{}", data_dir.join("hansa.db").display());
        Self { data_dir, database }
    }

    /// The same command line always has the same place, so that a replay can be resumed.
    fn of(args: &Args, fingerprint: &str) -> Self {
        let by_fingerprint = |more: &str| {
            let mut digest = Digest::new(&SHA256);
            digest.update(fingerprint.as_bytes());
            digest.update(more.as_bytes());
            PathBuf::from("hansa-replay")
                .join(&hansa_client::keys::hex(digest.finish().as_ref())[..16])
        };
        match (&args.database, &args.data_dir) {
            (None, Some(dir)) => Self::in_directory(dir.clone()),
            (None, None) => Self::in_directory(by_fingerprint("")),
            (Some(database), Some(dir)) => Self {
                data_dir: dir.clone(),
                database: database.clone(),
            },
            (Some(database), None) => {
                let file = database
                    .strip_prefix("sqlite:")
                    .map(|path| path.strip_prefix("//").unwrap_or(path));
                let data_dir = file.map_or_else(
                    || by_fingerprint(database),
                    |f| PathBuf::from(format!("{f}.replay")),
                );
                Self {
                    data_dir,
                    database: database.clone(),
                }
            }
        }
    }

    /// Makes sure that directory and database belong together and to this data.
    async fn claim(&self, fingerprint: &str) -> anyhow::Result<()> {
        let marker = self.data_dir.join("replay.sha256");
        let options = StoreOptions {
            application_name: "hansa-replay".into(),
            ..StoreOptions::default()
        };
        let empty = {
            if let Some(parent) = self.data_dir.parent().filter(|p| !p.as_os_str().is_empty()) {
                fs::create_dir_all(parent)
                    .with_context(|| format!("cannot make {}", parent.display()))?;
            }
            fs::create_dir_all(&self.data_dir)
                .with_context(|| format!("cannot make {}", self.data_dir.display()))?;
            let store = open_when_free(&self.database, &options)
                .await
                .context("cannot open the database")?;
            let empty = store.last_entry().await?.is_none();
            store.close().await?;
            empty
        };
        if empty {
            // A new log: what a log before it left here says nothing about it.
            let _ = fs::remove_file(self.data_dir.join(crate::home::CHECKPOINT));
            let mut marked = fingerprint.to_owned();
            marked.push('\n');
            return fs::write(&marker, marked)
                .with_context(|| format!("cannot write {}", marker.display()));
        }
        match fs::read_to_string(&marker) {
            Ok(text) if text.trim() == fingerprint => Ok(()),
            Ok(_) => bail!(
                "the database holds a replay of other data or other terms; name another --database, or remove it and {}",
                self.data_dir.display()
            ),
            Err(_) => bail!(
                "the database holds a log, and {} is not there to go on with it; name an empty --database",
                marker.display()
            ),
        }
    }
}

/// Opens the store; waits for the hub of a replay that was killed: it is on its way out.
async fn open_when_free(database: &str, options: &StoreOptions) -> Result<Store, StoreError> {
    let began = Instant::now();
    loop {
        match Store::open(database, options).await {
            Err(StoreError::InUse { .. }) if began.elapsed() < PREDECESSOR => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            other => return other,
        }
    }
}

fn fingerprint(data: &Path, terms: &Path) -> anyhow::Result<String> {
    let mut digest = Digest::new(&SHA256);
    for path in [data, terms] {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        digest.update(&(bytes.len() as u64).to_be_bytes());
        digest.update(&bytes);
    }
    Ok(hansa_client::keys::hex(digest.finish().as_ref()))
}

/// Plays rows in a place and reads what settled. Progress goes to standard error where that is a terminal.
pub async fn play(
    data: &Data,
    terms: &Terms,
    place: &Place,
    fingerprint: &str,
) -> anyhow::Result<(Document, Stats, Player)> {
    place.claim(fingerprint).await?;
    let first_day = rows::date(data.rows[0].occurred_at, terms.zone);
    let clock = Arc::new(AtomicI64::new(rows::midnight(first_day, terms.zone)));
    let process = HubProcess {
        data_dir: place.data_dir.clone(),
        database: place.database.clone(),
        clock: Arc::clone(&clock),
    };
    let mut player = Player::start(process, clock).await?;
    let bar = progress(data.rows.len() as u64);
    let stats = player.play(data, terms, &bar).await?;
    bar.finish_and_clear();
    let document = player.report().await?;
    Ok((document, stats, player))
}

fn progress(rows: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{msg:<12} {bar:40} {pos:>7}/{len} rows {per_sec:>12} eta {eta}",
    );
    let bar = ProgressBar::new(rows);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let terms = Terms::read(&args.terms)?;
    let data = Data::read(&args.data)?;
    let fingerprint = fingerprint(&args.data, &args.terms)?;
    let place = Place::of(&args, &fingerprint);
    let (document, stats, player) = play(&data, &terms, &place, &fingerprint).await?;
    player.stop().await?;
    eprintln!(
        "{} rows, {} messages ({} of them replayed) in {} batches; {} hub restarts; {:.1?}; kept in {}",
        data.rows.len(),
        stats.messages,
        stats.replayed,
        stats.batches,
        stats.restarts,
        began.elapsed(),
        place.data_dir.display()
    );
    if args.json {
        println!("{}", serde_json::to_string(&document)?);
    } else {
        print_summary(&document, &terms.currency);
    }
    Ok(ExitCode::SUCCESS)
}

/// An exact amount for people: `12.345678`, never rounded.
pub fn amount(micros: i64) -> String {
    let (sign, value) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    format!("{sign}{}.{:06}", value / 1_000_000, value % 1_000_000)
}

/// Prints counts and cycles.
pub fn print_summary(document: &Document, currency: &str) {
    let c = &document.counts;
    println!(
        "accruals {}, redemptions {}, redemptions refused {}",
        c.accruals, c.redemptions, c.redemptions_refused
    );
    println!(
        "points: issued {}, redeemed {}, expired {}, outstanding {}",
        c.issued_points, c.redeemed_points, c.expired_points, c.outstanding_points
    );
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "cycle closed at",
        "merchants owe",
        "reserve",
        "service fee",
        "redemption fee",
        "breakage",
    ]);
    for cycle in &document.cycles {
        let hub = &cycle.hub_micros;
        let total: i64 = cycle.net_micros.values().sum();
        let figures = [
            total,
            hub.reserve,
            hub.service_fee,
            hub.redemption_fee,
            hub.breakage,
        ]
        .map(amount);
        table.add_row(std::iter::once(cycle.closes_at.clone()).chain(figures));
    }
    for column in 1..6 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    println!("\nSettlement by cycle, {currency} (+ = the merchants owe the hub):\n{table}");
}
