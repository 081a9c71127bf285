//! `hansa affiliate`: links of affiliates, and the touches that they bring.

mod link;
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
    /// Touches in the order of their time, or their numbers by day.
    Touches(touches::Args),
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Link(command) => link::run(command).await,
        Command::Touches(args) => touches::run(&args).await,
    }?;
    Ok(ExitCode::SUCCESS)
}
