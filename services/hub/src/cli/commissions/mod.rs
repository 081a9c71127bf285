//! `hansa commissions`: what affiliates earned.

mod statement;

use std::process::ExitCode;

use clap::Subcommand;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Commissions {
    /// What an affiliate's commissions did in a closed cycle, as a document that the hub signed.
    Statement(statement::Args),
}

/// Runs the command.
pub async fn run(command: Commissions) -> anyhow::Result<ExitCode> {
    match command {
        Commissions::Statement(args) => statement::run(&args).await,
    }
}
