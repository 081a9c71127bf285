//! The program `hansa`: a file per command. Commands print for people by default and one JSON document with `--json`.
//!
//! Exit codes: see [`exit`].

pub mod affiliate;
pub mod alliance_file;
pub mod apply;
pub mod audit;
pub mod bench;
pub mod commissions;
pub mod connect;
pub mod cycle;
pub mod demo;
pub mod dispute;
pub mod documents;
pub mod exit;
pub mod finance;
pub mod fraud;
pub mod keys;
pub mod liability;
pub mod member;
pub mod offers;
pub(crate) mod pages;
pub mod proofs;
pub mod render;
pub mod reopen;
pub mod replay;
pub mod serve;
pub mod session;
pub mod sheet;
pub mod simulate;
pub mod statement;
pub mod statement_items;
pub mod status;
pub mod submit;
pub mod verify;
pub mod verify_document;
pub mod verify_receipts;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// Settlement for alliances of merchants: signed messages in, an exact ledger, who owes whom out.
#[derive(Debug, Parser)]
#[command(name = "hansa", version, propagate_version = true, max_term_width = 110, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a hub.
    Serve(serve::Args),
    /// Play a year of purchases at 31 merchants and settle it; nothing to set up.
    Demo(demo::Args),
    /// Play purchases through a hub of its own and print what settles.
    Replay(replay::Args),
    /// Measure a hub of its own.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Make the alliance what a file says.
    Apply(apply::Args),
    /// Keys: new, rotate, revoke, list.
    Keys(keys::Args),
    /// Members: enrol, balance, lots.
    Member(member::Args),
    /// Send a file of messages, each row once.
    Submit(submit::Args),
    /// Settlement cycles: list, show, close, certificate.
    Cycle(cycle::Args),
    /// What a merchant owes and is owed, line by line.
    Statement(statement::Args),
    /// Commissions of affiliates: statement.
    #[command(subcommand)]
    Commissions(commissions::Commissions),
    /// Open points by funder, and the reserve behind them.
    Liability(liability::Args),
    /// Settle closed cycles: compare, propose, approve, pay, reconcile.
    Finance(Box<finance::Args>),
    /// Disputes over lines of statements: raise, answer, escalate, rule.
    Dispute(Box<dispute::Args>),
    /// Affiliates: links, and what they bring.
    Affiliate(affiliate::Args),
    /// Offers of merchants to affiliates: put, withdraw, list, changes.
    #[command(subcommand)]
    Offers(Box<offers::Offers>),
    /// Flags on affiliates' traffic, cases, rules; detectors by themselves, over files.
    #[command(subcommand)]
    Fraud(fraud::Fraud),
    /// Play simulated traffic whose truth is known, and report what was found.
    #[command(subcommand)]
    Simulate(simulate::Simulate),
    /// How far the hub is.
    Status(status::Args),
    /// Decide the whole log again and compare; or check receipts, or a document that the hub signed.
    Verify(Box<verify::Args>),
    /// Audit a log by code of its own: derive every journal a second time and compare.
    Audit(audit::Args),
    /// Go on after a loss of entries, under another name of the log.
    Reopen(reopen::Args),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                exit::USAGE.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return exit::FAILED.into();
        }
    };
    match runtime.block_on(run(cli.command)) {
        Ok(code) => code,
        Err(error) => exit::report(&error),
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Replay(args) => replay::run(args).await,
        Command::Bench(bench) => bench::run(bench).await,
        Command::Apply(args) => apply::run(args).await,
        Command::Keys(args) => keys::run(args).await,
        Command::Member(args) => member::run(args).await,
        Command::Submit(args) => submit::run(args).await,
        Command::Cycle(args) => cycle::run(args).await,
        Command::Statement(args) => statement::run(args).await,
        Command::Commissions(command) => commissions::run(command).await,
        Command::Liability(args) => liability::run(args).await,
        Command::Finance(args) => finance::run(*args).await,
        Command::Dispute(args) => dispute::run(*args).await,
        Command::Affiliate(args) => affiliate::run(args).await,
        Command::Offers(command) => offers::run(*command).await,
        Command::Fraud(command) => fraud::run(command).await,
        Command::Simulate(command) => simulate::run(&command),
        Command::Status(args) => status::run(args).await,
        Command::Verify(args) => verify::run(*args).await,
        Command::Audit(args) => audit::run(args).await,
        Command::Reopen(args) => reopen::run(args).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "hansa", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_command_names_an_argument_twice() {
        Cli::command().debug_assert();
    }
}
