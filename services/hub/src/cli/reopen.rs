//! `hansa reopen`: goes on after a loss, under another name.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use hansa_store::{Store, StoreOptions};
use serde_json::json;

use super::{
    connect::DEFAULT_DATA_DIR,
    exit,
    render::{self, Format, number},
};
use crate::reopen::Reopening;

const HELP: &str = "Only where neither a standby nor a copy has the lost entries. Stop all hubs, run it in the data directory \
of the hub that owned the log last, start the hubs with the new --origin, and remove checkpoint.note from the other hubs' \
directories. Merchants whose receipts name lost entries send those batches again.";

/// Where the log is, and what it is called from now on.
#[derive(Debug, ClapArgs)]
#[command(after_help = HELP)]
pub struct Args {
    /// Name of the log from now on; one that it never had.
    #[arg(long, env = "HANSA_ORIGIN", value_name = "NAME")]
    origin: String,
    /// Database: sqlite:PATH or postgres://USER@HOST/NAME. Default: sqlite:DATA_DIR/hansa.db.
    #[arg(
        long,
        env = "HANSA_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    database: Option<String>,
    /// Directory of the hub's keys and of the checkpoint outside the database. Default: hansa-data.
    #[arg(long, env = "HANSA_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    format: Format,
}

/// Reopens a log.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let data_dir = args.data_dir.unwrap_or_else(|| DEFAULT_DATA_DIR.into());
    let database = args
        .database
        .unwrap_or_else(|| format!("sqlite:{}", data_dir.join("hansa.db").display()));
    let options = StoreOptions {
        application_name: "hansa-reopen".into(),
        ..StoreOptions::default()
    };
    let store = Store::open(&database, &options)
        .await
        .context("cannot open the database")?;
    let reopening = Reopening::find(&store, &data_dir, &args.origin).await?;
    let loss = reopening.loss.clone();
    let last = loss.first + loss.entries.saturating_sub(1);
    if !args.format.json {
        render::print(&format!(
            "{} has {} entries; {} more were signed and are lost: {} to {}.\n",
            loss.origin,
            number(loss.first),
            number(loss.entries),
            number(loss.first),
            number(last)
        ))?;
    }
    let question = format!("Go on without them as {}?", args.origin);
    if !reopening.begun && !render::confirm(&question, args.yes)? {
        return Ok(exit::FAILED.into());
    }
    let (size, verifier_key) = reopening.go_on().await?;
    store.close().await?;
    if args.format.json {
        render::print_json(&json!({
            "origin": args.origin,
            "verifier_key": verifier_key,
            "size": size,
            "lost": { "origin": loss.origin, "first": loss.first, "entries": loss.entries },
        }))?;
    } else {
        render::print(&format!(
            "The log goes on as {}, with entry {}. Its key is now\n  {verifier_key}\nStart the hubs with --origin {}.\n",
            args.origin,
            number(size - 1),
            args.origin
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
