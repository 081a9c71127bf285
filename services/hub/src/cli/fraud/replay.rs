//! `hansa fraud replay`: makes all flags again from the log and the touches, and compares.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args as ClapArgs;
use hansa_client::keys::hex;
use hansa_store::{Store, StoreOptions};
use serde_json::json;

use crate::{
    cli::{
        connect::DEFAULT_DATA_DIR,
        exit,
        render::{self, Format},
    },
    error::Reason,
    fraud::{follow, traffic::Traffic},
    home::Home,
    registry::Registry,
    touches,
};

const HELP: &str = "Reads the databases beside their hub or without one, changes nothing. Exit status 6 where a run of the log does not \
come out again; it then says which entry, and whether the touches or the verdicts are others.";

/// Options of `replay`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The log: sqlite:PATH or postgres://USER@HOST/NAME. Default: sqlite:DATA_DIR/hansa.db.
    #[arg(
        long,
        env = "HANSA_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    database: Option<String>,
    /// The touches. Default: sqlite:DATA_DIR/touches.db, or the log's database.
    #[arg(
        long,
        env = "HANSA_TOUCHES_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    touches_database: Option<String>,
    /// The hub's directory, for the key under which accounts are hashed.
    #[arg(
        long,
        env = "HANSA_DATA_DIR",
        default_value = DEFAULT_DATA_DIR,
        value_name = "DIR"
    )]
    data_dir: PathBuf,
    #[command(flatten)]
    format: Format,
}

async fn open(url: &str) -> anyhow::Result<Store> {
    let options = StoreOptions {
        application_name: "hansa-fraud-replay".into(),
        readers: 2,
        read_only: true,
        ..StoreOptions::default()
    };
    Store::open(url, &options)
        .await
        .context("cannot open the database")
}

/// Who is who, by the log.
async fn registry(log: &Store) -> anyhow::Result<Registry> {
    let mut registry = Registry::default();
    let mut from = 0;
    loop {
        let (entries, next) = follow::facts_from(log, from).await?;
        let Some(next) = next else {
            return Ok(registry);
        };
        for (_, decided_at, facts) in entries {
            for fact in &facts.facts {
                registry.apply(fact, decided_at);
            }
        }
        from = next;
    }
}

pub(super) async fn run(args: &Args) -> anyhow::Result<()> {
    let database = args
        .database
        .clone()
        .unwrap_or_else(|| format!("sqlite:{}", args.data_dir.join("hansa.db").display()));
    let touches = args
        .touches_database
        .clone()
        .unwrap_or_else(|| touches::default_database(&database, &args.data_dir));
    let tokens = Home::open(&args.data_dir)?.token_key()?;
    let (log, touches) = (open(&database).await?, open(&touches).await?);
    let registry = registry(&log).await?;
    let traffic = Traffic {
        log: &log,
        touches: &touches,
        tokens: &tokens,
        // Each run says whether it scored them.
        points: false,
    };
    let replayed = follow::replay(&traffic, &registry).await;
    let (desk, replayed) = replayed.map_err(|error| match error.reason {
        Reason::FailedPrecondition => exit::coded(exit::MISMATCH, error.message),
        _ => error.into(),
    })?;
    let progress = desk.progress();
    let digest = hex(&desk.digest()?);
    if args.format.json {
        return render::print_json(&json!({
            "runs": replayed.runs,
            "decisions": replayed.decisions,
            "touches": progress.touches,
            "flags": desk.engine().flags().len(),
            "held_conversions": desk.held().len(),
            "state_sha256": digest,
        }));
    }
    render::print(&format!(
        "{} runs and {} decisions came out again, over {} touches: {} flags, {} conversions wait.\nState {digest}.\n",
        replayed.runs,
        replayed.decisions,
        render::number(progress.touches),
        desk.engine().flags().len(),
        desk.held().len(),
    ))
}
