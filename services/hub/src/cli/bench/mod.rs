//! `hansa bench`: measures a hub as its users meet it, through the wire, in a process of its own; and netting and the fraud module
//! by themselves.

mod check;
mod clicks;
pub mod close;
mod directory;
pub mod exchange;
pub mod fraud;
mod hub;
mod lane;
mod load;
mod machine;
mod members;
pub mod netting;
mod progress;
pub mod redirect;
mod report;
mod rng;
mod traffic;
mod unary;
mod wire;

use std::process::ExitCode;

use clap::Subcommand;

/// What is measured.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Signed messages into a durable log: rate, latency, memory, restart.
    Exchange(exchange::Args),
    /// Closing a cycle: what it takes, and what ongoing traffic feels of it.
    Close(close::Args),
    /// Clicks on affiliates' links over HTTP: rate, latency, and that every one that was answered is kept.
    Redirect(redirect::Args),
    /// A netting method over a generated network: totals, seconds, memory.
    Netting(netting::Args),
    /// The fraud module with a million entities: events a second, decisions, memory, a flood of new ids.
    Fraud(fraud::Args),
}

/// Runs a bench.
pub async fn run(bench: Bench) -> anyhow::Result<ExitCode> {
    match bench {
        Bench::Exchange(args) => exchange::run(args).await,
        Bench::Close(args) => close::run(args).await,
        Bench::Redirect(args) => redirect::run(args).await,
        Bench::Netting(args) => netting::run(&args),
        Bench::Fraud(args) => fraud::run(&args),
    }
}
