//! `hansa affiliate`: links of affiliates, the touches that they bring, and queries over their commissions.

mod link;
mod query;
mod touches;

use std::process::ExitCode;

use clap::{Args as ClapArgs, Subcommand};

const HELP: &str =
    "An affiliate is a participant: it speaks with its own key, named by --merchant and --key.";

/// What about affiliates.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Links to merchants: create, end, list.
    #[command(subcommand)]
    Link(link::Link),
    /// Queries over commissions: raise, answer, escalate, rule, list, show.
    Query(Box<query::Args>),
    /// Touches in the order of their time, or their numbers by day.
    Touches(touches::Args),
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Link(command) => link::run(command).await,
        Command::Query(args) => query::run(*args).await,
        Command::Touches(args) => touches::run(&args).await,
    }?;
    Ok(ExitCode::SUCCESS)
}
