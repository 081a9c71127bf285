//! `hansa finance`: from a closed cycle to money that the bank has confirmed.
//!
//! - [`settle`] - compare methods, preview a settlement
//! - [`propose`] - propose a step that moves money
//! - [`decide`] - approve, reject, list proposals
//! - [`payments`] - list payments, write the payment file, record that it was handed in
//! - [`bank`] - import what the bank says; reports and exceptions
//! - [`documents`] - the liability report and the general ledger
//! - [`watch`] - exposures, and who did what
//! - [`next`] - the next step, as a command
//! - [`words`], [`json`] - how all of it is shown; [`value`] - how it is read

pub mod bank;
pub mod decide;
pub mod documents;
pub mod json;
pub mod next;
pub mod payments;
pub mod propose;
pub mod settle;
pub mod value;
pub mod watch;
pub mod words;

use std::process::ExitCode;

use clap::{Args as ClapArgs, Subcommand};

const HELP: &str = "A cycle is settled in steps, each an entry of the log; what moves money is proposed by one person and \
approved by another, each with a reason:\n
  hansa finance compare 3                          the netting methods, side by side
  hansa finance preview 3                          payments, positions, caps; nothing changes
  hansa finance propose settle 3 --reason TEXT     proposal 7, say
  hansa finance approve 7 --reason TEXT            with another person's key
  hansa finance payment-file 3 --out pay.xml       for the bank
  hansa finance submit 3                           it was handed in
  hansa finance import statement.xml               what the bank says; moves no money
  hansa finance propose post-reconciliation 1 --reason TEXT
  hansa finance approve 8 --reason TEXT            payments are SETTLED\n
Keys of people: hansa keys new --holder NAME --role finance. Every command may be given again after an interruption: what was \
done already is not done twice.";

/// What about finance.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every netting method on a closed cycle, side by side; changes nothing.
    Compare(settle::CompareArgs),
    /// What settling a cycle would do: payments, positions and caps afterwards; changes nothing.
    Preview(settle::PreviewArgs),
    /// Propose a step that moves money; another person approves it.
    Propose(propose::Args),
    /// Approve somebody else's proposal: it is carried out.
    Approve(decide::DecideArgs),
    /// Reject somebody else's proposal, or withdraw your own.
    Reject(decide::DecideArgs),
    /// Proposals, newest first.
    Proposals(decide::ListArgs),
    /// Payment instructions, by number.
    Payments(payments::ListArgs),
    /// Write the payment file of one payer in one cycle; the same bytes each time.
    PaymentFile(payments::FileArgs),
    /// Record that a cycle's payments were handed to the bank, or asked for from their payers.
    Submit(payments::SubmitArgs),
    /// Read a bank's file and match it; moves no money.
    Import(bank::ImportArgs),
    /// What was imported, newest first.
    Reports(bank::ReportsArgs),
    /// What did not match.
    Exceptions(bank::ExceptionsArgs),
    /// Close an exception that no money hangs on.
    Explain(bank::ExplainArgs),
    /// Open points by funder and age, reserve, expected breakage, deferred revenue.
    Liability(documents::LiabilityArgs),
    /// The journal of a closed cycle, for the general ledger.
    Ledger(documents::LedgerArgs),
    /// Exposure of every merchant against its cap.
    Risk(watch::RiskArgs),
    /// Who did what to a cycle, a proposal or a payment.
    Trail(watch::TrailArgs),
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Compare(args) => settle::compare(args).await,
        Command::Preview(args) => settle::preview(args).await,
        Command::Propose(args) => propose::run(args).await,
        Command::Approve(args) => decide::decide(args, true).await,
        Command::Reject(args) => decide::decide(args, false).await,
        Command::Proposals(args) => decide::list(args).await,
        Command::Payments(args) => payments::list(args).await,
        Command::PaymentFile(args) => payments::file(args).await,
        Command::Submit(args) => payments::submit(args).await,
        Command::Import(args) => bank::import(args).await,
        Command::Reports(args) => bank::reports(args).await,
        Command::Exceptions(args) => bank::exceptions(args).await,
        Command::Explain(args) => bank::explain(args).await,
        Command::Liability(args) => documents::liability(args).await,
        Command::Ledger(args) => documents::ledger(args).await,
        Command::Risk(args) => watch::risk(args).await,
        Command::Trail(args) => watch::trail(args).await,
    }?;
    Ok(ExitCode::SUCCESS)
}
